/* Reading a journal back: replay, and telling a clean end, a torn tail and damage apart (the rule
 * stands in docs/format.md). recovery_read() changes nothing on disk; recovery_repair() does what
 * its findings ask for, and may be cut short by a crash at any point and done again. */
#ifndef LEAT_LOG_RECOVERY_H
#define LEAT_LOG_RECOVERY_H

#include "log/journal.h"
#include "log/segment.h"

/* A segment file as found. */
struct found {
    uint64_t number;
    uint64_t size;           /* of the file */
    enum header_state state; /* of its header page */
    struct segment_header header;
    uint64_t end; /* where reading stopped in it; 0 when it was not read */
    uint64_t
        remains_end; /* beyond the journal's end: behind the last byte that is not zero, or 0 */
};

struct recovery {
    const struct file_layer *files;
    const char *dir;
    const struct journal_options *options; /* for its callbacks */
    struct journal_error *error;

    struct found *found; /* by number */
    size_t count;
    uint64_t from, complete; /* of the snapshot, where there is one */
    size_t first;            /* the one in which reading begins; those before are not read */
    size_t last;             /* the one in which the journal ends; `count` when there is none */
    uint64_t history;        /* of the first valid header; 0 when there is none */
    uint64_t position;       /* end of the journal */
    uint64_t durable_upto;   /* the furthest claim */
    uint64_t records;
    bool marked; /* the last batch is a marker, or there is none */
    uint64_t bytes_done, bytes_total;
    struct buf window; /* of the reader */
};

void recovery_init(struct recovery *rec, const struct journal_options *options,
                   const struct file_layer *files, struct journal_error *error);
void recovery_fini(struct recovery *rec);
/* What is up to this snapshot's position is not replayed, and not even read where segments hold
 * nothing else. */
void recovery_from(struct recovery *rec, const struct journal_from *from);
/* Reads everything and replays. On failure the error says what and where. */
int recovery_read(struct recovery *rec);
/* Saves and cuts what is torn, writes once more what no claim covers, syncs. */
int recovery_repair(struct recovery *rec);

/* Fills in the error; returns `code`. */
int recovery_fail(struct recovery *rec, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Opens a found file for reading and writing: a descriptor, or the failure. */
int recovery_open(struct recovery *rec, const struct found *f);

#endif
