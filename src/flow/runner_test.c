/* The runner in a world in memory (runner_fake.h), in which every step is the test's: nothing is
 * published before the views listen, nothing gets further ahead than the bound, nothing is counted
 * twice or not at all although connections break at every point, and nothing gets stuck. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/must.h"
#include "flow/file.h"
#include "flow/runner_fake.h"

static const char series_file[] =
    "sources: {s: {type: lines, url: http://x, publish: [{topic: wiki}]}}\n"
    "topics: {wiki: {}}\n"
    "views: {v: {type: timeseries, topic: wiki, interval: 10s, history: 60s, total: ev,\n"
    "            by: d, series: 'ev:{value}', members: known}}\n";

static const char boards_file[] = "sources:\n"
                                  "  s: {type: lines, url: http://x, dedupe: id, publish:\n"
                                  "      [{topic: names, field: u}, {topic: tags, each: t}]}\n"
                                  "topics: {names: {}, tags: {}}\n"
                                  "views:\n"
                                  "  n: {type: scoreboard, topic: names, key: name_board}\n"
                                  "  t: {type: scoreboard, topic: tags, key: tag_board}\n";

struct bench {
    struct event_base *base;
    struct flow *flow;
    struct flow_runner *runner;
};

static void bench_start(struct bench *b, const char *file, uint64_t seed, size_t ahead_max,
                        bool exact)
{
    struct buf errors = {0};
    int rc = flow_load_text("f", bytes_of(file), NULL, &errors, &b->flow);
    if (rc != 0) fail_msg("%.*s", (int)errors.len, errors.data);
    b->base = event_base_new();
    fake_init(b->base, seed);
    b->runner = flow_runner_new(b->flow, &(struct flow_runner_options){.base = b->base,
                                                                       .connect = fake_connect,
                                                                       .ahead_max = ahead_max,
                                                                       .exact = exact,
                                                                       .now_ms = fake_now_ms});
    assert_non_null(b->runner);
}

static void bench_stop(struct bench *b)
{
    flow_runner_free(b->runner);
    fake_fini();
    event_base_free(b->base);
    flow_free(b->flow);
}

static struct source *wait_for_source(void)
{
    for (int i = 0; i < 1000 && fake_source(0) == NULL; i++) fake_run(10);
    assert_non_null(fake_source(0));
    return fake_source(0);
}

static void send_change(struct source *s, const char *domain)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"d\":\"%s\"}", domain);
    fake_source_event(s, text);
}

static struct flow_source_status source_of(const struct bench *b)
{
    struct flow_source_status status;
    flow_source_status(b->runner, 0, &status);
    return status;
}

static struct flow_view_status view_of(const struct bench *b, size_t index)
{
    struct flow_view_status status;
    flow_view_status(b->runner, index, &status);
    return status;
}

/* ---- Counting ---- */

static void test_timeseries(void **state)
{
    struct bench b;
    bench_start(&b, series_file, 1, 0, false);
    struct source *s = wait_for_source();
    fake_set_now_ms(INT64_C(1700000007999));
    send_change(s, "a");
    send_change(s, "b");
    send_change(s, "a");
    assert_true(fake_settle(100000));
    fake_set_now_ms(INT64_C(1700000010000));
    send_change(s, "a");
    assert_true(fake_settle(100000));
    assert_int_equal(fake_get("ev", "1700000000"), 3);
    assert_int_equal(fake_get("ev", "1700000010"), 1);
    assert_int_equal(fake_get("ev:a", "1700000000"), 2);
    assert_int_equal(fake_get("ev:b", "1700000000"), 1);
    assert_int_equal(fake_get("ev:a", "1700000010"), 1);
    assert_int_equal(fake_get("known", "a"), 1);
    assert_int_equal(fake_get("known", "b"), 1);
    assert_int_equal(fake_keys(), 4); /* and no others */
    assert_int_equal(source_of(&b).published, 4);
    assert_int_equal(source_of(&b).ahead, 0);
    assert_int_equal(view_of(&b, 0).processed, 4);
    assert_int_equal(view_of(&b, 0).errors, 0);
    bench_stop(&b);
}

