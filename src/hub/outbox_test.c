/* The outbox against a naive one that keeps the position of every single byte: what may leave,
 * under seeded random puts, replies, partial writes and a journal that gets on. */
#include "hub/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

/* Every byte with the position it waits for; bytes that follow never leave earlier. */
struct model {
    char *bytes;
    uint64_t *waits_for;
    size_t len, sent, cap;
};

enum { RUNS = 4 };

static struct rng rng;

static void model_put(struct model *m, struct bytes b, uint64_t position)
{
    if (m->len + b.len > m->cap) { /* twice as much: under ASan each realloc copies */
        m->cap = 2 * (m->len + b.len);
        m->bytes = mem_realloc(m->bytes, m->cap);
        m->waits_for = mem_realloc(m->waits_for, m->cap * sizeof *m->waits_for);
    }
    uint64_t bar = m->len > 0 ? m->waits_for[m->len - 1] : 0;
    for (size_t i = 0; i < b.len; i++) {
        m->bytes[m->len] = b.data[i];
        m->waits_for[m->len++] = position > bar ? position : bar;
    }
}

static size_t model_ready(const struct model *m, uint64_t covered)
{
    size_t n = 0;
    while (m->sent + n < m->len && m->waits_for[m->sent + n] <= covered) n++;
    return n;
}

static void count_dirty(void *owner)
{
    ++*(int *)owner;
}

static struct bytes some_bytes(char *room, size_t max)
{
    size_t n = 1 + rng_below(&rng, max);
    for (size_t i = 0; i < n; i++) room[i] = (char)rng_next(&rng);
    return (struct bytes){room, n};
}

/* As a command does it: straight into the buffer, then the gate, with pushes in between. */
static void reply(struct outbox *o, struct model *m, uint64_t position)
{
    char room[64], push[32];
    outbox_reply_begin(o);
    struct bytes first = some_bytes(room, 20);
    buf_put(&o->bytes, first);
    model_put(m, first, position);
    struct bytes aside = some_bytes(push, sizeof push);
    bool pushed = rng_below(&rng, 3) == 0;
    if (pushed) outbox_put(o, aside, position / 2);
    struct bytes second = some_bytes(room + 32, 20);
    buf_put(&o->bytes, second);
    model_put(m, second, position);
    outbox_reply_end(o, position);
    if (pushed) model_put(m, aside, position / 2);
}

/* A part of a block that others hold, too. */
static void share(struct outbox *o, struct model *m, struct shared *block, uint64_t position)
{
    size_t from = rng_below(&rng, block->bytes.len);
    size_t len = 1 + rng_below(&rng, block->bytes.len - from);
    outbox_share(o, block, from, len, position);
    model_put(m, (struct bytes){block->bytes.data + from, len}, position);
}

static void check_and_send(struct outbox *o, struct model *m, uint64_t covered)
{
    struct bytes runs[RUNS];
    bool is_all;
    size_t count = outbox_ready(o, covered, runs, RUNS, &is_all), all = 0;
    for (size_t i = 0; i < count; all += runs[i++].len)
        assert_memory_equal(runs[i].data, m->bytes + m->sent + all, runs[i].len);
    if (count < RUNS) assert_int_equal(all, model_ready(m, covered));
    else assert_true(all <= model_ready(m, covered));
    assert_int_equal(is_all, all == m->len - m->sent);
    size_t n = rng_below(&rng, all + 1);
    if (rng_below(&rng, 4) == 0) n = all;
    outbox_sent(o, n);
    m->sent += n;
    assert_int_equal(outbox_pending(o), m->len - m->sent);
}

