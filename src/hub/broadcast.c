#include "hub/broadcast.h"

#include "base/must.h"

enum {
    COPIED_BYTES_MAX = 4 * 1024, /* a longer message, or run of them, is shared, not copied */
    OWN_BYTES_MAX = 1 << 20,     /* one block of a broadcast's own */
    MARK_BYTES = 32 * 1024,
    MARK_MS = 100,
};

struct piece {
    struct shared *block;
    size_t from, len;
    uint64_t start; /* its place in the broadcast */
    size_t readers; /* whose `piece` is this one */
};

struct gate { /* bytes from `at` on wait for `position` */
    uint64_t at, position;
};

/* How far the broadcast was at a time; `at` is where a message begins. Every piece begins with one.
 */
struct mark {
    uint64_t at, messages;
    int64_t ms;
};

static struct piece *piece_at(const struct broadcast *f, size_t i)
{
    return queue_at(&f->pieces, sizeof(struct piece), i);
}

static struct gate *gate_at(const struct broadcast *f, size_t i)
{
    return queue_at(&f->gates, sizeof(struct gate), i);
}

static struct mark *mark_at(const struct broadcast *f, size_t i)
{
    return queue_at(&f->marks, sizeof(struct mark), i);
}

static struct piece *last_piece(const struct broadcast *f)
{
    return f->pieces.count > 0 ? piece_at(f, f->pieces.count - 1) : NULL;
}

static uint64_t last_number(const struct broadcast *f)
{
    return f->first + (f->pieces.count > 0 ? f->pieces.count - 1 : 0);
}

/* ---- Pieces come and go ---- */

/* Everybody is at the tail. All hold the last piece (who has read to the tail went on to it): the
 * next piece takes its number over, and so needs no reader to be told. */
static void clear(struct broadcast *f)
{
    f->first = last_number(f);
    for (size_t i = 0; i < f->pieces.count; i++) shared_unref(piece_at(f, i)->block);
    queue_drop(&f->pieces, f->pieces.count);
    queue_drop(&f->gates, f->gates.count);
    queue_drop(&f->marks, f->marks.count);
    f->own = NULL;
}

/* Drops what nobody reads any more. */
static void drop_read(struct broadcast *f)
{
    if (f->at_tail == f->readers) {
        clear(f);
        return;
    }
    while (f->pieces.count > 1 && piece_at(f, 0)->readers == 0) {
        shared_unref(piece_at(f, 0)->block);
        queue_drop(&f->pieces, 1);
        f->first++;
    }
    uint64_t start = piece_at(f, 0)->start;
    while (f->marks.count > 1 && mark_at(f, 0)->at < start) queue_drop(&f->marks, 1);
}

void broadcast_fini(struct broadcast *f)
{
    must(f->readers == 0);
    clear(f);
    queue_fini(&f->pieces);
    queue_fini(&f->gates);
    queue_fini(&f->marks);
}

/* ---- Readers ---- */

void broadcast_join(struct broadcast *f, struct broadcast_reader *r)
{
    *r = (struct broadcast_reader){last_number(f), f->tail};
    if (f->pieces.count > 0) last_piece(f)->readers++;
    f->readers++;
    f->at_tail++;
}

void broadcast_leave(struct broadcast *f, struct broadcast_reader *r)
{
    if (f->pieces.count > 0) piece_at(f, r->piece - f->first)->readers--;
    if (r->cursor == f->tail) f->at_tail--;
    f->readers--;
    drop_read(f);
}

/* Moves on to the piece that its cursor is in. */
static void follow(struct broadcast *f, struct broadcast_reader *r)
{
    while (r->piece < last_number(f)) {
        struct piece *p = piece_at(f, r->piece - f->first);
        if (r->cursor < p->start + p->len) break;
        p->readers--;
        r->piece++;
        p[1].readers++;
    }
}

void broadcast_sent(struct broadcast *f, struct broadcast_reader *r, size_t n)
{
    if (n == 0) return;
    must(n <= broadcast_pending(f, r));
    r->cursor += n;
    follow(f, r);
    if (r->cursor == f->tail) f->at_tail++;
    if (r->cursor == f->tail || r->piece > f->first) drop_read(f);
}

/* ---- In ---- */

