/* A request under way: its query, and its one answer. */
#include <event2/event.h>
#include <event2/http.h>

#include "base/mem.h"
#include "base/must.h"
#include "http/gateway_priv.h"
#include "http/request.h"

struct http_request *request_new(struct gateway *g, struct evhttp_request *ev)
{
    struct http_request *r = mem_calloc(sizeof(*r));
    r->gateway = g;
    r->ev = ev;
    arena_init(&r->arena);
    query_parse(&r->query, &r->arena, evhttp_uri_get_query(evhttp_request_get_evhttp_uri(ev)));
    r->next = g->requests;
    if (r->next) r->next->prev = r;
    g->requests = r;
    return r;
}

void request_free(struct http_request *r)
{
    struct gateway *g = r->gateway;
    if (g) {
        if (r->prev) r->prev->next = r->next;
        if (r->next) r->next->prev = r->prev;
        if (g->requests == r) g->requests = r->next;
    }
    arena_fini(&r->arena);
    mem_free(r);
}

void requests_orphan(struct gateway *g)
{
    struct http_request *next = NULL;
    for (struct http_request *r = g->requests; r; r = next) {
        next = r->next;
        r->gateway = NULL;
        r->ev = NULL;
        r->prev = r->next = NULL;
    }
    g->requests = NULL;
}

const char *http_query(struct http_request *r, const char *name, int index)
{
    return query_get(&r->query, name, index);
}

void http_answer(struct http_request *r, int status, const char *content_type, struct bytes body)
{
    struct evhttp_request *ev = r->ev;
    request_free(r);
    if (!ev) return;
    reply_headers(ev, content_type, "no-store");
    reply_send(ev, status, body);
}

void http_answer_error(struct http_request *r, int status, const char *text)
{
    struct evhttp_request *ev = r->ev;
    if (ev) reply_error(ev, status, text); /* before the end of r, of whose query text may be */
    request_free(r);
}
