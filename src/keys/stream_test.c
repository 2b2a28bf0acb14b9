/* Streams against a naive one, an array of entries: seeded random operations, in memory alone and
 * with so little memory that most of it is in chunks; reads from disk are refused at random when
 * they would have to wait, and asked for again. */
#include "keys/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "keys/stream_store.h"

enum { ENTRIES_MAX = 40000, VALUE_MAX = 9000 };

struct entry {
    struct stream_id id;
    uint32_t fields, value_len;
    bool there;
};

struct bench {
    struct rng rng;
    struct keyspace *ks;
    struct stream_store *store;
    struct chunks *chunks; /* NULL: none */
    char dir[64];
    struct key *key;
    struct stream *s;
    struct entry *entries; /* the model: by ordinal */
    size_t count, there;
    uint64_t again; /* how often something was not here */
};

static struct rng coin;
static char text[VALUE_MAX];
static struct file_layer layer; /* of the bench that is set up */

static ssize_t pread_sometimes(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    if (rng_below(&coin, 3) != 0) return -EAGAIN;
    return file_layer_real.pread(NULL, fd, data, n, offset);
}

static void turn(struct bench *b)
{
    stream_store_turn(b->store);
}

/* What was away: waits for a load to finish. */
static void await(struct bench *b)
{
    static const struct timespec pause = {.tv_nsec = 20000};
    uint64_t before = b->store->loads;
    b->again++;
    for (int i = 0; i < 100000 && b->store->loads == before; i++) {
        nanosleep(&pause, NULL);
        stream_store_turn(b->store);
    }
    assert_true(b->store->loads > before);
}

/* What is closed is written. */
static void await_sealed(struct bench *b)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 10000 && b->store->sealing_bytes > 0; i++) {
        nanosleep(&pause, NULL);
        turn(b);
    }
    assert_int_equal(b->store->sealing_bytes, 0);
}

#define UNTIL_HERE(r, call)                                                                        \
    while (((r) = (call)) == -EAGAIN) await(b)

static void setup(struct bench *b, bool on_disk, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    rng_seed(&b->rng, seed);
    rng_seed(&coin, seed + 1);
    b->ks = keyspace_new();
    b->store = keyspace_streams(b->ks);
    b->entries = mem_calloc(ENTRIES_MAX * sizeof *b->entries);
    if (on_disk) {
        snprintf(b->dir, sizeof b->dir, "/tmp/leat-stream-test-XXXXXX");
        assert_non_null(mkdtemp(b->dir));
        layer = file_layer_real;
        layer.pread_now = pread_sometimes;
        struct chunks_options o = {
            .dir = b->dir, .files = &layer, .file_bytes = 1 << 20, .wake_fd = -1};
        assert_int_equal(chunks_new(&o, &b->chunks), 0);
        b->store->chunks = b->chunks;
        b->store->memory_max = 300 << 10;
    }
    b->key = keyspace_add(b->ks, 0, BYTES("s"), hash_bytes(BYTES("s")), KEY_STREAM, ENC_STREAM);
    stream_init(b->key, b->store);
    b->s = stream_of(b->key);
}

static int unlink_name(void *arg, const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    return unlink(path);
}

static void teardown(struct bench *b)
{
    if (b->chunks != NULL) {
        chunks_stop(b->chunks);
        stream_store_end(b->store);
    }
    keyspace_free(b->ks);
    chunks_free(b->chunks);
    if (b->chunks != NULL) {
        assert_int_equal(file_layer_real.list(NULL, b->dir, unlink_name, b->dir), 0);
        assert_int_equal(rmdir(b->dir), 0);
    }
    mem_free(b->entries);
}

/* ---- The model ---- */

static struct bytes value_of(const struct entry *e, uint32_t i)
{
    memset(text, 'a' + (int)((e->id.seq + i) % 26), e->value_len);
    return (struct bytes){text, e->value_len};
}

static void append(struct bench *b)
{
    struct stream_id id = b->s->last_id;
    if (b->count == ENTRIES_MAX) return;
    if (rng_below(&b->rng, 3) == 0) id = (struct stream_id){id.ms + 1 + rng_below(&b->rng, 5), 0};
    else id.seq += 1 + rng_below(&b->rng, 2);
    struct entry *e = &b->entries[b->count++];
    *e = (struct entry){.id = id, .fields = (uint32_t)rng_below(&b->rng, 4) + 1, .there = true};
    e->value_len = (uint32_t)rng_below(&b->rng, rng_below(&b->rng, 200) == 0 ? VALUE_MAX : 60);
    struct bytes fields[8];
    char *values[4];
    for (uint32_t i = 0; i < e->fields; i++) {
        struct bytes v = value_of(e, i);
        values[i] = mem_dup(v.data, v.len);
        fields[2 * i] = BYTES("field");
        fields[2 * i + 1] = (struct bytes){values[i], v.len};
    }
    stream_append(b->s, id, fields, 2 * (size_t)e->fields);
    for (uint32_t i = 0; i < e->fields; i++) mem_free(values[i]);
    b->there++;
}

