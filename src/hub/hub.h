/* Channels, patterns and who listens. A subscriber is one connection's place here. A message is
 * encoded once per protocol version; subscribers of the same set of topics form an audience (see
 * hub_priv.h) and share its output, each with a place of its own in it. The hub knows no session,
 * no key and no stream. One thread.
 *
 * What is on its way to a connection is its outbox and behind it what its audience has and it has
 * not got: subscriber_ready(). Whoever writes into the outbox calls subscriber_reply_begin() or
 * subscriber_put(), so that the order in which things happened is the order in which they leave.
 *
 * In a turn: commands (publishing among them); hub_spread(), which marks as dirty the outboxes of
 * those for whom there is something; writing; hub_turn_end(). */
#ifndef LEAT_HUB_HUB_H
#define LEAT_HUB_HUB_H

#include "hub/broadcast.h"

struct hub;
struct audience;

/* TOPIC_BEHIND is a channel that its subscriber is served from elsewhere: it is subscribed to it,
 * and nothing that is published on the channel is delivered. */
enum topic_kind { TOPIC_CHANNEL, TOPIC_PATTERN, TOPIC_SHARD, TOPIC_BEHIND, TOPIC_KINDS };

/* Embedded in its owner. */
struct subscriber {
    struct outbox *out;
    int proto;                 /* by hub_set_proto() */
    struct audience *audience; /* NULL: subscribed to nothing */
    uint32_t place;            /* among its audience's members */
    struct broadcast_reader reader;
    int64_t *since_ms;        /* of each subscription, in the order of the audience's seats */
    uint64_t before;          /* messages that audiences it was in earlier had for it */
    uint64_t from_message;    /* the broadcast's count when it joined */
    uint64_t moved, moved_to; /* messages put into the outbox, which end at this place in it */
    int64_t moved_since_ms;   /* when the oldest of these came */
    uint64_t sent;            /* bytes that have left, since the beginning */
    void (*on_sent)(struct subscriber *s); /* called when some has left; NULL: nobody cares */
};

void subscriber_init(struct subscriber *s, struct outbox *out);
/* How many topics of that kind it is subscribed to. */
size_t subscriber_count(const struct subscriber *s, enum topic_kind kind);
/* And of all kinds. */
size_t subscriber_topics(const struct subscriber *s);
bool subscriber_has(struct hub *h, const struct subscriber *s, enum topic_kind kind,
                    struct bytes text);
static inline bool subscriber_is_any(const struct subscriber *s)
{
    return s->audience != NULL;
}
/* Calls fn for each; nothing may be subscribed or left meanwhile. */
void subscriber_each(const struct subscriber *s, enum topic_kind kind,
                     void (*fn)(void *arg, struct bytes text), void *arg);

/* ---- Output ---- */

/* Around a reply that is written into the outbox's bytes; it depends on `position`. */
void subscriber_reply_begin(struct subscriber *s);
void subscriber_reply_end(struct subscriber *s, uint64_t position);
/* outbox_put() behind what has been published. */
void subscriber_put(struct subscriber *s, struct bytes b, uint64_t position);
/* The same with so many messages, which count as any that come by an audience. */
void subscriber_put_messages(struct hub *h, struct subscriber *s, struct bytes b, uint64_t count,
                             uint64_t position);
/* As outbox_pending(), outbox_ready() and outbox_sent(), with what the audience has for it. */
size_t subscriber_pending(const struct subscriber *s);
/* Of these, what it shares with others. */
size_t subscriber_shared(const struct subscriber *s);
size_t subscriber_ready(const struct subscriber *s, uint64_t covered, struct bytes *ret_runs,
                        size_t max);
void subscriber_sent(struct subscriber *s, size_t n);
/* Drops what the audience has for it, but for a message that has left in part, and those that
 * `keep` wants (NULL: none). Returns how many it dropped. */
uint64_t subscriber_drop(struct subscriber *s, bool (*keep)(void *arg, struct bytes message),
                         void *arg);
/* The channel of a message as the hub encodes it: {NULL, 0} where it came by a pattern or a shard
 * channel. */
struct bytes message_channel(struct bytes message);

/* Where the output ends, counted as `sent` is. */
static inline uint64_t subscriber_end(const struct subscriber *s)
{
    return s->sent + subscriber_pending(s);
}

/* ---- Joining and leaving ---- */

struct hub *hub_new(void);
void hub_free(struct hub *h); /* every subscriber has left */
/* Unix time, for what comes now. */
void hub_set_time(struct hub *h, int64_t now_ms);

/* True when it was not subscribed before. */
bool hub_subscribe(struct hub *h, struct subscriber *s, enum topic_kind kind, struct bytes text);
/* True when it was subscribed. */
bool hub_unsubscribe(struct hub *h, struct subscriber *s, enum topic_kind kind, struct bytes text);
/* The subscription becomes one of another kind, and is as old as it was. */
void hub_change_kind(struct hub *h, struct subscriber *s, enum topic_kind from, enum topic_kind to,
                     struct bytes text);
/* Leaves everything, silently; what has been published before still comes to the outbox. */
void hub_leave(struct hub *h, struct subscriber *s);
/* From now on messages are encoded for that version of the protocol. */
void hub_set_proto(struct hub *h, struct subscriber *s, int proto);

/* ---- Publishing ---- */

/* Delivers to subscribers and matching patterns, in this order; what is delivered waits for
 * `position`. Returns the number of deliveries. */
int64_t hub_publish(struct hub *h, struct bytes channel, struct bytes message, uint64_t position);
int64_t hub_publish_shard(struct hub *h, struct bytes channel, struct bytes message,
                          uint64_t position);
void hub_spread(struct hub *h);
/* Bytes published since the last hub_spread(). */
size_t hub_unspread_bytes(const struct hub *h);
/* What was handed to subscribers, ever: messages, and their bytes as encoded. */
uint64_t hub_deliveries(const struct hub *h);
uint64_t hub_delivered_bytes(const struct hub *h);
/* After what could be written was: audiences of the same set become one. */
void hub_turn_end(struct hub *h);

/* ---- Asking ---- */

/* Walks channels (of that kind) that match `pattern` (all when pattern.data is NULL). */
void hub_each_channel(struct hub *h, enum topic_kind kind, struct bytes pattern,
                      void (*fn)(void *arg, struct bytes channel), void *arg);
int64_t hub_subscribers(struct hub *h, enum topic_kind kind, struct bytes text);
size_t hub_topics(const struct hub *h, enum topic_kind kind);
/* Channels with subscribers of either kind. */
size_t hub_channels(const struct hub *h);
size_t hub_audiences(const struct hub *h);

/* What PUBSUB SUBSCRIBERS tells of one. */
struct subscriber_state {
    struct subscriber *subscriber;
    struct bytes pattern; /* by which it hears of the channel; data NULL: by its name */
    int64_t since_ms;     /* subscribed to this topic */
    uint64_t delivered;   /* messages of all its topics that were handed to its socket */
    uint64_t lag_messages;
    size_t lag_bytes;
    int64_t lag_since_ms; /* when the oldest of these came; 0: none waits */
};
/* Whom a message on that channel would reach; who would get it twice comes twice. */
void hub_each_subscriber(struct hub *h, struct bytes channel,
                         void (*fn)(void *arg, const struct subscriber_state *state), void *arg);

#endif
