#include "log/journal.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "log/format.h"
#include "log/journal_testing.h"

static const enum journal_sync policies[] = {JOURNAL_SYNC_ALWAYS, JOURNAL_SYNC_EVERYSEC,
                                             JOURNAL_SYNC_NO};

static struct journal *open_or_fail(struct tale *t, struct journal_options o)
{
    struct journal *j = NULL;
    struct journal_error e = {0};
    if (tale_open(t, o, &e, &j) < 0) fail_msg("%s", e.text);
    assert_false(t->wrong);
    return j;
}

/* Append, close, open, append more, under each policy. */
static void test_reopen(void **state)
{
    for (int p = 0; p < 3; p++) {
        char *dir = scratch_new();
        struct journal_options o = {.dir = dir, .sync = policies[p], .segment_bytes = 64 << 10};
        uint64_t told = 0;
        for (int round = 0; round < 4; round++) {
            struct tale t;
            tale_init(&t, 7, 200);
            struct journal *j = open_or_fail(&t, o);
            assert_int_equal(t.told, told);
            assert_int_equal(t.torn, 0);
            for (int i = 0; i < 300; i++) {
                tale_append(&t, j, i % 5);
                journal_flush(j);
            }
            if (round % 2 == 0) tale_append(&t, j, 1); /* left to journal_close() to flush */
            told = t.told;
            if (round % 2 == 1) assert_int_equal(journal_wait(j, journal_head(j)), 0);
            journal_close(j);
            tale_fini(&t);
        }
        scratch_remove(dir);
    }
}

static void test_many_segments(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 16 << 10};
    struct journal_stats stats;
    struct tale t;
    tale_init(&t, 1, 1000);
    struct journal *j = open_or_fail(&t, o);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(journal_admit(j, 4016, false), 0);
        tale_append(&t, j, 4);
        journal_flush(j);
    }
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    journal_stats(j, &stats);
    assert_true(stats.segments > 50);
    assert_int_equal(stats.records, 2000);
    assert_true(stats.bytes >= journal_head(j));
    journal_close(j);
    assert_int_equal(tale_count(&t, o, &(struct journal_error){0}, NULL), 2000);
    tale_fini(&t);
    scratch_remove(dir);
}

/* Turns larger than a segment, between small ones, with and without admission. */
static void test_large_units(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 32 << 10};
    struct tale t;
    tale_init(&t, 2, 60000);
    for (int p = 0; p < 3; p++) {
        o.sync = policies[p];
        struct tale again;
        tale_init(&again, t.seed, t.length_max);
        struct journal *j = open_or_fail(&again, o);
        assert_int_equal(again.told, t.told);
        for (int i = 0; i < 20; i++) {
            if (i % 2 == 0) assert_int_equal(journal_admit(j, 8 * 60004, i % 4 == 0), 0);
            tale_append(&t, j, 1 + i % 8);
            journal_flush(j);
        }
        assert_int_equal(journal_wait(j, journal_head(j)), 0);
        journal_close(j);
        tale_fini(&again);
    }
    assert_int_equal(tale_count(&t, o, &(struct journal_error){0}, NULL), t.told);
    tale_fini(&t);
    scratch_remove(dir);
}

/* The child appends and tells how far it is covered, until it is killed. */
static void live_until_killed(struct journal_options o, int tell_fd)
{
    struct tale t, fresh;
    struct journal *j;
    struct journal_error e;
    tale_init(&t, 12, 300);
    tale_init(&fresh, 12, 300);
    if (tale_open(&fresh, o, &e, &j) < 0) _exit(1);
    for (;;) {
        tale_append(&t, j, 1 + t.told % 9);
        journal_flush(j);
        uint64_t covered = journal_covered(j);
        if (write(tell_fd, &covered, sizeof(covered)) != sizeof(covered)) _exit(1);
    }
}

/* kill -9 loses nothing that was covered, whatever the policy. */
static void test_killed(void **state)
{
    for (int round = 0; round < 9; round++) {
        char *dir = scratch_new();
        struct journal_options o = {
            .dir = dir, .sync = policies[round % 3], .segment_bytes = 256 << 10};
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) live_until_killed(o, fds[1]);
        close(fds[1]);
        uint64_t covered = 0, next;
        for (int i = 0; i < 100 + round * 150 || covered == 0; i++) { /* a first sync may be slow */
            assert_int_equal(read(fds[0], &next, sizeof(next)), sizeof(next));
            covered = next;
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(fds[0], &next, sizeof(next)) == sizeof(next)) covered = next;
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(fds[0]);

        struct tale t;
        tale_init(&t, 12, 300);
        struct journal *j = open_or_fail(&t, o);
        assert_true(t.position >= covered && covered > 0);
        journal_close(j);
        tale_fini(&t);
        scratch_remove(dir);
    }
}

