/* Durable subscribers in trouble: streams that are moved, emptied or deleted under them, groups
 * that others set, several connections of one name, neighbours that are busy, and what is to be
 * bounded nevertheless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/durable_priv.h"
#include "broker/durable_testing.h"
#include "broker/retention.h"
#include "keys/stream_store.h"
#include "log/chunks.h"

/* ---- Streams that are not what they were ---- */

/* What was added while it had another name was not pushed. */
static void test_stream_that_was_away(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    peer_close(&s);
    expect(&p, "PUBLISH news a", ":0\r\n");
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    expect(&p, "PUBLISH news b", ":1\r\n");
    expect(&p, "RENAME news away", "+OK\r\n");
    assert_int_equal(peer_run(&p, "XADD away * data c").data[0], '$');
    expect(&p, "RENAME away news", "+OK\r\n");
    turn();
    expect(&s, NULL, MESSAGE("a", 1) MESSAGE("b", 1) MESSAGE("c", 1));
    settle();
    expect(&p, "PUBLISH news d", ":1\r\n");
    expect(&s, NULL, MESSAGE("d", 1));
    settle();
    peer_close(&p);
    peer_close(&s);
}

/* Who is subscribed when the stream goes is remembered when it goes itself. */
static void leaves_after(const char *command, const char *reply)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    expect(&p, "PUBLISH news one", ":1\r\n");
    expect(&s, NULL, MESSAGE("one", 3));
    settle();
    peer_run(&p, "XADD other * data x");
    expect(&p, command, reply);
    peer_close(&s);
    expect(&p, "PUBLISH news two", ":0\r\n");
    open_subscribed(&s, "me");
    expect(&s, NULL, MESSAGE("two", 3));
    peer_close(&p);
    peer_close(&s);
}

static void test_leaving_after_a_deletion(void **state)
{
    leaves_after("DEL news", ":1\r\n");
}

static void test_leaving_after_a_flush(void **state)
{
    leaves_after("FLUSHALL", "+OK\r\n");
}

static void test_leaving_after_a_replacement(void **state)
{
    leaves_after("RENAME other news", "+OK\r\n");
}

/* What is durable no more is not made again. */
static void test_leaving_what_is_not_durable_any_more(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    configure("CONFIG SET durable ''");
    expect(&p, "DEL news", ":1\r\n");
    peer_close(&s);
    expect(&p, "EXISTS news", ":0\r\n");
    peer_close(&p);
}

/* ---- Several of one name ---- */

static void test_third_of_a_name(void **state)
{
    struct peer p, s[3];
    peer_open(&p, &bench);
    for (int i = 0; i < 3; i++) open_subscribed(&s[i], "me");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stats_now().live, 1);
        peer_close(&s[i]);
    }
    assert_int_equal(stats_now().live, 0);
    peer_close(&p);
}

