/* XACK and XPENDING: what a group's consumers have got and not done yet. */
#include "broker/group_args.h"
#include "broker/stream_args.h"

/* argv: X... key group ... */
enum { ARG_KEY = 1, ARG_GROUP = 2, ARG_REST = 3 };

/* ---- XACK ---- */

static void xack(struct call *c)
{
    struct key *k;
    if (!call_write_typed(c, c->argv[ARG_KEY], KEY_STREAM, &k)) return;
    struct group *g = k != NULL ? groups_find(stream_of(k)->groups, c->argv[ARG_GROUP]) : NULL;
    if (g == NULL) {
        resp_int(c->reply, 0);
        return;
    }
    size_t n = c->argc - ARG_REST;
    const struct stream_id *ids = group_arg_ids(c, ARG_REST, n);
    if (ids == NULL || !call_admit(c, change_pending_bytes(k, n, false))) return;
    resp_int(c->reply, (int64_t)change_pending_drop(c, k, g, ids, n));
}

/* ---- XPENDING ---- */

struct query {
    bool extended;
    int64_t min_idle_ms, count;
    struct stream_id from, to;
    struct bytes consumer; /* data NULL: any */
};

/* [IDLE ms] from to count [consumer] */
static bool parse_query(struct call *c, struct query *q)
{
    enum { ARGS_RANGE = 3, ARGS_MAX = 9 };
    size_t at = ARG_REST;
    *q = (struct query){.extended = c->argc > ARG_REST};
    if (!q->extended) return true;
    if (c->argc < ARG_REST + ARGS_RANGE || c->argc > ARGS_MAX) {
        call_error_syntax(c);
        return false;
    }
    if (bytes_is_word(c->argv[at], "idle")) {
        if (!call_int(c, c->argv[at + 1], &q->min_idle_ms)) return false;
        at += 2;
        if (c->argc < at + ARGS_RANGE) {
            call_error_syntax(c);
            return false;
        }
    }
    if (!call_int(c, c->argv[at + 2], &q->count) ||
        !stream_arg_range(c, c->argv[at], c->argv[at + 1], &q->from, &q->to))
        return false;
    if (c->argc > at + ARGS_RANGE) q->consumer = c->argv[at + ARGS_RANGE];
    return true;
}

static void reply_summary(struct call *c, const struct group *g)
{
    struct stream_id first, last;
    resp_array(c->reply, 4);
    resp_int(c->reply, (int64_t)g->pending.count);
    if (!pending_first(&g->pending, &first) || !pending_last(&g->pending, &last)) {
        resp_null(c->reply);
        resp_null(c->reply);
        resp_null_array(c->reply);
        return;
    }
    stream_reply_id(c, first);
    stream_reply_id(c, last);
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; i < g->consumer_count; i++) {
        const struct consumer *of = g->consumers[i];
        if (of->pending == 0) continue;
        resp_array(c->reply, 2);
        resp_bulk(c->reply, consumer_name(of));
        resp_bulk_i64(c->reply, (int64_t)of->pending);
        n++;
    }
    resp_defer_array(c->reply, place, n);
}

static void reply_range(struct call *c, const struct group *g, const struct query *q)
{
    const struct consumer *of = NULL;
    if (q->consumer.data != NULL) {
        of = group_consumer(g, q->consumer);
        if (of == NULL) {
            resp_array(c->reply, 0);
            return;
        }
    }
    struct pending_iter it;
    struct pending_entry e;
    size_t place = resp_defer(c->reply);
    int64_t n = 0;
    pending_iter_init(&it, &g->pending, q->from, of != NULL ? (int64_t)of->number : PENDING_ANY,
                      group_idle_since(c, q->min_idle_ms));
    while (n < q->count && pending_iter_next(&it, &e) && stream_id_cmp(e.id, q->to) <= 0) {
        if (call_reply_is_full(c)) return;
        resp_array(c->reply, 4);
        stream_reply_id(c, e.id);
        resp_bulk(c->reply, consumer_name(group_owner(g, &e)));
        resp_int(c->reply, group_idle_ms(c, &e));
        resp_int(c->reply, (int64_t)e.count);
        n++;
    }
    resp_defer_array(c->reply, place, (size_t)n);
}

static void xpending(struct call *c)
{
    struct query q;
    struct key *k;
    if (!parse_query(c, &q) || !call_read_typed(c, c->argv[ARG_KEY], KEY_STREAM, &k)) return;
    const struct group *g =
        k != NULL ? groups_find(stream_of(k)->groups, c->argv[ARG_GROUP]) : NULL;
    if (g == NULL) group_error_missing(c, GROUP_OF_COMMAND, c->argv[ARG_KEY], c->argv[ARG_GROUP]);
    else if (q.extended) reply_range(c, g, &q);
    else reply_summary(c, g);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

const struct command cmd_group_pending[] = {
    /* clang-format off */
    {.name = "xack", .arity = -4, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY, STREAM,
     .since = "5.0.0", .syntax = "XACK key group id [id ...]",
     .summary = "Acknowledges entries: they are pending no longer.", .handler = xack,
     .complexity = "O(log N) for each id"},
    {.name = "xpending", .arity = -3, .flags = CMD_READONLY, ONE_KEY, STREAM, .since = "5.0.0",
     .syntax = "XPENDING key group [[IDLE min-idle-time] start end count [consumer]]",
     .summary = "Tells of the entries of a group that are pending.", .handler = xpending,
     .complexity = "O(N) with N entries replied or looked at"},
    {.name = NULL},
    /* clang-format on */
};
