/* The journal over a disk that fails, fills up, is slow, or loses what was not synced. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "log/journal_testing.h"

enum { SEGMENT = 16 << 10 };

struct bench {
    struct file_fault fault;
    char *dir;
    struct tale tale;
    struct journal *j; /* NULL when the open failed */
    struct journal_error error;
    uint64_t turn_ends[64]; /* positions; what comes back ends at one of them */
    int turns;
};

static struct journal_options options_for(struct bench *b, enum journal_sync sync)
{
    return (struct journal_options){
        .dir = b->dir, .sync = sync, .segment_bytes = SEGMENT, .files = &b->fault.layer};
}

static void bench_init(struct bench *b, uint64_t seed)
{
    *b = (struct bench){.dir = scratch_new()};
    file_fault_init(&b->fault);
    tale_init(&b->tale, seed, 400);
}

static void bench_open(struct bench *b, enum journal_sync sync)
{
    struct tale fresh;
    tale_init(&fresh, b->tale.seed, b->tale.length_max);
    if (tale_open(&fresh, options_for(b, sync), &b->error, &b->j) < 0) b->j = NULL;
    tale_fini(&fresh);
}

static void bench_fini(struct bench *b)
{
    journal_close(b->j);
    file_fault_fini(&b->fault);
    tale_fini(&b->tale);
    scratch_remove(b->dir);
}

/* Opens the directory with the real layer: the position that comes back, -1 when refused. */
static int64_t recover_in(const char *dir, const struct tale *like, const struct file_layer *files,
                          struct journal_error *e)
{
    struct tale t;
    struct journal *j = NULL;
    struct journal_options o = {.dir = dir, .segment_bytes = SEGMENT, .files = files};
    tale_init(&t, like->seed, like->length_max);
    int64_t position = tale_open(&t, o, e, &j) < 0 ? -1 : (int64_t)t.position;
    if (t.wrong) fail_msg("what was replayed is not what was appended");
    if (position > (int64_t)like->position) fail_msg("more was replayed than was appended");
    journal_close(j);
    tale_fini(&t);
    return position;
}

/* --- A call fails --- */

/* Appends until it fails; returns what was covered at the last moment. */
static uint64_t work(struct bench *b, int turns)
{
    uint64_t covered = 0;
    for (int i = 0; i < turns && journal_failure(b->j) == NULL; i++) {
        if (journal_admit(b->j, 5 * 404, false) < 0) {
            assert_true(strlen(journal_refusal(b->j)) > 0);
            continue;
        }
        tale_append(&b->tale, b->j, 1 + i % 5);
        if (i % 3 > 0) journal_flush(b->j);
        else journal_wait(b->j, journal_head(b->j));
        covered = journal_covered(b->j);
    }
    return covered;
}

static void check_failure(struct bench *b)
{
    if (journal_failure(b->j) == NULL) return;
    assert_non_null(strstr(journal_failure(b->j), b->dir));
    /* It stays as it is: nothing more is acknowledged, nothing tried again. */
    uint64_t covered = journal_covered(b->j);
    tale_append(&b->tale, b->j, 1);
    assert_int_equal(journal_wait(b->j, journal_head(b->j)), -EIO);
    assert_int_equal(journal_covered(b->j), covered);
    struct pollfd p = {.fd = journal_wake_fd(b->j), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 1);
}

/* One run with one rule; false when the rule's call was never reached. */
static bool run_with_failure(enum fault_call call, struct fault_rule rule, enum journal_sync sync,
                             bool second_start)
{
    struct bench b;
    uint64_t covered = 0;
    bench_init(&b, 21);
    if (second_start) {
        bench_open(&b, sync);
        covered = work(&b, 40);
        journal_close(b.j);
        covered = b.tale.position; /* a clean stop covers all */
    }
    file_fault_set(&b.fault, call, rule);
    bench_open(&b, sync);
    if (b.j == NULL) {
        assert_true(b.error.code < 0 && strlen(b.error.text) > 10);
    } else {
        uint64_t now = work(&b, 40);
        if (now > covered) covered = now;
        check_failure(&b);
        now = journal_covered(b.j);
        if (now > covered) covered = now;
    }
    journal_close(b.j);
    b.j = NULL;
    bool reached = b.fault.calls[call] >= rule.nth;
    file_fault_clear(&b.fault);

    struct journal_error e = {0};
    int64_t back = recover_in(b.dir, &b.tale, &b.fault.layer, &e);
    if (back < 0) fail_msg("call %d, number %d: %s", (int)call, (int)rule.nth, e.text);
    assert_true(back >= (int64_t)covered);
    bench_fini(&b);
    return reached;
}

