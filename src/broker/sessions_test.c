/* What sessions do to each other: blocking and serving, watching, pausing, killing, monitoring; and
 * which reply waits for the journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/testing.h"

struct trio {
    struct bench bench;
    struct peer a, b, c;
};

static void open_with(struct trio *t, enum journal_sync sync)
{
    bench_init(&t->bench);
    t->bench.settings.sync = sync;
    bench_open(&t->bench);
    bench_turn(&t->bench);
    peer_open(&t->a, &t->bench);
    peer_open(&t->b, &t->bench);
    peer_open(&t->c, &t->bench);
}

static int setup(void **state)
{
    struct trio *t = mem_calloc(sizeof *t);
    open_with(t, JOURNAL_SYNC_NO);
    *state = t;
    return 0;
}

static int setup_always(void **state)
{
    struct trio *t = mem_calloc(sizeof *t);
    open_with(t, JOURNAL_SYNC_ALWAYS);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trio *t = *state;
    peer_close(&t->a);
    peer_close(&t->b);
    peer_close(&t->c);
    bench_close(&t->bench);
    bench_remove(&t->bench);
    mem_free(t);
    return 0;
}

static void assert_text(struct bytes got, const char *expected)
{
    if (!bytes_eq(got, bytes_of(expected))) printf("got: %.*s\n", (int)got.len, got.data);
    assert_true(bytes_eq(got, bytes_of(expected)));
}

static void expect(struct peer *p, const char *line, const char *reply)
{
    assert_text(peer_run(p, line), reply);
}

static void expect_later(struct peer *p, const char *bytes)
{
    assert_text(peer_take(p), bytes);
}

static void pass_ms(struct trio *t, int64_t ms)
{
    bench_now_us += ms * 1000;
    bench_turn(&t->bench);
}

/* ---- Blocking ---- */

static void test_served_in_order(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "BZPOPMIN z 0", "");
    expect(&t->b, "BZPOPMIN z 0", "");
    assert_true(peer_is_blocked(&t->a) && peer_is_blocked(&t->b));
    expect(&t->c, "ZADD z 1 one", ":1\r\n");
    expect_later(&t->a, "*3\r\n$1\r\nz\r\n$3\r\none\r\n$1\r\n1\r\n");
    assert_int_equal(t->a.resumed, 1);
    assert_false(peer_is_blocked(&t->a));
    expect_later(&t->b, "");
    assert_true(peer_is_blocked(&t->b));
    expect(&t->c, "ZADD z 2 two 3 three", ":2\r\n");
    expect_later(&t->b, "*3\r\n$1\r\nz\r\n$3\r\ntwo\r\n$1\r\n2\r\n");
    expect(&t->c, "ZCARD z", ":1\r\n");
}

/* Who is gone gets nothing: what it waited for stays. */
static void test_hangup_while_blocked(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "BZPOPMIN x z y 0", "");
    broker_session_hangup(t->bench.broker, t->a.session);
    assert_int_equal(t->bench.broker->blocked_count, 0);
    expect(&t->c, "ZADD z 1 one", ":1\r\n");
    expect(&t->c, "ZCARD z", ":1\r\n");
    expect_later(&t->a, "");
}

static void test_several_keys(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "BZPOPMIN y x y x 0", "");
    expect(&t->c, "SET x string", "+OK\r\n"); /* of another type: not what it waits for */
    assert_true(peer_is_blocked(&t->a));
    expect(&t->c, "ZADD y 1 m", ":1\r\n");
    expect_later(&t->a, "*3\r\n$1\r\ny\r\n$1\r\nm\r\n$1\r\n1\r\n");
    expect(&t->c, "ZADD y 1 m", ":1\r\n");
    expect(&t->c, "ZCARD y", ":1\r\n");
}

/* What EXEC adds is handed on after the whole of it. */
static void test_served_after_exec(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "BZPOPMIN z 0", "");
    peer_run(&t->b, "MULTI");
    peer_run(&t->b, "ZADD z 5 five");
    peer_run(&t->b, "ZADD z 1 one");
    expect(&t->b, "EXEC", "*2\r\n:1\r\n:1\r\n");
    expect_later(&t->a, "*3\r\n$1\r\nz\r\n$3\r\none\r\n$1\r\n1\r\n");
}

static void test_timeout(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "BZPOPMIN z 0.05", "");
    pass_ms(t, 40);
    assert_true(peer_is_blocked(&t->a));
    pass_ms(t, 20);
    expect_later(&t->a, "*-1\r\n");
    assert_int_equal(t->a.resumed, 1);
}

