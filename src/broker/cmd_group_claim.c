/* XCLAIM and XAUTOCLAIM: pending entries change hands.
 *
 * What a claim needs of the stream is looked at first, for all ids: it may have to be read from
 * disk, and nothing may have been changed or replied by then. */
#include "base/must.h"
#include "base/num.h"
#include "broker/group_args.h"
#include "broker/stream_args.h"

/* argv: X... key group consumer min-idle-time ... */
enum { ARG_KEY = 1, ARG_GROUP, ARG_CONSUMER, ARG_IDLE, ARG_REST };

/* ---- Claims under way ---- */

/* Entries that are taken over are recorded together. */
struct claims {
    struct call *call;
    struct key *key;
    struct group *group;
    struct consumer *by;
    struct pending_entry *set; /* not recorded yet, ids ascending */
    size_t set_count;
    struct stream_id *drop;
    size_t drop_count, claimed;
};

static void claims_init(struct claims *cl, struct call *c, struct key *k, struct group *g,
                        struct consumer *by, size_t max)
{
    *cl = (struct claims){.call = c, .key = k, .group = g, .by = by};
    cl->set = arena_alloc(c->arena, max * sizeof *cl->set);
    cl->drop = arena_alloc(c->arena, max * sizeof *cl->drop);
}

static void claims_flush(struct claims *cl)
{
    change_pending_set(cl->call, cl->key, cl->group, cl->by, cl->set, cl->set_count);
    cl->set_count = 0;
    change_pending_drop(cl->call, cl->key, cl->group, cl->drop, cl->drop_count);
    cl->drop_count = 0;
}

/* An id that is named again finds what its first mention made of it. */
static void claims_meet(struct claims *cl, struct stream_id id)
{
    bool behind = (cl->set_count == 0 || stream_id_cmp(cl->set[cl->set_count - 1].id, id) < 0) &&
                  (cl->drop_count == 0 || stream_id_cmp(cl->drop[cl->drop_count - 1], id) < 0);
    if (!behind) claims_flush(cl);
}

static void claims_take(struct claims *cl, const struct pending_entry *e)
{
    cl->set[cl->set_count++] = *e;
    cl->claimed++;
}

static void claims_drop(struct claims *cl, struct stream_id id)
{
    cl->drop[cl->drop_count++] = id;
}

/* The consumer has asked, and perhaps got something. */
static void claims_end(struct claims *cl)
{
    claims_flush(cl);
    if (cl->claimed > 0) group_note_active(cl->call, cl->key, cl->group, cl->by);
}

/* An entry of the stream that is known to be there, or its id alone. */
static void reply_claimed(struct call *c, struct stream *s, struct stream_id id, bool just_id)
{
    struct stream_entry e;
    if (just_id) {
        stream_reply_id(c, id);
        return;
    }
    must(stream_find(s, id, &e) == 1);
    buf_put(c->reply->out, e.wire);
}

/* ---- XCLAIM ---- */

struct xclaim {
    int64_t min_idle_ms, time_ms, retry_count; /* retry_count -1: one more */
    bool force, just_id, has_last_id;
    struct stream_id last_id;
    struct stream_id *ids;
    size_t id_count;
};

static bool parse_min_idle(struct call *c, const char *command, int64_t *ret)
{
    if (!num_parse_i64(c->argv[ARG_IDLE], ret)) {
        resp_error(c->reply, "ERR Invalid min-idle-time argument for %s", command);
        return false;
    }
    if (*ret < 0) *ret = 0;
    return true;
}

static bool error_option(struct call *c, struct bytes name)
{
    struct buf out = {0};
    buf_printf(&out, "ERR Unrecognized XCLAIM option '");
    buf_append(&out, name.data, strnlen(name.data, name.len)); /* shown as a C string */
    buf_putc(&out, '\'');
    resp_error_bytes(c->reply, buf_bytes(&out));
    buf_fini(&out);
    return false;
}

static bool parse_option_int(struct call *c, struct bytes arg, const char *name, int64_t *ret)
{
    if (num_parse_i64(arg, ret)) return true;
    resp_error(c->reply, "ERR Invalid %s option argument for XCLAIM", name);
    return false;
}

/* The option at argv[*i] that has an argument. */
static bool parse_valued(struct call *c, size_t *i, struct xclaim *o)
{
    struct bytes name = c->argv[*i], value = c->argv[*i + 1];
    ++*i;
    if (bytes_is_word(name, "idle")) {
        if (!parse_option_int(c, value, "IDLE", &o->time_ms)) return false;
        if (__builtin_sub_overflow(c->now_ms, o->time_ms, &o->time_ms)) o->time_ms = c->now_ms;
        return true;
    }
    if (bytes_is_word(name, "time")) return parse_option_int(c, value, "TIME", &o->time_ms);
    if (bytes_is_word(name, "retrycount"))
        return parse_option_int(c, value, "RETRYCOUNT", &o->retry_count);
    if (!bytes_is_word(name, "lastid")) return error_option(c, name);
    o->has_last_id = true;
    return stream_arg_id(c, value, 0, &o->last_id);
}

