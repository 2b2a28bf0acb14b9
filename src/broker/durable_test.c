/* Durable channels and subscribers, with a whole broker: what each rule says. What goes wrong
 * around them is in durable_trouble_test.c, and everything at random in durable_model_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/durable_testing.h"

/* ---- Channel = stream ---- */

static void test_publish_appends(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    peer_open(&s, &bench);
    expect(&p, "SELECT 3", "+OK\r\n");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&p, "PUBLISH other one", ":0\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    expect(&p, "EXISTS news", ":0\r\n");
    expect(&p, "SELECT 0", "+OK\r\n");
    expect(&p, "EXISTS news other", ":1\r\n");
    expect(&p, "XADD news 9999999999999-1 data two", "$15\r\n9999999999999-1\r\n");
    expect(&s, NULL, MESSAGE("two", 3));
    expect(&p, "XADD news * data three more x", "$15\r\n9999999999999-2\r\n");
    expect(&p, "XADD news * datum four", "$15\r\n9999999999999-3\r\n");
    expect(&s, NULL, "");
    expect(&p, "PUBLISH news five", ":1\r\n"); /* behind what is there, whatever the clock says */
    expect(&p, "XRANGE news 9999999999999-4 +",
           "*1\r\n*2\r\n$15\r\n9999999999999-4\r\n*2\r\n$4\r\ndata\r\n$4\r\nfive\r\n");
    assert_int_equal(stats_now().skipped, 2);
    assert_int_equal(stats_now().published, 3);
    expect(&p, "SET news2 x", "+OK\r\n");
    expect(&p, "PUBLISH news2 x",
           "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    expect(&p, "MULTI", "+OK\r\n");
    expect(&p, "PUBLISH news six", "+QUEUED\r\n");
    expect(&p, "EXEC", "*1\r\n:1\r\n");
    peer_close(&p);
    peer_close(&s);
}

static void test_streams_are_bounded(void **state)
{
    struct peer p;
    peer_open(&p, &bench);
    peer_run(&p, "PUBLISH news1 x");
    struct key *k = keyspace_find(bench.broker->ks, 0, BYTES("news1"), hash_bytes(BYTES("news1")));
    assert_int_equal(stream_of(k)->retention.age_ms, 24 * 3600 * 1000);
    assert_int_equal(stream_of(k)->retention.bytes, 1 << 30);
    expect(&p, "CONFIG SET durable-retention bytes=5mb", "+OK\r\n");
    peer_run(&p, "PUBLISH news2 x");
    k = keyspace_find(bench.broker->ks, 0, BYTES("news2"), hash_bytes(BYTES("news2")));
    assert_int_equal(stream_of(k)->retention.age_ms, 0);
    assert_int_equal(stream_of(k)->retention.bytes, 5 << 20);
    assert_int_equal(peer_run(&p, "CONFIG SET durable-retention until-acked").data[0], '-');
    assert_int_equal(peer_run(&p, "CONFIG SET durable-retention age=2x").data[0], '-');
    assert_int_equal(peer_run(&p, "CONFIG SET on-slow news*=never").data[0], '-');
    peer_close(&p);
}

/* What could leave now, as far as the journal has come. */
static size_t ready(const struct peer *p)
{
    struct bytes runs[8];
    uint64_t covered = journal_covered(bench.broker->journal);
    size_t all = 0, n = subscriber_ready(&p->session->subscriber, covered, runs, 8);
    for (size_t i = 0; i < n; i++) all += runs[i].len;
    return all;
}

static size_t waiting(const struct peer *p)
{
    return subscriber_pending(&p->session->subscriber);
}

/* Neither who is live nor who reads on in the stream hears of what a crash could take back, nor
 * does who asks for positions. */
static void test_nothing_is_heard_before_it_is_kept(void **state)
{
    static const struct bytes list[] = {BYTES("PUBSUB"), BYTES("DURABLE"), BYTES("LIST")};
    struct peer p, live, behind, asks;
    peer_open(&p, &bench);
    peer_open(&asks, &bench);
    open_named(&live, "live");
    open_named(&behind, "behind");
    expect(&live, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBSUB DURABLE RESET news behind 0", "+OK\r\n");
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&behind, "SUBSCRIBE news", SUBSCRIBED);
    broker_exec(bench.broker, asks.session, sizeof list / sizeof *list, list);
    broker_spread(bench.broker);
    assert_true(waiting(&live) > 0 && waiting(&behind) > 0 && waiting(&asks) > 0);
    assert_int_equal(ready(&live), 0);
    assert_int_equal(ready(&behind), 0);
    assert_int_equal(ready(&asks), 0);
    broker_turn_end(bench.broker);
    struct journal *j = bench.broker->journal;
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    assert_int_equal(ready(&live), waiting(&live));
    assert_int_equal(ready(&behind), waiting(&behind));
    peer_close(&p);
    peer_close(&asks);
    peer_close(&live);
    peer_close(&behind);
}

/* ---- Ids that jump ---- */

/* XSETID takes the stream's end ahead: who joins then stands behind the last push. */
static void test_end_set_ahead(void **state)
{
    struct peer p, s, t;
    peer_open(&p, &bench);
    open_named(&s, "me");
    open_named(&t, "late");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "XADD news 10-0 data one", "$4\r\n10-0\r\n");
    expect(&p, "XSETID news 100-0", "+OK\r\n");
    expect(&t, "SUBSCRIBE news", SUBSCRIBED);
    settle();
    expect(&p, "XADD news 101-0 data two", "$5\r\n101-0\r\n");
    settle();
    expect(&s, NULL, MESSAGE("one", 3) MESSAGE("two", 3));
    expect(&t, NULL, MESSAGE("two", 3));
    peer_close(&p);
    peer_close(&s);
    peer_close(&t);
}

