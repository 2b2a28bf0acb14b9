/* The map against a naive one under seeded random operations; scans across resizes; fairness. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

/* Item number n exists at most once; `all[n]` is what should be in the map. */
enum { ITEMS = 400000 };

struct item {
    unsigned n;
    char key[12];
};

static struct item *all[ITEMS];
static size_t count;

static struct bytes key_of(const void *item)
{
    return bytes_of(((const struct item *)item)->key);
}

static const struct map_type owned = {key_of, mem_free};

static struct item *item_new(unsigned n)
{
    struct item *i = mem_calloc(sizeof *i);
    i->n = n;
    snprintf(i->key, sizeof i->key, "key:%u", n);
    return i;
}

static struct bytes key_text(char *room, size_t size, unsigned n)
{
    return (struct bytes){room, (size_t)snprintf(room, size, "key:%u", n)};
}

static void add(struct map *m, unsigned n)
{
    if (all[n] != NULL) return;
    all[n] = item_new(n);
    map_insert(m, all[n]);
    count++;
}

static void drop(struct map *m, unsigned n)
{
    char room[16];
    assert_int_equal(map_delete(m, key_text(room, sizeof room, n)), all[n] != NULL);
    count -= all[n] != NULL;
    all[n] = NULL;
}

static void look(struct map *m, unsigned n)
{
    char room[16];
    assert_ptr_equal(map_get(m, key_text(room, sizeof room, n)), all[n]);
}

static void replace(struct map *m, unsigned n)
{
    if (all[n] == NULL) return;
    struct item *old = all[n];
    all[n] = item_new(n);
    mem_free(old); /* an address is all that is needed of it */
    map_replace_hashed(m, old, all[n], hash_bytes(key_of(all[n])));
}

static void check_walk(struct map *m)
{
    static uint8_t seen[ITEMS];
    struct map_iter it;
    size_t n = 0;
    memset(seen, 0, sizeof seen);
    map_iter_init(&it, m);
    for (struct item *i; (i = map_iter_next(&it)) != NULL; n++) {
        assert_ptr_equal(all[i->n], i);
        assert_int_equal(seen[i->n]++, 0);
    }
    assert_null(map_iter_next(&it));
    map_iter_fini(&it);
    assert_int_equal(n, count);
    assert_int_equal(map_count(m), count);
}

static void empty(struct map *m)
{
    map_clear(m);
    memset(all, 0, sizeof all);
    count = 0;
    assert_int_equal(map_count(m), 0);
    assert_int_equal(map_memory(m), 0);
}

/* Grows to about `top` and shrinks to nothing, over and over. */
static void play(uint64_t seed, int turns, size_t top)
{
    size_t before = mem_used();
    struct map m;
    struct rng rng;
    bool growing = true;
    map_init(&m, &owned);
    rng_seed(&rng, seed);
    for (int i = 0; i < turns; i++) {
        if (count >= top) growing = false;
        if (count <= top / 50) growing = true;
        unsigned n = (unsigned)rng_below(&rng, top + top / 2), dice = (unsigned)rng_below(&rng, 20);
        if (dice < 15) {
            if (growing == (dice < 13)) add(&m, n);
            else drop(&m, n);
        } else if (dice < 17) {
            replace(&m, n);
        } else {
            look(&m, n);
        }
        if (rng_below(&rng, (uint64_t)turns / 20) == 0) check_walk(&m);
        if (rng_below(&rng, 3000) == 0) map_reserve(&m, rng_below(&rng, top));
        if (rng_below(&rng, 100) == 0) map_step(&m, rng_below(&rng, 50));
    }
    check_walk(&m);
    for (unsigned n = 0; n < top + top / 2; n++) look(&m, n);
    empty(&m);
    assert_int_equal(mem_used(), before);
}

static void against_a_model(void **state)
{
    play(1, 400000, 35000);
    play(2, 200000, 3000);
    play(3, 100000, 300);
    for (uint64_t seed = 10; seed < 60; seed++) play(seed, 2000, 4 + seed % 40);
}

static void deleted_to_nothing(void **state)
{
    size_t before = mem_used();
    struct map m;
    map_init(&m, &owned);
    for (int round = 0; round < 2; round++) {
        for (unsigned n = 0; n < ITEMS; n++) add(&m, n);
        size_t full = map_memory(&m);
        assert_true(full >= ITEMS * 10 && full <= ITEMS * 30);
        for (unsigned n = 0; n < ITEMS - 10; n++) drop(&m, n);
        while (map_step(&m, 1000)) {
        }
        assert_true(map_memory(&m) < full / 16);
        for (unsigned n = ITEMS - 10; n < ITEMS; n++) drop(&m, n);
        assert_true(map_memory(&m) <= 64);
    }
    empty(&m);
    assert_int_equal(mem_used(), before);
}

static void reserve(void **state)
{
    struct map m;
    map_init(&m, &owned);
    map_reserve(&m, ITEMS);
    size_t memory = map_memory(&m);
    assert_true(memory > ITEMS * 10);
    for (unsigned n = 0; n < ITEMS / 2; n++) add(&m, n);
    map_reserve(&m, 10); /* never less */
    for (unsigned n = ITEMS / 2; n < ITEMS; n++) add(&m, n);
    assert_false(m.resizing);
    check_walk(&m);
    empty(&m);
}