static void test_each_call_fails(void **state)
{
    static const int errors[] = {-EIO, -ENOSPC};
    for (int call = 0; call < FAULT_CALLS; call++) {
        for (int i = 0; i < 8; i++) {
            struct fault_rule rule = {.nth = 1, .error = errors[i % 2]};
            rule.onwards = i / 2 % 2 == 1;
            enum journal_sync sync = i / 4 == 1 ? JOURNAL_SYNC_NO : JOURNAL_SYNC_ALWAYS;
            uint64_t step = 1;
            while (run_with_failure(call, rule, sync, i % 3 == 1) && rule.nth < 200) {
                rule.nth += step;
                if (rule.nth > 12) step += 3;
            }
        }
    }
}

/* Though the bytes may well be in the file: nobody knows, so nothing counts any more. */
static void test_failed_batch_is_final(void **state)
{
    static const enum fault_call kinds[] = {FAULT_WRITE, FAULT_SYNC};
    for (int i = 0; i < 4; i++) {
        struct bench b;
        bench_init(&b, 29);
        enum journal_sync sync = i < 2 ? JOURNAL_SYNC_ALWAYS : JOURNAL_SYNC_NO;
        bench_open(&b, sync);
        tale_append(&b.tale, b.j, 1);
        assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
        uint64_t synced = journal_synced(b.j);
        file_fault_set(&b.fault, kinds[i % 2], (struct fault_rule){1, .error = -EIO}); /* once */
        tale_append(&b.tale, b.j, 1);
        journal_flush(b.j);
        journal_want_sync(b.j, journal_head(b.j));
        for (int tries = 0; tries < 500 && journal_failure(b.j) == NULL; tries++) usleep(10000);
        assert_non_null(journal_failure(b.j));
        assert_int_equal(b.fault.calls[kinds[i % 2]], 1);
        check_failure(&b);
        assert_int_equal(b.fault.calls[kinds[i % 2]], 1);
        assert_true(journal_synced(b.j) == synced || sync == JOURNAL_SYNC_NO);
        bench_fini(&b);
    }
}

static void short_writes_and_reads(bool no_direct)
{
    struct bench b;
    bench_init(&b, 22);
    b.fault.no_direct = no_direct;
    file_fault_set(&b.fault, FAULT_WRITE, (struct fault_rule){1, .onwards = true, .shorten = true});
    file_fault_set(&b.fault, FAULT_READ, (struct fault_rule){1, .onwards = true, .shorten = true});
    bench_open(&b, JOURNAL_SYNC_ALWAYS);
    work(&b, 60);
    assert_null(journal_failure(b.j));
    journal_close(b.j);
    b.j = NULL;
    struct journal_error e;
    assert_int_equal(recover_in(b.dir, &b.tale, &b.fault.layer, &e), b.tale.position);
    bench_fini(&b);
}

static void test_short_writes_and_reads(void **state)
{
    short_writes_and_reads(false);
    short_writes_and_reads(true);
}

/* --- The disk is slow --- */

static void test_slow_sync(void **state)
{
    struct bench b;
    struct journal_stats stats;
    bench_init(&b, 23);
    bench_open(&b, JOURNAL_SYNC_ALWAYS);
    tale_append(&b.tale, b.j, 1);
    assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
    struct journal_stats before;
    journal_stats(b.j, &before);

    file_fault_set(&b.fault, FAULT_SYNC,
                   (struct fault_rule){1, .onwards = true, .delay_us = 300000});
    tale_append(&b.tale, b.j, 1);
    journal_flush(b.j);
    uint64_t first = journal_head(b.j);
    for (int i = 0; i < 50; i++) { /* the loop goes on meanwhile */
        tale_append(&b.tale, b.j, 1);
        journal_flush(b.j);
        usleep(100);
    }
    assert_true(journal_covered(b.j) < first);
    assert_int_equal(journal_wait(b.j, first), 0);
    assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
    journal_stats(b.j, &stats);
    assert_true(stats.batches - before.batches <= 4); /* what gathered is one batch */
    assert_true(stats.sync_us_max >= 300000);
    file_fault_clear(&b.fault);
    bench_fini(&b);
}

