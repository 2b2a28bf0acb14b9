/* A journal that goes on from a snapshot: what is replayed, which segments go, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/journal_testing.h"
#include "log/segment.h"

enum { SEGMENT = 16 << 10, RECORDS = 600, RECORD = 240 };

/* Records are numbered and of one size, so that a number tells the position. */
struct counter {
    uint64_t first, next; /* number of the first record replayed, and of the one expected */
    bool wrong;
};

static uint64_t position_of(uint64_t records)
{
    return records * (RECORD_PREFIX + RECORD);
}

static int replay(void *arg, struct bytes record, uint64_t position)
{
    struct counter *c = arg;
    uint64_t number = strtoull(record.data, NULL, 10);
    if (c->next == UINT64_MAX) c->first = c->next = number;
    if (number != c->next++ || position != position_of(number + 1) || record.len != RECORD)
        c->wrong = true;
    return 0;
}

static struct journal_options options_for(const char *dir, struct counter *c)
{
    *c = (struct counter){.next = UINT64_MAX};
    return (struct journal_options){
        .dir = dir, .segment_bytes = SEGMENT, .replay = replay, .arg = c};
}

static void append(struct journal *j, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct buf *b = journal_begin(j);
        char *at = buf_reserve(b, RECORD);
        memset(at, '.', RECORD);
        snprintf(at, RECORD, "%llu", (unsigned long long)i);
        b->len += RECORD;
        assert_int_equal(journal_end(j), position_of(i + 1));
        if (i % 7 == 0) assert_int_equal(journal_wait(j, journal_head(j)), 0);
    }
}

static uint64_t make(const char *dir)
{
    struct journal *j;
    struct counter c;
    struct journal_error e;
    struct journal_options o = options_for(dir, &c);
    assert_int_equal(journal_open(&o, &e, &j), 0);
    append(j, 0, RECORDS);
    uint64_t history = journal_history(j);
    journal_close(j);
    return history;
}

/* Opens from a snapshot; NULL when refused. */
static struct journal *open_from(const char *dir, struct journal_from from, struct counter *c,
                                 struct journal_error *e)
{
    struct journal *j;
    struct journal_options o = options_for(dir, c);
    assert_int_equal(journal_new(&o, e, &j), 0);
    assert_int_equal(journal_covered(j), 0);
    if (journal_start(j, &from, e) == 0) return j;
    journal_close(j);
    return NULL;
}

