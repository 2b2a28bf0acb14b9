/* The tree against a sorted array, under seeded random operations. */
#include "base/order.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

struct member {
    double score;
    size_t index; /* in the model */
    char key[16];
};

static struct bytes key_of(const void *item)
{
    return bytes_of(((const struct member *)item)->key);
}

static struct member *member_new(double score, uint64_t n)
{
    struct member *m = mem_calloc(sizeof *m);
    m->score = score;
    snprintf(m->key, sizeof m->key, "m%llu", (unsigned long long)n);
    return m;
}

enum { MODEL_MAX = 6000 };

struct model {
    struct member *at[MODEL_MAX];
    size_t count;
};

static int compare(const struct member *a, double score, struct bytes key)
{
    if (a->score != score) return a->score < score ? -1 : 1;
    return bytes_cmp(key_of(a), key);
}

static size_t model_rank(const struct model *m, double score, struct bytes key)
{
    size_t from = 0, n = m->count;
    while (n > 0) {
        size_t half = n / 2;
        if (compare(m->at[from + half], score, key) < 0) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

static void same_walk(const struct order *o, const struct model *m)
{
    struct order_iter it;
    double score = 0;
    assert_int_equal(o->count, m->count);
    order_seek(o, 0, &it);
    for (size_t i = 0; i < m->count; i++, order_next(&it)) {
        assert_ptr_equal(order_at(&it, &score), m->at[i]);
        assert_true(score == m->at[i]->score);
    }
    assert_null(order_at(&it, NULL));
    order_next(&it);
    assert_null(order_at(&it, NULL));
    if (m->count == 0) return;
    assert_true(order_seek(o, m->count - 1, &it));
    for (size_t i = m->count; i-- > 0; order_prev(&it))
        assert_ptr_equal(order_at(&it, NULL), m->at[i]);
    assert_null(order_at(&it, NULL));
    order_prev(&it);
    assert_null(order_at(&it, NULL));
}

static void same_counts(const struct order *o, const struct model *m, double score)
{
    size_t below = 0, or_equal = 0;
    for (size_t i = 0; i < m->count; i++) {
        below += m->at[i]->score < score;
        or_equal += m->at[i]->score <= score;
    }
    assert_int_equal(order_count_below(o, score, false), below);
    assert_int_equal(order_count_below(o, score, true), or_equal);
}

static void same_seek(const struct order *o, const struct model *m, struct rng *rng)
{
    struct order_iter it;
    size_t rank = rng_below(rng, m->count + 2);
    assert_int_equal(order_seek(o, rank, &it), rank < m->count);
    if (rank >= m->count) {
        assert_null(order_at(&it, NULL));
        return;
    }
    assert_ptr_equal(order_at(&it, NULL), m->at[rank]);
    assert_int_equal(order_rank(o, m->at[rank]->score, key_of(m->at[rank])), rank);
    order_next(&it);
    assert_ptr_equal(order_at(&it, NULL), rank + 1 < m->count ? m->at[rank + 1] : NULL);
}

static void add(struct order *o, struct model *m, double score, uint64_t n)
{
    struct member *x = member_new(score, n);
    size_t rank = model_rank(m, score, key_of(x));
    if (rank < m->count && compare(m->at[rank], score, key_of(x)) == 0) {
        mem_free(x);
        return;
    }
    memmove(m->at + rank + 1, m->at + rank, (m->count - rank) * sizeof x);
    m->at[rank] = x;
    m->count++;
    order_insert(o, score, x);
}

static void take(struct order *o, struct model *m, size_t rank)
{
    struct member *x = m->at[rank];
    memmove(m->at + rank, m->at + rank + 1, (m->count - rank - 1) * sizeof x);
    m->count--;
    assert_ptr_equal(order_remove(o, x->score, key_of(x)), x);
    mem_free(x); /* so that a pointer left in the tree is caught */
}

static void replace(struct order *o, struct model *m, size_t rank)
{
    struct member *old = m->at[rank], *fresh = mem_dup(old, sizeof *old);
    order_replace(o, old->score, key_of(old), fresh);
    m->at[rank] = fresh;
    mem_free(old);
}

/* `scores` different scores; phases of growth and of decline; removals at one place now and then,
 * so that whole nodes go. */
static void play(uint64_t seed, uint64_t scores, int turns, size_t top)
{
    static struct model m;
    struct order o;
    struct rng rng;
    size_t before = mem_used();
    rng_seed(&rng, seed);
    order_init(&o, key_of);
    m.count = 0;
    bool growing = true;
    for (int i = 0; i < turns; i++) {
        if (m.count >= top) growing = false;
        if (m.count == 0) growing = true;
        unsigned dice = (unsigned)rng_below(&rng, 10);
        if (dice < (growing ? 7u : 2u)) {
            if (m.count < MODEL_MAX)
                add(&o, &m, (double)rng_below(&rng, scores) - 2, rng_below(&rng, 100000));
        } else if (dice < 9) {
            size_t n = rng_below(&rng, 50) == 0 ? rng_below(&rng, m.count / 3 + 1) : 1;
            size_t rank = m.count > 0 ? rng_below(&rng, m.count) : 0;
            while (n-- > 0 && rank < m.count) take(&o, &m, rank);
        } else if (m.count > 0) {
            replace(&o, &m, rng_below(&rng, m.count));
        }
        if (i % 16 == 0) same_seek(&o, &m, &rng);
        if (i % 64 == 0) same_counts(&o, &m, (double)rng_below(&rng, scores + 4) - 4);
        if (i % 1024 == 0) same_walk(&o, &m);
    }
    same_walk(&o, &m);
    while (m.count > 0) take(&o, &m, rng_below(&rng, m.count));
    same_walk(&o, &m);
    assert_int_equal(order_memory(&o), 0);
    assert_int_equal(mem_used(), before);
}

static void many_scores(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) play(seed, 1000000, 40000, 5000);
}

static void equal_scores(void **state)
{
    play(11, 1, 30000, 3000);
    play(12, 3, 30000, 3000);
    play(13, 40, 30000, 5000);
}

static void small_sets(void **state)
{
    for (uint64_t seed = 100; seed < 130; seed++) play(seed, 20, 1500, seed % 70);
}

static void lex_counts(void **state)
{
    static struct model m;
    struct order o;
    struct rng rng;
    order_init(&o, key_of);
    m.count = 0;
    rng_seed(&rng, 5);
    assert_int_equal(order_count_below_key(&o, BYTES("m"), true), 0);
    for (int i = 0; i < 3000; i++) add(&o, &m, 7, rng_below(&rng, 5000));
    for (int i = 0; i < 500; i++) {
        char text[16];
        snprintf(text, sizeof text, "m%u", (unsigned)rng_below(&rng, 6000));
        size_t below = model_rank(&m, 7, bytes_of(text));
        bool there = below < m.count && bytes_eq(key_of(m.at[below]), bytes_of(text));
        assert_int_equal(order_count_below_key(&o, bytes_of(text), false), below);
        assert_int_equal(order_count_below_key(&o, bytes_of(text), true), below + there);
    }
    while (m.count > 0) take(&o, &m, m.count - 1);
}

static void ends_of_the_line(void **state)
{
    static struct model m;
    struct order o;
    order_init(&o, key_of);
    m.count = 0;
    for (int i = 0; i < 100; i++) {
        add(&o, &m, i % 2 ? INFINITY : -INFINITY, (uint64_t)i);
        add(&o, &m, i % 2 ? 0.0 : -0.0, (uint64_t)i);
    }
    same_walk(&o, &m);
    same_counts(&o, &m, INFINITY);
    same_counts(&o, &m, -INFINITY);
    same_counts(&o, &m, 0);
    while (m.count > 0) take(&o, &m, 0);
    order_clear(&o);
}

/* Filled in ascending order, nodes are full: 16 bytes a pair and little more. Emptied from the
 * front like a queue, it stays small. */
static void ascending_is_dense(void **state)
{
    enum { N = 50000 };
    static struct member *member[N];
    struct order o;
    order_init(&o, key_of);
    for (int i = 0; i < N; i++) order_insert(&o, i, member[i] = member_new(i, (uint64_t)i));
    assert_true(order_memory(&o) < N * 19);
    for (int i = 0; i < N; i += 97) assert_int_equal(order_rank(&o, i, key_of(member[i])), i);
    for (int i = 0; i < N - 100; i++) {
        assert_ptr_equal(order_remove(&o, i, key_of(member[i])), member[i]);
        mem_free(member[i]);
    }
    assert_true(order_memory(&o) < 10000);
    order_clear(&o);
    for (int i = N - 100; i < N; i++) mem_free(member[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_scores),      cmocka_unit_test(equal_scores),
        cmocka_unit_test(small_sets),       cmocka_unit_test(lex_counts),
        cmocka_unit_test(ends_of_the_line), cmocka_unit_test(ascending_is_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
