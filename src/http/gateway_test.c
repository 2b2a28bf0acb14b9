/* Tests of the gateway over real sockets, in one process: what a client sends, the loop turns, what
 * comes back. */
#include "http/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/gateway_priv.h"

static struct event_base *base;
static struct gateway *g;
static struct http_request *kept;  /* a request to be answered later */
static struct http_stream *stream; /* the stream opened last */
static int closed;                 /* calls of on_close */
static char last_id[64];

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

/* ---- The client's side ---- */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void turn_for(double seconds)
{
    for (double end = now_s() + seconds; now_s() < end; usleep(500)) turn();
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)gateway_port(g))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until `until` stands in what came, the peer closed, or two seconds passed. */
static char *hear(int fd, const char *until, bool *ret_closed)
{
    static char text[256 * 1024];
    size_t len = 0;
    double end = now_s() + 2;
    bool gone = false;
    text[0] = 0;
    while (now_s() < end && !gone && !(until && strstr(text, until))) {
        ssize_t n = 0;
        turn();
        n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
        if (n > 0) len += (size_t)n;
        gone = n == 0 || (n < 0 && errno != EAGAIN);
        text[len] = 0;
        if (n < 0) usleep(500);
    }
    if (ret_closed) *ret_closed = gone;
    return text;
}

static char *ask(const char *request)
{
    int fd = dial();
    char *text = NULL;
    say(fd, request);
    text = hear(fd, NULL, NULL); /* the requests say Connection: close */
    close(fd);
    return text;
}

static char *get(const char *target, const char *headers)
{
    char request[1024];
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", target, headers);
    return ask(request);
}

#define expect_in(text, part)                                                                      \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (!strstr(text_, part)) fail_msg("no %s in:\n%s", part, text_);                          \
    } while (0)
#define expect_not_in(text, part) assert_null(strstr(text, part))

/* ---- Answers ---- */

static void test_route(void **state)
{
    char *text = get("/echo?say=hi%20there", "");
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "\r\n\r\nhi there");
    expect_in(text, "Content-Type: text/plain\r\n");
    expect_in(text, "Content-Length: 8\r\n");
    expect_in(text, "Cache-Control: no-store\r\n");
    expect_in(text, "default-src 'none'");
    expect_in(text, "X-Content-Type-Options: nosniff\r\n");
    expect_in(text, "X-Frame-Options: DENY\r\n");
    expect_in(get("/%65cho", ""), "\r\n\r\nnothing");
}

static void test_errors(void **state)
{
    expect_in(get("/fail?why=a%22b", ""), "\r\n\r\n{\"error\":\"a\\\"b\"}\n");
    expect_in(get("/fail?why=x", ""), "HTTP/1.1 503 Service Unavailable\r\n");
    expect_in(get("/nowhere", ""), "HTTP/1.1 404 Not Found\r\n");
    expect_in(get("/echo/", ""), "HTTP/1.1 404 ");
    expect_in(get("/echo%00", ""), "HTTP/1.1 404 ");
    expect_in(ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n"),
              "HTTP/1.1 405 ");
    expect_in(ask("PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n"),
              "Allow: GET, HEAD\r\n");
}