/* Nothing moves under a walk, whatever else is asked of the map. */
static void walks_hold_still(void **state)
{
    struct map m;
    struct map_iter it;
    struct rng rng;
    rng_seed(&rng, 6);
    map_init(&m, &owned);
    unsigned n = 0;
    while (n < 1000 || !m.resizing) add(&m, n++);
    size_t seen = 0;
    map_iter_init(&it, &m);
    while (map_iter_next(&it) != NULL) {
        seen++;
        map_random(&m, &rng);
        map_reserve(&m, 10 * ITEMS);
        assert_true(map_step(&m, 100));
    }
    map_iter_fini(&it);
    assert_int_equal(seen, count);
    empty(&m);
}

/* Any item may be taken just after the walk gave it out, whatever the chains and resizes. */
static void taking_while_walking(void **state)
{
    size_t before = mem_used();
    struct rng rng;
    rng_seed(&rng, 7);
    for (int round = 0; round < 40; round++) {
        struct map m;
        struct map_iter it;
        map_init(&m, &owned);
        unsigned top = (unsigned)rng_below(&rng, round % 4 ? 300 : 20000);
        for (unsigned n = 0; n < top; n++) add(&m, n);
        size_t one_of = round % 3 + 1, seen = 0, had = count;
        map_iter_init(&it, &m);
        for (struct item *i; (i = map_iter_next(&it)) != NULL; seen++) {
            if (rng_below(&rng, one_of) == 0) drop(&m, i->n);
        }
        map_iter_fini(&it);
        assert_int_equal(seen, had);
        check_walk(&m);
        for (unsigned n = 0; n < top; n++) {
            look(&m, n);
            if (rng_below(&rng, 2)) add(&m, n);
            else drop(&m, n);
        }
        check_walk(&m);
        empty(&m);
    }
    assert_int_equal(mem_used(), before);
}

/* -- scans ------------------------------------------------------------------------------------ */

static uint8_t scanned[ITEMS];

static void note(void *item, void *arg)
{
    struct item *i = item;
    assert_ptr_equal(all[i->n], i);
    if (scanned[i->n] < 255) scanned[i->n]++;
    ++*(size_t *)arg;
}

/* Between the calls of a scan others come and go in bulk, so that the table grows or shrinks
 * (several times over in a long scan); items below `stay` are there throughout. */
static void scan_amid_changes(struct rng *rng, unsigned stay, unsigned top, size_t bulk)
{
    struct map m;
    uint64_t cursor = 0;
    size_t given = 0;
    map_init(&m, &owned);
    for (unsigned n = 0; n < stay; n++) add(&m, n);
    unsigned others = stay;
    bool growing = rng_below(rng, 2);
    if (!growing) {
        for (; others < top; others++) add(&m, others);
    }
    memset(scanned, 0, sizeof scanned);
    do {
        cursor = map_scan(&m, cursor, note, &given);
        for (size_t k = rng_below(rng, bulk + 1); k > 0; k--) {
            if (growing && others < top) add(&m, others++);
            if (!growing && others > stay) drop(&m, --others);
        }
        if (rng_below(rng, 8) == 0) map_step(&m, rng_below(rng, 200));
        if (others == top) growing = false;
        if (others == stay) growing = true;
    } while (cursor != 0);
    for (unsigned n = 0; n < stay; n++) {
        if (scanned[n] == 0) fail_msg("item %u of %u was not seen", n, stay);
    }
    empty(&m);
}

static void scans_see_what_stays(void **state)
{
    struct rng rng;
    rng_seed(&rng, 21);
    for (int round = 0; round < 300; round++) {
        unsigned stay = (unsigned)rng_below(&rng, 400),
                 top = stay + (unsigned)rng_below(&rng, 3000);
        scan_amid_changes(&rng, stay, top, 1 + rng_below(&rng, 100));
    }
    for (int round = 0; round < 6; round++) scan_amid_changes(&rng, 3000, 60000, 50);
}

/* Far enough into the resize of a large table that its first pages are gone. */
static void half_given_back(void **state)
{
    struct map m;
    struct rng rng;
    rng_seed(&rng, 8);
    map_init(&m, &owned);
    unsigned n = 0;
    while (n < 300000 || !m.resizing) add(&m, n++);
    size_t whole = map_memory(&m), used = mem_used();
    while (m.moved * 64 < MEM_PAGES_PIECE + 6400) map_step(&m, 1);
    assert_true(map_memory(&m) < whole && mem_used() < used);
    check_walk(&m);
    for (unsigned k = 0; k < n; k++) look(&m, k);
    for (int i = 0; i < 1000; i++) assert_non_null(map_random(&m, &rng));
    size_t given = 0;
    uint64_t cursor = 0;
    memset(scanned, 0, sizeof scanned);
    do cursor = map_scan(&m, cursor, note, &given);
    while (cursor != 0);
    assert_int_equal(given, count);
    empty(&m);
}