/* What was written while a sync was under way is not what it synced. */
static void test_written_during_sync(void **state)
{
    struct bench b;
    bench_init(&b, 28);
    b.fault.no_direct = true; /* there the write is the sync */
    bench_open(&b, JOURNAL_SYNC_ALWAYS);
    file_fault_set(&b.fault, FAULT_SYNC,
                   (struct fault_rule){1, .onwards = true, .delay_us = 200000});
    tale_append(&b.tale, b.j, 1);
    journal_flush(b.j);
    uint64_t first = journal_head(b.j);
    usleep(50000);
    assert_int_equal(journal_covered(b.j), 0);
    journal_set_sync(b.j, JOURNAL_SYNC_NO);
    assert_int_equal(journal_covered(b.j), first);
    tale_append(&b.tale, b.j, 1);
    journal_flush(b.j);
    assert_int_equal(journal_covered(b.j), journal_head(b.j));
    for (int i = 0; i < 200 && journal_synced(b.j) < first; i++) usleep(10000);
    assert_int_equal(journal_synced(b.j), first);
    bench_fini(&b);
}

static void test_full_of_unsynced(void **state)
{
    struct bench b;
    bench_init(&b, 24);
    struct journal_options o = options_for(&b, JOURNAL_SYNC_ALWAYS);
    o.unsynced_bytes_max = 10000;
    o.segment_bytes = 1 << 20;
    struct tale fresh;
    tale_init(&fresh, 24, 400);
    assert_int_equal(tale_open(&fresh, o, &b.error, &b.j), 0);
    tale_fini(&fresh);
    file_fault_set(&b.fault, FAULT_SYNC,
                   (struct fault_rule){1, .onwards = true, .delay_us = 100000});
    assert_false(journal_is_full(b.j));
    while (b.tale.position <= 10000) tale_append(&b.tale, b.j, 1);
    journal_flush(b.j);
    assert_true(journal_is_full(b.j));
    assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
    assert_false(journal_is_full(b.j));
    bench_fini(&b);
}

/* Under the other policies as well: the sync that frees the writers begins at half of it, does not
 * wait for its second, and wakes the loop. */
static void test_full_of_unsynced_whatever_the_policy(void **state)
{
    for (int sync = JOURNAL_SYNC_EVERYSEC; sync <= JOURNAL_SYNC_NO; sync++) {
        struct bench b;
        struct tale fresh;
        uint64_t wakes;
        bench_init(&b, 29);
        struct journal_options o = options_for(&b, (enum journal_sync)sync);
        o.unsynced_bytes_max = 10000;
        o.segment_bytes = 1 << 20;
        tale_init(&fresh, 29, 400);
        assert_int_equal(tale_open(&fresh, o, &b.error, &b.j), 0);
        tale_fini(&fresh);
        file_fault_set(&b.fault, FAULT_SYNC,
                       (struct fault_rule){1, .onwards = true, .delay_us = 100000});
        while (b.tale.position <= 10000) {
            tale_append(&b.tale, b.j, 1);
            journal_flush(b.j);
            assert_int_equal(journal_covered(b.j), journal_head(b.j));
        }
        ssize_t ignored = read(journal_wake_fd(b.j), &wakes, sizeof(wakes));
        (void)ignored;
        assert_true(journal_is_full(b.j));
        struct pollfd p = {.fd = journal_wake_fd(b.j), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 700), 1);
        for (int i = 0; i < 70 && journal_is_full(b.j); i++) usleep(10000);
        assert_false(journal_is_full(b.j));
        file_fault_clear(&b.fault);
        bench_fini(&b);
    }
}

/* --- The disk is full --- */

/* Appends turns of some 2 KB until one is refused with nothing waiting (what waits is reckoned at
 * its worst); returns how many were accepted. */
static int fill(struct bench *b, bool shrinking)
{
    int turns = 0;
    for (int refused = 0; refused < 2 && turns < 10000;) {
        if (journal_admit(b->j, 2020, shrinking) < 0) {
            assert_int_equal(journal_wait(b->j, journal_head(b->j)), 0);
            refused++;
            continue;
        }
        tale_append(&b->tale, b->j, 5);
        journal_flush(b->j);
        refused = 0;
        turns++;
    }
    return turns;
}

