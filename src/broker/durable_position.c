/* Positions: from where a subscriber that comes back is served. Each is the `last_id` of a consumer
 * group, so the journal, snapshots, retention and whoever asks for lags know it already. While it
 * is connected its position is written down twice a second, if it has moved. */
#include "base/logline.h"
#include "broker/change_group.h"
#include "broker/durable_priv.h"

enum {
    SETTLE_MS = 500,
    SWEEP_MS = 100,
    SWEEP_BUCKETS = 100,
    RECORD_BYTES = 128, /* beyond names */
    RECORDS = 5,        /* an expired key, a stream and its retention, the group and its consumer */
};

/* ---- The list of those whose position may have moved ---- */

void durable_unsettle(struct broker *b, struct durable_sub *u)
{
    struct durable *d = b->durable;
    if (u->unsettled) return;
    u->unsettled = true;
    u->unsettled_prev = NULL;
    u->unsettled_next = d->unsettled;
    if (d->unsettled != NULL) d->unsettled->unsettled_prev = u;
    d->unsettled = u;
}

void durable_settle_out(struct durable_sub *u)
{
    struct durable *d = u->session->broker->durable;
    if (!u->unsettled) return;
    u->unsettled = false;
    if (u->unsettled_prev != NULL) u->unsettled_prev->unsettled_next = u->unsettled_next;
    else d->unsettled = u->unsettled_next;
    if (u->unsettled_next != NULL) u->unsettled_next->unsettled_prev = u->unsettled_prev;
}

/* ---- Where it would resume ---- */

struct progress {
    struct points_view now;         /* as it stands */
    struct points_view after_reset; /* if the connection were reset */
};

/* Who lets go of a channel on a connection that goes on may still lose what its kernel holds. */
static struct progress look(const struct broker *b, const struct durable_sub *u, bool leaves)
{
    const struct session *s = u->session;
    struct session_progress p = {0};
    if (s->port->progress != NULL) s->port->progress(s->owner, &p);
    uint64_t sent = s->subscriber.sent;
    struct points_view v = {.sent = sent,
                            .acknowledged = p.unacknowledged < sent ? sent - p.unacknowledged : 0,
                            .window_bytes = (uint64_t)b->settings.durable_window_bytes,
                            .window_ms = b->settings.durable_window_ms,
                            .now_ms = b->now_ms};
    struct points_view after_reset = v;
    after_reset.window_bytes += p.peer_window;
    after_reset.window_ms = -1;
    if (leaves && !(s->flags & SESSION_CLOSING)) v.window_bytes = after_reset.window_bytes;
    return (struct progress){p.reset ? after_reset : v, after_reset};
}

/* ---- Writing it down ---- */

static void write_seen(struct call *c, struct key *k, struct group *g, struct bytes name)
{
    struct consumer *of = group_consumer(g, name);
    if (of == NULL) change_consumer_add(c, k, g, name);
    else change_consumer_times(c, k, g, of, c->now_ms, of->active_ms);
}

static bool is_admitted(const struct broker *b, const struct durable_sub *u)
{
    size_t bytes = RECORDS * (RECORD_BYTES + u->channel->name_len + 2 * u->name_len);
    return journal_admit(b->journal, bytes, true) == 0;
}

/* The stream that its position is of; NULL when there is none. Who leaves a channel whose stream
 * has been deleted is to find what is published meanwhile: then it is made again. */
static struct key *stream_for(struct call *c, const struct durable_sub *u, bool leaves)
{
    struct broker *b = c->broker;
    if (!leaves || !is_admitted(b, u)) return durable_key(b, channel_name(u->channel));
    struct bytes name = arena_dup(c->arena, channel_name(u->channel));
    struct key *k = call_write(c, name);
    if (k != NULL) return k->type == KEY_STREAM ? k : NULL;
    return pattern_list_matches(&b->durable->channels, name) ? durable_make_stream(c, name) : NULL;
}

/* False when it cannot be written now. */
static bool write_down(struct call *c, struct key *k, struct durable_sub *u, const struct point *p,
                       bool leaves)
{
    struct broker *b = c->broker;
    if (!is_admitted(b, u)) return false;
    struct bytes group = durable_group_name(&b->arena, sub_name(u));
    struct group *g = groups_find(stream_of(k)->groups, group);
    bool is_new = g == NULL;
    if (is_new || stream_id_cmp(g->last_id, p->id) != 0) {
        g = change_group_set(c, k, g, group, p->id, p->ordinal);
        b->durable->stats.positions++;
    }
    if (leaves || is_new) write_seen(c, k, g, sub_name(u));
    return true;
}

static void note_leaving(struct broker *b, const struct durable_sub *u, uint32_t i,
                         const struct points_view *v)
{
    const struct point *p = &u->points.at[i];
    uint64_t again = points_before(&u->points, v->sent)->ordinal - p->ordinal;
    b->durable->stats.redelivered += again;
    logline(
        LOG_LEVEL_VERBOSE, "durable",
        "%s: '%.*s' leaves '%.*s' at %llu-%llu: %llu bytes sent, %llu acknowledged, a window of "
        "%llu bytes%s; %llu entries will come again",
        u->session->address, (int)u->name_len, u->name, (int)u->channel->name_len, u->channel->name,
        (unsigned long long)p->id.ms, (unsigned long long)p->id.seq, (unsigned long long)v->sent,
        (unsigned long long)v->acknowledged, (unsigned long long)v->window_bytes,
        v->window_ms < 0 ? " (broken)" : "", (unsigned long long)again);
}

