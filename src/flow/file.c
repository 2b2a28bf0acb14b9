/* The keys of a flow file, and what has to be right about it as a whole. A new key is a member in
 * file.h or flow.h and a line in a table here. */
#include "flow/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* ---- Sources ---- */

static const char *const source_types[] = {"sse", "lines", NULL};
static const char *const simulators[] = {"none", "wiki", NULL};

enum { ONLY_SSE = 1 << SOURCE_SSE };

static void check_publish(struct schema_run *run, void *item)
{
    const struct flow_publish *p = item;
    if (p->field != NULL && p->each != NULL)
        schema_problem(run, &p->item, "each", "either `field` or `each`, not both");
}

static const struct schema_key publish_keys[] = {
    {"topic", SCHEMA_REF, offsetof(struct flow_publish, topic), .required = true,
     .target = "topics",
     .help = "where to; without `field` and `each`: the whole event as it came"},
    {"field", SCHEMA_FIELD, offsetof(struct flow_publish, field),
     .help = "publish this field's text"},
    {"each", SCHEMA_FIELD, offsetof(struct flow_publish, each),
     .help = "publish one message for each element of this list"},
    {0}};

static const struct schema_table publish_table = {"`sources.ID.publish[]`", "publish rule",
                                                  publish_keys, sizeof(struct flow_publish),
                                                  check_publish};

static void check_source(struct schema_run *run, void *item)
{
    const struct flow_source *s = item;
    if (s->url == NULL) return;
    bool http = strncmp(s->url, "http://", 7) == 0 || strncmp(s->url, "https://", 8) == 0;
    if (!http) schema_problem(run, &s->item, "url", "an address begins with http:// or https://");
}

static const struct schema_key source_keys[] = {
    {"type", SCHEMA_CHOICE, offsetof(struct flow_source, type), .required = true,
     .choices = source_types, .help = "Server-Sent Events, or one event per line"},
    {"url", SCHEMA_TEXT, offsetof(struct flow_source, url), .required = true,
     .help = "an HTTP response without end"},
    {"user_agent", SCHEMA_TEXT, offsetof(struct flow_source, user_agent),
     .help = "how to introduce oneself; default: leat, its version and address"},
    {"idle_timeout", SCHEMA_MS, offsetof(struct flow_source, idle_timeout_ms), .fallback = "60s",
     .min = 100, .max = INT64_C(24) * 3600 * 1000,
     .help = "nothing received for so long: connect anew"},
    {"event_max", SCHEMA_SIZE, offsetof(struct flow_source, event_bytes_max), .fallback = "1MB",
     .min = 1024, .max = 256 << 20, .help = "larger events are dropped and counted"},
    {"dedupe", SCHEMA_FIELD, offsetof(struct flow_source, dedupe),
     .help = "drop events whose field has a value seen before"},
    {"dedupe_window", SCHEMA_COUNT, offsetof(struct flow_source, dedupe_window),
     .fallback = "100000", .min = 1, .max = 10 * 1000 * 1000,
     .help = "how many values `dedupe` remembers"},
    {"simulate", SCHEMA_CHOICE, offsetof(struct flow_source, simulate), .only = ONLY_SSE,
     .fallback = "none", .choices = simulators,
     .help = "made-up events to go on with when no event has come for a while after the start"},
    {"publish", SCHEMA_LIST, offsetof(struct flow_source, publish), .required = true, .min = 1,
     .table = &publish_table, .help = "what to publish of each event"},
    {0}};

static const struct schema_table source_table = {"`sources.ID`", "source", source_keys,
                                                 sizeof(struct flow_source), check_source};

/* ---- Topics ---- */

static void check_topic(struct schema_run *run, void *item)
{
    struct flow_topic *t = item;
    /* The id is set after the check; the path ends with it. */
    if (t->channel == NULL) t->channel = strrchr(t->item.path, '.') + 1;
}

