/* One node of a list: elements packed into one allocation, with free room before or behind them, so
 * that both ends are cheap to push to and to pop from.
 *
 *   | free | len element len | len element len | ... | free |
 *          start                                    end     cap
 *
 * The length stands on both sides of an element (the one behind it with its bytes in reverse), so a
 * node is walked either way. Elements are addressed by the offset at which they begin. A node that
 * changes may move: callers go on with the one returned. */
#ifndef LEAT_KEYS_LIST_NODE_H
#define LEAT_KEYS_LIST_NODE_H

#include "base/bytes.h"

struct list_node {
    struct list_node *prev, *next;
    uint32_t cap, start, end, count;
    char data[];
};

/* Of elements, so that a node takes 8 KB from the allocator; a longer element has a node of its
 * own. */
enum { LIST_NODE_BYTES = 8192 - sizeof(struct list_node) };

static inline size_t list_node_used(const struct list_node *n)
{
    return n->end - n->start;
}
/* What an element of so many bytes takes. */
size_t list_frame_bytes(size_t len);
/* Empty, linked to nothing, with room for `cap` bytes. */
struct list_node *list_node_new(size_t cap);
/* A copy with no room to spare, linked to nothing. */
struct list_node *list_node_copy(const struct list_node *n);
/* The element at offset `at` (or before it: `at` is its end); the offset of the next one's begin
 * (of its own begin) is returned. */
uint32_t list_node_read(const struct list_node *n, uint32_t at, struct bytes *ret);
uint32_t list_node_read_back(const struct list_node *n, uint32_t at, struct bytes *ret);
/* May one more element of `len` bytes go into this node? */
static inline bool list_node_fits(const struct list_node *n, size_t len)
{
    return list_node_used(n) + list_frame_bytes(len) <= LIST_NODE_BYTES;
}
/* Inserts before offset `at`. The value may lie in this node when `at` is one of its ends. If the
 * node moves, its neighbours are told. */
struct list_node *list_node_insert(struct list_node *n, uint32_t at, struct bytes value);
/* Removes the element at `at`; the offset of the one that was behind it. */
uint32_t list_node_remove(struct list_node *n, uint32_t at);
/* All elements of `n` from offset `at` on, `count` of them, go to a new node behind it. Neither
 * part is empty. */
struct list_node *list_node_split(struct list_node *n, uint32_t at, uint32_t count);
/* All elements of the node behind `n` are put at its end; that node is gone. */
struct list_node *list_node_merge_next(struct list_node *n);
/* Gives room back when most of it is free. */
struct list_node *list_node_shrink(struct list_node *n);

#endif
