/* Hash values: a pack of field, value, field, value ... while small, a table beyond the limits
 * handed in; never back. One thread. */
#ifndef LEAT_KEYS_HASH_H
#define LEAT_KEYS_HASH_H

#include "keys/keyspace.h"
#include "keys/pack.h"

struct hash_limits {
    int64_t entries, value;
};

struct hash_entry { /* field and value in one allocation */
    uint32_t field_len, value_len;
    char data[];
};

struct hash {
    struct pack pack; /* ENC_LISTPACK */
    struct map table; /* ENC_HASHTABLE: of struct hash_entry */
};

static inline struct bytes hash_entry_field(const struct hash_entry *e)
{
    return (struct bytes){e->data, e->field_len};
}
static inline struct bytes hash_entry_value(const struct hash_entry *e)
{
    return (struct bytes){e->data + e->field_len, e->value_len};
}

/* A key of type KEY_HASH with a zero value becomes an empty hash. */
void hash_init(struct key *k);
size_t hash_count(const struct key *k);
/* Borrowed until the next change. */
bool hash_get(const struct key *k, struct bytes field, struct bytes *ret_value);
/* True when the field is new. */
bool hash_set(struct key *k, struct bytes field, struct bytes value,
              const struct hash_limits *limits);
bool hash_delete(struct key *k, struct bytes field);
/* A field at random and its value. Not empty. */
void hash_random(const struct key *k, struct rng *rng, struct bytes *ret_field,
                 struct bytes *ret_value);
/* Turns to a table now if one of these lengths is over the limit, as Redis does before HSET. */
void hash_make_room(struct key *k, const struct bytes *texts, size_t count,
                    const struct hash_limits *limits);

/* Walks all fields; the hash must not change meanwhile. */
struct hash_iter {
    const struct key *key;
    size_t at;
    struct map_iter table;
};
void hash_iter_init(struct hash_iter *it, const struct key *k);
bool hash_iter_next(struct hash_iter *it, struct bytes *ret_field, struct bytes *ret_value);
void hash_iter_fini(struct hash_iter *it);

#endif
