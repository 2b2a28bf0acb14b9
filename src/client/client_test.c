#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/testpeer.h"

/* One client, what it told its owner, and the peer. */
struct fixture {
    struct event_base *base;
    struct testpeer peer;
    struct leat_client *c;
    struct leat_options options;
    int states[3]; /* how often each was told */
    int answers;
    int free_at; /* free the client in the callback of this state; -1: none */
    char why[300];
    struct buf replies; /* "OK,$text,?," */
};

static void on_state(void *arg, enum leat_state state, const char *why)
{
    struct fixture *f = arg;
    f->states[state]++;
    assert_true(state == LEAT_WAITING ? why != NULL : why == NULL);
    if (why != NULL) snprintf(f->why, sizeof f->why, "%s", why);
    if (f->free_at == (int)state) {
        leat_client_free(f->c);
        f->c = NULL;
    } else if (f->c != NULL) {
        assert_int_equal(leat_client_state(f->c), state);
    }
}

static void on_reply(void *arg, const struct leat_reply *reply)
{
    struct fixture *f = arg;
    f->answers++;
    buf_printf(&f->replies, "%s,", reply ? leat_reply_text(reply, NULL) : "?");
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.base = event_base_new(), .free_at = -1};
    testpeer_init(&f->peer, f->base);
    f->options = (struct leat_options){.url = f->peer.url,
                                       .connect_timeout_ms = 2000,
                                       .ping_interval_ms = 2000,
                                       .backoff_min_ms = 5,
                                       .backoff_max_ms = 20,
                                       .on_state = on_state,
                                       .arg = f};
}

static void start(struct fixture *f)
{
    const char *error = NULL;
    f->c = leat_client_new(f->base, &f->options, &error);
    if (f->c == NULL) fail_msg("%s", error);
}

static void start_and_wait(struct fixture *f)
{
    start(f);
    run_until(f->base, &f->states[LEAT_CONNECTED], 1);
    f->peer.seen.len = 0;
}

static void end(struct fixture *f)
{
    leat_client_free(f->c);
    testpeer_fini(&f->peer);
    buf_fini(&f->replies);
    event_base_free(f->base);
}

static void ask(struct fixture *f, const char *command)
{
    assert_int_equal(leat_commandf(f->c, on_reply, f, command), 0);
}

static void expect_replies(struct fixture *f, const char *expected)
{
    buf_putc(&f->replies, '\0');
    assert_string_equal(f->replies.data, expected);
    f->replies.len = 0;
}

/* ---- Connecting ---- */

static void test_greeting(void **state)
{
    struct fixture f;
    char url[100];
    begin(&f);
    snprintf(url, sizeof url, "redis://ada:se%%20cret@127.0.0.1:%d/7", f.peer.port);
    f.options.url = url;
    f.options.name = "tester";
    start(&f);
    assert_int_equal(leat_client_state(f.c), LEAT_CONNECTING);
    ask(&f, "ECHO early");
    assert_int_equal(leat_client_pending(f.c), 1);
    run_until(f.base, &f.answers, 1);
    assert_int_equal(leat_client_state(f.c), LEAT_CONNECTED);
    testpeer_expect(&f.peer,
                    "AUTH ada se cret; SELECT 7; CLIENT SETNAME tester; PING; ECHO early; ");
    expect_replies(&f, "early,");
    assert_int_equal(leat_client_pending(f.c), 0);
    end(&f);
}

static void test_nothing_leaves_before_the_greeting_is_answered(void **state)
{
    struct fixture f;
    begin(&f);
    f.peer.mute = true;
    f.options.connect_timeout_ms = 60;
    start(&f);
    ask(&f, "ECHO early");
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    testpeer_expect(&f.peer, "PING; ");
    assert_string_equal(f.why, "the peer did not answer the greeting in time");
    f.peer.mute = false;
    run_until(f.base, &f.answers, 1);
    expect_replies(&f, "early,");
    end(&f);
}