/* A connection that is one already, under the name it had then, takes nobody's place. */
static void test_rival_by_another_name(void **state)
{
    struct peer p, first, second, other;
    peer_open(&p, &bench);
    open_subscribed(&first, "me");
    open_subscribed(&second, "me");
    peer_close(&second);
    open_named(&other, "other");
    peer_run(&other, "HELLO 3");
    peer_run(&other, "SUBSCRIBE news");
    expect(&other, "CLIENT SETNAME me", "+OK\r\n");
    peer_close(&first);
    turn();
    assert_int_equal(stats_now().live, 1);
    expect(&p, "PUBLISH news x", ":1\r\n");
    expect(&other, NULL, ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
    peer_run(&other, "UNSUBSCRIBE news");
    assert_int_equal(stats_now().live, 0);
    expect(&p, "PUBLISH news x", ":0\r\n");
    peer_close(&p);
    peer_close(&other);
}

/* What waits for the second as an ordinary subscriber is not given back as if it had been durable
 * then: all that is published afterwards comes. */
static void test_rival_with_output(void **state)
{
    struct peer p, first, second;
    configure("CONFIG SET durable-spill-bytes 8kb durable-window-bytes 0 durable-window-ms 0");
    peer_open(&p, &bench);
    open_subscribed(&first, "me");
    open_subscribed(&second, "me");
    peer_run(&second, "SUBSCRIBE sport");
    turn();
    publish_many(&p, "news", 10);
    peer_take(&first);
    settle();
    peer_close(&first);
    turn();
    durable_check_output(bench.broker, second.session, true);
    publish_many(&p, "news", 10);
    durable_check_output(bench.broker, second.session, true);
    peer_take(&second);
    expect(&p, "PUBLISH news last", ":1\r\n");
    turn();
    struct bytes got = peer_take(&second);
    assert_true(got.len > 10 * 1000); /* the ten that were given back, and the last */
    peer_close(&p);
    peer_close(&second);
}

/* ---- Neighbours ---- */

static void take_all_but(struct peer *p, size_t left)
{
    struct subscriber *s = &p->session->subscriber;
    struct bytes run;
    while (subscriber_pending(s) > left && subscriber_ready(s, UINT64_MAX, &run, 1) > 0) {
        size_t most = subscriber_pending(s) - left;
        subscriber_sent(s, run.len < most ? run.len : most);
    }
}

/* Under load something always waits for the journal: who is behind on one channel must get on
 * nevertheless. */
static void test_busy_neighbour(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE news1 news2");
    peer_close(&s);
    publish_many(&p, "news1", 1000);
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE news1 news2");
    for (int i = 0; i < 100; i++) {
        publish_many(&p, "news2", 1);
        turn();
        take_all_but(&s, 100);
    }
    assert_int_equal(stats_now().behind, 0);
    peer_close(&p);
    peer_close(&s);
}

/* Behind on many channels, a connection costs what one costs that is behind on one; and all come.
 */
static void test_behind_on_many_channels(void **state)
{
    enum { CHANNELS = 60, MESSAGES = 40 };
    struct peer p, s;
    struct buf line = {0};
    char name[16];
    buf_printf(&line, "SUBSCRIBE");
    for (int i = 0; i < CHANNELS; i++) buf_printf(&line, " news%d", i);
    buf_putc(&line, '\0');
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, line.data);
    peer_close(&s);
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "news%d", i);
        publish_many(&p, name, MESSAGES);
    }
    open_named(&s, "me");
    peer_run(&s, line.data);
    for (int i = 0; i < 50; i++) turn();
    assert_in_range(subscriber_pending(&s.session->subscriber), 100 * 1000, 300 * 1000);
    size_t all = 0;
    for (int i = 0; i < 100; i++) {
        all += peer_take(&s).len;
        turn();
    }
    assert_int_equal(stats_now().behind, 0);
    assert_true(all > CHANNELS * MESSAGES * 1000);
    buf_fini(&line);
    peer_close(&p);
    peer_close(&s);
}

/* What is published on ordinary channels counts for the limits, also for who is durable beside. */
static void test_ordinary_output_is_limited(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb on-slow news*=drop-oldest");
    peer_open(&p, &bench);
    open_named(&s, "me");
    peer_run(&s, "SUBSCRIBE news sport");
    for (int i = 0; i < 5; i++) {
        publish_many(&p, "sport", 10);
        publish_many(&p, "news", 10);
        durable_check_output(bench.broker, s.session, true);
    }
    size_t unlimited = durable_check_output(bench.broker, s.session, true);
    assert_true(subscriber_pending(&s.session->subscriber) - unlimited >= 50 * 1000);
    peer_close(&p);
    peer_close(&s);
}

/* ---- What is kept, and what is not ---- */

/* After a reset more comes again than the position tells that is written down meanwhile: that must
 * not be gone. */
static void test_kept_until_surely_acknowledged(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-retention 'age=24h until-acked'");
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    s.progress.peer_window = 1 << 20;
    publish_many(&p, "news", 20);
    peer_take(&s);
    outlast_the_window();
    for (int i = 0; i < 1000; i++) {
        turn();
        retention_step(bench.broker);
    }
    s.progress.reset = true;
    peer_close(&s);
    open_subscribed(&s, "me");
    assert_true(peer_take(&s).len > 20 * 1000);
    outlast_the_window();
    peer_close(&s);
    for (int i = 0; i < 1000; i++) {
        turn();
        retention_step(bench.broker);
    }
    expect(&p, "XLEN news", ":0\r\n"); /* it went in peace */
    peer_close(&p);
}

static const struct stream *stream_named(const char *name)
{
    struct bytes text = bytes_of(name);
    return stream_of(keyspace_find(bench.broker->ks, 0, text, hash_bytes(text)));
}

static void test_whoever_makes_it_it_is_bounded(void **state)
{
    struct peer p;
    peer_open(&p, &bench);
    peer_run(&p, "XADD news1 * data x");
    assert_int_equal(stream_named("news1")->retention.bytes, 1 << 30);
    peer_run(&p, "XADD news2 * other x"); /* no message */
    assert_int_equal(stream_named("news2")->retention.bytes, 1 << 30);
    peer_run(&p, "XGROUP CREATE news3 g 0 MKSTREAM");
    peer_run(&p, "PUBLISH news3 x");
    assert_int_equal(stream_named("news3")->retention.bytes, 1 << 30);
    peer_run(&p, "XADD ours * data x");
    expect(&p, "CONFIG SET durable 'news* ours'", "+OK\r\n");
    peer_run(&p, "PUBLISH ours x"); /* what was there before is not thrown away */
    assert_int_equal(stream_named("ours")->retention.bytes, 0);
    assert_int_equal(stream_named("ours")->retention.age_ms, 0);
    peer_close(&p);
}

