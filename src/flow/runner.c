/* Puts a flow to work: a feed for each source, a view for each view, who follows whom, and a tick
 * ten times a second. */
#include "flow/runner.h"

#include <event2/event.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/rand.h"
#include "flow/feed.h"
#include "flow/json.h"
#include "flow/runner_log.h"
#include "flow/view.h"

enum { TICK_MS = 100 };

struct flow_metrics flow_metrics = {
    .events = COUNTER("leat_flow_events_total", "Events that sources handed to flows."),
    .skipped = COUNTER("leat_flow_skipped_total", "Events with nothing in them to publish."),
    .malformed = COUNTER("leat_flow_malformed_total", "Events that were not what the file says."),
    .duplicates = COUNTER("leat_flow_duplicates_total", "Events dropped by dedupe."),
    .published = COUNTER("leat_flow_published_total", "Messages published and acknowledged."),
    .republished =
        COUNTER("leat_flow_republished_total", "Messages sent again after a broken connection."),
    .publish_errors =
        COUNTER("leat_flow_publish_errors_total", "Refused messages and broken connections."),
    .view_events =
        COUNTER("leat_flow_view_events_total", "Events counted by views and acknowledged."),
    .view_malformed =
        COUNTER("leat_flow_view_malformed_total", "Messages that views could not count."),
    .view_errors =
        COUNTER("leat_flow_view_errors_total", "Error replies and broken connections of views."),
    .ahead = GAUGE("leat_flow_ahead_events",
                   "Events published and not yet counted by the slowest view."),
    .held_back =
        GAUGE("leat_flow_held_back_sources", "Sources that are not read until views catch up."),
};

struct flow_runner {
    const struct flow *flow;
    struct flow_runner_options options;
    struct json_parser *json;
    struct event *tick;
    char run[33];
    struct feed **feeds;
    struct runner_log *feed_logs;
    size_t feed_count;
    struct view **views;
    struct runner_log *view_logs;
    size_t view_count;
};