static void test_refused_greeting(void **state)
{
    struct fixture f;
    char url[100];
    begin(&f);
    snprintf(url, sizeof url, "redis://:topsecret@127.0.0.1:%d/1", f.peer.port);
    f.options.url = url;
    f.peer.refuse = "auth";
    f.peer.refusal = "WRONGPASS invalid username-password pair or user is disabled.";
    start(&f);
    run_until(f.base, &f.states[LEAT_WAITING], 2);
    assert_string_equal(f.why,
                        "AUTH: WRONGPASS invalid username-password pair or user is disabled.");
    assert_int_equal(f.states[LEAT_CONNECTED], 0);
    f.peer.refuse = NULL;
    run_until(f.base, &f.states[LEAT_CONNECTED], 1);
    end(&f);
}

static void test_server_comes_later(void **state)
{
    struct fixture f;
    begin(&f);
    testpeer_close(&f.peer);
    start(&f);
    run_until(f.base, &f.states[LEAT_WAITING], 3);
    assert_non_null(strstr(f.why, "Connection refused"));
    ask(&f, "ECHO x");
    testpeer_reopen(&f.peer);
    run_until(f.base, &f.answers, 1);
    expect_replies(&f, "x,");
    end(&f);
}

static void test_unknown_host(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.url = "redis://no-such-host.invalid:1";
    f.options.connect_timeout_ms = 300;
    start(&f);
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    assert_non_null(strstr(f.why, "connect to no-such-host.invalid:1: "));
    /* Another lookup may be under way when the client goes. */
    run_until(f.base, &f.states[LEAT_CONNECTING], 1);
    end(&f);
}

static void test_wrong_url(void **state)
{
    struct fixture f;
    const char *error = NULL;
    begin(&f);
    f.options.url = "ftp://x";
    assert_null(leat_client_new(f.base, &f.options, &error));
    assert_string_equal(error, "a URL begins with redis:// or unix://");
    f.options.url = NULL;
    f.options.fd = -1;
    assert_null(leat_client_new(f.base, &f.options, &error));
    end(&f);
}

static void test_localhost(void **state)
{
    struct fixture f;
    char url[64];
    begin(&f);
    snprintf(url, sizeof url, "redis://localhost:%d", f.peer.port);
    f.options.url = url;
    start_and_wait(&f);
    end(&f);
}

