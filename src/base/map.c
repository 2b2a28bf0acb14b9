/* Buckets, tables, resizing, lookups; the rules are in map_priv.h. */
#include "base/map_priv.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

enum {
    TOP_SLOT = 1 << (MAP_SLOTS - 1), /* the slot that a chained bucket lacks */
    ALIGN = 64,
    FILL_MAX = 5,           /* items per bucket before the table grows */
    SPARSE = 2,             /* buckets per item before it shrinks ... */
    SHRINK_BITS_MAX = 4,    /* ... at most so far at once, so that a scan's step stays small */
    MOVE_AT_ONCE_BITS = 3,  /* a table as small is moved in one go */
    PAGES_MIN = 512 * 1024, /* bytes of a table that gets pages of its own */
};

_Static_assert(sizeof(struct map_bucket) == 64, "a bucket is a cache line");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "match_tags reads tag[0] as lowest byte");

/* -- buckets ---------------------------------------------------------------------------------- */

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

static void put(struct map_bucket *b, int slot, uint8_t tag, void *item)
{
    b->tag[slot] = tag;
    b->meta |= (uint8_t)(1 << slot);
    b->item[slot] = item;
}

/* 0x80 in the byte of every slot whose tag is `tag`, occupied or not; exact, without carries. */
static uint64_t match_tags(const struct map_bucket *b, uint8_t tag)
{
    uint64_t word;
    memcpy(&word, b, sizeof word);
    uint64_t x = word ^ (0x0101010101010101u * tag);
    const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
    return ~(((x & low7) + low7) | x | low7) & 0x0080808080808080u;
}

/* -- tables ----------------------------------------------------------------------------------- */

static void table_new(struct map_table *t, int bits)
{
    size_t bytes = sizeof(struct map_bucket) << bits;
    void *buckets = bytes >= PAGES_MIN ? mem_pages_map(bytes) : mem_calloc_aligned(ALIGN, bytes);
    *t = (struct map_table){.buckets = buckets, .bits = (int8_t)bits};
}

/* Bytes of the table before bucket `moved` that have been given back. */
static size_t released(size_t moved)
{
    return moved * sizeof(struct map_bucket) / MEM_PAGES_PIECE * MEM_PAGES_PIECE;
}

static void table_free(struct map_table *t, size_t moved)
{
    size_t bytes = map_table_size(t) * sizeof(struct map_bucket);
    if (bytes >= PAGES_MIN) {
        mem_pages_unmap((char *)t->buckets + released(moved), bytes - released(moved));
    } else {
        mem_free(t->buckets);
    }
    *t = (struct map_table){.bits = -1};
}

static void table_insert(struct map_table *t, void *item, uint64_t hash)
{
    struct map_bucket *b = &t->buckets[hash & (map_table_size(t) - 1)];
    t->count++;
    while (b->meta & MAP_CHAINED) {
        unsigned room = ~map_occupied(b) & (TOP_SLOT - 1);
        if (room != 0) {
            put(b, __builtin_ctz(room), tag_of(hash), item);
            return;
        }
        b = map_chain_next(b);
    }
    unsigned room = ~map_occupied(b) & (2 * TOP_SLOT - 1);
    if (room == 0) { /* its top slot's item moves on, to make room for the link */
        struct map_bucket *more = mem_calloc_aligned(ALIGN, sizeof *more);
        put(more, 0, b->tag[MAP_SLOTS - 1], b->item[MAP_SLOTS - 1]);
        b->meta = MAP_CHAINED | (TOP_SLOT - 1);
        b->tag[MAP_SLOTS - 1] = 0;
        b->item[MAP_SLOTS - 1] = more;
        t->chained++;
        b = more;
        room = 2;
    }
    put(b, __builtin_ctz(room), tag_of(hash), item);
}

/* Fills the hole at `slot` of `b`, which is in the chain of `head`, from the chain's end, and drops
 * the last bucket when its predecessor can do without it. */
static void chain_close(struct map_table *t, struct map_bucket *head, struct map_bucket *b,
                        int slot)
{
    struct map_bucket *before = head, *last = map_chain_next(head);
    while (last->meta & MAP_CHAINED) before = last, last = map_chain_next(last);
    if (last != b && map_occupied(last) != 0) {
        int from = __builtin_ctz(map_occupied(last));
        put(b, slot, last->tag[from], last->item[from]);
        last->meta &= (uint8_t) ~(1 << from);
    }
    if (__builtin_popcount(map_occupied(last)) > 1) return;
    before->meta &= (uint8_t)~MAP_CHAINED;
    if (map_occupied(last) != 0) {
        int from = __builtin_ctz(map_occupied(last));
        put(before, MAP_SLOTS - 1, last->tag[from], last->item[from]);
    }
    mem_free(last);
    t->chained--;
}

/* -- resizing --------------------------------------------------------------------------------- */

static struct bytes key_of(const struct map *m, const void *item)
{
    return m->type->key(item);
}

