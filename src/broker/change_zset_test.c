/* What the changes of sorted sets record is what replay makes of it: seeded random changes on one
 * keyspace, their records applied to another, the two compared. And records that make no sense are
 * refused, whatever is wrong with them. */
#include "broker/change_zset.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/change_testing.h"

enum { KEYS = 3, MEMBERS = 40 };

struct bench {
    struct changes ch;
    struct keyspace *replayed;
    struct rng rng;
};

static void bench_init(struct bench *b, uint64_t seed)
{
    changes_init(&b->ch);
    b->ch.broker->settings.zset_max_listpack_entries = 10;
    b->replayed = keyspace_new();
    rng_seed(&b->rng, seed);
}

static void bench_fini(struct bench *b)
{
    keyspace_free(b->replayed);
    changes_fini(&b->ch);
}

static size_t apply_records(struct bench *b)
{
    changes_end(&b->ch);
    size_t n = b->ch.count;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(replay_record(b->replayed, changes_record(&b->ch, i)), 0);
    changes_forget(&b->ch);
    return n;
}

static void check_same(struct keyspace *x, struct keyspace *y, struct bytes name)
{
    struct key *a = keyspace_find(x, 0, name, hash_bytes(name));
    struct key *b = keyspace_find(y, 0, name, hash_bytes(name));
    assert_int_equal(a == NULL, b == NULL);
    if (a == NULL) return;
    struct zset *za = a->value.zset, *zb = b->value.zset;
    assert_int_equal(a->encoding, zset_encoding(za));
    assert_int_equal(b->encoding, zset_encoding(zb));
    assert_true(zset_count(za) > 0);
    assert_int_equal(zset_count(za), zset_count(zb));
    for (size_t i = 0; i < zset_count(za); i++) {
        struct zset_entry ea = zset_at(za, i), eb = zset_at(zb, i);
        assert_true(bytes_eq(ea.member, eb.member));
        assert_true(ea.score == eb.score);
    }
}

static struct key *find(struct bench *b, struct bytes name)
{
    return keyspace_find(b->ch.broker->ks, 0, name, hash_bytes(name));
}

static void add_some(struct bench *b, struct bytes name, struct bytes member)
{
    struct key *k = find(b, name);
    struct zset_place place;
    double score = (double)rng_below(&b->rng, 8) - 4;
    zset_find(k == NULL ? NULL : k->value.zset, member, &place);
    if (place.found && place.score == score) return;
    change_zset_assign(&b->ch.call, k, name, &place, score);
    assert_true(b->ch.broker->fx.ready);
}

static void take_one(struct bench *b, struct bytes name, struct bytes member)
{
    struct key *k = find(b, name);
    struct zset_place place;
    if (k == NULL || !zset_find(k->value.zset, member, &place)) return;
    bool last = zset_count(k->value.zset) == 1;
    assert_int_equal(change_zset_take(&b->ch.call, k, name, &place) == NULL, last);
}

static void take_span(struct bench *b, struct bytes name)
{
    struct key *k = find(b, name);
    if (k == NULL) return;
    size_t count = zset_count(k->value.zset), start = rng_below(&b->rng, count);
    struct zset_span span = {start, rng_below(&b->rng, count - start) + 1};
    bool all = span.count == count;
    assert_int_equal(change_zset_take_span(&b->ch.call, k, name, span) == NULL, all);
}

static void store(struct bench *b, struct bytes name)
{
    struct zset *z = zset_new();
    struct zset_limits limits = call_zset_limits(&b->ch.call);
    char room[8];
    for (uint64_t n = rng_below(&b->rng, 20); n > 0; n--) {
        size_t len = (size_t)sprintf(room, "%u", (unsigned)rng_below(&b->rng, MEMBERS));
        zset_put(z, (struct bytes){room, len}, (double)n, &limits);
    }
    change_zset_store(&b->ch.call, name, z, "zunionstore");
}

static void test_replay(void **state)
{
    static const struct bytes names[KEYS] = {BYTES("a"), BYTES("b"), BYTES("")};
    struct bench b;
    char room[8];
    bench_init(&b, 3);
    for (int i = 0; i < 4000; i++) {
        struct bytes name = names[rng_below(&b.rng, KEYS)];
        struct bytes member = {room,
                               (size_t)sprintf(room, "%u", (unsigned)rng_below(&b.rng, MEMBERS))};
        uint64_t what = rng_below(&b.rng, 40);
        if (what < 20) add_some(&b, name, member);
        else if (what < 38) take_one(&b, name, member);
        else if (what < 39) take_span(&b, name);
        else store(&b, name);
        if (rng_below(&b.rng, 3) == 0) { /* several changes in one drain, as in EXEC */
            apply_records(&b);
            for (int n = 0; n < KEYS; n++) check_same(b.ch.broker->ks, b.replayed, names[n]);
        }
    }
    bench_fini(&b);
}

/* Members of one key that are added in a row share a record. */
static void test_one_record(void **state)
{
    struct bench b;
    bench_init(&b, 1);
    add_some(&b, BYTES("k"), BYTES("x"));
    add_some(&b, BYTES("k"), BYTES("y"));
    add_some(&b, BYTES("k"), BYTES("z"));
    assert_int_equal(apply_records(&b), 1);
    bench_fini(&b);
}

static int apply(struct keyspace *ks, const struct buf *record)
{
    return replay_record(ks, buf_bytes(record));
}

static void put_pair(struct buf *record, double score, struct bytes member)
{
    record_put_score(record, score);
    record_put_bytes(record, member);
}

static void test_nonsense(void **state)
{
    struct keyspace *ks = keyspace_new();
    struct buf add = {0}, record = {0};
    record_put_head(&add, REC_ZSET_ADD, 0, BYTES("k"));
    put_pair(&add, 1, BYTES("a"));
    put_pair(&add, 2, BYTES("b"));
    assert_int_equal(apply(ks, &add), 0);
    for (size_t n = 0; n < add.len;
         n++) { /* cut short; at a pair's end it is another good record */
        if (n == 4 + 8 + 2) continue;
        assert_int_equal(replay_record(ks, (struct bytes){add.data, n}), -EBADMSG);
    }
    record_put_head(&record, REC_ZSET_ADD, 0, BYTES("k"));
    put_pair(&record, NAN, BYTES("c"));
    assert_int_equal(apply(ks, &record), -EBADMSG);

    static const struct bytes members[] = {BYTES("absent"), BYTES("a"), BYTES("b")};
    static const int expected[] = {-EBADMSG, 0, -EBADMSG}; /* the last one goes by REC_DELETE */
    for (int i = 0; i < 3; i++) {
        record.len = 0;
        record_put_head(&record, REC_ZSET_REMOVE, 0, BYTES("k"));
        record_put_bytes(&record, members[i]);
        assert_int_equal(apply(ks, &record), expected[i]);
    }
    keyspace_add(ks, 0, BYTES("s"), hash_bytes(BYTES("s")), KEY_STRING, ENC_INT);
    record.len = 0;
    record_put_head(&record, REC_ZSET_ADD, 0, BYTES("s"));
    put_pair(&record, 1, BYTES("a"));
    assert_int_equal(apply(ks, &record), -EBADMSG);
    buf_fini(&add);
    buf_fini(&record);
    keyspace_free(ks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_one_record),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
