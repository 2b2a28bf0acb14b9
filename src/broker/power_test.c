/* Power failures under a whole broker: journal, chunk files and snapshots lie on a file layer that
 * records what was written and what was synced. A start from what a failure at any moment leaves
 * must give just the state behind some turn, as a whole, and none before one that was promised:
 * covered under `always`, synced under the others. It must be of use from then on, too: later
 * rounds work, and fail, in such a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "broker/snapshot.h"
#include "broker/testing.h"
#include "keys/stream_store.h"
#include "log/chunks.h"
#include "log/journal_testing.h"
#include "log/snapshot.h"

enum { STREAMS = 3, LISTS = 3, VALUE_MAX = 1500, GENERATIONS = 3 };

/* Each look at the clock takes some time, so that a snapshot takes many turns. */
static int64_t ticks;

static int64_t ticking_us(void)
{
    ticks += 90;
    return bench_now_us + ticks;
}

/* What the keyspace was when the journal was so long. */
struct state {
    uint64_t head;
    struct buf dump;
};

struct world {
    struct bench bench;
    struct peer peer;
    struct file_fault fault;
    struct rng rng;
    uint64_t seed, newest; /* ids are numbered through all streams */
    struct state *states;
    size_t state_count, state_cap;
    size_t *busy; /* moments when a snapshot was being made, or had just been */
    size_t busy_count, busy_cap;
};

/* What all tests together came to, so that none passes for want of anything to lose. */
static struct {
    uint64_t starts, lost, snapshots, chunks, moved, dropped, fallbacks;
} seen;

static unsigned below(struct world *w, unsigned n)
{
    return (unsigned)rng_below(&w->rng, n);
}

static void bench_small(struct bench *b, int sync)
{
    bench_init(b);
    b->settings.sync = sync;
    b->settings.segment_bytes = 64 << 10;
    b->settings.snapshot_growth_percent = 0;
    b->settings.stream_memory = 24 << 10;
    b->settings.chunk_file_bytes = 80 << 10;
}

/* ---- Turns ---- */

static void keep_state(struct world *w)
{
    uint64_t head = journal_head(w->bench.broker->journal);
    if (w->state_count > 0 && w->states[w->state_count - 1].head == head) return;
    if (w->state_count == w->state_cap) {
        w->state_cap = w->state_cap ? w->state_cap * 2 : 256;
        w->states = mem_realloc(w->states, w->state_cap * sizeof *w->states);
    }
    struct state *s = &w->states[w->state_count++];
    *s = (struct state){.head = head};
    bench_dump(&w->bench, &s->dump);
}

static void keep_busy(struct world *w, size_t moment)
{
    if (w->busy_count == w->busy_cap) {
        w->busy_cap = w->busy_cap ? w->busy_cap * 2 : 256;
        w->busy = mem_realloc(w->busy, w->busy_cap * sizeof *w->busy);
    }
    w->busy[w->busy_count++] = moment;
}

static size_t note_promise(struct world *w)
{
    struct journal *j = w->bench.broker->journal;
    bool always = w->bench.settings.sync == JOURNAL_SYNC_ALWAYS;
    return file_fault_note(&w->fault, always ? journal_covered(j) : journal_synced(j));
}

