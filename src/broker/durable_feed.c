/* Who is behind: read from the stream, a piece whenever the last one has left, until the end is
 * reached; and how somebody gets there whose output is not read. */
#include <errno.h>

#include "base/logline.h"
#include "base/must.h"
#include "broker/durable_priv.h"

enum {
    FED_BYTES_ALL = 16 << 20, /* on their way to all who are behind, or so */
    CHECKPOINT_BYTES = 16 << 10,
    PIECE_BYTES_MIN = CHECKPOINT_BYTES,
    PIECE_BYTES_MAX = 128 << 10,
    TURN_BYTES_MAX = 1 << 20,
    STEPS_MAX = 8, /* also when what is there is no messages */
    STEP_ENTRIES_MAX = 1024,
    ANNOUNCE_MS = 1000,
};

/* ---- States ---- */

static void make_ready(struct durable_sub *u)
{
    if (u->state == DURABLE_BEHIND && u->queue == NULL)
        durable_queue(&u->session->broker->durable->ready, u);
}

/* When all it was fed has left, who of its subscriptions is behind gets more. What else waits for
 * it does not count: beside a busy channel there is always something. */
static void on_sent(struct subscriber *s)
{
    struct session *session = session_of_subscriber(s);
    struct durable_sub *from = session->durable_next;
    if (session->durable_end > s->sent) return;
    session->durable_next = NULL;
    for (struct durable_sub *u = from; u != NULL; u = u->next_of_session) make_ready(u);
    for (struct durable_sub *u = session->durable; u != from; u = u->next_of_session) make_ready(u);
}

void durable_go_behind(struct broker *b, struct durable_sub *u, bool subscribed)
{
    struct subscriber *s = &u->session->subscriber;
    struct bytes name = channel_name(u->channel);
    if (subscribed) hub_change_kind(b->hub, s, TOPIC_CHANNEL, TOPIC_BEHIND, name);
    else hub_subscribe(b->hub, s, TOPIC_BEHIND, name);
    u->state = DURABLE_BEHIND;
    s->on_sent = on_sent;
    b->durable->stats.behind++;
    if (subscribed) b->durable->stats.live--;
}

static void go_live(struct broker *b, struct durable_sub *u)
{
    struct session *s = u->session;
    hub_change_kind(b->hub, &s->subscriber, TOPIC_BEHIND, TOPIC_CHANNEL, channel_name(u->channel));
    u->state = DURABLE_LIVE;
    b->durable->stats.behind--;
    b->durable->stats.live++;
    durable_unqueue(u);
    for (const struct durable_sub *other = s->durable; other != NULL;
         other = other->next_of_session)
        if (other->state == DURABLE_BEHIND) return;
    s->subscriber.on_sent = NULL;
}

/* ---- Feeding ---- */

/* The message that an entry is; false when it is none. */
static bool message_of(const struct stream_entry *e, struct bytes *ret)
{
    size_t at = 0;
    struct bytes name;
    return stream_entry_count(e) == 2 && stream_entry_next(e, &at, &name) &&
           bytes_eq(name, BYTES("data")) && stream_entry_next(e, &at, ret);
}

static void encode(struct buf *out, int proto, struct bytes channel, struct bytes message)
{
    struct resp_writer w = {out, proto};
    resp_push(&w, 3);
    resp_bulk(&w, BYTES("message"));
    resp_bulk(&w, channel);
    resp_bulk(&w, message);
}

/* Takes note of an entry that it is given or passes over. */
static void pass(struct broker *b, struct durable_sub *u, const struct stream_entry *e)
{
    if (e->ordinal > u->cursor_ordinal) {
        u->missed += e->ordinal - u->cursor_ordinal;
        b->durable->stats.missed += e->ordinal - u->cursor_ordinal;
    }
    u->cursor = e->id;
    u->cursor_ordinal = e->ordinal + 1;
}

/* Reads on from the cursor into `out`, *messages of them: 1 when there is more, 0 at the end, or
 * negative. */
static int read_on(struct broker *b, struct durable_sub *u, struct stream *s, struct buf *out,
                   uint64_t *messages)
{
    struct stream_iter it;
    struct stream_entry e;
    struct bytes message;
    struct stream_id from = u->cursor;
    if (!stream_id_next(&from)) return 0;
    stream_iter_init(&it, s, from, STREAM_ID_MAX, false);
    for (int n = 0; n < STEP_ENTRIES_MAX && out->len < CHECKPOINT_BYTES; n++) {
        int r = stream_iter_next(&it, &e);
        if (r <= 0) return r;
        pass(b, u, &e);
        if (e.ordinal < u->from_ordinal || !message_of(&e, &message)) continue;
        encode(out, u->session->subscriber.proto, channel_name(u->channel), message);
        ++*messages;
    }
    return 1;
}

/* What the key's readers wait for. */
static uint64_t waits_for(struct broker *b, const struct durable_channel *ch)
{
    uint64_t position = *broker_position(b, 0, ch->hash);
    return broker_uncovered(b, position > b->all_position ? position : b->all_position);
}