static bool parse_xclaim(struct call *c, struct xclaim *o)
{
    size_t i = ARG_REST;
    struct stream_id id;
    *o = (struct xclaim){.time_ms = c->now_ms, .retry_count = -1};
    if (!parse_min_idle(c, "XCLAIM", &o->min_idle_ms)) return false;
    while (i < c->argc && stream_id_parse(c->argv[i], 0, &id)) i++;
    o->id_count = i - ARG_REST;
    for (; i < c->argc; i++) {
        if (bytes_is_word(c->argv[i], "force")) o->force = true;
        else if (bytes_is_word(c->argv[i], "justid")) o->just_id = true;
        else if (i + 1 == c->argc) return error_option(c, c->argv[i]);
        else if (!parse_valued(c, &i, o)) return false;
    }
    if (o->time_ms < 0 || o->time_ms > c->now_ms) o->time_ms = c->now_ms;
    o->ids = group_arg_ids(c, ARG_REST, o->id_count);
    return o->ids != NULL;
}

/* Which of the ids are in the stream; NULL when they cannot be told yet. */
static bool *look_up(struct call *c, struct stream *s, const struct stream_id *ids, size_t n)
{
    bool *there = arena_alloc(c->arena, n + 1);
    int result = 0;
    for (size_t i = 0; i < n; i++) { /* all of them, so that all are asked for at once */
        struct stream_entry e;
        int found = stream_find(s, ids[i], &e);
        if (found < 0) result = found;
        there[i] = found == 1;
    }
    return stream_is_there(c, result) ? there : NULL;
}

/* True when the entry is taken over; it is not when there is no such one, or it is too young. */
static bool claim_one(struct claims *cl, const struct xclaim *o, struct stream_id id, bool is_there)
{
    struct pending_entry e = {.id = id, .count = 1};
    claims_meet(cl, id);
    bool pending = pending_get(&cl->group->pending, id, &e);
    if (!is_there) {
        if (pending) claims_drop(cl, id);
        return false;
    }
    if (!pending && !o->force) return false;
    if (pending && o->min_idle_ms > 0 && cl->call->now_ms - e.time_ms < o->min_idle_ms)
        return false;
    if (o->retry_count >= 0) e.count = (uint64_t)o->retry_count;
    else if (!o->just_id) e.count++;
    e.time_ms = o->time_ms;
    claims_take(cl, &e);
    return true;
}

/* What the records take: those of ids that do not ascend are not recorded together. */
static size_t claim_bytes(const struct call *c, const struct key *k, const struct xclaim *o)
{
    enum { RECORD_BYTES = 64, RECORDS = 2 };
    size_t again = 0;
    for (size_t i = 1; i < o->id_count; i++)
        if (stream_id_cmp(o->ids[i], o->ids[i - 1]) <= 0) again++;
    size_t names = k->name_len + c->argv[ARG_GROUP].len + c->argv[ARG_CONSUMER].len;
    return change_pending_bytes(k, o->id_count, true) + again * RECORDS * (RECORD_BYTES + names);
}

static void claim_all(struct claims *cl, const struct xclaim *o, const bool *there)
{
    struct call *c = cl->call;
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; i < o->id_count; i++) {
        if (!claim_one(cl, o, o->ids[i], there[i])) continue;
        reply_claimed(c, stream_of(cl->key), o->ids[i], o->just_id);
        n++;
    }
    resp_defer_array(c->reply, place, n);
    claims_end(cl);
}

static void xclaim(struct call *c)
{
    struct xclaim o;
    struct key *k;
    struct group *g;
    struct claims cl;
    uint64_t ordinal;
    if (!group_find(c, c->argv[ARG_KEY], c->argv[ARG_GROUP], &k, &g) || !parse_xclaim(c, &o))
        return;
    struct stream *s = stream_of(k);
    bool moves = o.has_last_id && stream_id_cmp(o.last_id, g->last_id) > 0;
    if (moves && !group_ordinal_at(c, s, o.last_id, &ordinal)) return;
    const bool *there = look_up(c, s, o.ids, o.id_count);
    if (there == NULL || !call_admit(c, claim_bytes(c, k, &o))) return;
    if (moves) change_group_set(c, k, g, c->argv[ARG_GROUP], o.last_id, ordinal);
    claims_init(&cl, c, k, g, group_need_consumer(c, k, g, c->argv[ARG_CONSUMER]), o.id_count);
    claim_all(&cl, &o, there);
    /* Who waits to claim what is idle may have it now, or sooner than when it went to wait. */
    if (o.force || o.time_ms < c->now_ms) c->fx->ready = true;
}

/* ---- XAUTOCLAIM ---- */

struct xautoclaim {
    int64_t min_idle_ms, count;
    struct stream_id from;
    bool just_id;
};

