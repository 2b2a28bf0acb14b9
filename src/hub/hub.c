/* The hub's beginning and end, what leaves for one subscriber, and questions. */
#include "base/hash.h"
#include "base/must.h"
#include "hub/hub_priv.h"

/* ---- Life ---- */

static struct bytes topic_key(const void *item)
{
    return topic_text(item);
}

static void topic_free(void *item)
{
    struct topic *t = item;
    mem_free(t->entries);
    mem_free(t->listed);
    mem_free(t);
}

static struct bytes audience_key(const void *item)
{
    return (struct bytes){(const char *)&((const struct audience *)item)->identity,
                          sizeof(uint64_t)};
}

static const struct map_type topic_type = {.key = topic_key, .free = topic_free};
static const struct map_type audience_type = {.key = audience_key};

struct hub *hub_new(void)
{
    struct hub *h = mem_calloc(sizeof *h);
    for (int kind = 0; kind < TOPIC_KINDS; kind++) map_init(&h->topics[kind], &topic_type);
    map_init(&h->settled, &audience_type);
    h->patterns = pattern_index_new();
    return h;
}

void hub_free(struct hub *h)
{
    if (h == NULL) return;
    hub_turn_end(h);
    must(h->audiences == 0);
    for (int kind = 0; kind < TOPIC_KINDS; kind++) map_clear(&h->topics[kind]);
    map_clear(&h->settled);
    pattern_index_free(h->patterns);
    shared_unref(h->tape[0]);
    shared_unref(h->tape[1]);
    mem_free(h);
}

void hub_set_time(struct hub *h, int64_t now_ms)
{
    h->now_ms = now_ms;
}

struct topic *hub_find_topic(struct hub *h, enum topic_kind kind, struct bytes text)
{
    return map_get(&h->topics[kind], text);
}

static void list_pattern(struct hub *h, struct topic *t)
{
    t->listed = mem_calloc(sizeof *t->listed);
    t->listed->topic = t;
    t->listed->pattern.text = topic_text(t);
    pattern_add(h->patterns, &t->listed->pattern);
}

struct topic *hub_topic_of(struct pattern *const *found, size_t i)
{
    return ((const struct listed_pattern *)found[i])->topic;
}

struct topic *hub_get_topic(struct hub *h, enum topic_kind kind, struct bytes text)
{
    struct topic *t = hub_find_topic(h, kind, text);
    if (t != NULL) return t;
    t = mem_calloc(sizeof *t + text.len);
    t->kind = kind;
    t->len = text.len;
    t->hash = (hash_bytes(text) + kind) * 0x9e3779b97f4a7c15u;
    if (text.len > 0) memcpy(t->text, text.data, text.len);
    map_insert(&h->topics[kind], t);
    if (kind == TOPIC_PATTERN) list_pattern(h, t);
    return t;
}

void hub_drop_topic(struct hub *h, struct topic *t)
{
    if (t->listed != NULL) pattern_remove(h->patterns, &t->listed->pattern);
    map_delete(&h->topics[t->kind], topic_text(t));
}

/* ---- A subscriber ---- */

void subscriber_init(struct subscriber *s, struct outbox *out)
{
    *s = (struct subscriber){.out = out, .proto = 2};
}

size_t subscriber_count(const struct subscriber *s, enum topic_kind kind)
{
    return s->audience == NULL ? 0 : s->audience->kind_count[kind];
}

size_t subscriber_topics(const struct subscriber *s)
{
    return s->audience == NULL ? 0 : s->audience->seat_count;
}

void subscriber_each(const struct subscriber *s, enum topic_kind kind,
                     void (*fn)(void *arg, struct bytes text), void *arg)
{
    if (s->audience == NULL) return;
    for (size_t i = 0; i < s->audience->seat_count; i++)
        if (s->audience->seats[i]->topic->kind == kind)
            fn(arg, topic_text(s->audience->seats[i]->topic));
}

/* Of what was moved into the outbox: messages that may not have left yet. */
static uint64_t moved(const struct subscriber *s)
{
    return s->out->head < s->moved_to ? s->moved : 0;
}

void subscriber_move(struct subscriber *s)
{
    if (s->audience == NULL) return;
    struct broadcast *f = &s->audience->output;
    if (broadcast_pending(f, &s->reader) == 0) return;
    struct broadcast_lag lag = broadcast_lag(f, &s->reader);
    if (moved(s) == 0) s->moved_since_ms = lag.since_ms;
    s->moved = moved(s) + lag.messages;
    broadcast_move(f, &s->reader, s->out);
    /* Inside of a reply it waits aside, and where it ends is known when that does. */
    s->moved_to = s->out->replying ? UINT64_MAX : outbox_end(s->out);
}

void subscriber_reply_begin(struct subscriber *s)
{
    subscriber_move(s);
    outbox_reply_begin(s->out);
}

void subscriber_reply_end(struct subscriber *s, uint64_t position)
{
    outbox_reply_end(s->out, position);
    if (s->moved_to == UINT64_MAX) s->moved_to = outbox_end(s->out);
}

void subscriber_put(struct subscriber *s, struct bytes b, uint64_t position)
{
    subscriber_move(s);
    outbox_put(s->out, b, position);
}

