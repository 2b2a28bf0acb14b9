/* For tests: the misbehaving HTTP peer, on bufferevents. */
#include "flow/source_testpeer.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

enum { REQUESTS_MAX = 256, CONNS_MAX = 256 };

struct testpeer_conn {
    struct testpeer *peer;
    struct bufferevent *bev;
    struct event *slow_timer;
    char *slow;
    size_t slow_at, slow_piece;
    struct timeval slow_pause;
};

struct testpeer {
    struct event_base *base;
    struct evconnlistener *listener;
    int port;
    void (*answer)(struct testpeer_conn *c, int number);
    char *requests[REQUESTS_MAX];
    int request_count;
    struct testpeer_conn *conns[CONNS_MAX];
};

static void drop(struct testpeer_conn *c)
{
    for (int i = 0; i < CONNS_MAX; i++) {
        if (c->peer->conns[i] == c) c->peer->conns[i] = NULL;
    }
    bufferevent_free(c->bev);
    event_free(c->slow_timer);
    mem_free(c->slow);
    mem_free(c);
}

static void on_request(struct bufferevent *bev, void *arg)
{
    struct testpeer_conn *c = arg;
    struct testpeer *p = c->peer;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0) return;
    must(p->request_count < REQUESTS_MAX);
    size_t n = (size_t)end.pos + 4;
    char *head = mem_calloc(n + 1);
    evbuffer_remove(in, head, n);
    int number = p->request_count++;
    p->requests[number] = head;
    if (p->answer != NULL) p->answer(c, number);
}

static void on_sent(struct bufferevent *bev, void *arg)
{
    drop(arg);
}

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
    drop(arg);
}

static void on_slow(evutil_socket_t fd, short what, void *arg)
{
    struct testpeer_conn *c = arg;
    size_t left = strlen(c->slow + c->slow_at), n = left < c->slow_piece ? left : c->slow_piece;
    testpeer_send(c, c->slow + c->slow_at, n);
    c->slow_at += n;
    if (left > n) evtimer_add(c->slow_timer, &c->slow_pause);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int size,
                      void *arg)
{
    struct testpeer *p = arg;
    struct testpeer_conn *c = mem_calloc(sizeof *c);
    int i = 0;
    while (p->conns[i] != NULL) must(++i < CONNS_MAX);
    p->conns[i] = c;
    c->peer = p;
    c->bev = bufferevent_socket_new(p->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->slow_timer = evtimer_new(p->base, on_slow, c);
    bufferevent_setcb(c->bev, on_request, NULL, on_gone, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

struct testpeer *testpeer_new(struct event_base *base)
{
    struct testpeer *p = mem_calloc(sizeof *p);
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof sin;
    p->base = base;
    p->listener = evconnlistener_new_bind(base, on_accept, p, LEV_OPT_CLOSE_ON_FREE, -1,
                                          (struct sockaddr *)&sin, sizeof sin);
    must(p->listener != NULL);
    must(getsockname(evconnlistener_get_fd(p->listener), (struct sockaddr *)&sin, &size) == 0);
    p->port = ntohs(sin.sin_port);
    return p;
}

void testpeer_free(struct testpeer *p)
{
    testpeer_stop(p);
    for (int i = 0; i < CONNS_MAX; i++) {
        if (p->conns[i] != NULL) drop(p->conns[i]);
    }
    for (int i = 0; i < p->request_count; i++) mem_free(p->requests[i]);
    mem_free(p);
}

int testpeer_port(const struct testpeer *p)
{
    return p->port;
}

void testpeer_stop(struct testpeer *p)
{
    if (p->listener != NULL) evconnlistener_free(p->listener);
    p->listener = NULL;
}

void testpeer_answer(struct testpeer *p, void (*answer)(struct testpeer_conn *c, int number))
{
    p->answer = answer;
}

int testpeer_requests(const struct testpeer *p)
{
    return p->request_count;
}

const char *testpeer_request(const struct testpeer *p, int number)
{
    return number < p->request_count ? p->requests[number] : "";
}

size_t testpeer_unsent(const struct testpeer *p)
{
    size_t n = 0;
    for (int i = 0; i < CONNS_MAX; i++) {
        if (p->conns[i] != NULL) n += evbuffer_get_length(bufferevent_get_output(p->conns[i]->bev));
    }
    return n;
}

struct testpeer *testpeer_of(struct testpeer_conn *c)
{
    return c->peer;
}

void testpeer_send(struct testpeer_conn *c, const void *data, size_t n)
{
    bufferevent_write(c->bev, data, n);
}

void testpeer_say(struct testpeer_conn *c, const char *text)
{
    testpeer_send(c, text, strlen(text));
}

void testpeer_say_slowly(struct testpeer_conn *c, const char *text, int pause_ms, size_t piece)
{
    c->slow = mem_strdup(text);
    c->slow_piece = piece;
    c->slow_pause = (struct timeval){pause_ms / 1000, pause_ms % 1000 * 1000};
    evtimer_add(c->slow_timer, &c->slow_pause);
}

void testpeer_close(struct testpeer_conn *c)
{
    bufferevent_setcb(c->bev, NULL, on_sent, on_gone, c);
    if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0) {
        bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
    }
}
