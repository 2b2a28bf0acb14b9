/* Channels and patterns: two maps from text to a topic, each topic an array of its subscribers. A
 * subscription knows its place in that array, so leaving is as cheap as joining. */
#include "hub/hub.h"

#include "base/mem.h"
#include "base/must.h"
#include "resp/writer.h"

struct topic {
    struct subscription **members;
    size_t count, cap;
    size_t list_slot; /* patterns: place in hub.pattern_list */
    size_t len;
    char text[];
};

/* One subscriber at one topic; an item of the subscriber's map, keyed by the topic's text. */
struct subscription {
    struct topic *topic;
    struct subscriber *subscriber;
    size_t slot; /* in topic->members */
};

struct hub {
    struct map channels;
    struct map patterns;
    struct topic **pattern_list; /* in order of first subscription */
    size_t pattern_count, pattern_cap;
    struct buf scratch[2]; /* the encoded message, per protocol version */
};

static struct bytes topic_text(const void *item)
{
    const struct topic *t = item;
    return (struct bytes){t->text, t->len};
}

static struct bytes subscription_text(const void *item)
{
    const struct subscription *s = item;
    return topic_text(s->topic);
}

static void topic_free(void *item)
{
    struct topic *t = item;
    mem_free(t->members);
    mem_free(t);
}

static const struct map_type topic_type = {.key = topic_text, .free = topic_free};
static const struct map_type subscription_type = {.key = subscription_text, .free = mem_free};

void subscriber_init(struct subscriber *s, struct outbox *out)
{
    *s = (struct subscriber){.out = out, .proto = 2};
    map_init(&s->channels, &subscription_type);
    map_init(&s->patterns, &subscription_type);
}

struct hub *hub_new(void)
{
    struct hub *h = mem_calloc(sizeof *h);
    map_init(&h->channels, &topic_type);
    map_init(&h->patterns, &topic_type);
    return h;
}

void hub_free(struct hub *h)
{
    if (h == NULL) return;
    map_clear(&h->channels);
    map_clear(&h->patterns);
    mem_free(h->pattern_list);
    buf_fini(&h->scratch[0]);
    buf_fini(&h->scratch[1]);
    mem_free(h);
}

/* ---- Joining and leaving ---- */

static struct topic *get_topic(struct map *topics, struct bytes text)
{
    struct topic *t = map_get(topics, text);
    if (t != NULL) return t;
    t = mem_calloc(sizeof *t + text.len);
    t->len = text.len;
    if (text.len > 0) memcpy(t->text, text.data, text.len);
    map_insert(topics, t);
    return t;
}

static void list_pattern(struct hub *h, struct topic *t)
{
    if (h->pattern_count == h->pattern_cap) {
        h->pattern_cap = h->pattern_cap ? h->pattern_cap * 2 : 16;
        h->pattern_list = mem_realloc(h->pattern_list, h->pattern_cap * sizeof(struct topic *));
    }
    t->list_slot = h->pattern_count;
    h->pattern_list[h->pattern_count++] = t;
}

static void unlist_pattern(struct hub *h, struct topic *t)
{
    struct topic *last = h->pattern_list[--h->pattern_count];
    h->pattern_list[t->list_slot] = last;
    last->list_slot = t->list_slot;
}

static void join(struct topic *t, struct subscriber *s, struct map *own)
{
    struct subscription *sub = mem_alloc(sizeof *sub);
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 2;
        t->members = mem_realloc(t->members, t->cap * sizeof(struct subscription *));
    }
    *sub = (struct subscription){t, s, t->count};
    t->members[t->count++] = sub;
    map_insert(own, sub);
}

/* Takes the subscription out of its topic; true when the topic is empty now. */
static bool part(struct subscription *sub)
{
    struct topic *t = sub->topic;
    struct subscription *last = t->members[--t->count];
    t->members[sub->slot] = last;
    last->slot = sub->slot;
    return t->count == 0;
}

bool hub_subscribe(struct hub *h, struct subscriber *s, struct bytes channel)
{
    if (map_get(&s->channels, channel) != NULL) return false;
    join(get_topic(&h->channels, channel), s, &s->channels);
    return true;
}

bool hub_psubscribe(struct hub *h, struct subscriber *s, struct bytes pattern)
{
    if (map_get(&s->patterns, pattern) != NULL) return false;
    struct topic *t = get_topic(&h->patterns, pattern);
    if (t->count == 0) list_pattern(h, t);
    join(t, s, &s->patterns);
    return true;
}