/* ... or back, when what was last is gone: what comes then comes, an entry that is no message first
 * or not. */
static void test_end_set_back(void **state)
{
    for (int with_stranger = 0; with_stranger < 2; with_stranger++) {
        struct peer p, s;
        peer_open(&p, &bench);
        open_named(&s, "me");
        expect(&s, "SUBSCRIBE news", SUBSCRIBED);
        expect(&p, "XADD news 10-0 data one", "$4\r\n10-0\r\n");
        expect(&s, NULL, MESSAGE("one", 3));
        settle();
        expect(&p, "XDEL news 10-0", ":1\r\n");
        expect(&p, "XSETID news 5-0", "+OK\r\n");
        if (with_stranger) expect(&p, "XADD news 6-0 other x", "$3\r\n6-0\r\n");
        settle();
        expect(&p, "XADD news 7-0 data two", "$3\r\n7-0\r\n");
        expect(&s, NULL, MESSAGE("two", 3));
        settle();
        peer_close(&s);
        expect(&p, "XADD news 8-0 data three", "$3\r\n8-0\r\n");
        open_subscribed(&s, "me");
        expect(&s, NULL, MESSAGE("two", 3) MESSAGE("three", 5));
        peer_close(&s);
        expect(&p, "DEL news", ":1\r\n");
        peer_close(&p);
    }
}

/* A position that somebody has set beyond the end is the end. */
static void test_position_beyond_the_end(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    expect(&p, "XADD news 1-0 data one", "$3\r\n1-0\r\n");
    expect(&p, "XGROUP CREATE news durable:me 1000-0", "+OK\r\n");
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "XADD news 2-0 data two", "$3\r\n2-0\r\n");
    expect(&s, NULL, MESSAGE("two", 3));
    settle();
    peer_close(&s);
    expect(&p, "XADD news 3-0 data three", "$3\r\n3-0\r\n");
    open_subscribed(&s, "me");
    expect(&s, NULL, MESSAGE("two", 3) MESSAGE("three", 5));
    peer_close(&p);
    peer_close(&s);
}

/* ---- Subscribers ---- */

