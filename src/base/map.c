/* What the header promises, by these rules:
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
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"

enum {
    SLOTS = 7,
    CHAINED = 0x80,
    TOP_SLOT = 1 << (SLOTS - 1), /* the slot that a chained bucket lacks */
    ALIGN = 64,
    FILL_MAX = 5,           /* items per bucket before the table grows */
    SPARSE = 2,             /* buckets per item before it shrinks ... */
    SHRINK_BITS_MAX = 4,    /* ... at most so far at once, so that a scan's step stays small */
    STEP_BUCKETS = 8,       /* looked at per change while resizing, up to one that has items */
    MOVE_AT_ONCE_BITS = 3,  /* a table as small is moved in one go */
    PAGES_MIN = 512 * 1024, /* bytes of a table that gets pages of its own */
};

struct map_bucket {
    uint8_t tag[SLOTS];
    uint8_t meta;
    void *item[SLOTS];
};

_Static_assert(sizeof(struct map_bucket) == 64, "a bucket is a cache line");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "match_tags reads tag[0] as lowest byte");

/* -- buckets ---------------------------------------------------------------------------------- */

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

static unsigned occupied(const struct map_bucket *b)
{
    return b->meta & 0x7f;
}

static struct map_bucket *chain_next(const struct map_bucket *b)
{
    return b->meta & CHAINED ? b->item[SLOTS - 1] : NULL;
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

static size_t chain_count(const struct map_bucket *b)
{
    size_t n = 0;
    for (; b != NULL; b = chain_next(b)) n += (size_t)__builtin_popcount(occupied(b));
    return n;
}

/* -- tables ----------------------------------------------------------------------------------- */

static size_t table_size(const struct map_table *t)
{
    return t->bits < 0 ? 0 : (size_t)1 << t->bits;
}

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
    size_t bytes = table_size(t) * sizeof(struct map_bucket);
    if (bytes >= PAGES_MIN) {
        mem_pages_unmap((char *)t->buckets + released(moved), bytes - released(moved));
    } else {
        mem_free(t->buckets);
    }
    *t = (struct map_table){.bits = -1};
}

