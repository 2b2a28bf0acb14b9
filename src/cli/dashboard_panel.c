/* Panels: shared questions and their last answers; see dashboard_priv.h. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"
#include "cli/dashboard_priv.h"

static struct metric panel_gauge = {.name = "leat_dashboard_panels",
                                    .help = "Questions the dashboard keeps answers of.",
                                    .kind = METRIC_GAUGE};
static struct metric fetches = {.name = "leat_dashboard_fetches_total",
                                .help = "Times the broker or the runner was asked for a panel.",
                                .kind = METRIC_COUNTER};
static struct metric failures = {.name = "leat_dashboard_failures_total",
                                 .help = "Times it could not answer.",
                                 .kind = METRIC_COUNTER};

static struct bytes panel_key(const void *item)
{
    const struct panel *p = item;
    return (struct bytes){p->key, p->key_len};
}

static void panel_drop(void *item)
{
    struct panel *p = item;
    p->dash = NULL;
    while (p->waiting_count > 0) {
        http_answer_error(p->waiting[--p->waiting_count], 503, "the dashboard is going down");
    }
    panel_unref(p);
}

const struct map_type panel_map_type = {panel_key, panel_drop};

void panel_ref(struct panel *p)
{
    p->refs++;
}

void panel_unref(struct panel *p)
{
    if (--p->refs > 0) return;
    must(p->waiting_count == 0);
    for (size_t i = 0; i < p->key_count; i++) mem_free(p->keys[i]);
    mem_free(p->keys);
    mem_free(p->key);
    mem_free(p->waiting);
    buf_fini(&p->body);
    mem_free(p);
}

/* The question as bytes; no part may be mistaken for another, so each ends in a zero byte. */
static void put_question(struct buf *out, const struct panel_query *q)
{
    buf_append(out, &q->type, sizeof(q->type));
    buf_append(out, &q->view, sizeof(q->view));
    buf_append(out, &q->top, sizeof(q->top));
    for (size_t i = 0; i < q->key_count; i++) buf_append(out, q->keys[i], strlen(q->keys[i]) + 1);
}

static struct panel *panel_new(struct dashboard *d, const struct panel_query *q, struct bytes key)
{
    struct panel *p = mem_calloc(sizeof(*p));
    p->dash = d;
    p->type = q->type;
    p->refs = 1;
    p->key = mem_dup(key.data, key.len);
    p->key_len = key.len;
    p->view = q->view;
    p->top = q->top;
    p->period_ms = q->type->period_ms;
    p->keys = mem_calloc((q->key_count + 1) * sizeof(*p->keys));
    for (size_t i = 0; i < q->key_count; i++) p->keys[p->key_count++] = mem_strdup(q->keys[i]);
    metrics_register(&panel_gauge);
    metrics_register(&fetches);
    metrics_register(&failures);
    return p;
}

struct panel *panel_get(struct dashboard *d, const struct panel_query *query)
{
    struct buf key = {0};
    struct panel *p = NULL;
    put_question(&key, query);
    p = map_get(&d->panels, buf_bytes(&key));
    if (!p && map_count(&d->panels) < DASH_PANELS_MAX) {
        p = panel_new(d, query, buf_bytes(&key));
        map_insert(&d->panels, p);
        metric_set(&panel_gauge, (int64_t)map_count(&d->panels));
    }
    if (p) p->used_ms = dash_mono_ms();
    buf_fini(&key);
    return p;
}

void panel_refresh(struct panel *p)
{
    if (p->fetching) return;
    p->fetching = true;
    p->asked_ms = dash_mono_ms();
    metric_add(&fetches, 1);
    panel_ref(p);
    p->type->fetch(p);
}

void panel_request(struct panel *p, struct http_request *r)
{
    bool fresh = p->version > 0 && dash_mono_ms() - p->made_ms < p->type->fresh_ms;
    if (fresh) {
        http_answer(r, 200, p->type->content_type, buf_bytes(&p->body));
        return;
    }
    if (p->waiting_count == p->waiting_cap) {
        p->waiting_cap = p->waiting_cap ? 2 * p->waiting_cap : 4;
        p->waiting = mem_realloc(p->waiting, p->waiting_cap * sizeof(struct http_request *));
    }
    p->waiting[p->waiting_count++] = r;
    panel_refresh(p);
}

void panel_done(struct panel *p, struct buf *body)
{
    must(p->fetching);
    p->fetching = false;
    if (p->version == 0 || !bytes_eq(buf_bytes(&p->body), buf_bytes(body))) {
        struct buf old = p->body;
        p->body = *body;
        *body = old;
        p->version++;
    }
    buf_fini(body);
    p->made_ms = dash_mono_ms();
    while (p->waiting_count > 0) {
        struct http_request *r = p->waiting[--p->waiting_count];
        http_answer(r, 200, p->type->content_type, buf_bytes(&p->body));
    }
    if (p->dash) viewers_send(p);
    panel_unref(p);
}

static void refuse_waiting(struct panel *p, int status, const char *why)
{
    while (p->waiting_count > 0) http_answer_error(p->waiting[--p->waiting_count], status, why);
}

void panel_fail(struct panel *p, int status, const char *why)
{
    must(p->fetching);
    p->fetching = false;
    metric_add(&failures, 1);
    refuse_waiting(p, status, why);
    panel_unref(p);
}

static void tick(struct panel *p, int64_t now)
{
    if (p->fetching && now - p->asked_ms >= DASH_TIMEOUT_MS && p->waiting_count > 0) {
        refuse_waiting(p, 504, "the broker does not answer");
    }
    /* Early rather than a whole tick late: what was asked when its viewer came joins the ticks. */
    if (p->viewers > 0 && now - p->asked_ms >= p->period_ms - 900) panel_refresh(p);
}

/* Panels are told to refresh from a list, as a refresh may look up panels. */
static size_t list_panels(struct dashboard *d, struct panel ***ret_list)
{
    struct map_iter it;
    struct panel *p = NULL;
    size_t n = 0;
    *ret_list = mem_calloc((map_count(&d->panels) + 1) * sizeof(struct panel *));
    map_iter_init(&it, &d->panels);
    while ((p = map_iter_next(&it)) != NULL) (*ret_list)[n++] = p;
    map_iter_fini(&it);
    return n;
}

void panels_tick(struct dashboard *d)
{
    struct panel **list = NULL;
    size_t n = list_panels(d, &list);
    int64_t now = dash_mono_ms();
    for (size_t i = 0; i < n; i++) {
        struct panel *p = list[i];
        tick(p, now);
        if (p->viewers == 0 && !p->fetching && p->waiting_count == 0 &&
            now - p->used_ms > DASH_UNUSED_MS) {
            map_delete(&d->panels, panel_key(p));
        }
    }
    metric_set(&panel_gauge, (int64_t)map_count(&d->panels));
    mem_free(list);
}