static void test_what_was_missed_comes(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    configure("CONFIG SET durable-window-bytes 0");
    expect(&p, "PUBLISH news before", ":0\r\n");
    open_subscribed(&s, "me");
    expect(&s, NULL, "");
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    settle();
    peer_close(&s);
    expect(&p, "PUBLISH news two", ":0\r\n");
    peer_close(&p);
    restart();
    configure("CONFIG SET durable-window-bytes 0");
    peer_open(&p, &bench);
    expect(&p, "PUBLISH news three", ":0\r\n");
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBSUB NUMSUB news", "*2\r\n$4\r\nnews\r\n:1\r\n");
    expect(&p, "PUBSUB CHANNELS", "*1\r\n$4\r\nnews\r\n");
    expect(&s, "GET x",
           "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
           "are allowed in this context\r\n");
    expect(&p, "PUBLISH news four", ":1\r\n");
    expect(&s, NULL, "");
    turn();
    expect(&p, "PUBLISH news five", ":1\r\n");
    expect(&s, NULL, MESSAGE("two", 3) MESSAGE("three", 5) MESSAGE("four", 4) MESSAGE("five", 4));
    expect(&s, "UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n");
    expect(&p, "PUBLISH news six", ":0\r\n");
    peer_close(&p);
    peer_close(&s);
}

static void test_window(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    settle();
    peer_close(&s); /* what was sent may not have been read */
    assert_int_equal(stats_now().redelivered, 1);
    open_subscribed(&s, "me");
    expect(&s, NULL, MESSAGE("one", 3));
    outlast_the_window();
    peer_close(&s); /* half a minute ago it was */
    open_subscribed(&s, "me");
    expect(&s, NULL, "");
    expect(&p, "PUBLISH news two", ":1\r\n");
    expect(&s, NULL, MESSAGE("two", 3));
    outlast_the_window();
    s.progress = (struct session_progress){.reset = true, .peer_window = 65536};
    peer_close(&s); /* after a reset, time tells nothing */
    open_subscribed(&s, "me");
    struct bytes got = peer_take(&s);
    assert_true(got.len > 0);
    peer_close(&p);
    peer_close(&s);
}

