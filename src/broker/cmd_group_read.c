/* XREADGROUP: a group's new entries, a consumer's own pending ones, or what others left pending.
 *
 * It goes over its streams twice: what is to be read is found and brought into memory first, when
 * nothing may have been changed or replied; then each stream is replied, and what that does to its
 * group is recorded: one record for the group's place, one for what is pending now. */
#include <stdlib.h>

#include "base/must.h"
#include "broker/group_args.h"
#include "broker/stream_args.h"
#include "keys/stream_store.h"

enum { CHUNK = 4096 }; /* entries that are recorded together */

struct source {
    struct bytes name;
    struct key *key;
    struct group *group;
    struct consumer *consumer;
    size_t before;             /* how often the same stream is named before */
    bool is_new;               /* the id is ">" */
    struct stream_id from;     /* else: behind this one */
    uint64_t news;             /* entries that nobody got yet, to be replied */
    struct pending_entry *old; /* pending ones to be replied */
    bool *old_there;           /* in the stream */
    size_t old_count;
    struct stream_id *ids; /* of the new ones that were replied; NOACK needs only the last */
    struct stream_id last;
    uint64_t last_ordinal;
    bool is_replied;
};

struct reading {
    struct bytes group, consumer;
    uint64_t count; /* of each stream; UINT64_MAX: all */
    bool block, noack, claim;
    int64_t block_ms, min_idle_ms;
    size_t streams; /* where the keys begin in argv */
    size_t n;       /* of them */
    struct source *sources;
    bool names_twice; /* one of the streams */
};

/* ---- Arguments ---- */

static bool parse_count(struct call *c, struct bytes arg, uint64_t *ret)
{
    int64_t n;
    if (!call_int(c, arg, &n)) return false;
    *ret = n > 0 ? (uint64_t)n : UINT64_MAX;
    return true;
}

static bool parse_min_idle(struct call *c, struct bytes arg, int64_t *ret)
{
    if (!call_int(c, arg, ret)) return false;
    if (*ret >= 0) return true;
    resp_error(c->reply, "ERR min-idle-time is negative");
    return false;
}

/* Takes the option at argv[*i] and stays at its last argument. */
static bool parse_option(struct call *c, size_t *i, struct reading *o)
{
    struct bytes name = c->argv[*i];
    size_t more = c->argc - *i - 1;
    if (more >= 1 && bytes_is_word(name, "block")) {
        o->block = true;
        return stream_arg_block(c, c->argv[++*i], &o->block_ms);
    }
    if (more >= 1 && bytes_is_word(name, "count")) return parse_count(c, c->argv[++*i], &o->count);
    if (more >= 1 && bytes_is_word(name, "claim")) {
        o->claim = true;
        return parse_min_idle(c, c->argv[++*i], &o->min_idle_ms);
    }
    if (more >= 2 && bytes_is_word(name, "group")) {
        o->group = c->argv[++*i];
        o->consumer = c->argv[++*i];
        return true;
    }
    o->noack = o->noack || bytes_is_word(name, "noack");
    if (bytes_is_word(name, "noack")) return true;
    call_error_syntax(c);
    return false;
}

static bool parse(struct call *c, struct reading *o)
{
    size_t i = 1;
    *o = (struct reading){.count = UINT64_MAX};
    for (; i < c->argc && !(i + 1 < c->argc && bytes_is_word(c->argv[i], "streams")); i++)
        if (!parse_option(c, &i, o)) return false;
    o->streams = i + 1;
    size_t rest = i < c->argc ? c->argc - o->streams : 0;
    o->n = rest / 2;
    const char *error = NULL;
    if (rest % 2 != 0)
        error = "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '$' "
                "must be specified.";
    else if (rest == 0) error = "ERR syntax error";
    else if (o->group.data == NULL) error = "ERR Missing GROUP option for XREADGROUP";
    if (error != NULL) resp_error(c->reply, "%s", error);
    return error == NULL;
}

/* ">" or an id; the greatest id there is means ">" to Redis, too. */
static bool parse_id(struct call *c, struct bytes arg, struct source *s)
{
    if (arg.len == 1 && arg.data[0] == '$') {
        resp_error(c->reply,
                   "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the "
                   "history of this consumer by specifying a proper ID, or use the > ID to get new "
                   "messages. The $ ID would just return an empty result set.");
        return false;
    }
    s->is_new = arg.len == 1 && arg.data[0] == '>';
    if (s->is_new) return true;
    if (!stream_arg_id(c, arg, 0, &s->from)) return false;
    s->is_new = stream_id_cmp(s->from, STREAM_ID_MAX) == 0;
    return true;
}

static bool find_source(struct call *c, const struct reading *o, size_t i)
{
    struct source *s = &o->sources[i];
    *s = (struct source){.name = c->argv[o->streams + i]};
    if (!call_write_typed(c, s->name, KEY_STREAM, &s->key)) return false;
    call_count_read(c, s->key, s->name);
    if (s->key != NULL) s->group = groups_find(stream_of(s->key)->groups, o->group);
    if (s->group == NULL) {
        group_error_missing(c, GROUP_OF_READ, s->name, o->group);
        return false;
    }
    return parse_id(c, c->argv[o->streams + o->n + i], s);
}

static int by_key(const void *a, const void *b)
{
    const struct source *x = *(struct source *const *)a, *y = *(struct source *const *)b;
    uintptr_t left = (uintptr_t)x->key, right = (uintptr_t)y->key;
    if (left == right) return x < y ? -1 : 1;
    return left < right ? -1 : 1;
}