static void test_wake_and_covered(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 64 << 10};
    struct tale t;
    tale_init(&t, 3, 100);
    struct journal *j = open_or_fail(&t, o);
    struct pollfd p = {.fd = journal_wake_fd(j), .events = POLLIN};
    for (int i = 0; i < 50; i++) {
        tale_append(&t, j, 3);
        assert_true(journal_covered(j) < journal_head(j));
        journal_flush(j);
        while (journal_covered(j) < journal_head(j)) {
            assert_int_equal(poll(&p, 1, 10000), 1);
            uint64_t n;
            assert_int_equal(read(p.fd, &n, sizeof(n)), sizeof(n));
        }
        assert_int_equal(journal_synced(j), journal_head(j));
    }

    /* Without a sync to wait for, covered is up to date when flush returns. */
    journal_set_sync(j, JOURNAL_SYNC_NO);
    tale_append(&t, j, 3);
    journal_flush(j);
    assert_int_equal(journal_covered(j), journal_head(j));
    assert_true(journal_synced(j) < journal_head(j));

    /* Going back, what comes next waits for everything before it. */
    journal_set_sync(j, JOURNAL_SYNC_ALWAYS);
    tale_append(&t, j, 3);
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    assert_int_equal(journal_synced(j), journal_head(j));
    journal_close(j);
    tale_fini(&t);
    scratch_remove(dir);
}

static void test_everysec_syncs(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {
        .dir = dir, .segment_bytes = 64 << 10, .sync = JOURNAL_SYNC_EVERYSEC};
    struct tale t;
    tale_init(&t, 4, 100);
    struct journal *j = open_or_fail(&t, o);
    tale_append(&t, j, 3);
    journal_flush(j);
    assert_true(journal_synced(j) < journal_head(j));
    for (int i = 0; i < 300 && journal_synced(j) < journal_head(j); i++) usleep(10000);
    assert_int_equal(journal_synced(j), journal_head(j));
    journal_close(j);
    tale_fini(&t);
    scratch_remove(dir);
}

/* Written while a full segment is synced: the sync that follows covers it, and nobody has to write
 * once more for it to count as synced. */
static void test_written_beside_a_sync(void **state)
{
    char *dir = scratch_new();
    struct file_fault faults;
    file_fault_init(&faults);
    struct journal_options o = {
        .dir = dir, .segment_bytes = 16 << 10, .sync = JOURNAL_SYNC_NO, .files = &faults.layer};
    struct journal_stats stats;
    struct tale t;
    tale_init(&t, 10, 1000);
    struct journal *j = open_or_fail(&t, o);
    file_fault_set(&faults, FAULT_SYNC,
                   (struct fault_rule){.nth = 1, .onwards = true, .delay_us = 30000});
    do {
        assert_int_equal(journal_admit(j, 2000, false), 0);
        tale_append(&t, j, 1);
        journal_flush(j);
        journal_stats(j, &stats);
    } while (stats.segments == 1);
    usleep(10000); /* the full segment is being synced */
    tale_append(&t, j, 1);
    journal_flush(j);
    journal_want_sync(j, journal_head(j));
    for (int i = 0; i < 300 && journal_synced(j) < journal_head(j); i++) usleep(10000);
    assert_int_equal(journal_synced(j), journal_head(j));
    file_fault_clear(&faults);
    journal_close(j);
    file_fault_fini(&faults);
    tale_fini(&t);
    scratch_remove(dir);
}

/* A marker follows when nothing is appended for a while, once, and only then. */
static void test_idle_marker(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 64 << 10};
    struct journal_stats stats;
    struct tale t;
    tale_init(&t, 5, 100);
    struct journal *j = open_or_fail(&t, o);
    tale_append(&t, j, 1);
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    for (int i = 0; i < 100; i++) {
        usleep(20000);
        journal_stats(j, &stats);
        if (stats.batches == 2 && i > 20) break;
    }
    assert_int_equal(stats.batches, 2);
    journal_close(j); /* marked already */

    struct buf file = file_load(dir, "journal-000000000001.log");
    struct batch_header b;
    const char *at = file.data + SEGMENT_HEADER;
    assert_true(batch_header_decode(at, 60000, &b) && batch_is_whole(at, &b));
    assert_int_equal(b.records, 1);
    at += batch_size(b.length);
    assert_true(batch_header_decode(at, 60000, &b) && batch_is_whole(at, &b));
    assert_int_equal(b.records, 0);
    assert_int_equal(b.durable_upto, t.position);
    assert_true(bytes_are_zero(at + BATCH_HEADER, 1000));
    buf_fini(&file);
    tale_fini(&t);
    scratch_remove(dir);
}

