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

/* What is sent may be the request's own text (its query), so the request ends after it. */
void http_answer(struct http_request *r, int status, const char *content_type, struct bytes body)
{
    if (r->ev) {
        reply_headers(r->ev, content_type, "no-store");
        reply_send(r->ev, status, body);
    }
    request_free(r);
}

void http_answer_error(struct http_request *r, int status, const char *text)
{
    if (r->ev) reply_error(r->ev, status, text);
    request_free(r);
}
