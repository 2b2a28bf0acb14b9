/* The feed server, on libevent.
 *
 *   client: HEAD (reading the request) -> FEED (sending) -> ENDING (all is queued) -> gone
 *
 * Invariants: `state` of the owner exists in FEED and ENDING only. Bytes wait in the bufferevent's
 * output, or in `later` when they are to go out one by one. A client is freed from the loop only,
 * in callbacks of its own bufferevent or of `reaper`, never from within a call of the owner's. */
#include "cli/feed_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"

enum {
    ROOM_MAX = 256 * 1024, /* bytes that may wait for a client */
    HEAD_MAX = 16 * 1024,
    HEAD_TIMEOUT_S = 10,
    CLIENTS_MAX = 1000,
};

enum client_phase { CLIENT_HEAD, CLIENT_FEED, CLIENT_ENDING };

struct feed_client {
    struct feed_server *server;
    struct feed_client *next, **link;
    struct bufferevent *bev;
    struct evbuffer *later; /* with `split`: what goes out byte by byte */
    void *state;            /* the owner's */
    enum client_phase phase;
    bool chunked, hanging;
    int64_t sent_ms; /* monotonic; when something was sent last */
};

struct feed_server {
    struct event_base *base;
    struct feed_server_options o;
    struct evconnlistener *listener;
    struct event *heartbeat;
    struct feed_client *clients;
    int client_count;
    char bind[64];
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static size_t waiting(const struct feed_client *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev)) + evbuffer_get_length(c->later);
}

static void close_client(struct feed_client *c)
{
    struct feed_server *s = c->server;
    *c->link = c->next;
    if (c->next != NULL) c->next->link = c->link;
    s->client_count--;
    if (c->phase != CLIENT_HEAD && c->state != NULL) s->o.on_close(c->state);
    bufferevent_free(c->bev);
    evbuffer_free(c->later);
    mem_free(c);
}

/* With `split`, one byte at a time: the next one when the kernel has the one before. */
static void release_byte(struct feed_client *c)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    if (evbuffer_get_length(out) == 0) evbuffer_remove_buffer(c->later, out, 1);
}

static void put(struct feed_client *c, const void *data, size_t n)
{
    if (c->server->o.split) {
        evbuffer_add(c->later, data, n);
        release_byte(c);
    } else {
        bufferevent_write(c->bev, data, n);
    }
}

static void end(struct feed_client *c, bool abrupt)
{
    must(c->phase == CLIENT_FEED);
    c->phase = CLIENT_ENDING;
    if (!abrupt && c->chunked) put(c, "0\r\n\r\n", 5);
    bufferevent_setwatermark(c->bev, EV_WRITE, 0, 0);
    if (waiting(c) == 0) bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

void feed_client_end(struct feed_client *c)
{
    end(c, false);
}

void feed_client_drop(struct feed_client *c)
{
    end(c, true);
}

void feed_client_hang(struct feed_client *c)
{
    c->hanging = true;
}

bool feed_client_has_room(const struct feed_client *c)
{
    return c->phase == CLIENT_FEED && waiting(c) < ROOM_MAX;
}

void feed_client_send(struct feed_client *c, struct bytes data)
{
    must(c->phase == CLIENT_FEED);
    c->sent_ms = now_ms();
    if (data.len == 0) return; /* an empty chunk would end the response */
    if (c->chunked) {
        char size[24];
        put(c, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", data.len));
    }
    put(c, data.data, data.len);
    if (c->chunked) put(c, "\r\n", 2);
}

/* -- a client's life --------------------------------------------------------------------------- */

static void answer_refusal(struct feed_client *c, int status)
{
    char text[160];
    const char *reason = status == 405   ? "Method Not Allowed"
                         : status == 503 ? "Service Unavailable"
                                         : "Bad Request";
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status,
                     reason);
    put(c, text, (size_t)n);
    c->phase = CLIENT_ENDING;
    bufferevent_disable(c->bev, EV_READ);
}

static void answer_feed(struct feed_client *c, const struct feed_request *r)
{
    struct feed_server *s = c->server;
    char text[256];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-cache\r\n"
                     "Connection: close\r\n%s\r\n",
                     s->o.format == FEED_SSE ? "text/event-stream; charset=utf-8"
                                             : "application/x-ndjson",
                     r->http_1_0 ? "" : "Transfer-Encoding: chunked\r\n");
    c->chunked = !r->http_1_0;
    put(c, text, (size_t)n);
    c->phase = CLIENT_FEED;
    c->sent_ms = now_ms();
    bufferevent_set_timeouts(c->bev, NULL, NULL);
    if (!s->o.split) bufferevent_setwatermark(c->bev, EV_WRITE, ROOM_MAX / 2, 0);
    c->state = s->o.on_open(s->o.arg, c, r->last_event_id);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct feed_client *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (c->phase != CLIENT_HEAD) {
        evbuffer_drain(in, evbuffer_get_length(in));
        return;
    }
    struct evbuffer_ptr blank = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (blank.pos < 0) {
        if (evbuffer_get_length(in) >= HEAD_MAX) answer_refusal(c, 400);
        return;
    }
    size_t n = (size_t)blank.pos + 4;
    struct feed_request request;
    feed_request_parse((struct bytes){(char *)evbuffer_pullup(in, (ev_ssize_t)n), n}, &request);
    if (request.status == 200 && c->server->client_count > CLIENTS_MAX) request.status = 503;
    if (request.status == 200) {
        answer_feed(c, &request);
    } else {
        answer_refusal(c, request.status);
    }
    evbuffer_drain(in, n);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct feed_client *c = arg;
    if (c->server->o.split) release_byte(c);
    if (c->phase == CLIENT_ENDING) {
        if (waiting(c) == 0) close_client(c);
    } else if (c->phase == CLIENT_FEED && c->state != NULL && feed_client_has_room(c)) {
        c->server->o.on_room(c->state);
    }
}

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
    close_client(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int size,
                      void *arg)
{
    struct feed_server *s = arg;
    struct timeval head_timeout = {HEAD_TIMEOUT_S, 0};
    struct feed_client *c = mem_calloc(sizeof *c);
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    c->server = s;
    c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->later = evbuffer_new();
    must(c->bev != NULL && c->later != NULL);
    c->next = s->clients;
    c->link = &s->clients;
    if (c->next != NULL) c->next->link = &c->next;
    s->clients = c;
    s->client_count++;
    bufferevent_setcb(c->bev, on_read, on_written, on_gone, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, HEAD_MAX);
    bufferevent_set_timeouts(c->bev, &head_timeout, NULL);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* A comment, without a blank line behind it: that would dispatch an event left unfinished. */
static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
    struct feed_server *s = arg;
    int64_t now = now_ms();
    for (struct feed_client *c = s->clients; c != NULL; c = c->next) {
        if (c->phase != CLIENT_FEED || c->hanging || now - c->sent_ms < s->o.heartbeat_ms) continue;
        if (waiting(c) > 0) continue;
        feed_client_send(c, s->o.format == FEED_SSE ? BYTES(":\n") : BYTES("\r\n"));
    }
}

