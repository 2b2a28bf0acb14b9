/* Taking members from the ends of sorted sets: at once, or waiting until there are some.
 *
 * A command that waits is run again from its start when one of its keys has something
 * (call_block); so each is written as "take, else block". */
#include <math.h>

#include "base/num.h"
#include "broker/change_zset.h"
#include "broker/zset_reply.h"

/* Takes entries from one end, replies them (without a header), then sends the events. */
static void pop(struct call *c, struct key *k, struct bytes name, bool max, size_t count,
                bool in_pairs)
{
    const struct zset *z = k->value.zset;
    struct zset_span span = {max ? zset_count(z) - count : 0, count};
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, span, max);
    while (zset_iter_next(&it, &e)) {
        if (in_pairs) resp_array(c->reply, 2);
        resp_bulk(c->reply, e.member);
        resp_double(c->reply, e.score);
    }
    k = change_zset_take_span(c, k, name, span);
    call_event(c, NOTIFY_ZSET, max ? "zpopmax" : "zpopmin", name);
    if (k == NULL) call_event(c, NOTIFY_GENERIC, "del", name);
}

/* At most `count`, and no more than there are. */
static size_t available(const struct key *k, int64_t count)
{
    size_t there = zset_count(k->value.zset);
    return (uint64_t)count < there ? (size_t)count : there;
}

/* ---- ZPOPMIN, ZPOPMAX ---- */

static void pop_from(struct call *c, bool max)
{
    static const char error[] = "ERR value is out of range, must be positive";
    bool with_count = c->argc > 2;
    int64_t count = 1;
    struct key *k;
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (with_count && !call_int_range(c, c->argv[2], 0, INT64_MAX, error, &count)) return;
    if (!call_write_typed(c, c->argv[1], KEY_ZSET, &k)) return;
    size_t n = k == NULL ? 0 : available(k, count);
    bool in_pairs = with_count && c->reply->proto > 2;
    resp_array(c->reply, in_pairs ? n : 2 * n);
    if (n > 0) pop(c, k, c->argv[1], max, n, in_pairs);
}

static void zpopmin(struct call *c)
{
    pop_from(c, false);
}

static void zpopmax(struct call *c)
{
    pop_from(c, true);
}

/* ---- ZMPOP ---- */

struct mpop {
    const struct bytes *keys;
    size_t key_count;
    bool max;
    int64_t count;
};

static bool parse_count(struct call *c, struct bytes arg, const char *error, int64_t *ret)
{
    return call_int_range(c, arg, 1, INT64_MAX, error, ret);
}

/* COUNT may stand once; what is wrong first is the error. */
static bool parse_count_option(struct call *c, size_t i, int64_t *ret)
{
    bool given = false;
    for (; i < c->argc; i += 2) {
        if (given || i + 1 == c->argc || !bytes_is_word(c->argv[i], "count")) {
            call_error_syntax(c);
            return false;
        }
        given = true;
        if (!parse_count(c, c->argv[i + 1], "ERR count should be greater than 0", ret))
            return false;
    }
    return true;
}

/* The number of keys at argv[at], the keys, MIN or MAX, and COUNT. */
static bool parse_mpop(struct call *c, size_t at, struct mpop *o)
{
    int64_t n;
    *o = (struct mpop){.keys = c->argv + at + 1, .count = 1};
    if (!parse_count(c, c->argv[at], "ERR numkeys should be greater than 0", &n)) return false;
    size_t rest = c->argc - at - 1; /* the keys and what follows */
    bool fits = (uint64_t)n < rest;
    const struct bytes *where = fits ? &o->keys[n] : NULL;
    if (fits) o->max = bytes_is_word(*where, "max");
    if (!fits || (!o->max && !bytes_is_word(*where, "min"))) {
        call_error_syntax(c);
        return false;
    }
    o->key_count = (size_t)n;
    return parse_count_option(c, at + 2 + o->key_count, &o->count);
}

enum found { FOUND, NONE, FAILED };

/* The first of the keys that is there; FAILED when one before it is of another type. */
static enum found find_first(struct call *c, const struct bytes *names, size_t count,
                             struct key **ret_key, struct bytes *ret_name)
{
    for (size_t i = 0; i < count; i++) {
        if (!call_write_typed(c, names[i], KEY_ZSET, ret_key)) return FAILED;
        if (*ret_key == NULL) continue;
        *ret_name = names[i];
        return FOUND;
    }
    return NONE;
}

static enum found pop_many(struct call *c, const struct mpop *o)
{
    struct bytes name;
    struct key *k;
    enum found found = find_first(c, o->keys, o->key_count, &k, &name);
    if (found != FOUND) return found;
    size_t n = available(k, o->count);
    resp_array(c->reply, 2);
    resp_bulk(c->reply, name);
    resp_array(c->reply, n);
    pop(c, k, name, o->max, n, true);
    return FOUND;
}