static void test_unblock(void **state)
{
    struct trio *t = *state;
    char line[64];
    expect(&t->a, "BZPOPMIN z 0", "");
    snprintf(line, sizeof line, "CLIENT UNBLOCK %llu ERROR", (unsigned long long)t->a.session->id);
    expect(&t->b, line, ":1\r\n");
    expect_later(&t->a, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    expect(&t->b, line, ":0\r\n");
}

static void test_nothing_blocks_in_exec(void **state)
{
    struct trio *t = *state;
    peer_run(&t->a, "MULTI");
    peer_run(&t->a, "BZPOPMIN z 0");
    peer_run(&t->a, "WAIT 1 0");
    expect(&t->a, "EXEC", "*2\r\n*-1\r\n:0\r\n");
}

/* Under `no` nobody else would ever sync. */
static void test_waitaof(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "SET k v", "+OK\r\n");
    expect(&t->a, "WAITAOF 1 0 0", "");
    for (int i = 0; i < 3000 && peer_is_blocked(&t->a); i++) {
        usleep(1000);
        pass_ms(t, 1);
    }
    expect_later(&t->a, "*2\r\n:1\r\n:0\r\n");
    expect(&t->b, "WAITAOF 0 1 50", "");
    pass_ms(t, 60);
    expect_later(&t->b, "*2\r\n:1\r\n:0\r\n");
}

/* ---- Watching ---- */

static void expect_exec(struct trio *t, bool ok)
{
    peer_run(&t->a, "MULTI");
    peer_run(&t->a, "PING");
    expect(&t->a, "EXEC", ok ? "*1\r\n+PONG\r\n" : "*-1\r\n");
}

/* A command that empties a value frees its key, name and all, before the watchers hear of it. */
static void test_watch_emptied(void **state)
{
    static const char *const empty[][2] = {
        {"HSET k f v", "HDEL k f"},      {"SADD k m", "SREM k m"},     {"SADD k m", "SPOP k"},
        {"SADD k m", "SMOVE k other m"}, {"ZADD k 1 m", "ZREM k m"},   {"ZADD k 1 m", "ZPOPMIN k"},
        {"SET k v", "GETDEL k"},         {"SET k v", "RENAME k other"}};
    struct trio *t = *state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        peer_run(&t->b, "FLUSHALL");
        peer_run(&t->b, empty[i][0]);
        peer_run(&t->a, "WATCH k");
        peer_run(&t->b, empty[i][1]);
        expect_exec(t, false);
    }
}

static void test_watch_expiry(void **state)
{
    struct trio *t = *state;
    peer_run(&t->b, "SET k v PX 50");
    peer_run(&t->a, "WATCH k");
    pass_ms(t, 100);
    expect_exec(t, false); /* it was there, and is gone */
    peer_run(&t->a, "WATCH k");
    expect_exec(t, true); /* it never was */
    peer_run(&t->a, "WATCH k");
    peer_run(&t->a, "UNWATCH");
    peer_run(&t->b, "SET k v");
    expect_exec(t, true);
}

static void test_watch_flush_and_swap(void **state)
{
    struct trio *t = *state;
    peer_run(&t->a, "WATCH k");
    peer_run(&t->b, "FLUSHALL");
    expect_exec(t, true);
    peer_run(&t->b, "SET k v");
    peer_run(&t->a, "WATCH k");
    peer_run(&t->b, "FLUSHALL");
    expect_exec(t, false);
    peer_run(&t->b, "SET k v");
    peer_run(&t->a, "WATCH k");
    peer_run(&t->b, "SWAPDB 0 1");
    expect_exec(t, false);
    peer_run(&t->a, "WATCH k");
    peer_run(&t->b, "SWAPDB 0 1");
    expect_exec(t, false);
}

static void test_watch_ends_with_session(void **state)
{
    struct trio *t = *state;
    peer_run(&t->a, "WATCH k l m");
    peer_run(&t->b, "WATCH l");
    broker_session_hangup(t->bench.broker, t->a.session);
    assert_int_equal(t->bench.broker->watching_count, 1);
    peer_run(&t->c, "SET l 1");
    peer_run(&t->c, "SET k 1");
    assert_true(t->b.session->flags & SESSION_DIRTY_CAS);
}

/* ---- Pausing, killing, monitoring ---- */