static struct stream_id random_id(struct bench *b)
{
    if (b->count == 0 || rng_below(&b->rng, 20) == 0)
        return rng_below(&b->rng, 2) == 0 ? STREAM_ID_MIN : STREAM_ID_MAX;
    struct stream_id id = b->entries[rng_below(&b->rng, b->count)].id;
    if (rng_below(&b->rng, 4) == 0) id.seq++;
    return id;
}

static void check_entry(const struct bench *b, const struct stream_entry *got)
{
    struct bytes part;
    size_t at = 0;
    assert_true(got->ordinal < b->count);
    const struct entry *e = &b->entries[got->ordinal];
    assert_true(e->there);
    assert_int_equal(stream_id_cmp(e->id, got->id), 0);
    assert_int_equal(stream_entry_count(got), 2 * e->fields);
    for (uint32_t i = 0; i < e->fields; i++) {
        assert_true(stream_entry_next(got, &at, &part) && bytes_eq(part, BYTES("field")));
        assert_true(stream_entry_next(got, &at, &part) && bytes_eq(part, value_of(e, i)));
    }
    assert_false(stream_entry_next(got, &at, &part));
}

static void delete_some(struct bench *b)
{
    for (int i = 0; i < 5; i++) {
        struct stream_id id = random_id(b);
        size_t at = 0;
        int r;
        while (at < b->count && stream_id_cmp(b->entries[at].id, id) != 0) at++;
        bool there = at < b->count && b->entries[at].there;
        UNTIL_HERE(r, stream_exists(b->s, id));
        assert_int_equal(r, there);
        UNTIL_HERE(r, stream_delete(b->s, id));
        assert_int_equal(r, there);
        if (!there) continue;
        b->entries[at].there = false;
        b->there--;
    }
}

static void trim(struct bench *b)
{
    struct stream_trim t = {.by_id = rng_below(&b->rng, 2) == 0,
                            .approximately = rng_below(&b->rng, 3) == 0,
                            .length = b->there - rng_below(&b->rng, b->there / 8 + 1),
                            .min_id = b->entries[rng_below(&b->rng, b->count / 4 + 1)].id,
                            .limit = rng_below(&b->rng, 3) == 0 ? 1 + rng_below(&b->rng, 20) : 0};
    struct stream_id keep;
    uint64_t gone, expected = 0;
    int64_t r;
    UNTIL_HERE(r, stream_trim_plan(b->s, &t, &keep, &gone));
    assert_int_equal(r, 0);
    for (size_t i = 0; i < b->count && t.by_id; i++)
        expected += b->entries[i].there && stream_id_cmp(b->entries[i].id, t.min_id) < 0;
    if (!t.by_id) expected = b->there - t.length;
    if (t.limit > 0 && expected > t.limit) expected = t.limit;
    if (t.approximately) assert_true(gone <= expected);
    else assert_int_equal(gone, expected);
    if (gone == 0) return;
    UNTIL_HERE(r, stream_trim_to(b->s, keep));
    assert_int_equal(r, gone);
    for (size_t i = 0; i < b->count && stream_id_cmp(b->entries[i].id, keep) < 0; i++) {
        if (!b->entries[i].there) continue;
        b->entries[i].there = false;
        b->there--;
        gone--;
    }
    assert_int_equal(gone, 0);
}

static void read_range(struct bench *b)
{
    struct stream_id from = random_id(b), to = random_id(b);
    bool reverse = rng_below(&b->rng, 2) == 0;
    uint64_t max = 1 + rng_below(&b->rng, 2000), n = 0, expected = 0;
    struct stream_iter it;
    struct stream_entry e;
    int64_t r;
    for (size_t i = 0; i < b->count && expected < max; i++)
        expected += b->entries[i].there && stream_id_cmp(b->entries[i].id, from) >= 0 &&
                    stream_id_cmp(b->entries[i].id, to) <= 0;
    UNTIL_HERE(r, stream_count(b->s, from, to, max));
    assert_int_equal(r, expected);
    stream_iter_init(&it, b->s, from, to, reverse);
    uint64_t before = reverse ? UINT64_MAX : 0;
    while (n < max) {
        UNTIL_HERE(r, stream_iter_next(&it, &e));
        if (r == 0) break;
        assert_int_equal(r, 1);
        check_entry(b, &e);
        assert_true(n == 0 || (reverse ? e.ordinal < before : e.ordinal > before));
        before = e.ordinal;
        n++;
    }
    assert_int_equal(n, expected);
}

