/* What the tests of durable publish/subscribe share: one broker in which the channels news* are
 * durable, and what its peers are to get. Included once, behind cmocka. */
#ifndef LEAT_BROKER_DURABLE_TESTING_H
#define LEAT_BROKER_DURABLE_TESTING_H

#include <stdio.h>

#include "base/must.h"
#include "broker/durable.h"
#include "broker/testing.h"

static struct bench bench;

static inline void configure(const char *line)
{
    struct peer p;
    peer_open(&p, &bench);
    assert_int_equal(peer_run(&p, line).data[0], '+');
    peer_close(&p);
}

static inline int setup(void **state)
{
    bench_init(&bench);
    bench_open(&bench);
    configure("CONFIG SET durable news*");
    return 0;
}

static inline int teardown(void **state)
{
    bench_close(&bench);
    bench_remove(&bench);
    return 0;
}

static inline void turn(void)
{
    broker_turn_end(bench.broker);
    broker_spread(bench.broker);
    hub_turn_end(bench.broker->hub);
    bench_now_us += 1000;
    broker_turn_begin(bench.broker);
}

/* Long enough for checkpoints, and for positions to be written down. */
static inline void settle(void)
{
    for (int i = 0; i < 600; i++) turn();
}

/* So long that what was sent counts as read. */
static inline void outlast_the_window(void)
{
    settle();
    bench_now_us += 31 * INT64_C(1000000);
    settle();
}

static inline void restart(void)
{
    bench_close(&bench);
    bench_open(&bench);
    configure("CONFIG SET durable news*");
}

static inline struct durable_stats stats_now(void)
{
    struct durable_stats stats;
    durable_stats(bench.broker, &stats);
    return stats;
}

/* What the peer gets is exactly this text. */
static inline void expect(struct peer *p, const char *line, const char *text)
{
    struct bytes got = line != NULL ? peer_run(p, line) : peer_take(p);
    char *copy = mem_calloc(got.len + 1);
    memcpy(copy, got.data, got.len);
    assert_string_equal(copy, text);
    mem_free(copy);
}

#define MESSAGE(text, len) "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$" #len "\r\n" text "\r\n"
#define SUBSCRIBED         "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"

static inline void open_named(struct peer *p, const char *name)
{
    char line[64];
    peer_open(p, &bench);
    snprintf(line, sizeof line, "CLIENT SETNAME %s", name);
    expect(p, line, "+OK\r\n");
}

/* Who comes back: subscribed to news, and served by the time this returns. */
static inline void open_subscribed(struct peer *p, const char *name)
{
    open_named(p, name);
    expect(p, "SUBSCRIBE news", SUBSCRIBED);
    turn();
}

/* Messages of 1,000 bytes. */
static inline void publish_many(struct peer *p, const char *channel, int n)
{
    char line[1200];
    for (int i = 0; i < n; i++) {
        snprintf(line, sizeof line, "PUBLISH %s %01000d", channel, i);
        assert_int_equal(peer_run(p, line).data[0], ':');
    }
}

#endif