static void count_mentions(struct call *c, struct reading *o)
{
    struct source **order = arena_alloc(c->arena, o->n * sizeof(struct source *));
    for (size_t i = 0; i < o->n; i++) order[i] = &o->sources[i];
    qsort(order, o->n, sizeof(struct source *), by_key);
    for (size_t i = 1; i < o->n; i++) {
        if (order[i]->key != order[i - 1]->key) continue;
        order[i]->before = order[i - 1]->before + 1;
        o->names_twice = true;
    }
}

/* ---- Finding what there is ---- */

static int by_time(const void *a, const void *b)
{
    const struct pending_entry *x = a, *y = b;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    return stream_id_cmp(x->id, y->id);
}

/* Those that have been idle longest, and behind `after` (NULL: all), at most `max`, into the arena;
 * their number. */
static size_t collect_idle(struct call *c, const struct source *s, int64_t since_ms,
                           const struct pending_entry *after, size_t max,
                           struct pending_entry **ret)
{
    struct pending_iter it;
    struct pending_entry e;
    size_t cap = 2 * max, n = 0;
    struct pending_entry *kept = arena_alloc(c->arena, cap * sizeof *kept);
    pending_iter_init(&it, &s->group->pending, STREAM_ID_MIN, PENDING_ANY, since_ms);
    while (pending_iter_next(&it, &e)) {
        if (after != NULL && by_time(&e, after) <= 0) continue;
        kept[n++] = e;
        if (n < cap) continue;
        qsort(kept, n, sizeof *kept, by_time);
        n = max;
        it.time_max_ms = kept[n - 1].time_ms;
    }
    qsort(kept, n, sizeof *kept, by_time);
    *ret = kept;
    return n < max ? n : max;
}

/* Pending entries to be claimed: those of the stream that have been idle longest. What has been
 * deleted from the stream stays pending. 0, or negative. */
static int find_idle(struct call *c, const struct reading *o, struct source *s)
{
    uint64_t all = s->group->pending.count;
    size_t max = (size_t)(o->count < all ? o->count : all), at_once = max;
    int64_t since_ms = group_idle_since(c, o->min_idle_ms);
    struct pending_entry *found, last;
    const struct pending_entry *after = NULL;
    int result = 0;
    s->old = arena_alloc(c->arena, max * sizeof *s->old);
    s->old_there = memset(arena_alloc(c->arena, max), true, max);
    /* Each round goes over all that is pending; nearly all of it may be gone from the stream. */
    for (bool more = true; more && s->old_count < max; at_once *= 2) {
        size_t n = collect_idle(c, s, since_ms, after, at_once, &found);
        for (size_t i = 0; i < n && s->old_count < max; i++) {
            struct stream_entry e;
            int there = stream_find(stream_of(s->key), found[i].id, &e);
            if (there < 0) result = there;
            if (there != 0) s->old[s->old_count++] = found[i];
        }
        more = n == at_once;
        if (more) last = found[n - 1];
        after = &last;
    }
    return result;
}

/* The consumer's own, with ids beyond `from`. 0, or negative. */
static int find_own(struct call *c, const struct reading *o, struct source *s)
{
    const struct consumer *of = group_consumer(s->group, o->consumer);
    struct stream_id from = s->from;
    struct pending_iter it;
    int result = 0;
    if (of == NULL || of->pending == 0 || !stream_id_next(&from)) return 0;
    size_t max = (size_t)(o->count < of->pending ? o->count : of->pending);
    s->old = arena_alloc(c->arena, max * sizeof *s->old);
    s->old_there = arena_alloc(c->arena, max);
    pending_iter_init(&it, &s->group->pending, from, of->number, INT64_MAX);
    while (s->old_count < max && pending_iter_next(&it, &s->old[s->old_count])) {
        struct stream_entry e;
        int there = stream_find(stream_of(s->key), s->old[s->old_count].id, &e);
        if (there < 0) result = there;
        s->old_there[s->old_count++] = there == 1;
    }
    return result;
}

/* New ones, after what is claimed. 0, or negative. */
static int find_new(const struct reading *o, struct source *s)
{
    struct stream *from_stream = stream_of(s->key);
    struct stream_id from = s->group->last_id;
    uint64_t with_those_before;
    if (!stream_id_next(&from)) return 0;
    int64_t n =
        stream_prepare_reply(from_stream, from, STREAM_ID_MAX, false, o->count - s->old_count);
    if (n > 0) s->news = (uint64_t)n;
    if (n <= 0 || s->before == 0) return n < 0 ? (int)n : 0;
    /* Its own come behind what is taken by those before it. */
    if (__builtin_mul_overflow(o->count, s->before + 1, &with_those_before))
        with_those_before = UINT64_MAX;
    return stream_prepare(from_stream, from, STREAM_ID_MAX, false, with_those_before);
}

static int find_entries(struct call *c, const struct reading *o, struct source *s)
{
    s->news = s->old_count = 0;
    if (!s->is_new) return find_own(c, o, s);
    int result = o->claim ? find_idle(c, o, s) : 0;
    int news = find_new(o, s);
    return result < 0 ? result : news;
}

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
        int result = s->before > 0 ? find_entries(c, o, s) : 0;
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
 * is little (find_entries()), is waited for. */
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
    if (!parse(c, &o)) return;
    o.sources = arena_alloc(c->arena, o.n * sizeof *o.sources);
    for (size_t i = 0; i < o.n; i++)
        if (!find_source(c, &o, i)) return;
    count_mentions(c, &o);
    for (size_t i = 0; i < o.n; i++) { /* all of them, so that all is asked for at once */
        int found = find_entries(c, &o, &o.sources[i]);
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
