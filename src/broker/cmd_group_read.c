/* XREADGROUP: a group's new entries, a consumer's own pending ones, or what others left pending.
 *
 * It goes over its streams twice: what is to be read is found and brought into memory first, when
 * nothing may have been changed or replied; then each stream is replied, and what that does to its
 * group is recorded: one record for the group's place, one for what is pending now. The arguments,
 * and what there is, are group_sources.c's. */
#include "base/must.h"
#include "broker/group_sources.h"
#include "broker/stream_args.h"
#include "keys/stream_store.h"

enum { CHUNK = 4096 }; /* entries that are recorded together */

/* What the streams' records may take; each becomes one of its own. */
static bool admit(struct call *c, const struct reading *o)
{
    size_t bytes = 0;
    for (size_t i = 0; i < o->n; i++) {
        const struct source *s = &o->sources[i];
        bytes += change_pending_bytes(s->key, o->noack ? 0 : s->news, false);
        bytes += change_pending_bytes(s->key, s->old_count, true);
        bytes += 4 * (o->group.len + o->consumer.len);
    }
    return call_admit(c, bytes);
}

/* ---- Replying: nothing is changed yet. Each returns 0, or negative when something cannot be read
 * now; what has been replied is then taken back by reply_all(). ---- */

/* An entry and, where entries are claimed, how long it has been idle and how often delivered. */
static void reply_entry(struct call *c, struct bytes wire, bool claim, int64_t idle_ms,
                        uint64_t delivered)
{
    if (!claim) {
        buf_put(c->reply->out, wire);
        return;
    }
    resp_array(c->reply, 4);
    buf_append(c->reply->out, wire.data + STREAM_ENTRY_HEAD, wire.len - STREAM_ENTRY_HEAD);
    resp_int(c->reply, idle_ms);
    resp_int(c->reply, (int64_t)delivered);
}

static int reply_old(struct call *c, const struct source *s)
{
    bool claimed = s->is_new;
    for (size_t i = 0; i < s->old_count; i++) {
        const struct pending_entry *e = &s->old[i];
        struct stream_entry found;
        int there = s->old_there[i] ? stream_find(stream_of(s->key), e->id, &found) : 0;
        if (there < 0) return there;
        if (there == 1) {
            reply_entry(c, found.wire, claimed, group_idle_ms(c, e), e->count);
        } else {
            resp_array(c->reply, 2);
            stream_reply_id(c, e->id);
            resp_null_array(c->reply);
        }
    }
    return 0;
}

/* Runs of entries as they lie in memory; the last one is noted. */
static int reply_runs(struct call *c, struct source *s, struct stream_iter *it)
{
    struct stream_run run;
    for (uint64_t rest = s->news; rest > 0;) {
        int64_t n = stream_iter_run(it, rest, &run);
        if (n < 0) return (int)n;
        must(n > 0);
        buf_put(c->reply->out, run.wire);
        s->last = run.last;
        s->last_ordinal = run.last_ordinal;
        rest -= (uint64_t)n;
    }
    return 0;
}

/* One by one, since their ids are wanted, too; what lies side by side is copied in one piece. */
static int reply_each(struct call *c, struct source *s, struct stream_iter *it, bool claim)
{
    struct bytes piece = {NULL, 0};
    struct stream_entry e;
    s->ids = arena_alloc(c->arena, s->news * sizeof *s->ids);
    for (uint64_t i = 0; i < s->news; i++) {
        int there = stream_iter_next(it, &e);
        if (there < 0) return there;
        must(there == 1);
        s->ids[i] = e.id;
        if (claim) {
            reply_entry(c, e.wire, true, 0, 0);
        } else if (piece.data != NULL && e.wire.data == piece.data + piece.len) {
            piece.len += e.wire.len;
        } else {
            buf_put(c->reply->out, piece);
            piece = e.wire;
        }
    }
    buf_put(c->reply->out, piece);
    s->last = e.id;
    s->last_ordinal = e.ordinal;
    return 0;
}

static int reply_new(struct call *c, const struct reading *o, struct source *s)
{
    struct stream_id from = s->group->last_id;
    struct stream_iter it;
    if (s->news == 0) return 0;
    stream_id_next(&from);
    stream_iter_init(&it, stream_of(s->key), from, STREAM_ID_MAX, false);
    return o->noack && !o->claim ? reply_runs(c, s, &it) : reply_each(c, s, &it, o->claim);
}

static int reply_source(struct call *c, const struct reading *o, struct source *s)
{
    if (c->reply->proto == 2) resp_array(c->reply, 2);
    resp_bulk(c->reply, s->name);
    resp_array(c->reply, (size_t)s->news + s->old_count);
    int result = reply_old(c, s);
    return result < 0 ? result : reply_new(c, o, s);
}

/* ---- What it does to the groups ---- */

static void take_old(struct call *c, struct source *s)
{
    size_t set = 0;
    for (size_t i = 0; i < s->old_count; i++) {
        if (!s->old_there[i]) continue;
        s->old[set] = s->old[i];
        s->old[set].time_ms = c->now_ms;
        s->old[set++].count++;
    }
    change_pending_set(c, s->key, s->group, s->consumer, s->old, set);
}

