/* The sorted set against a naive one, an array that is sorted anew after each change: the same
 * seeded random operations, on small sets, on tables and across the turn from one to the other. */
#include "keys/zset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "keys/zset_pack.h"

enum { NAMES = 400, NAME_MAX_BYTES = 96 };

struct pair {
    double score;
    size_t len;
    char name[NAME_MAX_BYTES];
};

struct model {
    struct pair pairs[NAMES];
    size_t count;
    bool table; /* the encoding expected */
};

static struct rng rng;
static const struct zset_limits usual = {128, 64};

static struct bytes name_of(const struct pair *p)
{
    return (struct bytes){p->name, p->len};
}

/* Name `i` of all names: different lengths, some with a zero byte, name 0 is empty. */
static struct bytes make_name(char *out, unsigned i, bool may_be_long)
{
    size_t n = i == 0 ? 0 : (size_t)snprintf(out, NAME_MAX_BYTES, "m%u", i);
    if (i % 7 == 3) out[n++] = '\0';
    if (i % 11 == 5)
        while (n < 40) out[n++] = 'x';
    if (may_be_long && i % 23 == 7)
        while (n < 80) out[n++] = 'y';
    return (struct bytes){out, n};
}

static double make_score(void)
{
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, 1e300, -5e-324, 0.1, 7, 7, 7};
    uint64_t n = rng_below(&rng, 20);
    return n < 10 ? special[n] : (double)(int64_t)rng_below(&rng, 20) - 10;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return bytes_cmp(name_of(x), name_of(y));
}

static struct pair *model_find(struct model *m, struct bytes name)
{
    for (size_t i = 0; i < m->count; i++)
        if (bytes_eq(name_of(&m->pairs[i]), name)) return &m->pairs[i];
    return NULL;
}

static void model_put(struct model *m, struct bytes name, double score,
                      const struct zset_limits *limits)
{
    struct pair *p = model_find(m, name);
    if (p == NULL) {
        m->table |= m->count + 1 > limits->entries || name.len > limits->value;
        p = &m->pairs[m->count++];
        p->len = name.len;
        memcpy(p->name, name.data, name.len);
    }
    p->score = score;
    qsort(m->pairs, m->count, sizeof *m->pairs, compare_pairs);
}

static void model_remove(struct model *m, struct pair *p)
{
    *p = m->pairs[--m->count];
    qsort(m->pairs, m->count, sizeof *m->pairs, compare_pairs);
}

static void check_entry(const struct zset_entry *e, const struct pair *p)
{
    assert_true(bytes_eq(e->member, name_of(p)));
    assert_true(e->score == p->score);
}

static void check_walk(const struct zset *z, const struct model *m, struct zset_span span,
                       bool reverse)
{
    struct zset_iter it;
    struct zset_entry e;
    size_t n = 0;
    zset_iter_init(&it, z, span, reverse);
    for (; zset_iter_next(&it, &e); n++)
        check_entry(&e, &m->pairs[reverse ? span.start + span.count - 1 - n : span.start + n]);
    assert_int_equal(n, span.count);
}

static void check_same(struct zset *z, struct model *m)
{
    assert_int_equal(zset_count(z), m->count);
    assert_int_equal(zset_encoding(z), m->table ? ENC_SKIPLIST : ENC_LISTPACK);
    check_walk(z, m, (struct zset_span){0, m->count}, false);
    check_walk(z, m, (struct zset_span){0, m->count}, true);
    assert_true(zset_memory(z, 0) > 0 && zset_memory(z, 5) > 0);
}

static void check_member(struct zset *z, struct model *m, struct bytes name)
{
    double score;
    size_t rank;
    const struct pair *p = model_find(m, name);
    assert_int_equal(zset_score(z, name, &score), p != NULL);
    if (p != NULL) assert_true(score == p->score);
    assert_int_equal(zset_rank(z, name, &rank, &score), p != NULL);
    if (p != NULL) assert_int_equal(rank, p - m->pairs);
}

static bool in_scores(const struct zset_score_range *r, double s)
{
    return (r->min_open ? s > r->min : s >= r->min) && (r->max_open ? s < r->max : s <= r->max);
}

static void check_scores(struct zset *z, const struct model *m)
{
    struct zset_score_range r = {make_score(), make_score(), rng_below(&rng, 2),
                                 rng_below(&rng, 2)};
    struct zset_span span = zset_span_of_scores(z, &r);
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!in_scores(&r, m->pairs[i].score)) continue;
        if (n++ == 0) assert_int_equal(span.start, i);
    }
    assert_int_equal(span.count, n);
    check_walk(z, m, span, rng_below(&rng, 2));
}

