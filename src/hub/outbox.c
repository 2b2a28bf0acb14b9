#include "hub/outbox.h"

#include "base/mem.h"
#include "base/must.h"

enum { IDLE_BYTES_MAX = 16 * 1024 }; /* an empty outbox keeps at most this much memory */

void outbox_init(struct outbox *o, void (*on_dirty)(void *owner), void *owner)
{
    *o = (struct outbox){.on_dirty = on_dirty, .owner = owner};
}

void outbox_fini(struct outbox *o)
{
    buf_fini(&o->bytes);
    buf_fini(&o->aside);
    mem_free(o->gates);
    o->gates = NULL;
    o->gate_count = o->gate_cap = o->gate_first = 0;
}

static void make_room_for_gate(struct outbox *o)
{
    if (o->gate_first + o->gate_count < o->gate_cap) return;
    if (o->gate_first > 0) {
        memmove(o->gates, o->gates + o->gate_first, o->gate_count * sizeof *o->gates);
        o->gate_first = 0;
        if (o->gate_count < o->gate_cap / 2) return;
    }
    o->gate_cap = o->gate_cap ? o->gate_cap * 2 : 4;
    o->gates = mem_realloc(o->gates, o->gate_cap * sizeof *o->gates);
}

void outbox_gate(struct outbox *o, size_t offset, uint64_t position)
{
    if (position == 0) return;
    /* Gates behind this offset were made by the same command (a message to itself, say): one bar
     * for all of it is enough. */
    while (o->gate_count > 0) {
        const struct outbox_gate *last = &o->gates[o->gate_first + o->gate_count - 1];
        if (last->offset < offset) {
            if (position <= last->position) return;
            break;
        }
        if (last->position > position) position = last->position;
        o->gate_count--;
    }
    make_room_for_gate(o);
    o->gates[o->gate_first + o->gate_count++] = (struct outbox_gate){offset, position};
}

void outbox_put(struct outbox *o, struct bytes b, uint64_t position)
{
    if (o->closed) return;
    if (o->replying) {
        buf_put(&o->aside, b);
        if (position > o->aside_position) o->aside_position = position;
        return;
    }
    outbox_gate(o, o->bytes.len, position);
    buf_put(&o->bytes, b);
    outbox_touch(o);
}

void outbox_reply_end(struct outbox *o)
{
    o->replying = false;
    if (o->aside.len == 0) return;
    outbox_put(o, buf_bytes(&o->aside), o->aside_position);
    buf_fini(&o->aside);
    o->aside_position = 0;
}

struct bytes outbox_ready(const struct outbox *o, uint64_t covered)
{
    size_t end = o->bytes.len;
    for (size_t i = 0; i < o->gate_count; i++) {
        const struct outbox_gate *g = &o->gates[o->gate_first + i];
        if (g->position > covered) {
            end = g->offset;
            break;
        }
    }
    if (end <= o->sent) return (struct bytes){NULL, 0};
    return (struct bytes){o->bytes.data + o->sent, end - o->sent};
}

/* Gates whose bytes have begun to leave have done their work. */
static void drop_passed_gates(struct outbox *o)
{
    while (o->gate_count > 0 && o->gates[o->gate_first].offset < o->sent) {
        o->gate_first++;
        o->gate_count--;
    }
    if (o->gate_count == 0) o->gate_first = 0;
}

void outbox_sent(struct outbox *o, size_t n)
{
    must(n <= outbox_pending(o));
    o->sent += n;
    drop_passed_gates(o);
    if (o->sent == o->bytes.len) {
        o->bytes.len = o->sent = 0;
        o->gate_count = o->gate_first = 0;
        if (o->bytes.cap > IDLE_BYTES_MAX) buf_fini(&o->bytes);
    } else if (o->sent > (1u << 20) && o->sent > o->bytes.len / 2) {
        /* A slow reader of a long reply: move the rest to the front now and then. */
        for (size_t i = 0; i < o->gate_count; i++) o->gates[o->gate_first + i].offset -= o->sent;
        buf_consume(&o->bytes, o->sent);
        o->sent = 0;
    }
}
