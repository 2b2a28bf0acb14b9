/* /api/members: the keys of a time series with their counts over the history, busiest first.
 *
 * First the names (SSCAN, so that a huge set does not stall the broker), then a HGETALL for each, a
 * window of them at a time. It is the dearest question, so it is asked seldom: never more than a
 * twentieth of the time. A name may come twice from SSCAN. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/dashboard_priv.h"
#include "cli/dashboard_series.h"

struct member {
    struct bytes name; /* of the fetch's arena */
    int64_t count;
};

struct members_fetch {
    struct panel *panel;
    struct series_span span;
    struct arena arena;
    struct member *members;
    size_t count, cap;
    size_t next;    /* the member to be asked next */
    size_t pending; /* replies to come */
    char *problem;
};

struct member_row {
    struct members_fetch *fetch;
    size_t index;
};

static void on_names(void *arg, const struct leat_reply *reply);

static int by_name(const void *a, const void *b)
{
    return bytes_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int by_count(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return bytes_cmp(x->name, y->name);
}

static void put_members(struct json_out *j, const struct members_fetch *f)
{
    json_out_array(j);
    for (size_t i = 0; i < f->count; i++) {
        json_out_object(j);
        json_out_key(j, "key");
        json_out_string(j, f->members[i].name);
        json_out_key(j, "count");
        json_out_int(j, f->members[i].count);
        json_out_object_end(j);
    }
    json_out_array_end(j);
}

static void finish(struct members_fetch *f)
{
    struct panel *p = f->panel;
    struct buf body = {0};
    struct json_out j;
    int64_t took = dash_mono_ms() - p->asked_ms;
    p->period_ms = took * 20 > p->type->period_ms ? took * 20 : p->type->period_ms;
    if (f->problem || !p->dash) {
        panel_fail(p, 502, f->problem ? f->problem : "the dashboard is going down");
    } else {
        qsort(f->members, f->count, sizeof(*f->members), by_count);
        json_out_init(&j, &body);
        put_members(&j, f);
        panel_done(p, &body);
    }
    arena_fini(&f->arena);
    mem_free(f->members);
    mem_free(f->problem);
    mem_free(f);
}

static int64_t sum(const struct members_fetch *f, const struct leat_reply *reply)
{
    int64_t total = 0;
    size_t n = leat_reply_count(reply);
    for (size_t i = 0; i + 1 < n; i += 2) {
        int64_t at = 0, count = 0;
        if (reply_int(leat_reply_at(reply, i), &at) && at >= f->span.from &&
            at < f->span.to + f->span.interval && reply_int(leat_reply_at(reply, i + 1), &count)) {
            total += count;
        }
    }
    return total;
}

static void note_problem(struct members_fetch *f, const char *problem)
{
    if (!f->problem) f->problem = mem_strdup(problem);
}

static void ask_counts(struct members_fetch *f);

static void on_count(void *arg, const struct leat_reply *reply)
{
    struct member_row *row = arg;
    struct members_fetch *f = row->fetch;
    const char *problem = reply_problem(reply);
    f->pending--;
    if (problem) {
        note_problem(f, problem);
    } else {
        f->members[row->index].count = sum(f, reply);
    }
    mem_free(row);
    ask_counts(f);
}

/* False when the client takes no more: then the whole question failed. */
static bool ask_count(struct members_fetch *f, size_t index)
{
    struct member_row *row = mem_calloc(sizeof(*row));
    struct buf key = {0};
    int rc = 0;
    *row = (struct member_row){f, index};
    series_key(f->panel->view, f->members[index].name, &key);
    rc = leat_commandf(f->panel->dash->client, on_count, row, "HGETALL %b", (const void *)key.data,
                       key.len);
    buf_fini(&key);
    if (rc < 0) mem_free(row);
    return rc >= 0;
}

static void ask_counts(struct members_fetch *f)
{
    while (!f->problem && f->panel->dash && f->next < f->count &&
           f->pending < DASH_MEMBERS_WINDOW) {
        if (!ask_count(f, f->next)) {
            note_problem(f, "too many queries wait for the broker");
            break;
        }
        f->next++;
        f->pending++;
    }
    if (f->pending == 0) finish(f);
}

static void unique(struct members_fetch *f)
{
    size_t kept = 0;
    qsort(f->members, f->count, sizeof(*f->members), by_name);
    for (size_t i = 0; i < f->count; i++) {
        if (kept > 0 && bytes_eq(f->members[kept - 1].name, f->members[i].name)) continue;
        f->members[kept++] = f->members[i];
    }
    f->count = kept;
}

static void add_member(struct members_fetch *f, struct bytes name)
{
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->members = mem_realloc(f->members, f->cap * sizeof(*f->members));
    }
    f->members[f->count++] = (struct member){.name = arena_dup(&f->arena, name)};
}

static bool ask_names(struct members_fetch *f, struct bytes cursor)
{
    return leat_commandf(f->panel->dash->client, on_names, f, "SSCAN %s %b COUNT 1000",
                         f->panel->view->members, (const void *)cursor.data, cursor.len) >= 0;
}

static void on_names(void *arg, const struct leat_reply *reply)
{
    struct members_fetch *f = arg;
    const char *problem = reply_problem(reply);
    const struct leat_reply *names = NULL;
    struct bytes cursor = {0};
    if (!problem && leat_reply_count(reply) != 2) problem = "SSCAN was answered strangely";
    if (!problem && !f->panel->dash) problem = "the dashboard is going down";
    if (problem) {
        note_problem(f, problem);
        finish(f);
        return;
    }
    cursor = reply_bytes(leat_reply_at(reply, 0));
    names = leat_reply_at(reply, 1);
    for (size_t i = 0; i < leat_reply_count(names) && f->count < DASH_MEMBERS_MAX; i++) {
        add_member(f, reply_bytes(leat_reply_at(names, i)));
    }
    if (!bytes_eq(cursor, BYTES("0")) && f->count < DASH_MEMBERS_MAX && ask_names(f, cursor))
        return;
    unique(f);
    ask_counts(f);
}

static void fetch_members(struct panel *p)
{
    struct members_fetch *f = NULL;
    struct buf none = {0};
    if (!p->view->members || !p->view->series) {
        buf_put(&none, BYTES("[]"));
        panel_done(p, &none);
        return;
    }
    if (leat_client_state(p->dash->client) != LEAT_CONNECTED) {
        panel_fail(p, 503, "the broker is not connected");
        return;
    }
    f = mem_calloc(sizeof(*f));
    f->panel = p;
    arena_init(&f->arena);
    series_span(p->view, dash_unix_ms() / 1000, &f->span);
    if (ask_names(f, BYTES("0"))) return;
    note_problem(f, "too many queries wait for the broker");
    finish(f);
}

const struct panel_type panel_members = {.event = "members",
                                         .content_type = "application/json",
                                         .period_ms = 5000,
                                         .fresh_ms = 2000,
                                         .fetch = fetch_members};
