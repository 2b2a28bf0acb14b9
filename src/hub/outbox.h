/* What is on its way to one connection: its own bytes, shared pieces among them, and gates.
 *
 *      head                 gate 1 (pos 17)        gate 2 (pos 42)      end
 *       | own | shared piece | own ... waits for 17 | own ... for 42     |
 *
 * Places in it are counted from the connection's first byte on. A gate says that the bytes from its
 * place on may leave only when the journal covers a position. Positions grow along the output (a
 * later byte never leaves before an earlier one), so only what raises the bar is kept. No I/O here:
 * the server takes what is ready and says how much it wrote.
 *
 * While the owner's command writes its reply straight into `bytes`, what others put (a line of
 * MONITOR, say) waits aside and follows the reply: inside of it it would be taken for a part of it.
 * One thread. */
#ifndef LEAT_HUB_OUTBOX_H
#define LEAT_HUB_OUTBOX_H

#include "hub/queue.h"
#include "hub/shared.h"

struct outbox {
    struct buf bytes;    /* its own */
    size_t sent;         /* of these, at the front, that have left already */
    uint64_t head;       /* bytes that have left, of all kinds */
    size_t shared_bytes; /* in pieces, not yet left */
    struct queue pieces, gates;
    /* Called when something was put into an outbox that was not marked as dirty; the owner flushes
     * it at the end of the turn and clears the mark. */
    void (*on_dirty)(void *owner);
    void *owner;
    bool dirty;
    bool closed; /* nothing more is taken in: the connection is going */
    bool replying;
    uint64_t reply_at;          /* where the reply begins */
    struct outbox_aside *aside; /* what was put while replying; NULL: nothing */
};

void outbox_init(struct outbox *o, void (*on_dirty)(void *owner), void *owner);
void outbox_fini(struct outbox *o);

/* Bytes that have not left yet. */
static inline size_t outbox_pending(const struct outbox *o)
{
    return o->bytes.len - o->sent + o->shared_bytes;
}
/* The place of the next byte to be appended. */
static inline uint64_t outbox_end(const struct outbox *o)
{
    return o->head + outbox_pending(o);
}
/* Says that there is something to be written. */
static inline void outbox_touch(struct outbox *o)
{
    if (!o->dirty) {
        o->dirty = true;
        o->on_dirty(o->owner);
    }
}
/* Appends bytes that depend on `position` (0: on nothing). */
void outbox_put(struct outbox *o, struct bytes b, uint64_t position);
/* The same with a part of a block, by reference where that is worth it. */
void outbox_share(struct outbox *o, struct shared *block, size_t from, size_t len,
                  uint64_t position);

/* A reply is written into o->bytes between these two; it depends on `position`. */
static inline void outbox_reply_begin(struct outbox *o)
{
    o->replying = true;
    o->reply_at = outbox_end(o);
}
void outbox_reply_end(struct outbox *o, uint64_t position);

/* What may leave now, in at most `max` runs; answers how many. *ret_all: that is everything there
 * is. The runs hold until the outbox is written to. */
size_t outbox_ready(const struct outbox *o, uint64_t covered, struct bytes *ret_runs, size_t max,
                    bool *ret_all);
/* The first n bytes of what was ready have left. */
void outbox_sent(struct outbox *o, size_t n);
/* Gives back what memory it keeps ready while it is empty. */
void outbox_trim(struct outbox *o);

#endif
