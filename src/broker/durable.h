/* Durable channels and subscribers: publish/subscribe that does not lose (docs/durable-pubsub.md,
 * docs/design/0004-durable-pubsub.md).
 *
 * A channel that matches the setting `durable` is also the stream of that name in database 0. A
 * connection with a name that subscribes to it is a durable subscriber: its position is a consumer
 * group of that stream, called "durable:NAME", and it is in one of two states:
 *
 *     BEHIND   fed from the stream, a piece whenever its output has left; nothing published reaches
 *              it otherwise (TOPIC_BEHIND in the hub)
 *     LIVE     a member of the channel's audience (TOPIC_CHANNEL), like everybody
 *
 *                 read to the stream's end, in one turn: no gap, nothing twice
 *     BEHIND  -------------------------------------------------------------->  LIVE
 *             <--------------------------------------------------------------
 *                 more waits for it than durable-spill-bytes: given back
 *
 * One thread, the broker's. */
#ifndef LEAT_BROKER_DURABLE_H
#define LEAT_BROKER_DURABLE_H

#include "broker/call.h"
#include "keys/stream.h"

struct durable;

struct durable *durable_new(void);
void durable_free(struct durable *d); /* every session is closed */
/* The settings have been set or changed. */
void durable_settings_changed(struct broker *b);

/* ---- Publishing (durable_channel.c) ---- */

bool durable_is_channel(struct broker *b, struct bytes channel);
/* Does the command append to a stream though it is no write by its flags? PUBLISH on such a
 * channel. */
bool durable_appends(struct broker *b, const struct command *cmd, size_t argc,
                     const struct bytes *argv);
/* What it then takes of the journal, beyond its arguments. */
size_t durable_entry_bytes(struct bytes channel);
/* PUBLISH: appends and pushes. False with the error replied. */
bool durable_publish(struct call *c, struct bytes channel, struct bytes message,
                     int64_t *ret_receivers);
/* XADD has added this entry in c->db: it is pushed if it is a message on a durable channel. */
void durable_added(struct call *c, struct key *k, struct stream_id id, const struct bytes *fields,
                   size_t n);
/* A keyspace event is published on that channel, if that is durable; else false. In the drain. */
bool durable_event(struct broker *b, struct bytes channel, struct bytes message);

/* ---- Subscribing (durable.c) ---- */

/* Before anything of SUBSCRIBE is done: false with the error replied when positions cannot be kept
 * now. */
bool durable_may_subscribe(struct call *c, const struct bytes *channels, size_t n);
/* Makes the session a durable subscriber of the channel: true, or it was one. False: it is to be an
 * ordinary one. */
bool durable_subscribe(struct call *c, struct bytes channel);
/* The position is kept. False when it was no durable subscriber of the channel. */
bool durable_unsubscribe(struct broker *b, struct session *s, struct bytes channel);
/* The session goes, or lets everything go. */
void durable_leave_all(struct broker *b, struct session *s);

/* Lowers `floor`, the smallest id that some group has not acknowledged, to what a subscriber that
 * is connected may still be sent again: its position may yet go back, when the connection is reset.
 */
void durable_lower_floor(struct broker *b, int db, const struct key *k, struct stream_id *floor);

/* ---- In every turn ---- */

/* What is due: positions, expiry, who waits for entries from disk. */
void durable_turn_begin(struct broker *b);
/* Feeds those BEHIND whose output has left, within a budget. */
void durable_feed(struct broker *b);
/* Somebody can be fed at once. */
bool durable_is_hungry(const struct broker *b);
/* To be told how much output waits for a session: what is shared is given back when it is too much.
 * Returns how much of what is left does not count for the output limits. */
size_t durable_check_output(struct broker *b, struct session *s, bool full);

/* ---- Asking ---- */

struct durable_stats {
    uint64_t live, behind, absent; /* subscriptions now; absent: as last counted */
    uint64_t spilled, dropped, disconnected, redelivered, missed, skipped, expired, positions,
        published, refused_events, over_limit;
};
void durable_stats(const struct broker *b, struct durable_stats *ret);
/* What PUBSUB SUBSCRIBERS tells of one on this channel, beside what the hub knows. */
struct durable_look {
    const char *state;     /* "ordinary", "live", "behind" */
    bool is_durable;       /* else nothing of what follows is known */
    struct stream_id upto; /* an entry that was handed to its socket, and all before it */
    /* What it has still to be fed from the stream; since: of what has not left, to a checkpoint. */
    struct stream_rest rest;
};
struct durable_look durable_look(struct broker *b, const struct session *s, struct bytes channel,
                                 const struct subscriber_state *state);
void durable_metrics_register(void);
void durable_metrics_update(const struct broker *b);

/* cmd_pubsub_durable.c */
void cmd_pubsub_durable(struct call *c);

#endif