static void add_mark(struct broadcast *f, uint64_t at, int64_t now_ms)
{
    *(struct mark *)queue_push(&f->marks, sizeof(struct mark)) =
        (struct mark){at, f->messages, now_ms};
}

static void push_piece(struct broadcast *f, struct shared *block, size_t from, size_t len,
                       int64_t now_ms)
{
    bool first = f->pieces.count == 0;
    struct piece *p = queue_push(&f->pieces, sizeof(struct piece));
    *p = (struct piece){block, from, len, f->tail, first ? f->readers : 0};
    add_mark(f, f->tail, now_ms);
}

static void mark_time(struct broadcast *f, int64_t now_ms)
{
    const struct mark *last = mark_at(f, f->marks.count - 1);
    if (f->tail - last->at >= MARK_BYTES || now_ms - last->ms >= MARK_MS)
        add_mark(f, f->tail, now_ms);
}

static void add_gate(struct broadcast *f, uint64_t position)
{
    if (position == 0) return;
    if (f->gates.count > 0 && gate_at(f, f->gates.count - 1)->position >= position) return;
    *(struct gate *)queue_push(&f->gates, sizeof(struct gate)) = (struct gate){f->tail, position};
}

/* The piece's bytes become the beginning of a block of the broadcast's own. */
static void make_own(struct broadcast *f, struct piece *p)
{
    struct shared *b = shared_new();
    buf_append(&b->bytes, p->block->bytes.data + p->from, p->len);
    shared_unref(p->block);
    p->block = f->own = b;
    p->from = 0;
}

static void append_copy(struct broadcast *f, struct bytes message, int64_t now_ms)
{
    struct piece *last = last_piece(f);
    if (f->own == NULL && last->len <= COPIED_BYTES_MAX) make_own(f, last);
    if (f->own == NULL || f->own->bytes.len + message.len > OWN_BYTES_MAX) {
        f->own = shared_new();
        push_piece(f, f->own, 0, 0, now_ms);
        last = last_piece(f);
    } else {
        mark_time(f, now_ms);
    }
    buf_put(&f->own->bytes, message);
    last->len += message.len;
}

void broadcast_append(struct broadcast *f, struct shared *tape, size_t from, size_t len,
                      uint64_t position, int64_t now_ms)
{
    struct piece *last = last_piece(f);
    add_gate(f, position);
    if (last != NULL && last->block == tape && last->from + last->len == from) {
        mark_time(f, now_ms);
        last->len += len;
    } else if (last == NULL || len > COPIED_BYTES_MAX) {
        f->own = NULL;
        push_piece(f, shared_ref(tape), from, len, now_ms);
    } else {
        append_copy(f, (struct bytes){tape->bytes.data + from, len}, now_ms);
    }
    f->tail += len;
    f->messages++;
    f->at_tail = 0;
}

void broadcast_compact(struct broadcast *f)
{
    struct piece *last = last_piece(f);
    if (last == NULL || f->own != NULL) return;
    if (last->len <= COPIED_BYTES_MAX || last->len < last->block->bytes.len / 2) make_own(f, last);
}

/* ---- Out ---- */

static uint64_t released(struct broadcast *f, uint64_t covered)
{
    while (f->gates.count > 0 && gate_at(f, 0)->position <= covered) queue_drop(&f->gates, 1);
    return f->gates.count > 0 ? gate_at(f, 0)->at : f->tail;
}

size_t broadcast_ready(struct broadcast *f, const struct broadcast_reader *r, uint64_t covered,
                       struct bytes *ret_runs, size_t max)
{
    uint64_t at = r->cursor, limit = released(f, covered);
    size_t runs = 0;
    for (uint64_t i = r->piece - f->first; at < limit && runs < max; i++) {
        const struct piece *p = piece_at(f, i);
        uint64_t end = p->start + p->len < limit ? p->start + p->len : limit;
        if (at >= end) continue;
        ret_runs[runs++] =
            (struct bytes){p->block->bytes.data + p->from + (at - p->start), (size_t)(end - at)};
        at = end;
    }
    return runs;
}

