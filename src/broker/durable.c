/* Who is subscribed: channels with connected durable subscribers, joining and leaving, settings. */
#include "broker/durable.h"

#include "base/logline.h"
#include "base/must.h"
#include "broker/change_group.h"
#include "broker/change_stream.h"
#include "broker/durable_priv.h"
#include "broker/retention.h"

#define GROUP_PREFIX "durable:"

/* ---- Life ---- */

static struct bytes channel_key(const void *item)
{
    return channel_name(item);
}

static struct bytes sub_key(const void *item)
{
    return sub_name(item);
}

static const struct map_type channel_type = {.key = channel_key};
static const struct map_type sub_type = {.key = sub_key};

struct durable *durable_new(void)
{
    struct durable *d = mem_calloc(sizeof *d);
    map_init(&d->by_name, &channel_type);
    return d;
}

static void pattern_list_fini(struct pattern_list *l)
{
    mem_free(l->text);
    mem_free(l->at);
    *l = (struct pattern_list){0};
}

void durable_free(struct durable *d)
{
    if (d == NULL) return;
    must(map_count(&d->by_name) == 0 && d->unsettled == NULL);
    map_clear(&d->by_name);
    pattern_list_fini(&d->channels);
    pattern_list_fini(&d->names);
    pattern_list_fini(&d->on_slow);
    buf_fini(&d->scratch);
    mem_free(d);
}

/* ---- Settings ---- */

static void pattern_list_set(struct pattern_list *l, const char *text)
{
    pattern_list_fini(l);
    l->text = mem_strdup(text);
    l->at = mem_alloc((strlen(text) / 2 + 1) * sizeof *l->at);
    struct bytes rest = bytes_of(l->text), word;
    while (durable_next_word(&rest, &word)) l->at[l->count++] = word;
}

bool pattern_list_matches(const struct pattern_list *l, struct bytes text)
{
    for (size_t i = 0; i < l->count; i++)
        if (bytes_match_glob(l->at[i], text, false)) return true;
    return false;
}

void durable_settings_changed(struct broker *b)
{
    struct durable *d = b->durable;
    pattern_list_set(&d->channels, b->settings.durable);
    pattern_list_set(&d->names, b->settings.durable_names);
    pattern_list_set(&d->on_slow, b->settings.on_slow);
    d->on = d->channels.count > 0;
    must(durable_parse_retention(bytes_of(b->settings.durable_retention), &d->retention));
}

enum durable_policy durable_policy(const struct durable *d, struct bytes channel)
{
    for (size_t i = 0; i < d->on_slow.count; i++) {
        struct bytes pattern;
        enum durable_policy policy;
        must(durable_parse_on_slow(d->on_slow.at[i], &pattern, &policy));
        if (bytes_match_glob(pattern, channel, false)) return policy;
    }
    return ON_SLOW_SPILL;
}

/* ---- Lists ---- */

void durable_queue(struct durable_list *l, struct durable_sub *u)
{
    if (u->queue == l) return;
    durable_unqueue(u);
    u->queue = l;
    u->queue_prev = l->last;
    u->queue_next = NULL;
    if (l->last != NULL) l->last->queue_next = u;
    else l->first = u;
    l->last = u;
}

void durable_unqueue(struct durable_sub *u)
{
    struct durable_list *l = u->queue;
    if (l == NULL) return;
    if (u->queue_prev != NULL) u->queue_prev->queue_next = u->queue_next;
    else l->first = u->queue_next;
    if (u->queue_next != NULL) u->queue_next->queue_prev = u->queue_prev;
    else l->last = u->queue_prev;
    u->queue = NULL;
}

/* ---- Finding ---- */

struct durable_channel *durable_find_channel(struct broker *b, struct bytes name)
{
    return map_count(&b->durable->by_name) > 0 ? map_get(&b->durable->by_name, name) : NULL;
}

struct durable_sub *durable_find_sub(struct broker *b, struct bytes channel, struct bytes name)
{
    struct durable_channel *ch = durable_find_channel(b, channel);
    return ch != NULL ? map_get(&ch->by_name, name) : NULL;
}

/* By the name that the session has; only where that has changed its list is walked. */
static struct durable_sub *sub_of(const struct session *s, struct bytes channel)
{
    if (s->durable == NULL) return NULL;
    struct durable_channel *ch = durable_find_channel(s->broker, channel);
    struct durable_sub *u = ch != NULL ? map_get(&ch->by_name, buf_bytes(&s->name)) : NULL;
    if (u != NULL && u->session == s) return u;
    if (ch == NULL || !(s->flags & SESSION_RENAMED)) return NULL;
    for (u = s->durable; u != NULL && u->channel != ch; u = u->next_of_session) {
    }
    return u;
}

