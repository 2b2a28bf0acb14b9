/* The parts of the load generator that could lie: where a reply ends, what it holds, what is sent,
 * and which latency is the 99th. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "load/command.h"
#include "load/histogram.h"
#include "load/reply.h"

/* ---- Replies ---- */

static const char replies[] = "+OK\r\n"
                              ":-12\r\n"
                              "$-1\r\n"
                              "$5\r\n*9\r\n-\r\n"
                              "*0\r\n"
                              "*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$3\r\nabc\r\n"
                              "*2\r\n$3\r\n2-7\r\n*2\r\n$1\r\nf\r\n$0\r\n\r\n"
                              "*2\r\n+a\r\n-ERR inside\r\n"
                              "-ERR alone\r\n";

/* All of `text` in pieces of `step` bytes; a summary of each reply goes to `out`. */
static void walk(const char *text, size_t len, size_t step, unsigned id_depth, char *out)
{
    struct reply r = {.id_depth = id_depth, .want_ids = true};
    size_t from = 0, to = 0, used;
    *out = '\0';
    while (to < len) {
        to = to + step < len ? to + step : len;
        enum reply_state state;
        do {
            state = reply_walk(&r, text + from, to - from, &used);
            assert_int_not_equal(state, REPLY_BROKEN);
            from += used;
            if (state == REPLY_WHOLE)
                out += sprintf(out, "%s%d %s ids=%d;", r.empty ? "empty " : "", (int)r.entries,
                               r.error, (int)r.ids.len);
        } while (state == REPLY_WHOLE && from < to);
        assert_true(to - from < REPLY_LINE_MAX);
    }
    assert_int_equal(from, len);
    assert_string_equal(r.last_id, "2-7");
    reply_fini(&r);
}

static void test_replies_cut_anywhere(void **state)
{
    char whole[1024], pieces[1024];
    walk(replies, sizeof(replies) - 1, sizeof(replies), 2, whole);
    assert_string_equal(whole, "0  ids=0;0  ids=0;empty 0  ids=0;0  ids=0;empty 0  ids=0;"
                               "2  ids=18;0 ERR inside ids=0;0 ERR alone ids=0;");
    for (size_t step = 1; step < 40; step++) {
        walk(replies, sizeof(replies) - 1, step, 2, pieces);
        assert_string_equal(pieces, whole);
    }
}

static void test_ids_of_xread(void **state)
{
    const char *text =
        "*1\r\n*2\r\n$3\r\nkey\r\n*1\r\n*2\r\n$3\r\n2-7\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    char got[256];
    walk(text, strlen(text), 7, 4, got);
    assert_string_equal(got, "1  ids=9;");
}

static void test_no_resp(void **state)
{
    const char *cases[] = {"HTTP/1.1 200 OK\r\n", "$x\r\n", "*1\r\n?\r\n", ":1x\r\n"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct reply r = {0};
        size_t used;
        assert_int_equal(reply_walk(&r, cases[i], strlen(cases[i]), &used), REPLY_BROKEN);
        reply_fini(&r);
    }
}

/* ---- Commands ---- */

static const struct command_defaults defaults = {.keys = 10, .data = 3};

static void expect(struct command *c, struct filling *f, const char *want)
{
    struct buf out = {0};
    command_append(c, f, &out);
    buf_putc(&out, '\0');
    assert_string_equal(out.data, want);
    buf_fini(&out);
}

static void test_commands(void **state)
{
    uint64_t seq = 41;
    struct filling f = {.seq = &seq,
                        .random = 1,
                        .conn = 3,
                        .walk = 5,
                        .last_id = "7-1",
                        .ids = {"$3\r\n1-0\r\n$3\r\n1-1\r\n", 18},
                        .id_count = 2};
    struct command c;
    char *fixed[] = {"SET", "k:__seq__:__seq:40__", "c__conn__", "__what__"};
    assert_null(command_init(&c, fixed, 4, &defaults));
    assert_false(c.dynamic);
    expect(&c, &f,
           "*4\r\n$3\r\nSET\r\n$27\r\nk:000000000041:000000000001\r\n"
           "$13\r\nc000000000003\r\n$8\r\n__what__\r\n");
    assert_int_equal(seq, 42);
    command_fini(&c);
    char *read[] = {"XRANGE", "s:__walk:9__", "(__last__", "+"};
    assert_null(command_init(&c, read, 4, &defaults));
    assert_int_equal(c.walk, 9);
    expect(&c, &f, "*4\r\n$6\r\nXRANGE\r\n$14\r\ns:000000000005\r\n$4\r\n(7-1\r\n$1\r\n+\r\n");
    command_fini(&c);
    char *ack[] = {"XACK", "s", "g", "__ids__"};
    assert_null(command_init(&c, ack, 4, &defaults));
    expect(&c, &f, "*5\r\n$4\r\nXACK\r\n$1\r\ns\r\n$1\r\ng\r\n$3\r\n1-0\r\n$3\r\n1-1\r\n");
    command_fini(&c);
}

static void test_random_and_data(void **state)
{
    uint64_t seq = 0;
    struct filling f = {.seq = &seq, .random = 1, .last_id = "0-0"};
    struct command c;
    char *words[] = {"__rand__", "__data__", "__data:7__"};
    assert_null(command_init(&c, words, 3, &defaults));
    bool met[10] = {false}, same = true;
    char last[4] = "";
    for (int i = 0; i < 1000; i++) {
        struct buf out = {0};
        command_append(&c, &f, &out);
        assert_memory_equal(out.data, "*3\r\n$12\r\n00000000000", 20);
        assert_memory_equal(out.data + 21, "\r\n$3\r\n", 6);
        assert_memory_equal(out.data + 30, "\r\n$7\r\n", 6);
        assert_int_equal(out.len, 20 + 1 + 6 + 3 + 6 + 7 + 2);
        met[out.data[20] - '0'] = true;
        if (i > 0) same = same && memcmp(last, out.data + 27, 3) == 0;
        memcpy(last, out.data + 27, 3);
        buf_fini(&out);
    }
    for (int i = 0; i < 10; i++) assert_true(met[i]);
    assert_false(same);
    assert_int_equal(seq, 0);
    command_fini(&c);
}

static void test_mistakes(void **state)
{
    char *cases[] = {"x__ids__", "__last__x", "__walk__", "__data:1000000__"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct command c;
        assert_non_null(command_init(&c, &cases[i], 1, &defaults));
        command_fini(&c);
    }
}

/* ---- Latencies ---- */

static void test_histogram(void **state)
{
    struct histogram *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    assert_true(histogram_us(h, 0.5) == 0);
    for (int i = 1; i <= 1000; i++) histogram_add(h, i * 1000, 1); /* 1 to 1,000 us */
    double p50 = histogram_us(h, 0.5), p99 = histogram_us(h, 0.99);
    assert_true(p50 >= 500 && p50 < 500 * 1.01);
    assert_true(p99 >= 990 && p99 <= 1000);
    assert_true(histogram_us(h, 1) == 1000);
    histogram_add(h, INT64_MAX, 1);
    histogram_add(h, -5, 1);
    assert_true(histogram_us(h, 0.0001) == 0);
    assert_int_equal(h->total, 1002);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_cut_anywhere),
        cmocka_unit_test(test_ids_of_xread),
        cmocka_unit_test(test_no_resp),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_random_and_data),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_histogram),
    };
    return cmocka_run_group_tests_name("bench/load", tests, NULL, NULL);
}
