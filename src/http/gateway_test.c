/* Tests of the gateway over real sockets, in one process: what a client sends, the loop turns, what
 * comes back. */
#include "http/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "base/mem.h"
#include "http/gateway_priv.h"
#include "http/testing.h"

static struct event_base *base;
static struct gateway *g;
static struct http_request *kept;  /* a request to be answered later */
static struct http_stream *stream; /* the stream opened last */
static int closed;                 /* calls of on_close */
static char last_id[64];
static struct test_client client;

/* ---- The server's side ---- */

static void on_echo(struct http_request *r, void *arg)
{
    const char *say = http_query(r, "say", 0);
    http_answer(r, 200, "text/plain", bytes_of(say ? say : "nothing"));
}

static void on_later(struct http_request *r, void *arg)
{
    kept = r;
}

static void on_fail(struct http_request *r, void *arg)
{
    http_answer_error(r, 503, http_query(r, "why", 0));
}

static void on_close(struct http_stream *s, void *arg)
{
    assert_ptr_equal(arg, &closed);
    if (s == stream) stream = NULL;
    closed++;
}

static void on_stream(struct http_request *r, void *arg)
{
    struct http_stream *s = http_stream_open(r, on_close, &closed);
    if (!s) return;
    stream = s;
    snprintf(last_id, sizeof(last_id), "%s", http_stream_last_id(s) ? http_stream_last_id(s) : "-");
    http_stream_send(s, "hello", "7", BYTES("one\ntwo\r\nthree\rfour"));
}

static int setup(void **state)
{
    static const char *const hosts[] = {"box.example", NULL};
    struct gateway_options options = {.hosts = hosts, .streams_max = 3};
    char *error = NULL;
    base = event_base_new();
    g = gateway_new(base, &options, &error);
    assert_non_null(g);
    gateway_route(g, "/echo", on_echo, NULL);
    gateway_route(g, "/later", on_later, NULL);
    gateway_route(g, "/fail", on_fail, NULL);
    gateway_route(g, "/stream", on_stream, NULL);
    gateway_file(g, "/", "text/html", BYTES("<p>page"));
    client = (struct test_client){base, gateway_port(g), 2};
    closed = 0;
    kept = NULL;
    stream = NULL;
    return 0;
}

static int teardown(void **state)
{
    gateway_free(g);
    event_base_free(base);
    return 0;
}

/* ---- Answers ---- */

static void test_route(void **state)
{
    char *text = test_get(&client, "/echo?say=hi%20there", "");
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "\r\n\r\nhi there");
    expect_in(text, "Content-Type: text/plain\r\n");
    expect_in(text, "Content-Length: 8\r\n");
    expect_in(text, "Cache-Control: no-store\r\n");
    expect_in(text, "default-src 'none'");
    expect_in(text, "X-Content-Type-Options: nosniff\r\n");
    expect_in(text, "X-Frame-Options: DENY\r\n");
    expect_in(test_get(&client, "/%65cho", ""), "\r\n\r\nnothing");
}

