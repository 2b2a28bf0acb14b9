/* Pending entries of a group: delivered, not yet acknowledged; ordered by id.
 *
 *   pending -> [first id, node] [first id, node] ...        a sorted directory
 *                        |
 *                        `- up to 256 entries in five columns: ms, seq, time, count, consumer
 *
 * A column stores the distance from the node's base in 0, 1, 2, 4 or 8 bytes, whatever the widest
 * needs: what is the same for a whole node (a consumer, a delivery count) takes no room at all, and
 * an entry some 4 to 10 bytes. Each node has a mask of the consumers in it and a lower bound of its
 * delivery times, so that a search for one consumer, or for what has been idle for long, passes
 * over the nodes that have nothing. Appending, removing at the front and looking an id up are O(log
 * n).
 *
 * State only; one thread, but for pending_fini(), which may run on any. */
#ifndef LEAT_KEYS_PENDING_H
#define LEAT_KEYS_PENDING_H

#include "keys/stream_id.h"

struct pending_entry {
    struct stream_id id;
    int64_t time_ms;   /* of the last delivery, Unix time */
    uint64_t count;    /* of deliveries */
    uint32_t consumer; /* its number */
};

struct pending_node;
struct pending_slot {
    struct stream_id first;
    struct pending_node *node;
};

/* All zero: empty. */
struct pending {
    struct pending_slot *slots; /* slots[first .. first + nodes) */
    size_t first, nodes, cap;
    uint64_t count;
};

void pending_fini(struct pending *p);
void pending_copy(struct pending *to, const struct pending *from); /* `to` is not initialized */
/* Bytes allocated. */
size_t pending_memory(const struct pending *p);

/* False when there is no such entry; *ret is untouched then. */
bool pending_get(const struct pending *p, struct stream_id id, struct pending_entry *ret);
/* Adds the entry, or replaces the one of this id: then true, with what it was in *ret_old. */
bool pending_set(struct pending *p, const struct pending_entry *e, struct pending_entry *ret_old);
/* False when there was none. */
bool pending_remove(struct pending *p, struct stream_id id, struct pending_entry *ret_old);

bool pending_first(const struct pending *p, struct stream_id *ret);
bool pending_last(const struct pending *p, struct stream_id *ret);

/* No entry was delivered after `after_ms` and before this; INT64_MAX when none was after it. */
int64_t pending_next_time(const struct pending *p, int64_t after_ms);

/* Walks the entries from an id on. Nothing may change meanwhile. */
enum { PENDING_ANY = -1 };
struct pending_iter {
    const struct pending *pending;
    int64_t consumer;    /* a number, or PENDING_ANY */
    int64_t time_max_ms; /* only what was delivered then or before; INT64_MAX: all */
    size_t slot;         /* counted from pending->first */
    unsigned entry;
};
void pending_iter_init(struct pending_iter *it, const struct pending *p, struct stream_id from,
                       int64_t consumer, int64_t time_max_ms);
bool pending_iter_next(struct pending_iter *it, struct pending_entry *ret);

/* Gives all entries of one consumer to another; how many there were. They count as delivered at
 * time_ms, or as they did where that is PENDING_TIME_STAYS. */
enum { PENDING_TIME_STAYS = -1 };
uint64_t pending_give(struct pending *p, uint32_t from, uint32_t to, int64_t time_ms);
/* Removes all entries of a consumer; how many there were. */
uint64_t pending_remove_consumer(struct pending *p, uint32_t consumer);

#endif