struct key *durable_key(struct broker *b, struct bytes channel)
{
    struct key *k = keyspace_find(b->ks, 0, channel, hash_bytes(channel));
    if (k == NULL || k->type != KEY_STREAM || key_is_expired(k, b->now_ms)) return NULL;
    return k;
}

struct bytes durable_group_name(struct arena *arena, struct bytes name)
{
    size_t prefix = sizeof GROUP_PREFIX - 1;
    char *text = arena_alloc(arena, prefix + name.len);
    memcpy(text, GROUP_PREFIX, prefix);
    memcpy(text + prefix, name.data, name.len);
    return (struct bytes){text, prefix + name.len};
}

struct bytes durable_group_subscriber(const struct group *g)
{
    size_t prefix = sizeof GROUP_PREFIX - 1;
    struct bytes name = group_name(g);
    if (name.len <= prefix || memcmp(name.data, GROUP_PREFIX, prefix) != 0)
        return (struct bytes){NULL, 0};
    return (struct bytes){name.data + prefix, name.len - prefix};
}

struct call durable_call(struct broker *b)
{
    return (struct call){
        .broker = b, .fx = &b->fx, .ks = b->ks, .arena = &b->arena, .now_ms = b->now_ms};
}

/* Inside of somebody's command its own drain takes the records along. */
void durable_done(struct broker *b)
{
    if (b->current != NULL) return;
    broker_drain(b, NULL);
    b->fx.depends = 0;
}

void durable_bound(struct call *c, struct key *k)
{
    struct stream_retention rule;
    retention_of(c->broker, key_name(k), stream_of(k), &rule);
    if (rule.age_ms == 0 && rule.bytes == 0)
        change_stream_retention(c, k, c->broker->durable->retention);
    retention_wake(c->broker);
}

/* Nobody is told that the key is new: a channel of events would tell itself. */
struct key *durable_make_stream(struct call *c, struct bytes channel)
{
    size_t events = c->fx->event_count;
    struct key *k = change_stream_set(c, NULL, channel, STREAM_ID_MIN, 0, STREAM_ID_MIN);
    c->fx->event_count = events;
    durable_bound(c, k);
    return k;
}

/* ---- Channels ---- */

static struct durable_channel *need_channel(struct broker *b, const struct key *k)
{
    struct bytes name = key_name(k);
    struct durable_channel *ch = durable_find_channel(b, name);
    const struct stream *s = stream_of(k);
    if (ch != NULL) {
        durable_follow(ch, s, s->last_id, s->next_ordinal);
        return ch;
    }
    ch = mem_calloc(sizeof *ch + name.len);
    ch->hash = hash_bytes(name);
    ch->serial = s->serial;
    ch->last_id = s->last_id;
    ch->next_ordinal = s->next_ordinal;
    ch->name_len = name.len;
    if (name.len > 0) memcpy(ch->name, name.data, name.len);
    map_init(&ch->by_name, &sub_type);
    map_insert(&b->durable->by_name, ch);
    return ch;
}

static void channel_free(struct broker *b, struct durable_channel *ch)
{
    struct durable_channel **at = &b->durable->active;
    while (*at != NULL && *at != ch) at = &(*at)->next_active;
    if (*at != NULL) *at = ch->next_active;
    must(map_take(&b->durable->by_name, channel_name(ch)) == ch);
    map_clear(&ch->by_name);
    mem_free(ch->subs);
    mem_free(ch);
}

static void channel_add(struct durable_channel *ch, struct durable_sub *u)
{
    if (ch->count == ch->cap) {
        ch->cap = ch->cap > 0 ? ch->cap * 2 : 2;
        ch->subs = mem_realloc(ch->subs, ch->cap * sizeof *ch->subs);
    }
    u->channel = ch;
    u->place = (uint32_t)ch->count;
    ch->subs[ch->count++] = u;
    map_insert(&ch->by_name, u);
}

static void channel_remove(struct durable_channel *ch, struct durable_sub *u)
{
    must(map_take(&ch->by_name, sub_name(u)) == u);
    ch->subs[u->place] = ch->subs[--ch->count];
    ch->subs[u->place]->place = u->place;
}

/* ---- Joining ---- */

static bool is_wanted(struct broker *b, const struct session *s, struct bytes channel)
{
    struct durable *d = b->durable;
    return d->on && s->name.len > 0 && pattern_list_matches(&d->channels, channel) &&
           pattern_list_matches(&d->names, buf_bytes(&s->name));
}

/* What joining takes of the journal. */
static size_t join_bytes(const struct session *s, struct bytes channel)
{
    enum { RECORDS = 4, RECORD_BYTES = 160 }; /* beyond names */
    return RECORDS * (channel.len + 2 * s->name.len + RECORD_BYTES);
}