static const struct schema_key topic_keys[] = {
    {"channel", SCHEMA_TEXT, offsetof(struct flow_topic, channel),
     .help = "the channel to publish on; default: the id"},
    {0}};

static const struct schema_table topic_table = {"`topics.ID`", "topic", topic_keys,
                                                sizeof(struct flow_topic), check_topic};

/* ---- Views ---- */

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static const char *const view_types[] = {"timeseries", "scoreboard", NULL};

enum { ONLY_TIMESERIES = 1 << FLOW_VIEW_TIMESERIES, ONLY_SCOREBOARD = 1 << FLOW_VIEW_SCOREBOARD };

static const char series_hole[] = "{value}";

static void check_series(struct schema_run *run, const struct flow_view_item *v)
{
    const char *hole = v->view.series == NULL ? NULL : strstr(v->view.series, series_hole);
    if (v->view.series == NULL) return;
    if (hole == NULL)
        schema_problem(run, &v->item, "series", "holds no `{value}`, so all would be one");
    else if (strstr(hole + 1, series_hole) != NULL)
        schema_problem(run, &v->item, "series", "holds `{value}` more than once");
}

static void check_timeseries(struct schema_run *run, const struct flow_view_item *v)
{
    const struct flow_view *view = &v->view;
    if (view->by == NULL) {
        if (view->series != NULL) schema_problem(run, &v->item, "series", "only with `by`");
        if (view->members != NULL) schema_problem(run, &v->item, "members", "only with `by`");
    } else if (yaml_get(v->item.node, "series") == NULL ||
               yaml_get(v->item.node, "members") == NULL) {
        schema_problem(run, &v->item, "by", "needs `series` and `members` beside it");
    } else {
        check_series(run, v);
    }
    if (same(view->members, view->total))
        schema_problem(run, &v->item, "members", "the same key as `total`");
    if (view->history_s > 0 && view->history_s < view->interval_s)
        schema_problem(run, &v->item, "history", "shorter than the interval");
}

/* Paths that the gateway has for itself. */
static bool is_taken(const char *path)
{
    static const char *const taken[] = {"/", "/metrics", "/healthz", "/readyz", NULL};
    for (size_t i = 0; taken[i] != NULL; i++)
        if (strcmp(path, taken[i]) == 0) return true;
    return strncmp(path, "/api/", 5) == 0;
}

static void check_path(struct schema_run *run, const struct flow_view_item *v)
{
    const char *path = v->view.serve;
    static const char allowed[] =
        "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-";
    if (path[0] != '/' || strspn(path, allowed) != strlen(path))
        schema_problem(run, &v->item, "serve", "a path is written like /usernames");
    else if (is_taken(path))
        schema_problem(run, &v->item, "serve", "the gateway has `%s` for itself", path);
}

static void check_view(struct schema_run *run, void *item)
{
    struct flow_view_item *v = item;
    v->view.type = (enum flow_view_type)v->type;
    if (v->view.type == FLOW_VIEW_TIMESERIES) check_timeseries(run, v);
    if (v->view.serve != NULL) check_path(run, v);
}

#define VIEW(member) offsetof(struct flow_view_item, view.member)

