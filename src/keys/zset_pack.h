/* The small form of a sorted set: a pack of pairs, in order, that can be walked from both ends.
 *
 *     | len | member | 12 | score (8 bytes, double) | bytes of the pair before its last 4 (u32) |
 *
 * -0 is kept as 0, as Redis does in a listpack. */
#ifndef LEAT_KEYS_ZSET_PACK_H
#define LEAT_KEYS_ZSET_PACK_H

#include "keys/pack.h"
#include "keys/zset.h"

/* The pair at *at; moves behind it. False at the end. */
bool zset_pack_next(const struct pack *p, size_t *at, struct zset_entry *ret);
/* The pair that ends at *at; moves to its start. False at the beginning. */
bool zset_pack_prev(const struct pack *p, size_t *at, struct zset_entry *ret);
/* Where the pair of this rank (<= count) starts. */
size_t zset_pack_seek(const struct pack *p, size_t rank);
bool zset_pack_find(const struct pack *p, struct bytes member, size_t *ret_at, size_t *ret_rank,
                    double *ret_score);
/* The member must not be there, and may not be bytes of the pack. */
void zset_pack_insert(struct pack *p, struct bytes member, double score);
void zset_pack_remove(struct pack *p, size_t at);
/* How many pairs at the start have a score, or a member, below the bound (or_equal: or equal). */
size_t zset_pack_count_below(const struct pack *p, double score, bool or_equal);
size_t zset_pack_count_below_name(const struct pack *p, struct bytes name, bool or_equal);
static inline size_t zset_pack_count(const struct pack *p)
{
    return p->count / 2;
}

#endif
