/* The bound on open connections. evhttp of libevent 2.1 tells nobody when a connection comes or
 * goes, so its bufferevents are made here, and one more reference to each is held: a bufferevent
 * that evhttp has let go of has no callbacks any more, which is how it is found. A connection over
 * the bound is closed before anything is read from it. One thread. */
#ifndef LEAT_HTTP_CONNS_H
#define LEAT_HTTP_CONNS_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event;
struct event_base;
struct evhttp;

struct conn_slot {
    struct bufferevent *bev;
    bool refused;
};

struct conns {
    struct event_base *base;
    struct conn_slot *slots;
    size_t count, cap;
    size_t max;
    struct event *sweeper; /* gives the memory of closed connections back, once a second */
    struct event *refuser;
};

/* Makes `http` take its connections from here. It must be freed before conns_fini. */
void conns_init(struct conns *c, struct event_base *base, struct evhttp *http, size_t max);
void conns_fini(struct conns *c);
/* Connections open now. */
size_t conns_open(struct conns *c);

#endif
