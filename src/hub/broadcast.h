/* The output that the members of an audience share, and each member's place in it.
 *
 *     pieces:   [ block, from, len ] [ block, from, len ] ... | tail
 *                     ^ reader A           ^ readers B, C           ^ everybody else
 *
 * Places are counted in bytes from the broadcast's beginning. A piece is a part of a block: of the
 * tape on which the hub encodes each message once, where a message follows the one before it there,
 * and of a block of the broadcast's own where it does not. So members read contiguous bytes, and a
 * message is copied only where other audiences' messages lie between. A piece goes when its last
 * reader has passed it; when all readers are at the tail, nothing is left.
 *
 * What is appended may wait for a position of the journal: it is released to the prefix maximum.
 * One thread. */
#ifndef LEAT_HUB_BROADCAST_H
#define LEAT_HUB_BROADCAST_H

#include "hub/outbox.h"

struct broadcast {
    struct queue pieces, gates, marks;
    uint64_t first;     /* number of the first piece */
    struct shared *own; /* the last piece's, when that is one that may be appended to */
    uint64_t tail;
    uint64_t messages;       /* ever appended */
    size_t readers, at_tail; /* how many there are, and how many have nothing to read */
};

struct broadcast_reader {
    uint64_t piece;  /* number of the piece it reads */
    uint64_t cursor; /* its place; <= tail */
};

/* What a reader has not got. */
struct broadcast_lag {
    uint64_t messages;
    int64_t since_ms; /* when the oldest of these came, to 100 ms; 0: there are none */
};

void broadcast_fini(struct broadcast *f); /* readers are gone */

/* Joins at the tail. */
void broadcast_join(struct broadcast *f, struct broadcast_reader *r);
void broadcast_leave(struct broadcast *f, struct broadcast_reader *r);
/* Puts what the reader has not got into the outbox, by reference; the reader is at the tail then.
 */
void broadcast_move(struct broadcast *f, struct broadcast_reader *r, struct outbox *to);

/* Appends one message, a part of `tape`. */
void broadcast_append(struct broadcast *f, struct shared *tape, size_t from, size_t len,
                      uint64_t position, int64_t now_ms);
/* At the end of a turn: what little is still there does not keep a large block of everybody's. */
void broadcast_compact(struct broadcast *f);

static inline size_t broadcast_pending(const struct broadcast *f, const struct broadcast_reader *r)
{
    return (size_t)(f->tail - r->cursor);
}
/* As outbox_ready() and outbox_sent(). */
size_t broadcast_ready(struct broadcast *f, const struct broadcast_reader *r, uint64_t covered,
                       struct bytes *ret_runs, size_t max);
void broadcast_sent(struct broadcast *f, struct broadcast_reader *r, size_t n);

/* Takes from the reader what it has not got: the rest of a message that has left in part, and
 * messages that `keep` wants (NULL: none), come into the outbox. Returns how many others there
 * were.
 */
uint64_t broadcast_drop(struct broadcast *f, struct broadcast_reader *r, struct outbox *to,
                        bool (*keep)(void *arg, struct bytes message), void *arg);

struct broadcast_lag broadcast_lag(const struct broadcast *f, const struct broadcast_reader *r);

#endif