static void test_disk_full(void **state)
{
    for (int policy = 0; policy < 3; policy++) {
        struct bench b;
        struct journal_error e;
        bench_init(&b, 25);
        file_fault_give_space(&b.fault, 5 * SEGMENT);
        bench_open(&b, (enum journal_sync)policy);
        assert_non_null(b.j);
        assert_true(fill(&b, false) > 5);
        assert_int_equal(journal_admit(b.j, 2020, false), -ENOSPC);
        assert_non_null(strstr(journal_refusal(b.j), "the disk is full"));
        assert_non_null(strstr(journal_refusal(b.j), b.dir));
        assert_true(fill(&b, true) > 0); /* the reserve is for these */
        assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
        assert_null(journal_failure(b.j)); /* all that was admitted found its place */

        file_fault_give_space(&b.fault, 3 * SEGMENT);
        int turns = 0; /* writing resumes by itself */
        for (int tries = 0; tries < 200 && turns <= 5; tries++) {
            usleep(10000);
            turns += fill(&b, false);
        }
        assert_true(turns > 5);
        assert_int_equal(journal_wait(b.j, journal_head(b.j)), 0);
        assert_null(journal_failure(b.j));
        journal_close(b.j);
        b.j = NULL;
        assert_int_equal(recover_in(b.dir, &b.tale, &b.fault.layer, &e), b.tale.position);
        bench_fini(&b);
    }
}

/* One change too large for the disk does not keep the others from being written. */
static void test_too_large_for_the_disk(void **state)
{
    struct bench b;
    bench_init(&b, 26);
    file_fault_give_space(&b.fault, 20 * SEGMENT);
    bench_open(&b, JOURNAL_SYNC_ALWAYS);
    assert_int_equal(journal_admit(b.j, 100 * SEGMENT, false), -ENOSPC);
    assert_int_equal(journal_admit(b.j, 2020, false), 0);
    assert_int_equal(journal_admit(b.j, (size_t)3 << 30, false), -E2BIG);
    assert_true(strlen(journal_refusal(b.j)) > 0);
    assert_int_equal(journal_admit(b.j, 5 * SEGMENT, false), 0);
    bench_fini(&b);
}

static void test_read_only_directory(void **state)
{
    struct bench b;
    bench_init(&b, 27);
    file_fault_set(&b.fault, FAULT_OPEN, (struct fault_rule){1, .onwards = true, .error = -EROFS});
    bench_open(&b, JOURNAL_SYNC_ALWAYS);
    assert_null(b.j);
    assert_int_equal(b.error.code, -EROFS);
    assert_non_null(strstr(b.error.text, b.dir));
    bench_fini(&b);
}

/* --- Power failure --- */

/* Records some turns and a note of what was promised after each. */
static void record_life(struct bench *b, enum journal_sync sync, int turns)
{
    file_fault_record(&b->fault, b->dir, true);
    bench_open(b, sync);
    must(b->j != NULL);
    for (int i = 0; i < turns; i++) {
        tale_append(&b->tale, b->j, 1 + i % 7 * 2);
        journal_flush(b->j);
        must(b->turns < 64);
        b->turn_ends[b->turns++] = b->tale.position;
        if (i % 3 == 0) must(journal_wait(b->j, journal_head(b->j)) == 0);
        /* Under the other policies only what is synced is promised. */
        uint64_t promised = journal_covered(b->j);
        if (sync != JOURNAL_SYNC_ALWAYS) promised = journal_synced(b->j);
        file_fault_note(&b->fault, promised);
        if (i % 16 == 15) usleep(120000); /* time for a marker */
    }
    journal_close(b->j);
    b->j = NULL;
    file_fault_note(&b->fault, b->tale.position);
}

static bool is_turn_end(const struct bench *b, uint64_t position)
{
    for (int i = 0; i < b->turns; i++) {
        if (b->turn_ends[i] == position) return true;
    }
    return position == 0;
}

static void check_crash(struct bench *b, size_t ops, enum fault_loss loss, uint64_t seed,
                        const char *into)
{
    struct journal_error e;
    scratch_clear(into);
    int64_t promised = (int64_t)file_fault_crash(&b->fault, ops, loss, seed, into);
    const char *damage = damage_in(into, NULL);
    if (damage != NULL) fail_msg("ops %zu, loss %d, seed %zu: %s", ops, loss, (size_t)seed, damage);
    int64_t back = recover_in(into, &b->tale, NULL, &e);
    if (back < 0) fail_msg("ops %zu, loss %d, seed %zu: %s", ops, (int)loss, (size_t)seed, e.text);
    if (back < promised)
        fail_msg("ops %zu, loss %d, seed %zu: %zd came back of %zd promised", ops, (int)loss,
                 (size_t)seed, (ssize_t)back, (ssize_t)promised);
    assert_true(is_turn_end(b, (uint64_t)back)); /* a turn comes back whole or not at all */
}

