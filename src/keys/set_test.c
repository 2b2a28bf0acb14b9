/* Set values against an array of flags: integers, packs, tables, and the turns between them. */
#include "keys/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

enum { MEMBERS = 400 };

static struct rng rng;
static const struct set_limits usual = {64, 32, 64};

struct model {
    bool there[MEMBERS];
    size_t count;
};

/* The first `integers` members are integers, negative and large ones among them. */
static struct bytes member_text(char *room, int i, int integers)
{
    if (i == integers) return (struct bytes){room, 0};
    int n = i < integers ? sprintf(room, "%lld", (long long)(i - 20) * (i % 3 ? 1 : 1000000007LL))
                         : sprintf(room, "m%d", i);
    return (struct bytes){room, (size_t)n};
}

static void new_set(struct key *k, struct bytes first)
{
    *k = (struct key){.type = KEY_SET};
    set_init(k, first, &usual);
}

static void check(const struct key *k, const struct model *m, int members, int integers)
{
    char room[32];
    struct set_iter it;
    struct bytes member;
    size_t walked = 0;
    assert_int_equal(set_count(k), m->count);
    for (int i = 0; i < members; i++)
        assert_int_equal(set_contains(k, member_text(room, i, integers)), m->there[i]);
    set_iter_init(&it, k);
    while (set_iter_next(&it, &member)) {
        assert_true(set_contains(k, member));
        walked++;
    }
    set_iter_fini(&it);
    assert_int_equal(walked, m->count);
    if (m->count == 0) return;
    char scratch[SET_SCRATCH];
    assert_true(set_contains(k, set_random(k, &rng, scratch)));
}

static void run(int members, int integers, enum key_encoding expected)
{
    char room[32];
    struct model m = {0};
    struct key k;
    new_set(&k, member_text(room, 0, integers));
    for (int step = 0; step < 4000; step++) {
        int i = (int)rng_below(&rng, (uint64_t)members);
        struct bytes member = member_text(room, i, integers);
        bool add = rng_below(&rng, 3) != 0;
        bool did = add ? set_add(&k, member, &usual) : set_remove(&k, member);
        assert_int_equal(did, m.there[i] != add);
        if (did) m.count += add ? 1 : (size_t)-1;
        m.there[i] = add;
        if (step % 50 == 0) check(&k, &m, members, integers);
    }
    assert_int_equal(k.encoding, expected);
    struct key copy = {.type = KEY_SET};
    set_ops.copy(&copy, &k);
    assert_int_equal(copy.encoding, expected);
    check(&copy, &m, members, integers);
    assert_true(set_ops.memory(&copy, 0) > 0);
    set_ops.free(&copy);
    set_ops.free(&k);
}

static void test_integers(void **state)
{
    run(60, 60, ENC_INTSET);
}

static void test_pack(void **state)
{
    run(30, 10, ENC_LISTPACK);
}

static void test_table_of_integers(void **state)
{
    run(MEMBERS, MEMBERS, ENC_HASHTABLE);
}

static void test_table(void **state)
{
    run(MEMBERS, 100, ENC_HASHTABLE);
}

static void assert_turn(int integers, const char *then, enum key_encoding expected)
{
    char room[32];
    struct key k;
    new_set(&k, BYTES("0"));
    for (int i = 0; i < integers; i++)
        set_add(&k, (struct bytes){room, (size_t)sprintf(room, "%d", i)}, &usual);
    assert_int_equal(k.encoding, ENC_INTSET);
    set_add(&k, bytes_of(then), &usual);
    assert_int_equal(k.encoding, expected);
    assert_int_equal(set_count(&k), integers + 1);
    set_ops.free(&k);
}

static void test_turns(void **state)
{
    assert_turn(63, "1000", ENC_INTSET);
    assert_turn(64, "1000", ENC_HASHTABLE);
    assert_turn(31, "x", ENC_LISTPACK);
    assert_turn(32, "x", ENC_HASHTABLE);
    assert_turn(3, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                ENC_HASHTABLE);
    assert_turn(3, "-0", ENC_LISTPACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_table_of_integers),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_turns),
    };
    hash_seed();
    rng_seed(&rng, 8);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