static void check_refused(const char *dir, struct journal_from from, const char *why)
{
    struct counter c;
    struct journal_error e = {0};
    struct journal *j = open_from(dir, from, &c, &e);
    assert_null(j);
    if (strstr(e.text, why) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

static void test_replays_what_is_behind(void **state)
{
    char *dir = scratch_new();
    uint64_t history = make(dir);
    for (uint64_t n = 0; n <= RECORDS; n += 37) {
        struct counter c;
        struct journal_error e = {0};
        struct journal_from from = {history, position_of(n), position_of(n)};
        struct journal *j = open_from(dir, from, &c, &e);
        if (j == NULL) fail_msg("%s", e.text);
        assert_false(c.wrong);
        assert_int_equal(c.first, n);
        assert_int_equal(c.next, RECORDS);
        assert_int_equal(journal_head(j), position_of(RECORDS));
        assert_int_equal(journal_history(j), history);
        journal_close(j);
    }
    scratch_remove(dir);
}

static uint64_t segments_of(struct journal *j)
{
    struct journal_stats s;
    journal_stats(j, &s);
    return s.segments;
}

static int count_segments(void *arg, const char *name)
{
    uint64_t number;
    *(unsigned *)arg += segment_name_parse(name, &number);
    return 0;
}

static void wait_for_files(const char *dir, unsigned at_most)
{
    for (int i = 0; i < 2000; i++) {
        unsigned n = 0;
        file_layer_real.list(NULL, dir, count_segments, &n);
        if (n <= at_most) return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("the segments stay");
}

static void test_drops_what_is_before(void **state)
{
    char *dir = scratch_new();
    uint64_t history = make(dir), half = RECORDS / 2;
    struct counter c;
    struct journal_error e = {0};
    struct journal_from from = {history, position_of(half), position_of(half)};
    struct journal *j = open_from(dir, from, &c, &e);
    uint64_t before = segments_of(j);
    struct journal_stats s;
    journal_drop_before(j, 0);
    assert_int_equal(segments_of(j), before);
    journal_drop_before(j, position_of(half));
    assert_true(segments_of(j) < before);
    journal_stats(j, &s);
    assert_true(s.first_position > 0 && s.first_position <= position_of(half));
    append(j, RECORDS, RECORDS + 50);
    wait_for_files(dir, (unsigned)segments_of(j) + 1); /* and one that is prepared */
    journal_close(j);

    j = open_from(dir, from, &c, &e);
    if (j == NULL) fail_msg("%s", e.text);
    assert_int_equal(c.first, half);
    assert_int_equal(c.next, RECORDS + 50);
    journal_close(j);

    check_refused(dir, (struct journal_from){0}, "damaged");
    from = (struct journal_from){history, position_of(10), position_of(10)};
    check_refused(dir, from, "damaged");
    scratch_remove(dir);
}

static void test_all_but_the_current_one_go(void **state)
{
    char *dir = scratch_new();
    uint64_t history = make(dir);
    struct counter c;
    struct journal_error e = {0};
    struct journal_from from = {history, position_of(RECORDS), position_of(RECORDS)};
    for (int i = 0; i < 3; i++) {
        struct journal *j = open_from(dir, from, &c, &e);
        if (j == NULL) fail_msg("%s", e.text);
        assert_int_equal(c.next, UINT64_MAX); /* nothing was replayed */
        journal_drop_before(j, position_of(RECORDS));
        assert_int_equal(segments_of(j), 1);
        wait_for_files(dir, 2);
        journal_close(j);
    }
    scratch_remove(dir);
}

static void test_refuses_a_journal_too_short(void **state)
{
    char *dir = scratch_new();
    uint64_t history = make(dir);
    uint64_t end = position_of(RECORDS);
    check_refused(dir, (struct journal_from){history, position_of(9), end + 1}, "was safe on disk");
    check_refused(dir, (struct journal_from){history, end + 1, end + 1}, "was safe on disk");
    check_refused(dir, (struct journal_from){history + 1, position_of(9), end}, "another server");
    scratch_clear(dir);
    check_refused(dir, (struct journal_from){history, 10, 20}, "no journal");
    scratch_clear(dir);

    /* A snapshot alone is enough where it is complete by itself. */
    struct counter c;
    struct journal_error e = {0};
    struct journal_from alone = {history, position_of(20), position_of(20)};
    for (uint64_t n = 20; n < 40; n += 10) {
        struct journal *j = open_from(dir, alone, &c, &e);
        if (j == NULL) fail_msg("%s", e.text);
        assert_int_equal(journal_head(j), position_of(n));
        assert_int_equal(journal_history(j), history);
        append(j, n, n + 10);
        journal_close(j);
    }
    scratch_remove(dir);
}

/* The records before the snapshot are not looked at where they fill segments of their own. */
static void test_skipped_segments_are_not_read(void **state)
{
    char *dir = scratch_new();
    uint64_t history = make(dir);
    char name[SEGMENT_NAME_MAX];
    segment_name(name, 2);
    struct buf file = file_load(dir, name);
    file.data[SEGMENT_HEADER + 100] ^= 1;
    file_store(dir, name, buf_bytes(&file));
    buf_fini(&file);
    check_refused(dir, (struct journal_from){0}, name);
    struct counter c;
    struct journal_error e = {0};
    struct journal_from from = {history, position_of(RECORDS - 5), position_of(RECORDS - 5)};
    struct journal *j = open_from(dir, from, &c, &e);
    assert_non_null(j);
    assert_int_equal(c.first, RECORDS - 5);
    journal_close(j);
    scratch_remove(dir);
}

static int give_up(void *arg, struct bytes record, uint64_t position)
{
    return -ECANCELED;
}

static void test_given_up(void **state)
{
    char *dir = scratch_new();
    struct counter c;
    struct journal *j;
    struct journal_error e = {0};
    make(dir);
    struct journal_options o = options_for(dir, &c);
    o.replay = give_up;
    assert_int_equal(journal_new(&o, &e, &j), 0);
    assert_int_equal(journal_start(j, NULL, &e), -ECANCELED);
    journal_close(j);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replays_what_is_behind),
        cmocka_unit_test(test_drops_what_is_before),
        cmocka_unit_test(test_all_but_the_current_one_go),
        cmocka_unit_test(test_refuses_a_journal_too_short),
        cmocka_unit_test(test_skipped_segments_are_not_read),
        cmocka_unit_test(test_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