static void zmpop(struct call *c)
{
    struct mpop o;
    if (parse_mpop(c, 1, &o) && pop_many(c, &o) == NONE) resp_null_array(c->reply);
}

/* ---- Waiting ---- */

static void reply_nothing(struct call *c)
{
    resp_null_array(c->reply);
}

static void wait_for(struct call *c, const struct bytes *names, size_t count, int64_t timeout_ms)
{
    if (c->in_exec) reply_nothing(c);
    else call_block(c, names, count, KEY_ZSET, timeout_ms, reply_nothing);
}

/* Seconds with a fraction, rounded up to milliseconds: nobody waits less than asked for. */
static bool parse_timeout(struct call *c, struct bytes arg, int64_t *ret_ms)
{
    long double seconds;
    const char *error = NULL;
    if (!num_parse_long_double(arg, &seconds)) error = "ERR timeout is not a float or out of range";
    else if (seconds < 0) error = "ERR timeout is negative";
    else if (seconds * 1000 > (long double)(INT64_MAX - c->now_ms))
        error = "ERR timeout is out of range";
    else *ret_ms = (int64_t)ceill(seconds * 1000);
    if (error != NULL) resp_error(c->reply, "%s", error);
    return error == NULL;
}

static void wait_and_pop(struct call *c, bool max)
{
    const struct bytes *names = c->argv + 1;
    size_t count = c->argc - 2;
    struct bytes name;
    struct key *k;
    int64_t timeout_ms;
    if (!parse_timeout(c, c->argv[c->argc - 1], &timeout_ms)) return;
    enum found found = find_first(c, names, count, &k, &name);
    if (found == NONE) wait_for(c, names, count, timeout_ms);
    if (found != FOUND) return;
    resp_array(c->reply, 3);
    resp_bulk(c->reply, name);
    pop(c, k, name, max, 1, false);
}

static void bzpopmin(struct call *c)
{
    wait_and_pop(c, false);
}

static void bzpopmax(struct call *c)
{
    wait_and_pop(c, true);
}

static void bzmpop(struct call *c)
{
    struct mpop o;
    int64_t timeout_ms;
    if (!parse_mpop(c, 2, &o) || !parse_timeout(c, c->argv[1], &timeout_ms)) return;
    if (pop_many(c, &o) == NONE) wait_for(c, o.keys, o.key_count, timeout_ms);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define ZSET    .acl = ACL_SORTEDSET, .group = "sorted-set"
#define POP     CMD_WRITE | CMD_SHRINKS
#define WAIT    CMD_WRITE | CMD_NOSCRIPT | CMD_BLOCKING | CMD_SHRINKS

const struct command cmd_blocking[] = {
    /* clang-format off */
    {.name = "bzmpop", .arity = -5, .flags = POP | CMD_BLOCKING | CMD_MOVABLE_KEYS, .first_key = 2,
     .key_positions = KEYS_NUMBERED, ZSET, .since = "7.0.0",
     .syntax = "BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
     .summary = "ZMPOP that waits until one of the sorted sets has members.", .handler = bzmpop,
     .complexity = "O(K + M log N) with K keys, M members popped"},
    {.name = "bzpopmax", .arity = -3, .flags = WAIT | CMD_FAST, .first_key = 1, .last_key = -2,
     .key_step = 1, ZSET, .since = "5.0.0", .syntax = "BZPOPMAX key [key ...] timeout",
     .summary = "Pops the highest score of the first sorted set that has members; waits for one.",
     .handler = bzpopmax, .complexity = "O(log N)"},
    {.name = "bzpopmin", .arity = -3, .flags = WAIT | CMD_FAST, .first_key = 1, .last_key = -2,
     .key_step = 1, ZSET, .since = "5.0.0", .syntax = "BZPOPMIN key [key ...] timeout",
     .summary = "Pops the lowest score of the first sorted set that has members; waits for one.",
     .handler = bzpopmin, .complexity = "O(log N)"},
    {.name = "zmpop", .arity = -4, .flags = POP | CMD_MOVABLE_KEYS, .first_key = 1,
     .key_positions = KEYS_NUMBERED, ZSET, .since = "7.0.0",
     .syntax = "ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]",
     .summary = "Pops from the first sorted set that has members.", .handler = zmpop,
     .complexity = "O(K + M log N) with K keys, M members popped"},
    {.name = "zpopmax", .arity = -2, .flags = POP | CMD_FAST, ONE_KEY, ZSET, .since = "5.0.0",
     .syntax = "ZPOPMAX key [count]", .summary = "Pops the members with the highest scores.",
     .handler = zpopmax, .complexity = "O(M log N) with M members popped"},
    {.name = "zpopmin", .arity = -2, .flags = POP | CMD_FAST, ONE_KEY, ZSET, .since = "5.0.0",
     .syntax = "ZPOPMIN key [count]", .summary = "Pops the members with the lowest scores.",
     .handler = zpopmin, .complexity = "O(M log N) with M members popped"},
    {.name = NULL},
    /* clang-format on */
};
