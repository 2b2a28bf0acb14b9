/* What the files of durable publish/subscribe share. */
#ifndef LEAT_BROKER_DURABLE_PRIV_H
#define LEAT_BROKER_DURABLE_PRIV_H

#include "broker/durable.h"
#include "broker/durable_points.h"
#include "broker/durable_settings.h"
#include "broker/internal.h"
#include "keys/stream_group.h"

struct durable_channel;

enum durable_state { DURABLE_LIVE, DURABLE_BEHIND };

/* Links in a list of subscriptions; a subscription is on at most one of `ready` and `loading`. */
struct durable_list {
    struct durable_sub *first, *last;
};

/* A connected durable subscription. */
struct durable_sub {
    struct session *session;
    struct durable_channel *channel;
    struct durable_sub *prev_of_session, *next_of_session;
    struct durable_list *queue; /* the list it waits on; NULL */
    struct durable_sub *queue_prev, *queue_next;
    struct durable_sub *unsettled_prev, *unsettled_next;
    bool unsettled; /* its position may have to be written down */
    bool has_rival; /* another connection of its name wanted to be what it is */
    uint32_t place; /* in channel->subs */
    enum durable_state state;
    /* BEHIND: the last entry it was given, the ordinal behind it, and the ordinal of the first it
     * is to be given (what lies between it has got by the channel's output). */
    struct stream_id cursor;
    uint64_t cursor_ordinal, from_ordinal;
    struct points points;
    uint64_t dropping; /* while its output is looked through */
    uint64_t spilled, dropped, missed, redelivered;
    int64_t announced_ms; /* when a drop was last told of in the log */
    size_t name_len;
    char name[];
};

/* A channel with connected durable subscribers. Pushes are numbered from 0 on: those from
 * `base_from` on have the ordinal `base` + number. */
struct durable_channel {
    struct durable_sub **subs;
    size_t count, cap;
    struct map by_name; /* of subs */
    uint64_t hash;
    uint64_t serial; /* of the stream it is; 0: there is none yet */
    uint64_t pushed, base, base_from;
    uint64_t skipped;         /* entries that are no messages */
    struct stream_id last_id; /* of the last push, and the ordinal behind it */
    uint64_t next_ordinal;
    size_t unsampled; /* bytes pushed since the last checkpoints */
    int64_t sampled_ms;
    bool active; /* on the list of those to take checkpoints of */
    struct durable_channel *next_active;
    size_t name_len;
    char name[];
};

struct pattern_list {
    char *text;
    struct bytes *at;
    size_t count;
};

struct durable {
    bool on; /* some channel is durable */
    struct pattern_list channels, names, on_slow;
    struct stream_retention retention;
    struct map by_name;             /* of channels with connected subscribers */
    struct durable_channel *active; /* pushed to since their last checkpoints */
    struct durable_list ready, loading;
    uint64_t loads; /* the store's, when `loading` was last looked at */
    struct durable_sub *unsettled;
    int64_t sampled_ms, settled_ms, swept_ms;
    uint64_t sweep_cursor, sweep_absent;
    struct buf scratch;
    struct durable_stats stats;
};

static inline struct bytes channel_name(const struct durable_channel *ch)
{
    return (struct bytes){ch->name, ch->name_len};
}
static inline struct bytes sub_name(const struct durable_sub *u)
{
    return (struct bytes){u->name, u->name_len};
}

bool pattern_list_matches(const struct pattern_list *l, struct bytes text);
enum durable_policy durable_policy(const struct durable *d, struct bytes channel);

/* durable.c */
struct durable_channel *durable_find_channel(struct broker *b, struct bytes name);
struct durable_sub *durable_find_sub(struct broker *b, struct bytes channel, struct bytes name);
void durable_queue(struct durable_list *l, struct durable_sub *u);
void durable_unqueue(struct durable_sub *u);
/* May one more be remembered on this stream? */
bool durable_has_room(const struct broker *b, const struct stream *s);
/* A call of nobody's, in database 0, for changes outside of commands; then durable_done(). */
struct call durable_call(struct broker *b);
void durable_done(struct broker *b);
/* The stream that the channel is, in database 0; NULL when there is none. */
struct key *durable_key(struct broker *b, struct bytes channel);
/* Gives a new stream the retention that durable channels have, unless a rule bounds it already. */
void durable_bound(struct call *c, struct key *k);
/* A stream with this name and such a retention. */
struct key *durable_make_stream(struct call *c, struct bytes channel);
/* "durable:NAME", on the arena. */
struct bytes durable_group_name(struct arena *arena, struct bytes name);
/* NAME of a group that is a position; {NULL, 0} of others. */
struct bytes durable_group_subscriber(const struct group *g);

/* durable_channel.c */
/* Is it still the same stream, and its end not taken back? If not, who was behind begins with it,
 * who was live goes on at `live_id`, its end before what is being added. */
void durable_follow(struct durable_channel *ch, const struct stream *s, struct stream_id live_id,
                    uint64_t live_ordinal);
void durable_sample(struct broker *b, struct durable_channel *ch);
void durable_sample_active(struct broker *b);

/* durable_feed.c */
void durable_go_behind(struct broker *b, struct durable_sub *u, bool subscribed);
void durable_look_at_loads(struct broker *b);
/* From now on what comes behind `id`; what it has not got of the channel's output is given back. */
void durable_reposition(struct broker *b, struct durable_sub *u, struct stream_id id,
                        uint64_t ordinal);

/* durable_position.c */
void durable_unsettle(struct broker *b, struct durable_sub *u);
void durable_settle_out(struct durable_sub *u); /* off the list */
/* Writes down where it would resume if it went now. */
void durable_write_position(struct broker *b, struct durable_sub *u, bool leaves);
void durable_settle_due(struct broker *b);
/* Forgets who is absent for too long, a piece of the keyspace at a time. */
void durable_sweep(struct broker *b);

#endif
