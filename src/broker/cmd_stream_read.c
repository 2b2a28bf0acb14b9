/* Streams: reading ranges and what is new, at once or waiting for it. Replies are runs of bytes
 * copied from the stream, which holds its entries as the wire wants them. */
#include <errno.h>

#include "broker/stream_args.h"

static void xlen(struct call *c)
{
    struct key *k;
    if (!call_read_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    resp_int(c->reply, k == NULL ? 0 : (int64_t)stream_of(k)->length);
}

/* ---- XRANGE, XREVRANGE ---- */

/* -1: no limit. */
static bool parse_range_count(struct call *c, int64_t *ret)
{
    *ret = -1;
    for (size_t i = 4; i < c->argc; i += 2) {
        if (i + 1 == c->argc || !bytes_is_word(c->argv[i], "count")) {
            call_error_syntax(c);
            return false;
        }
        if (!call_int(c, c->argv[i + 1], ret)) return false;
        if (*ret < 0) *ret = 0;
    }
    return true;
}

static void range(struct call *c, bool reverse)
{
    struct stream_id from, to;
    struct key *k;
    int64_t count;
    if (!stream_arg_range(c, c->argv[reverse ? 3 : 2], c->argv[reverse ? 2 : 3], &from, &to) ||
        !parse_range_count(c, &count) || !call_read_typed(c, c->argv[1], KEY_STREAM, &k))
        return;
    if (k == NULL) {
        resp_array(c->reply, 0);
        return;
    }
    if (count == 0) {
        resp_null_array(c->reply);
        return;
    }
    uint64_t max = count < 0 ? UINT64_MAX : (uint64_t)count;
    int64_t n = stream_prepare_reply(stream_of(k), from, to, reverse, max);
    if (stream_is_there(c, n))
        stream_reply_entries(c, stream_of(k), from, to, reverse, (uint64_t)n);
}

static void xrange(struct call *c)
{
    range(c, false);
}

static void xrevrange(struct call *c)
{
    range(c, true);
}

/* ---- XREAD ---- */

struct wanted { /* what is asked of one stream */
    struct stream *stream;
    struct stream_id after, from;
    bool last; /* "+": only the last entry */
    int64_t n; /* entries to reply */
};

struct read {
    uint64_t count;
    int64_t block_ms; /* -1: does not wait */
    size_t first_key, streams;
    struct wanted *wanted;
};

/* The number of arguments the option takes with its name; 0 with the error replied. */
static size_t parse_read_option(struct call *c, size_t i, struct read *r)
{
    struct bytes arg = c->argv[i];
    bool more = i + 1 < c->argc;
    if (more && bytes_is_word(arg, "block"))
        return stream_arg_block(c, c->argv[i + 1], &r->block_ms) ? 2 : 0;
    if (more && bytes_is_word(arg, "count")) {
        int64_t count;
        if (!call_int(c, c->argv[i + 1], &count)) return 0;
        r->count = count > 0 ? (uint64_t)count : UINT64_MAX;
        return 2;
    }
    const char *of_groups = bytes_is_word(arg, "group") && i + 2 < c->argc ? "GROUP"
                            : bytes_is_word(arg, "noack")                  ? "NOACK"
                                                                           : NULL;
    if (of_groups != NULL)
        resp_error(c->reply,
                   "ERR The %s option is only supported by XREADGROUP. You called XREAD "
                   "instead.",
                   of_groups);
    else call_error_syntax(c);
    return 0;
}

static bool parse_read_options(struct call *c, struct read *r)
{
    size_t i = 1, taken;
    *r = (struct read){.count = UINT64_MAX, .block_ms = -1};
    while (i < c->argc && !(i + 1 < c->argc && bytes_is_word(c->argv[i], "streams"))) {
        if ((taken = parse_read_option(c, i, r)) == 0) return false;
        i += taken;
    }
    size_t rest = i < c->argc ? c->argc - i - 1 : 0;
    if (rest == 0) {
        call_error_syntax(c);
        return false;
    }
    if (rest % 2 != 0) {
        resp_error(c->reply, "ERR Unbalanced 'xread' list of streams: for each stream key an ID or "
                             "'$' must be specified.");
        return false;
    }
    r->first_key = i + 1;
    r->streams = rest / 2;
    return true;
}

static bool is_sign(struct bytes arg, char sign)
{
    return arg.len == 1 && arg.data[0] == sign;
}

/* "+" is the last entry there is, or what comes when there is none. 0, or negative: it is to be
 * looked for again. */
static int want_last(struct wanted *w)
{
    int there = w->stream == NULL ? 0 : stream_last(w->stream, &w->from);
    w->last = there != 0;
    w->after = w->stream == NULL ? STREAM_ID_MIN : w->stream->last_id;
    return there < 0 ? there : 0;
}

/* *missing becomes negative when the last entry of a stream has to be read from disk. */
static bool parse_wanted(struct call *c, const struct read *r, size_t i, struct wanted *w,
                         int64_t *missing)
{
    struct bytes arg = c->argv[r->first_key + r->streams + i];
    struct key *k;
    *w = (struct wanted){0};
    if (!call_read_typed(c, c->argv[r->first_key + i], KEY_STREAM, &k)) return false;
    w->stream = k == NULL ? NULL : stream_of(k);
    if (is_sign(arg, '$')) {
        if (k != NULL) w->after = w->stream->last_id;
        return true;
    }
    if (is_sign(arg, '+')) {
        int result = want_last(w);
        if (result < 0) *missing = result;
        return true;
    }
    if (!is_sign(arg, '>')) return stream_arg_id(c, arg, 0, &w->after);
    resp_error(c->reply, "ERR The > ID can be specified only when calling XREADGROUP using the "
                         "GROUP <group> <consumer> option.");
    return false;
}

/* How many entries each stream has to give. What is missing of any is asked for at once. */
static int64_t find_entries(const struct read *r)
{
    int64_t found = 0, result = 0;
    for (size_t i = 0; i < r->streams; i++) {
        struct wanted *w = &r->wanted[i];
        if (!w->last) w->from = w->after;
        if (w->stream == NULL || (!w->last && !stream_id_next(&w->from))) continue;
        if (!w->last && stream_id_cmp(w->stream->last_id, w->after) <= 0) continue;
        w->n =
            stream_prepare_reply(w->stream, w->from, STREAM_ID_MAX, false, w->last ? 1 : r->count);
        if (w->n < 0 && (result == 0 || result == -EAGAIN)) result = w->n;
        found += w->n > 0;
    }
    return result < 0 ? result : found;
}

static void reply_found(struct call *c, const struct read *r, size_t found)
{
    if (c->reply->proto > 2) resp_map(c->reply, found);
    else resp_array(c->reply, found);
    for (size_t i = 0; i < r->streams; i++) {
        const struct wanted *w = &r->wanted[i];
        if (w->n == 0) continue;
        if (c->reply->proto == 2) resp_array(c->reply, 2);
        resp_bulk(c->reply, c->argv[r->first_key + i]);
        if (!stream_reply_entries(c, w->stream, w->from, STREAM_ID_MAX, false, (uint64_t)w->n))
            return;
    }
}

static bool is_relative(struct bytes arg)
{
    return is_sign(arg, '$') || is_sign(arg, '+');
}

/* The arguments as the command is to be run again: "$" means what it means now. */
static const struct bytes *with_fixed_ids(struct call *c, const struct read *r)
{
    struct bytes *argv = NULL;
    size_t first_id = r->first_key + r->streams;
    for (size_t i = first_id; i < c->argc; i++) {
        if (!is_relative(c->argv[i]) || r->wanted[i - first_id].last) continue;
        if (argv == NULL) {
            argv = arena_alloc(c->arena, c->argc * sizeof *argv);
            memcpy(argv, c->argv, c->argc * sizeof *argv);
        }
        char *text = arena_alloc(c->arena, STREAM_ID_TEXT_MAX);
        argv[i] = (struct bytes){text, stream_id_format(text, r->wanted[i - first_id].after)};
    }
    return argv == NULL ? c->argv : argv;
}

static void wait_for_entries(struct call *c, const struct read *r)
{
    const struct bytes *as_sent = c->argv;
    c->argv = with_fixed_ids(c, r);
    call_block(c, c->argv + r->first_key, r->streams, KEY_STREAM, r->block_ms, call_reply_nothing);
    c->argv = as_sent;
}

static void xread(struct call *c)
{
    struct read r;
    int64_t found = 0;
    if (!parse_read_options(c, &r)) return;
    r.wanted = arena_alloc(c->arena, r.streams * sizeof *r.wanted);
    for (size_t i = 0; i < r.streams; i++)
        if (!parse_wanted(c, &r, i, &r.wanted[i], &found)) return;
    if (found == 0) found = find_entries(&r);
    if (found < 0) c->argv = with_fixed_ids(c, &r); /* it may run again */
    if (!stream_is_there(c, found)) return;
    if (found > 0) reply_found(c, &r, (size_t)found);
    else if (r.block_ms >= 0 && !c->in_exec) wait_for_entries(c, &r);
    else call_reply_nothing(c);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

/* clang-format off */
const struct command cmd_stream_read[] = {
    {.name = "xlen", .arity = 2, .flags = CMD_READONLY | CMD_FAST, ONE_KEY, STREAM,
     .since = "5.0.0", .syntax = "XLEN key", .summary = "Counts the entries of a stream.",
     .handler = xlen, .complexity = "O(1)"},
    {.name = "xrange", .arity = -4, .flags = CMD_READONLY, ONE_KEY, STREAM, .since = "5.0.0",
     .syntax = "XRANGE key start end [COUNT count]",
     .summary = "Answers the entries from an id to another.", .handler = xrange,
     .complexity = "O(log B + N) in blocks, and bytes answered"},
    {.name = "xread", .arity = -4, .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .first_key = 1, .key_positions = KEYS_STREAMS, STREAM, .since = "5.0.0",
     .syntax = "XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
     .summary = "Answers what is newer than an id in each of some streams; waits for it.",
     .handler = xread, .complexity = "O(log B + N) in blocks, and bytes answered, for each stream"},
    {.name = "xrevrange", .arity = -4, .flags = CMD_READONLY, ONE_KEY, STREAM, .since = "5.0.0",
     .syntax = "XREVRANGE key end start [COUNT count]",
     .summary = "Answers the entries from an id back to another.", .handler = xrevrange,
     .complexity = "O(log B + N) in blocks, and entries answered"},
    {.name = NULL},
};
/* clang-format on */