static void test_scoreboards(void **state)
{
    struct bench b;
    bench_start(&b, boards_file, 2, 0, false);
    struct source *s = wait_for_source();
    fake_source_event(s, "{\"id\":1,\"u\":\"ann\",\"t\":[\"x\",\"y\",\"x\"]}");
    fake_source_event(s, "{\"id\":2,\"u\":\"bob\",\"t\":[]}");
    fake_source_event(s, "{\"id\":1,\"u\":\"ann\",\"t\":[\"x\"]}"); /* again */
    fake_source_event(s, "{\"delete\":{\"id\":3}}");                /* neither */
    fake_source_event(s, "{\"id\":4,\"u\":null,\"t\":null}");       /* neither */
    fake_source_event(s, "{\"id\":5,\"u\":7,\"t\":[true]}");
    fake_source_event(s, "{\"id\":6,\"u\":\"ann\",\"t\":\"x\"}"); /* u counts, t is malformed */
    fake_source_event(s, "{\"id\":7,\"u\":{}}");
    fake_source_event(s, "no json\x01");
    assert_true(fake_settle(100000));
    assert_int_equal(fake_get("name_board", "ann"), 2);
    assert_int_equal(fake_get("name_board", "bob"), 1);
    assert_int_equal(fake_get("name_board", "7"), 1);
    assert_int_equal(fake_get("tag_board", "x"), 2);
    assert_int_equal(fake_get("tag_board", "y"), 1);
    assert_int_equal(fake_get("tag_board", "true"), 1);
    assert_int_equal(fake_keys(), 2);
    struct flow_source_status status = source_of(&b);
    assert_int_equal(status.published, 8);
    assert_int_equal(status.duplicates, 1);
    assert_int_equal(status.skipped, 2);
    assert_int_equal(status.malformed, 3);
    assert_non_null(strstr(status.last_malformed, ": no json."));
    bench_stop(&b);
}

static void test_view_malformed(void **state)
{
    struct bench b;
    bench_start(&b, series_file, 3, 0, false);
    wait_for_source();
    fake_publish("wiki", "{\"d\":\"a\"}");
    fake_publish("wiki", "{\"e\":1}");
    fake_publish("wiki", "{\"d\":{}}");
    fake_publish("wiki", "junk");
    assert_true(fake_settle(100000));
    assert_int_equal(fake_sum("ev", NULL), 1);
    assert_int_equal(view_of(&b, 0).malformed, 3);
    assert_non_null(strstr(view_of(&b, 0).last_malformed, "junk"));
    bench_stop(&b);
}

/* Old buckets go, at the start and as time passes; what is no bucket stays. */
static void test_history(void **state)
{
    struct bench b;
    bench_start(&b, series_file, 4, 0, false);
    const int64_t now = 1700000000; /* of fake_init */
    char field[32];
    for (int i = 0; i < 30; i++) {
        snprintf(field, sizeof(field), "%lld", (long long)(now - i * 10));
        fake_put("ev", field, 1);
        fake_put("ev:a", field, 1);
        fake_put("ev:b", field, 1);
    }
    fake_put("ev", "note", 1);
    fake_put("known", "a", 1);
    fake_put("known", "b", 1);
    fake_put("known", "c", 1);
    fake_put("known", "d", 1);
    wait_for_source();
    assert_true(fake_settle(100000));
    size_t count;
    assert_int_equal(fake_sum("ev", &count), 8); /* six, the current one, and the note */
    assert_int_equal(fake_sum("ev:a", &count), 7);
    assert_int_equal(fake_sum("ev:b", &count), 7);
    assert_int_equal(fake_get("ev", "1699999940"), 1);
    assert_int_equal(fake_get("ev", "1699999930"), -1);
    fake_set_now_ms((now + 31) * 1000);
    assert_true(fake_settle(100000));
    assert_int_equal(fake_sum("ev", &count), 5);
    assert_int_equal(fake_sum("ev:b", &count), 4);
    assert_int_equal(fake_sum("known", &count), 4);
    bench_stop(&b);
}

