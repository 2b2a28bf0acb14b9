/* What the changes of streams record is what replay makes of it, from whatever state: seeded random
 * changes on one keyspace; their records replayed into another, and, from the middle on, a second
 * time into a state that is ahead of them, as a start from a snapshot does. All must come out the
 * same. And records that make no sense are refused. */
#include "broker/change_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/change_idmp.h"
#include "broker/change_testing.h"

enum { STEPS = 120 };

struct bench {
    struct changes ch;
    struct rng rng;
};

static const struct bytes name = BYTES("s");

static void bench_init(struct bench *b, uint64_t seed)
{
    changes_init(&b->ch);
    rng_seed(&b->rng, seed);
}

static struct key *find(struct keyspace *ks)
{
    return keyspace_find(ks, 0, name, hash_bytes(name));
}

/* ---- Changes ---- */

static struct stream_id random_id(struct bench *b)
{
    return (struct stream_id){rng_below(&b->rng, 40), rng_below(&b->rng, 3)};
}

static void add(struct bench *b)
{
    struct key *k = find(b->ch.broker->ks);
    struct stream_id id = k == NULL ? STREAM_ID_MIN : stream_of(k)->last_id;
    char value[16], iid[16];
    struct bytes fields[2] = {BYTES("f"), {value, (size_t)sprintf(value, "%zu", b->ch.count)}};
    id.ms += rng_below(&b->rng, 3);
    stream_id_next(&id);
    k = change_stream_add(&b->ch.call, k, name, id, fields, 2);
    if (rng_below(&b->rng, 2) == 0) return;
    struct bytes pid = rng_below(&b->rng, 2) == 0 ? BYTES("p") : BYTES("q");
    size_t len = (size_t)sprintf(iid, "i%zu", b->ch.count);
    change_idmp_add(&b->ch.call, k, pid, (struct bytes){iid, len}, id);
}

static void delete (struct bench *b, struct key *k)
{
    struct stream_id ids[3], id = random_id(b);
    size_t n = 0;
    for (size_t i = 0; i < 3; i++, stream_id_next(&id))
        if (stream_exists(stream_of(k), id) == 1) ids[n++] = id;
    if (n > 0) change_stream_delete(&b->ch.call, k, ids, n);
}

static void trim(struct bench *b, struct key *k)
{
    struct stream_trim t = {.by_id = true, .min_id = random_id(b)};
    struct stream_id keep_from;
    uint64_t gone;
    assert_int_equal(stream_trim_plan(stream_of(k), &t, &keep_from, &gone), 0);
    if (gone > 0) change_stream_trim(&b->ch.call, k, keep_from, gone);
}

/* As low as XSETID lets it go. */
static void set(struct bench *b, struct key *k)
{
    struct stream_id last = random_id(b), newest;
    if (stream_last(stream_of(k), &newest) == 1 && stream_id_cmp(last, newest) < 0) last = newest;
    change_stream_set(&b->ch.call, k, name, last, stream_of(k)->length + rng_below(&b->rng, 50),
                      random_id(b));
}

static void step(struct bench *b)
{
    struct key *k = find(b->ch.broker->ks);
    uint64_t way = rng_below(&b->rng, 20);
    if (k == NULL && way < 3)
        change_stream_set(&b->ch.call, NULL, name, random_id(b), 7, random_id(b));
    else if (k == NULL || way < 12) add(b);
    else if (way < 14) delete (b, k);
    else if (way < 15) trim(b, k);
    else if (way < 17) set(b, k);
    else if (way < 18)
        change_stream_retention(&b->ch.call, k,
                                (struct stream_retention){(int64_t)b->ch.count, b->ch.count,
                                                          rng_below(&b->rng, 2) == 0});
    else if (way < 19) change_idmp_limits(&b->ch.call, k, 100, 1 + (uint32_t)rng_below(&b->rng, 3));
    else if (rng_below(&b->rng, 4) == 0) change_delete(&b->ch.call, 0, k);
    changes_end(&b->ch);
}

/* ---- Replay ---- */

static void replay_all(const struct bench *b, struct keyspace *ks, size_t from, size_t to,
                       bool lenient)
{
    for (size_t i = from; i < to; i++) {
        struct bytes record = changes_record(&b->ch, i);
        assert_int_equal(lenient ? replay_record_lenient(ks, record) : replay_record(ks, record),
                         0);
    }
}

static void dump_message(const struct idmp_message *m, void *arg)
{
    buf_printf(arg, "%.*s/%.*s=%llu-%llu ", (int)m->pid.len, m->pid.data, (int)m->iid.len,
               m->iid.data, (unsigned long long)m->id.ms, (unsigned long long)m->id.seq);
}

