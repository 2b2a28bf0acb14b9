/* The gateway's side of a request under way. */
#ifndef LEAT_HTTP_REQUEST_H
#define LEAT_HTTP_REQUEST_H

struct evhttp_request;
struct gateway;
struct http_request;

struct http_request *request_new(struct gateway *g, struct evhttp_request *ev);
/* Frees it without an answer. */
void request_free(struct http_request *r);
/* The gateway goes: their answers, when they come, are dropped. */
void requests_orphan(struct gateway *g);

#endif
