/* The bound on open connections. evhttp of libevent 2.1 tells nobody when a connection comes or
 * goes, so its bufferevents are made here; right after each was accepted its socket is noted, and a
 * socket that is gone (or is another one by now) is found by asking the kernel. A connection over
 * the bound is shut down before anything is read from it. One thread. */
#ifndef LEAT_HTTP_CONNS_H
#define LEAT_HTTP_CONNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bufferevent;
struct event;
struct event_base;
struct evhttp;

struct conn_slot {
    int fd;
    uint64_t inode; /* tells this socket from a later one of the same number */
};

struct conns {
    struct conn_slot *slots;
    size_t count, cap;
    size_t max;
    struct bufferevent **fresh; /* accepted in this turn of the loop; a reference to each is held */
    size_t fresh_count, fresh_cap;
    struct event *settler; /* notes the sockets of the fresh ones, still in the same turn */
    struct event *sweeper; /* forgets closed sockets, once a second */
};

/* Makes `http` take its connections from here. */
void conns_init(struct conns *c, struct event_base *base, struct evhttp *http, size_t max);
/* After evhttp_free. */
void conns_fini(struct conns *c);
/* Connections open now. */
size_t conns_open(struct conns *c);

#endif
