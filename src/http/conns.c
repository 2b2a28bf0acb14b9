/* Counts evhttp's connections and ends those over the bound; see conns.h for how. */
#include "http/conns.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <sys/socket.h>
#include <sys/stat.h>

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
                                .help = "HTTP connections ended at once, being over the bound.",
                                .kind = METRIC_COUNTER};

/* 0 when there is no such file. */
static uint64_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void sweep(struct conns *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (inode_of(c->slots[i].fd) == c->slots[i].inode) c->slots[kept++] = c->slots[i];
    }
    c->count = kept;
    metric_set(&open_connections, (int64_t)kept);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    sweep(arg);
}

static void add_slot(struct conns *c, int fd, uint64_t inode)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->slots = mem_realloc(c->slots, c->cap * sizeof(*c->slots));
    }
    c->slots[c->count++] = (struct conn_slot){fd, inode};
}

static void settle(struct conns *c, int fd)
{
    uint64_t inode = fd < 0 ? 0 : inode_of(fd);
    if (inode == 0) return;
    if (c->count >= c->max) sweep(c);
    if (c->count >= c->max) {
        metric_add(&refused, 1);
        shutdown(fd, SHUT_RDWR); /* evhttp reads the end of it, and closes it */
    }
    add_slot(c, fd, inode);
}

static void on_settle(evutil_socket_t fd, short what, void *arg)
{
    struct conns *c = arg;
    for (size_t i = 0; i < c->fresh_count; i++) {
        settle(c, bufferevent_getfd(c->fresh[i]));
        bufferevent_decref(c->fresh[i]);
    }
    c->fresh_count = 0;
    metric_set(&open_connections, (int64_t)c->count);
}

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct conns *c = arg;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev) return NULL; /* evhttp tries itself, fails likewise and drops the connection */
    if (c->fresh_count == c->fresh_cap) {
        c->fresh_cap = c->fresh_cap ? 2 * c->fresh_cap : 16;
        c->fresh = mem_realloc(c->fresh, c->fresh_cap * sizeof(*c->fresh));
    }
    bufferevent_incref(bev);
    c->fresh[c->fresh_count++] = bev;
    event_active(c->settler, EV_TIMEOUT, 0);
    return bev;
}

void conns_init(struct conns *c, struct event_base *base, struct evhttp *http, size_t max)
{
    struct timeval second = {1, 0};
    *c = (struct conns){.max = max};
    metrics_register(&open_connections);
    metrics_register(&connections_max);
    metrics_register(&refused);
    metric_set(&connections_max, (int64_t)max);
    c->sweeper = event_new(base, -1, EV_PERSIST, on_sweep, c);
    c->settler = event_new(base, -1, 0, on_settle, c);
    must(c->sweeper && c->settler);
    event_add(c->sweeper, &second);
    evhttp_set_bevcb(http, on_accept, c);
}

void conns_fini(struct conns *c)
{
    for (size_t i = 0; i < c->fresh_count; i++) bufferevent_decref(c->fresh[i]);
    event_free(c->sweeper);
    event_free(c->settler);
    mem_free(c->slots);
    mem_free(c->fresh);
    *c = (struct conns){0};
}

size_t conns_open(struct conns *c)
{
    sweep(c);
    return c->count;
}
