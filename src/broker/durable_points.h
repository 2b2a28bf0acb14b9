/* Checkpoints of one durable subscription: where in the connection's output which entry ends, and
 * when that had been handed to the socket. From them follows from where a subscriber that comes
 * back is served: from the newest entry that it surely has.
 *
 *     output:     |....... A ....|..... B ..|...... C ......|.. not handed to the socket
 *     checkpoint:                a          b               c    (end of the bytes, id)
 *
 * Plain SUBSCRIBE has no acknowledgement, and what the peer's kernel has acknowledged may die
 * unread with the peer. So a window is taken off: see points_position(). The list is bounded; where
 * it is thinned out, a position is earlier than it need be, never later. The oldest checkpoint is
 * always one that holds: what came before it was settled before. State only. */
#ifndef LEAT_BROKER_DURABLE_POINTS_H
#define LEAT_BROKER_DURABLE_POINTS_H

#include "base/mem.h"
#include "keys/stream_id.h"

enum { POINTS_MAX = 64 };

struct point {
    uint64_t end;        /* bytes of the connection's output, from its first one on */
    struct stream_id id; /* of the last entry that is wholly in them */
    uint64_t ordinal;    /* of the entry behind it */
    int64_t sent_ms; /* when it was seen that all of them were handed to the socket; 0: not yet */
};

struct points {
    struct point *at; /* from the oldest to the newest */
    uint32_t count, cap;
};

/* What became of the output, and how much of it does not count as read. */
struct points_view {
    uint64_t sent;         /* bytes handed to the socket */
    uint64_t acknowledged; /* of these, by the peer's kernel */
    uint64_t window_bytes; /* of the acknowledged ones, those that may not have been read */
    int64_t window_ms;     /* what was sent before counts as read; negative: time tells nothing */
    int64_t now_ms;
};

void points_fini(struct points *p);
/* Forgets all and begins anew, at an entry that the subscriber has. */
void points_restart(struct points *p, struct stream_id id, uint64_t ordinal);
/* `end` and `id` are not below those of the newest. */
void points_add(struct points *p, uint64_t end, struct stream_id id, uint64_t ordinal);
/* Notes which are sent by now. */
void points_note_sent(struct points *p, uint64_t sent, int64_t now_ms);
/* What was queued behind `end` will not be sent. */
void points_cut(struct points *p, uint64_t end);
/* The newest one that the subscriber surely has: all its bytes acknowledged, and window_bytes more
 * of them, or sent window_ms ago. Its index. */
uint32_t points_position(const struct points *p, const struct points_view *v);
/* Those before the i-th are not needed any more. */
void points_forget(struct points *p, uint32_t i);
/* The newest whose bytes end at `end` or before. */
const struct point *points_before(const struct points *p, uint64_t end);

static inline const struct point *points_newest(const struct points *p)
{
    return &p->at[p->count - 1];
}

#endif