static void give(struct broker *b, struct durable_sub *u, const struct buf *piece,
                 uint64_t messages)
{
    struct session *s = u->session;
    if (messages > 0) {
        subscriber_put_messages(b->hub, &s->subscriber, buf_bytes(piece), messages,
                                waits_for(b, u->channel));
        s->durable_end = subscriber_end(&s->subscriber);
    }
    points_add(&u->points, subscriber_end(&s->subscriber), u->cursor, u->cursor_ordinal);
    durable_unsettle(b, u);
}

static void give_up(struct broker *b, struct durable_sub *u)
{
    logline(LOG_LEVEL_WARNING, "durable", "%s: closed: '%.*s' cannot be read on: %s",
            u->session->address, (int)u->channel->name_len, u->channel->name,
            stream_store_error(b->streams));
    durable_unqueue(u);
    session_end(u->session, false);
}

static size_t piece_bytes(const struct durable *d)
{
    size_t share = FED_BYTES_ALL / (d->stats.behind > 0 ? d->stats.behind : 1);
    if (share < PIECE_BYTES_MIN) return PIECE_BYTES_MIN;
    return share > PIECE_BYTES_MAX ? PIECE_BYTES_MAX : share;
}

/* The bytes that were put into its output. */
static size_t feed(struct broker *b, struct durable_sub *u)
{
    struct durable *d = b->durable;
    struct key *k = durable_key(b, channel_name(u->channel));
    if (k == NULL) { /* deleted: what comes will be another stream */
        go_live(b, u);
        return 0;
    }
    struct stream *s = stream_of(k);
    durable_follow(u->channel, s, s->last_id, s->next_ordinal);
    size_t bytes = 0, max = piece_bytes(d);
    int r = 1;
    for (int steps = 0; r > 0 && bytes < max && steps < STEPS_MAX; steps++) {
        uint64_t messages = 0;
        d->scratch.len = 0;
        r = read_on(b, u, s, &d->scratch, &messages);
        bytes += d->scratch.len;
        give(b, u, &d->scratch, messages);
    }
    if (r < 0 && r != -EAGAIN) {
        give_up(b, u);
        return bytes;
    }
    if (r == 0) go_live(b, u);
    else if (bytes > 0) durable_unqueue(u); /* until it has left */
    else durable_queue(r == -EAGAIN ? &d->loading : &d->ready, u);
    return bytes;
}

/* Who is behind on many channels at once is fed no more than on one, and then goes on with those
 * that had nothing. */
static bool has_room(struct durable_sub *u)
{
    struct session *s = u->session;
    if (s->durable_end < s->subscriber.sent + PIECE_BYTES_MAX) return true;
    if (s->durable_next == NULL) s->durable_next = u;
    return false;
}

void durable_feed(struct broker *b)
{
    struct durable *d = b->durable;
    struct durable_sub *last = d->ready.last, *u; /* whoever comes again comes in the next turn */
    size_t bytes = 0;
    while (bytes < TURN_BYTES_MAX && (u = d->ready.first) != NULL) {
        durable_unqueue(u);
        if (!(u->session->flags & SESSION_CLOSING) && has_room(u)) bytes += feed(b, u);
        if (u == last) break;
    }
    d->scratch.len = 0; /* a large message does not keep its memory */
    buf_shrink(&d->scratch, d->stats.behind > 0 ? PIECE_BYTES_MAX : PIECE_BYTES_MIN);
}

void durable_look_at_loads(struct broker *b)
{
    struct durable *d = b->durable;
    if (d->loads == b->streams->loads) return;
    d->loads = b->streams->loads;
    while (d->loading.first != NULL) durable_queue(&d->ready, d->loading.first);
}

/* ---- Slow ones ---- */

struct sorting {
    const struct session *session;
    uint64_t kept; /* bytes of messages that are not given back */
};

static bool is_kept(void *arg, struct bytes message)
{
    struct sorting *sorting = arg;
    struct bytes channel = message_channel(message);
    for (struct durable_sub *u = sorting->session->durable; channel.data != NULL && u != NULL;
         u = u->next_of_session) {
        if (u->state != DURABLE_LIVE || !bytes_eq(channel_name(u->channel), channel)) continue;
        u->dropping++;
        return false;
    }
    sorting->kept += message.len;
    return true;
}

/* Gives back what its live durable subscriptions have in its shared output; u->dropping tells how
 * much that was. A message that has left in part stays, and no limit counts its rest. */
static void give_back(struct session *s)
{
    struct subscriber *sub = &s->subscriber;
    struct sorting sorting = {.session = s};
    uint64_t kept = sub->sent + outbox_pending(sub->out);
    bool alone = subscriber_topics(sub) == 1; /* what there is is its */
    for (struct durable_sub *u = s->durable; u != NULL; u = u->next_of_session) {
        u->dropping = 0;
        points_cut(&u->points, kept);
    }
    uint64_t dropped = subscriber_drop(sub, alone ? NULL : is_kept, &sorting);
    if (alone) s->durable->dropping = dropped;
    uint64_t rest_end = subscriber_end(sub) - sorting.kept;
    if (rest_end > kept) s->durable_end = rest_end;
}