void broadcast_move(struct broadcast *f, struct broadcast_reader *r, struct outbox *to)
{
    if (r->cursor == f->tail) return;
    uint64_t position = f->gates.count > 0 ? gate_at(f, f->gates.count - 1)->position : 0;
    for (uint64_t i = r->piece - f->first; i < f->pieces.count; i++) {
        const struct piece *p = piece_at(f, i);
        size_t gone = r->cursor > p->start ? (size_t)(r->cursor - p->start) : 0;
        if (gone < p->len) outbox_share(to, p->block, p->from + gone, p->len - gone, position);
    }
    broadcast_sent(f, r, broadcast_pending(f, r));
}

/* ---- Lag ---- */

/* The end of the message that begins here: an array of bulk strings, as the hub encodes it. */
static const char *message_end(const char *at)
{
    size_t items = (size_t)(at[1] - '0');
    for (at += 4; items > 0; items--) {
        size_t len = 0;
        for (at++; *at != '\r'; at++) len = len * 10 + (size_t)(*at - '0');
        at += 2 + len + 2;
    }
    return at;
}

/* The first message that does not end at the reader's cursor or before: in what piece, and at what
 * offset there it begins. The reader has something to read. */
struct place {
    size_t piece, at;
    uint64_t got;     /* messages before it */
    int64_t since_ms; /* when it came, about */
};

static struct place find_place(const struct broadcast *f, const struct broadcast_reader *r)
{
    struct place found = {.piece = (size_t)(r->piece - f->first)};
    const struct piece *p = piece_at(f, found.piece);
    if (r->cursor == p->start + p->len) { /* more has come since it read the last */
        p++;
        found.piece++;
    }
    size_t low = 0, high = f->marks.count; /* the last mark that is not behind the cursor */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (mark_at(f, middle)->at <= r->cursor) low = middle;
        else high = middle;
    }
    const struct mark *m = mark_at(f, low);
    const char *base = p->block->bytes.data + p->from;
    const char *at = base + (m->at - p->start), *cursor = base + (r->cursor - p->start), *end;
    found.got = m->messages;
    found.since_ms = m->ms;
    for (; at < cursor && (end = message_end(at)) <= cursor; at = end) found.got++;
    found.at = (size_t)(at - base);
    return found;
}

struct broadcast_lag broadcast_lag(const struct broadcast *f, const struct broadcast_reader *r)
{
    if (r->cursor == f->tail) return (struct broadcast_lag){0};
    struct place at = find_place(f, r);
    return (struct broadcast_lag){f->messages - at.got, at.since_ms};
}

/* ---- Dropping ---- */

/* The part of a piece from..from + len goes to the outbox. */
static void give(struct broadcast *f, const struct piece *p, size_t from, size_t len,
                 struct outbox *to)
{
    uint64_t position = f->gates.count > 0 ? gate_at(f, f->gates.count - 1)->position : 0;
    outbox_share(to, p->block, p->from + from, len, position);
}

/* Of the messages from there to the tail: how many `keep` does not want. */
static uint64_t sort_out(struct broadcast *f, struct place at, struct outbox *to,
                         bool (*keep)(void *arg, struct bytes message), void *arg)
{
    uint64_t dropped = 0;
    for (; at.piece < f->pieces.count; at.piece++, at.at = 0) {
        const struct piece *p = piece_at(f, at.piece);
        while (at.at < p->len) {
            const char *message = p->block->bytes.data + p->from + at.at;
            size_t len = (size_t)(message_end(message) - message);
            if (keep(arg, (struct bytes){message, len})) give(f, p, at.at, len, to);
            else dropped++;
            at.at += len;
        }
    }
    return dropped;
}

uint64_t broadcast_drop(struct broadcast *f, struct broadcast_reader *r, struct outbox *to,
                        bool (*keep)(void *arg, struct bytes message), void *arg)
{
    if (r->cursor == f->tail) return 0;
    struct place at = find_place(f, r);
    const struct piece *p = piece_at(f, at.piece);
    size_t cursor = (size_t)(r->cursor - p->start);
    uint64_t dropped = f->messages - at.got;
    if (cursor > at.at) {
        const char *base = p->block->bytes.data + p->from;
        size_t end = (size_t)(message_end(base + at.at) - base);
        give(f, p, cursor, end - cursor, to);
        at.at = end;
        dropped--;
    }
    if (keep != NULL) dropped = sort_out(f, at, to, keep, arg);
    broadcast_sent(f, r, broadcast_pending(f, r));
    return dropped;
}