bool durable_may_subscribe(struct call *c, const struct bytes *channels, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (is_wanted(c->broker, c->session, channels[i]))
            bytes += join_bytes(c->session, channels[i]);
    if (bytes == 0) return true;
    if (c->broker->loading) {
        call_error_loading(c);
        return false;
    }
    if (journal_admit(c->broker->journal, bytes, true) == 0) return true;
    resp_error(c->reply, "MISCONF %s", journal_refusal(c->broker->journal));
    return false;
}

static void warn(const struct session *s, struct bytes channel, const char *why)
{
    logline(LOG_LEVEL_WARNING, "durable",
            "%s: '%.*s' subscribes to '%.*s' as an ordinary subscriber: %s", s->address,
            (int)s->name.len, s->name.data, (int)channel.len, channel.data, why);
}

bool durable_has_room(const struct broker *b, const struct stream *s)
{
    size_t n = 0;
    for (size_t i = 0; i < groups_count(s->groups); i++)
        n += durable_group_subscriber(s->groups->list[i]).data != NULL;
    return n < (size_t)b->settings.durable_subscribers_max;
}

/* Its position, made at the end of the stream if it is new; NULL: there are too many. */
static struct group *need_group(struct call *c, struct key *k, struct bytes name)
{
    struct stream *s = stream_of(k);
    struct bytes group = durable_group_name(c->arena, name);
    struct group *g = groups_find(s->groups, group);
    if (g == NULL && !durable_has_room(c->broker, s)) return NULL;
    if (g == NULL) g = change_group_set(c, k, NULL, group, s->last_id, s->next_ordinal);
    struct consumer *of = group_consumer(g, name);
    if (of == NULL) change_consumer_add(c, k, g, name);
    else change_consumer_times(c, k, g, of, c->now_ms, of->active_ms);
    return g;
}

static struct durable_sub *add_sub(struct session *s, struct durable_channel *ch,
                                   struct stream_id position, uint64_t ordinal)
{
    struct durable_sub *u = mem_calloc(sizeof *u + s->name.len);
    u->session = s;
    u->name_len = s->name.len;
    memcpy(u->name, s->name.data, s->name.len);
    u->cursor = position;
    u->cursor_ordinal = ordinal;
    points_restart(&u->points, position, ordinal);
    u->next_of_session = s->durable;
    if (s->durable != NULL) s->durable->prev_of_session = u;
    s->durable = u;
    channel_add(ch, u);
    return u;
}

static bool join(struct call *c, struct bytes channel)
{
    struct session *s = c->session;
    struct bytes name = buf_bytes(&s->name);
    struct key *k = call_write(c, channel);
    if (k != NULL && k->type != KEY_STREAM) {
        warn(s, channel, "the key of that name is no stream");
        return false;
    }
    struct durable_sub *other = durable_find_sub(c->broker, channel, name);
    if (other != NULL) {
        other->has_rival = true;
        warn(s, channel, "another connection of that name is subscribed; until it goes");
        return false;
    }
    if (k == NULL) k = durable_make_stream(c, channel);
    struct group *g = need_group(c, k, name);
    if (g == NULL) {
        c->broker->durable->stats.over_limit++;
        warn(s, channel, "durable-subscribers-max are remembered already");
        return false;
    }
    struct durable_channel *ch = need_channel(c->broker, k);
    const struct stream *of = stream_of(k);
    bool is_behind = stream_id_cmp(g->last_id, of->last_id) < 0; /* beyond the end is at the end */
    struct durable_sub *u = is_behind ? add_sub(s, ch, g->last_id, g->ordinal)
                                      : add_sub(s, ch, of->last_id, of->next_ordinal);
    if (is_behind) {
        durable_go_behind(c->broker, u, false);
        durable_queue(&c->broker->durable->ready, u);
    } else {
        hub_subscribe(c->broker->hub, &s->subscriber, TOPIC_CHANNEL, channel);
        c->broker->durable->stats.live++;
    }
    return true;
}

bool durable_subscribe(struct call *c, struct bytes channel)
{
    if (sub_of(c->session, channel) != NULL) return true;
    if (!is_wanted(c->broker, c->session, channel)) return false;
    if (subscriber_has(c->broker->hub, &c->session->subscriber, TOPIC_CHANNEL, channel))
        return false; /* since before the channel was durable, or the connection had a name */
    int db = c->db;
    c->db = 0;
    bool joined = join(c, channel);
    c->db = db;
    return joined;
}

/* ---- Leaving ---- */

/* Another of that name that is an ordinary subscriber of the channel. */
static struct session *find_rival(struct broker *b, const struct session *gone, struct bytes name,
                                  struct bytes channel)
{
    for (struct session *s = b->first_session; s != NULL; s = s->next)
        if (s != gone && !(s->flags & SESSION_CLOSING) && bytes_eq(buf_bytes(&s->name), name) &&
            subscriber_has(b->hub, &s->subscriber, TOPIC_CHANNEL, channel) &&
            sub_of(s, channel) == NULL)
            return s;
    return NULL;
}

