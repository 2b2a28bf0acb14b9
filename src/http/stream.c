/* Event streams (Server-Sent Events): chunked answers that stay open. The reader's connection is
 * the stream's life: it is never used for another request. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/mem.h"
#include "base/must.h"
#include "http/gateway_priv.h"
#include "http/request.h"

static void unlink_stream(struct http_stream *s)
{
    struct gateway *g = s->gateway;
    if (s->prev) s->prev->next = s->next;
    if (s->next) s->next->prev = s->prev;
    if (g->streams == s) g->streams = s->next;
    g->stream_count--;
    metric_set(&http_metric_streams, (int64_t)g->stream_count);
}

/* Called by evhttp once, from within the end of the connection, whoever ended it. */
static void on_connection_close(struct evhttp_connection *conn, void *arg)
{
    struct http_stream *s = arg;
    unlink_stream(s);
    s->on_close(s, s->arg);
    /* When the peer went, evhttp has already parted the request from the connection and left it
     * to us; when we close the connection ourselves, it frees the request with it. */
    if (!evhttp_request_get_connection(s->ev)) evhttp_request_free(s->ev);
    mem_free(s->last_id);
    mem_free(s);
}

static void write_bytes(struct http_stream *s, struct bytes data)
{
    struct evbuffer *chunk = evbuffer_new();
    if (!chunk) return;
    evbuffer_add(chunk, data.data, data.len);
    evhttp_send_reply_chunk(s->ev, chunk);
    evbuffer_free(chunk);
}

static size_t unsent(const struct http_stream *s)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(s->ev);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    return evbuffer_get_length(bufferevent_get_output(bev));
}

static void start(struct http_stream *s)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(s->ev);
    struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
    struct timeval patience = {HTTP_IDLE_S, 0};
    struct buf hello = {0};
    reply_headers(s->ev, "text/event-stream; charset=utf-8", "no-store");
    evhttp_add_header(evhttp_request_get_output_headers(s->ev), "X-Accel-Buffering", "no");
    evhttp_connection_set_closecb(conn, on_connection_close, s);
    evhttp_send_reply_start(s->ev, 200, reply_reason(200));
    http_metric_count_answer(200);
    /* A reader has nothing to say, so its silence is no timeout, and what it says all the same
     * must not pile up. */
    bufferevent_set_timeouts(bev, NULL, &patience);
    bufferevent_setwatermark(bev, EV_READ, 0, HTTP_STREAM_READ_MAX);
    buf_printf(&hello, "retry: %d\n\n", HTTP_RETRY_MS);
    write_bytes(s, buf_bytes(&hello));
    buf_fini(&hello);
}

/* HEAD asks for the headers of a stream only; a gateway full of streams takes no more. */
static bool answer_without_stream(struct http_request *r)
{
    if (!r->ev) {
        request_free(r);
    } else if (evhttp_request_get_command(r->ev) == EVHTTP_REQ_HEAD) {
        http_answer(r, 200, "text/event-stream; charset=utf-8", BYTES(""));
    } else if (r->gateway->stream_count >= r->gateway->streams_max) {
        metric_add(&http_metric_refused_streams, 1);
        http_answer_error(r, 503, "too many event streams are open");
    } else {
        return false;
    }
    return true;
}

struct http_stream *http_stream_open(struct http_request *r,
                                     void (*on_close)(struct http_stream *s, void *arg), void *arg)
{
    struct gateway *g = r->gateway;
    struct http_stream *s = NULL;
    const char *last_id = NULL;
    if (answer_without_stream(r)) return NULL;
    s = mem_calloc(sizeof(*s));
    *s = (struct http_stream){.gateway = g, .ev = r->ev, .on_close = on_close, .arg = arg};
    last_id = evhttp_find_header(evhttp_request_get_input_headers(r->ev), "Last-Event-ID");
    if (last_id) s->last_id = mem_strdup(last_id);
    s->next = g->streams;
    if (s->next) s->next->prev = s;
    g->streams = s;
    g->stream_count++;
    metric_set(&http_metric_streams, (int64_t)g->stream_count);
    request_free(r);
    start(s);
    return s;
}

/* Each line of the data in a field of its own, whichever way it ends. */
static void put_data(struct buf *out, struct bytes data)
{
    size_t at = 0;
    for (;;) {
        size_t end = at;
        while (end < data.len && data.data[end] != '\n' && data.data[end] != '\r') end++;
        buf_put(out, BYTES("data: "));
        buf_append(out, data.data + at, end - at);
        buf_putc(out, '\n');
        if (end >= data.len) return;
        if (data.data[end] == '\r' && end + 1 < data.len && data.data[end + 1] == '\n') end++;
        at = end + 1;
    }
}

void http_stream_send(struct http_stream *s, const char *event, const char *id, struct bytes data)
{
    struct buf out = {0};
    if (s->doomed) return;
    if (unsent(s) > HTTP_UNSENT_MAX) {
        s->doomed = true;
        metric_add(&http_metric_slow_readers, 1);
        event_active(s->gateway->reaper, EV_TIMEOUT, 0);
        return;
    }
    must(!event || !strpbrk(event, "\r\n"));
    must(!id || !strpbrk(id, "\r\n"));
    if (event) buf_printf(&out, "event: %s\n", event);
    if (id) buf_printf(&out, "id: %s\n", id);
    put_data(&out, data);
    buf_putc(&out, '\n');
    write_bytes(s, buf_bytes(&out));
    metric_add(&http_metric_stream_events, 1);
    buf_fini(&out);
}

const char *http_stream_last_id(const struct http_stream *s)
{
    return s->last_id;
}

void streams_heartbeat(int fd, short what, void *gateway)
{
    struct gateway *g = gateway;
    for (struct http_stream *s = g->streams; s; s = s->next) {
        if (!s->doomed) write_bytes(s, BYTES(":\n\n"));
    }
}

static void close_stream(struct http_stream *s)
{
    evhttp_connection_free(evhttp_request_get_connection(s->ev));
}

void streams_reap(int fd, short what, void *gateway)
{
    struct gateway *g = gateway;
    struct http_stream *s = g->streams;
    while (s) {
        struct http_stream *next = s->next;
        if (s->doomed) close_stream(s);
        s = next;
    }
}

void streams_close_all(struct gateway *g)
{
    while (g->streams) close_stream(g->streams);
}
