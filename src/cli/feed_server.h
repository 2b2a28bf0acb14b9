/* A small HTTP server of endless responses: what `leat replay` and `leat simulate` serve their
 * feeds with. It answers any path with the feed, to many clients at once, and can behave badly on
 * demand. What is sent, and when, is its owner's business; how much waits for a slow client is
 * bounded by asking feed_client_has_room() first. One thread: the event base's. */
#ifndef LEAT_CLI_FEED_SERVER_H
#define LEAT_CLI_FEED_SERVER_H

#include "base/buf.h"

struct event_base;
struct feed_server;
struct feed_client;

enum feed_format { FEED_SSE, FEED_NDJSON };

struct feed_server_options {
    const char *bind; /* an IP address; NULL: 127.0.0.1 */
    int port;         /* 0: any free one */
    enum feed_format format;
    int heartbeat_ms; /* a client that got nothing for so long gets a heartbeat; 0: never */
    bool split;       /* everything goes out byte by byte */
    /* A client asks for the feed, from after `last_event_id` (borrowed; empty when it says none).
     * Returns what the other two are called with. May send already. */
    void *(*on_open)(void *arg, struct feed_client *c, struct bytes last_event_id);
    void (*on_room)(void *state);  /* there is room to send again */
    void (*on_close)(void *state); /* the client is gone: `c` is no more */
    void *arg;
};

/* NULL when it cannot listen, with a sentence in `error`. */
struct feed_server *feed_server_new(struct event_base *base, const struct feed_server_options *o,
                                    struct buf *error);
/* Closes all clients, calling on_close for each. */
void feed_server_free(struct feed_server *s);
int feed_server_port(const struct feed_server *s);
/* Prints the `ready` line with the URL and serves until SIGTERM or SIGINT; 0. */
int feed_server_run(struct feed_server *s);

bool feed_client_has_room(const struct feed_client *c);
void feed_client_send(struct feed_client *c, struct bytes data);
/* Ends the response once all sent so far is out: in good order, or by dropping the connection in
 * its middle. Nothing may be sent after it; on_close follows. */
void feed_client_end(struct feed_client *c);
void feed_client_drop(struct feed_client *c);
/* From now on not even heartbeats. */
void feed_client_hang(struct feed_client *c);

/* The head of a request. */
struct feed_request {
    int status; /* 200, or what to answer instead */
    bool http_1_0;
    struct bytes last_event_id; /* borrowed from the head */
};
/* `head` ends with the blank line. */
void feed_request_parse(struct bytes head, struct feed_request *ret);

#endif
