/* What server.c, conn.c and listen.c share. */
#ifndef LEAT_SERVER_INTERNAL_H
#define LEAT_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/journal.h"
#include "server/ahead.h"
#include "server/conn.h"
#include "server/gates.h"
#include "server/server.h"

enum {
    READ_BYTES = 64 * 1024, /* read from one connection per turn: the cap of work */
    ACCEPTS_PER_TURN = 256,
    LISTENERS_MAX = 8,
};

struct listener {
    int fd;
    struct loop_watch *watch;
    struct server *server;
    bool is_unix;
};

struct server {
    struct loop *loop;
    struct broker *broker;
    struct journal *journal;
    char *input; /* READ_BYTES, shared by all connections */
    struct listener listeners[LISTENERS_MAX];
    int listener_count;
    int port;

    struct ahead ahead; /* scratch of whoever is fed */

    struct conn *conns;
    size_t conn_count;
    struct conn *dirty, *resuming, *held, *dead;
    struct gates gates; /* of those whose output waits for the journal */

    int wake_fd; /* eventfd: stop, or sockets handed over */
    struct loop_watch *wake_watch, *journal_watch;
    atomic_bool stop, well;
    atomic_int state; /* enum server_state */
    bool loading;     /* the loader runs, or has ended and was not joined */
    pthread_t loader;
    atomic_bool load_over; /* set last by the loader */
    int load_result;
    char *load_error;
    bool failed;
    bool began;           /* the broker's turn has begun */
    pthread_mutex_t lock; /* guards handed */
    int *handed;          /* descriptors of server_connect, to be taken in by the loop */
    size_t handed_count, handed_cap;
    int64_t idle_check_ms;
    int spare_fd; /* given up for a moment when descriptors run out */
};

/* server.c */
void server_begin_turn(struct server *s);
void server_flush(struct server *s); /* what is dirty, and what was published */
void server_wake(struct server *s);  /* any thread */

/* loading.c */
void server_begin_loading(struct server *s);
void server_look_at_loading(struct server *s); /* in every turn: is it over? */
void server_end_loading(struct server *s);     /* gives it up if it is not */

/* listen.c */
int server_listen(struct server *s, const struct settings *settings, char **ret_error);
void server_unlisten(struct server *s);

#endif