static const struct schema_key view_keys[] = {
    {"type", SCHEMA_CHOICE, offsetof(struct flow_view_item, type), .required = true,
     .choices = view_types, .help = "counts over time, or counts by name"},
    {"topic", SCHEMA_REF, VIEW(topic), .required = true, .target = "topics",
     .help = "what to count"},
    {"interval", SCHEMA_SECONDS, VIEW(interval_s), .only = ONLY_TIMESERIES, .fallback = "10s",
     .min = 1, .max = 24 * 3600, .help = "the width of a bucket, in whole seconds"},
    {"history", SCHEMA_SECONDS, VIEW(history_s), .only = ONLY_TIMESERIES, .fallback = "30m",
     .min = 1, .help = "older buckets are removed"},
    {"total", SCHEMA_TEXT, VIEW(total), .required = true, .only = ONLY_TIMESERIES,
     .help = "key of a hash: start of the bucket (Unix seconds) to the number of events"},
    {"by", SCHEMA_FIELD, VIEW(by),
     .help = "the field to count by; a scoreboard without it counts the messages themselves"},
    {"series", SCHEMA_TEXT, VIEW(series), .only = ONLY_TIMESERIES,
     .help = "key of a hash as `total` for each value of `by`; `{value}` stands for the value"},
    {"members", SCHEMA_TEXT, VIEW(members), .only = ONLY_TIMESERIES,
     .help = "key of a set of all values of `by`"},
    {"key", SCHEMA_TEXT, VIEW(key), .required = true, .only = ONLY_SCOREBOARD,
     .help = "key of a sorted set: name to count"},
    {"top", SCHEMA_COUNT, VIEW(top), .only = ONLY_SCOREBOARD, .fallback = "10", .min = 1,
     .max = 1000, .help = "how many names `serve` answers"},
    {"serve", SCHEMA_TEXT, VIEW(serve), .only = ONLY_SCOREBOARD,
     .help = "HTTP path that answers the first names and their counts as JSON"},
    {0}};

static const struct schema_table view_table = {"`views.ID`", "view", view_keys,
                                               sizeof(struct flow_view_item), check_view};

/* ---- The file as a whole ---- */

static const struct flow_view_item *view_item(const struct flow *f, size_t index)
{
    return (const struct flow_view_item *)f->views.items + index;
}

/* Two views that write one key would count everything twice. */
static void check_view_pair(struct schema_run *run, const struct flow_view_item *earlier,
                            const struct flow_view_item *later)
{
    static const struct {
        const char *name;
        size_t offset;
        bool written; /* shares one name space with the others written */
    } keys[] = {{"total", offsetof(struct flow_view, total), true},
                {"series", offsetof(struct flow_view, series), true},
                {"members", offsetof(struct flow_view, members), true},
                {"key", offsetof(struct flow_view, key), true},
                {"serve", offsetof(struct flow_view, serve), false}};
    size_t n = sizeof(keys) / sizeof(keys[0]);
    for (size_t i = 0; i < n * n; i++) {
        size_t a = i / n, b = i % n;
        if (keys[a].written != keys[b].written) continue;
        const char *left = *(const char *const *)((const char *)&earlier->view + keys[a].offset);
        const char *right = *(const char *const *)((const char *)&later->view + keys[b].offset);
        if (same(left, right))
            schema_problem(run, &later->item, keys[b].name, "`%s` is `%s` of %s already", right,
                           keys[a].name, earlier->item.path);
    }
}

static bool is_empty(const struct yaml_node *root, const char *name)
{
    const struct yaml_node *node = yaml_get(root, name);
    return node == NULL || node->type == YAML_NULL || (node->type == YAML_MAP && node->count == 0);
}

static void check_flow(struct schema_run *run, void *item)
{
    const struct flow *f = item;
    if (is_empty(f->item.node, "sources") && is_empty(f->item.node, "views"))
        schema_problem(run, &f->item, NULL, "nothing to run: no sources and no views");
    const struct flow_topic *topics = f->topics.items;
    for (size_t i = 0; i < f->topics.count; i++)
        for (size_t j = 0; j < i; j++)
            if (same(topics[i].channel, topics[j].channel))
                schema_problem(run, &topics[i].item, "channel", "`%s` is the channel of %s already",
                               topics[i].channel, topics[j].item.path);
    for (size_t i = 0; i < f->views.count; i++)
        for (size_t j = 0; j < i; j++) check_view_pair(run, view_item(f, j), view_item(f, i));
}

static const struct schema_key flow_keys[] = {
    {"sources", SCHEMA_MAP, offsetof(struct flow, sources), .table = &source_table,
     .help = "where events come from"},
    {"topics", SCHEMA_MAP, offsetof(struct flow, topics), .table = &topic_table,
     .help = "channels that sources publish on and views count from"},
    {"views", SCHEMA_MAP, offsetof(struct flow, views), .table = &view_table,
     .help = "what is counted"},
    {0}};

