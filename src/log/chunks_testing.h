/* What the tests of the chunk store share: a store over a disk that can fail, and chunks whose
 * bytes belong to a seed, so that what is read back can be told right from wrong. Each helper fails
 * the test where something is not as it should be. */
#ifndef LEAT_LOG_CHUNKS_TESTING_H
#define LEAT_LOG_CHUNKS_TESTING_H

#include "log/chunks.h"
#include "log/journal_testing.h"

enum { CHUNK_TEST_MAX = 5000, CHUNK_TEST_FILE = 32 << 10 };

struct chunk_bench {
    struct file_fault fault;
    char *dir;
    struct chunks *c; /* NULL: not open */
};
void chunk_bench_init(struct chunk_bench *b);
void chunk_bench_fini(struct chunk_bench *b);
int chunk_bench_try_open(struct chunk_bench *b);
void chunk_bench_close(struct chunk_bench *b);
void chunk_bench_reopen(struct chunk_bench *b);

/* A job with the bytes it writes or reads into. */
struct chunk_work {
    struct chunk_job job;
    char bytes[CHUNK_TEST_MAX];
};
void chunk_nap(void);
/* The next that is done; fails when none is within ten seconds. */
struct chunk_work *chunk_await(struct chunk_bench *b);
/* The job that writes what belongs to the seed, in two parts; freed with mem_free(). */
struct chunk_work *chunk_write_job(uint64_t seed);
size_t chunk_length(uint64_t seed);

/* Writes what belongs to the seed. */
struct chunk_ref chunk_put(struct chunk_bench *b, uint64_t seed);
/* By the caller's thread, and by the reader's: the same. */
int chunk_get(struct chunk_bench *b, const struct chunk_ref *ref, char *into);
/* It can be read, and is what belongs to the seed. */
void chunk_check(struct chunk_bench *b, const struct chunk_ref *ref, uint64_t seed);
struct chunks_stats chunk_stats_of(struct chunk_bench *b);
void chunk_change_byte(struct chunk_bench *b, uint64_t file, uint64_t offset);

#endif