/* -- the server -------------------------------------------------------------------------------- */

static bool make_address(const char *bind, int port, struct sockaddr_storage *ret, socklen_t *size)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, bind, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *size = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, bind, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *size = sizeof *v6;
        return true;
    }
    return false;
}

static void start_heartbeats(struct feed_server *s)
{
    /* Looked at four times as often as one is due, so that none is late by much. */
    int ms = s->o.heartbeat_ms / 4 > 0 ? s->o.heartbeat_ms / 4 : 1;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    s->heartbeat = event_new(s->base, -1, EV_PERSIST, on_heartbeat, s);
    must(s->heartbeat != NULL && event_add(s->heartbeat, &tv) == 0);
}

struct feed_server *feed_server_new(struct event_base *base, const struct feed_server_options *o,
                                    struct buf *error)
{
    const char *bind = o->bind != NULL ? o->bind : "127.0.0.1";
    struct sockaddr_storage address;
    socklen_t size;
    if (!make_address(bind, o->port, &address, &size)) {
        buf_printf(error, "%s is not an IP address to listen on; 127.0.0.1 is this machine alone",
                   bind);
        return NULL;
    }
    struct feed_server *s = mem_calloc(sizeof *s);
    s->base = base;
    s->o = *o;
    snprintf(s->bind, sizeof s->bind, "%s", bind);
    s->listener =
        evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
                                (struct sockaddr *)&address, (int)size);
    if (s->listener == NULL) {
        buf_printf(error, "cannot listen on %s port %d (%s); choose another with --port", bind,
                   o->port, strerror(errno));
        mem_free(s);
        return NULL;
    }
    if (o->heartbeat_ms > 0) start_heartbeats(s);
    return s;
}

void feed_server_free(struct feed_server *s)
{
    if (s == NULL) return;
    while (s->clients != NULL) close_client(s->clients);
    if (s->heartbeat != NULL) event_free(s->heartbeat);
    evconnlistener_free(s->listener);
    mem_free(s);
}

int feed_server_port(const struct feed_server *s)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    must(getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&address, &size) == 0);
    if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    event_base_loopexit(arg, NULL);
}

int feed_server_run(struct feed_server *s)
{
    struct event *term = evsignal_new(s->base, SIGTERM, on_signal, s->base);
    struct event *interrupt = evsignal_new(s->base, SIGINT, on_signal, s->base);
    must(term != NULL && interrupt != NULL);
    event_add(term, NULL);
    event_add(interrupt, NULL);
    signal(SIGPIPE, SIG_IGN);
    bool v6 = strchr(s->bind, ':') != NULL;
    printf("ready http://%s%s%s:%d/\n", v6 ? "[" : "", s->bind, v6 ? "]" : "", feed_server_port(s));
    fflush(stdout);
    event_base_dispatch(s->base);
    event_free(term);
    event_free(interrupt);
    return 0;
}