static void prefetch_items(const struct map_bucket *b)
{
    for (unsigned left = map_occupied(b); left != 0; left &= left - 1)
        __builtin_prefetch(b->item[__builtin_ctz(left)]);
}

/* Moves the chain of one top-level bucket of table 0; true when there was an item in it. */
static bool move_bucket(struct map *m, size_t index)
{
    struct map_table *from = &m->table[0], *to = &m->table[1];
    struct map_bucket *head = &from->buckets[index];
    bool any = false;
    for (struct map_bucket *b = head, *next; b != NULL; b = next) {
        next = map_chain_next(b);
        prefetch_items(b);
        for (unsigned left = map_occupied(b); left != 0; left &= left - 1) {
            void *item = b->item[__builtin_ctz(left)];
            table_insert(to, item, hash_bytes(key_of(m, item)));
            from->count--;
            any = true;
        }
        if (b == head) {
            b->meta = 0;
        } else {
            mem_free(b);
            from->chained--;
        }
    }
    return any;
}

/* Bookkeeping after bucket `moved` of table 0 was moved: its memory is given back in pieces. */
static void count_moved(struct map *m)
{
    struct map_table *from = &m->table[0];
    size_t before = released(m->moved), n = map_table_size(from);
    m->moved++;
    if (m->moved == n) {
        table_free(from, m->moved - 1);
        m->table[0] = m->table[1];
        m->table[1] = (struct map_table){.bits = -1};
        m->resizing = false;
        m->moved = 0;
        return;
    }
    if (n * sizeof(struct map_bucket) >= PAGES_MIN)
        mem_pages_unmap((char *)from->buckets + before, released(m->moved) - before);
    prefetch_items(&from->buckets[m->moved]);
    if (m->moved + 1 < n) __builtin_prefetch(&from->buckets[m->moved + 1]);
}

void map_advance(struct map *m, size_t looks, size_t moves)
{
    while (m->resizing && m->pinned == 0 && looks-- > 0 && moves > 0) {
        if (move_bucket(m, m->moved)) moves--;
        count_moved(m);
    }
}

bool map_step(struct map *m, size_t buckets)
{
    map_advance(m, buckets, buckets);
    return m->resizing;
}

static void resize(struct map *m, int bits)
{
    must(!m->resizing && m->pinned == 0);
    if (m->table[0].bits == bits) return;
    if (m->table[0].bits < 0) {
        table_new(&m->table[0], bits);
        return;
    }
    table_new(&m->table[1], bits);
    m->resizing = true;
    m->moved = 0;
    if (m->table[0].bits <= MOVE_AT_ONCE_BITS) map_step(m, SIZE_MAX);
}

/* The least bits with at most `fill` items per bucket. */
static int bits_for(size_t count, size_t fill)
{
    int bits = 0;
    while (((size_t)fill << bits) < count) bits++;
    return bits;
}

static void grow_if_full(struct map *m)
{
    if (m->table[0].bits < 0) {
        resize(m, 0);
    } else if (!m->resizing && map_count(m) >= FILL_MAX * map_table_size(&m->table[0]) + 2) {
        resize(m, m->table[0].bits + 1);
    }
}

static void drop_tables(struct map *m)
{
    if (m->resizing) table_free(&m->table[1], 0);
    table_free(&m->table[0], m->moved);
    m->resizing = false;
    m->moved = 0;
}

void map_shrink_if_sparse(struct map *m)
{
    if (m->pinned > 0 || m->table[0].bits <= 0) return;
    if (map_count(m) == 0 && m->table[0].chained + m->table[1].chained == 0) {
        drop_tables(m);
        return;
    }
    if (m->resizing || map_count(m) * SPARSE >= map_table_size(&m->table[0])) return;
    int bits = bits_for(map_count(m), FILL_MAX / 2);
    if (bits < m->table[0].bits - SHRINK_BITS_MAX) bits = m->table[0].bits - SHRINK_BITS_MAX;
    if (bits < m->table[0].bits) resize(m, bits);
}

void map_reserve(struct map *m, size_t count)
{
    if (m->pinned > 0) return;
    map_step(m, SIZE_MAX);
    int bits = bits_for(count, FILL_MAX);
    if (bits > m->table[0].bits) resize(m, bits);
}

/* -- lookups ---------------------------------------------------------------------------------- */

void map_init(struct map *m, const struct map_type *type)
{
    *m = (struct map){.type = type, .table = {{.bits = -1}, {.bits = -1}}};
}

static struct map_table *table_of(struct map *m, uint64_t hash)
{
    bool moved = m->resizing && (hash & (map_table_size(&m->table[0]) - 1)) < m->moved;
    return &m->table[moved];
}

/* Where an item is: which bucket of which chain. */
struct place {
    struct map_table *table;
    struct map_bucket *head, *bucket;
    int slot;
};