static void turn(struct world *w)
{
    struct broker *b = w->bench.broker;
    bool busy = snapshots_in_progress(b);
    broker_turn_end(b);
    keep_state(w);
    if (below(w, 4) == 0) must(journal_wait(b->journal, journal_head(b->journal)) == 0);
    broker_background(b, below(w, 2) == 0);
    size_t moment = note_promise(w);
    if (busy) keep_busy(w, moment);
    bench_now_us += 1000;
    broker_turn_begin(b);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void run(struct world *w, const char *format, ...)
{
    char line[VALUE_MAX + 500];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    peer_run(&w->peer, line);
    for (int i = 0; peer_is_blocked(&w->peer); i++) { /* entries are being read */
        must(i < 100000);
        nap();
        turn(w);
    }
    peer_take(&w->peer);
}

/* ---- Commands ---- */

static void add(struct world *w, unsigned stream)
{
    static const char *const options[] = {"", "", "", "", "MAXLEN 60", "MAXLEN ~ 50"};
    char value[VALUE_MAX + 1];
    unsigned size = 1 + below(w, below(w, 3) == 0 ? 200 : VALUE_MAX);
    memset(value, 'a' + (int)below(w, 26), size);
    value[size] = '\0';
    run(w, "XADD s%u %s %llu-0 v %s", stream, options[below(w, 6)], (unsigned long long)++w->newest,
        value);
}

static unsigned long long some_id(struct world *w)
{
    uint64_t back = rng_below(&w->rng, 200);
    return (unsigned long long)(back < w->newest ? w->newest - back : 1);
}

static void change_stream(struct world *w)
{
    unsigned s = below(w, STREAMS), g = below(w, 2), c = below(w, 3), dice = below(w, 26);
    unsigned long long id = some_id(w);
    if (dice < 11) add(w, s);
    else if (dice < 13) run(w, "XDEL s%u %llu-0 %llu-0 %llu-0", s, id, id + 1, id + 2);
    else if (dice < 14) run(w, "XTRIM s%u MAXLEN %u", s, below(w, 80));
    else if (dice < 15) run(w, "XTRIM s%u MINID ~ %llu", s, id);
    else if (dice < 16) run(w, "XGROUP CREATE s%u g%u %llu MKSTREAM", s, g, id);
    else if (dice < 20) run(w, "XREADGROUP GROUP g%u c%u COUNT 9 STREAMS s%u >", g, c, s);
    else if (dice < 22) run(w, "XACK s%u g%u %llu-0 %llu-0 %llu-0", s, g, id, id + 1, id + 2);
    else if (dice < 24) run(w, "XCLAIM s%u g%u c%u 0 %llu-0 %llu-0", s, g, c, id, id + 1);
    else if (dice < 25) run(w, "XAUTOCLAIM s%u g%u c%u 0 0 COUNT 5", s, g, c);
    else if (below(w, 8) == 0) run(w, "COPY s%u s%u REPLACE", s, below(w, STREAMS));
    else if (below(w, 8) == 0) run(w, "DEL s%u", s);
    else run(w, "XGROUP DELCONSUMER s%u g%u c%u", s, g, c);
}

static void change_list(struct world *w)
{
    unsigned l = below(w, LISTS), dice = below(w, 8);
    if (dice < 4) run(w, "RPUSH l%u %llu %u", l, (unsigned long long)w->newest, below(w, 1000));
    else if (dice < 5) run(w, "LPOP l%u", l);
    else if (dice < 7) run(w, "LMOVE l%u l%u LEFT RIGHT", l, below(w, LISTS));
    else run(w, "LTRIM l%u -50 -1", l);
}

static void change(struct world *w)
{
    if (below(w, 4) == 0) change_list(w);
    else change_stream(w);
}

static void transaction(struct world *w)
{
    run(w, "MULTI");
    for (unsigned n = 2 + below(w, 4); n > 0; n--) change(w);
    run(w, "EXEC");
}

static void work(struct world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        if (below(w, 12) == 0) transaction(w);
        else
            for (unsigned n = 1 + below(w, 4); n > 0; n--) change(w);
        if (below(w, 40) == 0) run(w, "BGSAVE");
        if (snapshots_in_progress(w->bench.broker)) nap();
        turn(w);
    }
}

/* ---- What is left ---- */

/* The state that a journal of this length tells of. */
static size_t state_at(const struct world *w, uint64_t head)
{
    size_t i = w->state_count;
    while (i > 0 && w->states[i - 1].head > head) i--;
    if (i == 0) fail_msg("seed %llu: it begins before the beginning", (unsigned long long)w->seed);
    return i - 1;
}

static void check_dump(const struct world *w, struct bench *b, const struct buf *expected,
                       const char *when)
{
    struct buf got = {0};
    size_t at = 0;
    bench_dump(b, &got);
    while (at < got.len && at < expected->len && got.data[at] == expected->data[at]) at++;
    if (at < got.len || at < expected->len) {
        size_t from = at > 200 ? at - 200 : 0;
        fail_msg("seed %llu, %s: at %zu, got %.*s\nnot %.*s", (unsigned long long)w->seed, when, at,
                 (int)(got.len - from > 400 ? 400 : got.len - from), got.data + from,
                 (int)(expected->len - from > 400 ? 400 : expected->len - from),
                 expected->data + from);
    }
    buf_fini(&got);
}

/* It makes a snapshot of what it has come up with, and starts from that. */
static void check_use(struct world *w, struct bench *b, const struct buf *expected)
{
    struct peer p;
    peer_open(&p, b);
    assert_true(bytes_eq(peer_run(&p, "SAVE"), BYTES("+OK\r\n")));
    peer_close(&p);
    bench_close(b);
    bench_open(b);
    check_dump(w, b, expected, "saved and started again");
}

/* One time in two the disk has lost the newest of two snapshots as well. */
static void lose_snapshot(struct world *w, const char *dir)
{
    uint64_t positions[4];
    if (below(w, 2) > 0 || snapshot_list(NULL, dir, positions, 4) < SNAPSHOTS_KEPT) return;
    must(snapshot_set_aside(NULL, dir, positions[0]) == 0);
    seen.fallbacks++;
}