static void test_head(void **state)
{
    char *text =
        ask("HEAD /echo?say=four HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "Content-Length: 4\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    text = ask("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "Content-Length: 7\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    text = ask("HEAD /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    expect_in(text, "Content-Type: text/event-stream");
    assert_null(stream);
}

static void test_file(void **state)
{
    char etag[64], header[128], *text = get("/", "");
    expect_in(text, "\r\n\r\n<p>page");
    expect_in(text, "Content-Type: text/html\r\n");
    assert_int_equal(sscanf(strstr(text, "ETag: "), "ETag: %63[^\r]", etag), 1);
    snprintf(header, sizeof(header), "If-None-Match: \"x\", W/%s\r\n", etag);
    text = get("/", header);
    expect_in(text, "HTTP/1.1 304 Not Modified\r\n");
    expect_in(text, etag);
    expect_not_in(text, "<p>page");
    expect_in(get("/", "If-None-Match: *\r\n"), "304");
    expect_in(get("/", "If-None-Match: \"x\"\r\n"), "\r\n\r\n<p>page");
}

static void test_keep_alive_and_pipelining(void **state)
{
    int fd = dial();
    char *text = NULL;
    say(fd, "GET /echo?say=first HTTP/1.1\r\nHost: localhost\r\n\r\n"
            "GET /echo?say=second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    text = hear(fd, NULL, NULL);
    expect_in(text, "first");
    expect_in(text, "second");
    close(fd);
}

static void test_route_replaced(void **state)
{
    gateway_route(g, "/", on_echo, NULL);
    expect_in(get("/?say=new", ""), "\r\n\r\nnew");
}

static void test_answer_later(void **state)
{
    int fd = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    turn_for(0.05);
    assert_non_null(kept);
    http_answer(kept, 200, "text/plain", BYTES("late"));
    expect_in(hear(fd, NULL, NULL), "\r\n\r\nlate");
    close(fd);
}

static void test_peer_gone_before_the_answer(void **state)
{
    int fd = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    turn_for(0.05);
    close(fd);
    turn_for(0.05);
    http_answer(kept, 200, "text/plain", BYTES("late"));
    turn_for(0.05);
    assert_int_equal(conns_open(&g->conns), 0);
}

static void test_gateway_gone_before_the_answer(void **state)
{
    int fd = dial();
    char *error = NULL;
    struct gateway_options options = {0};
    say(fd, "GET /later?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    turn_for(0.05);
    gateway_free(g);
    assert_string_equal(http_query(kept, "a", 0), "b");
    http_answer_error(kept, 500, "too late");
    close(fd);
    g = gateway_new(base, &options, &error);
}

/* ---- Who is answered ---- */

static void test_host(void **state)
{
    char *text = ask("GET /echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    expect_in(text, "HTTP/1.1 421 ");
    expect_in(text, "{\"error\":");
    expect_in(ask("GET /echo HTTP/1.1\r\nHost: box.example:80\r\nConnection: close\r\n\r\n"),
              "200");
    expect_in(ask("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n"), "HTTP/1.1 400 ");
    expect_in(ask("GET /echo HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n"
                  "Connection: close\r\n\r\n"),
              "HTTP/1.1 400 ");
    expect_in(ask("GET http://evil.example/echo HTTP/1.1\r\nHost: localhost\r\n"
                  "Connection: close\r\n\r\n"),
              "HTTP/1.1 421 ");
}

static void test_origin(void **state)
{
    expect_in(get("/echo", "Origin: http://localhost\r\n"), "200 OK");
    expect_in(get("/echo", "Origin: http://localhost:81\r\n"), "HTTP/1.1 403 ");
    expect_in(get("/echo", "Origin: http://evil.example\r\n"), "HTTP/1.1 403 ");
    expect_in(get("/", "Origin: null\r\n"), "HTTP/1.1 403 ");
    expect_in(get("/stream", "Origin: null\r\n"), "HTTP/1.1 403 ");
    expect_in(get("/echo", "Origin: http://localhost\r\nOrigin: http://localhost\r\n"), "403");
}

static void test_limits(void **state)
{
    static char big[HTTP_HEADERS_MAX + 1024];
    snprintf(big, sizeof(big), "GET /echo?say=%0*d HTTP/1.1\r\nHost: localhost\r\n\r\n",
             HTTP_HEADERS_MAX, 0);
    expect_not_in(ask(big), "200 OK");
    expect_in(ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
                  "Connection: close\r\n\r\n"),
              "HTTP/1.1 413 ");
    expect_not_in(ask("\x16\x03\x01\x02garbage\r\n\r\n"), "200 OK");
}

static void test_connections_are_bounded(void **state)
{
    enum { N = 3 + HTTP_CONNECTIONS_SPARE };
    int fds[N], over = 0;
    bool gone = false;
    for (int i = 0; i < N; i++) {
        fds[i] = dial();
        turn();
    }
    turn_for(0.05);
    assert_int_equal(conns_open(&g->conns), N);
    over = dial();
    hear(over, NULL, &gone);
    assert_true(gone);
    close(over);
    close(fds[0]);
    turn_for(0.05);
    expect_in(get("/echo", ""), "200 OK");
    for (int i = 1; i < N; i++) close(fds[i]);
    turn_for(0.05);
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
    int fd = dial();
    snprintf(request, sizeof(request), "GET /stream HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
             headers);
    say(fd, request);
    return fd;
}

static void test_stream(void **state)
{
    int fd = open_stream("Last-Event-ID: 6\r\n");
    char *text = hear(fd, "four\n\n", NULL);
    expect_in(text, "HTTP/1.1 200 OK\r\n");
    expect_in(text, "Content-Type: text/event-stream");
    expect_in(text, "Cache-Control: no-store");
    expect_in(text, "retry: 2000\n\n");
    expect_in(text, "event: hello\nid: 7\ndata: one\ndata: two\ndata: three\ndata: four\n\n");
    assert_string_equal(last_id, "6");
    http_stream_send(stream, NULL, NULL, BYTES(""));
    expect_in(hear(fd, "data: \n\n", NULL), "data: \n\n");
    streams_heartbeat(-1, 0, g);
    expect_in(hear(fd, ":\n\n", NULL), ":\n\n");
    close(fd);
    turn_for(0.05);
    assert_int_equal(closed, 1);
    assert_null(stream);
}

static void test_stream_reset_by_peer(void **state)
{
    struct linger hard = {1, 0};
    int fd = open_stream("");
    hear(fd, "four\n\n", NULL);
    assert_string_equal(last_id, "-");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    turn_for(0.05);
    assert_int_equal(closed, 1);
    assert_int_equal(g->stream_count, 0);
    assert_int_equal(conns_open(&g->conns), 0);
}

static void test_streams_are_bounded(void **state)
{
    int fds[3], over = 0;
    for (int i = 0; i < 3; i++) {
        fds[i] = open_stream("");
        hear(fds[i], "four\n\n", NULL);
    }
    over = open_stream("");
    expect_in(hear(over, "}\n", NULL), "HTTP/1.1 503 ");
    close(over);
    close(fds[1]);
    turn_for(0.05);
    assert_int_equal(closed, 1);
    fds[1] = open_stream("");
    expect_in(hear(fds[1], "four\n\n", NULL), "200 OK");
    for (int i = 0; i < 3; i++) close(fds[i]);
    turn_for(0.05);
    assert_int_equal(closed, 4);
}

static void test_slow_reader_is_closed(void **state)
{
    static char big[64 * 1024];
    int slow = open_stream(""), quick = 0;
    struct http_stream *of_slow = NULL;
    memset(big, 'x', sizeof(big));
    hear(slow, "four\n\n", NULL);
    of_slow = stream;
    quick = open_stream("");
    hear(quick, "four\n\n", NULL);
    for (int i = 0; i < 400 && closed == 0; i++) {
        http_stream_send(of_slow, NULL, NULL, (struct bytes){big, sizeof(big)});
        turn();
    }
    assert_int_equal(closed, 1);
    assert_non_null(stream);
    http_stream_send(stream, NULL, NULL, BYTES("still here"));
    expect_in(hear(quick, "here\n\n", NULL), "data: still here\n\n");
    close(slow);
    close(quick);
    turn_for(0.05);
    assert_int_equal(closed, 2);
}

/* A reader that talks: what it sends is neither read without bound nor taken for a request. */
static void test_talking_reader(void **state)
{
    int fd = open_stream("");
    hear(fd, "four\n\n", NULL);
    for (int i = 0; i < 100; i++) {
        static char junk[16 * 1024];
        send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
        turn();
    }
    if (stream) {
        http_stream_send(stream, NULL, NULL, BYTES("ok"));
        expect_in(hear(fd, "ok\n\n", NULL), "data: ok\n\n");
    }
    close(fd);
    turn_for(0.05);
}

static void test_free_with_open_streams(void **state)
{
    int a = open_stream(""), b = 0;
    char *error = NULL;
    struct gateway_options options = {0};
    bool gone = false;
    hear(a, "four\n\n", NULL);
    b = open_stream("");
    hear(b, "four\n\n", NULL);
    gateway_free(g);
    assert_int_equal(closed, 2);
    g = gateway_new(base, &options, &error);
    hear(a, NULL, &gone);
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
