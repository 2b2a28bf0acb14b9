/* A hash table of pointers to items that carry their own key.
 *
 * Buckets of one cache line: a byte of tag per slot decides most lookups without touching an item;
 * a full bucket continues in another of the same shape. Two tables while it grows or shrinks; every
 * change moves a few buckets along, so no call is slow at millions of items. A scan's cursor counts
 * buckets with its bits reversed, so that whatever is in the table from the first to the last call
 * of a scan is seen at least once, however often the table is resized between (the guarantee of
 * SCAN). One thread. */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

#include "base/bytes.h"
#include "base/rand.h"

struct map_type {
    struct bytes (*key)(const void *item); /* borrowed, as long as the item */
    void (*free)(void *item);              /* NULL: items are not owned */
};

struct map_table {
    struct map_bucket *buckets; /* NULL when empty */
    size_t count;               /* items in this table */
    size_t chained;             /* overflow buckets in use */
    int8_t bits;                /* log2 of the number of top-level buckets, -1 when empty */
};

struct map {
    const struct map_type *type;
    struct map_table table[2]; /* [1] is the target while a resize is under way */
    size_t moved;              /* buckets of [0] already moved */
    bool resizing;
    uint16_t pinned; /* iterators that forbid moving */
};

void map_init(struct map *m, const struct map_type *type);
/* Frees all items by type->free. Leaves an empty, usable map. */
void map_clear(struct map *m);
static inline size_t map_count(const struct map *m)
{
    return m->table[0].count + m->table[1].count;
}

/* `hash` is hash_bytes(key), for callers that need it twice. NULL when absent. */
void *map_get_hashed(struct map *m, struct bytes key, uint64_t hash);
void *map_get(struct map *m, struct bytes key);
/* The key must not be in the map. */
void map_insert_hashed(struct map *m, void *item, uint64_t hash);
void map_insert(struct map *m, void *item);
/* Replaces the pointer of an item by another of the same key (after a realloc, say). `old` may
 * already be freed: it is compared as an address only. */
void map_replace_hashed(struct map *m, const void *old, void *item, uint64_t hash);
/* Takes the item out without freeing it; NULL when absent. */
void *map_take_hashed(struct map *m, struct bytes key, uint64_t hash);
void *map_take(struct map *m, struct bytes key);
/* Takes out and frees; false when absent. */
bool map_delete(struct map *m, struct bytes key);

/* Fairly uniform; NULL when empty. */
void *map_random(struct map *m, struct rng *rng);
/* Makes room for `count` items at once. */
void map_reserve(struct map *m, size_t count);
/* Brings the bucket of this hash into the cache, for a lookup that follows soon. */
void map_prefetch(const struct map *m, uint64_t hash);
/* And then, some time after it, of the item that is probably the one. */
void map_prefetch_item(const struct map *m, uint64_t hash);
/* Moves up to `buckets` buckets of a resize under way; for idle moments. True while one is. */
bool map_step(struct map *m, size_t buckets);

/* Calls fn for every item of the next bucket (and of its images in the other table); returns the
 * next cursor, 0 at the end. fn must not change the map. */
uint64_t map_scan(struct map *m, uint64_t cursor, void (*fn)(void *item, void *arg), void *arg);

/* Walks all items in no order. Between init and fini nothing may be inserted; the item last
 * returned may be taken out. */
struct map_iter {
    struct map *map;
    int table;
    size_t bucket;
    const struct map_bucket *at;
    int slot;
};
void map_iter_init(struct map_iter *it, struct map *m);
void *map_iter_next(struct map_iter *it); /* NULL at the end */
void map_iter_fini(struct map_iter *it);

/* Bytes of the table itself, without items. */
size_t map_memory(const struct map *m);

#endif