/* A channel of events does not feed itself: neither by what is appended nor by what is trimmed. */
static void test_trimming_events_makes_none(void **state)
{
    struct peer p;
    configure("CONFIG SET durable __key* durable-retention bytes=1000 notify-keyspace-events KEA");
    peer_open(&p, &bench);
    for (int i = 0; i < 200; i++) {
        expect(&p, "SET a 1", "+OK\r\n");
        turn();
        retention_step(bench.broker);
    }
    for (int i = 0; i < 1000; i++) {
        turn();
        retention_step(bench.broker);
    }
    assert_true(stream_named("__keyspace@0__:a")->length < 200);
    expect(&p, "EXISTS __keyevent@0__:xtrim", ":0\r\n");
    expect(&p, "EXISTS __keyspace@0__:__keyspace@0__:a", ":0\r\n");
    peer_close(&p);
}

/* What an EXEC was admitted for is not what its commands do if the first changes the setting. */
static void test_durable_since_this_transaction(void **state)
{
    struct peer p;
    char line[1200];
    snprintf(line, sizeof line, "PUBLISH sport %01000d", 1);
    peer_open(&p, &bench);
    expect(&p, "SADD a 1", ":1\r\n");
    expect(&p, "MULTI", "+OK\r\n");
    expect(&p, "CONFIG SET durable sport", "+QUEUED\r\n");
    expect(&p, line, "+QUEUED\r\n");
    expect(&p, "SUNIONSTORE b a", "+QUEUED\r\n");
    expect(&p, "EXEC", "*3\r\n+OK\r\n:0\r\n:1\r\n");
    expect(&p, "XLEN sport", ":1\r\n");
    peer_close(&p);
}

static void test_limit_of_reset(void **state)
{
    struct peer p;
    configure("CONFIG SET durable-subscribers-max 1");
    peer_open(&p, &bench);
    peer_run(&p, "PUBLISH news x");
    expect(&p, "PUBSUB DURABLE RESET news one 0", "+OK\r\n");
    assert_int_equal(peer_run(&p, "PUBSUB DURABLE RESET news two 0").data[0], '-');
    expect(&p, "PUBSUB DURABLE RESET news one $", "+OK\r\n");
    peer_close(&p);
}

/* Who has said QUIT and does not read is closed as anybody is who is too slow. */
static void test_slow_one_that_quits(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb on-slow news*=disconnect");
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    expect(&s, "QUIT", "+OK\r\n");
    assert_true(s.closed && s.closes_after_output);
    publish_many(&p, "news", 20);
    durable_check_output(bench.broker, s.session, true);
    assert_true(s.closed && !s.closes_after_output);
    peer_close(&p);
    peer_close(&s);
}

/* ---- Told of ---- */

static bool says(struct bytes text, const char *what)
{
    return memmem(text.data, text.len, what, strlen(what)) != NULL;
}

static void expect_progress(struct peer *p, int delivered, int lag)
{
    char text[80];
    struct bytes got = peer_run(p, "PUBSUB SUBSCRIBERS news");
    snprintf(text, sizeof text, "delivered\r\n:%d\r\n", delivered);
    assert_true(says(got, text));
    snprintf(text, sizeof text, "lag-messages\r\n:%d\r\n", lag);
    assert_true(says(got, text));
}

static void test_counts_of_who_is_behind(void **state)
{
    struct peer p, s;
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    peer_close(&s);
    publish_many(&p, "news", 3);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    assert_int_equal(stats_now().behind, 1);
    assert_true(says(peer_run(&p, "CLIENT LIST"), " sub=1 psub=0"));
    assert_true(says(peer_run(&p, "INFO stats"), "pubsub_channels:1\r\n"));
    expect_progress(&p, 0, 3);
    turn();
    assert_int_equal(stats_now().live, 1); /* what it was fed waits for it like any message */
    expect_progress(&p, 0, 3);
    peer_take(&s);
    expect_progress(&p, 3, 0);
    expect(&p, "PUBLISH news x", ":1\r\n");
    peer_take(&s);
    expect_progress(&p, 4, 0);
    peer_close(&p);
    peer_close(&s);
}

