/* A source against a peer that misbehaves: it drops, hangs, answers errors, redirects, compresses,
 * names the wrong type, splits bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "flow/source_fixture.h"

/* -- what the peer does ------------------------------------------------------------------------ */

static void test_reads_events(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    fixture_start(f);
    wait_for(f->events == 2);
    expect_log(f, "7|message|one;7|add|two\nlines;");
    struct source_status s;
    source_status(f->source, &s);
    assert_int_equal(s.state, SOURCE_CONNECTED);
    assert_string_equal(s.url, f->url);
    assert_int_equal(s.events, 2);
    assert_int_equal(s.reconnects, 0);
    assert_true(s.connected_since_ms > 0 && s.last_event_ms >= s.connected_since_ms);
    assert_null(s.last_error);
    assert_true(request_has(f, 0, "GET /stream HTTP/1.1\r\n"));
    assert_true(request_has(f, 0, "\r\nAccept: text/event-stream\r\n"));
    assert_true(request_has(f, 0, "\r\nUser-Agent: leat/"));
    assert_true(request_has(f, 0, "gzip"));
    assert_false(request_has(f, 0, "Last-Event-ID"));
}

static void test_user_agent_and_id_to_resume_from(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    f->options.user_agent = "mine/1.0";
    f->options.last_event_id = "[{\"a\":1}]";
    fixture_start(f);
    wait_for(f->events == 2);
    assert_true(request_has(f, 0, "\r\nUser-Agent: mine/1.0\r\n"));
    assert_true(request_has(f, 0, "\r\nLast-Event-ID: [{\"a\":1}]\r\n"));
}

static void answer_and_drop(struct testpeer_conn *c, int number)
{
    char body[128];
    snprintf(body, sizeof body, "id: %d\ndata: %d\n\nid: x\ndata: half", number, number);
    testpeer_say(c, SSE_HEAD);
    testpeer_say(c, body);
    testpeer_close(c);
}

static void test_reconnects_with_the_last_id(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_and_drop);
    fixture_start(f);
    wait_for(f->events == 4);
    expect_log(f, "0|message|0;1|message|1;2|message|2;3|message|3;");
    assert_false(request_has(f, 0, "Last-Event-ID"));
    assert_true(request_has(f, 1, "\r\nLast-Event-ID: 0\r\n"));
    assert_true(request_has(f, 3, "\r\nLast-Event-ID: 2\r\n"));
    struct source_status s;
    source_status(f->source, &s);
    assert_int_equal(s.reconnects, 3);
}

static void answer_broken_chunk(struct testpeer_conn *c, int number)
{
    testpeer_say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    "Transfer-Encoding: chunked\r\n\r\na\r\ndata: 1\n\n\r\n40\r\ndata: half");
    testpeer_close(c);
}

static void test_a_broken_connection_is_an_error(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_broken_chunk);
    fixture_start(f);
    wait_for(f->events == 3);
    expect_log(f, "|message|1;|message|1;|message|1;");
    expect_error(f, "in the middle");
}

static void answer_head_and_hang(struct testpeer_conn *c, int number)
{
    if (number == 0) return;
    testpeer_say(c, SSE_HEAD);
    if (number > 1) testpeer_say(c, "data: alive\n\n");
}

static void test_a_hanging_peer_is_noticed(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_head_and_hang);
    f->options.connect_timeout_ms = 100;
    f->options.idle_timeout_ms = 150;
    fixture_start(f);
    wait_for(f->events == 1); /* at the third connection */
    expect_error(f, "nothing has come for 0.15 s");
    struct source_status s;
    source_status(f->source, &s);
    assert_int_equal(s.errors, 2);
    assert_int_equal(s.reconnects, 2);
}

static void answer_heartbeats(struct testpeer_conn *c, int number)
{
    testpeer_say(c, SSE_HEAD);
    testpeer_say_slowly(c, "::::::::::::::::::::::::::::::::::::::::", 40, 1);
}

static void test_heartbeats_count_as_life(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_heartbeats);
    f->options.connect_timeout_ms = 100;
    f->options.idle_timeout_ms = 400;
    fixture_start(f);
    fixture_run_for(f, 1500);
    assert_int_equal(f->states[SOURCE_WAITING], 0);
    wait_for(f->states[SOURCE_WAITING] == 1);
}

static void answer_split(struct testpeer_conn *c, int number)
{
    testpeer_say_slowly(c,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                        "\xef\xbb\xbfid: \xc3\xa9\r\ndata: a\r\ndata: \xc3\xa9\r\n\r\n",
                        1, 1);
}

static void test_bytes_one_by_one(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_split);
    fixture_start(f);
    wait_for(f->events == 1);
    expect_log(f, "\xc3\xa9|message|a\n\xc3\xa9;");
}

/* -- answers that are no stream ---------------------------------------------------------------- */

static const char *first_answer; /* what the first connection gets; the others get events */

static void answer_first_then_events(struct testpeer_conn *c, int number)
{
    if (number > 0) {
        answer_two_events(c, number);
        return;
    }
    testpeer_say(c, first_answer);
    testpeer_close(c);
}

static void expect_recovery(struct fixture *f, const char *answer, const char *error)
{
    first_answer = answer;
    testpeer_answer(f->peer, answer_first_then_events);
    fixture_start(f);
    wait_for(f->events == 2);
    expect_error(f, error);
    assert_true(f->states[SOURCE_WAITING] == 1 && f->states[SOURCE_CONNECTED] == 1);
}