/* Who unsubscribes on a connection that goes on has not read what its kernel may still hold. */
static void test_window_of_who_lets_go(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-window-bytes 0");
    peer_open(&p, &bench);
    open_named(&s, "me");
    s.progress.peer_window = 65536;
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    settle();
    expect(&s, "UNSUBSCRIBE news", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    turn();
    expect(&s, NULL, MESSAGE("one", 3));
    peer_close(&p);
    peer_close(&s);
}

static void test_second_of_a_name_is_ordinary(void **state)
{
    struct peer p, s, t;
    peer_open(&p, &bench);
    open_named(&s, "me");
    open_named(&t, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&t, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news one", ":2\r\n");
    assert_int_equal(stats_now().live, 1);
    expect(&t, NULL, MESSAGE("one", 3));
    settle();
    peer_close(&s); /* had it been dead all the time, nobody would have got it */
    turn();
    expect(&t, NULL, MESSAGE("one", 3));
    expect(&p, "PUBLISH news two", ":1\r\n");
    expect(&t, NULL, MESSAGE("two", 3));
    assert_int_equal(stats_now().live, 1);
    peer_close(&p);
    peer_close(&t);
}

/* The stream goes while s is live, and another takes its place: s gets what is in that. */
static void deleted_under(struct peer *p, struct peer *s)
{
    settle();
    expect(p, "DEL news", ":1\r\n");
    expect(p, "PUBLISH news two", ":1\r\n");
    expect(s, NULL, MESSAGE("two", 3));
    settle();
    peer_close(s);
    expect(p, "PUBLISH news three", ":0\r\n");
    open_subscribed(s, "me");
    expect(s, NULL, MESSAGE("two", 3) MESSAGE("three", 5));
}

static void test_deleted_stream(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "XADD news 9999999999999-1 data one", "$15\r\n9999999999999-1\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    deleted_under(&p, &s); /* ids go on smaller */
    peer_close(&p);
    peer_close(&s);
}

/* The same, with ids that go on as the clock does: only the stream itself tells that it is new. */
static void test_stream_made_anew(void **state)
{
    struct peer p, s, t;
    peer_open(&p, &bench);
    open_named(&s, "me");
    open_named(&t, "slow");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&t, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news one", ":2\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    peer_close(&t);
    deleted_under(&p, &s);
    peer_close(&p);
    peer_close(&s);
}

/* What was read of the old one counts for nothing in the new one. */
static void test_lag_of_a_stream_made_anew(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-window-bytes 0");
    peer_open(&p, &bench);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    for (int i = 0; i < 5; i++) expect(&p, "PUBLISH news x", ":1\r\n");
    peer_take(&s);
    settle();
    expect(&p, "DEL news", ":1\r\n");
    expect(&p, "PUBLISH news one", ":1\r\n");
    peer_close(&s); /* before that has left */
    expect(&p, "PUBLISH news two", ":0\r\n");
    struct bytes listed = peer_run(&p, "PUBSUB DURABLE LIST news");
    assert_non_null(memmem(listed.data, listed.len, "$3\r\nlag\r\n:2\r\n", 13));
    peer_close(&p);
}

static void test_expiry(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    expect(&p, "CONFIG SET durable-subscriber-expiry 60", "+OK\r\n");
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    bench_now_us += 120 * INT64_C(1000000);
    turn();
    peer_close(&s);
    bench_now_us += 59 * INT64_C(1000000);
    turn();
    assert_int_equal(stats_now().absent, 1);
    assert_int_equal(stats_now().expired, 0);
    bench_now_us += 2 * INT64_C(1000000);
    turn();
    assert_int_equal(stats_now().expired, 1);
    peer_close(&p);
}

/* While the server was away nobody could come back. */
static void test_absence_of_the_server(void **state)
{
    struct peer s;
    struct durable_stats stats;
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    turn();
    peer_close(&s);
    bench_close(&bench);
    bench_now_us += 3600 * INT64_C(1000000);
    bench_open(&bench);
    configure("CONFIG SET durable news* durable-subscriber-expiry 60");
    bench_now_us += 59 * INT64_C(1000000);
    settle();
    durable_stats(bench.broker, &stats);
    assert_int_equal(stats.absent, 1);
    assert_int_equal(stats.expired, 0);
    bench_now_us += 2 * INT64_C(1000000);
    settle();
    durable_stats(bench.broker, &stats);
    assert_int_equal(stats.expired, 1);
}

static void test_limit(void **state)
{
    struct peer s, t;
    configure("CONFIG SET durable-subscribers-max 1");
    open_named(&s, "one");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    open_named(&t, "two");
    expect(&t, "SUBSCRIBE news", SUBSCRIBED);
    assert_int_equal(stats_now().live, 1);
    assert_int_equal(stats_now().over_limit, 1);
    peer_close(&s);
    peer_close(&t);
}

static void test_which_names(void **state)
{
    struct peer p, s, t;
    configure("CONFIG SET durable-names \"app-* billing\"");
    peer_open(&p, &bench);
    open_named(&s, "worker");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    assert_int_equal(stats_now().live, 0);
    expect(&p, "EXISTS news", ":0\r\n");
    open_named(&t, "app-1");
    expect(&t, "SUBSCRIBE news", SUBSCRIBED);
    assert_int_equal(stats_now().live, 1);
    expect(&p, "PUBLISH news one", ":2\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    expect(&t, NULL, MESSAGE("one", 3));
    peer_close(&s);
    peer_close(&t);
    expect(&p, "PUBLISH news two", ":0\r\n");
    open_named(&s, "worker");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    turn();
    expect(&s, NULL, "");
    peer_close(&s);
    peer_close(&p);
}

/* ---- Slow ones ---- */

static void test_drop_oldest(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb on-slow news*=drop-oldest");
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, "HELLO 3");
    peer_run(&s, "SUBSCRIBE news");
    publish_many(&p, "news", 20);
    durable_check_output(bench.broker, s.session, true);
    assert_int_equal(stats_now().dropped, 20);
    expect(&s, NULL, ">3\r\n$7\r\ndropped\r\n$4\r\nnews\r\n:20\r\n");
    expect(&p, "PUBLISH news x", ":1\r\n");
    expect(&s, NULL, ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
    peer_close(&p);
    peer_close(&s);
}

/* The number behind the name of a field. */
static int64_t field(struct peer *p, const char *line, const char *name)
{
    struct bytes got = peer_run(p, line);
    const char *at = memmem(got.data, got.len, name, strlen(name));
    assert_non_null(at);
    at += strlen(name);
    assert_memory_equal(at, "\r\n:", 3);
    return strtoll(at + 3, NULL, 10);
}

static bool says(struct peer *p, const char *line, const char *text)
{
    struct bytes got = peer_run(p, line);
    return memmem(got.data, got.len, text, strlen(text)) != NULL;
}

static void test_how_far_behind(void **state)
{
    static const char ask[] = "PUBSUB SUBSCRIBERS news", list[] = "PUBSUB DURABLE LIST news";
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb durable-window-bytes 0");
    peer_open(&p, &bench);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "XADD news 5-5 data one", "$3\r\n5-5\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    assert_true(says(&p, ask, "$12\r\ndelivered-id\r\n$3\r\n5-5\r\n"));
    settle();
    publish_many(&p, "news", 20);
    bench_now_us += 5 * INT64_C(1000000);
    turn();
    durable_check_output(bench.broker, s.session, true);
    assert_true(says(&p, ask, "$6\r\nbehind\r\n"));
    assert_true(says(&p, ask, "$12\r\ndelivered-id\r\n$3\r\n5-5\r\n"));
    assert_int_equal(field(&p, ask, "delivered"), 1);
    assert_int_equal(field(&p, ask, "lag-messages"), 20);
    int64_t bytes = field(&p, ask, "lag-bytes"), ms = field(&p, ask, "lag-ms");
    assert_true(bytes > 20 * 1000 && bytes < 20 * 1200);
    assert_true(ms >= 5000 && ms < 6000);
    for (int i = 0; i < 200; i++) {
        peer_take(&s);
        turn();
    }
    assert_true(says(&p, ask, "$4\r\nlive\r\n"));
    assert_int_equal(field(&p, ask, "delivered"), 21);
    assert_int_equal(field(&p, ask, "lag-messages"), 0);
    assert_int_equal(field(&p, ask, "lag-bytes"), 0);
    assert_int_equal(field(&p, ask, "lag-ms"), 0);
    assert_false(says(&p, ask, "$3\r\n5-5\r\n"));
    peer_close(&s);
    publish_many(&p, "news", 3);
    bench_now_us += 7 * INT64_C(1000000);
    turn();
    assert_int_equal(field(&p, list, "lag"), 3);
    assert_true(field(&p, list, "lag-bytes") > 3000);
    assert_true(field(&p, list, "lag-ms") >= 7000);
    peer_close(&p);
}

static void test_disconnect(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb on-slow news*=disconnect");
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE news");
    publish_many(&p, "news", 7);
    durable_check_output(bench.broker, s.session, true);
    assert_false(s.closed);
    publish_many(&p, "news", 7);
    durable_check_output(bench.broker, s.session, true);
    assert_true(s.closed && !s.closes_after_output);
    peer_close(&p);
    peer_close(&s);
}

/* ---- Keyspace events ---- */

static void test_events_are_kept(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable __key* notify-keyspace-events KEAn durable-window-bytes 0");
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE __keyevent@0__:set __keyspace@0__:a");
    expect(&p, "SET a 1", "+OK\r\n");
    turn();
    assert_true(peer_take(&s).len > 0);
    expect(&p, "XLEN __keyevent@0__:set", ":1\r\n");
    expect(&p, "XLEN __keyspace@0__:a", ":2\r\n"); /* new, set */
    expect(&p, "EXISTS __keyspace@0__:__keyspace@0__:a", ":0\r\n");
    settle();
    peer_close(&s);
    expect(&p, "SET a 2", "+OK\r\n");
    peer_close(&p);
    bench_close(&bench);
    bench_open(&bench);
    configure("CONFIG SET durable __key* durable-window-bytes 0");
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE __keyevent@0__:set");
    turn();
    expect(&s, NULL, "*3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:set\r\n$1\r\na\r\n");
    peer_close(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_publish_appends),
        TEST(test_streams_are_bounded),
        TEST(test_nothing_is_heard_before_it_is_kept),
        TEST(test_end_set_ahead),
        TEST(test_end_set_back),
        TEST(test_position_beyond_the_end),
        TEST(test_what_was_missed_comes),
        TEST(test_window),
        TEST(test_window_of_who_lets_go),
        TEST(test_second_of_a_name_is_ordinary),
        TEST(test_deleted_stream),
        TEST(test_stream_made_anew),
        TEST(test_lag_of_a_stream_made_anew),
        TEST(test_expiry),
        TEST(test_absence_of_the_server),
        TEST(test_limit),
        TEST(test_which_names),
        TEST(test_how_far_behind),
        TEST(test_drop_oldest),
        TEST(test_disconnect),
        TEST(test_events_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
