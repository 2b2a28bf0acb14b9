/* What a source does about amounts: events that are too large, pauses, lines, and the simulator
 * when nothing comes at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/source_fixture.h"

/* -- sizes and pauses -------------------------------------------------------------------------- */

static void answer_oversized(struct testpeer_conn *c, int number)
{
    char big[2001];
    memset(big, 'x', 2000);
    big[2000] = '\0';
    testpeer_say(c, SSE_HEAD "data: a\n\ndata: ");
    testpeer_say(c, big);
    testpeer_say(c, "\n\ndata: b\n\n");
}

static void test_oversized_events_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_oversized);
    f->options.event_bytes_max = 1000;
    fixture_start(f);
    wait_for(f->events == 2);
    expect_log(f, "|message|a;|message|b;");
    struct source_status s;
    source_status(f->source, &s);
    assert_int_equal(s.oversized, 1);
}

enum { FLOOD = 24000 }; /* events of about 1 KB: more than all socket buffers together hold */

static void answer_flood(struct testpeer_conn *c, int number)
{
    char event[1100];
    testpeer_say(c, SSE_HEAD);
    for (int i = 1; i <= FLOOD; i++) {
        snprintf(event, sizeof event, "data: %d %01000d\n\n", i, 0);
        testpeer_say(c, event);
    }
}

static void test_a_pause_reaches_the_peer(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_flood);
    f->count_only = true;
    f->pause_at = 10;
    f->options.connect_timeout_ms = 100;
    f->options.idle_timeout_ms = 300; /* a pause is not the peer's silence */
    fixture_start(f);
    wait_for(f->events == 10);
    fixture_run_for(f, 500);
    assert_int_equal(f->events, 10);
    size_t left = testpeer_unsent(f->peer);
    assert_true(left > FLOOD * 1000 / 4);
    fixture_run_for(f, 300);
    assert_int_equal(testpeer_unsent(f->peer), left);
    f->pause_at = 2000;
    source_resume(f->source);
    wait_for(f->events == 2000);
    fixture_run_for(f, 50);
    assert_int_equal(f->events, 2000);
    source_resume(f->source);
    wait_for(f->events == FLOOD);
    assert_true(f->in_order);
    assert_int_equal(f->states[SOURCE_CONNECTED], 1);
    assert_int_equal(f->states[SOURCE_WAITING], 0);
}

static void test_a_pause_from_outside(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_flood);
    f->count_only = true;
    fixture_start(f);
    wait_for(f->events > 100);
    for (int i = 0; i < 20; i++) {
        source_pause(f->source);
        int events = f->events;
        fixture_run_for(f, 10);
        assert_int_equal(f->events, events);
        source_resume(f->source);
        assert_int_equal(f->events, events);
        fixture_turn(f);
    }
    wait_for(f->events == FLOOD);
    assert_true(f->in_order);
}

static void test_paused_before_it_is_connected(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    fixture_start(f);
    source_pause(f->source);
    fixture_run_for(f, 200);
    assert_int_equal(f->events, 0);
    source_resume(f->source);
    wait_for(f->events == 2);
}

/* Of a length that the source knows: it sees the end in the same moment as the events. */
static void answer_finite(struct testpeer_conn *c, int number)
{
    const char *body = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n";
    char head[128];
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    testpeer_say(c, head);
    testpeer_say(c, body);
    testpeer_close(c);
}

static void test_a_pause_outlives_the_connection(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_finite);
    f->pause_at = 1;
    fixture_start(f);
    wait_for(f->events == 1);
    fixture_run_for(f, 300);
    expect_log(f, "1|message|a;");
    assert_int_equal(testpeer_requests(f->peer), 1);
    f->pause_at = 4;
    source_resume(f->source);
    wait_for(f->events == 4);
    expect_log(f, "1|message|a;2|message|b;3|message|c;1|message|a;");
    assert_true(request_has(f, 1, "Last-Event-ID: 3\r\n"));
}

/* -- lines ------------------------------------------------------------------------------------- */

static void answer_lines(struct testpeer_conn *c, int number)
{
    if (number == 0) {
        testpeer_say(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: 21\r\n\r\n{\"a\":1}\r\n\r\n\n{\"b\":2}\n3");
    } else {
        testpeer_say(c, "HTTP/1.1 200 OK\r\n\r\n{\"c\":3}\n{\"cut\":");
    }
    testpeer_close(c);
}

static void test_lines(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_lines);
    f->options.type = SOURCE_LINES;
    fixture_start(f);
    wait_for(f->events == 5);
    expect_log(f, "||{\"a\":1};||{\"b\":2};||3;||{\"c\":3};||{\"c\":3};");
    assert_true(request_has(f, 0, "Accept: application/x-ndjson"));
}

static void test_lines_do_not_read_events(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    f->options.type = SOURCE_LINES;
    fixture_start(f);
    wait_for(f->states[SOURCE_WAITING] == 1);
    expect_error(f, "set `type: sse`");
}

/* -- the simulator ----------------------------------------------------------------------------- */

static void test_simulates_when_nothing_comes(void **state)
{
    struct fixture *f = *state;
    testpeer_stop(f->peer);
    f->options.simulate_after_ms = 200;
    f->options.simulate_rate = 500;
    fixture_start(f);
    wait_for(f->events >= 50);
    assert_int_equal(f->states[SOURCE_SIMULATED], 1);
    assert_non_null(strstr(fixture_text(&f->log), "\"simulated\":true"));
    assert_non_null(strstr(fixture_text(&f->why), "simulated events stand in"));
    source_pause(f->source);
    int events = f->events;
    fixture_run_for(f, 100);
    assert_int_equal(f->events, events);
    source_resume(f->source);
    wait_for(f->events > events);
    struct source_status s;
    source_status(f->source, &s);
    assert_int_equal(s.state, SOURCE_SIMULATED);
    assert_non_null(s.last_error);
}

static void test_does_not_simulate_after_an_event(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    f->options.simulate_after_ms = 200;
    fixture_start(f);
    wait_for(f->events == 2);
    fixture_run_for(f, 400);
    assert_int_equal(f->states[SOURCE_SIMULATED], 0);
    assert_int_equal(f->events, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_oversized_events_are_dropped_and_counted),
        T(test_a_pause_reaches_the_peer),
        T(test_a_pause_from_outside),
        T(test_paused_before_it_is_connected),
        T(test_a_pause_outlives_the_connection),
        T(test_lines),
        T(test_lines_do_not_read_events),
        T(test_simulates_when_nothing_comes),
        T(test_does_not_simulate_after_an_event),
    };
    unsetenv("http_proxy"); /* the peer is here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
