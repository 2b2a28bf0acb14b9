#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/testpeer.h"

struct fixture {
    struct event_base *base;
    struct testpeer peer;
    struct leat_client *c;
    struct leat_options options;
    int states[3];
    int confirmed, messages;
    int pause_at, free_at, leave_at; /* do so in the callback of this message */
    char why[300];
    struct buf heard; /* "channel=message," and "pattern:channel=message," */
};

static void on_state(void *arg, enum leat_state state, const char *why)
{
    struct fixture *f = arg;
    f->states[state]++;
    if (why != NULL) snprintf(f->why, sizeof f->why, "%s", why);
}

static void on_message(void *arg, const char *pattern, const char *channel, size_t channel_len,
                       const char *message, size_t message_len)
{
    struct fixture *f = arg;
    f->messages++;
    if (pattern != NULL) buf_printf(&f->heard, "%s:", pattern);
    buf_append(&f->heard, channel, channel_len);
    buf_putc(&f->heard, '=');
    buf_append(&f->heard, message, message_len);
    buf_putc(&f->heard, ',');
    if (f->messages == f->pause_at) leat_client_pause(f->c);
    if (f->messages == f->leave_at) assert_int_equal(leat_unsubscribe(f->c, channel), 0);
    if (f->messages == f->free_at) {
        leat_client_free(f->c);
        f->c = NULL;
        /* The message is still there. */
        buf_append(&f->heard, message, message_len);
    }
}

static void on_subscribed(void *arg, const char *channel)
{
    struct fixture *f = arg;
    f->confirmed++;
}

static void begin(struct fixture *f)
{
    const char *error = NULL;
    *f = (struct fixture){.base = event_base_new()};
    testpeer_init(&f->peer, f->base);
    f->options = (struct leat_options){.url = f->peer.url,
                                       .connect_timeout_ms = 2000,
                                       .ping_interval_ms = 100,
                                       .backoff_min_ms = 5,
                                       .backoff_max_ms = 20,
                                       .on_state = on_state,
                                       .arg = f};
    f->c = leat_client_new(f->base, &f->options, &error);
    assert_non_null(f->c);
}

static void end(struct fixture *f)
{
    leat_client_free(f->c);
    testpeer_fini(&f->peer);
    buf_fini(&f->heard);
    event_base_free(f->base);
}

static void join(struct fixture *f, const char *channel)
{
    int confirmed = f->confirmed;
    assert_int_equal(leat_subscribe(f->c, channel, on_message, on_subscribed, f), 0);
    run_until(f->base, &f->confirmed, confirmed + 1);
}

static void say(struct fixture *f, const char *channel, const char *message)
{
    char text[200];
    snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
             strlen(channel), channel, strlen(message), message);
    testpeer_send(&f->peer, text);
}

static void expect_heard(struct fixture *f, const char *expected)
{
    buf_putc(&f->heard, '\0');
    assert_string_equal(f->heard.data, expected);
    f->heard.len = 0;
}

static void test_messages(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "news");
    join(&f, "weather");
    say(&f, "news", "one");
    say(&f, "weather", "");
    say(&f, "sports", "nobody asked");
    say(&f, "news", "two");
    run_until(f.base, &f.messages, 3);
    expect_heard(&f, "news=one,weather=,news=two,");
    assert_int_equal(leat_subscribe(f.c, "news", on_message, NULL, &f), -EEXIST);
    assert_int_equal(leat_commandf(f.c, NULL, NULL, "GET a"), -EINVAL);
    assert_int_equal(leat_unsubscribe(f.c, "sports"), -ENOENT);
    end(&f);
}

static void test_patterns(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(leat_psubscribe(f.c, "n*", on_message, on_subscribed, &f), 0);
    run_until(f.base, &f.confirmed, 1);
    testpeer_send(&f.peer, "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$3\r\none\r\n");
    run_until(f.base, &f.messages, 1);
    expect_heard(&f, "n*:news=one,");
    assert_int_equal(leat_unsubscribe(f.c, "n*"), -ENOENT);
    assert_int_equal(leat_punsubscribe(f.c, "n*"), 0);
    end(&f);
}

static void test_resubscribes(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    join(&f, "b");
    assert_int_equal(leat_psubscribe(f.c, "p*", on_message, on_subscribed, &f), 0);
    run_until(f.base, &f.confirmed, 3);
    assert_int_equal(leat_unsubscribe(f.c, "b"), 0);
    run_for(f.base, 20);
    for (int round = 1; round <= 5; round++) {
        f.confirmed = f.messages = 0;
        f.peer.seen.len = 0;
        /* In the middle of a message, too. */
        if (round % 2) testpeer_send(&f.peer, "*3\r\n$7\r\nmess");
        run_for(f.base, 10);
        testpeer_drop(&f.peer);
        run_until(f.base, &f.confirmed, 2);
        testpeer_expect(&f.peer, "PING; SUBSCRIBE a; PSUBSCRIBE p*; ");
        say(&f, "a", "back");
        run_until(f.base, &f.messages, 1);
        expect_heard(&f, "a=back,");
    }
    end(&f);
}