static void put_id(struct buf *out, struct stream_id id)
{
    buf_printf(out, " %llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
}

static void dump(struct keyspace *ks, struct buf *out)
{
    struct key *k = find(ks);
    struct stream_iter it;
    struct stream_entry e;
    out->len = 0;
    if (k == NULL) return;
    struct stream *s = stream_of(k);
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_iter_next(&it, &e) == 1) buf_put(out, e.wire);
    put_id(out, s->last_id);
    put_id(out, s->max_deleted_id);
    buf_printf(out, " %llu %llu %lld %llu %d\n", (unsigned long long)s->length,
               (unsigned long long)s->entries_added, (long long)s->retention.age_ms,
               (unsigned long long)s->retention.bytes, s->retention.acknowledged);
    if (s->idmp == NULL) return;
    buf_printf(out, "idmp %u %u %llu: ", s->idmp->duration_s, s->idmp->maxsize,
               (unsigned long long)s->idmp->added);
    idmp_walk(s->idmp, dump_message, out);
}

/* Producers are walked in the order of a table: the texts are compared as multisets of words. */
static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted(struct buf *text)
{
    char *words[1000], *save = NULL;
    size_t n = 0;
    struct buf out = {0};
    buf_putc(text, '\0');
    for (char *w = strtok_r(text->data, " ", &save); w != NULL && n < 1000;
         w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    qsort(words, n, sizeof *words, compare_words);
    for (size_t i = 0; i < n; i++) buf_printf(&out, "%s ", words[i]);
    buf_putc(&out, '\0');
    return out.data;
}

static void assert_same(struct keyspace *x, struct keyspace *y)
{
    struct buf a = {0}, b = {0};
    dump(x, &a);
    dump(y, &b);
    char *left = sorted(&a), *right = sorted(&b);
    if (strcmp(left, right) != 0) printf("expected: %s\ngot:      %s\n", left, right);
    assert_true(strcmp(left, right) == 0);
    mem_free(left);
    mem_free(right);
    buf_fini(&a);
    buf_fini(&b);
}

/* When a snapshot whose journal begins at `from` has taken the stream: at some time up to the next
 * XSETID, before which it would be. */
static size_t taken_at(struct bench *b, size_t from)
{
    size_t end = from;
    while (end < b->ch.count && changes_record(&b->ch, end).data[0] != REC_STREAM_SET) end++;
    return from + rng_below(&b->rng, end - from + 1);
}

static void test_replay(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct bench b;
        bench_init(&b, seed);
        for (int i = 0; i < STEPS; i++) step(&b);
        struct keyspace *again = keyspace_new(), *ahead = keyspace_new();
        replay_all(&b, again, 0, b.ch.count, false);
        assert_same(b.ch.broker->ks, again);
        size_t from = rng_below(&b.rng, b.ch.count + 1), taken = taken_at(&b, from);
        replay_all(&b, ahead, 0, taken, false);
        replay_all(&b, ahead, from, b.ch.count, true);
        assert_same(b.ch.broker->ks, ahead);
        keyspace_free(again);
        keyspace_free(ahead);
        changes_fini(&b.ch);
    }
}

/* XCFGSET with the limits that hold already, between two messages: a state that has both loses none
 * of them when it meets it again. */
static void test_limits_again(void **state)
{
    static const struct bytes fields[2] = {BYTES("f"), BYTES("v")};
    struct bench b;
    struct stream_id id = {5, 0};
    bench_init(&b, 1);
    struct key *k = change_stream_add(&b.ch.call, NULL, name, id, fields, 2);
    change_idmp_add(&b.ch.call, k, BYTES("p"), BYTES("i1"), id);
    change_idmp_limits(&b.ch.call, k, IDMP_DURATION_DEFAULT, IDMP_MAXSIZE_DEFAULT);
    change_idmp_add(&b.ch.call, k, BYTES("p"), BYTES("i2"), id);
    effects_finish(&b.ch.broker->fx);
    assert_int_equal(b.ch.count, 4);
    struct keyspace *ahead = keyspace_new();
    replay_all(&b, ahead, 0, 4, false);
    for (size_t from = 0; from < 4; from++) {
        replay_all(&b, ahead, from, 4, true);
        assert_same(b.ch.broker->ks, ahead);
    }
    keyspace_free(ahead);
    effects_reset(&b.ch.broker->fx);
    changes_fini(&b.ch);
}