static void check_ranks(struct zset *z, const struct model *m)
{
    int64_t count = (int64_t)m->count, n = 0;
    int64_t start = (int64_t)rng_below(&rng, 2 * m->count + 5) - count - 2;
    int64_t stop = (int64_t)rng_below(&rng, 2 * m->count + 5) - count - 2;
    struct zset_span span = zset_span_of_ranks(z, start, stop);
    int64_t from = start < 0 ? start + count : start, to = stop < 0 ? stop + count : stop;
    for (int64_t i = 0; i < count; i++)
        if (i >= from && i <= to && n++ == 0) assert_int_equal(span.start, i);
    assert_int_equal(span.count, n);
    check_walk(z, m, span, rng_below(&rng, 2));
    if (count > 0) {
        size_t rank = rng_below(&rng, m->count);
        struct zset_entry e = zset_at(z, rank);
        check_entry(&e, &m->pairs[rank]);
    }
}

static void run_model(const struct zset_limits *limits, unsigned names, int steps, bool may_be_long)
{
    struct zset *z = zset_new();
    struct model *m = mem_calloc(sizeof *m);
    char room[NAME_MAX_BYTES];
    for (int i = 0; i < steps; i++) {
        struct bytes name = make_name(room, (unsigned)rng_below(&rng, names), may_be_long);
        struct pair *there = model_find(m, name);
        if (rng_below(&rng, 3) > 0) {
            double score = make_score();
            assert_int_equal(zset_put(z, name, score, limits), there == NULL);
            model_put(m, name, score, limits);
        } else {
            assert_int_equal(zset_remove(z, name), there != NULL);
            if (there != NULL) model_remove(m, there);
        }
        check_member(z, m, name);
        check_scores(z, m);
        check_ranks(z, m);
        if (i % 16 == 0) check_same(z, m);
        if (i % 100 == 50) {
            struct zset *copy = zset_copy(z);
            zset_free(z);
            z = copy;
            check_same(z, m);
        }
    }
    while (m->count > 0) { /* by its own bytes */
        struct zset_entry e = zset_at(z, rng_below(&rng, m->count));
        model_remove(m, model_find(m, e.member));
        assert_true(zset_remove(z, e.member));
    }
    check_same(z, m);
    zset_free(z);
    mem_free(m);
}

static void test_small(void **state)
{
    run_model(&usual, 120, 1500, false);
}

static void test_table(void **state)
{
    run_model(&(struct zset_limits){0, 64}, NAMES, 3000, true);
}

static void test_turn(void **state)
{
    for (int i = 0; i < 20; i++) {
        run_model(&(struct zset_limits){10, 64}, 30, 100, false);
        run_model(&usual, 300, 100, true);
    }
}

static void add_names(struct zset *z, const char *const *names, double score)
{
    for (; *names != NULL; names++) zset_put(z, bytes_of(*names), score, &usual);
}

static struct zset_name_bound bound(const char *text)
{
    struct zset_name_bound b = {.kind = ZSET_NAME_CLOSED};
    if (text[0] == '-') b.kind = ZSET_NAME_LEAST;
    if (text[0] == '+') b.kind = ZSET_NAME_GREATEST;
    if (text[0] == '(') b.kind = ZSET_NAME_OPEN;
    b.text = bytes_of(text + 1);
    return b;
}

static void check_names(struct zset *z, const char *min, const char *max, size_t start,
                        size_t count)
{
    struct zset_name_range range = {bound(min), bound(max)};
    struct zset_span span = zset_span_of_names(z, &range);
    assert_int_equal(span.count, count);
    if (count > 0) assert_int_equal(span.start, start);
}

static void test_names(void **state)
{
    static const char *const names[] = {"", "a", "b", "ba", "c", NULL};
    for (int table = 0; table < 2; table++) {
        struct zset *z = zset_new();
        if (table) zset_put(z, BYTES("a"), 0, &(struct zset_limits){0, 0});
        add_names(z, names, 0);
        assert_int_equal(zset_encoding(z), table ? ENC_SKIPLIST : ENC_LISTPACK);
        check_names(z, "-", "+", 0, 5);
        check_names(z, "[", "+", 0, 5);
        check_names(z, "(", "+", 1, 4);
        check_names(z, "[a", "[b", 1, 2);
        check_names(z, "(a", "(c", 2, 2);
        check_names(z, "[aa", "[bb", 2, 2);
        check_names(z, "[c", "[a", 0, 0);
        check_names(z, "+", "-", 0, 0);
        check_names(z, "-", "[", 0, 1);
        check_names(z, "(b", "(b", 0, 0);
        check_names(z, "[b", "[b", 2, 1);
        zset_free(z);
    }
}

