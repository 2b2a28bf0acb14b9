/* What the files of the gateway share; for nobody else.
 *
 * Who owns what:  gateway --- connections (evhttp's, counted in conns.c)
 *                    |------- routes
 *                    |------- requests under way (each freed by its answer)
 *                    `------- streams (each freed when its connection goes)
 * evhttp owns an evhttp_request until it is answered. It stops reading from a connection whose
 * request is not answered yet, so a request under way cannot vanish below us; only gateway_free
 * takes it away, and clears `ev` then. */
#ifndef LEAT_HTTP_GATEWAY_PRIV_H
#define LEAT_HTTP_GATEWAY_PRIV_H

#include "base/arena.h"
#include "base/map.h"
#include "base/metrics.h"
#include "http/conns.h"
#include "http/gateway.h"
#include "http/guard.h"
#include "http/query.h"

struct evhttp;
struct evhttp_request;
struct event;

enum {
    HTTP_HEADERS_MAX = 16 * 1024, /* bytes of the request line and all headers: 400 beyond */
    HTTP_BODY_MAX = 64 * 1024,    /* bytes of a body, which no route reads: 413 beyond */
    HTTP_IDLE_S = 60,             /* nothing read or written for so long: closed */
    HTTP_STREAMS_MAX = 1024,      /* default of gateway_options.streams_max: 503 beyond */
    HTTP_CONNECTIONS_SPARE = 256, /* connections beyond the streams, closed at once beyond */
    HTTP_UNSENT_MAX = 1024 * 1024,
    HTTP_STREAM_READ_MAX = 4096, /* bytes a reader of a stream may send us unread */
    HTTP_HEARTBEAT_S = 15,
    HTTP_RETRY_MS = 2000,
};

struct route {
    char *path;
    http_handler handler; /* NULL: a file */
    void *arg;
    const char *content_type; /* of a file; borrowed */
    struct bytes content;
    char etag[32];
};

struct http_request {
    struct gateway *gateway;
    struct evhttp_request *ev; /* NULL: the gateway was freed meanwhile */
    struct arena arena;
    struct query query;
    struct http_request *prev, *next; /* in gateway->requests */
};

struct http_stream {
    struct gateway *gateway;
    struct evhttp_request *ev;
    char *last_id; /* or NULL */
    bool doomed;   /* too slow: closed at the next turn of the loop */
    void (*on_close)(struct http_stream *s, void *arg);
    void *arg;
    struct http_stream *prev, *next; /* in gateway->streams */
};

struct gateway {
    struct event_base *base;
    struct evhttp *http;
    char *bind;
    char **hosts;
    struct guard guard; /* of bind and hosts */
    int port;
    size_t streams_max;
    struct map routes;
    struct conns conns;
    struct http_request *requests;
    struct http_stream *streams;
    size_t stream_count;
    struct event *heartbeat;
    struct event *reaper; /* closes doomed streams outside of any callback of evhttp */
};

/* ---- reply.c: how answers look ---- */

/* Adds the headers every answer carries, and Content-Type. */
void reply_headers(struct evhttp_request *ev, const char *content_type, const char *cache);
/* Sends the whole answer and gives the evhttp_request back to evhttp. For HEAD without the body. */
void reply_send(struct evhttp_request *ev, int status, struct bytes body);
void reply_error(struct evhttp_request *ev, int status, const char *text);
void reply_file(struct evhttp_request *ev, const struct route *file);
const char *reply_reason(int status);

/* ---- stream.c ---- */

/* Calls on_close of each stream and closes its connection. */
void streams_close_all(struct gateway *g);
void streams_heartbeat(int fd, short what, void *gateway);
void streams_reap(int fd, short what, void *gateway);

/* ---- Metrics (gateway_metrics.c) ---- */

extern struct metric http_metric_streams, http_metric_slow_readers, http_metric_stream_events;
extern struct metric http_metric_refused_streams, http_metric_refused_host,
    http_metric_refused_origin, http_metric_streams_max;
void http_metrics_register(void);
void http_metric_count_answer(int status);

#endif
