/* /api/status: what the sources do, what the views have counted, how fast events come in. */
#include "base/mem.h"
#include "cli/dashboard_priv.h"

/* ---- The rate ---- */

static uint64_t events_of(const struct dashboard *d)
{
    uint64_t sum = 0;
    size_t n = d->runner ? flow_source_count(d->runner) : 0;
    for (size_t i = 0; i < n; i++) {
        struct flow_source_status s;
        flow_source_status(d->runner, i, &s);
        sum += s.source.events;
    }
    return sum;
}

void status_sample(struct dashboard *d)
{
    d->samples[d->sample_count++ % DASH_RATE_SAMPLES] =
        (struct rate_sample){dash_mono_ms(), events_of(d)};
}

/* Over how many seconds: one interval of the first time series. */
static size_t rate_window(const struct dashboard *d)
{
    const struct flow_view *view = question_view(d, FLOW_VIEW_TIMESERIES, NULL);
    int64_t seconds = view ? view->interval_s : 10;
    if (seconds < 2) return 2;
    return seconds < DASH_RATE_SAMPLES ? (size_t)seconds : DASH_RATE_SAMPLES - 1;
}

static double rate_per_s(const struct dashboard *d)
{
    size_t window = rate_window(d), have = d->sample_count;
    struct rate_sample last, first;
    if (have < 2) return 0;
    if (window > have - 1) window = have - 1;
    last = d->samples[(have - 1) % DASH_RATE_SAMPLES];
    first = d->samples[(have - 1 - window) % DASH_RATE_SAMPLES];
    if (last.at_ms <= first.at_ms || last.events < first.events) return 0;
    return (double)(last.events - first.events) * 1000 / (double)(last.at_ms - first.at_ms);
}

/* ---- JSON ---- */

char *status_plain_url(const char *url)
{
    const char *host = strstr(url, "://");
    const char *end = NULL, *at = NULL, *colon = NULL;
    struct buf out = {0};
    char *copy = NULL;
    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    for (const char *p = host; p < end; p++) {
        if (*p == '@') at = p;
    }
    if (at) colon = memchr(host, ':', (size_t)(at - host));
    if (!colon) return mem_strdup(url);
    buf_append(&out, url, (size_t)(colon - url));
    /* With no user name left the @ goes as well. */
    buf_append(&out, colon == host ? at + 1 : at, strlen(colon == host ? at + 1 : at) + 1);
    copy = mem_strdup(out.data);
    buf_fini(&out);
    return copy;
}

static const char *source_state(enum source_state state)
{
    switch (state) {
    case SOURCE_CONNECTING:
        return "connecting";
    case SOURCE_CONNECTED:
        return "connected";
    case SOURCE_WAITING:
        return "waiting";
    case SOURCE_SIMULATED:
        return "simulated";
    }
    return "connecting";
}

static const char *client_state(const struct leat_client *c)
{
    switch (leat_client_state(c)) {
    case LEAT_CONNECTED:
        return "connected";
    case LEAT_WAITING:
        return "waiting";
    default:
        return "connecting";
    }
}

static void put_int(struct json_out *j, const char *name, uint64_t n)
{
    json_out_key(j, name);
    json_out_int(j, (int64_t)n);
}

static void put_text(struct json_out *j, const char *name, const char *text)
{
    json_out_key(j, name);
    json_out_text(j, text);
}

static void put_bool(struct json_out *j, const char *name, bool b)
{
    json_out_key(j, name);
    json_out_bool(j, b);
}

static void put_source(struct json_out *j, const struct flow_source_status *s)
{
    char *url = s->source.url ? status_plain_url(s->source.url) : NULL;
    json_out_object(j);
    put_text(j, "id", s->id);
    put_text(j, "state", source_state(s->source.state));
    put_bool(j, "simulated", s->source.state == SOURCE_SIMULATED);
    put_text(j, "url", url);
    put_int(j, "connected_since_ms", (uint64_t)s->source.connected_since_ms);
    put_int(j, "last_event_ms", (uint64_t)s->source.last_event_ms);
    put_int(j, "events", s->source.events);
    put_int(j, "published", s->published);
    put_int(j, "duplicates", s->duplicates);
    put_int(j, "malformed", s->malformed);
    put_text(j, "last_malformed", s->last_malformed);
    put_int(j, "oversized", s->source.oversized);
    put_int(j, "reconnects", s->source.reconnects);
    put_int(j, "errors", s->source.errors);
    put_text(j, "last_error", s->source.last_error);
    put_bool(j, "held_back", s->held_back);
    json_out_object_end(j);
    mem_free(url);
}

static void put_view(struct json_out *j, const struct flow_view *view,
                     const struct flow_view_status *s)
{
    bool series = view->type == FLOW_VIEW_TIMESERIES;
    json_out_object(j);
    put_text(j, "id", view->id);
    put_text(j, "type", series ? "timeseries" : "scoreboard");
    put_text(j, "topic", view->topic);
    put_text(j, "by", view->by);
    if (series) {
        put_int(j, "interval_s", (uint64_t)view->interval_s);
        put_int(j, "history_s", (uint64_t)view->history_s);
    } else {
        put_int(j, "top", (uint64_t)view->top);
        put_text(j, "serve", view->serve);
    }
    put_int(j, "processed", s->processed);
    put_int(j, "errors", s->errors);
    put_int(j, "malformed", s->malformed);
    put_text(j, "last_error", s->last_error);
    json_out_object_end(j);
}

static void put_sources(struct json_out *j, const struct dashboard *d)
{
    size_t n = d->runner ? flow_source_count(d->runner) : 0;
    json_out_key(j, "sources");
    json_out_array(j);
    for (size_t i = 0; i < n; i++) {
        struct flow_source_status s;
        flow_source_status(d->runner, i, &s);
        put_source(j, &s);
    }
    json_out_array_end(j);
}

static void put_views(struct json_out *j, const struct dashboard *d)
{
    size_t n = d->flow ? flow_view_count(d->flow) : 0;
    json_out_key(j, "views");
    json_out_array(j);
    for (size_t i = 0; i < n; i++) {
        struct flow_view_status s = {0};
        if (d->runner) flow_view_status(d->runner, i, &s);
        put_view(j, flow_view_at(d->flow, i), &s);
    }
    json_out_array_end(j);
}

static void fetch_status(struct panel *p)
{
    struct dashboard *d = p->dash;
    struct buf body = {0};
    struct json_out j;
    json_out_init(&j, &body);
    json_out_object(&j);
    put_text(&j, "version", d->version);
    put_int(&j, "now_ms", (uint64_t)dash_unix_ms());
    put_text(&j, "engine", d->engine);
    put_text(&j, "broker", client_state(d->client));
    put_sources(&j, d);
    put_views(&j, d);
    json_out_key(&j, "rate_per_s");
    json_out_number(&j, (double)(int64_t)(rate_per_s(d) * 100 + 0.5) / 100);
    json_out_object_end(&j);
    panel_done(p, &body);
}

const struct panel_type panel_status = {.event = "status",
                                        .content_type = "application/json",
                                        .period_ms = 1000,
                                        .fresh_ms = 0,
                                        .fetch = fetch_status};
