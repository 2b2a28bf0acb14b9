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

struct flow;
struct flow_runner;
struct leat_client;

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

struct flow_runner_options {
    struct event_base *base;
    /* Makes one more connection to the broker (embedded or by URL). Owned by the runner. */
    struct leat_client *(*connect)(void *arg, const char *name);
    void *arg;
    int simulate_after_ms; /* as in source.h; 0: never */
    size_t ahead_max;      /* events a source may be ahead of the views; 0: 10,000 */
};
/* The flow must outlive the runner. */
struct flow_runner *flow_runner_new(const struct flow *f,
                                    const struct flow_runner_options *options);
void flow_runner_free(struct flow_runner *r);

struct flow_source_status {
    const char *id;
    struct source_status source;
    uint64_t published;         /* messages acknowledged by the broker */
    uint64_t duplicates;        /* dropped by `dedupe` */
    uint64_t malformed;         /* not what the file says they are */
    const char *last_malformed; /* NULL, or its reason and first bytes */
    bool held_back;             /* paused at the bound */
};
size_t flow_source_count(const struct flow_runner *r);
void flow_source_status(const struct flow_runner *r, size_t index, struct flow_source_status *ret);

struct flow_view_status {
    uint64_t processed; /* events whose updates were acknowledged */
    uint64_t malformed;
    uint64_t errors; /* error replies and unknown outcomes */
    const char *last_error;
};
void flow_view_status(const struct flow_runner *r, size_t index, struct flow_view_status *ret);

#endif
