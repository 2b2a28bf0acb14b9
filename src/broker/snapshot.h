/* Snapshots as the broker makes them: a walk over the keyspace beside the commands, in slices of
 * microseconds, whose records the log's writer brings to disk. Why so, and why what is written
 * while it walks does no harm: docs/design/0001-snapshots.md. One thread, the broker's. */
#ifndef LEAT_BROKER_SNAPSHOT_H
#define LEAT_BROKER_SNAPSHOT_H

#include "keys/keyspace.h"
#include "log/snapshot.h"

struct broker;
struct snapshots;
struct chunk_ref;

struct snapshots *snapshots_new(void);
void snapshots_free(struct snapshots *s); /* gives up one under way */

/* What was loaded at the start: growth counts from there. position 0, size 0: nothing. */
void snapshots_loaded(struct broker *b, uint64_t position, uint64_t size, int64_t time_ms);

/* At the end of a loop turn, after its output has left: begins one when it is due, walks on,
 * notices the end. `idle`: nothing happened in the turn. */
void snapshots_step(struct broker *b, bool idle);
/* Milliseconds until snapshots_step() wants to be called, at most `ms`. */
int64_t snapshots_due_ms(const struct broker *b, int64_t ms);

/* BGSAVE: one begins at the end of the turn. False when one is under way: then with `later`,
 * another follows it. */
bool snapshots_request(struct broker *b, bool later);
bool snapshots_in_progress(const struct broker *b);
/* SAVE: from beginning to end, while all else waits. False when it failed or one is under way. */
bool snapshots_save(struct broker *b);

struct snapshots_stats {
    bool in_progress, last_ok;
    int64_t last_save_ms;           /* Unix time of the last good one, or of the start */
    int64_t last_ms;                /* how long the last one took; -1: there was none */
    int64_t current_ms;             /* how long the one under way has taken; -1: there is none */
    uint64_t changes_at;            /* broker->dirty_records when the last good one began */
    uint64_t keys_done, keys_total; /* of the one under way */
    uint64_t position, size;        /* of the newest good one; 0: there is none */
    uint64_t made;                  /* since the start */
    int64_t walk_us;                /* for how long the last one held the loop, in all */
    int64_t slice_us_max;           /* the longest that the loop was held */
    const char *error;              /* of the last one; "" */
};
void snapshots_stats(const struct broker *b, struct snapshots_stats *ret);

/* ---- Called by what changes keys ---- */

/* Before a key is copied or renamed: what is made of it must be as it is now. */
void snapshots_before_copy(struct broker *b, int db, const struct key *k);
/* After two databases were exchanged. */
void snapshots_swapped(struct broker *b, int one, int other);
/* Types whose records are not absolute (records.h): before a value of these changes. */
enum { SNAPSHOT_RELATIVE_TYPES = 1 << KEY_LIST };
static inline void snapshots_before_change(struct broker *b, int db, const struct key *k)
{
    if (SNAPSHOT_RELATIVE_TYPES >> k->type & 1) snapshots_before_copy(b, db, k);
}

/* ---- Values (snapshot_values.c) ---- */

/* Appends records for the value from *cursor (0: its beginning) on, about 32 KB of them. True when
 * the value is complete; else *cursor is where to go on. Between two calls it may change: what a
 * change names is in the journal. Adding a type is adding its function to the table there. */
bool snapshot_put_value(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor);
/* The same for a copy of a list, which gets shorter by what is put; true when nothing is left. */
struct list;
bool snapshot_put_list_part(struct snapshot_writer *w, int db, struct bytes name, struct list *l);
/* The same for a stream (snapshot_stream.c). */
bool snapshot_put_stream(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor);
/* And for the groups of a stream (snapshot_groups.c). *cursor tells only whether it begins; where
 * to go on is kept with the groups. */
bool groups_put(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor);

/* The chunk that a record of a snapshot refers to; false when it does to none. */
bool snapshot_chunk_ref(struct bytes record, struct chunk_ref *ret);

#endif
