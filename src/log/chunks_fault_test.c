/* The chunk store over a disk that fills up, fails and forgets; its descriptors; its threads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/chunks_testing.h"

/* ---- Failures ---- */

static void test_disk_full(void **state)
{
    enum { JOBS = 40 };
    struct chunk_bench b;
    struct chunk_work *all[JOBS];
    uint64_t bytes = 0;
    chunk_bench_init(&b);
    struct chunk_ref before = chunk_put(&b, 99);
    file_fault_set(&b.fault, FAULT_WRITE,
                   (struct fault_rule){.nth = 1, .onwards = true, .error = -ENOSPC});
    for (uint64_t i = 0; i < JOBS; i++) {
        all[i] = chunk_write_job(i);
        bytes += chunk_length(i);
        chunks_start(b.c, &all[i]->job);
    }
    for (int i = 0; i < 10000 && chunks_write_error(b.c) == 0; i++) chunk_nap();
    assert_int_equal(chunks_write_error(b.c), -ENOSPC);
    assert_int_equal(chunks_backlog(b.c), bytes);
    assert_null(chunks_done(b.c));
    chunk_check(&b, &before, 99); /* reading goes on */
    /* It ends; the first write after it is short, too. */
    file_fault_clear(&b.fault);
    file_fault_set(&b.fault, FAULT_WRITE, (struct fault_rule){.nth = 1, .shorten = true});
    uint64_t last_file = 0, last_offset = 0;
    for (uint64_t i = 0; i < JOBS; i++) {
        struct chunk_work *w = chunk_await(&b);
        assert_ptr_equal(w, all[i]); /* in their order */
        assert_int_equal(w->job.result, 0);
        assert_true(w->job.ref.file > last_file || w->job.ref.offset > last_offset);
        last_file = w->job.ref.file;
        last_offset = w->job.ref.offset;
    }
    for (uint64_t i = 0; i < JOBS; i++) {
        chunk_check(&b, &all[i]->job.ref, i);
        mem_free(all[i]);
    }
    assert_int_equal(chunks_write_error(b.c), 0);
    assert_int_equal(chunks_backlog(b.c), 0);
    chunk_bench_fini(&b);
}

/* A new file that cannot be made, and then can. */
static void test_open_fails(void **state)
{
    struct chunk_bench b;
    chunk_bench_init(&b);
    file_fault_set(&b.fault, FAULT_OPEN, (struct fault_rule){.nth = 1, .error = -EMFILE});
    struct chunk_work *w = chunk_write_job(3);
    chunks_start(b.c, &w->job);
    for (int i = 0; i < 10000 && chunks_write_error(b.c) == 0; i++) chunk_nap();
    assert_int_equal(chunks_write_error(b.c), -EMFILE);
    assert_ptr_equal(chunk_await(&b), w);
    assert_int_equal(w->job.result, 0);
    chunk_check(&b, &w->job.ref, 3);
    mem_free(w);
    chunk_bench_fini(&b);
}

static void test_read_fails(void **state)
{
    struct chunk_bench b;
    char into[CHUNK_TEST_MAX], text[300];
    chunk_bench_init(&b);
    struct chunk_ref ref = chunk_put(&b, 4);
    file_fault_set(&b.fault, FAULT_READ,
                   (struct fault_rule){.nth = 1, .onwards = true, .error = -EIO});
    assert_int_equal(chunk_get(&b, &ref, into), -EIO);
    chunks_describe(b.c, &ref, -EIO, text, sizeof text);
    assert_non_null(strstr(text, "chunks-000000000001.dat"));
    assert_non_null(strstr(text, "4096"));
    assert_non_null(strstr(text, "Input/output error"));
    file_fault_set(&b.fault, FAULT_READ,
                   (struct fault_rule){.nth = 1, .onwards = true, .shorten = true});
    chunk_check(&b, &ref, 4);
    chunk_bench_fini(&b);
}

