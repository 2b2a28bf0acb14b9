/* What the tests of inspection and salvage share: a directory with a journal of numbered records
 * and snapshots beside it, made, harmed and started again. */
#ifndef LEAT_LOG_INSPECT_TESTING_H
#define LEAT_LOG_INSPECT_TESTING_H

#include "log/inspect.h"
#include "log/journal_testing.h"

/* Records are numbered and all as long, so that a position tells the number. */
enum { INSPECTED_SEGMENT = 8 << 10, INSPECTED_RECORD = 200, INSPECTED_RECORDS = 60 };
uint64_t position_of(uint64_t records);

/* What a replay saw: numbers in a row, from `first` on. */
struct seen {
    uint64_t first, next; /* UINT64_MAX: none yet */
    uint64_t count;
    bool wrong; /* not in a row, or not at their positions */
};

/* Opens the journal in `dir`; what it replays goes to s. */
struct journal *inspected_open(const char *dir, struct seen *s);
/* Appends records from..to and waits until they are safe. */
void inspected_append(struct journal *j, uint64_t from, uint64_t to);
/* A journal in several segments, cleanly closed; with a snapshot after record `snapshot`, if any.
 */
void inspected_make(const char *dir, uint64_t snapshot);
/* Of five records, which are in several blocks when they are long. */
void inspected_snapshot(const char *dir, uint64_t history, uint64_t position, uint64_t complete,
                        size_t length);
/* Starts as a server does, the newest whole snapshot and then the journal, and stops: 0 or
 * negative. */
int inspected_start(const char *dir, struct seen *s);

/* Fails the test where the directory cannot be looked at. */
void inspect_or_fail(struct inspection *in, const char *dir);
/* Fails the test when there is any finding. */
void check_whole(const char *dir);
/* Changes one byte. */
void flip(const char *dir, const char *name, size_t at);

/* The real layer, but for the byte `at` of files of this size, which cannot be read. */
struct bad_disk {
    struct file_layer layer;
    uint64_t size, at;
};
void bad_disk_init(struct bad_disk *d, uint64_t size, uint64_t at);

#endif
