/* The inside of a map, for map.c (buckets, tables, resizing, lookups) and map_walk.c (iterators,
 * scans, random picks). What map.h promises is kept by these rules:
 *
 *     bucket (64 bytes):  tag[7] meta | item[0] ... item[5] item[6]
 *                                       (chained: item[6] is the next bucket of the chain)
 *
 * - Bit i of meta says that slot i holds an item, CHAINED that slot 6 holds a bucket instead.
 * - An item's top-level bucket is given by the low bits of its hash, its tag by the high ones.
 * - While a resize is under way, the buckets of table 0 below `moved` are moved and not looked at
 *   any more (their memory may be gone): an item lives in table 0 if its bucket there is not below
 *   `moved`, else in table 1. So each key has one place, and a lookup touches one table.
 * - Nothing is moved, within a chain neither, while an iterator pins the map. */
#ifndef LEAT_BASE_MAP_PRIV_H
#define LEAT_BASE_MAP_PRIV_H

#include "base/map.h"

enum {
    MAP_SLOTS = 7,
    MAP_CHAINED = 0x80,
    MAP_STEP_BUCKETS = 8, /* looked at per change while resizing, up to one that has items */
};

struct map_bucket {
    uint8_t tag[MAP_SLOTS];
    uint8_t meta;
    void *item[MAP_SLOTS];
};

static inline unsigned map_occupied(const struct map_bucket *b)
{
    return b->meta & 0x7f;
}

static inline struct map_bucket *map_chain_next(const struct map_bucket *b)
{
    return b->meta & MAP_CHAINED ? b->item[MAP_SLOTS - 1] : NULL;
}

static inline size_t map_table_size(const struct map_table *t)
{
    return t->bits < 0 ? 0 : (size_t)1 << t->bits;
}

/* The first bucket of table `t` that is still looked at. */
static inline size_t map_first_live(const struct map *m, int t)
{
    return t == 0 ? m->moved : 0;
}

/* Moves a resize on, if one is under way and no iterator forbids it: looks at up to `looks` buckets
 * and moves at most `moves` that have items. */
void map_advance(struct map *m, size_t looks, size_t moves);
/* Begins to shrink, or drops the tables of an empty map, where that is due and allowed. */
void map_shrink_if_sparse(struct map *m);

#endif
