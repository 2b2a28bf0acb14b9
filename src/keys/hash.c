#include "keys/hash.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

static struct bytes entry_key(const void *item)
{
    return hash_entry_field(item);
}

static const struct map_type entry_type = {.key = entry_key, .free = mem_free};

static struct hash_entry *new_entry(struct bytes field, struct bytes value)
{
    struct hash_entry *e = mem_alloc(sizeof *e + field.len + value.len);
    e->field_len = (uint32_t)field.len;
    e->value_len = (uint32_t)value.len;
    if (field.len > 0) memcpy(e->data, field.data, field.len);
    if (value.len > 0) memcpy(e->data + field.len, value.data, value.len);
    return e;
}

/* ---- Life ---- */

void hash_init(struct key *k)
{
    struct hash *h = mem_calloc(sizeof *h);
    map_init(&h->table, &entry_type);
    k->value.hash = h;
    k->encoding = ENC_LISTPACK;
}

static void free_value(struct key *k)
{
    struct hash *h = k->value.hash;
    if (h == NULL) return;
    pack_fini(&h->pack);
    map_clear(&h->table);
    mem_free(h);
}

static void copy_value(struct key *to, const struct key *from)
{
    struct hash_iter it;
    struct bytes field, value;
    hash_init(to);
    to->encoding = from->encoding;
    if (from->encoding == ENC_LISTPACK) {
        pack_copy(&to->value.hash->pack, &from->value.hash->pack);
        return;
    }
    hash_iter_init(&it, from);
    while (hash_iter_next(&it, &field, &value))
        map_insert(&to->value.hash->table, new_entry(field, value));
    hash_iter_fini(&it);
}

static size_t memory_of(const struct key *k, size_t samples)
{
    const struct hash *h = k->value.hash;
    size_t sum = 0, seen = 0;
    struct map_iter it;
    const struct hash_entry *e;
    if (k->encoding == ENC_LISTPACK) return mem_size(h) + h->pack.bytes.cap;
    map_iter_init(&it, (struct map *)&h->table);
    while ((samples == 0 || seen < samples) && (e = map_iter_next(&it)) != NULL) {
        sum += mem_size(e);
        seen++;
    }
    map_iter_fini(&it);
    return mem_size(h) + map_memory(&h->table) + (seen ? sum * map_count(&h->table) / seen : 0);
}

static size_t weight_of(const struct key *k)
{
    return k->value.hash == NULL ? 0 : map_count(&k->value.hash->table);
}

const struct key_ops hash_ops = {.name = "hash",
                                 .free = free_value,
                                 .copy = copy_value,
                                 .memory = memory_of,
                                 .weight = weight_of};

/* ---- Changing form ---- */

static void to_table(struct key *k)
{
    struct hash *h = k->value.hash;
    struct hash_iter it;
    struct bytes field, value;
    map_reserve(&h->table, hash_count(k) + 1);
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) map_insert(&h->table, new_entry(field, value));
    hash_iter_fini(&it);
    pack_fini(&h->pack);
    k->encoding = ENC_HASHTABLE;
}

void hash_make_room(struct key *k, const struct bytes *texts, size_t count,
                    const struct hash_limits *limits)
{
    if (k->encoding != ENC_LISTPACK) return;
    for (size_t i = 0; i < count; i++) {
        if ((int64_t)texts[i].len <= limits->value) continue;
        to_table(k);
        return;
    }
}

/* ---- Fields ---- */

size_t hash_count(const struct key *k)
{
    const struct hash *h = k->value.hash;
    return k->encoding == ENC_LISTPACK ? h->pack.count / 2 : map_count(&h->table);
}

bool hash_get(const struct key *k, struct bytes field, struct bytes *ret_value)
{
    struct hash *h = k->value.hash;
    if (k->encoding == ENC_HASHTABLE) {
        const struct hash_entry *e = map_get(&h->table, field);
        if (e != NULL) *ret_value = hash_entry_value(e);
        return e != NULL;
    }
    ssize_t found = pack_find(&h->pack, field, 2);
    if (found < 0) return false;
    size_t at = (size_t)found;
    struct bytes skipped;
    return pack_next(&h->pack, &at, &skipped) && pack_next(&h->pack, &at, ret_value);
}

static bool set_in_pack(struct pack *p, struct bytes field, struct bytes value)
{
    ssize_t found = pack_find(p, field, 2);
    if (found < 0) {
        pack_append(p, field);
        pack_append(p, value);
        return true;
    }
    size_t at = (size_t)found;
    struct bytes skipped;
    pack_next(p, &at, &skipped);
    pack_replace(p, at, value);
    return false;
}

static bool set_in_table(struct map *table, struct bytes field, struct bytes value)
{
    uint64_t hash = hash_bytes(field);
    struct hash_entry *e = map_get_hashed(table, field, hash);
    if (e == NULL) {
        map_insert_hashed(table, new_entry(field, value), hash);
        return true;
    }
    if (e->value_len == value.len) {
        memmove(e->data + e->field_len, value.data, value.len);
        return false;
    }
    struct hash_entry *next = new_entry(field, value);
    map_replace_hashed(table, e, next, hash);
    mem_free(e);
    return false;
}

bool hash_set(struct key *k, struct bytes field, struct bytes value,
              const struct hash_limits *limits)
{
    struct hash *h = k->value.hash;
    struct bytes both[] = {field, value};
    hash_make_room(k, both, 2, limits);
    bool is_new = k->encoding == ENC_LISTPACK ? set_in_pack(&h->pack, field, value)
                                              : set_in_table(&h->table, field, value);
    if (k->encoding == ENC_LISTPACK && (int64_t)hash_count(k) > limits->entries) to_table(k);
    return is_new;
}

bool hash_delete(struct key *k, struct bytes field)
{
    struct hash *h = k->value.hash;
    if (k->encoding == ENC_HASHTABLE) return map_delete(&h->table, field);
    ssize_t at = pack_find(&h->pack, field, 2);
    if (at >= 0) pack_remove(&h->pack, (size_t)at, 2);
    return at >= 0;
}

void hash_random(const struct key *k, struct rng *rng, struct bytes *ret_field,
                 struct bytes *ret_value)
{
    struct hash *h = k->value.hash;
    if (k->encoding == ENC_HASHTABLE) {
        const struct hash_entry *e = map_random(&h->table, rng);
        *ret_field = hash_entry_field(e);
        *ret_value = hash_entry_value(e);
        return;
    }
    size_t at = pack_offset(&h->pack, 2 * (uint32_t)rng_below(rng, h->pack.count / 2));
    pack_next(&h->pack, &at, ret_field);
    pack_next(&h->pack, &at, ret_value);
}

void hash_iter_init(struct hash_iter *it, const struct key *k)
{
    it->key = k;
    it->at = 0;
    if (k->encoding == ENC_HASHTABLE) map_iter_init(&it->table, &k->value.hash->table);
}

bool hash_iter_next(struct hash_iter *it, struct bytes *ret_field, struct bytes *ret_value)
{
    const struct hash *h = it->key->value.hash;
    if (it->key->encoding == ENC_LISTPACK)
        return pack_next(&h->pack, &it->at, ret_field) && pack_next(&h->pack, &it->at, ret_value);
    const struct hash_entry *e = map_iter_next(&it->table);
    if (e == NULL) return false;
    *ret_field = hash_entry_field(e);
    *ret_value = hash_entry_value(e);
    return true;
}

void hash_iter_fini(struct hash_iter *it)
{
    if (it->key->encoding == ENC_HASHTABLE) map_iter_fini(&it->table);
}
