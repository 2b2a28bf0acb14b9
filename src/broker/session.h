/* A session: what the broker knows of one connection. It sees no socket: bytes go into the outbox,
 * and the owner is told through the port when the connection is to do something. */
#ifndef LEAT_BROKER_SESSION_H
#define LEAT_BROKER_SESSION_H

#include "base/buf.h"
#include "base/map.h"
#include "hub/hub.h"

struct broker;
struct session;
struct command;
struct blocked;
struct durable_sub;

/* What is known of the way to the peer. */
struct session_progress {
    uint64_t unacknowledged; /* bytes sent that its kernel has not acknowledged */
    uint64_t peer_window;    /* what it may hold unread, at most */
    bool reset;              /* the connection broke: it was reset, or timed out */
};

/* What the server does for a session. All are called on the broker's thread. */
struct session_port {
    /* Close once what is in the outbox has left (`after_output`), or at once. */
    void (*close)(void *owner, bool after_output);
    /* The session was blocked or paused and may go on with its input. */
    void (*resume)(void *owner);
    /* Bytes waiting in the input, for CLIENT LIST's qbuf; and memory held by the connection. */
    size_t (*input_bytes)(const void *owner);
    /* How far the peer has got the output; NULL: as far as it was sent. */
    void (*progress)(void *owner, struct session_progress *ret);
};

enum session_flag {
    SESSION_MULTI = 1 << 0,     /* between MULTI and EXEC */
    SESSION_MULTI_BAD = 1 << 1, /* a command could not be queued: EXECABORT */
    SESSION_DIRTY_CAS = 1 << 2, /* a watched key has changed */
    SESSION_MONITOR = 1 << 3,
    SESSION_BLOCKED = 1 << 4, /* see blocked.h */
    SESSION_CLOSING = 1 << 5,
    SESSION_NO_EVICT = 1 << 6,
    SESSION_NO_TOUCH = 1 << 7,
    SESSION_INTERNAL = 1 << 8, /* over a socket pair: leat's own flows and gateway */
    SESSION_UNIX = 1 << 9,
    SESSION_PAUSED = 1 << 10, /* waits for CLIENT PAUSE to end */
    SESSION_REPLY_OFF = 1 << 11,
    SESSION_REPLY_SKIP = 1 << 12,      /* for this command */
    SESSION_REPLY_SKIP_NEXT = 1 << 13, /* for the next one */
    SESSION_RENAMED = 1 << 14,         /* since it has become a durable subscriber */
};

struct queued_command { /* between MULTI and EXEC; owns its bytes */
    const struct command *cmd, *top;
    size_t admitted; /* what EXEC reckoned that it may take of the journal */
    size_t argc;
    struct bytes *argv; /* one allocation with the bytes behind the array */
};

struct watched_key;

struct session {
    uint64_t id;
    struct broker *broker;
    struct session *prev, *next;  /* all sessions, oldest first */
    struct session *next_monitor; /* of those that are one */
    const struct session_port *port;
    void *owner;
    int fd;           /* shown by CLIENT LIST; -1 */
    char address[64]; /* "127.0.0.1:50000" */
    char local[64];

    int db;
    int proto; /* 2 or 3 */
    unsigned flags;
    bool authenticated;
    struct buf name, lib_name, lib_version;        /* empty: not set */
    int64_t created_ms, active_ms;                 /* Unix time */
    const struct command *last_command, *last_top; /* NULL: none yet */
    size_t output_peak;

    struct outbox out;
    struct subscriber subscriber;
    uint64_t last_write; /* position of the last record of a command of this session */

    struct queued_command *queue;
    size_t queue_count, queue_cap, queue_bytes;
    unsigned queue_flags;             /* of all its commands */
    struct watched_key *watched;      /* list */
    struct blocked *blocked;          /* NULL when not */
    struct durable_sub *durable;      /* its durable subscriptions; NULL: none */
    struct durable_sub *durable_next; /* that had nothing when others were fed; NULL: none */
    uint64_t durable_end;             /* of the output up to here, no limit counts what is left */
};

/* Whose subscriber this is. */
static inline struct session *session_of_subscriber(struct subscriber *s)
{
    return (struct session *)((char *)s - offsetof(struct session, subscriber));
}

/* In subscribed mode a RESP2 session may only (un)subscribe, PING, QUIT and RESET. */
static inline bool session_is_subscribed(const struct session *s)
{
    return subscriber_is_any(&s->subscriber);
}

#endif