static void quiet_scans_see_each_once(void **state)
{
    struct map m;
    map_init(&m, &owned);
    for (unsigned n = 0; n < 10000; n++) {
        add(&m, n);
        if (n % 333 != 0) continue;
        while (map_step(&m, 100)) {
        }
        memset(scanned, 0, sizeof scanned);
        size_t given = 0;
        uint64_t cursor = 0;
        do cursor = map_scan(&m, cursor, note, &given);
        while (cursor != 0);
        assert_int_equal(given, n + 1);
        for (unsigned k = 0; k <= n; k++) assert_int_equal(scanned[k], 1);
    }
    empty(&m);
    size_t given = 0;
    assert_int_equal(map_scan(&m, 5, note, &given), 0);
}

/* -- random picks ----------------------------------------------------------------------------- */

/* Chi-squared over the items left; its mean is the degrees of freedom, its deviation the root of
 * twice that. */
static void check_fair(struct map *m, struct rng *rng, unsigned top, int picks)
{
    static int hits[ITEMS];
    memset(hits, 0, sizeof hits);
    for (int i = 0; i < picks; i++) {
        struct item *x = map_random(m, rng);
        assert_ptr_equal(all[x->n], x);
        hits[x->n]++;
    }
    double expected = (double)picks / (double)count, chi = 0;
    for (unsigned n = 0; n < top; n++) {
        if (all[n] == NULL) assert_int_equal(hits[n], 0);
        else chi += (hits[n] - expected) * (hits[n] - expected) / expected;
    }
    if (chi > 1.4 * (double)count + 30) fail_msg("chi-squared of %zu items is %.0f", count, chi);
}

/* Each is picked at least half as often as it should be. */
static void check_fair_enough(struct map *m, struct rng *rng)
{
    static int hits[ITEMS];
    memset(hits, 0, sizeof hits);
    for (int i = 0; i < 2000; i++) hits[((struct item *)map_random(m, rng))->n]++;
    for (unsigned n = 0; n < ITEMS; n++) {
        if (all[n] == NULL) assert_int_equal(hits[n], 0);
        else assert_true((size_t)hits[n] * count * 2 > 2000);
    }
}

static bool same_bucket(const struct map *m, unsigned a, unsigned b)
{
    char room[16];
    uint64_t x = hash_bytes(key_text(room, sizeof room, a));
    x ^= hash_bytes(key_text(room, sizeof room, b));
    return (x & (((uint64_t)1 << m->table[0].bits) - 1)) == 0;
}

static void add_pinned(struct map *m, unsigned n)
{
    m->pinned--;
    bool resizing = m->resizing;
    add(m, n);
    m->pinned++;
    assert_int_equal(m->resizing, resizing);
}

static void random_picks_are_fair(void **state)
{
    struct map m;
    struct rng rng;
    map_init(&m, &owned);
    rng_seed(&rng, 31);
    assert_null(map_random(&m, &rng));
    static const unsigned sizes[] = {1, 2, 7, 8, 20, 170, 1000, 2600, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned n = 0; n < sizes[i]; n++) add(&m, n);
        check_fair(&m, &rng, sizes[i], 100000);
    }
    m.pinned++; /* as deep in a walk: sparse, and not to be shrunk */
    for (unsigned n = 0; n < 4000; n++) drop(&m, n);
    check_fair(&m, &rng, 5000, 100000);
    for (unsigned n = 4000; n < 4990; n++) drop(&m, n);
    check_fair_enough(&m, &rng);
    unsigned mate = 4991; /* two in one bucket, and no other left */
    while (!same_bucket(&m, 4990, mate)) mate++;
    add_pinned(&m, mate);
    for (unsigned n = 4991; n < 5000; n++) {
        if (n != mate) drop(&m, n);
    }
    check_fair_enough(&m, &rng);
    m.pinned--;
    empty(&m);
}

/* Half-way through a resize either way. */
static void random_picks_amid_a_resize(void **state)
{
    struct map m;
    struct rng rng;
    map_init(&m, &owned);
    rng_seed(&rng, 32);
    unsigned n = 0;
    while (n < 2000 || !m.resizing) add(&m, n++);
    while (m.moved < ((size_t)1 << m.table[0].bits) / 2) map_step(&m, 1);
    m.pinned++; /* stay here */
    check_fair(&m, &rng, n, 300000);
    m.pinned--;
    while (map_step(&m, 1)) {
    }
    unsigned gone = 0;
    while (!m.resizing) drop(&m, gone++);
    while (m.moved < ((size_t)1 << m.table[0].bits) / 2) map_step(&m, 1);
    m.pinned++;
    check_fair(&m, &rng, n, 300000);
    m.pinned--;
    empty(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(deleted_to_nothing),
        cmocka_unit_test(reserve),
        cmocka_unit_test(walks_hold_still),
        cmocka_unit_test(taking_while_walking),
        cmocka_unit_test(half_given_back),
        cmocka_unit_test(scans_see_what_stays),
        cmocka_unit_test(quiet_scans_see_each_once),
        cmocka_unit_test(random_picks_are_fair),
        cmocka_unit_test(random_picks_amid_a_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
