/* The keyspace: sixteen databases of keys, each key with its value and perhaps a time to die.
 *
 * State only: nothing here journals, notifies or knows a command; a change made here and not
 * recorded is lost at the next start, so outside of replay only the broker's change_* functions
 * call what changes state. Values are modules of their own (str, list, hash, set, zset, stream);
 * this one owns names, expiry and the tables. Expired keys stay until somebody deletes them. One
 * thread. */
#ifndef LEAT_KEYS_KEYSPACE_H
#define LEAT_KEYS_KEYSPACE_H

#include "base/map.h"

enum { KEYSPACE_DBS = 16 };

enum key_type { KEY_STRING, KEY_LIST, KEY_SET, KEY_ZSET, KEY_HASH, KEY_STREAM, KEY_TYPES };

/* What OBJECT ENCODING says. */
enum key_encoding {
    ENC_INT,
    ENC_EMBSTR,
    ENC_RAW,
    ENC_LISTPACK,
    ENC_INTSET,
    ENC_HASHTABLE,
    ENC_SKIPLIST,
    ENC_QUICKLIST,
    ENC_STREAM,
};

#define KEY_NEVER INT64_MAX /* expire_at_ms of a key without expiry */

struct str;
struct list;
struct hash;
struct set;
struct zset;
struct stream;

struct key {
    int64_t expire_at_ms; /* Unix time; KEY_NEVER */
    union {
        int64_t integer; /* ENC_INT */
        struct str *str; /* ENC_EMBSTR, ENC_RAW */
        struct list *list;
        struct hash *hash;
        struct set *set;
        struct zset *zset;
        struct stream *stream;
        void *any;
    } value;
    uint32_t expire_slot; /* its place in the expiry heap */
    uint32_t accessed_s;  /* Unix time, for OBJECT IDLETIME */
    uint32_t name_len;
    uint8_t type;
    uint8_t encoding;
    uint16_t mark; /* of the snapshot that it is in, or newer than; see keyspace_mark */
    char name[];
};

/* What every kind of value can do; one table per type, listed in keyspace.c. */
struct key_ops {
    const char *name; /* TYPE's answer */
    void (*free)(struct key *k);
    void (*copy)(struct key *to, const struct key *from);  /* value and encoding */
    size_t (*memory)(const struct key *k, size_t samples); /* samples 0: all */
    /* Allocations there are to free, or so; what is heavy is freed on another thread, by `free`,
     * which may touch nothing but the value. NULL: it never is. */
    size_t (*weight)(const struct key *k);
};
extern const struct key_ops str_ops, list_ops, set_ops, zset_ops, hash_ops, stream_ops;

struct keyspace;
struct stream_store;

struct keyspace *keyspace_new(void);
void keyspace_free(struct keyspace *ks);
/* Where the entries of its streams are (stream_store.h); the keyspace's. */
struct stream_store *keyspace_streams(struct keyspace *ks);

static inline struct bytes key_name(const struct key *k)
{
    return (struct bytes){k->name, k->name_len};
}
static inline bool key_is_expired(const struct key *k, int64_t now_ms)
{
    return k->expire_at_ms <= now_ms;
}
const char *key_type_name(enum key_type type);
const char *key_encoding_name(enum key_encoding encoding);
size_t key_memory(const struct key *k, size_t samples);

/* NULL when absent. `hash` is hash_bytes(name). Pointers to keys stay valid until the key is
 * removed, renamed or moved. */
struct key *keyspace_find(struct keyspace *ks, int db, struct bytes name, uint64_t hash);
/* A new key without expiry and with a zero value, which the caller sets at once; must be absent. */
struct key *keyspace_add(struct keyspace *ks, int db, struct bytes name, uint64_t hash,
                         enum key_type type, enum key_encoding encoding);
void keyspace_remove(struct keyspace *ks, int db, struct key *k);
/* Frees the value and leaves the key of another type with a zero value: for overwriting. */
void keyspace_reset(struct keyspace *ks, struct key *k, enum key_type type,
                    enum key_encoding encoding);
/* Gives the value and expiry of `k` to (to_db, to_name), which must be absent; k is gone. */
struct key *keyspace_rename(struct keyspace *ks, int db, struct key *k, int to_db,
                            struct bytes to_name);
/* A copy of value and expiry under (to_db, to_name), which must be absent. */
struct key *keyspace_copy(struct keyspace *ks, const struct key *k, int to_db,
                          struct bytes to_name);
/* KEY_NEVER takes the expiry away. */
void keyspace_expire_at(struct keyspace *ks, int db, struct key *k, int64_t at_ms);
/* The key of this database that expires first; NULL when none has an expiry. */
struct key *keyspace_first_to_expire(struct keyspace *ks, int db);

/* What new keys are marked with from now on. */
void keyspace_mark(struct keyspace *ks, uint16_t mark);
/* Room for so many keys, before they are loaded. */
void keyspace_reserve(struct keyspace *ks, int db, size_t keys, size_t expiring);
/* Brings what keyspace_find() of this hash will look at first into the cache. */
void keyspace_prefetch(struct keyspace *ks, int db, uint64_t hash);
/* And then, some time after it, of the key itself. */
void keyspace_prefetch_key(struct keyspace *ks, int db, uint64_t hash);

size_t keyspace_count(const struct keyspace *ks, int db);
size_t keyspace_count_expiring(const struct keyspace *ks, int db);
/* At once, however many keys there are: large tables and values are freed on another thread. */
void keyspace_flush(struct keyspace *ks, int db);
/* How many of those are not freed yet. */
size_t keyspace_dying(const struct keyspace *ks);
void keyspace_swap(struct keyspace *ks, int a, int b);
struct key *keyspace_random(struct keyspace *ks, int db, struct rng *rng);
uint64_t keyspace_scan(struct keyspace *ks, int db, uint64_t cursor,
                       void (*fn)(void *key, void *arg), void *arg);
struct map *keyspace_map(struct keyspace *ks, int db);
/* Goes on with resizes under way; for idle moments. True while there is more to do. */
bool keyspace_step(struct keyspace *ks, size_t buckets);

#endif
