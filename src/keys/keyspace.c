/* Names, tables and expiry of the sixteen databases; the values are their modules' business. */
#include "keys/keyspace.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "keys/expiry.h"
#include "keys/reaper.h"
#include "keys/stream_store.h"

/* Beyond this many allocations freeing is left to the reaper. */
enum { WEIGHT_AT_ONCE = 256 };

struct db {
    struct map keys;
    struct expiry expiry;
};

struct keyspace {
    struct db dbs[KEYSPACE_DBS];
    struct reaper *reaper;
    struct stream_store streams;
    uint16_t mark;
};

static const struct key_ops *const ops_of[KEY_TYPES] = {
    [KEY_STRING] = &str_ops, [KEY_LIST] = &list_ops, [KEY_SET] = &set_ops,
    [KEY_ZSET] = &zset_ops,  [KEY_HASH] = &hash_ops, [KEY_STREAM] = &stream_ops,
};

static struct bytes name_of_item(const void *item)
{
    return key_name(item);
}

static void free_item(void *item)
{
    struct key *k = item;
    ops_of[k->type]->free(k);
    mem_free(k);
}

static const struct map_type key_map_type = {.key = name_of_item, .free = free_item};

struct keyspace *keyspace_new(void)
{
    struct keyspace *ks = mem_calloc(sizeof *ks);
    for (int i = 0; i < KEYSPACE_DBS; i++) map_init(&ks->dbs[i].keys, &key_map_type);
    ks->reaper = reaper_new();
    stream_store_init(&ks->streams);
    return ks;
}

static void clear_db(struct db *db)
{
    map_clear(&db->keys);
    expiry_fini(&db->expiry);
}

void keyspace_free(struct keyspace *ks)
{
    if (ks == NULL) return;
    for (int i = 0; i < KEYSPACE_DBS; i++) clear_db(&ks->dbs[i]);
    reaper_free(ks->reaper);
    stream_store_fini(&ks->streams);
    mem_free(ks);
}

struct stream_store *keyspace_streams(struct keyspace *ks)
{
    return &ks->streams;
}

const char *key_type_name(enum key_type type)
{
    return ops_of[type]->name;
}

const char *key_encoding_name(enum key_encoding encoding)
{
    static const char *const names[] = {"int",       "embstr",   "raw",       "listpack", "intset",
                                        "hashtable", "skiplist", "quicklist", "stream"};
    return names[encoding];
}

size_t key_memory(const struct key *k, size_t samples)
{
    enum { SLOT_BYTES = 10 }; /* the key's share of a table bucket */
    return mem_size(k) + SLOT_BYTES + ops_of[k->type]->memory(k, samples);
}

struct key *keyspace_find(struct keyspace *ks, int db, struct bytes name, uint64_t hash)
{
    return map_get_hashed(&ks->dbs[db].keys, name, hash);
}

static struct key *new_key(const struct keyspace *ks, struct bytes name)
{
    must(name.len <= UINT32_MAX);
    struct key *k = mem_alloc(sizeof *k + name.len);
    *k = (struct key){.expire_at_ms = KEY_NEVER, .name_len = (uint32_t)name.len, .mark = ks->mark};
    if (name.len > 0) memcpy(k->name, name.data, name.len);
    return k;
}

struct key *keyspace_add(struct keyspace *ks, int db, struct bytes name, uint64_t hash,
                         enum key_type type, enum key_encoding encoding)
{
    struct key *k = new_key(ks, name);
    k->type = (uint8_t)type;
    k->encoding = (uint8_t)encoding;
    map_insert_hashed(&ks->dbs[db].keys, k, hash);
    return k;
}

static bool is_heavy(const struct key *k)
{
    const struct key_ops *ops = ops_of[k->type];
    return ops->weight != NULL && ops->weight(k) > WEIGHT_AT_ONCE;
}

void keyspace_remove(struct keyspace *ks, int db, struct key *k)
{
    struct bytes name = key_name(k);
    struct key *taken = map_take_hashed(&ks->dbs[db].keys, name, hash_bytes(name));
    must(taken == k);
    if (k->expire_at_ms != KEY_NEVER) expiry_remove(&ks->dbs[db].expiry, k);
    if (is_heavy(k)) reaper_take(ks->reaper, free_item, k);
    else free_item(k);
}

/* The value goes on in a nameless key, for the reaper. */
static void leave_value(struct keyspace *ks, const struct key *k)
{
    struct key *rest = new_key(ks, (struct bytes){NULL, 0});
    rest->type = k->type;
    rest->encoding = k->encoding;
    rest->value = k->value;
    reaper_take(ks->reaper, free_item, rest);
}

void keyspace_reset(struct keyspace *ks, struct key *k, enum key_type type,
                    enum key_encoding encoding)
{
    if (is_heavy(k)) leave_value(ks, k);
    else ops_of[k->type]->free(k);
    k->value.any = NULL;
    k->type = (uint8_t)type;
    k->encoding = (uint8_t)encoding;
}