int64_t flow_now_ms(const struct flow_runner_options *options)
{
    if (options->now_ms != NULL) return options->now_ms();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Ticks ---- */

/* Brings gauges and log up to date. */
static void report(const struct flow_runner *r, int64_t now_ms)
{
    int64_t ahead = 0, held = 0;
    for (size_t i = 0; i < r->feed_count; i++) {
        struct flow_source_status status;
        feed_get_status(r->feeds[i], &status);
        ahead += (int64_t)status.ahead;
        held += status.held_back;
        runner_log_source(&r->feed_logs[i], &status, now_ms);
    }
    for (size_t i = 0; i < r->view_count; i++) {
        struct flow_view_status status;
        view_get_status(r->views[i], &status);
        runner_log_view(&r->view_logs[i], &status, now_ms);
    }
    metric_set(&flow_metrics.ahead, ahead);
    metric_set(&flow_metrics.held_back, held);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct flow_runner *r = arg;
    int64_t now_ms = flow_now_ms(&r->options);
    for (size_t i = 0; i < r->feed_count; i++) feed_tick(r->feeds[i], now_ms);
    for (size_t i = 0; i < r->view_count; i++) view_tick(r->views[i], now_ms);
    report(r, now_ms);
}

/* ---- Life ---- */

static void register_metrics(void)
{
    struct metric *all = (struct metric *)&flow_metrics;
    for (size_t i = 0; i < sizeof(flow_metrics) / sizeof(struct metric); i++)
        metrics_register(&all[i]);
}

static void draw_run(struct flow_runner *r)
{
    struct rng rng;
    rng_seed_random(&rng);
    snprintf(r->run, sizeof(r->run), "%016llx%016llx", (unsigned long long)rng_next(&rng),
             (unsigned long long)rng_next(&rng));
}

static bool publishes_to(const struct flow_source *source, const char *topic)
{
    const struct flow_publish *rules = source->publish.items;
    for (size_t i = 0; i < source->publish.count; i++)
        if (strcmp(rules[i].topic, topic) == 0) return true;
    return false;
}

static int make_feeds(struct flow_runner *r)
{
    r->feeds = mem_calloc((r->flow->sources.count + 1) * sizeof(struct feed *));
    r->feed_logs = mem_calloc((r->flow->sources.count + 1) * sizeof(struct runner_log));
    for (size_t i = 0; i < r->flow->sources.count; i++) {
        struct feed *feed = feed_new(&(struct feed_options){.spec = flow_source_at(r->flow, i),
                                                            .runner = &r->options,
                                                            .json = r->json,
                                                            .run = r->run});
        if (feed == NULL) return -1;
        r->feeds[r->feed_count++] = feed;
    }
    return 0;
}

static int make_views(struct flow_runner *r)
{
    r->views = mem_calloc((r->flow->views.count + 1) * sizeof(struct view *));
    r->view_logs = mem_calloc((r->flow->views.count + 1) * sizeof(struct runner_log));
    for (size_t i = 0; i < r->flow->views.count; i++) {
        const struct flow_view *spec = flow_view_at(r->flow, i);
        struct view *view = view_new(&(struct view_options){
            .spec = spec, .runner = &r->options, .json = r->json, .run = r->run});
        if (view == NULL) return -1;
        r->views[r->view_count++] = view;
        for (size_t j = 0; j < r->feed_count; j++)
            if (publishes_to(flow_source_at(r->flow, j), spec->topic))
                view_follow(view, r->feeds[j]);
    }
    return 0;
}

struct flow_runner *flow_runner_new(const struct flow *f, const struct flow_runner_options *options)
{
    struct flow_runner *r = mem_calloc(sizeof(*r));
    r->flow = f;
    r->options = *options;
    r->json = json_parser_new();
    r->tick = event_new(options->base, -1, EV_PERSIST, on_tick, r);
    register_metrics();
    draw_run(r);
    if (make_feeds(r) != 0 || make_views(r) != 0) {
        flow_runner_free(r);
        return NULL;
    }
    for (size_t i = 0; i < r->view_count; i++) view_start(r->views[i]);
    for (size_t i = 0; i < r->feed_count; i++) feed_start(r->feeds[i]);
    struct timeval every = {0, TICK_MS * 1000};
    event_add(r->tick, &every);
    return r;
}

void flow_runner_free(struct flow_runner *r)
{
    if (r == NULL) return;
    event_free(r->tick);
    for (size_t i = 0; i < r->feed_count; i++) feed_free(r->feeds[i]);
    for (size_t i = 0; i < r->view_count; i++) view_free(r->views[i]);
    mem_free(r->feeds);
    mem_free(r->views);
    mem_free(r->feed_logs);
    mem_free(r->view_logs);
    json_parser_free(r->json);
    mem_free(r);
}

/* ---- The end ---- */

static bool is_done(const struct flow_runner *r)
{
    for (size_t i = 0; i < r->feed_count; i++)
        if (!feed_is_done(r->feeds[i])) return false;
    for (size_t i = 0; i < r->view_count; i++)
        if (!view_is_done(r->views[i])) return false;
    return true;
}

static int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool flow_runner_drain(struct flow_runner *r, int timeout_ms)
{
    int64_t end = steady_ms() + timeout_ms;
    for (size_t i = 0; i < r->feed_count; i++) feed_halt(r->feeds[i]);
    /* The tick ends each turn of the loop in a tenth of a second at most. */
    while (!is_done(r) && steady_ms() < end) event_base_loop(r->options.base, EVLOOP_ONCE);
    return is_done(r);
}

/* ---- Status ---- */

size_t flow_source_count(const struct flow_runner *r)
{
    return r->feed_count;
}

void flow_source_status(const struct flow_runner *r, size_t index, struct flow_source_status *ret)
{
    feed_get_status(r->feeds[index], ret);
}

void flow_view_status(const struct flow_runner *r, size_t index, struct flow_view_status *ret)
{
    view_get_status(r->views[index], ret);
}