/* The memory of a large message is not kept for as long as somebody is behind. */
static void test_memory_of_a_large_message(void **state)
{
    enum { LARGE = 20 << 20 };
    struct peer p, s;
    peer_open(&p, &bench);
    open_subscribed(&s, "me");
    peer_close(&s);
    char *line = mem_calloc(LARGE + 20);
    int head = snprintf(line, 20, "PUBLISH news ");
    memset(line + head, 'x', LARGE);
    expect(&p, line, ":0\r\n");
    mem_free(line);
    publish_many(&p, "news", 500);
    open_subscribed(&s, "me");
    assert_true(peer_take(&s).len > LARGE);
    turn();
    assert_int_equal(stats_now().behind, 1);
    assert_true(bench.broker->durable->scratch.cap < 1 << 20);
    peer_close(&p);
    peer_close(&s);
}

/* What is given back is what the stream has: an ordinary channel's messages stay. */
static void test_ordinary_messages_stay(void **state)
{
    struct peer p, s;
    configure("CONFIG SET durable-spill-bytes 8kb");
    peer_open(&p, &bench);
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    peer_run(&s, "SUBSCRIBE talk");
    publish_many(&p, "news", 5);
    expect(&p, "PUBLISH talk one", ":1\r\n");
    publish_many(&p, "news", 15);
    expect(&p, "PUBLISH talk two", ":1\r\n");
    durable_check_output(bench.broker, s.session, true);
    assert_int_equal(stats_now().spilled, 1);
    assert_int_equal(stats_now().behind, 1);
    expect(&s, NULL,
           "*3\r\n$7\r\nmessage\r\n$4\r\ntalk\r\n$3\r\none\r\n"
           "*3\r\n$7\r\nmessage\r\n$4\r\ntalk\r\n$3\r\ntwo\r\n");
    turn();
    assert_int_equal(peer_take(&s).len, 20 * strlen(MESSAGE("", 1000)) + 20 * 1000);
    assert_int_equal(stats_now().live, 1);
    peer_close(&p);
    peer_close(&s);
}

/* ---- Damage ---- */

static void reopen(void)
{
    bench_close(&bench);
    bench.settings.stream_memory = 32 << 10;
    bench_open(&bench);
    configure("CONFIG SET durable news*");
}

/* Who reads on and comes to a damaged chunk is closed and keeps its position: what lies behind the
 * damage must not be taken for all there is. */
static void test_damage_is_not_passed_over(void **state)
{
    struct peer p, s;
    struct chunks_stats chunks = {0};
    struct stream_store_stats store = {0};
    char path[128];
    reopen();
    peer_open(&p, &bench);
    publish_many(&p, "news", 300);
    for (int i = 0; chunks.written == 0 || store.sealing_bytes > 0; i++) {
        assert_true(i < 100000);
        usleep(100);
        turn();
        chunks_stats(bench.broker->chunks, &chunks);
        stream_store_stats(bench.broker->streams, &store);
    }
    expect(&p, "PUBSUB DURABLE RESET news me 0", "+OK\r\n");
    expect(&p, "SAVE", "+OK\r\n");
    peer_close(&p);
    snprintf(path, sizeof path, "%s/chunks-000000000001.dat", bench.dir);
    FILE *f = fopen(path, "r+");
    assert_true(f != NULL && fseek(f, 20000, SEEK_SET) == 0 && fputc('!', f) == '!');
    fclose(f);
    reopen();
    open_named(&s, "me");
    expect(&s, "SUBSCRIBE news", SUBSCRIBED);
    settle();
    assert_true(s.closed);
    expect(&s, NULL, "");
    peer_close(&s);
    peer_open(&p, &bench);
    struct bytes listed = peer_run(&p, "PUBSUB DURABLE LIST news");
    assert_non_null(memmem(listed.data, listed.len, "$3\r\n0-0\r\n", 9));
    peer_close(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_stream_that_was_away),
        TEST(test_leaving_after_a_deletion),
        TEST(test_leaving_after_a_flush),
        TEST(test_leaving_after_a_replacement),
        TEST(test_leaving_what_is_not_durable_any_more),
        TEST(test_third_of_a_name),
        TEST(test_rival_by_another_name),
        TEST(test_rival_with_output),
        TEST(test_busy_neighbour),
        TEST(test_behind_on_many_channels),
        TEST(test_ordinary_output_is_limited),
        TEST(test_kept_until_surely_acknowledged),
        TEST(test_whoever_makes_it_it_is_bounded),
        TEST(test_trimming_events_makes_none),
        TEST(test_durable_since_this_transaction),
        TEST(test_limit_of_reset),
        TEST(test_slow_one_that_quits),
        TEST(test_counts_of_who_is_behind),
        TEST(test_memory_of_a_large_message),
        TEST(test_ordinary_messages_stay),
        TEST(test_damage_is_not_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