static void test_socket(void **state)
{
    struct fixture f;
    int pair[2];
    begin(&f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    testpeer_adopt(&f.peer, pair[1]);
    f.options.url = NULL;
    f.options.fd = pair[0];
    f.options.name = "inside";
    start(&f);
    ask(&f, "ECHO x");
    run_until(f.base, &f.answers, 1);
    testpeer_expect(&f.peer, "CLIENT SETNAME inside; PING; ECHO x; ");
    ask(&f, "SILENCE");
    testpeer_drop(&f.peer);
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    expect_replies(&f, "x,?,");
    assert_int_equal(leat_commandf(f.c, on_reply, &f, "PING"), -ENOTCONN);
    run_for(f.base, 50);
    assert_int_equal(f.states[LEAT_CONNECTING], 0);
    end(&f);
}

/* ---- Commands ---- */

static void test_replies_in_single_bytes(void **state)
{
    struct fixture f;
    begin(&f);
    f.peer.one_by_one = true;
    start(&f);
    ask(&f, "ECHO one");
    ask(&f, "SET a b");
    ask(&f, "ECHO two");
    run_until(f.base, &f.answers, 3);
    expect_replies(&f, "one,OK,two,");
    end(&f);
}

static void test_arguments(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    const char *argv[] = {"ECHO", "a b"};
    assert_int_equal(leat_command(f.c, 2, argv, NULL, on_reply, &f), 0);
    assert_int_equal(leat_command(f.c, 2, argv, (size_t[]){4, 1}, on_reply, &f), 0);
    assert_int_equal(leat_command(f.c, 0, argv, NULL, on_reply, &f), -EINVAL);
    const char *many[40];
    for (int i = 0; i < 40; i++) many[i] = "m";
    assert_int_equal(leat_command(f.c, 40, many, NULL, on_reply, &f), 0);
    assert_int_equal(leat_command(f.c, 2, argv, NULL, NULL, NULL), 0);
    assert_int_equal(leat_commandf(f.c, on_reply, &f, "ECHO %s", "it's"), 0);
    run_until(f.base, &f.answers, 4);
    expect_replies(&f, "a b,a,OK,it's,");
    end(&f);
}

static void test_limit(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.pending_max = 3;
    start(&f);
    for (int i = 0; i < 3; i++) ask(&f, "ECHO x");
    assert_int_equal(leat_commandf(f.c, on_reply, &f, "ECHO x"), -ENOBUFS);
    run_until(f.base, &f.answers, 3);
    ask(&f, "ECHO y");
    run_until(f.base, &f.answers, 4);
    expect_replies(&f, "x,x,x,y,");
    end(&f);
}

/* More than the sockets hold, both ways. */
static void test_large(void **state)
{
    struct fixture f;
    size_t len = 8 << 20;
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    begin(&f);
    start_and_wait(&f);
    assert_int_equal(leat_commandf(f.c, on_reply, &f, "SET big %b", (const void *)text, len), 0);
    for (int i = 0; i < 1000; i++) ask(&f, "ECHO x");
    run_until(f.base, &f.answers, 1001);
    assert_int_equal(f.peer.seen.len, strlen("SET big ; ") + len + 1000 * strlen("ECHO x; "));
    free(text);
    end(&f);
}

/* ---- Broken connections ---- */

static void test_broken_in_a_reply(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    ask(&f, "ECHO one");
    ask(&f, "SILENCE");
    ask(&f, "SILENCE again");
    run_until(f.base, &f.answers, 1);
    testpeer_send(&f.peer, "$10\r\nhalf");
    run_for(f.base, 20);
    testpeer_drop(&f.peer);
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    expect_replies(&f, "one,?,?,");
    assert_string_equal(f.why, "the peer closed the connection");
    f.peer.seen.len = 0;
    ask(&f, "ECHO two");
    run_until(f.base, &f.answers, 4);
    expect_replies(&f, "two,");
    testpeer_expect(&f.peer, "PING; ECHO two; ");
    end(&f);
}

/* What was given on a connection ends with it, even what was not written yet. */
static void test_unsent_commands_are_not_carried_over(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    testpeer_drop(&f.peer);
    ask(&f, "MULTI");
    ask(&f, "SET a b");
    run_until(f.base, &f.states[LEAT_CONNECTED], 2);
    run_for(f.base, 20);
    expect_replies(&f, "?,?,");
    testpeer_expect(&f.peer, "PING; ");
    end(&f);
}

static void try_again(void *arg, const struct leat_reply *reply)
{
    struct fixture *f = arg;
    assert_null(reply);
    ask(f, "ECHO again");
}

static void test_commands_from_the_callback_of_a_broken_connection(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    assert_int_equal(leat_commandf(f.c, try_again, &f, "SILENCE"), 0);
    run_for(f.base, 20);
    testpeer_drop(&f.peer);
    run_until(f.base, &f.answers, 1);
    expect_replies(&f, "again,");
    end(&f);
}

static void test_strange_replies(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"HTTP/1.1 400\r\n", "Protocol error: unknown type byte 0x48"},
        {"-ERR go away\r\n", "an unexpected reply: ERR go away"},
        {":1\r\n", "an unexpected reply"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        start_and_wait(&f);
        testpeer_send(&f.peer, cases[i].text);
        run_until(f.base, &f.states[LEAT_WAITING], 1);
        assert_string_equal(f.why, cases[i].why);
        ask(&f, "ECHO x");
        run_until(f.base, &f.answers, 1);
        expect_replies(&f, "x,");
        end(&f);
    }
}

/* ---- Silence ---- */

static void test_silent_peer(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.ping_interval_ms = 50;
    f.peer.mute_later = true;
    start_and_wait(&f);
    run_until(f.base, &f.states[LEAT_WAITING], 1);
    testpeer_expect(&f.peer, "PING; ");
    assert_non_null(strstr(f.why, "the peer was silent for "));
    run_until(f.base, &f.states[LEAT_CONNECTED], 2);
    end(&f);
}

static void test_idle_peer_that_answers(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.ping_interval_ms = 100;
    start_and_wait(&f);
    run_for(f.base, 700);
    assert_int_equal(f.states[LEAT_WAITING], 0);
    assert_true(f.peer.seen.len >= 3 * strlen("PING; "));
    run_for(f.base, 20);
    assert_int_equal(leat_client_pending(f.c), 0);
    end(&f);
}

static void test_unanswered_command(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.ping_interval_ms = 50;
    start_and_wait(&f);
    ask(&f, "SILENCE");
    run_until(f.base, &f.answers, 1);
    expect_replies(&f, "?,");
    testpeer_expect(&f.peer, "SILENCE; ");
    end(&f);
}