static const struct schema_table flow_table = {"The file", "flow", flow_keys, sizeof(struct flow),
                                               check_flow};

void flow_reference(struct buf *out)
{
    schema_reference(&flow_table, out);
}

/* ---- Loading ---- */

static const char *process_getenv(const char *name)
{
    return getenv(name);
}

/* Looks up the channels of topics, and gives each view its id. */
static void complete(struct flow *f)
{
    for (size_t i = 0; i < f->sources.count; i++) {
        const struct schema_items *rules = &flow_source_at(f, i)->publish;
        for (size_t j = 0; j < rules->count; j++) {
            struct flow_publish *rule = (struct flow_publish *)rules->items + j;
            rule->channel = flow_topic_of(f, rule->topic)->channel;
        }
    }
    struct flow_view_item *views = f->views.items;
    for (size_t i = 0; i < f->views.count; i++) {
        views[i].view.id = views[i].item.id;
        views[i].view.channel = flow_topic_of(f, views[i].view.topic)->channel;
    }
}

int flow_load_text(const char *name, struct bytes text, interpolate_getenv getenv_fn,
                   struct buf *errors, struct flow **ret_flow)
{
    struct arena arena;
    arena_init(&arena);
    struct problems problems = {.arena = &arena};
    struct flow *f = mem_calloc(sizeof(*f));
    struct yaml_node *root;
    if (getenv_fn == NULL) getenv_fn = process_getenv;
    if (yaml_parse(&arena, text, &problems, &root) == 0)
        schema_read(&flow_table, root, f, &arena, getenv_fn, &problems);
    problems_write(&problems, name, errors);
    f->arena = arena;
    if (problems.count > 0) {
        flow_free(f);
        return -1;
    }
    complete(f);
    *ret_flow = f;
    return 0;
}

/* 0 or a negative errno. Stops a little above what yaml_parse takes. */
static int read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return -errno;
    size_t n = 1;
    while (n > 0 && out->len <= YAML_BYTES_MAX) {
        n = fread(buf_reserve(out, 65536), 1, 65536, file);
        out->len += n;
    }
    int rc = ferror(file) ? -EIO : 0;
    fclose(file);
    return rc;
}

int flow_load(const char *path, const char *(*getenv_fn)(const char *name), struct buf *errors,
              struct flow **ret_flow)
{
    struct buf text = {0};
    int rc = read_file(path, &text);
    if (rc != 0) buf_printf(errors, "%s: cannot be read: %s\n", path, strerror(-rc));
    else rc = flow_load_text(path, buf_bytes(&text), getenv_fn, errors, ret_flow);
    buf_fini(&text);
    return rc == 0 ? 0 : -1;
}

void flow_free(struct flow *f)
{
    if (f == NULL) return;
    struct arena arena = f->arena;
    mem_free(f);
    arena_fini(&arena);
}

/* ---- Looking things up ---- */

size_t flow_view_count(const struct flow *f)
{
    return f->views.count;
}

const struct flow_view *flow_view_at(const struct flow *f, size_t index)
{
    return &view_item(f, index)->view;
}

const struct flow_source *flow_source_at(const struct flow *f, size_t index)
{
    return (const struct flow_source *)f->sources.items + index;
}

const struct flow_topic *flow_topic_of(const struct flow *f, const char *id)
{
    const struct flow_topic *topics = f->topics.items;
    for (size_t i = 0; i < f->topics.count; i++)
        if (strcmp(topics[i].item.id, id) == 0) return &topics[i];
    return NULL;
}

void flow_series_key(const struct flow_view *view, struct bytes value, struct buf *out)
{
    const char *hole = strstr(view->series, series_hole);
    out->len = 0;
    buf_append(out, view->series, (size_t)(hole - view->series));
    buf_put(out, value);
    buf_put(out, bytes_of(hole + strlen(series_hole)));
}
