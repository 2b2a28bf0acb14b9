/* Viewers: the event streams of browsers. A viewer is attached to the panels of what it looks at,
 * and is sent each when it changes; nothing is computed for it alone. */
#include "base/mem.h"
#include "cli/dashboard_priv.h"

struct viewer {
    struct dashboard *dash;
    struct http_stream *stream;
    struct panel **panels;
    uint64_t *sent; /* of each panel the version sent last; 0: none */
    size_t count;
    struct viewer *prev, *next;
};

static void on_close(struct http_stream *s, void *arg)
{
    struct viewer *v = arg;
    if (v->prev) v->prev->next = v->next;
    if (v->next) v->next->prev = v->prev;
    if (v->dash->viewers == v) v->dash->viewers = v->next;
    for (size_t i = 0; i < v->count; i++) {
        v->panels[i]->viewers--;
        v->panels[i]->used_ms = dash_mono_ms();
        panel_unref(v->panels[i]);
    }
    mem_free(v->panels);
    mem_free(v->sent);
    mem_free(v);
}

static void send_panel(struct viewer *v, size_t i)
{
    struct panel *p = v->panels[i];
    if (v->sent[i] == p->version) return;
    v->sent[i] = p->version;
    http_stream_send(v->stream, p->type->event, NULL, buf_bytes(&p->body));
}

void viewers_send(struct panel *p)
{
    if (p->viewers == 0) return;
    for (struct viewer *v = p->dash->viewers; v; v = v->next) {
        for (size_t i = 0; i < v->count; i++) {
            if (v->panels[i] == p) send_panel(v, i);
        }
    }
}

static void attach(struct viewer *v, const struct panel_query *query)
{
    struct panel *p = panel_get(v->dash, query);
    if (!p) return; /* too many questions: this part of the page stays empty */
    panel_ref(p);
    p->viewers++;
    v->panels[v->count++] = p;
}

static void attach_boards(struct viewer *v)
{
    const struct flow *flow = v->dash->flow;
    for (size_t i = 0; i < flow_view_count(flow); i++) {
        const struct flow_view *view = flow_view_at(flow, i);
        struct panel_query query = {.type = &panel_scoreboard, .view = view, .top = view->top};
        if (view->type == FLOW_VIEW_SCOREBOARD) attach(v, &query);
    }
}

static struct viewer *viewer_new(struct dashboard *d, const struct flow_view *view,
                                 const char *const *keys, size_t key_count)
{
    struct viewer *v = mem_calloc(sizeof(*v));
    size_t most = 3 + (d->flow ? flow_view_count(d->flow) : 0);
    v->dash = d;
    v->panels = mem_calloc(most * sizeof(struct panel *));
    v->sent = mem_calloc(most * sizeof(*v->sent));
    attach(v, &(struct panel_query){.type = &panel_status});
    if (view) {
        attach(v, &(struct panel_query){
                      .type = &panel_series, .view = view, .keys = keys, .key_count = key_count});
        attach(v, &(struct panel_query){.type = &panel_members, .view = view});
    }
    if (d->flow) attach_boards(v);
    v->next = d->viewers;
    if (v->next) v->next->prev = v;
    d->viewers = v;
    return v;
}

/* What is known is sent at once, the rest is asked for. */
static void greet(struct viewer *v)
{
    int64_t now = dash_mono_ms();
    for (size_t i = 0; i < v->count; i++) {
        struct panel *p = v->panels[i];
        if (p->version > 0 && now - p->made_ms < p->period_ms) {
            send_panel(v, i);
        } else {
            panel_refresh(p);
        }
    }
}

void viewer_open(struct http_request *r, void *dashboard)
{
    struct dashboard *d = dashboard;
    const char *keys[DASH_KEYS_MAX];
    size_t key_count = 0;
    const struct flow_view *view = NULL;
    struct viewer *v = NULL;
    if (!question_keys(r, keys, &key_count)) {
        http_answer_error(r, 400, "too many keys are asked for");
        return;
    }
    /* A page that still names a view of yesterday's flow is better served with today's first. */
    view = question_view(d, FLOW_VIEW_TIMESERIES, http_query(r, "view", 0));
    if (!view) view = question_view(d, FLOW_VIEW_TIMESERIES, NULL);
    v = viewer_new(d, view, keys, key_count);
    v->stream = http_stream_open(r, on_close, v);
    if (v->stream) {
        greet(v);
    } else {
        on_close(NULL, v);
    }
}