/* Runs are the entries one after the other, in pieces. */
static void read_runs(struct bench *b)
{
    struct stream_id from = random_id(b), to = random_id(b);
    struct stream_iter one_by_one, in_runs;
    struct stream_entry e;
    struct stream_run run;
    int64_t r, got;
    stream_iter_init(&one_by_one, b->s, from, to, false);
    stream_iter_init(&in_runs, b->s, from, to, false);
    for (;;) {
        UNTIL_HERE(got, stream_iter_run(&in_runs, 1 + rng_below(&b->rng, 300), &run));
        assert_true(got >= 0);
        if (got == 0) break;
        char *copy = mem_dup(run.wire.data, run.wire.len);
        size_t at = 0;
        for (int64_t i = 0; i < got; i++) {
            UNTIL_HERE(r, stream_iter_next(&one_by_one, &e));
            assert_int_equal(r, 1);
            assert_true(at + e.wire.len <= run.wire.len);
            assert_memory_equal(copy + at, e.wire.data, e.wire.len);
            at += e.wire.len;
            if (i == 0) assert_int_equal(stream_id_cmp(e.id, run.first), 0);
        }
        assert_int_equal(at, run.wire.len);
        assert_int_equal(stream_id_cmp(e.id, run.last), 0);
        assert_int_equal(e.ordinal, run.last_ordinal);
        mem_free(copy);
    }
    UNTIL_HERE(r, stream_iter_next(&one_by_one, &e));
    assert_int_equal(r, 0);
}

/* To the block where the first entries are away; else to the entry. */
static void check_rest(struct bench *b, uint64_t ordinal, uint64_t count)
{
    struct stream_rest rest;
    size_t first = (size_t)ordinal;
    while (first < b->count && !b->entries[first].there) first++;
    stream_rest(b->s, ordinal, &rest);
    assert_int_equal(rest.count, count);
    assert_true(rest.bytes <= b->s->wire_bytes && (rest.bytes > 0) == (count > 0));
    if (count == b->there) assert_int_equal(rest.bytes, b->s->wire_bytes);
    if (count == 0) assert_int_equal(rest.since_ms, 0);
    else if (b->chunks == NULL) assert_int_equal(rest.since_ms, b->entries[first].id.ms);
    else assert_true(rest.since_ms <= b->entries[first].id.ms);
}

static void check_positions(struct bench *b)
{
    struct stream_id id = random_id(b);
    uint64_t ordinal = 0, expected = 0, lag = 0;
    int r;
    while (expected < b->count && stream_id_cmp(b->entries[expected].id, id) <= 0) expected++;
    UNTIL_HERE(r, stream_ordinal_after(b->s, id, &ordinal));
    assert_int_equal(r, 0);
    for (size_t i = expected; i < b->count; i++) lag += b->entries[i].there;
    /* Where the entries between are gone, any ordinal among them says the same. */
    assert_int_equal(stream_count_from_ordinal(b->s, ordinal), lag);
    assert_int_equal(stream_count_from_ordinal(b->s, expected), lag);
    check_rest(b, ordinal, lag);
    check_rest(b, expected, lag);
}

static void check_whole(struct bench *b)
{
    struct stream_id id;
    size_t first = 0;
    int r;
    assert_int_equal(b->s->length, b->there);
    assert_int_equal(b->s->next_ordinal, b->count);
    while (first < b->count && !b->entries[first].there) first++;
    UNTIL_HERE(r, stream_first(b->s, &id));
    assert_int_equal(r, b->there > 0);
    if (r == 1) assert_int_equal(stream_id_cmp(id, b->entries[first].id), 0);
    UNTIL_HERE(r, stream_last(b->s, &id));
    assert_int_equal(r, b->there > 0);
    size_t last = b->count;
    while (last > 0 && !b->entries[last - 1].there) last--;
    if (r == 1) assert_int_equal(stream_id_cmp(id, b->entries[last - 1].id), 0);
}

/* A copy has the same entries, and is a stream of its own. */
static void check_copy(struct bench *b)
{
    struct bytes name = BYTES("copy");
    struct key *k = keyspace_copy(b->ks, b->key, 1, name);
    struct stream *original = b->s;
    b->s = stream_of(k);
    check_whole(b);
    read_range(b);
    read_runs(b);
    b->s = original;
    keyspace_remove(b->ks, 1, k);
    read_range(b);
}

static bool is_within_memory(const struct stream_store *store)
{
    return store->cached_bytes + store->open_bytes <= store->memory_max;
}