static bool parse_xautoclaim(struct call *c, struct xautoclaim *o)
{
    static const int64_t count_max = INT64_MAX / 16;
    struct stream_id to;
    *o = (struct xautoclaim){.count = 100};
    if (!parse_min_idle(c, "XAUTOCLAIM", &o->min_idle_ms) ||
        !stream_arg_range(c, c->argv[ARG_REST], BYTES("+"), &o->from, &to))
        return false;
    for (size_t i = ARG_REST + 1; i < c->argc; i++) {
        if (bytes_is_word(c->argv[i], "justid")) {
            o->just_id = true;
        } else if (bytes_is_word(c->argv[i], "count") && i + 1 < c->argc) {
            if (!call_int_range(c, c->argv[++i], 1, count_max, "ERR COUNT must be > 0", &o->count))
                return false;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

/* What a scan comes by, until enough is claimed or gone. */
struct scan {
    struct pending_entry *entries;
    bool *there;
    size_t count;
    struct stream_id next; /* 0-0 at the end */
};

static bool is_idle(const struct call *c, const struct pending_entry *e, int64_t min_idle_ms)
{
    return min_idle_ms <= 0 || c->now_ms - e->time_ms >= min_idle_ms;
}

/* Entries that are idle or gone from the stream. False when that cannot be told yet. */
static bool scan(struct call *c, struct stream *s, const struct group *g,
                 const struct xautoclaim *o, struct scan *ret)
{
    enum { ATTEMPTS_PER_COUNT = 10 };
    struct pending_iter it;
    struct pending_entry e;
    int result = 0;
    uint64_t attempts = (uint64_t)o->count * ATTEMPTS_PER_COUNT;
    uint64_t max = (uint64_t)o->count < g->pending.count ? (uint64_t)o->count : g->pending.count;
    *ret = (struct scan){.entries = arena_alloc(c->arena, (max + 1) * sizeof e),
                         .there = arena_alloc(c->arena, max + 1)};
    pending_iter_init(&it, &g->pending, o->from, PENDING_ANY, INT64_MAX);
    bool more = pending_iter_next(&it, &e);
    for (; more && attempts > 0 && ret->count < max;
         attempts--, more = pending_iter_next(&it, &e)) {
        struct stream_entry found;
        int there = stream_find(s, e.id, &found);
        if (there < 0) result = there;
        if (there == 1 && !is_idle(c, &e, o->min_idle_ms)) continue;
        ret->entries[ret->count] = e;
        ret->there[ret->count++] = there == 1;
    }
    if (more) ret->next = e.id;
    return stream_is_there(c, result);
}

static void claim_scanned(struct claims *cl, const struct xautoclaim *o, const struct scan *found)
{
    struct call *c = cl->call;
    size_t gone = 0;
    for (size_t i = 0; i < found->count; i++) {
        struct pending_entry e = found->entries[i];
        if (!found->there[i]) {
            claims_drop(cl, e.id);
            gone++;
            continue;
        }
        if (!o->just_id) e.count++;
        e.time_ms = c->now_ms;
        claims_take(cl, &e);
    }
    resp_array(c->reply, 3);
    stream_reply_id(c, found->next);
    resp_array(c->reply, found->count - gone);
    for (size_t i = 0; i < found->count; i++)
        if (found->there[i]) reply_claimed(c, stream_of(cl->key), found->entries[i].id, o->just_id);
    resp_array(c->reply, gone);
    for (size_t i = 0; i < found->count; i++)
        if (!found->there[i]) stream_reply_id(c, found->entries[i].id);
    claims_end(cl);
}

static void xautoclaim(struct call *c)
{
    struct xautoclaim o;
    struct key *k;
    struct group *g;
    struct scan found;
    struct claims cl;
    if (!parse_xautoclaim(c, &o) || !group_find(c, c->argv[ARG_KEY], c->argv[ARG_GROUP], &k, &g) ||
        !scan(c, stream_of(k), g, &o, &found) ||
        !call_admit(c, change_pending_bytes(k, found.count, true)))
        return;
    struct consumer *by = group_need_consumer(c, k, g, c->argv[ARG_CONSUMER]);
    claims_init(&cl, c, k, g, by, found.count);
    claim_scanned(&cl, &o, &found);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

const struct command cmd_group_claim[] = {
    /* clang-format off */
    {.name = "xautoclaim", .arity = -6, .flags = CMD_WRITE | CMD_FAST, ONE_KEY, STREAM,
     .since = "6.2.0",
     .syntax = "XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]",
     .summary = "Takes over entries that have been pending for long, scanning from an id on.",
     .handler = xautoclaim, .complexity = "O(N) with N entries looked at"},
    {.name = "xclaim", .arity = -6, .flags = CMD_WRITE | CMD_FAST, ONE_KEY, STREAM,
     .since = "5.0.0",
     .syntax = "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] "
               "[TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
     .summary = "Takes over pending entries for a consumer.", .handler = xclaim,
     .complexity = "O(log N) for each id"},
    {.name = NULL},
    /* clang-format on */
};
