/* /api/series: the bars of a time series. One HGETALL for the total and one for each key; fields
 * are bucket starts, values counts. What lies outside the history, or is no number, is left out. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "cli/dashboard_priv.h"
#include "cli/dashboard_series.h"

/* One row of bars per hash, the total first. */
struct series_fetch {
    struct panel *panel;
    int64_t from, to, interval;
    size_t buckets, rows, pending;
    int64_t *values; /* rows * buckets */
    char *problem;
};

struct series_row { /* what one reply needs to find its place; freed with it */
    struct series_fetch *fetch;
    size_t row;
};

void series_span(const struct flow_view *view, int64_t now_s, struct series_span *ret)
{
    int64_t interval = view->interval_s > 0 ? view->interval_s : 1;
    int64_t buckets = view->history_s / interval;
    if (buckets < 1) buckets = 1;
    if (buckets > DASH_BUCKETS_MAX) buckets = DASH_BUCKETS_MAX;
    ret->interval = interval;
    ret->to = now_s - now_s % interval;
    ret->from = ret->to - (buckets - 1) * interval;
    ret->buckets = (size_t)buckets;
}

void series_key(const struct flow_view *view, struct bytes value, struct buf *out)
{
    const char *at = strstr(view->series, "{value}");
    if (!at) {
        buf_put(out, bytes_of(view->series));
        return;
    }
    buf_append(out, view->series, (size_t)(at - view->series));
    buf_put(out, value);
    buf_put(out, bytes_of(at + strlen("{value}")));
}

/* Adds the counts of a hash into its row. */
static void read_row(struct series_fetch *f, size_t row, const struct leat_reply *reply)
{
    size_t n = leat_reply_count(reply);
    for (size_t i = 0; i + 1 < n; i += 2) {
        int64_t at = 0, count = 0;
        if (!reply_int(leat_reply_at(reply, i), &at)) continue;
        if (!reply_int(leat_reply_at(reply, i + 1), &count)) continue;
        if (at < f->from || at >= f->to + f->interval) continue;
        f->values[row * f->buckets + (size_t)((at - f->from) / f->interval)] += count;
    }
}

static void put_row(struct json_out *j, const struct series_fetch *f, size_t row)
{
    json_out_array(j);
    for (size_t i = 0; i < f->buckets; i++) json_out_int(j, f->values[row * f->buckets + i]);
    json_out_array_end(j);
}

static void put_series(struct json_out *j, const struct series_fetch *f)
{
    const struct panel *p = f->panel;
    json_out_object(j);
    json_out_key(j, "view");
    json_out_text(j, p->view->id);
    json_out_key(j, "interval_s");
    json_out_int(j, f->interval);
    json_out_key(j, "from");
    json_out_int(j, f->from);
    json_out_key(j, "to");
    json_out_int(j, f->to);
    json_out_key(j, "total");
    put_row(j, f, 0);
    json_out_key(j, "series");
    json_out_array(j);
    for (size_t i = 0; i < p->key_count; i++) {
        json_out_object(j);
        json_out_key(j, "key");
        json_out_text(j, p->keys[i]);
        json_out_key(j, "values");
        put_row(j, f, i + 1);
        json_out_object_end(j);
    }
    json_out_array_end(j);
    json_out_object_end(j);
}

static void finish(struct series_fetch *f)
{
    struct buf body = {0};
    struct json_out j;
    if (--f->pending > 0) return;
    if (f->problem || !f->panel->dash) {
        panel_fail(f->panel, 502, f->problem ? f->problem : "the dashboard is going down");
    } else {
        json_out_init(&j, &body);
        put_series(&j, f);
        panel_done(f->panel, &body);
    }
    mem_free(f->values);
    mem_free(f->problem);
    mem_free(f);
}

static void on_row(void *arg, const struct leat_reply *reply)
{
    struct series_row *row = arg;
    struct series_fetch *f = row->fetch;
    const char *problem = reply_problem(reply);
    if (problem && !f->problem) f->problem = mem_strdup(problem);
    if (!problem) read_row(f, row->row, reply);
    mem_free(row);
    finish(f);
}

static void ask_row(struct series_fetch *f, size_t row, struct bytes key)
{
    struct series_row *arg = mem_calloc(sizeof(*arg));
    *arg = (struct series_row){f, row};
    f->pending++;
    if (leat_commandf(f->panel->dash->client, on_row, arg, "HGETALL %b", (const void *)key.data,
                      key.len) < 0) {
        on_row(arg, NULL);
    }
}

static void fetch_series(struct panel *p)
{
    struct series_fetch *f = NULL;
    struct series_span span;
    if (leat_client_state(p->dash->client) != LEAT_CONNECTED) {
        panel_fail(p, 503, "the broker is not connected");
        return;
    }
    series_span(p->view, dash_unix_ms() / 1000, &span);
    f = mem_calloc(sizeof(*f));
    f->panel = p;
    f->from = span.from;
    f->to = span.to;
    f->interval = span.interval;
    f->buckets = span.buckets;
    f->rows = p->key_count + 1;
    f->values = mem_calloc(f->rows * f->buckets * sizeof(*f->values));
    f->pending = 1; /* this function's own, so that no reply finishes it too early */
    ask_row(f, 0, bytes_of(p->view->total));
    for (size_t i = 0; i < p->key_count && p->view->series; i++) {
        struct buf key = {0};
        series_key(p->view, bytes_of(p->keys[i]), &key);
        ask_row(f, i + 1, buf_bytes(&key));
        buf_fini(&key);
    }
    finish(f);
}

const struct panel_type panel_series = {.event = "series",
                                        .content_type = "application/json",
                                        .period_ms = 1000,
                                        .fresh_ms = 200,
                                        .fetch = fetch_series};