/* ---- The start, and the bound ---- */

static void test_waits_for_views(void **state)
{
    struct bench b;
    bench_start(&b, boards_file, 5, 0, false);
    fake_set_down(true);
    fake_run(200);
    assert_null(fake_source(0));
    assert_true(source_of(&b).waiting_for_views);
    fake_set_down(false);
    struct source *s = wait_for_source();
    assert_false(source_of(&b).waiting_for_views);
    assert_true(view_of(&b, 0).subscribed && view_of(&b, 1).subscribed);
    /* Away again: the source is held, what still comes is kept, and nothing is lost. */
    fake_set_down(true);
    fake_run(50);
    assert_true(fake_source_paused(s));
    assert_true(source_of(&b).waiting_for_views);
    fake_source_event(s, "{\"id\":1,\"u\":\"ann\"}");
    fake_run(50);
    fake_set_down(false);
    assert_true(fake_settle(100000));
    assert_false(fake_source_paused(s));
    assert_int_equal(fake_get("name_board", "ann"), 1);
    bench_stop(&b);
}

/* Counts in the broker never lag further behind than the bound, whoever else publishes. */
static void test_bound(void **state)
{
    enum { BOUND = 20, EVENTS = 600 };
    struct bench b;
    bench_start(&b, series_file, 6, BOUND, false);
    struct source *s = wait_for_source();
    int64_t sent = 0, strangers = 0, held = 0;
    for (int i = 0; i < 200000 && sent < EVENTS; i++) {
        if (!fake_source_paused(s)) {
            send_change(s, "a");
            sent++;
        } else {
            held++;
        }
        if (i % 3 == 0) {
            fake_publish("wiki", "{\"d\":\"stranger\"}");
            strangers++;
        }
        fake_run(2);
        int64_t counted = fake_sum("ev:a", NULL);
        assert_true(sent - counted <= BOUND);
        assert_true(source_of(&b).ahead <= BOUND);
    }
    assert_int_equal(sent, EVENTS);
    assert_true(held > 100);
    assert_true(fake_settle(1000000));
    assert_int_equal(fake_sum("ev:a", NULL), EVENTS);
    assert_int_equal(fake_sum("ev", NULL), EVENTS + strangers);
    assert_int_equal(source_of(&b).ahead, 0);
    assert_false(fake_source_paused(s));
    bench_stop(&b);
}

/* ---- Broken connections ---- */

static void feed_events(struct source *s, int events, int *ret_stuck)
{
    int sent = 0, still = 0;
    while (sent < events && still < 20000) {
        if (fake_source_paused(s)) {
            still++;
        } else {
            send_change(s, sent % 3 == 0 ? "a" : "b");
            sent++;
            still = 0;
        }
        fake_run(6);
    }
    *ret_stuck = sent < events;
}

/* With a marker, whatever breaks on the way to the broker: every event once. */
static void test_exact(void **state)
{
    uint64_t again = 0;
    for (uint64_t seed = 100; seed < 110; seed++) {
        struct bench b;
        bench_start(&b, series_file, seed, 30, true);
        struct source *s = wait_for_source();
        int stuck;
        fake_break("leat-view-v-writes", 40);
        feed_events(s, 300, &stuck);
        fake_break(NULL, 0);
        assert_false(stuck);
        assert_true(fake_settle(1000000));
        again += view_of(&b, 0).sent_again;
        if (fake_sum("ev", NULL) != 300 || fake_sum("ev:a", NULL) != 100)
            fail_msg("seed %llu: %lld %lld", (unsigned long long)seed,
                     (long long)fake_sum("ev", NULL), (long long)fake_sum("ev:a", NULL));
        assert_int_equal(view_of(&b, 0).processed, 300);
        bench_stop(&b);
    }
    assert_true(again > 0); /* or the test does not test */
}