static void run(bool on_disk, uint64_t seed)
{
    struct bench b;
    setup(&b, on_disk, seed);
    for (int i = 0; i < 4000; i++) {
        uint64_t what = rng_below(&b.rng, 100);
        if (what < 60)
            for (int n = 0; n < 12; n++) append(&b);
        else if (what < 70) delete_some(&b);
        else if (what < 72 && b.there > 0) trim(&b);
        else if (what < 82) check_positions(&b);
        else if (what < 86) read_range(&b);
        else if (what < 88) read_runs(&b);
        else if (what < 90) check_whole(&b);
        else if (what < 91) check_copy(&b);
        else turn(&b);
    }
    check_whole(&b);
    struct chunks_stats stats = {0};
    if (on_disk) {
        chunks_stats(b.chunks, &stats);
        assert_true(stats.written > 10);
        assert_true(b.again > 10);
        /* What a thread has finished in a turn is evicted in the next. */
        for (int i = 0; i < 100 && !is_within_memory(b.store); i++) turn(&b);
        assert_true(is_within_memory(b.store));
    }
    teardown(&b);
}

static void test_model_in_memory(void **state)
{
    for (uint64_t seed = 1; seed <= 2; seed++) run(false, seed);
}

static void test_model_on_disk(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) run(true, seed);
}

/* Entries that a walk has come by stay where they are until the next turn, however many of them
 * had to be read from disk: each has a block of its own here. */
static void test_entries_stay(void **state)
{
    enum { ENTRIES = 30, BYTES_EACH = 70 << 10 };
    struct bench b;
    struct stream_iter it;
    struct stream_entry e[ENTRIES];
    char *value = mem_calloc(BYTES_EACH);
    struct bytes fields[2] = {BYTES("f"), {value, BYTES_EACH}};
    setup(&b, true, 1);
    layer.pread_now = file_layer_real.pread_now;
    for (uint64_t i = 1; i <= ENTRIES; i++) {
        stream_append(b.s, (struct stream_id){i, 0}, fields, 2);
        turn(&b);
    }
    await_sealed(&b);
    turn(&b);
    assert_true(b.store->cached_bytes <= b.store->memory_max);
    stream_iter_init(&it, b.s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (int i = 0; i < ENTRIES; i++) assert_int_equal(stream_iter_next(&it, &e[i]), 1);
    for (int i = 0; i < ENTRIES; i++) assert_memory_equal(e[i].wire.data, "*2\r\n$", 5);
    teardown(&b);
    mem_free(value);
}

/* However little may stay: no more is named than there is. */
static void test_over_bytes(void **state)
{
    struct bench b;
    struct bytes fields[2] = {BYTES("f"), BYTES("v")};
    setup(&b, false, 1);
    for (uint64_t i = 1; i <= 3; i++)
        stream_append(b.s, (struct stream_id){i * i * i * i, 0}, fields, 2);
    for (uint64_t bytes = 0; bytes <= b.s->wire_bytes; bytes++) {
        uint64_t n = stream_count_over_bytes(b.s, bytes);
        assert_in_range(n, bytes < b.s->wire_bytes, b.s->length);
    }
    assert_int_equal(stream_count_over_bytes(b.s, b.s->wire_bytes), 0);
    teardown(&b);
}

static void test_ids(void **state)
{
    struct stream_id id = {7, 7};
    char out[STREAM_ID_TEXT_MAX];
    assert_true(stream_id_parse(BYTES("18446744073709551615-18446744073709551615"), 0, &id));
    assert_false(stream_id_next(&id));
    assert_int_equal(stream_id_format(out, id), 41);
    assert_true(stream_id_parse(BYTES("5"), 9, &id) && id.ms == 5 && id.seq == 9);
    assert_true(stream_id_prev(&id) && id.seq == 8);
    assert_true(stream_id_parse(BYTES(" 6-01"), 9, &id) && id.ms == 6 && id.seq == 1);
    static const char *const wrong[] = {"", "-", "1-", "-1", "1-1-1", "x", "1-x", "1-*", "0x1-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(stream_id_parse(bytes_of(wrong[i]), 0, &id));
    id = (struct stream_id){3, 0};
    assert_true(stream_id_prev(&id) && id.ms == 2 && id.seq == UINT64_MAX);
    assert_true(stream_id_next(&id) && id.ms == 3 && id.seq == 0);
    id = STREAM_ID_MIN;
    assert_false(stream_id_prev(&id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),           cmocka_unit_test(test_over_bytes),
        cmocka_unit_test(test_entries_stay),  cmocka_unit_test(test_model_in_memory),
        cmocka_unit_test(test_model_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
