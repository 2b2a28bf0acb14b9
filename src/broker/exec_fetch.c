/* Each command is looked at as its handler will, but without a trace: no key is touched, no figure
 * counted, no error replied. Arguments that make no sense need nothing. */
#include "broker/exec_fetch.h"

#include <errno.h>

#include "base/num.h"
#include "broker/internal.h"
#include "broker/stream_args.h"
#include "keys/stream_group.h"

static struct stream *find(struct call *c, struct bytes name)
{
    const struct key *k = call_peek(c, name);
    return k != NULL && k->type == KEY_STREAM ? stream_of(k) : NULL;
}

/* The argument behind the word, from argv[i] on; {NULL, 0} when there is none. */
static struct bytes option(const struct call *c, size_t i, const char *word)
{
    for (; i + 1 < c->argc; i++)
        if (bytes_is_word(c->argv[i], word)) return c->argv[i + 1];
    return (struct bytes){NULL, 0};
}

static uint64_t count_of(const struct call *c, size_t i)
{
    int64_t n;
    struct bytes arg = option(c, i, "count");
    return arg.data != NULL && num_parse_i64(arg, &n) && n > 0 ? (uint64_t)n : UINT64_MAX;
}

static int64_t worse(int64_t a, int64_t b)
{
    return a == -EAGAIN || b == -EAGAIN ? -EAGAIN : 0;
}

/* ---- Ranges ---- */