static void test_pause(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "CLIENT PAUSE 50 WRITE", "+OK\r\n");
    expect(&t->b, "GET k", "$-1\r\n");
    expect(&t->b, "SET k v", "");
    assert_true(peer_is_blocked(&t->b));
    pass_ms(t, 60);
    assert_int_equal(t->b.resumed, 1);
    expect(&t->b, "GET k", "$-1\r\n"); /* not taken: the server feeds it again */
    expect(&t->b, "SET k v", "+OK\r\n");
}

static void test_pause_keeps_skip(void **state)
{
    struct trio *t = *state;
    peer_run(&t->b, "CLIENT REPLY SKIP");
    peer_run(&t->a, "CLIENT PAUSE 50");
    expect(&t->b, "PING", "");
    pass_ms(t, 60);
    expect(&t->b, "PING", "");
    expect(&t->b, "PING", "+PONG\r\n");
}

static void test_kill(void **state)
{
    struct trio *t = *state;
    char line[64];
    snprintf(line, sizeof line, "CLIENT KILL ID %llu", (unsigned long long)t->b.session->id);
    peer_run(&t->a, "MULTI");
    peer_run(&t->a, line);
    peer_run(&t->a, "CLIENT KILL TYPE normal SKIPME no");
    peer_run(&t->a, "PING");
    expect(&t->a, "EXEC", "*3\r\n:1\r\n:2\r\n+PONG\r\n");
    assert_true(t->b.closed && !t->b.closes_after_output);
    assert_true(t->c.closed && !t->c.closes_after_output);
    assert_true(t->a.closed && t->a.closes_after_output); /* it still gets its answer */
}

static void test_monitor(void **state)
{
    struct trio *t = *state;
    expect(&t->a, "MONITOR", "+OK\r\n");
    peer_run(&t->b, "AUTH user secret");
    peer_run(&t->b, "HELLO 2 AUTH default secret");
    struct bytes seen = peer_take(&t->a);
    assert_null(memmem(seen.data, seen.len, "secret", 6));
    assert_non_null(memmem(seen.data, seen.len, "\"AUTH\" \"(redacted)\" \"(redacted)\"", 32));
    broker_session_hangup(t->bench.broker, t->a.session);
    peer_run(&t->b, "PING");
    assert_int_equal(t->bench.broker->monitor_count, 0);
    assert_null(t->bench.broker->monitors);
}

/* ---- Pushes ---- */

static void test_own_pushes_follow(void **state)
{
    struct trio *t = *state;
    peer_run(&t->a, "HELLO 3");
    peer_run(&t->a, "SUBSCRIBE ch");
    expect(&t->a, "PUBLISH ch 1", ":1\r\n>3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\n1\r\n");
    peer_run(&t->a, "MULTI");
    peer_run(&t->a, "PUBLISH ch 2");
    peer_run(&t->a, "PING");
    expect(&t->a, "EXEC", "*2\r\n:1\r\n+PONG\r\n>3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\n2\r\n");
}

static void test_reset(void **state)
{
    struct trio *t = *state;
    peer_run(&t->a, "HELLO 3 SETNAME me");
    peer_run(&t->a, "SUBSCRIBE ch");
    peer_run(&t->a, "WATCH k");
    peer_run(&t->a, "SELECT 3");
    peer_run(&t->a, "MULTI");
    expect(&t->a, "RESET", "+RESET\r\n");
    expect(&t->b, "PUBLISH ch x", ":0\r\n");
    expect(&t->a, "EXEC", "-ERR EXEC without MULTI\r\n");
    expect(&t->a, "CLIENT GETNAME", "$-1\r\n");
    assert_int_equal(t->a.session->db, 0);
    assert_int_equal(t->bench.broker->watching_count, 0);
}

/* ---- The journal ---- */

static size_t pending(const struct peer *p)
{
    return subscriber_pending(&p->session->subscriber);
}

static size_t ready(const struct peer *p)
{
    struct bytes runs[8];
    size_t all = 0;
    size_t n = subscriber_ready(&p->session->subscriber, journal_covered(p->bench->broker->journal),
                                runs, 8);
    for (size_t i = 0; i < n; i++) all += runs[i].len;
    return all;
}

static void run_quietly(struct peer *p, const char *line)
{
    struct bytes argv[8];
    size_t argc = 0;
    for (const char *at = line; *at != '\0'; argc++) {
        size_t n = strcspn(at, " ");
        argv[argc] = (struct bytes){at, n};
        at += n + (at[n] == ' ');
    }
    broker_exec(p->bench->broker, p->session, argc, argv);
}

static void sync_all(struct broker *b)
{
    broker_turn_end(b);
    assert_int_equal(journal_wait(b->journal, journal_head(b->journal)), 0);
}