static void set_pending(struct call *c, const struct source *s)
{
    size_t cap = (size_t)(s->news < CHUNK ? s->news : CHUNK), n = 0;
    struct pending_entry *set = arena_alloc(c->arena, cap * sizeof *set);
    for (uint64_t i = 0; i < s->news; i++) {
        set[n++] = (struct pending_entry){.id = s->ids[i], .time_ms = c->now_ms, .count = 1};
        if (n < cap && i + 1 < s->news) continue;
        change_pending_set(c, s->key, s->group, s->consumer, set, n);
        n = 0;
    }
}

static void take(struct call *c, const struct reading *o, struct source *s)
{
    take_old(c, s);
    if (s->news == 0) return;
    change_group_set(c, s->key, s->group, o->group, s->last, s->last_ordinal + 1);
    if (o->noack) group_note_active(c, s->key, s->group, s->consumer);
    else set_pending(c, s);
}

/* ---- All of it ---- */

static bool has_something(const struct source *s)
{
    return !s->is_new || s->news > 0 || s->old_count > 0;
}

/* When the next of the entries that are pending now will have been so for long enough. */
static int64_t next_idle_ms(const struct call *c, const struct reading *o)
{
    int64_t next = INT64_MAX, at_ms;
    for (size_t i = 0; i < o->n; i++) {
        const struct pending *p = &o->sources[i].group->pending;
        int64_t time_ms = pending_next_time(p, c->now_ms - o->min_idle_ms);
        if (time_ms < next) next = time_ms;
    }
    return __builtin_add_overflow(next, o->min_idle_ms, &at_ms) ? INT64_MAX : at_ms;
}

static void wait(struct call *c, const struct reading *o)
{
    if (!o->block || c->in_exec) {
        call_reply_nothing(c);
        return;
    }
    call_block(c, c->argv + o->streams, o->n, KEY_STREAM, o->block_ms, call_reply_nothing);
    call_block_while_there(c);
    if (o->claim) call_block_until(c, next_idle_ms(c, o));
}

/* Replies the sources that have something; their number. Where none is named twice all is taken
 * afterwards, and only if everything could be read: negative otherwise. Else each is taken at once,
 * so that the next one finds what is left, and one that cannot be read is left out. */
static int reply_all(struct call *c, const struct reading *o)
{
    int full = 0;
    for (size_t i = 0; i < o->n && !call_reply_is_full(c); i++) {
        struct source *s = &o->sources[i];
        size_t begin = c->reply->out->len;
        int result = s->before > 0 ? reading_find(c, o, s) : 0;
        if (result == 0 && !has_something(s)) continue;
        if (result == 0) result = reply_source(c, o, s);
        if (result < 0) c->reply->out->len = begin;
        if (result < 0 && !o->names_twice) return result;
        if (result < 0) continue;
        s->is_replied = true;
        if (o->names_twice) take(c, o, s);
        full++;
    }
    return full;
}

/* Once something has been taken the command cannot be run again: what is still missing then, which
 * is little (reading_find()), is waited for. */
static int reply_all_waiting(struct call *c, const struct reading *o)
{
    struct stream_store *store = stream_of(o->sources[0].key)->store;
    bool waits = store->wait;
    store->wait = true;
    int full = reply_all(c, o);
    store->wait = waits;
    return full;
}

static void need_consumers(struct call *c, const struct reading *o)
{
    for (size_t i = 0; i < o->n; i++) {
        struct source *s = &o->sources[i];
        s->consumer = group_need_consumer(c, s->key, s->group, o->consumer);
    }
}

static void reply(struct call *c, const struct reading *o)
{
    size_t place = resp_defer(c->reply);
    if (o->names_twice) need_consumers(c, o);
    int full = o->names_twice ? reply_all_waiting(c, o) : reply_all(c, o);
    if (full < 0) {
        c->reply->out->len = place;
        stream_is_there(c, full);
        return;
    }
    if (!o->names_twice) {
        need_consumers(c, o);
        for (size_t i = 0; i < o->n; i++)
            if (o->sources[i].is_replied) take(c, o, &o->sources[i]);
    }
    if (full == 0) wait(c, o);
    else if (c->reply->proto == 2) resp_defer_array(c->reply, place, (size_t)full);
    else resp_defer_map(c->reply, place, (size_t)full);
}

static void xreadgroup(struct call *c)
{
    struct reading o;
    int result = 0;
    if (!reading_parse(c, &o)) return;
    for (size_t i = 0; i < o.n; i++) { /* all of them, so that all is asked for at once */
        int found = reading_find(c, &o, &o.sources[i]);
        if (found < 0) result = found;
    }
    if (stream_is_there(c, result) && admit(c, &o)) reply(c, &o);
}

const struct command cmd_group_read[] = {
    /* clang-format off */
    {.name = "xreadgroup", .arity = -7, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .first_key = 4, .key_positions = KEYS_STREAMS, .acl = ACL_STREAM, .group = "stream",
     .since = "5.0.0",
     .syntax = "XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] "
               "[CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id [id ...]",
     .summary = "Reads new entries of streams for a consumer of a group, or those it has pending; "
                "waits for some.",
     .handler = xreadgroup, .complexity = "O(M) for each stream, with M entries replied"},
    {.name = NULL},
    /* clang-format on */
};