static void test_subscription_given_while_away(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    testpeer_close(&f.peer);
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    assert_int_equal(leat_subscribe(f.c, "b", on_message, on_subscribed, &f), 0);
    assert_int_equal(leat_unsubscribe(f.c, "a"), 0);
    f.peer.seen.len = 0;
    testpeer_reopen(&f.peer);
    run_until(f.base, &f.confirmed, 2);
    testpeer_expect(&f.peer, "PING; SUBSCRIBE b; ");
    end(&f);
}

static void test_silent_peer_is_left(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    run_for(f.base, 500);
    assert_int_equal(f.states[LEAT_WAITING], 0); /* it answers PING */
    f.peer.mute = true;
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    assert_non_null(strstr(f.why, "the peer was silent for "));
    f.peer.mute = false;
    run_until(f.base, &f.confirmed, 2);
    end(&f);
}

/* A PING of a client that has left all channels is answered by a status. */
static void test_ping_without_channels(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    assert_int_equal(leat_unsubscribe(f.c, "a"), 0);
    run_for(f.base, 500);
    assert_int_equal(f.states[LEAT_WAITING], 0);
    join(&f, "a");
    end(&f);
}

static void test_refused_subscription(void **state)
{
    struct fixture f;
    begin(&f);
    f.peer.refuse = "subscribe";
    f.peer.refusal = "NOPERM no access";
    assert_int_equal(leat_subscribe(f.c, "a", on_message, on_subscribed, &f), 0);
    run_until(f.base, &f.states[LEAT_WAITING], 2);
    assert_string_equal(f.why, "SUBSCRIBE: NOPERM no access");
    f.peer.refuse = NULL;
    run_until(f.base, &f.confirmed, 1);
    end(&f);
}

static void test_strange_pushes(void **state)
{
    static const char *const wrong[] = {
        "*0\r\n",
        ":1\r\n",
        "+PONG\r\n",
        "*1\r\n$7\r\nmessage\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n",
        "*3\r\n:1\r\n:2\r\n:3\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fixture f;
        begin(&f);
        join(&f, "a");
        testpeer_send(&f.peer, wrong[i]);
        run_until(f.base, &f.confirmed, 2);
        assert_string_equal(f.why, "an unexpected reply on a subscriber's connection");
        end(&f);
    }
}

static void test_pause_in_the_middle(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    f.pause_at = 2;
    testpeer_send(&f.peer, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n"
                           "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n"
                           "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n3\r\n");
    run_until(f.base, &f.messages, 2);
    run_for(f.base, 500); /* several times ping_interval_ms */
    expect_heard(&f, "a=1,a=2,");
    assert_int_equal(f.states[LEAT_WAITING], 0);
    leat_client_resume(f.c);
    assert_int_equal(f.messages, 2); /* not from within resume */
    run_until(f.base, &f.messages, 3);
    expect_heard(&f, "a=3,");
    end(&f);
}

static void test_back_pressure(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    leat_client_pause(f.c);
    struct buf many = {0};
    for (int i = 0; i < 5000; i++)
        buf_printf(&many, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\n%04d\r\n", i);
    buf_putc(&many, '\0');
    testpeer_send(&f.peer, many.data);
    buf_fini(&many);
    run_for(f.base, 50);
    assert_int_equal(f.messages, 0);
    leat_client_resume(f.c);
    run_until(f.base, &f.messages, 5000);
    end(&f);
}

static void test_leave_and_free_from_a_message(void **state)
{
    struct fixture f;
    begin(&f);
    join(&f, "a");
    join(&f, "b");
    f.leave_at = 1;
    f.free_at = 2;
    say(&f, "a", "1");
    say(&f, "a", "2");
    say(&f, "b", "3");
    say(&f, "b", "4");
    run_until(f.base, &f.messages, 2);
    run_for(f.base, 20);
    expect_heard(&f, "a=1,b=3,3");
    end(&f);
}

static void test_commands_before(void **state)
{
    struct fixture f;
    begin(&f);
    assert_int_equal(leat_commandf(f.c, NULL, NULL, "SILENCE"), 0);
    assert_int_equal(leat_subscribe(f.c, "a", on_message, on_subscribed, &f), -EBUSY);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_resubscribes),
        cmocka_unit_test(test_subscription_given_while_away),
        cmocka_unit_test(test_silent_peer_is_left),
        cmocka_unit_test(test_ping_without_channels),
        cmocka_unit_test(test_refused_subscription),
        cmocka_unit_test(test_strange_pushes),
        cmocka_unit_test(test_pause_in_the_middle),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_leave_and_free_from_a_message),
        cmocka_unit_test(test_commands_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