static void test_power_loss(void **state)
{
    char *into = scratch_new();
    for (int way = 0; way < 4; way++) { /* the three policies, and `always` by the page cache */
        struct bench b;
        bench_init(&b, 30 + (uint64_t)way);
        b.fault.no_direct = way == 3;
        record_life(&b, (enum journal_sync)(way % 3), 34);
        uint64_t seed = 1;
        for (size_t ops = b.fault.base_ops; ops <= b.fault.op_count; ops++) {
            for (int loss = 0; loss < LOSS_KINDS; loss++) {
                check_crash(&b, ops, (enum fault_loss)loss, seed++, into);
                if (loss >= LOSS_TAIL) check_crash(&b, ops, (enum fault_loss)loss, seed++, into);
            }
        }
        bench_fini(&b);
    }
    scratch_remove(into);
}

/* Power fails once more while the journal recovers from the first time. */
static void test_power_loss_in_recovery(void **state)
{
    char *first = scratch_new(), *second = scratch_new();
    struct bench b;
    bench_init(&b, 40);
    record_life(&b, JOURNAL_SYNC_EVERYSEC, 30);
    for (size_t i = 1; i <= 12; i++) {
        struct file_fault again;
        struct journal_error e;
        size_t ops = b.fault.base_ops + (b.fault.op_count - b.fault.base_ops) * i / 13;
        scratch_clear(first);
        int64_t promised = (int64_t)file_fault_crash(&b.fault, ops, LOSS_WRITES, i, first);
        file_fault_init(&again);
        file_fault_record(&again, first, true);
        assert_true(recover_in(first, &b.tale, &again.layer, &e) >= promised);
        for (size_t at = again.base_ops; at <= again.op_count; at++) {
            scratch_clear(second);
            file_fault_crash(&again, at, i % 2 == 0 ? LOSS_SECTORS : LOSS_TAIL, at, second);
            int64_t back = recover_in(second, &b.tale, NULL, &e);
            if (back < 0) fail_msg("crash %zu, then %zu: %s", ops, at, e.text);
            assert_true(back >= promised);
        }
        file_fault_fini(&again);
    }
    bench_fini(&b);
    scratch_remove(first);
    scratch_remove(second);
}

/* The server is killed, started again, and then power fails: what the start showed must hold,
 * though nobody had synced it before. */
static void test_power_loss_after_restart(void **state)
{
    char *dir = scratch_new(), *into = scratch_new();
    struct bench b;
    struct journal_error e;
    bench_init(&b, 41);
    record_life(&b, JOURNAL_SYNC_NO, 30);
    for (size_t i = 1; i <= 6; i++) {
        struct file_fault again;
        struct journal *j;
        struct tale t;
        size_t ops = b.fault.base_ops + (b.fault.op_count - b.fault.base_ops) * i / 7;
        scratch_clear(dir);
        file_fault_crash(&b.fault, ops, LOSS_NONE, i, dir);
        file_fault_init(&again);
        file_fault_record(&again, dir, false);
        struct journal_options o = {.dir = dir, .segment_bytes = SEGMENT, .files = &again.layer};
        tale_init(&t, b.tale.seed, b.tale.length_max);
        assert_int_equal(tale_open(&t, o, &e, &j), 0);
        size_t opened = file_fault_note(&again, t.position);
        journal_close(j);
        for (size_t at = opened; at <= again.op_count; at++) {
            scratch_clear(into);
            assert_int_equal(file_fault_crash(&again, at, LOSS_ALL, at, into), t.position);
            assert_int_equal(recover_in(into, &b.tale, NULL, &e), t.position);
        }
        tale_fini(&t);
        file_fault_fini(&again);
    }
    bench_fini(&b);
    scratch_remove(dir);
    scratch_remove(into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_failed_batch_is_final),
        cmocka_unit_test(test_short_writes_and_reads),
        cmocka_unit_test(test_slow_sync),
        cmocka_unit_test(test_written_during_sync),
        cmocka_unit_test(test_full_of_unsynced),
        cmocka_unit_test(test_full_of_unsynced_whatever_the_policy),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_too_large_for_the_disk),
        cmocka_unit_test(test_read_only_directory),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_power_loss_in_recovery),
        cmocka_unit_test(test_power_loss_after_restart),
    };
    return cmocka_run_group_tests_name("log/fault", tests, NULL, NULL);
}