static void spill(struct broker *b, struct durable_sub *u)
{
    const struct durable_channel *ch = u->channel;
    const struct point *p = points_newest(&u->points);
    uint64_t first = ch->pushed - u->dropping;
    u->cursor = p->id;
    u->cursor_ordinal = p->ordinal;
    /* Where it is not known, what came behind the checkpoint is sent again. */
    u->from_ordinal = first >= ch->base_from ? ch->base + first : 0;
    u->spilled++;
    b->durable->stats.spilled++;
    durable_go_behind(b, u, true);
    if (subscriber_pending(&u->session->subscriber) == 0) durable_queue(&b->durable->ready, u);
}

/* A push of its own kind, which clients hand to whoever asked for such; RESP2 has no room for it.
 */
static void announce(struct broker *b, struct durable_sub *u)
{
    struct session *s = u->session;
    struct bytes channel = channel_name(u->channel);
    if (s->subscriber.proto == 3) {
        struct buf text = {0};
        struct resp_writer w = {&text, 3};
        resp_push(&w, 3);
        resp_bulk(&w, BYTES("dropped"));
        resp_bulk(&w, channel);
        resp_int(&w, (int64_t)u->dropping);
        subscriber_put(&s->subscriber, buf_bytes(&text), 0);
        buf_fini(&text);
    }
    if (b->now_ms - u->announced_ms < ANNOUNCE_MS) return;
    u->announced_ms = b->now_ms;
    logline(LOG_LEVEL_WARNING, "durable", "%s: '%.*s' is too slow: %llu messages of '%.*s' dropped",
            s->address, (int)u->name_len, u->name, (unsigned long long)u->dropped, (int)channel.len,
            channel.data);
}

static void drop_oldest(struct broker *b, struct durable_sub *u)
{
    u->dropped += u->dropping;
    b->durable->stats.dropped += u->dropping;
    if (u->dropping > 0) announce(b, u);
    points_add(&u->points, subscriber_end(&u->session->subscriber), u->channel->last_id,
               u->channel->next_ordinal);
    durable_unsettle(b, u);
}

static bool is_to_be_closed(struct broker *b, struct session *s)
{
    for (struct durable_sub *u = s->durable; u != NULL; u = u->next_of_session) {
        struct bytes channel = channel_name(u->channel);
        if (u->state != DURABLE_LIVE || durable_policy(b->durable, channel) != ON_SLOW_DISCONNECT)
            continue;
        logline(LOG_LEVEL_WARNING, "durable",
                "%s: closed: '%.*s' is too slow for '%.*s' (on-slow disconnect)", s->address,
                (int)u->name_len, u->name, (int)channel.len, channel.data);
        b->durable->stats.disconnected++;
        return true;
    }
    return false;
}

static void slow_down(struct broker *b, struct session *s)
{
    if (is_to_be_closed(b, s)) {
        session_end(s, false);
        return;
    }
    give_back(s);
    for (struct durable_sub *u = s->durable; u != NULL; u = u->next_of_session) {
        if (u->state != DURABLE_LIVE) continue;
        if (durable_policy(b->durable, channel_name(u->channel)) == ON_SLOW_SPILL) spill(b, u);
        else drop_oldest(b, u);
    }
}

static size_t shared_bytes(const struct subscriber *s)
{
    return subscriber_pending(s) - outbox_pending(s->out);
}

static bool is_any_live(const struct session *s)
{
    for (const struct durable_sub *u = s->durable; u != NULL; u = u->next_of_session)
        if (u->state == DURABLE_LIVE) return true;
    return false;
}

/* What is shared with a live subscription will be given back before it is too much; of its own
 * output, what was fed is a piece, and what was left of a message then is that one's. */
size_t durable_check_output(struct broker *b, struct session *s, bool full)
{
    struct subscriber *sub = &s->subscriber;
    if (full && is_any_live(s) && shared_bytes(sub) > 0 &&
        subscriber_pending(sub) > (size_t)b->settings.durable_spill_bytes)
        slow_down(b, s);
    size_t unlimited = s->durable_end > sub->sent ? (size_t)(s->durable_end - sub->sent) : 0;
    return unlimited + (is_any_live(s) ? shared_bytes(sub) : 0);
}

/* ---- Elsewhere ---- */

void durable_reposition(struct broker *b, struct durable_sub *u, struct stream_id id,
                        uint64_t ordinal)
{
    struct session *s = u->session;
    if (u->state == DURABLE_LIVE) {
        subscriber_put(&s->subscriber, BYTES(""), 0); /* what was published before comes before */
        durable_go_behind(b, u, true);
    }
    u->cursor = id;
    u->cursor_ordinal = ordinal;
    u->from_ordinal = 0;
    points_restart(&u->points, id, ordinal);
    durable_queue(&b->durable->ready, u);
}
