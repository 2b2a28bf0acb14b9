/* Counts evhttp's connections and closes those over the bound; see conns.h for how. */
#include "http/conns.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"

static struct metric open_connections = {.name = "leat_http_connections",
                                         .help = "Open connections of the HTTP gateway.",
                                         .kind = METRIC_GAUGE};
static struct metric connections_max = {.name = "leat_http_connections_max",
                                        .help = "The bound on open HTTP connections.",
                                        .kind = METRIC_GAUGE};
static struct metric refused = {.name = "leat_http_connections_refused_total",
                                .help = "HTTP connections closed at once, being over the bound.",
                                .kind = METRIC_COUNTER};

/* evhttp clears the callbacks of a bufferevent when it frees it, and never before. */
static bool is_closed(struct bufferevent *bev)
{
    bufferevent_data_cb on_read = NULL, on_write = NULL;
    bufferevent_event_cb on_event = NULL;
    void *arg = NULL;
    bufferevent_getcb(bev, &on_read, &on_write, &on_event, &arg);
    return !on_read && !on_write && !on_event;
}

static void sweep(struct conns *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_closed(c->slots[i].bev)) {
            bufferevent_decref(c->slots[i].bev);
        } else {
            c->slots[kept++] = c->slots[i];
        }
    }
    c->count = kept;
    metric_set(&open_connections, (int64_t)kept);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    sweep(arg);
}

/* Outside of evhttp's accepting: an error on the bufferevent makes evhttp drop the connection. */
static void on_refuse(evutil_socket_t fd, short what, void *arg)
{
    struct conns *c = arg;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->slots[i].refused || is_closed(c->slots[i].bev)) continue;
        bufferevent_trigger_event(c->slots[i].bev, BEV_EVENT_ERROR | BEV_EVENT_READING, 0);
    }
    sweep(c);
}

static struct conn_slot *add_slot(struct conns *c)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->slots = mem_realloc(c->slots, c->cap * sizeof(*c->slots));
    }
    return &c->slots[c->count++];
}

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct conns *c = arg;
    struct conn_slot *slot = NULL;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev) return NULL; /* evhttp tries itself, fails likewise and drops the connection */
    if (c->count >= c->max) sweep(c);
    bufferevent_incref(bev);
    slot = add_slot(c);
    *slot = (struct conn_slot){.bev = bev, .refused = c->count > c->max};
    if (slot->refused) {
        metric_add(&refused, 1);
        event_active(c->refuser, EV_TIMEOUT, 0);
    }
    metric_set(&open_connections, (int64_t)c->count);
    return bev;
}

void conns_init(struct conns *c, struct event_base *base, struct evhttp *http, size_t max)
{
    struct timeval second = {1, 0};
    *c = (struct conns){.base = base, .max = max};
    metrics_register(&open_connections);
    metrics_register(&connections_max);
    metrics_register(&refused);
    metric_set(&connections_max, (int64_t)max);
    c->sweeper = event_new(base, -1, EV_PERSIST, on_sweep, c);
    c->refuser = event_new(base, -1, 0, on_refuse, c);
    must(c->sweeper && c->refuser);
    event_add(c->sweeper, &second);
    evhttp_set_bevcb(http, on_accept, c);
}

void conns_fini(struct conns *c)
{
    sweep(c);
    must(c->count == 0);
    if (c->sweeper) event_free(c->sweeper);
    if (c->refuser) event_free(c->refuser);
    mem_free(c->slots);
    *c = (struct conns){0};
}

size_t conns_open(struct conns *c)
{
    sweep(c);
    return c->count;
}
