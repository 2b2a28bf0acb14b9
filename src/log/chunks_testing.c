#include "log/chunks_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

int chunk_bench_try_open(struct chunk_bench *b)
{
    struct chunks_options o = {
        .dir = b->dir, .files = &b->fault.layer, .file_bytes = CHUNK_TEST_FILE, .wake_fd = -1};
    return chunks_new(&o, &b->c);
}

void chunk_bench_init(struct chunk_bench *b)
{
    *b = (struct chunk_bench){.dir = scratch_new()};
    file_fault_init(&b->fault);
    assert_int_equal(chunk_bench_try_open(b), 0);
}

void chunk_bench_close(struct chunk_bench *b)
{
    chunks_stop(b->c);
    chunks_free(b->c);
    b->c = NULL;
}

void chunk_bench_reopen(struct chunk_bench *b)
{
    chunk_bench_close(b);
    assert_int_equal(chunk_bench_try_open(b), 0);
}

void chunk_bench_fini(struct chunk_bench *b)
{
    if (b->c != NULL) chunk_bench_close(b);
    file_fault_fini(&b->fault);
    scratch_remove(b->dir);
}

void chunk_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

struct chunk_work *chunk_await(struct chunk_bench *b)
{
    for (int i = 0; i < 100000; i++) {
        struct chunk_job *job = chunks_done(b->c);
        if (job != NULL) return job->owner;
        chunk_nap();
    }
    fail_msg("a job is never done");
    return NULL;
}

static void fill(char *bytes, uint64_t seed, size_t n)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)rng_below(&rng, 256);
}

size_t chunk_length(uint64_t seed)
{
    return 1 + (size_t)(seed * 7919 % (CHUNK_TEST_MAX - 1));
}

struct chunk_work *chunk_write_job(uint64_t seed)
{
    struct chunk_work *w = mem_calloc(sizeof *w);
    size_t n = chunk_length(seed), first = n / 3;
    fill(w->bytes, seed, n);
    w->job = (struct chunk_job){.kind = CHUNK_WRITE,
                                .parts = {{w->bytes, first}, {w->bytes + first, n - first}},
                                .owner = w};
    return w;
}

struct chunk_ref chunk_put(struct chunk_bench *b, uint64_t seed)
{
    struct chunk_work *w = chunk_write_job(seed);
    chunks_start(b->c, &w->job);
    assert_ptr_equal(chunk_await(b), w);
    assert_int_equal(w->job.result, 0);
    struct chunk_ref ref = w->job.ref;
    mem_free(w);
    return ref;
}

int chunk_get(struct chunk_bench *b, const struct chunk_ref *ref, char *into)
{
    int r = chunks_read(b->c, ref, into, true);
    struct chunk_work *w = mem_calloc(sizeof *w);
    w->job = (struct chunk_job){.kind = CHUNK_READ, .into = w->bytes, .ref = *ref, .owner = w};
    chunks_start(b->c, &w->job);
    assert_ptr_equal(chunk_await(b), w);
    assert_int_equal(w->job.result, r);
    if (r == 0) assert_memory_equal(into, w->bytes, ref->length);
    mem_free(w);
    return r;
}

void chunk_check(struct chunk_bench *b, const struct chunk_ref *ref, uint64_t seed)
{
    char found[CHUNK_TEST_MAX], expected[CHUNK_TEST_MAX];
    assert_int_equal(ref->length, chunk_length(seed));
    fill(expected, seed, ref->length);
    assert_int_equal(chunk_get(b, ref, found), 0);
    assert_memory_equal(found, expected, ref->length);
}

struct chunks_stats chunk_stats_of(struct chunk_bench *b)
{
    struct chunks_stats s;
    chunks_stats(b->c, &s);
    return s;
}

void chunk_change_byte(struct chunk_bench *b, uint64_t file, uint64_t offset)
{
    char name[CHUNK_NAME_MAX];
    chunks_name(name, file);
    struct buf all = file_load(b->dir, name);
    assert_true(offset < all.len);
    all.data[offset] ^= 0x10;
    file_store(b->dir, name, buf_bytes(&all));
    buf_fini(&all);
}