static void drop_channel(struct hub *h, struct subscription *sub)
{
    struct topic *t = sub->topic;
    if (part(sub)) map_delete(&h->channels, topic_text(t));
    mem_free(sub);
}

static void drop_pattern(struct hub *h, struct subscription *sub)
{
    struct topic *t = sub->topic;
    if (part(sub)) {
        unlist_pattern(h, t);
        map_delete(&h->patterns, topic_text(t));
    }
    mem_free(sub);
}

bool hub_unsubscribe(struct hub *h, struct subscriber *s, struct bytes channel)
{
    struct subscription *sub = map_take(&s->channels, channel);
    if (sub != NULL) drop_channel(h, sub);
    return sub != NULL;
}

bool hub_punsubscribe(struct hub *h, struct subscriber *s, struct bytes pattern)
{
    struct subscription *sub = map_take(&s->patterns, pattern);
    if (sub != NULL) drop_pattern(h, sub);
    return sub != NULL;
}

static void leave_all(struct hub *h, struct map *own,
                      void (*drop)(struct hub *, struct subscription *))
{
    struct map_iter it;
    struct subscription *sub;
    struct subscription **all = mem_alloc((map_count(own) + 1) * sizeof *all);
    size_t n = 0;
    map_iter_init(&it, own);
    while ((sub = map_iter_next(&it)) != NULL) all[n++] = sub;
    map_iter_fini(&it);
    for (size_t i = 0; i < n; i++) {
        must(map_take(own, subscription_text(all[i])) == all[i]);
        drop(h, all[i]);
    }
    mem_free(all);
    map_clear(own);
}

void hub_leave(struct hub *h, struct subscriber *s)
{
    leave_all(h, &s->channels, drop_channel);
    leave_all(h, &s->patterns, drop_pattern);
}

/* ---- Publishing ---- */

static void encode(struct buf *out, int proto, const struct topic *pattern, struct bytes channel,
                   struct bytes message)
{
    struct resp_writer w = {out, proto};
    out->len = 0;
    resp_push(&w, pattern ? 4 : 3);
    resp_bulk_str(&w, pattern ? "pmessage" : "message");
    if (pattern != NULL) resp_bulk(&w, topic_text(pattern));
    resp_bulk(&w, channel);
    resp_bulk(&w, message);
}

static void deliver(struct hub *h, struct topic *t, bool is_pattern, struct bytes channel,
                    struct bytes message, uint64_t position)
{
    bool encoded[2] = {false, false};
    for (size_t i = 0; i < t->count; i++) {
        struct subscriber *s = t->members[i]->subscriber;
        int version = s->proto == 3;
        if (!encoded[version]) {
            encode(&h->scratch[version], s->proto, is_pattern ? t : NULL, channel, message);
            encoded[version] = true;
        }
        outbox_put(s->out, buf_bytes(&h->scratch[version]), position);
    }
}

int64_t hub_publish(struct hub *h, struct bytes channel, struct bytes message, uint64_t position)
{
    int64_t receivers = 0;
    struct topic *t = map_get(&h->channels, channel);
    if (t != NULL) {
        deliver(h, t, false, channel, message, position);
        receivers += (int64_t)t->count;
    }
    for (size_t i = 0; i < h->pattern_count; i++) {
        struct topic *p = h->pattern_list[i];
        if (!bytes_match_glob(topic_text(p), channel, false)) continue;
        deliver(h, p, true, channel, message, position);
        receivers += (int64_t)p->count;
    }
    buf_shrink(&h->scratch[0], 1u << 20);
    buf_shrink(&h->scratch[1], 1u << 20);
    return receivers;
}

/* ---- Asking ---- */

void hub_each_channel(struct hub *h, struct bytes pattern,
                      void (*fn)(void *arg, struct bytes channel), void *arg)
{
    struct map_iter it;
    struct topic *t;
    map_iter_init(&it, &h->channels);
    while ((t = map_iter_next(&it)) != NULL)
        if (pattern.data == NULL || bytes_match_glob(pattern, topic_text(t), false))
            fn(arg, topic_text(t));
    map_iter_fini(&it);
}

int64_t hub_channel_subscribers(struct hub *h, struct bytes channel)
{
    struct topic *t = map_get(&h->channels, channel);
    return t == NULL ? 0 : (int64_t)t->count;
}

size_t hub_channels(const struct hub *h)
{
    return map_count(&h->channels);
}

size_t hub_patterns(const struct hub *h)
{
    return map_count(&h->patterns);
}