/* No id tells that the entry with the greatest goes too: that is recorded in another way. */
static void test_trim_of_the_greatest(void **state)
{
    static const struct bytes fields[2] = {BYTES("f"), BYTES("v")};
    struct bench b;
    struct stream_trim none = {.length = 0};
    struct stream_id keep_from;
    uint64_t gone;
    bench_init(&b, 1);
    struct key *k = change_stream_add(&b.ch.call, NULL, name, (struct stream_id){1, 0}, fields, 2);
    change_stream_add(&b.ch.call, k, name, STREAM_ID_MAX, fields, 2);
    assert_int_equal(stream_trim_plan(stream_of(k), &none, &keep_from, &gone), 0);
    assert_int_equal(gone, 2);
    change_stream_trim(&b.ch.call, k, keep_from, gone);
    effects_finish(&b.ch.broker->fx);
    assert_int_equal(stream_of(k)->length, 0);
    struct keyspace *again = keyspace_new();
    replay_all(&b, again, 0, b.ch.count, false);
    assert_same(b.ch.broker->ks, again);
    keyspace_free(again);
    effects_reset(&b.ch.broker->fx);
    changes_fini(&b.ch);
}

/* ---- Nonsense ---- */

static void test_nonsense(void **state)
{
    struct bench b;
    bench_init(&b, 5);
    for (int i = 0; i < STEPS; i++) step(&b);
    struct keyspace *ks = keyspace_new();
    for (size_t i = 0; i < b.ch.count; i++) {
        struct bytes record = changes_record(&b.ch, i);
        for (size_t len = 0; len < record.len; len++) /* cut short: refused, or shorter by items */
            replay_record(ks, (struct bytes){record.data, len});
        char *text = mem_dup(record.data, record.len);
        for (int j = 0; j < 40; j++) {
            text[2 + rng_below(&b.rng, record.len - 2)] = (char)rng_below(&b.rng, 256);
            replay_record(ks, (struct bytes){text, record.len});
            replay_record_lenient(ks, (struct bytes){text, record.len});
        }
        mem_free(text);
        replay_record_lenient(ks, record);
    }
    keyspace_free(ks);
    changes_fini(&b.ch);
}

static void test_refused(void **state)
{
    static const struct bytes fields[2] = {BYTES("f"), BYTES("v")};
    struct bench b;
    struct stream_id five = {5, 0};
    bench_init(&b, 1);
    struct key *k = change_stream_add(&b.ch.call, NULL, name, five, fields, 2);
    change_stream_delete(&b.ch.call, k, &five, 1);
    effects_finish(&b.ch.broker->fx);
    struct keyspace *ks = keyspace_new();
    assert_int_equal(replay_record(ks, changes_record(&b.ch, 1)),
                     -EBADMSG); /* there is no stream */
    assert_int_equal(replay_record(ks, changes_record(&b.ch, 0)), 0);
    assert_int_equal(replay_record(ks, changes_record(&b.ch, 0)),
                     -EBADMSG); /* it is not behind the last */
    assert_int_equal(replay_record(ks, changes_record(&b.ch, 1)), 0);
    assert_int_equal(replay_record(ks, changes_record(&b.ch, 1)), -EBADMSG); /* it is not there */
    assert_int_equal(replay_record_lenient(ks, changes_record(&b.ch, 1)), 0);
    keyspace_free(ks);
    effects_reset(&b.ch.broker->fx);
    changes_fini(&b.ch);
}

/* Where records need not fit, a run may be of any length: only what is there of it costs time. */
static void test_long_run(void **state)
{
    struct bench b;
    bench_init(&b, 0);
    static const struct bytes fields[] = {BYTES("f"), BYTES("v")};
    struct key *made = NULL;
    for (uint64_t seq = 1; seq < 4000000000; seq *= 1000)
        made = change_stream_add(&b.ch.call, made, name, (struct stream_id){5, seq}, fields, 2);
    effects_finish(&b.ch.broker->fx);
    struct keyspace *ks = keyspace_new();
    for (size_t i = 0; i < b.ch.count; i++)
        assert_int_equal(replay_record(ks, changes_record(&b.ch, i)), 0);
    struct buf run = {0};
    record_put_head(&run, REC_STREAM_DELETE, 0, name);
    for (int i = 0; i < 2; i++) record_put_int(&run, 0); /* the largest deleted id */
    record_put_varint(&run, 5);
    record_put_varint(&run, 2);
    record_put_varint(&run, UINT64_C(1) << 60);
    assert_int_equal(replay_record(ks, buf_bytes(&run)), -EBADMSG);
    assert_int_equal(replay_record_lenient(ks, buf_bytes(&run)), 0);
    struct key *k = keyspace_find(ks, 0, name, hash_bytes(name));
    assert_int_equal(stream_of(k)->length, 1);
    assert_int_equal(stream_exists(stream_of(k), (struct stream_id){5, 1}), 1);
    buf_fini(&run);
    keyspace_free(ks);
    effects_reset(&b.ch.broker->fx);
    changes_fini(&b.ch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_limits_again),
        cmocka_unit_test(test_trim_of_the_greatest),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_refused),
    };
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
