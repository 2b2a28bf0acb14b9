/* What hub.c, audience.c and publish.c share.
 *
 *    topic "news"  --entries-->  audience A  --members-->  subscriber 1, 2, 3 ...
 *                  \----------->  audience B  --members-->  subscriber 9
 *    audience A    --seats---->  topic "news", topic "sport"
 *
 * An audience is a set of topics, and the subscribers whose set is exactly that (and who speak the
 * same version of the protocol). Its seats are its topics; each knows its place on both sides, so
 * taking one away is as cheap as adding one.
 *
 * A set's identity is the sum of its topics' hashes: it does not depend on the order, and a change
 * costs one addition. While a subscriber changes its set it has an audience of its own, which
 * changes in place. Only a set that has come to rest (see settle()) is looked for among the others,
 * compared topic by topic, and joined. That comparison costs as much as the set is large; large
 * sets pay for it with messages they have received since their last change, so that changing a set
 * over and over never costs more than what it receives. */
#ifndef LEAT_HUB_HUB_PRIV_H
#define LEAT_HUB_HUB_PRIV_H

#include "base/map.h"
#include "hub/hub.h"
#include "hub/patterns.h"

struct topic_entry {
    struct audience *audience;
    struct seat *seat;
};

struct topic {
    struct topic_entry *entries;
    uint32_t count, cap;
    enum topic_kind kind;
    struct listed_pattern *listed; /* of a TOPIC_PATTERN */
    uint64_t hash;
    size_t len;
    char text[];
};

/* A pattern in the index, and whose it is. */
struct listed_pattern {
    struct pattern pattern;
    struct topic *topic;
};

struct seat {
    struct topic *topic; /* first: its address is the key in audience.by_topic */
    uint32_t entry;      /* in topic->entries */
    uint32_t place;      /* in audience->seats */
};

struct audience {
    struct broadcast output;
    struct subscriber **members;
    uint32_t member_count, member_cap;
    struct seat **seats;
    uint32_t seat_count, seat_cap, kind_count[TOPIC_KINDS];
    struct map *by_topic; /* of seats, by topic, when there are many; else NULL */
    uint64_t identity;
    uint64_t credit; /* messages since the set has changed */
    int proto;
    bool settled;             /* stands in hub.settled, where others find it */
    bool alone;               /* another set has the same identity: never to be found */
    bool active, dirty, dead; /* on hub.active; has unspread messages; free it at the turn's end */
    struct audience *next_active;
};

struct hub {
    struct map topics[TOPIC_KINDS];
    struct map settled; /* of audiences, by identity */
    struct pattern_index *patterns;
    size_t audiences;
    struct audience *active; /* those that something has happened to in this turn */
    struct shared *tape[2];  /* the messages of this turn, per protocol version; NULL: none yet */
    size_t unspread_bytes;
    uint64_t deliveries, delivered_bytes; /* ever */
    int64_t now_ms;
};

static inline struct bytes topic_text(const struct topic *t)
{
    return (struct bytes){t->text, t->len};
}

/* hub.c */
/* What it has not got of its audience's comes into its outbox. */
void subscriber_move(struct subscriber *s);
struct topic *hub_find_topic(struct hub *h, enum topic_kind kind, struct bytes text);

struct topic *hub_get_topic(struct hub *h, enum topic_kind kind, struct bytes text);
void hub_drop_topic(struct hub *h, struct topic *t);
/* The i-th topic of what pattern_match() found. */
struct topic *hub_topic_of(struct pattern *const *found, size_t i);

/* audience.c */
void audience_free(struct audience *a);
void audience_activate(struct hub *h, struct audience *a);
/* Joins others of the same set when it may. */
void audience_settle(struct hub *h, struct audience *a);

#endif
