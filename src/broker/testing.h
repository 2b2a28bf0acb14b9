/* For tests: a broker without sockets, its clock turned by hand, in a directory that goes with it;
 * peers that run commands given as text and take the replies as bytes. */
#ifndef LEAT_BROKER_TESTING_H
#define LEAT_BROKER_TESTING_H

#include "broker/internal.h"

struct bench {
    struct broker *broker;
    struct settings settings; /* sync no; may be changed before bench_open */
    char dir[64];
    const struct file_layer *files; /* NULL: the real one */
};

struct peer {
    struct session *session;
    struct bench *bench;
    bool closed, closes_after_output;
    int resumed;
    struct session_progress progress; /* what its way is said to be like; all zero: good */
    struct buf reply;                 /* of the last peer_run */
};

/* The clock of all benches, in microseconds; moved by tests. */
extern int64_t bench_now_us;

void bench_init(struct bench *b);
/* Asserts that it opens. No turn has begun: nothing has expired yet. */
void bench_open(struct bench *b);
void bench_close(struct bench *b);  /* peers are closed before; what was journaled stays */
void bench_remove(struct bench *b); /* the directory too */
/* Ends one turn and begins the next, as a server does. */
void bench_turn(struct bench *b);

void peer_open(struct peer *p, struct bench *b);
void peer_close(struct peer *p);
/* Runs one command, split as an inline command is, and returns all that has come to the peer since,
 * whatever it waits for. Borrowed until the next call. */
struct bytes peer_run(struct peer *p, const char *line);
/* The same for a command that may wait for the disk: turns the bench until it is answered. */
struct bytes peer_run_to_end(struct peer *p, const char *line);
struct bytes peer_take(struct peer *p);
bool peer_is_blocked(const struct peer *p);

/* Everything in the keyspace, as text in a fixed order: equal keyspaces give equal texts. */
void bench_dump(struct bench *b, struct buf *out);

#endif
