/* Ids, times and spans: what is read, what is refused, what is written. The zone is set to one with
 * an offset, so that local and UTC cannot be mistaken for each other. */
#include "cli/tool/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* 2026-11-21 17:16:01.250 UTC, a Saturday; 22:46:01 at UTC+5:30. */
static const int64_t now = 1795281361250;

static int setup(void **state)
{
    setenv("TZ", "XXX-5:30", 1);
    tzset();
    return 0;
}

static void test_ids(void **state)
{
    struct stream_id id;
    char text[STREAM_ID_TEXT];
    assert_true(stream_id_parse(BYTES("12-3"), 7, &id));
    assert_string_equal(stream_id_text(id, text), "12-3");
    assert_true(stream_id_parse(BYTES("12"), 7, &id));
    assert_string_equal(stream_id_text(id, text), "12-7");
    assert_true(stream_id_parse(BYTES("18446744073709551615-18446744073709551615"), 0, &id));
    assert_int_equal(stream_id_cmp(stream_id_after(id), id), 0);
    assert_string_equal(stream_id_text(id, text), "18446744073709551615-18446744073709551615");
    static const char *const wrong[] = {"", "-", "1-", "-1", "1-2-3", "a", "1-x", "1 -1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(stream_id_parse(bytes_of(wrong[i]), 0, &id));
}

static void test_neighbours(void **state)
{
    struct stream_id id = {5, 0};
    char text[STREAM_ID_TEXT];
    assert_string_equal(stream_id_text(stream_id_before(id), text), "4-18446744073709551615");
    assert_int_equal(stream_id_cmp(stream_id_after(stream_id_before(id)), id), 0);
    assert_int_equal(stream_id_cmp(stream_id_before(stream_id_after(id)), id), 0);
    assert_true(stream_id_cmp(stream_id_before(id), id) < 0);
    assert_string_equal(stream_id_text(stream_id_before((struct stream_id){0, 0}), text), "0-0");
    assert_true(stream_id_is_time((struct stream_id){1795281361250, 3}));
    assert_false(stream_id_is_time((struct stream_id){1795281361, 3}));
    assert_false(stream_id_is_time((struct stream_id){UINT64_MAX, 3}));
}

static int64_t time_of(const char *text)
{
    struct position p;
    const char *why;
    if (!position_parse(text, now, &p, &why)) fail_msg("%s: %s", text, why);
    assert_int_equal(p.kind, POSITION_ID);
    assert_int_equal(p.id.seq, 0);
    return (int64_t)p.id.ms;
}

static void test_positions(void **state)
{
    struct position p;
    const char *why;
    char text[STREAM_ID_TEXT];
    assert_true(position_parse("start", now, &p, &why) && p.kind == POSITION_START);
    assert_true(position_parse("END", now, &p, &why) && p.kind == POSITION_END);
    assert_true(position_parse("$", now, &p, &why) && p.kind == POSITION_END);
    assert_true(position_parse("7-9", now, &p, &why) && p.kind == POSITION_ID);
    assert_string_equal(stream_id_text(p.id, text), "7-9");
    assert_true(position_parse("(7-9", now, &p, &why));
    assert_string_equal(stream_id_text(p.id, text), "7-10");
}

static void test_times(void **state)
{
    assert_int_equal(time_of("now"), now);
    assert_int_equal(time_of("2h-ago"), now - 2 * 3600 * 1000);
    assert_int_equal(time_of("1m30s-ago"), now - 90 * 1000);
    assert_int_equal(time_of("2026-11-21T17:16:01.25Z"), now);
    assert_int_equal(time_of("2026-11-21T17:16:01.250Z"), now);
    assert_int_equal(time_of("2026-11-21 22:46:01.250"), now);
    assert_int_equal(time_of("2026-11-21T18:16:01.250+01:00"), now);
    assert_int_equal(time_of("2026-11-21T12:16:01.250-0500"), now);
    assert_int_equal(time_of("22:46"), now - 1250);
    assert_int_equal(time_of("today"), time_of("00:00"));
    assert_int_equal(time_of("2026-11-21"), time_of("today"));
    assert_int_equal(time_of("yesterday"), time_of("2026-11-20"));
    assert_int_equal(time_of("2024-02-29T00:00Z"), INT64_C(1709164800000));
}

static void test_what_is_no_position(void **state)
{
    static const char *const wrong[] = {"",
                                        "begin",
                                        "2h",
                                        "-ago",
                                        "2x-ago",
                                        "24:00",
                                        "7:00",
                                        "17:60",
                                        "2026-02-30",
                                        "2026-13-01",
                                        "2026-11-21T",
                                        "2026-11-21X",
                                        "2026-11-21T17:00Zz",
                                        "1-2-3",
                                        "(",
                                        "((1-1",
                                        "17:00 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct position p;
        const char *why = NULL;
        if (position_parse(wrong[i], now, &p, &why)) fail_msg("%s was taken", wrong[i]);
        assert_non_null(why);
    }
}

static void expect(struct buf *out, const char *text)
{
    buf_putc(out, '\0');
    assert_string_equal(out->data, text);
    buf_fini(out);
}

static void test_written_times(void **state)
{
    struct buf out = {0};
    when_put_iso(&out, now);
    expect(&out, "2026-11-21T17:16:01.250Z");
    when_put_short(&out, now - 1000, now);
    expect(&out, "22:46:00");
    when_put_short(&out, now - INT64_C(23) * 3600 * 1000, now);
    expect(&out, "Nov 20 23:46");
    when_put_short(&out, now - INT64_C(400) * 24 * 3600 * 1000, now);
    expect(&out, "2025-10-17");
}

static void test_spans(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-5, "0ms"},        {0, "0ms"},          {999, "999ms"},        {1000, "1.0s"},
                 {59999, "59.9s"},   {60000, "1m00s"},    {3599999, "59m59s"},   {3600000, "1h00m"},
                 {7380000, "2h03m"}, {86400000, "1d00h"}, {3456000000, "40d00h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        when_put_span(&out, cases[i].ms);
        expect(&out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_no_position),
        cmocka_unit_test(test_written_times),
        cmocka_unit_test(test_spans),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
