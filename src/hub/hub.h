/* Channels, patterns and who listens. A subscriber is one connection's place here; a message is
 * encoded once per protocol version and put into each receiver's outbox. The hub knows no session,
 * no key and no stream. One thread. */
#ifndef LEAT_HUB_HUB_H
#define LEAT_HUB_HUB_H

#include "base/map.h"
#include "hub/outbox.h"

struct hub;

/* Embedded in its owner; the owner sets out and proto (which may change). */
struct subscriber {
    struct outbox *out;
    int proto;
    struct map channels; /* of struct subscription */
    struct map patterns;
};

void subscriber_init(struct subscriber *s, struct outbox *out);
/* How many channels and patterns it is subscribed to: the count that replies carry. */
static inline size_t subscriber_count(const struct subscriber *s)
{
    return map_count(&s->channels) + map_count(&s->patterns);
}

struct hub *hub_new(void);
void hub_free(struct hub *h);

/* True when it was not subscribed before. */
bool hub_subscribe(struct hub *h, struct subscriber *s, struct bytes channel);
bool hub_psubscribe(struct hub *h, struct subscriber *s, struct bytes pattern);
/* True when it was subscribed. */
bool hub_unsubscribe(struct hub *h, struct subscriber *s, struct bytes channel);
bool hub_punsubscribe(struct hub *h, struct subscriber *s, struct bytes pattern);
/* Leaves everything, silently; for a connection that ends. */
void hub_leave(struct hub *h, struct subscriber *s);

/* Delivers to subscribers and matching patterns, in this order; what it puts into outboxes waits
 * for `position`. Returns the number of deliveries. */
int64_t hub_publish(struct hub *h, struct bytes channel, struct bytes message, uint64_t position);

/* Walks channels that match `pattern` (all when pattern.data is NULL). */
void hub_each_channel(struct hub *h, struct bytes pattern,
                      void (*fn)(void *arg, struct bytes channel), void *arg);
int64_t hub_channel_subscribers(struct hub *h, struct bytes channel);
size_t hub_channels(const struct hub *h);
size_t hub_patterns(const struct hub *h);

#endif