/* Who came back before its old connection was seen to be dead is what that was, from now on: it is
 * served from the position on, and gets some of what it had as an ordinary subscriber again. There
 * may be more of that name. */
static void hand_over(struct broker *b, const struct session *gone, struct bytes name,
                      struct bytes channel)
{
    struct session *rival = find_rival(b, gone, name, channel);
    if (rival == NULL || !is_wanted(b, rival, channel)) return;
    if (journal_admit(b->journal, join_bytes(rival, channel), true) < 0) return;
    struct call c = durable_call(b);
    c.session = rival;
    subscriber_put(&rival->subscriber, BYTES(""), 0); /* what it has as an ordinary one stays its */
    hub_unsubscribe(b->hub, &rival->subscriber, TOPIC_CHANNEL, channel);
    if (join(&c, channel)) rival->durable->has_rival = true;
    else hub_subscribe(b->hub, &rival->subscriber, TOPIC_CHANNEL, channel);
}

static void leave_session(struct durable_sub *u)
{
    struct session *s = u->session;
    if (u->prev_of_session != NULL) u->prev_of_session->next_of_session = u->next_of_session;
    else s->durable = u->next_of_session;
    if (u->next_of_session != NULL) u->next_of_session->prev_of_session = u->prev_of_session;
    if (s->durable_next == u) s->durable_next = u->next_of_session;
    if (s->durable == NULL) s->flags &= ~(unsigned)SESSION_RENAMED;
}

/* The hub's subscription is the caller's to end. */
static void leave(struct broker *b, struct durable_sub *u)
{
    struct durable_channel *ch = u->channel;
    leave_session(u);
    struct bytes name = arena_dup(&b->arena, sub_name(u));
    struct bytes channel = arena_dup(&b->arena, channel_name(ch));
    durable_write_position(b, u, true);
    if (u->state == DURABLE_LIVE) b->durable->stats.live--;
    else b->durable->stats.behind--;
    durable_unqueue(u);
    durable_settle_out(u);
    channel_remove(ch, u);
    if (ch->count == 0) channel_free(b, ch);
    if (u->has_rival) hand_over(b, u->session, name, channel);
    points_fini(&u->points);
    mem_free(u);
}

bool durable_unsubscribe(struct broker *b, struct session *s, struct bytes channel)
{
    struct durable_sub *u = sub_of(s, channel);
    if (u == NULL) return false;
    hub_unsubscribe(b->hub, &s->subscriber, u->state == DURABLE_LIVE ? TOPIC_CHANNEL : TOPIC_BEHIND,
                    channel);
    leave(b, u);
    durable_done(b);
    return true;
}

void durable_leave_all(struct broker *b, struct session *s)
{
    if (s->durable == NULL) return;
    while (s->durable != NULL) leave(b, s->durable);
    s->subscriber.on_sent = NULL;
    durable_done(b);
}

/* ---- Turns ---- */

void durable_turn_begin(struct broker *b)
{
    struct durable *d = b->durable;
    if (d->loading.first != NULL) durable_look_at_loads(b);
    if (d->active != NULL) durable_sample_active(b);
    if (d->unsettled != NULL) durable_settle_due(b);
    if (d->on) durable_sweep(b);
}

bool durable_is_hungry(const struct broker *b)
{
    return b->durable->ready.first != NULL;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void look_behind(struct broker *b, const struct durable_sub *u, const struct point *left,
                        struct stream_rest *ret)
{
    const struct key *k = durable_key(b, channel_name(u->channel));
    struct stream_rest unsent;
    if (k == NULL) return;
    stream_rest(stream_of(k), larger(left->ordinal, u->from_ordinal), &unsent);
    stream_rest(stream_of(k), larger(u->cursor_ordinal, u->from_ordinal), ret);
    ret->since_ms = unsent.since_ms;
}

struct durable_look durable_look(struct broker *b, const struct session *s, struct bytes channel,
                                 const struct subscriber_state *state)
{
    const struct durable_sub *u = state->pattern.data == NULL ? sub_of(s, channel) : NULL;
    if (u == NULL) return (struct durable_look){.state = "ordinary"};
    const struct point *left = points_before(&u->points, s->subscriber.sent);
    struct durable_look look = {.state = "live", .is_durable = true, .upto = left->id};
    if (u->state == DURABLE_BEHIND) {
        look.state = "behind";
        look_behind(b, u, left, &look.rest);
    } else if (state->lag_bytes == 0) {
        look.upto = u->channel->last_id;
    }
    return look;
}
