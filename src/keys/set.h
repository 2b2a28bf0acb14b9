/* Set values: a sorted array of integers, a pack of small members, or a table. Small forms become
 * tables when they outgrow the limits handed in; never back. One thread. */
#ifndef LEAT_KEYS_SET_H
#define LEAT_KEYS_SET_H

#include "keys/keyspace.h"
#include "keys/pack.h"

struct set_limits {
    int64_t intset_entries, listpack_entries, listpack_value;
};

struct set_member {
    uint32_t len;
    char data[];
};

struct set {
    int64_t *integers; /* ENC_INTSET, ascending */
    size_t integer_count, integer_cap;
    struct pack pack; /* ENC_LISTPACK */
    struct map table; /* ENC_HASHTABLE: of struct set_member */
};

enum { SET_SCRATCH = 24 }; /* room for an integer member's text */

/* A key of type KEY_SET with a zero value becomes an empty set, in the form that suits `first`. */
void set_init(struct key *k, struct bytes first, const struct set_limits *limits);
size_t set_count(const struct key *k);
bool set_contains(const struct key *k, struct bytes member);
/* False when it was there (add) or was not (remove). */
bool set_add(struct key *k, struct bytes member, const struct set_limits *limits);
bool set_remove(struct key *k, struct bytes member);
/* A member at random; integers are written into `scratch`. Not empty. Borrowed until a change. */
struct bytes set_random(const struct key *k, struct rng *rng, char *scratch);

/* Walks all members; the set must not change meanwhile. */
struct set_iter {
    const struct key *key;
    size_t at;
    struct map_iter table;
    char scratch[SET_SCRATCH];
};
void set_iter_init(struct set_iter *it, const struct key *k);
bool set_iter_next(struct set_iter *it, struct bytes *ret); /* borrowed until the next call */
void set_iter_fini(struct set_iter *it);

#endif
