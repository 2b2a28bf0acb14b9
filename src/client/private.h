/* The client's inside: one struct, shared by client.c (commands), connect.c (how a connection
 * comes and goes), connection.c (what happens on it) and pubsub.c (subscriptions).
 *
 * Phases, and what leads from one to the next:
 *
 *     WAITING --timer--> RESOLVING --> CONNECTING --> GREETING --> READY
 *        ^                   |             |             |           |
 *        +-------------------+--- why -----+-------------+-----------+   (GONE for a client of an
 * fd)
 *
 * GREETING is AUTH, SELECT, CLIENT SETNAME and PING, each answered; no command leaves before.
 *
 * Commands given in READY belong to that connection and fail with it, sent or not: the second half
 * of a MULTI must not be executed alone on the next one. Commands given in other phases wait.
 *
 * Callbacks may call everything, leat_client_free included: whoever calls one holds a reference and
 * looks at `closed` behind it. Nothing but leat_client_free and the loop's own events ends a
 * connection, so no callback returns into a connection that changed under it. */
#ifndef LEAT_CLIENT_PRIVATE_H
#define LEAT_CLIENT_PRIVATE_H

#include <event2/event.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/rand.h"
#include "client/url.h"
#include "leat/leat.h"
#include "resp/reply.h"

enum phase {
    PHASE_WAITING,
    PHASE_RESOLVING,
    PHASE_CONNECTING,
    PHASE_GREETING,
    PHASE_READY,
    PHASE_GONE,
};

enum {
    CLIENT_MAGIC = 0x6c656174,
    WHY_MAX = 256,
    READ_MAX = 64 * 1024,              /* per turn of the loop, so that others get theirs */
    OUT_BYTES_MAX = 256 * 1024 * 1024, /* commands not yet written */
    OUT_BYTES_KEPT = 64 * 1024,
};

/* A command without its reply. */
struct pending {
    leat_reply_fn fn; /* may be NULL */
    void *arg;
    int64_t patience_ms;
    bool ping; /* ours */
};

/* A ring; `cap` is a power of two. */
struct pending_queue {
    struct pending *items;
    size_t head, count, cap;
};

struct leat_client {
    uint32_t magic;
    int owners;
    bool closed;
    struct event_base *base;

    bool has_url;
    struct leat_url url;
    char *name;
    int connect_timeout_ms, ping_interval_ms, backoff_min_ms, backoff_max_ms;
    size_t pending_max;
    void (*on_state)(void *arg, enum leat_state state, const char *why);
    void *arg;

    enum phase phase;
    enum leat_state state; /* as last told */
    int fd;                /* -1: none */
    struct event *readable, *writable;
    struct event *timer; /* what it means depends on the phase */
    struct event *wake;  /* made active to write, and to go on with replies already read */
    struct lookup *lookup;
    struct addrinfo *addresses, *next_address;
    unsigned attempts; /* failed in a row */
    struct rng rng;
    int64_t ready_since_ms;

    struct resp_reader *reader;
    struct buf hello, out; /* what is to be written in GREETING, in READY */
    size_t written;        /* of hello or out */
    const char *hello_steps[4];
    unsigned hello_sent, hello_answered;

    struct pending_queue queue;
    size_t pings; /* in the queue */
    int64_t patience_ms;
    size_t forever; /* commands in the queue that may wait for ever */

    int64_t heard_ms; /* when bytes last came */
    int64_t asked_ms; /* when, since then, it was found to owe an answer; 0: not */
    bool paused;

    bool subscriber;
    struct map channels, patterns; /* of struct subscription */
};

int64_t client_now_ms(void);
void client_ref(struct leat_client *c);
void client_unref(struct leat_client *c);

/* ---- connect.c ---- */

/* The client of an event. */
struct leat_client *client_self(void *arg);
void client_set_timer(struct leat_client *c, int64_t ms);
/* Tells the owner of a new state. He may free the client: the caller holds a reference. */
void client_tell(struct leat_client *c, enum leat_state state, const char *why);
/* The first attempt comes from the loop. */
int client_start(struct leat_client *c);
/* Closes whatever is open; tells nobody. */
void client_disconnect(struct leat_client *c);
/* The connection failed: tells everybody and prepares the next attempt. */
void client_broken(struct leat_client *c, const char *why);
void client_broken_by(struct leat_client *c, const char *what, int error);

/* ---- connection.c ---- */

/* The socket is connected: to PHASE_GREETING. */
void client_greet(struct leat_client *c);
/* Writes what it can; false when that broke the connection. */
bool client_flush(struct leat_client *c);
/* Writes and goes on reading, from the loop. */
void client_wake(struct leat_client *c);
/* The timer in PHASE_READY. */
void client_check_silence(struct leat_client *c);
void client_on_readable(evutil_socket_t fd, short what, void *arg);
void client_on_wake(evutil_socket_t fd, short what, void *arg);

/* ---- client.c ---- */

/* Appends to `out` in READY without regard to limits. */
void client_send_ping(struct leat_client *c);
void client_take_reply(struct leat_client *c, const struct resp_reply *reply);
/* The oldest pending command is a PING of ours that was answered. False when it is not. */
bool client_take_pong(struct leat_client *c);
/* Calls fn with NULL for the oldest `count` pending commands. */
void client_fail_pending(struct leat_client *c, size_t count);

/* ---- pubsub.c ---- */

void pubsub_init(struct leat_client *c);
void pubsub_fini(struct leat_client *c);
/* Appends (P)SUBSCRIBE for all, on a new connection. */
void pubsub_resubscribe(struct leat_client *c);
/* A reply on a subscriber's connection. Returns why the connection is of no use any more (in `why`
 * of WHY_MAX bytes), else NULL. */
const char *pubsub_take_reply(struct leat_client *c, const struct resp_reply *reply, char *why);

#endif
