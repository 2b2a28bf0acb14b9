#include "broker/group_sources.h"

#include <stdlib.h>

#include "broker/stream_args.h"

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

static bool parse_words(struct call *c, struct reading *o)
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

bool reading_parse(struct call *c, struct reading *o)
{
    if (!parse_words(c, o)) return false;
    o->sources = arena_alloc(c->arena, o->n * sizeof *o->sources);
    for (size_t i = 0; i < o->n; i++)
        if (!find_source(c, o, i)) return false;
    count_mentions(c, o);
    return true;
}

/* ---- Finding what there is ---- */

static int by_time(const void *a, const void *b)
{
    const struct pending_entry *x = a, *y = b;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    return stream_id_cmp(x->id, y->id);
}

/* Those that have been idle longest, and behind `after` (NULL: all), at most `max`; their number.
 * `kept` has room for twice as many. */
static size_t collect_idle(const struct source *s, int64_t since_ms,
                           const struct pending_entry *after, size_t max,
                           struct pending_entry *kept)
{
    struct pending_iter it;
    struct pending_entry e;
    size_t n = 0;
    pending_iter_init(&it, &s->group->pending, STREAM_ID_MIN, PENDING_ANY, since_ms);
    while (pending_iter_next(&it, &e)) {
        if (after != NULL && by_time(&e, after) <= 0) continue;
        kept[n++] = e;
        if (n < 2 * max) continue;
        qsort(kept, n, sizeof *kept, by_time);
        n = max;
        it.time_max_ms = kept[n - 1].time_ms;
    }
    qsort(kept, n, sizeof *kept, by_time);
    return n < max ? n : max;
}

/* Pending entries to be claimed: those of the stream that have been idle longest. What has been
 * deleted from the stream stays pending. 0, or negative. */
static int find_idle(struct call *c, const struct reading *o, struct source *s)
{
    enum { ROUND_MAX = 1 << 16 };
    uint64_t all = s->group->pending.count;
    size_t max = (size_t)(o->count < all ? o->count : all), round = max, room = 0;
    int64_t since_ms = group_idle_since(c, o->min_idle_ms);
    struct pending_entry *found = NULL, last;
    const struct pending_entry *after = NULL;
    int result = 0;
    s->old = arena_alloc(c->arena, max * sizeof *s->old);
    s->old_there = memset(arena_alloc(c->arena, max), true, max);
    /* Each round goes over all that is pending, nearly all of which may be gone from the stream. */
    for (bool more = true; more && s->old_count < max; round *= round < ROUND_MAX ? 2 : 1) {
        if (room < round) found = arena_alloc(c->arena, 2 * (room = round) * sizeof *found);
        size_t n = collect_idle(s, since_ms, after, round, found);
        for (size_t i = 0; i < n && s->old_count < max; i++) {
            struct stream_entry e;
            int there = stream_find(stream_of(s->key), found[i].id, &e);
            if (there < 0) result = there;
            if (there != 0) s->old[s->old_count++] = found[i];
        }
        more = n == round;
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

int reading_find(struct call *c, const struct reading *o, struct source *s)
{
    s->news = s->old_count = 0;
    if (!s->is_new) return find_own(c, o, s);
    int result = o->claim ? find_idle(c, o, s) : 0;
    int news = find_new(o, s);
    return result < 0 ? result : news;
}
