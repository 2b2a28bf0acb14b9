/* Connections: bytes in, commands to the broker, gated bytes out.
 *
 *   OPEN --close(after_output), EOF--> DRAINING --output gone--> DEAD --end of turn--> freed
 *     \--error, close(now)-----------------------------------/
 *
 * Input is read into one buffer that all connections share; only the bytes of an unfinished command
 * are kept per connection. A connection is freed at the end of a turn, never inside a callback. */
#ifndef LEAT_SERVER_CONN_H
#define LEAT_SERVER_CONN_H

#include "broker/broker.h"
#include "resp/request.h"
#include "server/loop.h"

enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_DEAD };

struct server;

struct conn {
    struct server *server;
    struct session *session;
    struct loop_watch *watch;
    struct resp_request request;
    struct buf input; /* bytes of a command not yet complete, or not yet allowed to run */
    int fd;
    enum conn_state state;
    unsigned interest;
    bool stopped;         /* the broker takes nothing from it now */
    bool resuming;        /* on the list of those that go on with kept input */
    bool held;            /* not read, since the journal is full of its writes */
    bool broken;          /* reset, or timed out: what the peer got is not known */
    uint64_t peer_window; /* what the peer may hold unread, at most */
    bool gated;           /* stands in a line (gates.h) */
    int64_t over_soft_ms; /* since when its output is over the soft limit; 0: it is not */
    struct conn *next_dirty, *next_resuming, *next_held, *next_gated, *next_dead;
    struct conn *prev, *next; /* all connections */
};

struct conn *conn_new(struct server *server, int fd, const char *address, const char *local,
                      unsigned session_flags);
/* Says goodbye with these bytes if they fit at once, and closes; for a connection that was never
 * taken in. */
void conn_refuse(int fd, const char *reply);
void conn_flush(struct conn *c);
/* Closes it when its output is over client-output-buffer-limit; true then. */
bool conn_check_output(struct conn *c);
void conn_close(struct conn *c); /* DEAD; freed by conn_free_dead */
/* Gives back buffers that are empty. */
void conn_trim(struct conn *c);
/* Feeds input that was kept while the broker took nothing. */
void conn_resume(struct conn *c);
void conn_unhold(struct conn *c);
/* Takes the dead off a list that is linked by the field at `next`. */
void conn_drop_dead(struct conn **at, size_t next);
void conn_free(struct conn *c);

#endif
