/* A flow file, loaded and checked; and the runner that runs it.
 *
 *   sources:                          topics:            views:
 *     wikimedia:                        wiki: {}           changes:
 *       type: sse                                            type: timeseries
 *       url: ${LEAT_SOURCE_URL:-...}                         topic: wiki
 *       dedupe: meta.id                                      ...
 *       publish: [{topic: wiki}]
 *
 * The runner is a client: its sources publish, its views subscribe and count, all over RESP, so the
 * same file runs on the embedded broker and on any Redis. One thread: the one of the event base. */
#ifndef LEAT_FLOW_FLOW_H
#define LEAT_FLOW_FLOW_H

#include "base/buf.h"
#include "flow/source.h"
#include "leat/leat.h"

struct flow;
struct flow_runner;

/* Loads and checks a file. On failure -1, and all errors (file:line:column: what, with the nearest
 * known key) stand in `errors`, one per line. `getenv_fn` NULL: the process's environment. */
int flow_load(const char *path, const char *(*getenv_fn)(const char *name), struct buf *errors,
              struct flow **ret_flow);
void flow_free(struct flow *f);

enum flow_view_type { FLOW_VIEW_TIMESERIES, FLOW_VIEW_SCOREBOARD };

/* What a view keeps where; strings live as long as the flow. */
struct flow_view {
    const char *id;
    enum flow_view_type type;
    const char *topic;   /* id */
    const char *channel; /* the topic's */
    /* timeseries: hash `total`: bucket start (Unix seconds) -> count; per value of the event's
     * field `by` a hash `series` with {value} replaced; set `members` of the values. */
    const char *total, *by, *series, *members;
    int64_t interval_s, history_s;
    /* scoreboard: sorted set `key`; members are the messages themselves, or field `by` of them. */
    const char *key;
    int64_t top;
    const char *serve; /* HTTP path or NULL */
};
size_t flow_view_count(const struct flow *f);
const struct flow_view *flow_view_at(const struct flow *f, size_t index);
/* Sets *out to the key of one value's series of a view that has `series`. */
void flow_series_key(const struct flow_view *view, struct bytes value, struct buf *out);

typedef void (*flow_state_fn)(void *arg, enum leat_state state, const char *why);

struct flow_runner_options {
    struct event_base *base;
    /* Makes one more connection to the broker (embedded or by URL), which is the runner's from then
     * on. name, on_state and state_arg go into its struct leat_options as they are; pending_max
     * stays at its default. NULL when that cannot be. */
    struct leat_client *(*connect)(void *arg, const char *name, flow_state_fn on_state,
                                   void *state_arg);
    void *arg;
    int simulate_after_ms; /* as in source.h, for sources with a `simulate`; 0: never */
    size_t ahead_max;      /* events a source may be ahead of the views; 0: 10,000 */
    /* Each view keeps one more key, `leat:applied:<view id>`, by which it knows after a broken
     * connection whether its last transaction was applied: every batch counts exactly once. Without
     * it, such a batch is sent again, and may count twice. For brokers behind a network. */
    bool exact;
    int64_t (*now_ms)(void); /* Unix time; NULL: the clock's */
};
/* The flow must outlive the runner. NULL when `connect` gave none. */
struct flow_runner *flow_runner_new(const struct flow *f,
                                    const struct flow_runner_options *options);
void flow_runner_free(struct flow_runner *r);
/* For an orderly end: reads no more from the sources, and runs the event loop until all that was
 * published is counted; false when that takes longer. Not from within the loop. */
bool flow_runner_drain(struct flow_runner *r, int timeout_ms);

/* Texts are borrowed until the next turn of the event loop. */
struct flow_source_status {
    const char *id;
    struct source_status source;
    uint64_t published;             /* messages acknowledged by the broker */
    uint64_t republished;           /* sent again after a broken connection */
    uint64_t publish_errors;        /* refused messages and broken connections */
    const char *last_publish_error; /* or NULL */
    uint64_t duplicates;            /* events dropped by `dedupe` */
    uint64_t skipped;               /* events with nothing in them to publish */
    uint64_t malformed;             /* events that are not what the file says */
    const char *last_malformed;     /* or NULL: why, and the first bytes */
    uint64_t ahead;                 /* events published and not yet counted by the slowest view */
    bool held_back;                 /* paused at the bound */
    bool waiting_for_views;         /* paused, or not yet begun, as a view is not subscribed */
};
size_t flow_source_count(const struct flow_runner *r);
void flow_source_status(const struct flow_runner *r, size_t index, struct flow_source_status *ret);

struct flow_view_status {
    const char *id;
    bool subscribed;
    uint64_t processed; /* events whose updates were acknowledged */
    uint64_t malformed;
    const char *last_malformed; /* or NULL: why, and the first bytes */
    uint64_t errors;            /* error replies and broken connections */
    uint64_t sent_again;        /* batches, after an unknown outcome or a refusal */
    const char *last_error;     /* or NULL */
};
void flow_view_status(const struct flow_runner *r, size_t index, struct flow_view_status *ret);

#endif