/* A reply to a write, and what others see of it, leaves when the write is on disk; reads of keys
 * that nobody writes do not wait for strangers' syncs. */
static void test_gates(void **state)
{
    struct trio *t = *state;
    struct broker *b = t->bench.broker;
    peer_run(&t->c, "SUBSCRIBE ch");
    run_quietly(&t->a, "SET k v");
    run_quietly(&t->b, "GET k");
    assert_int_equal(ready(&t->a), 0);
    assert_int_equal(ready(&t->b), 0);
    run_quietly(&t->a, "PUBLISH ch x"); /* carries its publisher's last write */
    assert_true(pending(&t->c) > 0);
    assert_int_equal(ready(&t->c), 0);
    sync_all(b);
    assert_int_equal(ready(&t->a), pending(&t->a));
    assert_int_equal(ready(&t->b), pending(&t->b));
    assert_int_equal(ready(&t->c), pending(&t->c));
}

/* What was added, what a group has been given and what it has acknowledged is told when that is on
 * disk. */
static void test_gates_of_streams(void **state)
{
    static const char *const changes[] = {"XADD s 2-0 f v", "XREADGROUP GROUP g c STREAMS s >",
                                          "XACK s g 1-0", "XGROUP SETID s g 0",
                                          "XGROUP DESTROY s g"};
    struct trio *t = *state;
    struct broker *b = t->bench.broker;
    run_quietly(&t->a, "XADD s 1-0 f v");
    run_quietly(&t->a, "XGROUP CREATE s g 0");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        sync_all(b);
        peer_take(&t->a);
        peer_take(&t->b);
        run_quietly(&t->a, changes[i]);
        run_quietly(&t->b, "XINFO GROUPS s");
        assert_true(pending(&t->a) > 0 && pending(&t->b) > 0);
        assert_int_equal(ready(&t->a), 0);
        assert_int_equal(ready(&t->b), 0);
    }
    sync_all(b);
    assert_int_equal(ready(&t->b), pending(&t->b));
}

static void test_quiet_keys_do_not_wait(void **state)
{
    struct trio *t = *state;
    run_quietly(&t->a, "SET k v");
    run_quietly(&t->b, "GET another");
    run_quietly(&t->c, "DBSIZE"); /* depends on everything */
    assert_true(ready(&t->b) > 0);
    assert_int_equal(ready(&t->c), 0);
}

/* Who finds a key gone must not learn of a flush that a crash could take back. */
static void test_a_flush_concerns_every_key(void **state)
{
    struct trio *t = *state;
    struct broker *b = t->bench.broker;
    run_quietly(&t->a, "SET k v");
    run_quietly(&t->a, "FLUSHALL");
    run_quietly(&t->b, "GET any");
    assert_int_equal(ready(&t->b), 0);
    sync_all(b);
    assert_int_equal(ready(&t->b), outbox_pending(&t->b.session->out));
    run_quietly(&t->c, "GET any");
    assert_int_equal(ready(&t->c), outbox_pending(&t->c.session->out));
}

static void test_exec_waits_for_the_last(void **state)
{
    struct trio *t = *state;
    run_quietly(&t->a, "MULTI");
    run_quietly(&t->a, "GET another");
    run_quietly(&t->a, "SET k v");
    run_quietly(&t->a, "PING");
    size_t before = ready(&t->a);
    run_quietly(&t->a, "EXEC");
    assert_int_equal(ready(&t->a), before);
}

#define TEST(name)        cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_ALWAYS(name) cmocka_unit_test_setup_teardown(name, setup_always, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_served_in_order),
        TEST(test_hangup_while_blocked),
        TEST(test_several_keys),
        TEST(test_served_after_exec),
        TEST(test_timeout),
        TEST(test_unblock),
        TEST(test_nothing_blocks_in_exec),
        TEST(test_waitaof),
        TEST(test_watch_emptied),
        TEST(test_watch_expiry),
        TEST(test_watch_flush_and_swap),
        TEST(test_watch_ends_with_session),
        TEST(test_pause),
        TEST(test_pause_keeps_skip),
        TEST(test_kill),
        TEST(test_monitor),
        TEST(test_own_pushes_follow),
        TEST(test_reset),
        TEST_ALWAYS(test_gates),
        TEST_ALWAYS(test_gates_of_streams),
        TEST_ALWAYS(test_quiet_keys_do_not_wait),
        TEST_ALWAYS(test_a_flush_concerns_every_key),
        TEST_ALWAYS(test_exec_waits_for_the_last),
    };
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
