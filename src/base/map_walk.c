/* Walks over a map that other changes may come between: iterators, scans, random picks. The rules
 * of buckets and tables are in map_priv.h. */
#include "base/map_priv.h"

#include "base/must.h"

/* -- iterators -------------------------------------------------------------------------------- */

void map_iter_init(struct map_iter *it, struct map *m)
{
    *it = (struct map_iter){.map = m, .bucket = m->moved};
    m->pinned++;
    must(m->pinned != 0);
}

void map_iter_fini(struct map_iter *it)
{
    it->map->pinned--;
    map_shrink_if_sparse(it->map);
}

void *map_iter_next(struct map_iter *it)
{
    struct map *m = it->map;
    for (;;) {
        if (it->at == NULL) {
            if (it->table > 1) return NULL;
            if (it->bucket == map_table_size(&m->table[it->table])) {
                it->table++;
                it->bucket = 0;
                continue;
            }
            it->at = &m->table[it->table].buckets[it->bucket++];
            it->slot = 0;
        }
        unsigned left = map_occupied(it->at) >> it->slot;
        if (left != 0) {
            it->slot += __builtin_ctz(left);
            return it->at->item[it->slot++];
        }
        it->at = map_chain_next(it->at);
        it->slot = 0;
    }
}

/* -- scans ------------------------------------------------------------------------------------ */

static void scan_bucket(const struct map *m, int t, uint64_t index,
                        void (*fn)(void *item, void *arg), void *arg)
{
    const struct map_table *table = &m->table[t];
    index &= map_table_size(table) - 1;
    if (index < map_first_live(m, t)) return;
    for (const struct map_bucket *b = &table->buckets[index]; b != NULL; b = map_chain_next(b)) {
        for (unsigned left = map_occupied(b); left != 0; left &= left - 1)
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

/* -- random picks ----------------------------------------------------------------------------- */

static size_t chain_count(const struct map_bucket *b)
{
    size_t n = 0;
    for (; b != NULL; b = map_chain_next(b)) n += (size_t)__builtin_popcount(map_occupied(b));
    return n;
}

static void *chain_item(const struct map_bucket *b, size_t n)
{
    for (;; b = map_chain_next(b)) {
        unsigned left = map_occupied(b);
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
    size_t first = map_table_size(&m->table[0]) - m->moved;
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
    map_advance(m, MAP_STEP_BUCKETS, 1);
    size_t live = map_table_size(&m->table[0]) - m->moved + map_table_size(&m->table[1]);
    size_t narrow = map_table_size(&m->table[0]);
    if (m->resizing && map_table_size(&m->table[1]) < narrow) narrow = map_table_size(&m->table[1]);
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
