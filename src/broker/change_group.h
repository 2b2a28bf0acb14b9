/* Changes of consumer groups, recorded: the only way handlers change one. Events are the handler's.
 * As in Redis none of these breaks a WATCH. */
#ifndef LEAT_BROKER_CHANGE_GROUP_H
#define LEAT_BROKER_CHANGE_GROUP_H

#include "broker/call.h"
#include "keys/stream.h"
#include "keys/stream_group.h"

/* Creates the group where g is NULL (none of this name is there), else moves it. */
struct group *change_group_set(struct call *c, struct key *k, struct group *g, struct bytes name,
                               struct stream_id last_id, uint64_t ordinal);
/* Whoever waits for the group is woken. */
void change_group_destroy(struct call *c, struct key *k, struct group *g);

/* There is none of this name. */
struct consumer *change_consumer_add(struct call *c, struct key *k, struct group *g,
                                     struct bytes name);
/* When it asked last, and when it got something. */
void change_consumer_times(struct call *c, struct key *k, struct group *g, struct consumer *of,
                           int64_t seen_ms, int64_t active_ms);
/* What it has pending goes with it. */
void change_consumer_delete(struct call *c, struct key *k, struct group *g, struct consumer *of);
/* What it has pending becomes another's, as delivered at time_ms, or then as before:
 * PENDING_TIME_STAYS. */
void change_consumer_give(struct call *c, struct key *k, struct group *g, struct consumer *from,
                          struct consumer *to, int64_t time_ms);

/* Makes entries pending with a consumer, as they say (e.consumer apart), whatever they were. The
 * consumer counts as seen and active at the latest of their times. n may be 0. */
void change_pending_set(struct call *c, struct key *k, struct group *g, struct consumer *of,
                        struct pending_entry *entries, size_t n);
/* How many of these were pending; none of them is now. */
size_t change_pending_drop(struct call *c, struct key *k, struct group *g,
                           const struct stream_id *ids, size_t n);
/* The same in every group. */
size_t change_pending_drop_all(struct call *c, struct key *k, const struct stream_id *ids,
                               size_t n);

/* All with smaller ids. */
size_t change_pending_drop_below(struct call *c, struct key *k, struct group *g,
                                 struct stream_id id);

/* What records of `n` entries take in the journal at most, beyond what the arguments tell: for
 * call_admit(). `differ`: their counts or times do. */
size_t change_pending_bytes(const struct key *k, size_t n, bool differ);

/* ---- Runs of pending entries, as they stand in records ---- */

struct pending_runs {
    struct buf *out;
    uint64_t last_ms;
    int64_t time_ms; /* what the record's head says of all; a run may say otherwise */
    uint64_t count;
    struct pending_entry first; /* of the run under way */
    uint64_t n;                 /* entries in it */
};
/* Puts the head of a PENDING_SET's items: group, consumer, time, count. */
void pending_runs_begin(struct pending_runs *r, struct buf *items, struct bytes group,
                        struct bytes consumer, const struct pending_entry *like);
void pending_runs_add(struct pending_runs *r, const struct pending_entry *e);
void pending_runs_end(struct pending_runs *r);
/* The items of GROUP_SET and CONSUMER_SET. */
void group_put_record(struct buf *items, const struct group *g);
void consumer_put_record(struct buf *items, const struct group *g, const struct consumer *of);

#endif