static void check_limit(size_t start, size_t count, bool reverse, int64_t offset, int64_t limit,
                        size_t want_start, size_t want_count)
{
    struct zset_span s = zset_span_limit((struct zset_span){start, count}, reverse, offset, limit);
    assert_int_equal(s.count, want_count);
    if (want_count > 0) assert_int_equal(s.start, want_start);
}

static void test_limit(void **state)
{
    check_limit(10, 5, false, 0, -1, 10, 5);
    check_limit(10, 5, false, 1, 2, 11, 2);
    check_limit(10, 5, true, 1, 2, 12, 2);
    check_limit(10, 5, true, 0, -1, 10, 5);
    check_limit(10, 5, true, 4, 9, 10, 1);
    check_limit(10, 5, false, 5, 1, 0, 0);
    check_limit(10, 5, false, -1, 1, 0, 0);
    check_limit(10, 5, false, 0, 0, 0, 0);
    check_limit(10, 5, false, INT64_MAX, INT64_MAX, 0, 0);
}

/* As Redis: -0 is 0 in a listpack, and what was a listpack keeps 0; a table keeps -0. */
static void test_minus_zero(void **state)
{
    struct zset *z = zset_new();
    double score;
    zset_put(z, BYTES("a"), -0.0, &usual);
    assert_true(zset_score(z, BYTES("a"), &score) && !signbit(score));
    zset_put(z, BYTES("b"), -0.0, &(struct zset_limits){1, 64});
    assert_true(zset_score(z, BYTES("a"), &score) && !signbit(score));
    assert_true(zset_score(z, BYTES("b"), &score) && signbit(score));
    zset_free(z);
}

static void test_draft(void **state)
{
    for (unsigned n = 0; n < 300; n += 43) {
        struct model *m = mem_calloc(sizeof *m);
        struct zset_draft d;
        char room[NAME_MAX_BYTES];
        bool is_new;
        zset_draft_init(&d);
        for (unsigned i = 0; i < 2 * n; i++) {
            struct bytes name = make_name(room, (unsigned)rng_below(&rng, n), n % 2);
            double *score = zset_draft_slot(&d, name, &is_new);
            assert_int_equal(is_new, model_find(m, name) == NULL);
            *score = make_score();
            model_put(m, name, *score, &(struct zset_limits){SIZE_MAX, SIZE_MAX});
        }
        struct bytes gone = make_name(room, 7, true); /* a long one */
        zset_draft_remove(&d, gone);
        if (model_find(m, gone) != NULL) model_remove(m, model_find(m, gone));
        m->table = m->count > usual.entries;
        for (size_t i = 0; i < m->count; i++) m->table |= m->pairs[i].len > usual.value;
        struct zset *z = zset_draft_finish(&d, &usual);
        check_same(z, m);
        for (unsigned i = 0; i < n; i++) check_member(z, m, make_name(room, i, n % 2));
        assert_int_equal(zset_draft_count(&d), 0);
        zset_draft_fini(&d);
        zset_free(z);
        mem_free(m);
    }
}

static void count_item(void *item, void *arg)
{
    unsigned *seen = arg;
    seen[(unsigned)zset_item_entry(item).score]++;
}

static void test_map(void **state)
{
    struct zset *z = zset_new();
    unsigned seen[1000] = {0};
    char room[NAME_MAX_BYTES];
    zset_put(z, BYTES("0"), 0, &usual);
    assert_null(zset_map(z));
    for (unsigned i = 1; i < 1000; i++)
        zset_put(z, (struct bytes){room, (size_t)sprintf(room, "%u", i)}, i, &usual);
    uint64_t cursor = 0;
    do cursor = map_scan(zset_map(z), cursor, count_item, seen);
    while (cursor != 0);
    for (unsigned i = 0; i < 1000; i++) assert_true(seen[i] > 0);
    zset_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small), cmocka_unit_test(test_table),
        cmocka_unit_test(test_turn),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_limit), cmocka_unit_test(test_minus_zero),
        cmocka_unit_test(test_draft), cmocka_unit_test(test_map),
    };
    rng_seed(&rng, 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
