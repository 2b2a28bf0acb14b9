/* Sorted set values: members with scores, in the order of (score, member).
 *
 * A small set is one run of bytes (zset_pack.h); beyond the limits handed in with an addition it
 * becomes a table, a map and an ordered tree of the same items, and stays one. Every range, by
 * rank, score or name, is first turned into a span of ranks, then walked. One thread. */
#ifndef LEAT_KEYS_ZSET_H
#define LEAT_KEYS_ZSET_H

#include "base/order.h"
#include "keys/keyspace.h"

struct zset;
struct zset_item;

/* zset-max-listpack-entries and zset-max-listpack-value. */
struct zset_limits {
    size_t entries, value;
};

struct zset_entry {
    struct bytes member; /* borrowed until the set changes */
    double score;
};

struct zset *zset_new(void);
void zset_free(struct zset *z); /* NULL is fine */
struct zset *zset_copy(const struct zset *z);
size_t zset_count(const struct zset *z);
enum key_encoding zset_encoding(const struct zset *z);

/* Where a member is, or that it is not there; valid until the set changes. */
struct zset_place {
    struct zset *zset;
    struct bytes member; /* as given to zset_find: borrowed */
    uint64_t hash;       /* of a table only */
    struct zset_item *item;
    size_t offset; /* in the pack */
    double score;  /* when found */
    bool found;
};
/* z may be NULL: found nowhere. True when found. */
bool zset_find(struct zset *z, struct bytes member, struct zset_place *ret_place);
/* Adds the member or gives it another score, which is not NaN. */
void zset_assign(const struct zset_place *place, double score, const struct zset_limits *limits);
void zset_take(const struct zset_place *place); /* the place was found */

/* The same in one call. zset_put: true when the member is new; zset_remove: when it was there,
 * `member` may be the set's own bytes. */
bool zset_score(struct zset *z, struct bytes member, double *ret_score);
bool zset_put(struct zset *z, struct bytes member, double score, const struct zset_limits *limits);
bool zset_remove(struct zset *z, struct bytes member);
/* False when the member is absent. */
bool zset_rank(struct zset *z, struct bytes member, size_t *ret_rank, double *ret_score);

/* ---- Ranges ---- */

struct zset_span { /* ranks start, start + 1, ... */
    size_t start, count;
};
struct zset_score_range {
    double min, max;
    bool min_open, max_open; /* the bound itself is outside */
};
struct zset_name_bound {
    enum { ZSET_NAME_LEAST, ZSET_NAME_GREATEST, ZSET_NAME_CLOSED, ZSET_NAME_OPEN } kind;
    struct bytes text;
};
struct zset_name_range {
    struct zset_name_bound min, max;
};

/* Negative ranks count from the end; what is outside is cut off. */
struct zset_span zset_span_of_ranks(const struct zset *z, int64_t start, int64_t stop);
struct zset_span zset_span_of_scores(const struct zset *z, const struct zset_score_range *range);
/* Sensible only where all scores are equal. */
struct zset_span zset_span_of_names(const struct zset *z, const struct zset_name_range *range);
/* What LIMIT leaves of a span that is walked in this direction; count < 0: all. */
struct zset_span zset_span_limit(struct zset_span span, bool reverse, int64_t offset,
                                 int64_t count);

/* Walks a span; the set must not change meanwhile. */
struct zset_iter {
    const struct zset *zset;
    struct order_iter at; /* in a table */
    size_t offset;        /* in a pack */
    size_t left;
    bool reverse;
};
void zset_iter_init(struct zset_iter *it, const struct zset *z, struct zset_span span,
                    bool reverse);
bool zset_iter_next(struct zset_iter *it, struct zset_entry *ret);
/* The entry of one rank, which must be below the count. */
struct zset_entry zset_at(const struct zset *z, size_t rank);

/* The table of a large set, for scans: its items, each seen as an entry. NULL: the set is small. */
struct map *zset_map(struct zset *z);
struct zset_entry zset_item_entry(const struct zset_item *item);

/* Bytes held. `samples` items stand for all others; 0: all are looked at. */
size_t zset_memory(const struct zset *z, size_t samples);

/* ---- A set under construction: a map only, sorted once at the end ---- */

struct zset_draft {
    struct map items; /* of struct zset_item */
};
void zset_draft_init(struct zset_draft *d);
void zset_draft_fini(struct zset_draft *d);
/* The place for the member's score; *ret_new: it was added just now, with score 0. Valid until the
 * next call. */
double *zset_draft_slot(struct zset_draft *d, struct bytes member, bool *ret_new);
void zset_draft_remove(struct zset_draft *d, struct bytes member);
static inline size_t zset_draft_count(const struct zset_draft *d)
{
    return map_count(&d->items);
}
/* The set; the draft is empty after it. */
struct zset *zset_draft_finish(struct zset_draft *d, const struct zset_limits *limits);

#endif