/* With `address` given, the item at that address is looked for, and no item is touched. */
static bool find(struct map *m, struct bytes key, const void *address, uint64_t hash,
                 struct place *ret)
{
    if (map_count(m) == 0) return false;
    struct map_table *t = table_of(m, hash);
    struct map_bucket *head = &t->buckets[hash & (map_table_size(t) - 1)];
    uint8_t tag = tag_of(hash);
    for (struct map_bucket *b = head; b != NULL; b = map_chain_next(b)) {
        for (uint64_t hit = match_tags(b, tag); hit != 0; hit &= hit - 1) {
            int slot = __builtin_ctzll(hit) / 8;
            if (!(map_occupied(b) >> slot & 1)) continue;
            if (address != NULL ? b->item[slot] != address
                                : !bytes_eq(key_of(m, b->item[slot]), key))
                continue;
            *ret = (struct place){t, head, b, slot};
            return true;
        }
    }
    return false;
}

void map_prefetch(const struct map *m, uint64_t hash)
{
    const struct map_table *t = table_of((struct map *)m, hash);
    if (t->bits >= 0) __builtin_prefetch(&t->buckets[hash & (map_table_size(t) - 1)], 1);
}

void map_prefetch_item(const struct map *m, uint64_t hash)
{
    const struct map_table *t = table_of((struct map *)m, hash);
    if (t->bits < 0) return;
    const struct map_bucket *b = &t->buckets[hash & (map_table_size(t) - 1)];
    for (uint64_t hit = match_tags(b, tag_of(hash)); hit != 0; hit &= hit - 1) {
        int slot = __builtin_ctzll(hit) / 8;
        if (map_occupied(b) >> slot & 1) __builtin_prefetch(b->item[slot], 1);
    }
}

void *map_get_hashed(struct map *m, struct bytes key, uint64_t hash)
{
    struct place at;
    return find(m, key, NULL, hash, &at) ? at.bucket->item[at.slot] : NULL;
}

void *map_get(struct map *m, struct bytes key)
{
    return map_count(m) == 0 ? NULL : map_get_hashed(m, key, hash_bytes(key));
}

void map_insert_hashed(struct map *m, void *item, uint64_t hash)
{
    must(m->pinned == 0);
    map_advance(m, MAP_STEP_BUCKETS, 1);
    grow_if_full(m);
    table_insert(table_of(m, hash), item, hash);
}

void map_insert(struct map *m, void *item)
{
    map_insert_hashed(m, item, hash_bytes(key_of(m, item)));
}

void map_replace_hashed(struct map *m, const void *old, void *item, uint64_t hash)
{
    struct place at;
    must(old != NULL);
    bool found = find(m, (struct bytes){0}, old, hash, &at);
    must(found);
    at.bucket->item[at.slot] = item;
}

void *map_take_hashed(struct map *m, struct bytes key, uint64_t hash)
{
    struct place at;
    if (!find(m, key, NULL, hash, &at)) return NULL;
    void *item = at.bucket->item[at.slot];
    at.bucket->meta &= (uint8_t) ~(1 << at.slot);
    at.table->count--;
    if (m->pinned == 0) {
        if (at.head->meta & MAP_CHAINED) chain_close(at.table, at.head, at.bucket, at.slot);
        map_advance(m, MAP_STEP_BUCKETS, 1);
        map_shrink_if_sparse(m);
    }
    return item;
}

void *map_take(struct map *m, struct bytes key)
{
    return map_count(m) == 0 ? NULL : map_take_hashed(m, key, hash_bytes(key));
}

bool map_delete(struct map *m, struct bytes key)
{
    void *item = map_take(m, key);
    if (item != NULL && m->type->free != NULL) m->type->free(item);
    return item != NULL;
}

void map_clear(struct map *m)
{
    must(m->pinned == 0);
    bool walk = m->type->free != NULL || m->table[0].chained + m->table[1].chained > 0;
    for (int t = 0; t < 2 && walk; t++) {
        struct map_table *table = &m->table[t];
        for (size_t i = map_first_live(m, t); i < map_table_size(table); i++) {
            for (struct map_bucket *b = &table->buckets[i], *next; b != NULL; b = next) {
                next = map_chain_next(b);
                for (unsigned left = map_occupied(b); left && m->type->free; left &= left - 1)
                    m->type->free(b->item[__builtin_ctz(left)]);
                if (b != &table->buckets[i]) mem_free(b);
            }
        }
    }
    if (m->table[0].bits >= 0) drop_tables(m);
}

size_t map_memory(const struct map *m)
{
    size_t buckets = map_table_size(&m->table[0]) + map_table_size(&m->table[1]) +
                     m->table[0].chained + m->table[1].chained;
    size_t gone = map_table_size(&m->table[0]) * sizeof(struct map_bucket) >= PAGES_MIN
                      ? released(m->moved)
                      : 0;
    return buckets * sizeof(struct map_bucket) - gone;
}
