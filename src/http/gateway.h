/* The HTTP gateway: a small server on libevent's evhttp whose routes are handed to it. It checks
 * Host and Origin, serves the built-in files, and keeps event streams (SSE) open. One thread: the
 * one that runs the event base. */
#ifndef LEAT_HTTP_GATEWAY_H
#define LEAT_HTTP_GATEWAY_H

#include "base/buf.h"

struct event_base;
struct gateway;
struct http_request; /* one request under way; freed by its answer */
struct http_stream;  /* one open event stream */

struct gateway_options {
    const char *bind;
    int port;                 /* 0: any free one */
    const char *const *hosts; /* further names allowed in Host, NULL-terminated; may be NULL.
                                 Loopback names and the bound address are always allowed. */
    size_t streams_max;       /* 0: 1,024; more are answered 503 */
};

/* NULL with *ret_error filled (mem_strdup'd, caller frees by mem_free) when it cannot listen. */
struct gateway *gateway_new(struct event_base *base, const struct gateway_options *options,
                            char **ret_error);
void gateway_free(struct gateway *g);
int gateway_port(const struct gateway *g);

/* ---- Routes ---- */

typedef void (*http_handler)(struct http_request *r, void *arg);
/* `path` is exact. Methods: GET (and HEAD with it). A path registered twice: the later wins. */
void gateway_route(struct gateway *g, const char *path, http_handler handler, void *arg);
/* Serves bytes that live as long as the gateway (ETag and caching included). */
void gateway_file(struct gateway *g, const char *path, const char *content_type,
                  struct bytes content);

/* Value of a query parameter, decoded; NULL when absent. `index` for repeated ones. Lives as long
 * as the request. */
const char *http_query(struct http_request *r, const char *name, int index);

/* Each request is answered exactly once, now or later on the same thread. If the peer has gone the
 * answer is dropped. */
void http_answer(struct http_request *r, int status, const char *content_type, struct bytes body);
void http_answer_error(struct http_request *r, int status, const char *text); /* JSON {"error"} */

/* ---- Event streams ---- */

/* Turns the request into an event stream. on_close is called once, when the peer has gone or the
 * gateway is freed. The stream is the gateway's; the pointer is dead after on_close. NULL when
 * there is to be none (streams_max is reached, the request is HEAD): it is answered already, and
 * on_close is not called. */
struct http_stream *http_stream_open(struct http_request *r,
                                     void (*on_close)(struct http_stream *s, void *arg), void *arg);
/* `event` and `id` may be NULL. A slow reader with more than 1 MB unsent is closed. */
void http_stream_send(struct http_stream *s, const char *event, const char *id, struct bytes data);
/* The Last-Event-ID the reader came with, or NULL. */
const char *http_stream_last_id(const struct http_stream *s);

#endif
