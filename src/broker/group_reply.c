#include "broker/group_reply.h"

#include "broker/stream_args.h"

bool group_reply_prepare(struct call *c, struct stream *s)
{
    int result = 0;
    for (size_t i = 0; i < groups_count(s->groups); i++) {
        int settled = group_settle(s->groups->list[i], s);
        if (settled < 0) result = settled;
    }
    return stream_is_there(c, result);
}

static void field_int(struct call *c, const char *name, int64_t n)
{
    resp_bulk_str(c->reply, name);
    resp_int(c->reply, n);
}

static void field_name(struct call *c, struct bytes name)
{
    resp_bulk_str(c->reply, "name");
    resp_bulk(c->reply, name);
}

static void reply_place(struct call *c, const struct stream *s, const struct group *g)
{
    resp_bulk_str(c->reply, "last-delivered-id");
    stream_reply_id(c, g->last_id);
    field_int(c, "entries-read", (int64_t)group_entries_read(g, s));
    field_int(c, "lag", (int64_t)group_lag(g, s));
}

void group_reply_all(struct call *c, const struct stream *s)
{
    resp_array(c->reply, groups_count(s->groups));
    for (size_t i = 0; i < groups_count(s->groups); i++) {
        const struct group *g = s->groups->list[i];
        resp_map(c->reply, 6);
        field_name(c, group_name(g));
        field_int(c, "consumers", (int64_t)g->consumer_count);
        field_int(c, "pending", (int64_t)g->pending.count);
        reply_place(c, s, g);
    }
}

static int64_t since(const struct call *c, int64_t at_ms)
{
    return at_ms < c->now_ms ? c->now_ms - at_ms : 0;
}

void group_reply_consumers(struct call *c, const struct group *g)
{
    resp_array(c->reply, g->consumer_count);
    for (size_t i = 0; i < g->consumer_count; i++) {
        const struct consumer *of = g->consumers[i];
        resp_map(c->reply, 4);
        field_name(c, consumer_name(of));
        field_int(c, "pending", (int64_t)of->pending);
        field_int(c, "idle", since(c, of->seen_ms));
        field_int(c, "inactive", of->active_ms < 0 ? -1 : since(c, of->active_ms));
    }
}

/* ---- In full ---- */

static void reply_pending(struct call *c, const struct group *g, int64_t consumer, uint64_t max)
{
    struct pending_iter it;
    struct pending_entry e;
    size_t place = resp_defer(c->reply), n = 0;
    pending_iter_init(&it, &g->pending, STREAM_ID_MIN, consumer, INT64_MAX);
    for (; n < max && pending_iter_next(&it, &e) && !call_reply_is_full(c); n++) {
        resp_array(c->reply, consumer == PENDING_ANY ? 4 : 3);
        stream_reply_id(c, e.id);
        if (consumer == PENDING_ANY) resp_bulk(c->reply, consumer_name(group_owner(g, &e)));
        resp_int(c->reply, e.time_ms);
        resp_int(c->reply, (int64_t)e.count);
    }
    resp_defer_array(c->reply, place, n);
}

static void reply_consumer(struct call *c, const struct group *g, const struct consumer *of,
                           uint64_t max)
{
    resp_map(c->reply, 5);
    field_name(c, consumer_name(of));
    field_int(c, "seen-time", of->seen_ms);
    field_int(c, "active-time", of->active_ms);
    field_int(c, "pel-count", (int64_t)of->pending);
    resp_bulk_str(c->reply, "pending");
    reply_pending(c, g, of->number, max);
}

void group_reply_full(struct call *c, const struct stream *s, uint64_t max)
{
    resp_array(c->reply, groups_count(s->groups));
    for (size_t i = 0; i < groups_count(s->groups); i++) {
        const struct group *g = s->groups->list[i];
        resp_map(c->reply, 7);
        field_name(c, group_name(g));
        reply_place(c, s, g);
        field_int(c, "pel-count", (int64_t)g->pending.count);
        resp_bulk_str(c->reply, "pending");
        reply_pending(c, g, PENDING_ANY, max);
        resp_bulk_str(c->reply, "consumers");
        resp_array(c->reply, g->consumer_count);
        for (size_t j = 0; j < g->consumer_count; j++) reply_consumer(c, g, g->consumers[j], max);
    }
}
