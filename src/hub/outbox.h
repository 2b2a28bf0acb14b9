/* What is on its way to one connection: contiguous bytes, and gates in them.
 *
 *      sent        gate 1 (pos 17)    gate 2 (pos 42)      len
 *       |  may leave   |  waits for 17     |  waits for 42   |
 *
 * A gate says that the bytes from its offset on may leave only when the journal covers a position.
 * Positions grow along the buffer (a later byte never leaves before an earlier one), so whoever
 * appends calls outbox_gate() first and the outbox keeps only what raises the bar. No I/O here: the
 * server takes what is ready and says how much it wrote.
 *
 * While the owner's command writes its reply straight into `bytes`, what others put (a message to
 * oneself, a keyspace event of one's own EXEC) waits aside and follows the reply: inside of it it
 * would be taken for a part of it. One thread. */
#ifndef LEAT_HUB_OUTBOX_H
#define LEAT_HUB_OUTBOX_H

#include "base/buf.h"

struct outbox_gate {
    size_t offset;
    uint64_t position;
};

struct outbox {
    struct buf bytes;
    size_t sent; /* bytes at the front that have left already */
    struct outbox_gate *gates;
    size_t gate_first, gate_count, gate_cap;
    /* Called when something was put into an outbox that was not marked as dirty; the owner flushes
     * it at the end of the turn and clears the mark. */
    void (*on_dirty)(void *owner);
    void *owner;
    bool dirty;
    bool closed; /* nothing more is taken in: the connection is going */
    bool replying;
    struct buf aside; /* what was put while replying */
    uint64_t aside_position;
};

void outbox_init(struct outbox *o, void (*on_dirty)(void *owner), void *owner);
void outbox_fini(struct outbox *o);

/* What is appended at `offset` (an index into bytes) and behind waits for `position`. */
void outbox_gate(struct outbox *o, size_t offset, uint64_t position);
/* Says that something was written into o->bytes. */
static inline void outbox_touch(struct outbox *o)
{
    if (!o->dirty) {
        o->dirty = true;
        o->on_dirty(o->owner);
    }
}
/* Appends ready-made bytes that depend on `position` (0: on nothing). */
void outbox_put(struct outbox *o, struct bytes b, uint64_t position);

/* A reply is written into o->bytes between these two. */
static inline void outbox_reply_begin(struct outbox *o)
{
    o->replying = true;
}
void outbox_reply_end(struct outbox *o);

/* The bytes that may leave now. */
struct bytes outbox_ready(const struct outbox *o, uint64_t covered);
/* The first n bytes of what was ready have left. */
void outbox_sent(struct outbox *o, size_t n);
/* Bytes that have not left yet. */
static inline size_t outbox_pending(const struct outbox *o)
{
    return o->bytes.len - o->sent;
}

#endif
