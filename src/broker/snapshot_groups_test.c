/* Snapshots of streams whose groups change all the time: after a start from one everything in them
 * is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/must.h"
#include "broker/testing.h"

enum { ENTRIES = 9000, STREAMS = 3, GROUPS = 4, CONSUMERS = 40 };

static struct rng rng;
static int64_t ticks;

/* Each look at the clock takes some time, so that slices are short. */
static int64_t ticking_us(void)
{
    ticks += 400;
    return bench_now_us + ticks;
}

struct world {
    struct bench bench;
    struct peer peer;
};

static void world_open(struct world *w)
{
    bench_open(&w->bench);
    w->bench.broker->options.monotonic_us = ticking_us;
    peer_open(&w->peer, &w->bench);
}

static void world_close(struct world *w)
{
    peer_close(&w->peer);
    bench_close(&w->bench);
}

static struct bytes run(struct world *w, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return peer_run(&w->peer, line);
}

static unsigned below(unsigned n)
{
    return (unsigned)rng_below(&rng, n);
}

static void step(struct world *w)
{
    bench_turn(&w->bench);
    bench_now_us += 1000;
    broker_background(w->bench.broker, false);
}

static void read_some(struct world *w, unsigned count)
{
    run(w, "XREADGROUP GROUP g%u c%u COUNT %u STREAMS s%u >", below(GROUPS), below(CONSUMERS),
        count, below(STREAMS));
}

static void fill(struct world *w)
{
    for (unsigned s = 0; s < STREAMS; s++) {
        for (unsigned i = 1; i <= ENTRIES; i++) run(w, "XADD s%u %u-%u n %u", s, i / 3, i % 3, i);
        for (unsigned g = 0; g < GROUPS; g++) {
            run(w, "XGROUP CREATE s%u g%u 0", s, g);
            for (unsigned c = 0; c < CONSUMERS; c++)
                run(w, "XGROUP CREATECONSUMER s%u g%u c%u", s, g, c);
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        read_some(w, 1 + below(200));
        if (i % 20 == 0) step(w);
    }
}

/* Groups come and go while they are put, and what is pending in them does. */
static void change(struct world *w)
{
    unsigned s = below(STREAMS), g = below(GROUPS), c = below(CONSUMERS), id = below(ENTRIES);
    unsigned ms = id / 3, seq = id % 3;
    switch (below(16)) {
    case 0:
        run(w, "XGROUP DESTROY s%u g%u", s, g);
        break;
    case 1:
    case 2:
        run(w, "XGROUP CREATE s%u g%u %u", s, g, below(2) * ms);
        break;
    case 3:
        run(w, "XGROUP SETID s%u g%u %u", s, g, below(ms + 1));
        break;
    case 4:
        run(w, "XGROUP DELCONSUMER s%u g%u c%u", s, g, c);
        break;
    case 5:
        run(w, "XGROUP REPLACECONSUMER s%u g%u c%u TO c%u", s, g, c, below(CONSUMERS));
        break;
    case 6:
    case 7:
        for (unsigned i = 0; i < 60; i++)
            run(w, "XACK s%u g%u %u-%u", s, g, (id + i) / 3, (id + i) % 3);
        break;
    case 8:
        run(w, "XCLAIM s%u g%u c%u 0 %u-%u %u-%u", s, g, c, ms, seq, ms + 1, seq);
        break;
    case 9:
        run(w, "XAUTOCLAIM s%u g%u c%u 0 %u COUNT 50", s, g, c, ms);
        break;
    case 10:
        run(w, "XDEL s%u %u-%u", s, ms, seq);
        break;
    case 11:
        run(w, "XADD s%u * new one", s);
        break;
    default:
        read_some(w, 1 + below(300));
    }
}

static void check_restart(struct world *w)
{
    struct buf expected = {0}, found = {0};
    bench_dump(&w->bench, &expected);
    world_close(w);
    world_open(w);
    assert_true(w->bench.broker->load.has_snapshot);
    bench_dump(&w->bench, &found);
    size_t at = 0;
    while (at < expected.len && at < found.len && expected.data[at] == found.data[at]) at++;
    size_t from = at > 80 ? at - 80 : 0;
    if (at < expected.len || at < found.len)
        fail_msg("expected ...%.200s\nfound    ...%.200s", expected.data + from, found.data + from);
    buf_fini(&expected);
    buf_fini(&found);
}

static void test_changes_beside_the_walk(void **state)
{
    unsigned rounds = getenv("LEAT_TORTURE") ? 60 : 8;
    for (unsigned seed = 1; seed <= rounds; seed++) {
        struct world w = {0};
        unsigned steps = 0;
        rng_seed(&rng, seed);
        bench_init(&w.bench);
        w.bench.settings.snapshot_growth_percent = 0;
        world_open(&w);
        fill(&w);
        assert_true(snapshots_request(w.bench.broker, false));
        for (; snapshots_in_progress(w.bench.broker); steps++) {
            for (unsigned n = below(8); n > 0; n--) change(&w);
            step(&w);
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        }
        assert_true(steps > 10); /* or nothing changed beside it */
        for (unsigned n = below(60); n > 0; n--) change(&w);
        check_restart(&w);
        world_close(&w);
        bench_remove(&w.bench);
    }
}

/* Nothing changes: all is in the snapshot. */
static void test_all_is_in_it(void **state)
{
    struct world w = {0};
    rng_seed(&rng, 99);
    bench_init(&w.bench);
    world_open(&w);
    fill(&w);
    assert_true(bytes_eq(run(&w, "SAVE"), BYTES("+OK\r\n")));
    check_restart(&w);
    assert_int_equal(w.bench.broker->load.journal_records, 0);
    world_close(&w);
    bench_remove(&w.bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_beside_the_walk),
        cmocka_unit_test(test_all_is_in_it),
    };
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
