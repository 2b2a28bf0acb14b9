/* Taking members from the ends of sorted sets: at once, or waiting until there are some.
 *
 * A command that waits is run again from its start when one of its keys has something
 * (call_block); so each is written as "take, else block". */
#include "broker/change_zset.h"
#include "broker/pop.h"
#include "broker/zset_reply.h"

static struct zset_span span_at_end(const struct key *k, bool max, size_t count)
{
    return (struct zset_span){max ? zset_count(k->value.zset) - count : 0, count};
}

/* Asked before the first byte of the reply. */
static bool may_pop(struct call *c, const struct key *k, bool max, size_t count)
{
    return change_zset_admit_span(c, k->value.zset, span_at_end(k, max, count));
}

/* Takes entries from one end, replies them (without a header), then sends the events. */
static void pop(struct call *c, struct key *k, struct bytes name, bool max, size_t count,
                bool in_pairs)
{
    const struct zset *z = k->value.zset;
    struct zset_span span = span_at_end(k, max, count);
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
    if (n > 0 && !may_pop(c, k, max, n)) return;
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

static enum pop_found pop_many(struct call *c, const struct pop_many *o)
{
    struct bytes name;
    struct key *k;
    enum pop_found found = pop_find(c, o->keys, o->key_count, KEY_ZSET, &k, &name);
    if (found != POP_FOUND) return found;
    size_t n = available(k, o->count);
    if (!may_pop(c, k, o->last, n)) return POP_FAILED;
    resp_array(c->reply, 2);
    resp_bulk(c->reply, name);
    resp_array(c->reply, n);
    pop(c, k, name, o->last, n, true);
    return POP_FOUND;
}

static void zmpop(struct call *c)
{
    struct pop_many o;
    if (pop_many_parse(c, 1, "min", "max", &o) && pop_many(c, &o) == POP_NONE)
        resp_null_array(c->reply);
}

/* ---- Waiting ---- */

static void wait_and_pop(struct call *c, bool max)
{
    struct bytes name;
    struct key *k;
    if (pop_find_or_wait(c, KEY_ZSET, &k, &name) != POP_FOUND || !may_pop(c, k, max, 1)) return;
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
    struct pop_many o;
    int64_t timeout_ms;
    if (!pop_many_parse(c, 2, "min", "max", &o) || !pop_timeout(c, c->argv[1], &timeout_ms)) return;
    if (pop_many(c, &o) == POP_NONE) pop_wait(c, o.keys, o.key_count, KEY_ZSET, timeout_ms);
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