struct key *keyspace_rename(struct keyspace *ks, int db, struct key *k, int to_db,
                            struct bytes to_name)
{
    struct key *to = new_key(ks, to_name);
    to->type = k->type;
    to->encoding = k->encoding;
    to->value = k->value;
    to->accessed_s = k->accessed_s;
    int64_t at_ms = k->expire_at_ms;
    struct key *taken = map_take(&ks->dbs[db].keys, key_name(k));
    must(taken == k);
    if (at_ms != KEY_NEVER) expiry_remove(&ks->dbs[db].expiry, k);
    mem_free(k); /* the value lives on */
    map_insert(&ks->dbs[to_db].keys, to);
    keyspace_expire_at(ks, to_db, to, at_ms);
    return to;
}

struct key *keyspace_copy(struct keyspace *ks, const struct key *k, int to_db, struct bytes to_name)
{
    struct key *to = new_key(ks, to_name);
    to->type = k->type;
    to->encoding = k->encoding;
    to->accessed_s = k->accessed_s;
    ops_of[k->type]->copy(to, k);
    map_insert(&ks->dbs[to_db].keys, to);
    keyspace_expire_at(ks, to_db, to, k->expire_at_ms);
    return to;
}

void keyspace_expire_at(struct keyspace *ks, int db, struct key *k, int64_t at_ms)
{
    struct expiry *e = &ks->dbs[db].expiry;
    bool was_in = k->expire_at_ms != KEY_NEVER;
    bool goes_in = at_ms != KEY_NEVER;
    if (was_in && !goes_in) expiry_remove(e, k);
    k->expire_at_ms = at_ms;
    if (goes_in && was_in) expiry_moved(e, k);
    if (goes_in && !was_in) expiry_add(e, k);
}

struct key *keyspace_first_to_expire(struct keyspace *ks, int db)
{
    struct expiry *e = &ks->dbs[db].expiry;
    return e->count > 0 ? e->heap[0] : NULL;
}

void keyspace_mark(struct keyspace *ks, uint16_t mark)
{
    ks->mark = mark;
}

void keyspace_reserve(struct keyspace *ks, int db, size_t keys, size_t expiring)
{
    map_reserve(&ks->dbs[db].keys, keys);
    expiry_reserve(&ks->dbs[db].expiry, expiring);
}

void keyspace_prefetch(struct keyspace *ks, int db, uint64_t hash)
{
    map_prefetch(&ks->dbs[db].keys, hash);
}

void keyspace_prefetch_key(struct keyspace *ks, int db, uint64_t hash)
{
    map_prefetch_item(&ks->dbs[db].keys, hash);
}

size_t keyspace_count(const struct keyspace *ks, int db)
{
    return map_count(&ks->dbs[db].keys);
}

size_t keyspace_count_expiring(const struct keyspace *ks, int db)
{
    return ks->dbs[db].expiry.count;
}

static void free_db(void *item)
{
    clear_db(item);
    mem_free(item);
}

static bool is_light(struct map *keys)
{
    struct map_iter it;
    const struct key *k;
    if (map_count(keys) > WEIGHT_AT_ONCE) return false;
    map_iter_init(&it, keys);
    while ((k = map_iter_next(&it)) != NULL && !is_heavy(k)) {
    }
    map_iter_fini(&it);
    return k == NULL;
}

void keyspace_flush(struct keyspace *ks, int db)
{
    struct db *d = &ks->dbs[db];
    if (is_light(&d->keys)) {
        clear_db(d);
        return;
    }
    reaper_take(ks->reaper, free_db, mem_dup(d, sizeof *d));
    *d = (struct db){0};
    map_init(&d->keys, &key_map_type);
}

size_t keyspace_dying(const struct keyspace *ks)
{
    return reaper_pending(ks->reaper);
}

void keyspace_swap(struct keyspace *ks, int a, int b)
{
    struct db kept = ks->dbs[a];
    ks->dbs[a] = ks->dbs[b];
    ks->dbs[b] = kept;
}

struct key *keyspace_random(struct keyspace *ks, int db, struct rng *rng)
{
    return map_random(&ks->dbs[db].keys, rng);
}

uint64_t keyspace_scan(struct keyspace *ks, int db, uint64_t cursor,
                       void (*fn)(void *key, void *arg), void *arg)
{
    return map_scan(&ks->dbs[db].keys, cursor, fn, arg);
}

struct map *keyspace_map(struct keyspace *ks, int db)
{
    return &ks->dbs[db].keys;
}

bool keyspace_step(struct keyspace *ks, size_t buckets)
{
    bool more = false;
    for (int i = 0; i < KEYSPACE_DBS; i++) more |= map_step(&ks->dbs[i].keys, buckets);
    return more;
}