static void run(size_t steps, size_t put_bytes_max)
{
    int dirty = 0;
    struct outbox o;
    struct model m = {0};
    uint64_t covered = 0, head = 0;
    char *room = mem_alloc(put_bytes_max);
    struct shared *block = shared_new();
    outbox_init(&o, count_dirty, &dirty);
    for (size_t i = 0; i < steps; i++) {
        switch (rng_below(&rng, 7)) {
        case 6:
            buf_append(&block->bytes, room, 1 + rng_below(&rng, put_bytes_max));
            share(&o, &m, block, rng_below(&rng, 2) ? 0 : rng_below(&rng, head + 1));
            break;
        case 0:
            head += rng_below(&rng, 5);
            break;
        case 1:
            covered += rng_below(&rng, head - covered + 1);
            break;
        case 2:
            reply(&o, &m, rng_below(&rng, 3) ? 0 : rng_below(&rng, head + 1));
            break;
        case 3:
        case 4: {
            struct bytes b = some_bytes(room, put_bytes_max);
            uint64_t position = rng_below(&rng, 2) ? 0 : rng_below(&rng, head + 1);
            outbox_put(&o, b, position);
            model_put(&m, b, position);
            break;
        }
        default:
            check_and_send(&o, &m, covered);
        }
    }
    for (int i = 0; i < 1000; i++) check_and_send(&o, &m, UINT64_MAX);
    assert_int_equal(dirty, 1);
    shared_unref(block);
    mem_free(room);
    mem_free(m.bytes);
    mem_free(m.waits_for);
    outbox_fini(&o);
}

static void test_small(void **state)
{
    for (int i = 0; i < 200; i++) run(200, 30);
}

/* Large enough for the buffer to be moved to the front while gates stand in it. */
static void test_large(void **state)
{
    for (int i = 0; i < 10; i++) run(300, 100000);
}

static void test_dirty_once(void **state)
{
    int dirty = 0;
    struct outbox o;
    outbox_init(&o, count_dirty, &dirty);
    outbox_put(&o, BYTES("a"), 0);
    outbox_put(&o, BYTES("b"), 0);
    assert_int_equal(dirty, 1);
    o.dirty = false;
    outbox_put(&o, BYTES("c"), 0);
    assert_int_equal(dirty, 2);
    outbox_fini(&o);
}

static void test_closed(void **state)
{
    int dirty = 0;
    struct outbox o;
    outbox_init(&o, count_dirty, &dirty);
    o.closed = true;
    outbox_put(&o, BYTES("a"), 0);
    assert_int_equal(outbox_pending(&o), 0);
    assert_int_equal(dirty, 0);
    outbox_fini(&o);
}

static void test_pushes_follow_the_reply(void **state)
{
    int dirty = 0;
    struct outbox o;
    outbox_init(&o, count_dirty, &dirty);
    outbox_reply_begin(&o);
    buf_put(&o.bytes, BYTES("*2\r\n:1\r\n"));
    outbox_put(&o, BYTES(">push"), 7);
    buf_put(&o.bytes, BYTES(":2\r\n"));
    outbox_reply_end(&o, 0);
    struct bytes ready;
    bool all;
    assert_int_equal(outbox_ready(&o, 0, &ready, 1, &all), 1);
    assert_true(bytes_eq(ready, BYTES("*2\r\n:1\r\n:2\r\n")) && !all);
    assert_int_equal(outbox_ready(&o, 7, &ready, 1, &all), 1);
    assert_true(bytes_eq(ready, BYTES("*2\r\n:1\r\n:2\r\n>push")) && all);
    outbox_fini(&o);
}

/* A connection that was busy once does not keep its memory for ever. */
static void test_memory(void **state)
{
    int dirty = 0;
    struct outbox o;
    char *room = mem_calloc(1 << 20);
    outbox_init(&o, count_dirty, &dirty);
    outbox_put(&o, (struct bytes){room, 1 << 20}, 0);
    outbox_sent(&o, 1 << 20);
    assert_true(o.bytes.cap < 64 * 1024);
    outbox_put(&o, BYTES("a"), 3);
    outbox_trim(&o);
    assert_int_equal(outbox_pending(&o), 1);
    outbox_sent(&o, 1);
    outbox_trim(&o);
    assert_int_equal(o.bytes.cap + o.gates.cap, 0);
    outbox_put(&o, BYTES("b"), 0);
    assert_int_equal(outbox_pending(&o), 1);
    mem_free(room);
    outbox_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_dirty_once),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_pushes_follow_the_reply),
        cmocka_unit_test(test_memory),
    };
    rng_seed(&rng, 11);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
