#include "hub/outbox.h"

#include "base/must.h"

enum {
    IDLE_BYTES_MAX = 4 * 1024,  /* an empty outbox keeps at most this much memory */
    COPIED_BYTES_MAX = 4 * 1024 /* what is shorter is copied rather than shared */
};

struct gate { /* bytes from `at` on wait for `position` */
    uint64_t at, position;
};

struct piece { /* stands at `at` */
    uint64_t at;
    struct shared *block;
    size_t from, len;
};

struct outbox_aside {
    struct buf bytes;
    uint64_t position;
};

static struct gate *gate_at(const struct outbox *o, size_t i)
{
    return queue_at(&o->gates, sizeof(struct gate), i);
}

static struct piece *piece_at(const struct outbox *o, size_t i)
{
    return queue_at(&o->pieces, sizeof(struct piece), i);
}

void outbox_init(struct outbox *o, void (*on_dirty)(void *owner), void *owner)
{
    *o = (struct outbox){.on_dirty = on_dirty, .owner = owner};
}

static void drop_aside(struct outbox *o)
{
    if (o->aside != NULL) buf_fini(&o->aside->bytes);
    mem_free(o->aside);
    o->aside = NULL;
}

void outbox_fini(struct outbox *o)
{
    for (size_t i = 0; i < o->pieces.count; i++) shared_unref(piece_at(o, i)->block);
    queue_fini(&o->pieces);
    queue_fini(&o->gates);
    buf_fini(&o->bytes);
    drop_aside(o);
}

/* ---- In ---- */

static void add_gate(struct outbox *o, uint64_t at, uint64_t position)
{
    if (position == 0) return;
    if (o->gates.count > 0) {
        struct gate *last = gate_at(o, o->gates.count - 1);
        must(last->at <= at);
        if (position <= last->position) return;
        if (last->at == at) {
            last->position = position;
            return;
        }
    }
    *(struct gate *)queue_push(&o->gates, sizeof(struct gate)) = (struct gate){at, position};
}

static void put_aside(struct outbox *o, struct bytes b, uint64_t position)
{
    if (o->aside == NULL) o->aside = mem_calloc(sizeof *o->aside);
    buf_put(&o->aside->bytes, b);
    if (position > o->aside->position) o->aside->position = position;
}

void outbox_put(struct outbox *o, struct bytes b, uint64_t position)
{
    if (o->closed) return;
    if (o->replying) {
        put_aside(o, b, position);
        return;
    }
    add_gate(o, outbox_end(o), position);
    buf_put(&o->bytes, b);
    outbox_touch(o);
}

void outbox_share(struct outbox *o, struct shared *block, size_t from, size_t len,
                  uint64_t position)
{
    if (o->closed) return;
    if (o->replying || len <= COPIED_BYTES_MAX) {
        outbox_put(o, (struct bytes){block->bytes.data + from, len}, position);
        return;
    }
    uint64_t end = outbox_end(o);
    add_gate(o, end, position);
    *(struct piece *)queue_push(&o->pieces, sizeof(struct piece)) =
        (struct piece){end, shared_ref(block), from, len};
    o->shared_bytes += len;
    outbox_touch(o);
}

void outbox_reply_end(struct outbox *o, uint64_t position)
{
    o->replying = false;
    if (outbox_end(o) > o->reply_at) {
        add_gate(o, o->reply_at, position);
        outbox_touch(o);
    }
    if (o->aside == NULL) return;
    outbox_put(o, buf_bytes(&o->aside->bytes), o->aside->position);
    drop_aside(o);
}

/* ---- Out ---- */

/* Where what may leave ends. */
static uint64_t released(const struct outbox *o, uint64_t covered)
{
    for (size_t i = 0; i < o->gates.count; i++)
        if (gate_at(o, i)->position > covered) return gate_at(o, i)->at;
    return outbox_end(o);
}

size_t outbox_ready(const struct outbox *o, uint64_t covered, struct bytes *ret_runs, size_t max,
                    bool *ret_all)
{
    uint64_t at = o->head, limit = released(o, covered);
    size_t runs = 0, next = 0;
    const char *own = o->bytes.data + o->sent;
    while (at < limit && runs < max) {
        const struct piece *p = next < o->pieces.count ? piece_at(o, next) : NULL;
        struct bytes run;
        if (p != NULL && p->at == at) {
            run = (struct bytes){p->block->bytes.data + p->from, p->len};
            next++;
        } else {
            run = (struct bytes){own, (size_t)((p != NULL ? p->at : outbox_end(o)) - at)};
            own += run.len;
        }
        if (run.len > limit - at) run.len = (size_t)(limit - at);
        at += run.len;
        ret_runs[runs++] = run;
    }
    *ret_all = at == outbox_end(o);
    return runs;
}

/* Takes up to n bytes off the front of what there is: own ones up to the next piece, or of that. */
static size_t take_run(struct outbox *o, size_t n)
{
    struct piece *p = o->pieces.count > 0 ? piece_at(o, 0) : NULL;
    if (p == NULL || p->at > o->head) {
        if (p != NULL && n > p->at - o->head) n = (size_t)(p->at - o->head);
        o->sent += n;
        return n;
    }
    if (n > p->len) n = p->len;
    o->shared_bytes -= n;
    p->at += n;
    p->from += n;
    p->len -= n;
    if (p->len == 0) {
        shared_unref(p->block);
        queue_drop(&o->pieces, 1);
    }
    return n;
}

static void drop_passed_gates(struct outbox *o)
{
    while (o->gates.count > 0 && (gate_at(o, 0)->at < o->head || outbox_pending(o) == 0))
        queue_drop(&o->gates, 1);
}

void outbox_sent(struct outbox *o, size_t n)
{
    must(n <= outbox_pending(o));
    while (n > 0) {
        size_t taken = take_run(o, n);
        o->head += taken;
        n -= taken;
    }
    drop_passed_gates(o);
    if (o->sent == o->bytes.len) {
        o->bytes.len = o->sent = 0;
        if (o->bytes.cap > IDLE_BYTES_MAX) buf_fini(&o->bytes);
    } else if (o->sent > (1u << 20) && o->sent > o->bytes.len / 2) {
        /* A slow reader of a long reply: move the rest to the front now and then. */
        buf_consume(&o->bytes, o->sent);
        o->sent = 0;
    }
}

void outbox_trim(struct outbox *o)
{
    if (outbox_pending(o) > 0 || o->replying) return;
    buf_fini(&o->bytes);
    queue_fini(&o->pieces);
    queue_fini(&o->gates);
}
