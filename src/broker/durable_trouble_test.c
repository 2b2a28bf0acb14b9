/* Durable subscribers in trouble: streams that are moved, emptied or deleted under them, groups
 * that others set, several connections of one name, neighbours that are busy, and what is to be
 * bounded nevertheless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/durable_priv.h"
#include "broker/durable_testing.h"
#include "broker/retention.h"

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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_stream_that_was_away),
        TEST(test_leaving_after_a_deletion),
        TEST(test_leaving_after_a_flush),
        TEST(test_leaving_after_a_replacement),
        TEST(test_leaving_what_is_not_durable_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
