/* How answers look: the headers every one carries, errors as JSON, files with their ETag. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>

#include "http/gateway_priv.h"
#include "http/json_out.h"

/* Everything comes from here: no other host is ever asked, no frame may hold a page of ours. */
static const char *const security_headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

const char *reply_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 421:
        return "Misdirected Request";
    case 500:
        return "Internal Server Error";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return status < 400 ? "OK" : "Error";
    }
}

void reply_headers(struct evhttp_request *ev, const char *content_type, const char *cache)
{
    struct evkeyvalq *out = evhttp_request_get_output_headers(ev);
    for (size_t i = 0; i < sizeof(security_headers) / sizeof(*security_headers); i++) {
        evhttp_add_header(out, security_headers[i][0], security_headers[i][1]);
    }
    evhttp_add_header(out, "Content-Type", content_type);
    evhttp_add_header(out, "Cache-Control", cache);
}

void reply_send(struct evhttp_request *ev, int status, struct bytes body)
{
    struct evbuffer *out = evbuffer_new();
    if (evhttp_request_get_command(ev) == EVHTTP_REQ_HEAD) {
        char length[24];
        snprintf(length, sizeof(length), "%zu", body.len);
        evhttp_add_header(evhttp_request_get_output_headers(ev), "Content-Length", length);
    } else if (out) {
        evbuffer_add(out, body.data, body.len);
    }
    http_metric_count_answer(status);
    evhttp_send_reply(ev, status, reply_reason(status), out);
    if (out) evbuffer_free(out);
}

void reply_error(struct evhttp_request *ev, int status, const char *text)
{
    struct buf body = {0};
    struct json_out j;
    json_out_init(&j, &body);
    json_out_object(&j);
    json_out_key(&j, "error");
    json_out_text(&j, text);
    json_out_object_end(&j);
    buf_putc(&body, '\n');
    reply_headers(ev, "application/json", "no-store");
    if (status == 405) {
        evhttp_add_header(evhttp_request_get_output_headers(ev), "Allow", "GET, HEAD");
    }
    if (status == 503) {
        evhttp_add_header(evhttp_request_get_output_headers(ev), "Retry-After", "5");
    }
    reply_send(ev, status, buf_bytes(&body));
    buf_fini(&body);
}

/* If-None-Match is `*` or a list of tags; a weak one counts, as the comparison is a weak one. */
static bool is_fresh(const char *tags, const char *etag)
{
    size_t len = strlen(etag);
    while (tags && *tags) {
        tags += strspn(tags, " \t,");
        if (*tags == '*') return true;
        if (strncmp(tags, "W/", 2) == 0) tags += 2;
        if (strncmp(tags, etag, len) == 0 && strchr(" \t,", tags[len])) return true;
        tags += strcspn(tags, ",");
    }
    return false;
}

void reply_file(struct evhttp_request *ev, const struct route *file)
{
    const char *tags = evhttp_find_header(evhttp_request_get_input_headers(ev), "If-None-Match");
    /* no-cache: kept, but asked for again each time, so that a new binary shows its new page. */
    reply_headers(ev, file->content_type, "no-cache");
    evhttp_add_header(evhttp_request_get_output_headers(ev), "ETag", file->etag);
    if (is_fresh(tags, file->etag)) {
        http_metric_count_answer(304);
        evhttp_send_reply(ev, 304, reply_reason(304), NULL);
    } else {
        reply_send(ev, 200, file->content);
    }
}