static void test_http_500(void **state)
{
    expect_recovery(*state, "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "HTTP 500; ");
}

static void test_http_403(void **state)
{
    expect_recovery(*state, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "user_agent");
}

static void test_wrong_type(void **state)
{
    expect_recovery(*state, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>data: x\n\n",
                    "text/html, not text/event-stream; check the URL, or set `type: lines`");
}

static void test_no_type(void **state)
{
    expect_recovery(*state, "HTTP/1.1 200 OK\r\n\r\ndata: x\n\n", "without a Content-Type");
}

static void test_not_http(void **state)
{
    expect_recovery(*state, "-ERR unknown command 'GET'\r\n", "check");
}

static void test_retry_after(void **state)
{
    struct fixture *f = *state;
    int64_t begin = fixture_now_ms();
    expect_recovery(f, "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
                    "we ask too often");
    assert_in_range(fixture_now_ms() - begin, 1000, 3000);
}

static void test_204_waits_the_longest(void **state)
{
    struct fixture *f = *state;
    f->options.backoff_max_ms = 600;
    int64_t begin = fixture_now_ms();
    expect_recovery(f, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204");
    assert_in_range(fixture_now_ms() - begin, 600, 3000);
}

static void answer_redirect(struct testpeer_conn *c, int number)
{
    if (strstr(testpeer_request(testpeer_of(c), number), "GET /there ") != NULL) {
        answer_two_events(c, number);
        return;
    }
    testpeer_say(c, "HTTP/1.1 307 There\r\nLocation: /there\r\nContent-Length: 5\r\n\r\nthere");
    testpeer_close(c);
}

static void test_redirect(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_redirect);
    fixture_start(f);
    wait_for(f->events == 2);
    assert_int_equal(f->states[SOURCE_WAITING], 0);
}

static void answer_loop(struct testpeer_conn *c, int number)
{
    testpeer_say(c, "HTTP/1.1 302 Here\r\nLocation: /stream\r\nContent-Length: 0\r\n\r\n");
    testpeer_close(c);
}

static void test_endless_redirects(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_loop);
    fixture_start(f);
    wait_for(f->states[SOURCE_WAITING] == 1);
    expect_error(f, "more than 5 times");
    assert_int_equal(testpeer_requests(f->peer), 6);
}

static void test_nobody_answers(void **state)
{
    struct fixture *f = *state;
    char url[160];
    snprintf(url, sizeof url, "http://me:secret@127.0.0.1:%d/s", testpeer_port(f->peer));
    testpeer_stop(f->peer);
    f->options.url = url;
    fixture_start(f);
    wait_for(f->states[SOURCE_WAITING] == 3);
    expect_error(f, "nobody answers there");
    assert_null(strstr(fixture_text(&f->why), "secret"));
}

static void test_a_url_that_is_none(void **state)
{
    struct fixture *f = *state;
    f->options.url = "http://";
    fixture_start(f);
    wait_for(f->states[SOURCE_WAITING] == 1);
    expect_error(f, "https://host/path");
}

/* -- backoff ----------------------------------------------------------------------------------- */

static void answer_retry(struct testpeer_conn *c, int number)
{
    testpeer_say(c, SSE_HEAD "retry: 5\ndata: a\n\n");
    testpeer_close(c);
}

static void test_retry_sets_the_backoff(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_retry);
    f->options.backoff_min_ms = f->options.backoff_max_ms = 60000;
    fixture_start(f);
    wait_for(f->events == 10);
}

static void answer_nothing(struct testpeer_conn *c, int number)
{
    testpeer_close(c);
}

static void test_backoff_grows_up_to_its_maximum(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_nothing);
    f->options.backoff_min_ms = 4;
    f->options.backoff_max_ms = 200;
    fixture_start(f);
    fixture_run_for(f, 2000);
    /* Six doublings take under 300 ms on average; then about ten a second. */
    assert_in_range(testpeer_requests(f->peer), 12, 60);
}

/* -- compression ------------------------------------------------------------------------------- */

static void compress_into(struct buf *out, z_stream *z, const char *plain, int flush)
{
    z->next_in = (Bytef *)plain;
    z->avail_in = (uInt)strlen(plain);
    z->next_out = (Bytef *)buf_reserve(out, 4096);
    z->avail_out = 4096;
    assert_true(deflate(z, flush) >= 0);
    out->len += 4096 - z->avail_out;
}

static void answer_gzip(struct testpeer_conn *c, int number)
{
    z_stream z = {0};
    struct buf out = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    compress_into(&out, &z, "data: first\n\n", Z_SYNC_FLUSH);
    compress_into(&out, &z, "data: second\n\ndata: half", Z_SYNC_FLUSH);
    testpeer_say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    "Content-Encoding: gzip\r\n\r\n");
    testpeer_send(c, out.data, out.len);
    deflateEnd(&z);
    buf_fini(&out);
}

static void test_gzip(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_gzip);
    fixture_start(f);
    wait_for(f->events == 2);
    expect_log(f, "|message|first;|message|second;");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_reads_events),
        T(test_user_agent_and_id_to_resume_from),
        T(test_reconnects_with_the_last_id),
        T(test_a_broken_connection_is_an_error),
        T(test_a_hanging_peer_is_noticed),
        T(test_heartbeats_count_as_life),
        T(test_bytes_one_by_one),
        T(test_http_500),
        T(test_http_403),
        T(test_wrong_type),
        T(test_no_type),
        T(test_not_http),
        T(test_retry_after),
        T(test_204_waits_the_longest),
        T(test_redirect),
        T(test_endless_redirects),
        T(test_nobody_answers),
        T(test_a_url_that_is_none),
        T(test_retry_sets_the_backoff),
        T(test_backoff_grows_up_to_its_maximum),
        T(test_gzip),
    };
    unsetenv("http_proxy"); /* the peer is here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
