/* The dashboard's routes and its one clock. */
#include "cli/dashboard.h"

#include <event2/event.h>
#include <time.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"
#include "base/num.h"
#include "cli/dashboard_priv.h"
#include "http/files.h"

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t dash_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t dash_unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

/* ---- Routes ---- */

/* Of one view's `serve` path: the argument names dashboard and view. */
struct served {
    struct dashboard *dash;
    const struct flow_view *view;
};

static void ask(struct dashboard *d, struct http_request *r, const struct panel_query *query)
{
    struct panel *p = panel_get(d, query);
    if (p) {
        panel_request(p, r);
    } else {
        http_answer_error(r, 503, "too many different questions are under way");
    }
}

static void on_status(struct http_request *r, void *arg)
{
    ask(arg, r, &(struct panel_query){.type = &panel_status});
}

/* The view a request names; answers it with an error and gives NULL when there is no such view. */
static const struct flow_view *view_of(struct dashboard *d, struct http_request *r,
                                       enum flow_view_type type)
{
    const struct flow_view *view = question_view(d, type, http_query(r, "view", 0));
    if (!view) http_answer_error(r, 404, "the flow has no such view");
    return view;
}

static void on_members(struct http_request *r, void *arg)
{
    const struct flow_view *view = view_of(arg, r, FLOW_VIEW_TIMESERIES);
    if (view) ask(arg, r, &(struct panel_query){.type = &panel_members, .view = view});
}

static void on_series(struct http_request *r, void *arg)
{
    const char *keys[DASH_KEYS_MAX];
    size_t n = 0;
    const struct flow_view *view = view_of(arg, r, FLOW_VIEW_TIMESERIES);
    if (!view) return;
    if (!question_keys(r, keys, &n)) {
        http_answer_error(r, 400, "too many keys are asked for");
        return;
    }
    ask(arg, r,
        &(struct panel_query){.type = &panel_series, .view = view, .keys = keys, .key_count = n});
}

static void on_scoreboard(struct http_request *r, void *arg)
{
    const char *top = http_query(r, "top", 0);
    const struct flow_view *view = view_of(arg, r, FLOW_VIEW_SCOREBOARD);
    int64_t n = view ? view->top : 0;
    if (!view) return;
    if (top && (!num_parse_i64(bytes_of(top), &n) || n < 1 || n > DASH_TOP_MAX)) {
        http_answer_error(r, 400, "top must be a number from 1 to 1000");
        return;
    }
    ask(arg, r, &(struct panel_query){.type = &panel_scoreboard, .view = view, .top = n});
}

static void on_serve(struct http_request *r, void *arg)
{
    struct served *s = arg;
    ask(s->dash, r,
        &(struct panel_query){.type = &panel_serve, .view = s->view, .top = s->view->top});
}

static void on_metrics(struct http_request *r, void *arg)
{
    struct buf text = {0};
    metrics_expose(&text);
    http_answer(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&text));
    buf_fini(&text);
}

static void on_health(struct http_request *r, void *arg)
{
    http_answer(r, 200, "text/plain; charset=utf-8", BYTES("ok\n"));
}

static void on_ready(struct http_request *r, void *arg)
{
    ask(arg, r, &(struct panel_query){.type = &panel_ready});
}

/* A view may serve any path, but not one of ours: these are registered after it. */
static void add_served(struct dashboard *d, struct gateway *g)
{
    size_t n = d->flow ? flow_view_count(d->flow) : 0;
    d->served = mem_calloc((n + 1) * sizeof(*d->served));
    for (size_t i = 0; i < n; i++) {
        const struct flow_view *view = flow_view_at(d->flow, i);
        d->served[i] = (struct served){d, view};
        if (view->type == FLOW_VIEW_SCOREBOARD && view->serve) {
            gateway_route(g, view->serve, on_serve, &d->served[i]);
        }
    }
}

static void add_routes(struct dashboard *d, struct gateway *g)
{
    add_served(d, g);
    for (size_t i = 0; i < http_files_count; i++) {
        gateway_file(g, http_files[i].path, http_files[i].content_type, http_files[i].content);
    }
    gateway_route(g, "/api/status", on_status, d);
    gateway_route(g, "/api/members", on_members, d);
    gateway_route(g, "/api/series", on_series, d);
    gateway_route(g, "/api/scoreboard", on_scoreboard, d);
    gateway_route(g, "/api/events", viewer_open, d);
    gateway_route(g, "/metrics", on_metrics, d);
    gateway_route(g, "/healthz", on_health, d);
    gateway_route(g, "/readyz", on_ready, d);
}

/* ---- The clock: once a second, just after the second began, so that a new interval shows ---- */

static void schedule(struct dashboard *d)
{
    int64_t rest = 1005 - dash_unix_ms() % 1000;
    struct timeval wait = {rest / 1000, rest % 1000 * 1000};
    event_add(d->ticker, &wait);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct dashboard *d = arg;
    status_sample(d);
    panels_tick(d);
    schedule(d);
}

struct dashboard *dashboard_new(struct gateway *g, const struct dashboard_options *options)
{
    struct dashboard *d = mem_calloc(sizeof(*d));
    d->base = options->base;
    d->flow = options->flow;
    d->runner = options->runner;
    d->client = options->client;
    d->version = options->version;
    d->engine =
        options->engine_url ? status_plain_url(options->engine_url) : mem_strdup("embedded");
    map_init(&d->panels, &panel_map_type);
    d->ticker = event_new(d->base, -1, 0, on_tick, d);
    must(d->ticker);
    add_routes(d, g);
    status_sample(d);
    schedule(d);
    return d;
}

void dashboard_set_runner(struct dashboard *d, const struct flow_runner *runner)
{
    d->runner = runner;
    d->sample_count = 0;
    status_sample(d);
}

void dashboard_free(struct dashboard *d)
{
    if (!d) return;
    must(!d->viewers);
    map_clear(&d->panels);
    event_free(d->ticker);
    mem_free(d->served);
    mem_free(d->engine);
    mem_free(d);
}
