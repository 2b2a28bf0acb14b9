/* Pending entries against a naive array, under random operations; and what they cost. */
#include "keys/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

enum { MODEL_MAX = 3000, ROUNDS = 40, STEPS = 3000 };

static struct rng rng;

struct model {
    size_t count;
    struct pending_entry at[MODEL_MAX];
};

static size_t model_seek(const struct model *m, struct stream_id id)
{
    size_t i = 0;
    while (i < m->count && stream_id_cmp(m->at[i].id, id) < 0) i++;
    return i;
}

static struct pending_entry *model_get(struct model *m, struct stream_id id)
{
    size_t i = model_seek(m, id);
    return i < m->count && stream_id_cmp(m->at[i].id, id) == 0 ? &m->at[i] : NULL;
}

static void model_set(struct model *m, const struct pending_entry *e)
{
    size_t i = model_seek(m, e->id);
    if (model_get(m, e->id) == NULL) {
        memmove(&m->at[i + 1], &m->at[i], (m->count - i) * sizeof *m->at);
        m->count++;
    }
    m->at[i] = *e;
}

static void model_remove(struct model *m, size_t i)
{
    m->count--;
    memmove(&m->at[i], &m->at[i + 1], (m->count - i) * sizeof *m->at);
}

static bool same(const struct pending_entry *a, const struct pending_entry *b)
{
    return stream_id_cmp(a->id, b->id) == 0 && a->time_ms == b->time_ms && a->count == b->count &&
           a->consumer == b->consumer;
}

static void check_walk(const struct pending *p, const struct model *m, struct stream_id from,
                       int64_t consumer, int64_t time_max_ms)
{
    struct pending_iter it;
    struct pending_entry e;
    pending_iter_init(&it, p, from, consumer, time_max_ms);
    for (size_t i = model_seek(m, from); i < m->count; i++) {
        if (consumer != PENDING_ANY && m->at[i].consumer != consumer) continue;
        if (m->at[i].time_ms > time_max_ms) continue;
        assert_true(pending_iter_next(&it, &e));
        assert_true(same(&e, &m->at[i]));
    }
    assert_false(pending_iter_next(&it, &e));
}

/* A lower bound, and exact if it is at all. */
static void check_next_time(const struct pending *p, const struct model *m, int64_t after_ms)
{
    int64_t exact = INT64_MAX, found = pending_next_time(p, after_ms);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].time_ms > after_ms && m->at[i].time_ms < exact) exact = m->at[i].time_ms;
    assert_true(found > after_ms && found <= exact);
    assert_int_equal(found == INT64_MAX, exact == INT64_MAX);
}

static void check_all(const struct pending *p, const struct model *m)
{
    struct stream_id first, last;
    assert_int_equal(p->count, m->count);
    check_walk(p, m, STREAM_ID_MIN, PENDING_ANY, INT64_MAX);
    assert_int_equal(pending_first(p, &first), m->count > 0);
    assert_int_equal(pending_last(p, &last), m->count > 0);
    if (m->count == 0) return;
    assert_int_equal(stream_id_cmp(first, m->at[0].id), 0);
    assert_int_equal(stream_id_cmp(last, m->at[m->count - 1].id), 0);
}

/* Numbers of all widths, mostly small. */
static uint64_t any_number(void)
{
    static const uint64_t limits[] = {2, 300, 70000, UINT64_C(1) << 33, UINT64_MAX};
    uint64_t pick = rng_below(&rng, 100);
    return rng_below(&rng, limits[pick < 60   ? 0
                                  : pick < 90 ? 1
                                  : pick < 97 ? 2
                                  : pick < 99 ? 3
                                              : 4]);
}

static struct pending_entry any_entry(const struct model *m, bool behind)
{
    struct pending_entry e = {.id = {any_number(), any_number()},
                              .time_ms = (int64_t)any_number(),
                              .count = any_number(),
                              .consumer = (uint32_t)rng_below(&rng, 5)};
    if (rng_below(&rng, 50) == 0) e.consumer = 64 + e.consumer; /* a bit that another has, too */
    if (!behind || m->count == 0) return e;
    e.id = m->at[m->count - 1].id;
    if (rng_below(&rng, 2) == 0) e.id.ms += rng_below(&rng, 3);
    stream_id_next(&e.id);
    return e;
}

static void set_one(struct pending *p, struct model *m, struct pending_entry e)
{
    struct pending_entry old, *known = model_get(m, e.id);
    if (known == NULL && m->count == MODEL_MAX) return;
    if (pending_set(p, &e, &old)) assert_true(known != NULL && same(known, &old));
    else assert_null(known);
    model_set(m, &e);
    assert_true(pending_get(p, e.id, &old));
    assert_true(same(&e, &old));
}