/* Leaves `b` open, on what a power failure at that moment has left. */
static void fail_at(struct world *w, size_t moment, struct bench *b)
{
    enum fault_loss loss = below(w, LOSS_KINDS);
    uint64_t seed = rng_next(&w->rng);
    char when[100];
    snprintf(when, sizeof when, "moment %zu, loss %d, %llu", moment, (int)loss,
             (unsigned long long)seed);
    bench_small(b, w->bench.settings.sync);
    uint64_t promised = file_fault_crash(&w->fault, moment, loss, seed, b->dir);
    lose_snapshot(w, b->dir);
    print_message("seed %llu, %s\n", (unsigned long long)w->seed, when);
    const char *damage = damage_in(b->dir, snapshot_chunk_ref);
    if (damage != NULL) fail_msg("seed %llu, %s: %s", (unsigned long long)w->seed, when, damage);
    bench_open(b);
    assert_int_equal(b->broker->load.fallbacks, 0);
    uint64_t head = journal_head(b->broker->journal);
    if (head < promised)
        fail_msg("seed %llu, %s: %llu were promised, %llu are left", (unsigned long long)w->seed,
                 when, (unsigned long long)promised, (unsigned long long)head);
    const struct state *s = &w->states[state_at(w, head)];
    check_dump(w, b, &s->dump, when);
    if (below(w, 4) == 0) check_use(w, b, &s->dump);
    seen.starts++;
    seen.lost += s != &w->states[w->state_count - 1];
}

static size_t some_moment(struct world *w)
{
    size_t first = w->fault.base_ops, count = w->fault.op_count - first + 1;
    if (w->busy_count == 0 || below(w, 2) == 0) return first + below(w, (unsigned)count);
    size_t moment = w->busy[below(w, (unsigned)w->busy_count)] + below(w, 8);
    return moment < w->fault.op_count ? moment : w->fault.op_count;
}

/* ---- Rounds ---- */

/* A broker begins in what is in the directory. */
static void begin(struct world *w)
{
    file_fault_init(&w->fault);
    w->fault.no_direct = below(w, 2) == 0;
    file_fault_record(&w->fault, w->bench.dir, true);
    w->bench.files = &w->fault.layer;
    bench_open(&w->bench);
    w->bench.broker->options.monotonic_us = ticking_us;
    peer_open(&w->peer, &w->bench);
    keep_state(w);
}

static void count_seen(struct world *w)
{
    struct snapshots_stats snapshots;
    struct chunks_stats chunks;
    struct journal_stats journal;
    snapshots_stats(w->bench.broker, &snapshots);
    chunks_stats(w->bench.broker->chunks, &chunks);
    journal_stats(w->bench.broker->journal, &journal);
    if (!snapshots.last_ok) fail_msg("%s", snapshots.error);
    seen.snapshots += snapshots.made;
    seen.chunks += chunks.written;
    seen.moved += chunks.moved;
    seen.dropped += journal.first_position > 0;
}

static void end(struct world *w)
{
    for (size_t i = 0; i < w->state_count; i++) buf_fini(&w->states[i].dump);
    w->state_count = w->busy_count = 0;
    file_fault_fini(&w->fault);
    bench_remove(&w->bench);
}

static void one_round(uint64_t seed, int sync, unsigned turns, unsigned starts)
{
    struct world w = {.seed = seed, .newest = 1};
    struct bench next;
    rng_seed(&w.rng, seed);
    bench_small(&w.bench, sync);
    for (int generation = 0; generation < GENERATIONS; generation++) {
        begin(&w);
        work(&w, turns);
        count_seen(&w);
        peer_close(&w.peer);
        bench_close(&w.bench); /* a failure may come in the middle of a clean stop, too */
        for (unsigned i = 0; i < starts; i++) {
            fail_at(&w, some_moment(&w), &next);
            bench_close(&next);
            if (i + 1 < starts) bench_remove(&next);
        }
        end(&w);
        w.bench = next;
    }
    bench_remove(&w.bench);
    mem_free(w.states);
    mem_free(w.busy);
}

static void rounds(int sync)
{
    const char *given = getenv("LEAT_SEED");
    bool torture = getenv("LEAT_TORTURE") != NULL;
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + (torture ? 20 : 1); seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        one_round(seed * 3 + (uint64_t)sync, sync, torture ? 600 : 250, torture ? 60 : 15);
    }
}

static void test_always(void **state)
{
    rounds(JOURNAL_SYNC_ALWAYS);
}

static void test_everysec(void **state)
{
    rounds(JOURNAL_SYNC_EVERYSEC);
}

static void test_no(void **state)
{
    rounds(JOURNAL_SYNC_NO);
}

static void test_all_that_was_to_be_seen(void **state)
{
    print_message("%llu starts, %llu with a loss, %llu without the newest snapshot\n",
                  (unsigned long long)seen.starts, (unsigned long long)seen.lost,
                  (unsigned long long)seen.fallbacks);
    print_message("%llu snapshots, %llu chunks, %llu moved, segments dropped in %llu rounds\n",
                  (unsigned long long)seen.snapshots, (unsigned long long)seen.chunks,
                  (unsigned long long)seen.moved, (unsigned long long)seen.dropped);
    assert_true(seen.lost > seen.starts / 4);
    assert_true(seen.snapshots > 5 && seen.chunks > 20 && seen.dropped > 2 && seen.fallbacks > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_everysec),
        cmocka_unit_test(test_no),
        cmocka_unit_test(test_all_that_was_to_be_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