static void test_one_server_per_directory(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 64 << 10};
    struct journal_error e = {0};
    struct tale t;
    tale_init(&t, 6, 100);
    struct journal *j = open_or_fail(&t, o);
    char pid[40];
    snprintf(pid, sizeof(pid), "process %d", (int)getpid());

    assert_int_equal(tale_count(&t, o, &e, NULL), -1);
    assert_int_equal(e.code, -EBUSY);
    assert_non_null(strstr(e.text, pid));
    journal_close(j);
    assert_int_equal(tale_count(&t, o, &e, NULL), 0);
    tale_fini(&t);
    scratch_remove(dir);
}

static void test_directory_is_made(void **state)
{
    char *dir = scratch_new();
    char sub[256], subsub[300];
    snprintf(sub, sizeof(sub), "%s/a", dir);
    snprintf(subsub, sizeof(subsub), "%s/b/", sub);
    struct tale t;
    tale_init(&t, 8, 100);
    struct journal_error e;
    struct journal_options o = {.dir = subsub, .segment_bytes = 64 << 10};
    assert_int_equal(tale_count(&t, o, &e, NULL), 0);
    o.dir = "/proc/leat";
    assert_int_equal(tale_count(&t, o, &e, NULL), -1);
    assert_non_null(strstr(e.text, "/proc/leat"));
    scratch_clear(subsub);
    rmdir(subsub);
    rmdir(sub);
    tale_fini(&t);
    scratch_remove(dir);
}

struct synced_dirs {
    struct file_layer layer;
    char names[8][200];
    int count;
};

static int note_sync_dir(void *ctx, const char *dir)
{
    struct synced_dirs *s = ctx;
    snprintf(s->names[s->count++], sizeof s->names[0], "%s", dir);
    return 0;
}

/* A directory whose name a loss of power takes away has lost all that was acknowledged in it. */
static void test_new_directories_are_synced(void **state)
{
    char *dir = scratch_new(), first[200], second[200], third[220];
    struct synced_dirs s = {.layer = file_layer_real};
    s.layer.ctx = &s;
    s.layer.sync_dir = note_sync_dir;
    snprintf(first, sizeof first, "%s/a", dir);
    snprintf(second, sizeof second, "%s/a/b", dir);
    snprintf(third, sizeof third, "%s/a/b//c/", dir);
    assert_int_equal(file_make_dir(&s.layer, third, 0700), 0);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.names[0], dir);
    assert_string_equal(s.names[1], first);
    assert_string_equal(s.names[2], second);
    assert_int_equal(file_make_dir(&s.layer, third, 0700), 0); /* it is there */
    must(rmdir(third) == 0 && rmdir(second) == 0 && rmdir(first) == 0);
    scratch_remove(dir);
}

static void test_empty_flush_does_nothing(void **state)
{
    char *dir = scratch_new();
    struct journal_options o = {.dir = dir, .segment_bytes = 64 << 10, .sync = JOURNAL_SYNC_NO};
    struct journal_stats stats;
    struct tale t;
    tale_init(&t, 9, 100);
    struct journal *j = open_or_fail(&t, o);
    for (int i = 0; i < 1000; i++) journal_flush(j);
    journal_stats(j, &stats);
    assert_int_equal(stats.batches, 0);
    assert_false(stats.pending_sync);
    assert_int_equal(journal_wait(j, 0), 0);
    journal_close(j);
    tale_fini(&t);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_large_units),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_wake_and_covered),
        cmocka_unit_test(test_everysec_syncs),
        cmocka_unit_test(test_written_beside_a_sync),
        cmocka_unit_test(test_idle_marker),
        cmocka_unit_test(test_one_server_per_directory),
        cmocka_unit_test(test_directory_is_made),
        cmocka_unit_test(test_new_directories_are_synced),
        cmocka_unit_test(test_empty_flush_does_nothing),
    };
    return cmocka_run_group_tests_name("log/journal", tests, NULL, NULL);
}
