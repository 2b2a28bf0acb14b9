/* One GET of an endless HTTP response, by libcurl on a libevent base: TLS, redirects (up to 5),
 * proxies from the environment (and SSL_CERT_FILE, for certificates of one's own), compressed
 * responses, TCP keep-alive. It knows nothing of what is in the body and never tries again: that is
 * the source's. One thread: the event base's.
 *
 * HTTP/1.1 only: one response fills a connection, and a pause then reaches the peer through the
 * socket's own window instead of filling the large one that HTTP/2 grants in advance. */
#ifndef LEAT_FLOW_HTTP_STREAM_H
#define LEAT_FLOW_HTTP_STREAM_H

#include "base/bytes.h"

struct event_base;
struct http_stream;

/* Borrowed until the return of the call it is handed to. */
struct http_head {
    long status;
    struct bytes content_type; /* empty when the peer sends none */
};

struct http_end {
    bool orderly;          /* the response came to its end: nothing went wrong */
    bool complete;         /* ... and its length was known, so that nothing can be missing */
    bool refused;          /* on_head said no */
    int64_t retry_after_s; /* what Retry-After asks for; 0: nothing */
    const char *why;       /* unless orderly or refused: what went wrong and what helps */
};

struct http_stream_options {
    const char *url, *user_agent, *accept;
    const char *last_event_id; /* NULL or "": not sent */
    int connect_timeout_ms;
    bool (*on_head)(void *arg, const struct http_head *head); /* false: refused, on_end follows */
    void (*on_body)(void *arg, struct bytes body);            /* at most HTTP_BODY_MAX at a time */
    void (*on_alive)(void *arg);                              /* a line of the head has come */
    void (*on_end)(void *arg, const struct http_end *end); /* once, the last call; free it then */
    void *arg;
};

enum { HTTP_BODY_MAX = 64 * 1024 };

/* Starts at the next turn of the loop; no callback comes before that. Strings are copied. */
struct http_stream *http_stream_new(struct event_base *base, const struct http_stream_options *o);
/* Not from within on_head, on_body and on_alive. */
void http_stream_free(struct http_stream *h);
/* Stops reading from the socket. on_body may still be called for what is on its way. */
void http_stream_pause(struct http_stream *h);
/* May call on_body before it returns; not from within a callback. */
void http_stream_resume(struct http_stream *h);

/* `url` without user name and password, for people to read. Borrowed `out` of at least url's size.
 */
void http_url_redact(const char *url, char *out);

#endif
