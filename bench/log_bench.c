/* How much of the disk the journal leaves to its user: batches of 1,000 records of 100 bytes, each
 * batch synced, against a bare loop of pwrite + fdatasync of the same bytes into a file that was
 * written with zeros before. Both run in turns, so that a noisy machine is noisy for both.
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

static int open_bare(const char *dir, char *path, size_t path_size)
{
    snprintf(path, path_size, "%s/log_bench-XXXXXX", dir);
    int fd = mkstemp(path);
    if (fd < 0) die(path, errno);
    int r = file_write_zeros(&file_layer_real, fd, 0, (uint64_t)BATCHES * (RECORDS * 104 + 64));
    if (r < 0) die(path, -r);
    if (fsync(fd) != 0) die(path, errno);
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

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    const char *dir = argc > 1 ? argv[1] : ".";
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX) rounds = 7;
    double bare[ROUNDS_MAX], own[ROUNDS_MAX];
    char bare_path[4096], own_path[4096];

    int fd = open_bare(dir, bare_path, sizeof(bare_path));
    snprintf(own_path, sizeof(own_path), "%s/log_bench-journal-%d", dir, (int)getpid());
    struct journal_options o = {.dir = own_path, .replay = replay_nothing};
    struct journal_error e;
    struct journal *j;
    if (journal_open(&o, &e, &j) < 0) {
        fprintf(stderr, "log_bench: %s\n", e.text);
        return 1;
    }
    journal_round(j); /* past the small first segments */
    for (int i = 0; i < rounds; i++) {
        bare[i] = bare_round(fd);
        own[i] = journal_round(j);
    }
    struct journal_stats s;
    journal_stats(j, &s);
    journal_close(j);
    close(fd);
    unlink(bare_path);
    file_layer_real.list(NULL, own_path, delete_file, own_path);
    rmdir(own_path);

    if (json) {
        print_json(bare, own, rounds);
        return 0;
    }
    double a = median(bare, rounds), b = median(own, rounds);
    printf("bare pwrite + fdatasync, zero-filled file   %8.0f thousand records/s\n", a);
    printf("journal, sync always                        %8.0f thousand records/s\n", b);
    printf("ratio (goal: at least 0.70)                 %8.2f\n", b / a);
    printf("syncs of the journal: p50 %" PRId64 " us, p99 %" PRId64 " us, max %" PRId64 " us\n",
           s.sync_us_p50, s.sync_us_p99, s.sync_us_max);
    return 0;
}
