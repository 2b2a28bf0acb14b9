/* An ordered set of (score, item): a counted B+tree. Sorted sets rank, seek and walk in it.
 *
 * Items are pointers the caller owns; equal scores are ordered by the item's key as bytes_cmp does.
 * Inner nodes count what is below them, so rank and seek by rank are O(log n). One thread. */
#ifndef LEAT_BASE_ORDER_H
#define LEAT_BASE_ORDER_H

#include "base/bytes.h"

struct order_node;

struct order {
    struct bytes (*key)(const void *item); /* borrowed */
    struct order_node *root;               /* NULL when empty */
    size_t count;
};

void order_init(struct order *o, struct bytes (*key)(const void *item));
/* Frees the nodes, not the items. Leaves an empty, usable set. */
void order_clear(struct order *o);

/* (score, key of item) must not be in the set. score is not NaN. */
void order_insert(struct order *o, double score, void *item);
/* (score, key) must be in the set; returns its item. */
void *order_remove(struct order *o, double score, struct bytes key);
/* Replaces the pointer of an item of the same score and key. */
void order_replace(struct order *o, double score, struct bytes key, void *item);
/* Rank from 0 of (score, key), which must be in the set. */
size_t order_rank(const struct order *o, double score, struct bytes key);

/* How many items have a score below `score` (or_equal: below or equal). */
size_t order_count_below(const struct order *o, double score, bool or_equal);
/* How many items, all of one score, have a key below `key` (or_equal: or equal): ZRANGEBYLEX. */
size_t order_count_below_key(const struct order *o, struct bytes key, bool or_equal);

/* A place in the set; invalid after any change. */
struct order_iter {
    struct order_node *leaf;
    unsigned slot;
};
/* The item of rank `rank`; false (and an iterator at the end) when rank >= count. */
bool order_seek(const struct order *o, size_t rank, struct order_iter *ret_it);
/* Current item and its score; NULL at the end. */
void *order_at(const struct order_iter *it, double *ret_score);
void order_next(struct order_iter *it);
void order_prev(struct order_iter *it); /* before the first: at the end */

/* Bytes of the nodes. */
size_t order_memory(const struct order *o);

#endif