static void test_errors(void **state)
{
    expect_in(test_get(&client, "/fail?why=a%22b", ""), "\r\n\r\n{\"error\":\"a\\\"b\"}\n");
    expect_in(test_get(&client, "/fail?why=x", ""), "HTTP/1.1 503 Service Unavailable\r\n");
    expect_in(test_get(&client, "/nowhere", ""), "HTTP/1.1 404 Not Found\r\n");
    expect_in(test_get(&client, "/echo/", ""), "HTTP/1.1 404 ");
    expect_in(test_get(&client, "/echo%00", ""), "HTTP/1.1 404 ");
    expect_in(test_ask(&client, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n"),
              "HTTP/1.1 405 ");
    expect_in(test_ask(&client, "PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n"),
              "Allow: GET, HEAD\r\n");
}

static void test_head(void **state)
{
    char *text = test_ask(
        &client, "HEAD /echo?say=four HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "Content-Length: 4\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    text = test_ask(&client, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "Content-Length: 7\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    text =
        test_ask(&client, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "Content-Type: text/event-stream");
    assert_null(stream);
}

static void test_file(void **state)
{
    char etag[64], header[128], *text = test_get(&client, "/", "");
    expect_in(text, "\r\n\r\n<p>page");
    expect_in(text, "Content-Type: text/html\r\n");
    assert_int_equal(sscanf(strstr(text, "ETag: "), "ETag: %63[^\r]", etag), 1);
    snprintf(header, sizeof(header), "If-None-Match: \"x\", W/%s\r\n", etag);
    text = test_get(&client, "/", header);
    expect_in(text, "HTTP/1.1 304 Not Modified\r\n");
    expect_in(text, etag);
    expect_not_in(text, "<p>page");
    expect_in(test_get(&client, "/", "If-None-Match: *\r\n"), "304");
    expect_in(test_get(&client, "/", "If-None-Match: \"x\"\r\n"), "\r\n\r\n<p>page");
}

static void test_keep_alive_and_pipelining(void **state)
{
    int fd = test_dial(&client);
    char *text = NULL;
    test_say(fd, "GET /echo?say=first HTTP/1.1\r\nHost: localhost\r\n\r\n"
                 "GET /echo?say=second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    text = test_hear(&client, fd, NULL, NULL);
    expect_in(text, "first");
    expect_in(text, "second");
    close(fd);
}

static void test_route_replaced(void **state)
{
    gateway_route(g, "/", on_echo, NULL);
    expect_in(test_get(&client, "/?say=new", ""), "\r\n\r\nnew");
}

static void test_answer_later(void **state)
{
    int fd = test_dial(&client);
    test_say(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    test_turn_for(&client, 0.05);
    assert_non_null(kept);
    http_answer(kept, 200, "text/plain", BYTES("late"));
    expect_in(test_hear(&client, fd, NULL, NULL), "\r\n\r\nlate");
    close(fd);
}

static void test_peer_gone_before_the_answer(void **state)
{
    int fd = test_dial(&client);
    test_say(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    test_turn_for(&client, 0.05);
    close(fd);
    test_turn_for(&client, 0.05);
    http_answer(kept, 200, "text/plain", BYTES("late"));
    test_turn_for(&client, 0.05);
    assert_int_equal(conns_open(&g->conns), 0);
}

static void test_gateway_gone_before_the_answer(void **state)
{
    int fd = test_dial(&client);
    char *error = NULL;
    struct gateway_options options = {0};
    test_say(fd, "GET /later?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    test_turn_for(&client, 0.05);
    gateway_free(g);
    assert_string_equal(http_query(kept, "a", 0), "b");
    http_answer_error(kept, 500, "too late");
    close(fd);
    g = gateway_new(base, &options, &error);
}

/* ---- Who is answered ---- */

static void test_host(void **state)
{
    char *text =
        test_ask(&client, "GET /echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    expect_in(text, "HTTP/1.1 421 ");
    expect_in(text, "{\"error\":");
    expect_in(test_ask(&client,
                       "GET /echo HTTP/1.1\r\nHost: box.example:80\r\nConnection: close\r\n\r\n"),
              "200");
    expect_in(test_ask(&client, "GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 400 ");
    expect_in(test_ask(&client, "GET /echo HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n"
                                "Connection: close\r\n\r\n"),
              "HTTP/1.1 400 ");
    expect_in(test_ask(&client, "GET http://evil.example/echo HTTP/1.1\r\nHost: localhost\r\n"
                                "Connection: close\r\n\r\n"),
              "HTTP/1.1 421 ");
}

static void test_origin(void **state)
{
    expect_in(test_get(&client, "/echo", "Origin: http://localhost\r\n"), "200 OK");
    expect_in(test_get(&client, "/echo", "Origin: http://localhost:81\r\n"), "HTTP/1.1 403 ");
    expect_in(test_get(&client, "/echo", "Origin: http://evil.example\r\n"), "HTTP/1.1 403 ");
    expect_in(test_get(&client, "/", "Origin: null\r\n"), "HTTP/1.1 403 ");
    expect_in(test_get(&client, "/stream", "Origin: null\r\n"), "HTTP/1.1 403 ");
    expect_in(
        test_get(&client, "/echo", "Origin: http://localhost\r\nOrigin: http://localhost\r\n"),
        "403");
}

static void test_limits(void **state)
{
    static char big[HTTP_HEADERS_MAX + 1024];
    snprintf(big, sizeof(big), "GET /echo?say=%0*d HTTP/1.1\r\nHost: localhost\r\n\r\n",
             HTTP_HEADERS_MAX, 0);
    expect_not_in(test_ask(&client, big), "200 OK");
    expect_in(test_ask(&client,
                       "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
                       "Connection: close\r\n\r\n"),
              "HTTP/1.1 413 ");
    expect_not_in(test_ask(&client, "\x16\x03\x01\x02garbage\r\n\r\n"), "200 OK");
}

static void test_connections_are_bounded(void **state)
{
    enum { N = 3 + HTTP_CONNECTIONS_SPARE };
    int fds[N], over = 0;
    bool gone = false;
    for (int i = 0; i < N; i++) {
        fds[i] = test_dial(&client);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    test_turn_for(&client, 0.05);
    assert_int_equal(conns_open(&g->conns), N);
    over = test_dial(&client);
    test_hear(&client, over, NULL, &gone);
    assert_true(gone);
    close(over);
    close(fds[0]);
    test_turn_for(&client, 0.05);
    expect_in(test_get(&client, "/echo", ""), "200 OK");
    for (int i = 1; i < N; i++) close(fds[i]);
    test_turn_for(&client, 0.05);
    assert_int_equal(conns_open(&g->conns), 0);
}

static void test_cannot_listen(void **state)
{
    struct gateway_options options = {.port = gateway_port(g)};
    char *error = NULL;
    assert_null(gateway_new(base, &options, &error));
    expect_in(error, "Address already in use");
    mem_free(error);
}

/* ---- Streams ---- */

static int open_stream(const char *headers)
{
    char request[256];
    int fd = test_dial(&client);
    snprintf(request, sizeof(request), "GET /stream HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
             headers);
    test_say(fd, request);
    return fd;
}

static void test_stream(void **state)
{
    int fd = open_stream("Last-Event-ID: 6\r\n");
    char *text = test_hear(&client, fd, "four\n\n", NULL);
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "Content-Type: text/event-stream");
    expect_in(text, "Cache-Control: no-store");
    expect_in(text, "retry: 2000\n\n");
    expect_in(text, "event: hello\nid: 7\ndata: one\ndata: two\ndata: three\ndata: four\n\n");
    assert_string_equal(last_id, "6");
    http_stream_send(stream, NULL, NULL, BYTES(""));
    expect_in(test_hear(&client, fd, "data: \n\n", NULL), "data: \n\n");
    streams_heartbeat(-1, 0, g);
    expect_in(test_hear(&client, fd, ":\n\n", NULL), ":\n\n");
    close(fd);
    test_turn_for(&client, 0.05);
    assert_int_equal(closed, 1);
    assert_null(stream);
}

static void test_stream_reset_by_peer(void **state)
{
    struct linger hard = {1, 0};
    int fd = open_stream("");
    test_hear(&client, fd, "four\n\n", NULL);
    assert_string_equal(last_id, "-");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    test_turn_for(&client, 0.05);
    assert_int_equal(closed, 1);
    assert_int_equal(g->stream_count, 0);
    assert_int_equal(conns_open(&g->conns), 0);
}

static void test_streams_are_bounded(void **state)
{
    int fds[3], over = 0;
    for (int i = 0; i < 3; i++) {
        fds[i] = open_stream("");
        test_hear(&client, fds[i], "four\n\n", NULL);
    }
    over = open_stream("");
    expect_in(test_hear(&client, over, "}\n", NULL), "HTTP/1.1 503 ");
    close(over);
    close(fds[1]);
    test_turn_for(&client, 0.05);
    assert_int_equal(closed, 1);
    fds[1] = open_stream("");
    expect_in(test_hear(&client, fds[1], "four\n\n", NULL), "200 OK");
    for (int i = 0; i < 3; i++) close(fds[i]);
    test_turn_for(&client, 0.05);
    assert_int_equal(closed, 4);
}

static void test_slow_reader_is_closed(void **state)
{
    static char big[64 * 1024];
    int slow = open_stream(""), quick = 0;
    struct http_stream *of_slow = NULL;
    memset(big, 'x', sizeof(big));
    test_hear(&client, slow, "four\n\n", NULL);
    of_slow = stream;
    quick = open_stream("");
    test_hear(&client, quick, "four\n\n", NULL);
    for (int i = 0; i < 400 && closed == 0; i++) {
        http_stream_send(of_slow, NULL, NULL, (struct bytes){big, sizeof(big)});
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(closed, 1);
    assert_non_null(stream);
    http_stream_send(stream, NULL, NULL, BYTES("still here"));
    expect_in(test_hear(&client, quick, "here\n\n", NULL), "data: still here\n\n");
    close(slow);
    close(quick);
    test_turn_for(&client, 0.05);
    assert_int_equal(closed, 2);
}

static size_t unread_of(struct http_stream *s)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(s->ev);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    return evbuffer_get_length(bufferevent_get_input(bev));
}

/* A reader that talks: what it sends is neither read without bound nor taken for a request. */
static void test_talking_reader(void **state)
{
    static char junk[16 * 1024];
    int fd = open_stream("");
    test_hear(&client, fd, "four\n\n", NULL);
    for (int i = 0; i < 50; i++) {
        send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_non_null(stream);
    assert_in_range(unread_of(stream), 1, HTTP_STREAM_READ_MAX);
    http_stream_send(stream, NULL, NULL, BYTES("ok"));
    expect_in(test_hear(&client, fd, "ok\n\n", NULL), "data: ok\n\n");
    close(fd);
    test_turn_for(&client, 0.05);
}

static void test_free_with_open_streams(void **state)
{
    int a = open_stream(""), b = 0;
    char *error = NULL;
    struct gateway_options options = {0};
    bool gone = false;
    test_hear(&client, a, "four\n\n", NULL);
    b = open_stream("");
    test_hear(&client, b, "four\n\n", NULL);
    gateway_free(g);
    assert_int_equal(closed, 2);
    g = gateway_new(base, &options, &error);
    test_hear(&client, a, NULL, &gone);
    assert_true(gone);
    close(a);
    close(b);
}

#define with_gateway(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_gateway(test_route),
        with_gateway(test_errors),
        with_gateway(test_head),
        with_gateway(test_file),
        with_gateway(test_keep_alive_and_pipelining),
        with_gateway(test_route_replaced),
        with_gateway(test_answer_later),
        with_gateway(test_peer_gone_before_the_answer),
        with_gateway(test_gateway_gone_before_the_answer),
        with_gateway(test_host),
        with_gateway(test_origin),
        with_gateway(test_limits),
        with_gateway(test_connections_are_bounded),
        with_gateway(test_cannot_listen),
        with_gateway(test_stream),
        with_gateway(test_stream_reset_by_peer),
        with_gateway(test_streams_are_bounded),
        with_gateway(test_slow_reader_is_closed),
        with_gateway(test_talking_reader),
        with_gateway(test_free_with_open_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