static void test_sync(void **state)
{
    struct chunk_bench b;
    chunk_bench_init(&b);
    assert_int_equal(chunks_sync(b.c), 0);
    chunk_put(&b, 1);
    uint64_t before = b.fault.calls[FAULT_SYNC];
    assert_int_equal(chunks_sync(b.c), 0);
    assert_int_equal(b.fault.calls[FAULT_SYNC], before + 1);
    assert_int_equal(chunks_sync(b.c), 0); /* nothing is new */
    assert_int_equal(b.fault.calls[FAULT_SYNC], before + 1);
    chunk_put(&b, 2);
    file_fault_set(&b.fault, FAULT_SYNC, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(chunks_sync(b.c), -EIO);
    assert_int_equal(chunks_sync(b.c), -EIO); /* though the disk would say yes now */
    chunk_bench_reopen(&b);
    chunk_put(&b, 3);
    file_fault_set(&b.fault, FAULT_SYNC_DIR, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(chunks_sync(b.c), -EIO);
    assert_int_equal(chunks_sync(b.c), -EIO);
    chunk_bench_fini(&b);
}

/* Power fails after a sync: what was synced is there, whatever became of the rest. */
static void test_power_loss(void **state)
{
    enum { SYNCED = 20, MORE = 15 };
    struct chunk_bench b;
    struct chunk_ref refs[SYNCED + MORE];
    chunk_bench_init(&b);
    file_fault_record(&b.fault, b.dir, true);
    for (uint64_t i = 0; i < SYNCED; i++) refs[i] = chunk_put(&b, i);
    assert_int_equal(chunks_sync(b.c), 0);
    for (uint64_t i = SYNCED; i < SYNCED + MORE; i++) refs[i] = chunk_put(&b, i);
    size_t ops = file_fault_note(&b.fault, 1);
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int loss = 0; loss < LOSS_KINDS; loss++) {
            char into[CHUNK_TEST_MAX];
            struct chunk_bench after = {.dir = scratch_new()};
            file_fault_init(&after.fault);
            file_fault_crash(&b.fault, ops, (enum fault_loss)loss, seed, after.dir);
            assert_int_equal(chunk_bench_try_open(&after), 0);
            for (uint64_t i = 0; i < SYNCED; i++) {
                assert_true(chunks_has(after.c, &refs[i]));
                chunk_check(&after, &refs[i], i);
            }
            for (uint64_t i = SYNCED; i < SYNCED + MORE; i++) /* right, or known to be wrong */
                if (chunks_has(after.c, &refs[i]) &&
                    chunks_read(after.c, &refs[i], into, true) == 0)
                    chunk_check(&after, &refs[i], i);
            assert_true(chunk_put(&after, 500).file > 0);
            chunk_bench_fini(&after);
        }
    }
    chunk_bench_fini(&b);
}

/* ---- Descriptors ---- */

struct counted {
    struct file_layer layer;
    atomic_int open, most;
};

static int open_counted(void *ctx, const char *path, int flags, mode_t mode)
{
    struct counted *n = ctx;
    int fd = file_layer_real.open(NULL, path, flags, mode);
    if (fd >= 0 && atomic_fetch_add(&n->open, 1) + 1 > atomic_load(&n->most))
        atomic_store(&n->most, atomic_load(&n->open));
    return fd;
}

static void close_counted(void *ctx, int fd)
{
    atomic_fetch_sub(&((struct counted *)ctx)->open, 1);
    file_layer_real.close(NULL, fd);
}

