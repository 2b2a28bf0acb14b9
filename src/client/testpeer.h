/* A server for tests, on the loop of the client under test: answers what every server answers,
 * notes what it was asked, and misbehaves on demand. */
#ifndef LEAT_CLIENT_TESTPEER_H
#define LEAT_CLIENT_TESTPEER_H

#include <event2/event.h>

#include "leat/leat.h"
#include "resp/request.h"
#include "resp/writer.h"

struct testpeer {
    struct event_base *base;
    int listener, port, fd; /* fd: the newest connection, -1 for none */
    struct event *accepting, *reading;
    struct resp_request request;
    struct buf in, seen; /* commands, as "GET a; SET a b; " */
    int connections;
    int subscribed;
    bool mute;       /* reads and answers nothing */
    bool mute_later; /* mute once the greeting is answered */
    bool one_by_one; /* answers in single bytes, each in a turn of its own */
    struct buf slow; /* what is still to be sent so */
    struct event *slow_timer;
    const char *refuse; /* this command gets an error */
    const char *refusal;
    char url[64];
};

void testpeer_init(struct testpeer *p, struct event_base *base);
void testpeer_fini(struct testpeer *p);
/* No one is accepted; then somebody is, at the same address. */
void testpeer_close(struct testpeer *p);
void testpeer_reopen(struct testpeer *p);
/* Ends the connection. */
void testpeer_drop(struct testpeer *p);
void testpeer_send(struct testpeer *p, const char *text);
/* Takes over a socket instead of accepting one. */
void testpeer_adopt(struct testpeer *p, int fd);
/* Compares what was seen so far, and forgets it. */
void testpeer_expect(struct testpeer *p, const char *seen);

/* Runs the loop until *flag (an int) is at least `value`; fails the test after 5 s. */
void run_until(struct event_base *base, const int *flag, int value);
/* Runs the loop that long. */
void run_for(struct event_base *base, int ms);

#endif