void subscriber_put_messages(struct hub *h, struct subscriber *s, struct bytes b, uint64_t count,
                             uint64_t position)
{
    subscriber_put(s, b, position);
    if (moved(s) == 0) s->moved_since_ms = h->now_ms;
    s->moved = moved(s) + count;
    s->moved_to = outbox_end(s->out);
    s->before += count;
}

static size_t in_broadcast(const struct subscriber *s)
{
    return s->audience == NULL ? 0 : broadcast_pending(&s->audience->output, &s->reader);
}

size_t subscriber_pending(const struct subscriber *s)
{
    return outbox_pending(s->out) + in_broadcast(s);
}

size_t subscriber_shared(const struct subscriber *s)
{
    return s->out->shared_bytes + in_broadcast(s);
}

size_t subscriber_ready(const struct subscriber *s, uint64_t covered, struct bytes *ret_runs,
                        size_t max)
{
    bool all = true;
    size_t n = outbox_ready(s->out, covered, ret_runs, max, &all);
    if (all && s->audience != NULL)
        n += broadcast_ready(&s->audience->output, &s->reader, covered, ret_runs + n, max - n);
    return n;
}

void subscriber_sent(struct subscriber *s, size_t n)
{
    size_t own = outbox_pending(s->out);
    s->sent += n;
    if (n < own) own = n;
    if (own > 0) outbox_sent(s->out, own);
    if (n > own) broadcast_sent(&s->audience->output, &s->reader, n - own);
    if (s->on_sent != NULL) s->on_sent(s);
}

uint64_t subscriber_drop(struct subscriber *s, bool (*keep)(void *arg, struct bytes message),
                         void *arg)
{
    if (in_broadcast(s) == 0) return 0;
    struct broadcast *f = &s->audience->output;
    struct broadcast_lag lag = broadcast_lag(f, &s->reader);
    uint64_t dropped = broadcast_drop(f, &s->reader, s->out, keep, arg);
    if (dropped < lag.messages) {
        if (moved(s) == 0) s->moved_since_ms = lag.since_ms;
        s->moved = moved(s) + lag.messages - dropped;
        s->moved_to = outbox_end(s->out);
    }
    s->from_message += dropped; /* they were not delivered */
    return dropped;
}

/* ---- Asking ---- */

void hub_each_channel(struct hub *h, enum topic_kind kind, struct bytes pattern,
                      void (*fn)(void *arg, struct bytes channel), void *arg)
{
    struct map_iter it;
    struct topic *t;
    map_iter_init(&it, &h->topics[kind]);
    while ((t = map_iter_next(&it)) != NULL)
        if (pattern.data == NULL || bytes_match_glob(pattern, topic_text(t), false))
            fn(arg, topic_text(t));
    map_iter_fini(&it);
}

int64_t hub_subscribers(struct hub *h, enum topic_kind kind, struct bytes text)
{
    const struct topic *t = hub_find_topic(h, kind, text);
    int64_t n = 0;
    for (size_t i = 0; t != NULL && i < t->count; i++) n += t->entries[i].audience->member_count;
    return n;
}

size_t hub_topics(const struct hub *h, enum topic_kind kind)
{
    return map_count(&h->topics[kind]);
}

size_t hub_channels(const struct hub *h)
{
    size_t n = map_count(&h->topics[TOPIC_CHANNEL]);
    struct map_iter it;
    const struct topic *t;
    map_iter_init(&it, (struct map *)&h->topics[TOPIC_BEHIND]);
    while ((t = map_iter_next(&it)) != NULL)
        n += map_get((struct map *)&h->topics[TOPIC_CHANNEL], topic_text(t)) == NULL;
    map_iter_fini(&it);
    return n;
}

size_t hub_audiences(const struct hub *h)
{
    return h->audiences;
}

static struct subscriber_state state_of(const struct topic *t, const struct topic_entry *e,
                                        struct subscriber *s)
{
    const struct broadcast *f = &e->audience->output;
    struct broadcast_lag lag = broadcast_lag(f, &s->reader);
    return (struct subscriber_state){
        .subscriber = s,
        .pattern = t->kind == TOPIC_PATTERN ? topic_text(t) : (struct bytes){NULL, 0},
        .since_ms = s->since_ms[e->seat->place],
        .delivered = s->before + f->messages - s->from_message - lag.messages - moved(s),
        .lag_messages = lag.messages + moved(s),
        .lag_bytes = subscriber_pending(s),
        .lag_since_ms = moved(s) > 0 ? s->moved_since_ms : lag.since_ms,
    };
}

static void each_of_topic(const struct topic *t,
                          void (*fn)(void *arg, const struct subscriber_state *state), void *arg)
{
    for (size_t i = 0; t != NULL && i < t->count; i++) {
        const struct topic_entry *e = &t->entries[i];
        for (size_t m = 0; m < e->audience->member_count; m++) {
            struct subscriber_state state = state_of(t, e, e->audience->members[m]);
            fn(arg, &state);
        }
    }
}

void hub_each_subscriber(struct hub *h, struct bytes channel,
                         void (*fn)(void *arg, const struct subscriber_state *state), void *arg)
{
    struct pattern **found;
    each_of_topic(hub_find_topic(h, TOPIC_CHANNEL, channel), fn, arg);
    each_of_topic(hub_find_topic(h, TOPIC_BEHIND, channel), fn, arg);
    size_t n = pattern_match(h->patterns, channel, &found);
    for (size_t i = 0; i < n; i++) each_of_topic(hub_topic_of(found, i), fn, arg);
}
