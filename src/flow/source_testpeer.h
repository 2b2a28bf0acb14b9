/* For tests: an HTTP peer on the test's own loop that does exactly what it is told, good or bad. */
#ifndef LEAT_FLOW_SOURCE_TESTPEER_H
#define LEAT_FLOW_SOURCE_TESTPEER_H

#include <event2/event.h>
#include <stddef.h>

struct testpeer;
struct testpeer_conn;

/* Listens on a free port of 127.0.0.1. */
struct testpeer *testpeer_new(struct event_base *base);
void testpeer_free(struct testpeer *p);
int testpeer_port(const struct testpeer *p);
/* Listens no more. */
void testpeer_stop(struct testpeer *p);
/* Called with each request, numbered from 0. */
void testpeer_answer(struct testpeer *p, void (*answer)(struct testpeer_conn *c, int number));

int testpeer_requests(const struct testpeer *p);
/* The head of request `number`. */
const char *testpeer_request(const struct testpeer *p, int number);
/* Bytes that the kernel has not taken yet, over all connections. */
size_t testpeer_unsent(const struct testpeer *p);

struct testpeer *testpeer_of(struct testpeer_conn *c);
void testpeer_say(struct testpeer_conn *c, const char *text);
void testpeer_send(struct testpeer_conn *c, const void *data, size_t n);
/* `piece` bytes every `pause_ms`. Once per connection. */
void testpeer_say_slowly(struct testpeer_conn *c, const char *text, int pause_ms, size_t piece);
/* Closes once everything said is sent. */
void testpeer_close(struct testpeer_conn *c);

#endif