/* Whether the end itself is part of the range does not matter here. */
static bool parse_end(struct bytes arg, uint64_t missing_seq, struct stream_id *ret)
{
    if (arg.len > 1 && arg.data[0] == '(') arg = (struct bytes){arg.data + 1, arg.len - 1};
    *ret = missing_seq == 0 ? STREAM_ID_MIN : STREAM_ID_MAX;
    bool is_sign = arg.len == 1 && (arg.data[0] == '-' || arg.data[0] == '+');
    if (is_sign) *ret = arg.data[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    return is_sign || stream_id_parse(arg, missing_seq, ret);
}

static int64_t range(struct call *c, bool reverse)
{
    struct stream *s = find(c, c->argv[1]);
    struct stream_id from, to;
    if (s == NULL || !parse_end(c->argv[reverse ? 3 : 2], 0, &from) ||
        !parse_end(c->argv[reverse ? 2 : 3], UINT64_MAX, &to))
        return 0;
    return stream_prepare_reply(s, from, to, reverse, count_of(c, 4));
}

static int64_t fetch_xrange(struct call *c)
{
    return range(c, false);
}

static int64_t fetch_xrevrange(struct call *c)
{
    return range(c, true);
}

/* ---- XREAD, XREADGROUP ---- */

/* What comes behind `after`. */
static int64_t behind(struct stream *s, struct stream_id after, uint64_t max)
{
    if (!stream_id_next(&after)) return 0;
    return stream_prepare_reply(s, after, STREAM_ID_MAX, false, max);
}

/* A consumer's own entries behind an id. */
static int64_t own_pending(struct stream *s, const struct group *g, struct bytes consumer,
                           struct stream_id after, uint64_t max)
{
    const struct consumer *of = group_consumer(g, consumer);
    struct pending_iter it;
    struct pending_entry e;
    int64_t result = 0;
    if (of == NULL || !stream_id_next(&after)) return 0;
    pending_iter_init(&it, &g->pending, after, of->number, INT64_MAX);
    for (uint64_t n = 0; n < max && pending_iter_next(&it, &e); n++)
        result = worse(result, stream_exists(s, e.id));
    return result;
}

struct reading {
    struct bytes group, consumer; /* data NULL: XREAD */
    uint64_t max;
};

static int64_t read_one(struct stream *s, struct bytes id, const struct reading *o)
{
    struct stream_id after;
    bool is_new = id.len == 1 && id.data[0] == '>';
    if (!is_new && !stream_id_parse(id, 0, &after)) return 0;
    if (o->group.data == NULL) return is_new ? 0 : behind(s, after, o->max);
    const struct group *g = groups_find(s->groups, o->group);
    if (g == NULL) return 0;
    return is_new ? behind(s, g->last_id, o->max) : own_pending(s, g, o->consumer, after, o->max);
}

static int64_t fetch_read(struct call *c)
{
    struct reading o = {.max = count_of(c, 1)};
    size_t i = 1;
    int64_t result = 0;
    for (; i < c->argc && !bytes_is_word(c->argv[i], "streams"); i++) {
        if (i + 2 >= c->argc || !bytes_is_word(c->argv[i], "group")) continue;
        o.group = c->argv[i + 1];
        o.consumer = c->argv[i + 2];
        i += 2;
    }
    size_t rest = i < c->argc ? c->argc - i - 1 : 0;
    for (size_t at = i + 1; rest % 2 == 0 && at < i + 1 + rest / 2; at++) {
        struct stream *s = find(c, c->argv[at]);
        if (s != NULL) result = worse(result, read_one(s, c->argv[at + rest / 2], &o));
    }
    return result;
}

/* ---- By id ---- */

static int64_t ids(struct call *c, size_t from)
{
    struct stream *s = find(c, c->argv[1]);
    struct stream_id id;
    int64_t result = 0;
    for (size_t i = from; s != NULL && i < c->argc && stream_id_parse(c->argv[i], 0, &id); i++)
        result = worse(result, stream_exists(s, id));
    return result;
}

static int64_t fetch_xdel(struct call *c)
{
    return ids(c, 2);
}

static int64_t fetch_xclaim(struct call *c)
{
    return ids(c, 5);
}

static int64_t fetch_xautoclaim(struct call *c)
{
    enum { COUNT_DEFAULT = 100 };
    struct stream *s = find(c, c->argv[1]);
    const struct group *g = s != NULL ? groups_find(s->groups, c->argv[2]) : NULL;
    uint64_t max = count_of(c, 6);
    struct stream_id from;
    struct pending_iter it;
    struct pending_entry e;
    int64_t result = 0;
    if (g == NULL || !parse_end(c->argv[5], 0, &from)) return 0;
    if (max == UINT64_MAX) max = COUNT_DEFAULT;
    pending_iter_init(&it, &g->pending, from, PENDING_ANY, INT64_MAX);
    for (uint64_t n = 0; n < max && pending_iter_next(&it, &e); n++)
        result = worse(result, stream_exists(s, e.id));
    return result;
}

/* ---- Cutting ---- */

static int64_t fetch_xtrim(struct call *c)
{
    struct stream *s = find(c, c->argv[1]);
    struct stream_trim t = {.by_id = bytes_is_word(c->argv[2], "minid")};
    struct stream_id keep_from;
    uint64_t gone;
    int64_t length = 0;
    size_t i = c->argv[3].len == 1 && c->argv[3].data[0] == '=' ? 4 : 3;
    if (s == NULL || i >= c->argc) return 0;
    bool good = t.by_id ? stream_id_parse(c->argv[i], 0, &t.min_id)
                        : num_parse_i64(c->argv[i], &length) && length >= 0;
    t.length = (uint64_t)length;
    return good ? stream_trim_plan(s, &t, &keep_from, &gone) : 0;
}

/* ---- All of them ---- */

static const struct {
    const char *name;
    int64_t (*fetch)(struct call *c); /* -EAGAIN: it has asked for what is missing */
} fetched[] = {
    {"xrange", fetch_xrange},         {"xrevrange", fetch_xrevrange}, {"xread", fetch_read},
    {"xreadgroup", fetch_read},       {"xdel", fetch_xdel},           {"xclaim", fetch_xclaim},
    {"xautoclaim", fetch_xautoclaim}, {"xtrim", fetch_xtrim},
};

static int64_t fetch_one(struct call *c, const struct queued_command *q)
{
    struct call inner = *c;
    inner.argc = q->argc;
    inner.argv = q->argv;
    for (size_t i = 0; i < sizeof fetched / sizeof *fetched; i++)
        if (strcmp(q->cmd->name, fetched[i].name) == 0) return fetched[i].fetch(&inner);
    return 0;
}

bool exec_fetch(struct call *c)
{
    const struct session *s = c->session;
    int64_t result = 0;
    for (size_t i = 0; i < s->queue_count; i++) {
        if (strcmp(s->queue[i].cmd->name, "select") == 0) break; /* the rest is of elsewhere */
        if (s->queue[i].cmd->acl & ACL_STREAM) result = worse(result, fetch_one(c, &s->queue[i]));
    }
    if (result == -EAGAIN) call_await_load(c);
    return result != -EAGAIN;
}