static void test_blocking_command(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.ping_interval_ms = 100;
    start_and_wait(&f);
    ask(&f, "BLPOP a 0.5");
    run_for(f.base, 500);
    assert_int_equal(f.answers, 0);
    run_until(f.base, &f.answers, 1); /* 0.7 s is what it may take */
    expect_replies(&f, "?,");
    run_until(f.base, &f.states[LEAT_CONNECTED], 2);
    ask(&f, "BLPOP a 0");
    run_for(f.base, 500);
    assert_int_equal(f.answers, 1);
    testpeer_send(&f.peer, "+late\r\n");
    run_until(f.base, &f.answers, 2);
    expect_replies(&f, "late,");
    end(&f);
}

/* ---- Pausing and freeing ---- */

static void test_pause(void **state)
{
    struct fixture f;
    begin(&f);
    f.options.ping_interval_ms = 100;
    start_and_wait(&f);
    ask(&f, "ECHO one");
    leat_client_pause(f.c);
    run_for(f.base, 500);
    assert_int_equal(f.answers, 0);
    assert_int_equal(f.states[LEAT_WAITING], 0);
    leat_client_resume(f.c);
    run_until(f.base, &f.answers, 1);
    run_for(f.base, 300);
    assert_int_equal(f.states[LEAT_WAITING], 0);
    end(&f);
}

static void free_client(void *arg, const struct leat_reply *reply)
{
    struct fixture *f = arg;
    f->answers++;
    struct leat_client *c = f->c;
    f->c = NULL;
    leat_client_free(c);
    /* The reply is still there. */
    if (reply != NULL) assert_string_equal(leat_reply_text(reply, NULL), "x");
}

static void test_free_from_a_reply(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    ask(&f, "ECHO before");
    assert_int_equal(leat_commandf(f.c, free_client, &f, "ECHO x"), 0);
    ask(&f, "ECHO after");
    run_until(f.base, &f.answers, 3);
    expect_replies(&f, "before,?,");
    run_for(f.base, 20);
    end(&f);
}

static void test_free_from_a_lost_reply(void **state)
{
    struct fixture f;
    begin(&f);
    start_and_wait(&f);
    assert_int_equal(leat_commandf(f.c, free_client, &f, "SILENCE"), 0);
    ask(&f, "SILENCE");
    run_for(f.base, 20);
    testpeer_drop(&f.peer);
    run_until(f.base, &f.answers, 2);
    assert_int_equal(f.states[LEAT_WAITING], 0);
    end(&f);
}

static void test_free_from_each_state(void **state)
{
    for (int at = LEAT_CONNECTING; at <= LEAT_WAITING; at++) {
        struct fixture f;
        begin(&f);
        f.free_at = at;
        if (at != LEAT_CONNECTED) testpeer_close(&f.peer);
        start(&f);
        run_until(f.base, &f.states[at], 1);
        run_for(f.base, 20);
        assert_null(f.c);
        end(&f);
    }
}

static void test_free_at_once(void **state)
{
    struct fixture f;
    begin(&f);
    start(&f);
    ask(&f, "ECHO x");
    leat_client_free(f.c);
    f.c = NULL;
    expect_replies(&f, "?,");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_nothing_leaves_before_the_greeting_is_answered),
        cmocka_unit_test(test_refused_greeting),
        cmocka_unit_test(test_server_comes_later),
        cmocka_unit_test(test_unknown_host),
        cmocka_unit_test(test_wrong_url),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_replies_in_single_bytes),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_broken_in_a_reply),
        cmocka_unit_test(test_unsent_commands_are_not_carried_over),
        cmocka_unit_test(test_commands_from_the_callback_of_a_broken_connection),
        cmocka_unit_test(test_strange_replies),
        cmocka_unit_test(test_silent_peer),
        cmocka_unit_test(test_idle_peer_that_answers),
        cmocka_unit_test(test_unanswered_command),
        cmocka_unit_test(test_blocking_command),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_free_from_a_reply),
        cmocka_unit_test(test_free_from_a_lost_reply),
        cmocka_unit_test(test_free_from_each_state),
        cmocka_unit_test(test_free_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
