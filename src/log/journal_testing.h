/* What the tests of the journal share: scratch directories, records that can be told from their
 * number, and the check that a replay gives exactly the first N of them. */
#ifndef LEAT_LOG_JOURNAL_TESTING_H
#define LEAT_LOG_JOURNAL_TESTING_H

#include "log/file_fault.h"
#include "log/journal.h"

struct chunk_ref;

/* A new directory, in memory where the system has such a place; freed by scratch_remove(). */
char *scratch_new(void);
/* Deletes the files in it. */
void scratch_clear(const char *dir);
void scratch_remove(char *dir);

/* The sequence of records 0, 1, 2 ... of a seed, with lengths up to length_max. */
struct tale {
    uint64_t seed;
    size_t length_max;
    uint64_t told; /* records appended or replayed */
    uint64_t position;
    bool wrong; /* a replayed record was not the one expected */
    unsigned torn;
    uint64_t torn_bytes;
    struct buf record; /* scratch */
};

void tale_init(struct tale *t, uint64_t seed, size_t length_max);
void tale_fini(struct tale *t);
/* Appends the next `records` records. */
void tale_append(struct tale *t, struct journal *j, unsigned records);
/* Opens the journal and replays into t, which must be new. */
int tale_open(struct tale *t, struct journal_options o, struct journal_error *ret_error,
              struct journal **ret_j);
/* Opens, closes, and says how many records there are: -1 when the open fails (text in *e), -2 when
 * what was replayed is wrong. */
int64_t tale_count(const struct tale *like, struct journal_options o, struct journal_error *e,
                   unsigned *ret_torn);

/* Damage that inspection finds in a directory on which a server is to start; NULL when there is
 * none. Valid until the next call. `chunk_ref` as in struct inspection; without it, only the test
 * knows of snapshots. */
const char *damage_in(const char *dir, bool (*chunk_ref)(struct bytes, struct chunk_ref *));

/* A whole file in memory. */
struct buf file_load(const char *dir, const char *name);
void file_store(const char *dir, const char *name, struct bytes content);

#endif
