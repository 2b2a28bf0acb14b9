/* The journal: one ordered sequence of records on disk, written in batches.
 *
 *   loop thread                       syncer thread
 *   journal_begin .. journal_end      one batch at a time: write, then (always) sync
 *   journal_flush (end of turn)  -->  wakes the loop through journal_wake_fd
 *   journal_covered              <--  position up to which replies may leave
 *
 * A position counts bytes of records (4 of framing each) ever appended to this history; a record's
 * position is the one after its last byte, so `covered >= position` means the record is safe under
 * the sync policy: on disk under `always`, in a completed write to the file under `everysec`, `no`.
 *
 * What is appended between two calls of journal_flush() is never split over two batches, and a
 * batch counts whole or not at all: a MULTI/EXEC that is appended within one turn is safe from
 * halves.
 *
 * Under `always` the syncer thread writes and syncs; under `everysec` and `no` journal_flush()
 * writes itself (a write into the page cache costs less than waking a thread), covers at once, and
 * leaves the syncs to the thread. The byte format stands in docs/format.md and is checked on the
 * way in; nothing read from disk is asserted on. This module knows no command. */
#ifndef LEAT_LOG_JOURNAL_H
#define LEAT_LOG_JOURNAL_H

#include "base/buf.h"

struct journal;
struct file_layer; /* log/file.h */

enum journal_sync { JOURNAL_SYNC_ALWAYS, JOURNAL_SYNC_EVERYSEC, JOURNAL_SYNC_NO };

struct journal_options {
    const char *dir; /* made if absent, mode 0700; locked by one process */
    enum journal_sync sync;
    size_t segment_bytes;           /* 0: the default, 64 MB */
    size_t unsynced_bytes_max;      /* 0: the default, 64 MB; see journal_is_full */
    const struct file_layer *files; /* NULL: the real one */
    /* Called by journal_start for each record in order, before it returns. A negative result stops
     * it: the record's content could not be understood; -ECANCELED: for another reason. */
    int (*replay)(void *arg, struct bytes record, uint64_t position);
    /* Called by journal_start now and then with bytes done and in all; may be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    /* Called by journal_start when a torn tail was cut (saved aside in `saved_as`); may be NULL. */
    void (*torn)(void *arg, const char *file, uint64_t offset, uint64_t len, const char *saved_as);
    void *arg;
};

struct journal_error {
    int code;       /* negative errno, or -EBADMSG for damage, -EBUSY when locked */
    char text[512]; /* one sentence: file, offset, what, and the remedy */
};

/* Makes and locks the directory. The journal is at position 0 then, covers nothing and takes no
 * records before it was started; the callbacks of `options` are kept. On failure *ret_j is
 * untouched. */
int journal_new(const struct journal_options *options, struct journal_error *ret_error,
                struct journal **ret_j);

/* A snapshot that the journal goes on from. */
struct journal_from {
    uint64_t history;
    uint64_t position; /* records up to here are not replayed */
    uint64_t complete; /* the journal must reach this far */
};
/* Replays what is there (behind `from`; NULL: all) and gets ready to append. May take long, and may
 * be called on another thread than the one that will append, while nothing else is called but
 * journal_covered() and journal_synced(). After a failure only journal_close() is left. */
int journal_start(struct journal *j, const struct journal_from *from,
                  struct journal_error *ret_error);
/* Both in one. */
int journal_open(const struct journal_options *options, struct journal_error *ret_error,
                 struct journal **ret_j);
/* Commits and syncs what was appended, writes the idle marker, frees. NULL is fine. */
void journal_close(struct journal *j);

/* May a change of at most `bytes` be accepted, in addition to what this turn has appended? `bytes`
 * is the records' content plus 4 for each; a MULTI/EXEC is asked for as a whole. 0; or -ENOSPC or
 * the negative error that keeps the next segment from being made, and journal_refusal() says why in
 * words for the client; or -E2BIG above 2 GB. `shrinking` changes (deletes, trims, expiry) may use
 * the reserve. Nothing is taken: it only holds until the next append. Room is made ahead, so this
 * is one comparison, except where a turn needs more than is ready: then it waits for the preparer
 * to set the space aside (or fail to). What is refused may be asked again at any time. */
int journal_admit(struct journal *j, size_t bytes, bool shrinking);
const char *journal_refusal(const struct journal *j);

/* The buffer to append exactly one record's bytes to; then journal_end() returns its position. */
struct buf *journal_begin(struct journal *j);
uint64_t journal_end(struct journal *j);
/* Position of the last record appended. */
uint64_t journal_head(const struct journal *j);

/* End of a loop turn: hands over what was gathered. Never waits for the disk under `always`; under
 * the others it writes, and journal_covered() is up to date when it returns (journal_wake_fd() then
 * tells nothing). Nothing gathered: one comparison. */
void journal_flush(struct journal *j);
/* Everything up to here is safe under the policy. Cheap; any number of calls per turn. */
uint64_t journal_covered(const struct journal *j);
/* What was really synced, whatever the policy (WAITAOF). */
uint64_t journal_synced(const struct journal *j);
/* Blocks until covered >= position or failure: for shutdown and tests only. */
int journal_wait(struct journal *j, uint64_t position);
/* An eventfd that becomes readable when the thread has advanced covered or the journal failed; the
 * owner reads it empty. Owned by the journal. */
int journal_wake_fd(const struct journal *j);
/* More bytes are not synced than unsynced_bytes_max, whatever the policy: stop reading from
 * writers. journal_wake_fd() tells when some more are. */
bool journal_is_full(struct journal *j);
/* NULL, or why a write or sync failed (valid until close): acknowledge nothing more, say so and
 * exit. Never retried. */
const char *journal_failure(const struct journal *j);

void journal_set_sync(struct journal *j, enum journal_sync sync);
/* Has everything up to `position` synced soon, also under `no`, which leaves that to the kernel;
 * journal_synced() tells when it is. */
void journal_want_sync(struct journal *j, uint64_t position);

/* The journal's id: it tells the journals of two servers apart. */
uint64_t journal_history(const struct journal *j);
/* Nobody needs records up to `position` any more: segments that hold no others are used again or
 * removed, soon and in their order. */
void journal_drop_before(struct journal *j, uint64_t position);

/* Gives back the disk space of segments that were made ahead beyond the next one, but for those in
 * which what was admitted will lie: for a snapshot that found no room. The loop's thread. */
void journal_release_spares(struct journal *j);

struct journal_stats {
    uint64_t bytes;          /* of all segments in use */
    uint64_t first_position; /* of the oldest of them */
    uint64_t batches;        /* written since the start */
    uint64_t records;        /* appended since the start */
    uint64_t replayed;       /* records replayed at the start */
    int64_t replay_us;
    int64_t sync_us_p50, sync_us_p99, sync_us_max;
    uint64_t segments;
    uint64_t unsynced_bytes, unsynced_bytes_max; /* see journal_is_full() */
    uint64_t prepared, prepared_bytes;           /* segments ready for use, beside those in use */
    uint64_t recycled; /* segments used again instead of deleted, since the start */
    bool pending_sync; /* bytes written but not synced */
};
void journal_stats(struct journal *j, struct journal_stats *ret);

#endif
