/* A source against a peer that misbehaves: it drops, hangs, answers errors, redirects, compresses,
 * names the wrong type, splits bytes. Peer and source share one loop; `wait_for` turns it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/buf.h"
#include "flow/source.h"
#include "flow/source_testpeer.h"

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"

struct fixture {
    struct event_base *base;
    struct testpeer *peer;
    struct source *source;
    struct source_options options;
    char url[128];
    struct buf log; /* "id|name|data;" of each event */
    struct buf why; /* sentences of states, one per line */
    int events, states[4];
    int pause_at; /* pause from within the event of this number */
    bool count_only;
    bool in_order;
};

static void on_event(void *arg, struct bytes id, struct bytes name, struct bytes data)
{
    struct fixture *f = arg;
    f->events++;
    if (f->events == f->pause_at) source_pause(f->source);
    if (f->count_only) {
        f->in_order = f->in_order && atoi(data.data) == f->events;
        return;
    }
    buf_printf(&f->log, "%.*s|%.*s|%.*s;", (int)id.len, id.data, (int)name.len, name.data,
               (int)data.len, data.data);
}

static void on_state(void *arg, enum source_state state, const char *why)
{
    struct fixture *f = arg;
    f->states[state]++;
    if (why != NULL) buf_printf(&f->why, "%s\n", why);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->base = event_base_new();
    f->peer = testpeer_new(f->base);
    f->in_order = true;
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/stream", testpeer_port(f->peer));
    f->options = (struct source_options){
        .url = f->url,
        .backoff_min_ms = 20,
        .backoff_max_ms = 100,
        .on_event = on_event,
        .on_state = on_state,
        .arg = f,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    source_free(f->source);
    testpeer_free(f->peer);
    event_base_free(f->base);
    buf_fini(&f->log);
    buf_fini(&f->why);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->source = source_new(f->base, &f->options);
}

static const char *text(struct buf *b)
{
    buf_reserve(b, 1)[0] = '\0';
    return b->data;
}

/* -- waiting ----------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void turn(struct fixture *f)
{
    struct timeval tv = {0, 5000};
    event_base_loopexit(f->base, &tv);
    event_base_loop(f->base, EVLOOP_ONCE);
}

static void run_for(struct fixture *f, int ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end;) turn(f);
}

#define wait_for(condition)                                                                        \
    do {                                                                                           \
        int64_t until_ = now_ms() + 10000;                                                         \
        while (!(condition)) {                                                                     \
            if (now_ms() > until_)                                                                 \
                fail_msg("not in 10 s: %s; events: %s; states: %s", #condition, text(&f->log),     \
                         text(&f->why));                                                           \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

static void expect_log(struct fixture *f, const char *want)
{
    assert_string_equal(text(&f->log), want);
}

static void expect_error(struct fixture *f, const char *part)
{
    struct source_status status;
    source_status(f->source, &status);
    assert_non_null(status.last_error);
    if (strstr(status.last_error, part) == NULL) fail_msg("%s", status.last_error);
    if (strstr(status.last_error, "http://") != status.last_error)
        fail_msg("%s", status.last_error);
    assert_true(status.errors > 0);
}

static bool request_has(struct fixture *f, int number, const char *part)
{
    return strstr(testpeer_request(f->peer, number), part) != NULL;
}

/* -- what the peer does ------------------------------------------------------------------------ */

static void answer_two_events(struct testpeer_conn *c, int number)
{
    testpeer_say(c, SSE_HEAD ":ok\n\nid: 7\ndata: one\n\nevent: add\ndata: two\ndata: lines\n\n");
}

static void test_reads_events(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    start(f);
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
    start(f);
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
    start(f);
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
    start(f);
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
    start(f);
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
    start(f);
    run_for(f, 1500);
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
    start(f);
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
    start(f);
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
    int64_t begin = now_ms();
    expect_recovery(f, "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
                    "we ask too often");
    assert_in_range(now_ms() - begin, 1000, 3000);
}

static void test_204_waits_the_longest(void **state)
{
    struct fixture *f = *state;
    f->options.backoff_max_ms = 600;
    int64_t begin = now_ms();
    expect_recovery(f, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP 204");
    assert_in_range(now_ms() - begin, 600, 3000);
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
    start(f);
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
    start(f);
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
    start(f);
    wait_for(f->states[SOURCE_WAITING] == 3);
    expect_error(f, "nobody answers there");
    assert_null(strstr(text(&f->why), "secret"));
}

static void test_a_url_that_is_none(void **state)
{
    struct fixture *f = *state;
    f->options.url = "http://";
    start(f);
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
    start(f);
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
    start(f);
    run_for(f, 2000);
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
    start(f);
    wait_for(f->events == 2);
    expect_log(f, "|message|first;|message|second;");
}

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
    start(f);
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
    start(f);
    wait_for(f->events == 10);
    run_for(f, 500);
    assert_int_equal(f->events, 10);
    size_t left = testpeer_unsent(f->peer);
    assert_true(left > FLOOD * 1000 / 4);
    run_for(f, 300);
    assert_int_equal(testpeer_unsent(f->peer), left);
    f->pause_at = 2000;
    source_resume(f->source);
    wait_for(f->events == 2000);
    run_for(f, 50);
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
    start(f);
    wait_for(f->events > 100);
    for (int i = 0; i < 20; i++) {
        source_pause(f->source);
        int events = f->events;
        run_for(f, 10);
        assert_int_equal(f->events, events);
        source_resume(f->source);
        assert_int_equal(f->events, events);
        turn(f);
    }
    wait_for(f->events == FLOOD);
    assert_true(f->in_order);
}

static void test_paused_before_it_is_connected(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    start(f);
    source_pause(f->source);
    run_for(f, 200);
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
    start(f);
    wait_for(f->events == 1);
    run_for(f, 300);
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
    start(f);
    wait_for(f->events == 5);
    expect_log(f, "||{\"a\":1};||{\"b\":2};||3;||{\"c\":3};||{\"c\":3};");
    assert_true(request_has(f, 0, "Accept: application/x-ndjson"));
}

static void test_lines_do_not_read_events(void **state)
{
    struct fixture *f = *state;
    testpeer_answer(f->peer, answer_two_events);
    f->options.type = SOURCE_LINES;
    start(f);
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
    start(f);
    wait_for(f->events >= 50);
    assert_int_equal(f->states[SOURCE_SIMULATED], 1);
    assert_non_null(strstr(text(&f->log), "\"simulated\":true"));
    assert_non_null(strstr(text(&f->why), "simulated events stand in"));
    source_pause(f->source);
    int events = f->events;
    run_for(f, 100);
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
    start(f);
    wait_for(f->events == 2);
    run_for(f, 400);
    assert_int_equal(f->states[SOURCE_SIMULATED], 0);
    assert_int_equal(f->events, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
