/* List values: elements in order, packed into nodes of about 8 KB that are linked both ways. Both
 * ends are at hand; an index is found by walking the nodes from the nearer end.
 *
 * There is one form for small and large lists. The encoding only tells which of Redis's two the
 * list would have: a listpack while it is within the limit handed in, a quicklist beyond; back to a
 * listpack once it has shrunk to half of the limit. One thread. */
#ifndef LEAT_KEYS_LIST_H
#define LEAT_KEYS_LIST_H

#include "keys/keyspace.h"
#include "keys/list_node.h"

/* list-max-listpack-size: elements, or -1 ... -5 for 4 to 64 KB. */
enum { LIST_LIMIT_DEFAULT = -2 };

enum list_end { LIST_HEAD, LIST_TAIL };

struct list {
    struct list_node *first, *last; /* NULL when empty */
    size_t count, node_count;
    size_t bytes; /* of all elements with their lengths */
};

/* A key of type KEY_LIST with a zero value becomes an empty list. */
void list_init(struct key *k);
size_t list_count(const struct key *k);
/* The element at an end of a list that is not empty; borrowed until the next change. */
struct bytes list_peek(const struct key *k, enum list_end end);
/* index < count; borrowed until the next change. */
struct bytes list_get(const struct key *k, size_t index);

/* The value may be an element of this very list. */
void list_push(struct key *k, enum list_end end, struct bytes value, int64_t limit);
/* Removes `n` <= count elements from an end. */
void list_drop(struct key *k, enum list_end end, size_t n, int64_t limit);
/* index < count; the value lies elsewhere. */
void list_set(struct key *k, size_t index, struct bytes value, int64_t limit);
/* Before the element that has the index now; at the end when index == count. The value lies
 * elsewhere. */
void list_insert(struct key *k, size_t index, struct bytes value, int64_t limit);
/* Removes the first `max` elements that equal the value, seen from an end; how many there were. The
 * value lies elsewhere. */
size_t list_remove(struct key *k, enum list_end from, struct bytes value, size_t max,
                   int64_t limit);
/* The encoding that suits the values that are about to be added, as Redis chooses it: before. */
void list_make_room(struct key *k, const struct bytes *values, size_t count, int64_t limit);

/* A copy of the elements that belongs to no key, for who reads it once and slowly: from its front,
 * dropping each node that is done with. Copying is one memcpy a node. */
struct list *list_copy(const struct list *l);
void list_drop_first_node(struct list *l);
void list_free(struct list *l); /* NULL is fine */

/* Walks from the element at `index` (<= count) to the end that is not `from`; the list must not
 * change meanwhile. The index counts from the head, whatever the direction. */
struct list_iter {
    const struct list_node *node; /* NULL: done */
    uint32_t at;
    enum list_end from;
};
void list_iter_init(struct list_iter *it, const struct key *k, size_t index, enum list_end from);
bool list_iter_next(struct list_iter *it, struct bytes *ret);

#endif