/* Without one: at least once. */
static void test_at_least_once(void **state)
{
    for (uint64_t seed = 200; seed < 204; seed++) {
        struct bench b;
        bench_start(&b, series_file, seed, 30, false);
        struct source *s = wait_for_source();
        int stuck;
        fake_break("leat-view-v-writes", 40);
        feed_events(s, 200, &stuck);
        fake_break("leat-source-s", 40);
        feed_events(s, 200, &stuck);
        fake_break(NULL, 0);
        assert_false(stuck);
        assert_true(fake_settle(1000000));
        assert_true(fake_sum("ev", NULL) >= 400);
        assert_true(source_of(&b).republished > 0);
        assert_int_equal(source_of(&b).published, 400);
        bench_stop(&b);
    }
}

/* Whatever breaks, lost barriers included: nothing gets stuck. */
static void test_never_stuck(void **state)
{
    for (uint64_t seed = 300; seed < 306; seed++) {
        struct bench b;
        bench_start(&b, seed % 2 == 0 ? series_file : boards_file, seed, 8, seed % 3 == 0);
        struct source *s = wait_for_source();
        int stuck;
        fake_break("", 40);
        feed_events(s, 150, &stuck);
        fake_break(NULL, 0);
        if (stuck) fail_msg("seed %llu is stuck", (unsigned long long)seed);
        assert_true(fake_settle(1000000));
        assert_int_equal(source_of(&b).ahead, 0);
        assert_false(fake_source_paused(s));
        bench_stop(&b);
    }
}

/* ---- Refusals ---- */

/* Until all is counted. What was refused is tried again after a pause that doubles with each time:
 * on a machine that stalls it becomes longer than fake_settle() waits for. */
static bool settle_counted(const struct bench *b)
{
    for (int i = 0; i < 60; i++)
        if (!fake_settle(1000000) || source_of(b).ahead == 0) break;
    return source_of(b).ahead == 0;
}

static void test_refused(void **state)
{
    struct bench b;
    bench_start(&b, series_file, 7, 4, false);
    struct source *s = wait_for_source();
    fake_refuse("HINCRBY", "OOM command not allowed");
    for (int i = 0; i < 4; i++) send_change(s, "a");
    fake_run(2000);
    assert_true(fake_source_paused(s)); /* held, not lost */
    assert_true(source_of(&b).held_back);
    assert_true(view_of(&b, 0).errors > 0);
    assert_int_equal(fake_sum("ev", NULL), 0);
    fake_refuse(NULL, NULL);
    assert_true(settle_counted(&b));
    assert_int_equal(fake_sum("ev", NULL), 4);
    assert_int_equal(fake_sum("ev:a", NULL), 4);
    assert_false(fake_source_paused(s));
    /* MULTI alone is refused: its commands are then applied one by one, and not once more. */
    fake_refuse("MULTI", "LOADING");
    for (int i = 0; i < 3; i++) send_change(s, "a");
    fake_run(2000);
    fake_refuse(NULL, NULL);
    assert_true(settle_counted(&b));
    assert_int_equal(fake_sum("ev", NULL), 7);
    fake_refuse("PUBLISH", "NOPERM");
    send_change(s, "a");
    fake_run(200);
    assert_int_equal(source_of(&b).published, 7);
    assert_non_null(strstr(source_of(&b).last_publish_error, "NOPERM"));
    fake_refuse(NULL, NULL);
    assert_true(fake_settle(1000000));
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeseries),      cmocka_unit_test(test_scoreboards),
        cmocka_unit_test(test_view_malformed),  cmocka_unit_test(test_history),
        cmocka_unit_test(test_waits_for_views), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_exact),           cmocka_unit_test(test_at_least_once),
        cmocka_unit_test(test_never_stuck),     cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