static void remove_one(struct pending *p, struct model *m)
{
    struct pending_entry old, absent = any_entry(m, false);
    if (model_get(m, absent.id) == NULL) assert_false(pending_remove(p, absent.id, &old));
    if (m->count == 0) return;
    size_t i = rng_below(&rng, 2) == 0 ? 0 : rng_below(&rng, m->count);
    assert_true(pending_remove(p, m->at[i].id, &old));
    assert_true(same(&old, &m->at[i]));
    model_remove(m, i);
}

static void whole_consumer(struct pending *p, struct model *m)
{
    uint32_t from = (uint32_t)rng_below(&rng, 5), to = (uint32_t)rng_below(&rng, 5);
    bool give = rng_below(&rng, 2) == 0 && from != to;
    int64_t time_ms = rng_below(&rng, 2) == 0 ? PENDING_TIME_STAYS : (int64_t)rng_below(&rng, 9);
    uint64_t hits = 0;
    for (size_t i = m->count; i-- > 0;) {
        if (m->at[i].consumer != from) continue;
        hits++;
        if (!give) model_remove(m, i);
        else {
            m->at[i].consumer = to;
            if (time_ms >= 0) m->at[i].time_ms = time_ms;
        }
    }
    uint64_t found = give ? pending_give(p, from, to, time_ms) : pending_remove_consumer(p, from);
    assert_int_equal(found, hits);
}

static void step(struct pending *p, struct model *m, unsigned grows)
{
    uint64_t pick = rng_below(&rng, 1000);
    if (pick == 0) whole_consumer(p, m);
    else if (pick < grows) set_one(p, m, any_entry(m, rng_below(&rng, 4) > 0));
    else if (pick < grows + 100 && m->count > 0) {
        struct pending_entry e = any_entry(m, false);
        e.id = m->at[rng_below(&rng, m->count)].id;
        set_one(p, m, e);
    } else remove_one(p, m);
}

static void does_what_an_array_does(void **state)
{
    static struct model m;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pending p = {0}, copy;
        rng_seed(&rng, 4000 + round);
        m.count = 0;
        for (unsigned i = 0; i < STEPS; i++) {
            unsigned phase = i / 600 % 4; /* grows, grows, shrinks, about as large */
            step(&p, &m, phase < 2 ? 850 : phase == 2 ? 150 : 450);
            if (rng_below(&rng, 100) != 0) continue;
            check_all(&p, &m);
            check_walk(&p, &m, any_entry(&m, false).id, (int64_t)rng_below(&rng, 6) - 1,
                       (int64_t)any_number());
            check_next_time(&p, &m, (int64_t)any_number());
        }
        check_all(&p, &m);
        pending_copy(&copy, &p);
        pending_fini(&p);
        check_all(&copy, &m);
        pending_fini(&copy);
    }
}

static void drains_from_the_front(void **state)
{
    struct pending p = {0};
    struct pending_entry old;
    uint64_t added = 0, removed = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct pending_entry e = {.id = {added++, 0}, .time_ms = 5, .count = 1};
        assert_false(pending_set(&p, &e, &old));
        if (i % 3 != 0) assert_true(pending_remove(&p, (struct stream_id){removed++, 0}, &old));
    }
    while (removed < added) assert_true(pending_remove(&p, (struct stream_id){removed++, 0}, &old));
    assert_int_equal(p.count, 0);
    assert_int_equal(pending_memory(&p), 0);
}

/* As a busy group leaves them: a few entries in each millisecond, four consumers that took a
 * hundred each time. */
static void takes_few_bytes(void **state)
{
    enum { COUNT = 100000, BYTES_MAX = 12 };
    struct pending p = {0};
    struct pending_entry old;
    for (uint64_t i = 0; i < COUNT; i++) {
        struct pending_entry e = {.id = {INT64_C(1790000000000) + i / 7, i % 7},
                                  .time_ms = INT64_C(1790000000000) + (int64_t)(i / 100),
                                  .count = 1,
                                  .consumer = (uint32_t)(i / 100 % 4)};
        pending_set(&p, &e, &old);
    }
    assert_in_range(pending_memory(&p), COUNT, COUNT * BYTES_MAX);
    pending_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_what_an_array_does),
        cmocka_unit_test(drains_from_the_front),
        cmocka_unit_test(takes_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
