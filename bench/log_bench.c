/* How much of the disk the journal leaves to its user: batches of 1,000 records of 100 bytes, each
 * batch synced, against a bare loop of pwrite + fdatasync of the same bytes into a file that was
 * written with zeros before. Beside it, the same loop into a file that grows, one whose space was
 * set aside only, and one that held other data before: what preparing and recycling bring. All run
 * in turns, so that a noisy machine is noisy for all.
 *
 *   log_bench [--json] [DIR [ROUNDS]]        default: the current directory, 7 rounds */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/file.h"
#include "log/journal.h"

enum { RECORDS = 1000, RECORD = 100, BATCHES = 300, ROUNDS_MAX = 101 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, int error)
{
    fprintf(stderr, "log_bench: %s: %s\n", what, strerror(error));
    exit(1);
}

/* Batches per second of the bare loop. */
static double bare_round(int fd)
{
    static char batch[RECORDS * (RECORD + 4) + 64];
    memset(batch, 'x', sizeof(batch));
    double began = now();
    for (int i = 0; i < BATCHES; i++) {
        if (pwrite(fd, batch, sizeof(batch), (off_t)i * (off_t)sizeof(batch)) < 0)
            die("pwrite", errno);
        if (fdatasync(fd) != 0) die("fdatasync", errno);
    }
    return BATCHES / (now() - began);
}

/* The same through the journal. Appending and encoding of a batch overlap with the sync of the one
 * before, as they do in the server: two are under way at most. */
static double journal_round(struct journal *j)
{
    char record[RECORD];
    memset(record, 'x', sizeof(record));
    double began = now();
    uint64_t before = journal_head(j);
    for (int i = 0; i < BATCHES; i++) {
        if (journal_admit(j, RECORDS * (RECORD + 4), false) < 0) die(journal_refusal(j), ENOSPC);
        for (int k = 0; k < RECORDS; k++) {
            buf_append(journal_begin(j), record, sizeof(record));
            journal_end(j);
        }
        uint64_t head = journal_head(j);
        journal_flush(j);
        if (journal_wait(j, before) < 0) die(journal_failure(j), EIO);
        before = head;
    }
    if (journal_wait(j, before) < 0) die(journal_failure(j), EIO);
    return BATCHES / (now() - began);
}

static int replay_nothing(void *arg, struct bytes record, uint64_t position)
{
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), by_value);
    return values[n / 2];
}

static const uint64_t bare_bytes = (uint64_t)BATCHES * (RECORDS * (RECORD + 4) + 64);

enum file_kind { GROWS, SET_ASIDE, ZEROS, HELD_DATA, FILE_KINDS };
static const char *const kind_names[FILE_KINDS] = {"a growing file", "space set aside",
                                                   "zero-filled", "used before (recycled)"};

/* The file before a round, synced; returns the seconds that took. The last kind is as the round
 * before has left it. */
static double make_ready(int fd, enum file_kind kind)
{
    double began = now();
    if (kind == HELD_DATA) return 0;
    if (ftruncate(fd, 0) != 0) die("ftruncate", errno);
    if (kind == SET_ASIDE && fallocate(fd, 0, 0, (off_t)bare_bytes) != 0) die("fallocate", errno);
    int r = kind == ZEROS ? file_write_zeros(&file_layer_real, fd, 0, bare_bytes) : 0;
    if (r < 0) die("zeros", -r);
    if (fsync(fd) != 0) die("fsync", errno);
    return now() - began;
}

static int open_bare(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/log_bench-XXXXXX", dir);
    int fd = mkstemp(path);
    if (fd < 0) die(path, errno);
    unlink(path);
    make_ready(fd, ZEROS);
    bare_round(fd);
    return fd;
}

static int delete_file(void *arg, const char *name)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
    unlink(path);
    return 0;
}

static void print_rounds(const char *name, const double *batches, int n)
{
    printf("\"%s\":[", name);
    for (int i = 0; i < n; i++) printf("%s%.1f", i > 0 ? "," : "", batches[i] * RECORDS);
    printf("]");
}

static void print_json(const double *bare, const double *own, int rounds)
{
    printf("{");
    print_rounds("bare", bare, rounds);
    printf(",");
    print_rounds("journal", own, rounds);
    printf("}\n");
}

/* A journal of its own directory. */
struct own {
    char path[4096];
    struct journal *j;
    double batches[ROUNDS_MAX];
    struct journal_stats stats;
};

static void own_open(struct own *own, const char *dir, int number)
{
    struct journal_error e;
    snprintf(own->path, sizeof(own->path), "%s/log_bench-journal-%d-%d", dir, (int)getpid(),
             number);
    struct journal_options o = {.dir = own->path, .replay = replay_nothing};
    if (journal_open(&o, &e, &own->j) < 0) {
        fprintf(stderr, "log_bench: %s\n", e.text);
        exit(1);
    }
    for (int i = 0; i < 4; i++) journal_round(own->j); /* past the small first segments */
}

static void own_close(struct own *own)
{
    journal_stats(own->j, &own->stats);
    journal_close(own->j);
    file_layer_real.list(NULL, own->path, delete_file, own->path);
    rmdir(own->path);
}

static void print_own(const struct own *own, int rounds, const char *name, double bare)
{
    double m = median((double *)own->batches, rounds);
    printf("journal, sync always, %-29s %5.0f thousand records/s, %.2f of zero-filled; syncs p50 "
           "%" PRId64 " us, p99 %" PRId64 " us; %" PRIu64 " segments recycled\n",
           name, m, m / bare, own->stats.sync_us_p50, own->stats.sync_us_p99, own->stats.recycled);
}

static double bare[FILE_KINDS][ROUNDS_MAX], ready[FILE_KINDS][ROUNDS_MAX];
static struct own own[2]; /* the second drops what it has written, after each round */

/* As JSON only what the goal is about. */
static void run_rounds(const int *fds, int rounds, bool json)
{
    for (int i = 0; i < rounds; i++) {
        for (int k = json ? ZEROS : 0; k < (json ? ZEROS + 1 : FILE_KINDS); k++) {
            ready[k][i] = make_ready(fds[k], (enum file_kind)k);
            bare[k][i] = bare_round(fds[k]);
        }
        own[0].batches[i] = journal_round(own[0].j);
        if (json) continue;
        own[1].batches[i] = journal_round(own[1].j);
        journal_drop_before(own[1].j, journal_synced(own[1].j));
    }
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    const char *dir = argc > 1 ? argv[1] : ".";
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX) rounds = 7;
    int fds[FILE_KINDS];

    for (int k = 0; k < FILE_KINDS; k++) fds[k] = open_bare(dir);
    for (int i = 0; i < (json ? 1 : 2); i++) own_open(&own[i], dir, i);
    run_rounds(fds, rounds, json);
    for (int i = 0; i < (json ? 1 : 2); i++) own_close(&own[i]);
    for (int k = 0; k < FILE_KINDS; k++) close(fds[k]);

    if (json) {
        print_json(bare[ZEROS], own[0].batches, rounds);
        return 0;
    }
    double a = median(bare[ZEROS], rounds);
    for (int k = 0; k < FILE_KINDS; k++) {
        double m = median(bare[k], rounds);
        printf("bare pwrite + fdatasync, %-26s %5.0f thousand records/s, %.2f of zero-filled; made "
               "ready in %.2f s\n",
               kind_names[k], m, m / a, median(ready[k], rounds));
    }
    print_own(&own[0], rounds, "new segments (goal: 0.70)", a);
    print_own(&own[1], rounds, "recycled segments", a);
    return 0;
}