static void table_insert(struct map_table *t, void *item, uint64_t hash)
{
    struct map_bucket *b = &t->buckets[hash & (table_size(t) - 1)];
    t->count++;
    while (b->meta & CHAINED) {
        unsigned room = ~occupied(b) & (TOP_SLOT - 1);
        if (room != 0) {
            put(b, __builtin_ctz(room), tag_of(hash), item);
            return;
        }
        b = chain_next(b);
    }
    unsigned room = ~occupied(b) & (2 * TOP_SLOT - 1);
    if (room == 0) { /* its top slot's item moves on, to make room for the link */
        struct map_bucket *more = mem_calloc_aligned(ALIGN, sizeof *more);
        put(more, 0, b->tag[SLOTS - 1], b->item[SLOTS - 1]);
        b->meta = CHAINED | (TOP_SLOT - 1);
        b->tag[SLOTS - 1] = 0;
        b->item[SLOTS - 1] = more;
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
    struct map_bucket *before = head, *last = chain_next(head);
    while (last->meta & CHAINED) before = last, last = chain_next(last);
    if (last != b && occupied(last) != 0) {
        int from = __builtin_ctz(occupied(last));
        put(b, slot, last->tag[from], last->item[from]);
        last->meta &= (uint8_t) ~(1 << from);
    }
    if (__builtin_popcount(occupied(last)) > 1) return;
    before->meta &= (uint8_t)~CHAINED;
    if (occupied(last) != 0) {
        int from = __builtin_ctz(occupied(last));
        put(before, SLOTS - 1, last->tag[from], last->item[from]);
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
    for (unsigned left = occupied(b); left != 0; left &= left - 1)
        __builtin_prefetch(b->item[__builtin_ctz(left)]);
}

/* Moves the chain of one top-level bucket of table 0; true when there was an item in it. */
static bool move_bucket(struct map *m, size_t index)
{
    struct map_table *from = &m->table[0], *to = &m->table[1];
    struct map_bucket *head = &from->buckets[index];
    bool any = false;
    for (struct map_bucket *b = head, *next; b != NULL; b = next) {
        next = chain_next(b);
        prefetch_items(b);
        for (unsigned left = occupied(b); left != 0; left &= left - 1) {
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
    size_t before = released(m->moved), n = table_size(from);
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

/* Looks at up to `looks` buckets, moves at most `moves` that have items. */
static void advance(struct map *m, size_t looks, size_t moves)
{
    while (m->resizing && m->pinned == 0 && looks-- > 0 && moves > 0) {
        if (move_bucket(m, m->moved)) moves--;
        count_moved(m);
    }
}

bool map_step(struct map *m, size_t buckets)
{
    advance(m, buckets, buckets);
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
    } else if (!m->resizing && map_count(m) >= FILL_MAX * table_size(&m->table[0]) + 2) {
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

static void shrink_if_sparse(struct map *m)
{
    if (m->pinned > 0 || m->table[0].bits <= 0) return;
    if (map_count(m) == 0 && m->table[0].chained + m->table[1].chained == 0) {
        drop_tables(m);
        return;
    }
    if (m->resizing || map_count(m) * SPARSE >= table_size(&m->table[0])) return;
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
    bool moved = m->resizing && (hash & (table_size(&m->table[0]) - 1)) < m->moved;
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
    struct map_bucket *head = &t->buckets[hash & (table_size(t) - 1)];
    uint8_t tag = tag_of(hash);
    for (struct map_bucket *b = head; b != NULL; b = chain_next(b)) {
        for (uint64_t hit = match_tags(b, tag); hit != 0; hit &= hit - 1) {
            int slot = __builtin_ctzll(hit) / 8;
            if (!(occupied(b) >> slot & 1)) continue;
            if (address != NULL ? b->item[slot] != address
                                : !bytes_eq(key_of(m, b->item[slot]), key))
                continue;
            *ret = (struct place){t, head, b, slot};
            return true;
        }
    }
    return false;
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
    advance(m, STEP_BUCKETS, 1);
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
        if (at.head->meta & CHAINED) chain_close(at.table, at.head, at.bucket, at.slot);
        advance(m, STEP_BUCKETS, 1);
        shrink_if_sparse(m);
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

/* -- walks ------------------------------------------------------------------------------------ */

/* The first bucket of table `t` that is still looked at. */
static size_t first_live(const struct map *m, int t)
{
    return t == 0 ? m->moved : 0;
}

void map_clear(struct map *m)
{
    must(m->pinned == 0);
    bool walk = m->type->free != NULL || m->table[0].chained + m->table[1].chained > 0;
    for (int t = 0; t < 2 && walk; t++) {
        struct map_table *table = &m->table[t];
        for (size_t i = first_live(m, t); i < table_size(table); i++) {
            for (struct map_bucket *b = &table->buckets[i], *next; b != NULL; b = next) {
                next = chain_next(b);
                for (unsigned left = occupied(b); left && m->type->free; left &= left - 1)
                    m->type->free(b->item[__builtin_ctz(left)]);
                if (b != &table->buckets[i]) mem_free(b);
            }
        }
    }
    if (m->table[0].bits >= 0) drop_tables(m);
}

void map_iter_init(struct map_iter *it, struct map *m)
{
    *it = (struct map_iter){.map = m, .bucket = m->moved};
    m->pinned++;
    must(m->pinned != 0);
}

void map_iter_fini(struct map_iter *it)
{
    it->map->pinned--;
    shrink_if_sparse(it->map);
}

void *map_iter_next(struct map_iter *it)
{
    struct map *m = it->map;
    for (;;) {
        if (it->at == NULL) {
            if (it->table > 1) return NULL;
            if (it->bucket == table_size(&m->table[it->table])) {
                it->table++;
                it->bucket = 0;
                continue;
            }
            it->at = &m->table[it->table].buckets[it->bucket++];
            it->slot = 0;
        }
        unsigned left = occupied(it->at) >> it->slot;
        if (left != 0) {
            it->slot += __builtin_ctz(left);
            return it->at->item[it->slot++];
        }
        it->at = chain_next(it->at);
        it->slot = 0;
    }
}

static void scan_bucket(const struct map *m, int t, uint64_t index,
                        void (*fn)(void *item, void *arg), void *arg)
{
    const struct map_table *table = &m->table[t];
    index &= table_size(table) - 1;
    if (index < first_live(m, t)) return;
    for (const struct map_bucket *b = &table->buckets[index]; b != NULL; b = chain_next(b)) {
        for (unsigned left = occupied(b); left != 0; left &= left - 1)
            fn(b->item[__builtin_ctz(left)], arg);
    }
}

static uint64_t reverse_bits(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(x);
}

/* The cursor after `cursor` in a table of `bits`, counting from the highest of its bits down. */
static uint64_t cursor_next(uint64_t cursor, int bits)
{
    cursor |= ~(uint64_t)0 << bits;
    return reverse_bits(reverse_bits(cursor) + 1);
}

/* The low bits of a cursor select a bucket in a table of any size, and the order (by the bits
 * reversed) visits the images of a small table's bucket in a larger one next to each other. So what
 * is behind the cursor in one size is behind it in every other. With two tables, one step visits a
 * bucket of the smaller and all its images in the larger. */
uint64_t map_scan(struct map *m, uint64_t cursor, void (*fn)(void *item, void *arg), void *arg)
{
    if (map_count(m) == 0) return 0;
    m->pinned++; /* fn must not change the map */
    int small = m->resizing && m->table[1].bits < m->table[0].bits;
    scan_bucket(m, small, cursor, fn, arg);
    int bits = m->table[small].bits;
    if (!m->resizing) {
        cursor = cursor_next(cursor, bits);
    } else {
        uint64_t base = cursor & (((uint64_t)1 << bits) - 1);
        int more = m->table[!small].bits - bits;
        for (uint64_t image = 0; image >> more == 0; image++)
            scan_bucket(m, !small, base | image << bits, fn, arg);
        cursor = cursor_next(cursor, bits);
    }
    m->pinned--;
    return cursor;
}

/* -- the rest --------------------------------------------------------------------------------- */

static void *chain_item(const struct map_bucket *b, size_t n)
{
    for (;; b = chain_next(b)) {
        unsigned left = occupied(b);
        size_t here = (size_t)__builtin_popcount(left);
        if (n >= here) {
            n -= here;
            continue;
        }
        while (n-- > 0) left &= left - 1;
        return b->item[__builtin_ctz(left)];
    }
}

/* Bucket i of both tables taken as one row of live buckets. */
static struct map_bucket *live_bucket(const struct map *m, size_t i)
{
    size_t first = table_size(&m->table[0]) - m->moved;
    return i < first ? &m->table[0].buckets[m->moved + i] : &m->table[1].buckets[i - first];
}

/* A bucket and one of `places` places in it are drawn until there is an item: each item is as
 * likely as any other, save those in the rare chains that are longer. Where nearly all is empty
 * (a table that lost its items and has not shrunk yet), the next items after a random bucket are
 * gathered and one is drawn of them. */
void *map_random(struct map *m, struct rng *rng)
{
    enum { TRIES = 64, GATHERED = 16 };
    if (map_count(m) == 0) return NULL;
    advance(m, STEP_BUCKETS, 1);
    size_t live = table_size(&m->table[0]) - m->moved + table_size(&m->table[1]);
    size_t narrow = table_size(&m->table[0]);
    if (m->resizing && table_size(&m->table[1]) < narrow) narrow = table_size(&m->table[1]);
    size_t fill = map_count(m) / narrow;
    size_t places = fill < 1 ? 4 : fill < 3 ? 10 : 13;
    for (int i = 0; i < TRIES; i++) {
        const struct map_bucket *b = live_bucket(m, rng_below(rng, live));
        size_t here = chain_count(b), place = rng_below(rng, places);
        if (place < here) return chain_item(b, here <= places ? place : rng_below(rng, here));
    }
    void *gathered[GATHERED];
    size_t n = 0, start = rng_below(rng, live);
    for (size_t i = 0; i < live && n < GATHERED; i++) {
        const struct map_bucket *b = live_bucket(m, (start + i) % live);
        size_t here = chain_count(b);
        for (size_t k = 0; k < here && n < GATHERED; k++) gathered[n++] = chain_item(b, k);
    }
    return gathered[rng_below(rng, n)];
}

size_t map_memory(const struct map *m)
{
    size_t buckets = table_size(&m->table[0]) + table_size(&m->table[1]) + m->table[0].chained +
                     m->table[1].chained;
    size_t gone =
        table_size(&m->table[0]) * sizeof(struct map_bucket) >= PAGES_MIN ? released(m->moved) : 0;
    return buckets * sizeof(struct map_bucket) - gone;
}