void durable_write_position(struct broker *b, struct durable_sub *u, bool leaves)
{
    struct points *all = &u->points;
    struct call c = durable_call(b);
    c.session = u->session;
    struct key *k = stream_for(&c, u, leaves);
    if (k == NULL) {
        durable_settle_out(u);
        return;
    }
    durable_follow(u->channel, stream_of(k), stream_of(k)->last_id, stream_of(k)->next_ordinal);
    points_note_sent(all, u->session->subscriber.sent, b->now_ms);
    struct progress now = look(b, u, leaves);
    uint32_t i = points_position(all, &now.now);
    if (leaves) note_leaving(b, u, i, &now.now);
    bool written = write_down(&c, k, u, &all->at[i], leaves);
    if (leaves) return;
    if (written && i == all->count - 1) durable_settle_out(u);
    uint32_t j = points_position(all, &now.after_reset);
    points_forget(all, i < j ? i : j);
}

void durable_lower_floor(struct broker *b, int db, const struct key *k, struct stream_id *floor)
{
    const struct durable_channel *ch = db == 0 ? durable_find_channel(b, key_name(k)) : NULL;
    if (ch == NULL || ch->serial != stream_of(k)->serial) return;
    for (size_t i = 0; i < ch->count; i++) {
        struct stream_id next =
            ch->subs[i]->points.at[0].id; /* older ones are not needed any more */
        if (stream_id_next(&next) && stream_id_cmp(next, *floor) < 0) *floor = next;
    }
}

void durable_settle_due(struct broker *b)
{
    struct durable *d = b->durable;
    int64_t since_ms = b->now_ms - d->settled_ms;
    if (since_ms >= 0 && since_ms < SETTLE_MS) return;
    d->settled_ms = b->now_ms;
    for (struct durable_sub *u = d->unsettled, *next; u != NULL; u = next) {
        next = u->unsettled_next;
        durable_write_position(b, u, false);
    }
    durable_done(b);
}

/* ---- Those who do not come back ---- */

struct expired {
    struct bytes channel, name; /* on the arena */
    struct expired *next;
};

struct sweep {
    struct broker *broker;
    struct expired *expired;
};

/* The server's own absence is nobody's fault. */
static bool is_expired(const struct broker *b, const struct group *g, struct bytes name)
{
    const struct consumer *of = group_consumer(g, name);
    int64_t seen_ms = of != NULL && of->seen_ms > b->started_ms ? of->seen_ms : b->started_ms;
    int64_t max_s = b->settings.durable_subscriber_expiry;
    return max_s > 0 && b->now_ms - seen_ms > max_s * 1000;
}

static void look_at_key(void *key, void *arg)
{
    struct sweep *sweep = arg;
    struct broker *b = sweep->broker;
    const struct key *k = key;
    if (k->type != KEY_STREAM) return;
    const struct groups *all = stream_of(k)->groups;
    for (size_t i = 0; i < groups_count(all); i++) {
        struct bytes name = durable_group_subscriber(all->list[i]);
        if (name.data == NULL || durable_find_sub(b, key_name(k), name) != NULL) continue;
        b->durable->sweep_absent++;
        if (!is_expired(b, all->list[i], name)) continue;
        struct expired *e = arena_alloc(&b->arena, sizeof *e);
        *e = (struct expired){arena_dup(&b->arena, key_name(k)), arena_dup(&b->arena, name),
                              sweep->expired};
        sweep->expired = e;
    }
}

static void forget(struct broker *b, const struct expired *e)
{
    struct key *k = durable_key(b, e->channel);
    if (k == NULL || journal_admit(b->journal, RECORD_BYTES + e->channel.len + e->name.len, true))
        return;
    struct call c = durable_call(b);
    struct bytes group = durable_group_name(&b->arena, e->name);
    change_group_destroy(&c, k, groups_find(stream_of(k)->groups, group));
    b->durable->stats.expired++;
    logline(LOG_LEVEL_NOTICE, "durable",
            "'%.*s' has not come back to '%.*s' for durable-subscriber-expiry: forgotten",
            (int)e->name.len, e->name.data, (int)e->channel.len, e->channel.data);
}

void durable_sweep(struct broker *b)
{
    struct durable *d = b->durable;
    struct sweep sweep = {.broker = b};
    int64_t since_ms = b->now_ms - d->swept_ms;
    if (b->loading || (since_ms >= 0 && since_ms < SWEEP_MS)) return;
    d->swept_ms = b->now_ms;
    for (int i = 0; i < SWEEP_BUCKETS; i++) {
        d->sweep_cursor = keyspace_scan(b->ks, 0, d->sweep_cursor, look_at_key, &sweep);
        if (d->sweep_cursor != 0) continue;
        d->stats.absent = d->sweep_absent;
        d->sweep_absent = 0;
        break;
    }
    for (const struct expired *e = sweep.expired; e != NULL; e = e->next) forget(b, e);
    if (sweep.expired != NULL) durable_done(b);
}
