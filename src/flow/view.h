/* A view at work: subscribes to its topic, turns each message into updates of its keys, and has
 * them written. Between the two it keeps the books of how far each feed's events have got: a
 * barrier that a feed publishes behind its events is reported back once all updates that came
 * before it are applied. One thread. */
#ifndef LEAT_FLOW_VIEW_H
#define LEAT_FLOW_VIEW_H

#include "base/buf.h"
#include "flow/flow.h"

struct batch;
struct feed;
struct json_parser;
struct view;

struct view_options {
    const struct flow_view *spec;
    const struct flow_runner_options *runner; /* outlives the view */
    struct json_parser *json;                 /* shared, outlives the view */
    const char *run;                          /* of this runner, unlike any other's */
};

/* NULL when the connections cannot even be begun. */
struct view *view_new(const struct view_options *options);
void view_free(struct view *v);
/* Follows a feed that publishes to the view's topic: feed_view_ready tells it when all
 * subscriptions are confirmed and when no longer, feed_report how far its events are applied. To be
 * called before view_start. The feed is freed before the view. */
void view_follow(struct view *v, struct feed *feed);
/* Subscribes. */
void view_start(struct view *v);
/* Once in a while (100 ms), for what is due by the clock. */
void view_tick(struct view *v, int64_t now_ms);
/* All that was received is written. */
bool view_is_done(const struct view *v);
void view_get_status(const struct view *v, struct flow_view_status *ret);

/* ---- For the types of views ---- */

/* What a type does. One table per type; all of it on the view's spec and batch. */
struct view_type {
    /* Adds the updates of one message to the batch. 0, or -1 with a static sentence: malformed. */
    int (*take)(struct view *v, struct bytes message, int64_t now_s, struct batch *batch,
                const char **ret_why);
    /* NULL for nothing. */
    void (*start)(struct view *v);
    void (*tick)(struct view *v, int64_t now_s);
    void (*stop)(struct view *v);
};

extern const struct view_type view_timeseries, view_scoreboard;

const struct flow_view *view_spec(const struct view *v);
struct leat_client *view_client(struct view *v);
void view_note_error(struct view *v, struct bytes text);
/* The text of the field `path` of a JSON message: borrowed until the next message. */
int view_field(struct view *v, struct bytes message, const char *path, struct bytes *ret,
               const char **ret_why);
/* The type's own state; NULL at first. */
void **view_state(struct view *v);

#endif