/* However many files there are, few are open: descriptors are there for clients. */
static void test_few_are_open(void **state)
{
    enum { CHUNKS = 500 };
    static struct chunk_ref refs[CHUNKS];
    struct counted n = {.layer = file_layer_real};
    struct chunk_bench b = {.dir = scratch_new()};
    n.layer.ctx = &n;
    n.layer.open = open_counted;
    n.layer.close = close_counted;
    struct chunks_options o = {
        .dir = b.dir, .files = &n.layer, .file_bytes = 8 << 10, .wake_fd = -1};
    for (int start = 0; start < 3; start++) {
        assert_int_equal(chunks_new(&o, &b.c), 0);
        for (uint64_t i = 0; i < CHUNKS && start == 0; i++) {
            refs[i] = chunk_put(&b, i);
            if (i % 10 == 9) assert_int_equal(chunks_sync(b.c), 0);
        }
        assert_true(chunk_stats_of(&b).files > 100);
        for (uint64_t i = 0; i < CHUNKS; i++)
            chunk_check(&b, &refs[i * 7 % CHUNKS], i * 7 % CHUNKS);
        chunk_bench_close(&b);
        assert_int_equal(atomic_load(&n.open), 0);
        assert_in_range(atomic_load(&n.most), 2, 48); /* 32, and those not synced */
    }
    scratch_remove(b.dir);
}

/* ---- Threads ---- */

/* Stopped in the middle: every job comes back, done or cancelled, and what is done is there. */
static void test_stop_in_the_middle(void **state)
{
    enum { JOBS = 120 };
    for (unsigned round = 0; round < 20; round++) {
        struct chunk_bench b;
        struct chunk_work *all[JOBS];
        char into[CHUNK_TEST_MAX];
        unsigned done = 0;
        chunk_bench_init(&b);
        struct chunk_ref there = chunk_put(&b, 1);
        if (round % 2 == 0)
            file_fault_set(&b.fault, FAULT_WRITE,
                           (struct fault_rule){.nth = 2, .onwards = true, .error = -ENOSPC});
        for (uint64_t i = 0; i < JOBS; i++) {
            all[i] = chunk_write_job(i);
            if (i % 3 == 1) {
                all[i]->job.kind = CHUNK_READ;
                all[i]->job.into = all[i]->bytes;
                all[i]->job.ref = there;
            } else if (i % 3 == 2) {
                all[i]->job.kind = CHUNK_MOVE;
                all[i]->job.ref = there;
            }
            chunks_start(b.c, &all[i]->job);
        }
        for (unsigned i = 0; i < round; i++) chunk_nap();
        chunks_stop(b.c);
        for (struct chunk_job *job; (job = chunks_done(b.c)) != NULL; done++) {
            struct chunk_work *w = job->owner;
            if (job->result != 0) {
                assert_int_equal(job->result, -ECANCELED);
            } else if (job->kind != CHUNK_READ) {
                assert_int_equal(chunks_read(b.c, &job->ref, into, true), 0);
            }
            job->owner = NULL;
            mem_free(w);
        }
        assert_int_equal(done, JOBS);
        chunks_free(b.c);
        b.c = NULL;
        chunk_bench_fini(&b);
    }
}

/* Writing, reading, syncing and removing at once. */
static void *sync_often(void *arg)
{
    struct chunk_bench *b = arg;
    for (int i = 0; i < 200; i++) must(chunks_sync(b->c) == 0);
    return NULL;
}

static void test_at_once(void **state)
{
    enum { ROUNDS = 300, KEPT = 16 };
    struct chunk_bench b;
    pthread_t syncer;
    struct chunk_ref kept[KEPT] = {{0}};
    chunk_bench_init(&b);
    must(pthread_create(&syncer, NULL, sync_often, &b) == 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct chunk_ref *old = &kept[i % KEPT];
        if (old->file != 0) {
            chunk_check(&b, old, i - KEPT);
            chunks_release(b.c, old);
        }
        *old = chunk_put(&b, i);
        chunks_note(b.c, i);
        chunks_drop_before(b.c, i);
    }
    pthread_join(syncer, NULL);
    assert_true(chunk_stats_of(&b).files < 5);
    chunk_bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full),          cmocka_unit_test(test_open_fails),
        cmocka_unit_test(test_read_fails),         cmocka_unit_test(test_sync),
        cmocka_unit_test(test_power_loss),         cmocka_unit_test(test_few_are_open),
        cmocka_unit_test(test_stop_in_the_middle), cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests_name("log/chunks_fault", tests, NULL, NULL);
}
