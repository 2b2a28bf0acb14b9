/* Sets: members, random picks, SSCAN. The algebra of several sets is in set_algebra.c. */
#include "base/mem.h"
#include "broker/admit.h"
#include "broker/change_set.h"
#include "broker/internal.h"
#include "broker/scan.h"
#include "broker/set_algebra.h"

static void sadd(struct call *c)
{
    struct key *k;
    int64_t n = 0;
    if (!call_write_typed(c, c->argv[1], KEY_SET, &k)) return;
    if (k == NULL) k = change_set_new(c, c->argv[1], c->argv[2]);
    for (size_t i = 2; i < c->argc; i++) n += change_set_add(c, k, c->argv[i]);
    if (n > 0) call_event(c, NOTIFY_SET, "sadd", c->argv[1]);
    resp_int(c->reply, n);
}

static void srem(struct call *c)
{
    struct key *k;
    int64_t n = 0;
    if (!call_write_typed(c, c->argv[1], KEY_SET, &k)) return;
    for (size_t i = 2; k != NULL && i < c->argc; i++) n += change_set_remove(c, k, c->argv[i]);
    if (n > 0) {
        call_event(c, NOTIFY_SET, "srem", c->argv[1]);
        change_set_drop_if_empty(c, k, c->argv[1]);
    }
    resp_int(c->reply, n);
}

static void smove(struct call *c)
{
    struct key *from, *to;
    struct bytes member = c->argv[3];
    if (!call_write_typed(c, c->argv[1], KEY_SET, &from)) return;
    if (from == NULL) {
        resp_int(c->reply, 0);
        return;
    }
    if (!call_write_typed(c, c->argv[2], KEY_SET, &to)) return;
    if (from == to) {
        resp_int(c->reply, set_contains(from, member));
        return;
    }
    if (!call_admit(c, member.len)) return; /* it is recorded twice */
    if (!change_set_remove(c, from, member)) {
        resp_int(c->reply, 0);
        return;
    }
    call_event(c, NOTIFY_SET, "srem", c->argv[1]);
    change_set_drop_if_empty(c, from, c->argv[1]);
    if (to == NULL) to = change_set_new(c, c->argv[2], member);
    if (change_set_add(c, to, member)) call_event(c, NOTIFY_SET, "sadd", c->argv[2]);
    resp_int(c->reply, 1);
}

/* ---- Reading ---- */

static void scard(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_SET, &k))
        resp_int(c->reply, k == NULL ? 0 : (int64_t)set_count(k));
}

static void sismember(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_SET, &k))
        resp_int(c->reply, k != NULL && set_contains(k, c->argv[2]));
}

static void smismember(struct call *c)
{
    struct key *k;
    if (!call_read_typed(c, c->argv[1], KEY_SET, &k)) return;
    resp_array(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++)
        resp_int(c->reply, k != NULL && set_contains(k, c->argv[i]));
}

static void smembers(struct call *c)
{
    struct key *k;
    struct set_iter it;
    struct bytes member;
    if (!call_read_typed(c, c->argv[1], KEY_SET, &k)) return;
    resp_set(c->reply, k == NULL ? 0 : set_count(k));
    if (k == NULL) return;
    set_iter_init(&it, k);
    while (set_iter_next(&it, &member)) resp_bulk(c->reply, member);
    set_iter_fini(&it);
}

/* ---- Random picks ---- */

static void srandmember_one(struct call *c, const struct key *k)
{
    char scratch[SET_SCRATCH];
    if (k == NULL) resp_null(c->reply);
    else resp_bulk(c->reply, set_random(k, &c->broker->rng, scratch));
}

/* Selection sampling: all subsets of n members are alike. Calls fn for each chosen one. */
static void choose(struct call *c, const struct key *k, size_t n,
                   void (*fn)(struct call *c, struct bytes member, void *arg), void *arg)
{
    struct set_iter it;
    struct bytes member;
    size_t left = set_count(k);
    set_iter_init(&it, k);
    while (n > 0 && set_iter_next(&it, &member)) {
        if (rng_below(&c->broker->rng, left--) >= n) continue;
        fn(c, member, arg);
        n--;
    }
    set_iter_fini(&it);
}

static void reply_member(struct call *c, struct bytes member, void *arg)
{
    resp_bulk(c->reply, member);
}

static void srandmember(struct call *c)
{
    struct key *k;
    int64_t n = 0;
    char scratch[SET_SCRATCH];
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 3 && !call_count(c, c->argv[2], &n)) return;
    if (!call_read_typed(c, c->argv[1], KEY_SET, &k)) return;
    if (c->argc == 2) {
        srandmember_one(c, k);
    } else if (k == NULL || n == 0) {
        resp_array(c->reply, 0);
    } else if (n < 0) {
        resp_array(c->reply, (size_t)-n);
        for (; n < 0 && !call_reply_is_full(c); n++)
            resp_bulk(c->reply, set_random(k, &c->broker->rng, scratch));
    } else {
        size_t count = (uint64_t)n < set_count(k) ? (size_t)n : set_count(k);
        resp_array(c->reply, count);
        choose(c, k, count, reply_member, NULL);
    }
}

struct popped {
    struct bytes *members;
    size_t count, bytes;
};

static void keep_member(struct call *c, struct bytes member, void *arg)
{
    struct popped *p = arg;
    p->members[p->count++] = arena_dup(c->arena, member);
    p->bytes += member.len + ADMIT_ITEM;
}

/* Emptying the whole set is a deletion, however large it is. */
static void pop_all(struct call *c, struct key *k)
{
    resp_set(c->reply, set_count(k));
    choose(c, k, set_count(k), reply_member, NULL);
    call_event(c, NOTIFY_SET, "spop", c->argv[1]);
    change_delete(c, c->db, k);
    call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
}

static void pop_some(struct call *c, struct key *k, size_t n)
{
    struct popped p = {.members = arena_alloc(c->arena, n * sizeof(struct bytes))};
    choose(c, k, n, keep_member, &p);
    if (!call_admit(c, p.bytes)) return;
    resp_set(c->reply, p.count);
    for (size_t i = 0; i < p.count; i++) {
        resp_bulk(c->reply, p.members[i]);
        change_set_remove(c, k, p.members[i]);
    }
    call_event(c, NOTIFY_SET, "spop", c->argv[1]);
}

static void pop_one(struct call *c, struct key *k)
{
    char scratch[SET_SCRATCH];
    struct bytes member = arena_dup(c->arena, set_random(k, &c->broker->rng, scratch));
    if (!call_admit(c, member.len)) return;
    resp_bulk(c->reply, member);
    change_set_remove(c, k, member);
    call_event(c, NOTIFY_SET, "spop", c->argv[1]);
    change_set_drop_if_empty(c, k, c->argv[1]);
}

static void spop(struct call *c)
{
    struct key *k;
    int64_t n = 0;
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 3 && !call_int_range(c, c->argv[2], 0, INT64_MAX,
                                        "ERR value is out of range, must be positive", &n))
        return;
    if (!call_write_typed(c, c->argv[1], KEY_SET, &k)) return;
    if (c->argc == 2 && k == NULL) resp_null(c->reply);
    else if (c->argc == 2) pop_one(c, k);
    else if (k == NULL || n == 0) resp_set(c->reply, 0);
    else if ((uint64_t)n >= set_count(k)) pop_all(c, k);
    else pop_some(c, k, (size_t)n);
}

/* ---- SSCAN ---- */

static void sscan(struct call *c)
{
    struct key *k;
    struct scan s;
    size_t n = 0;
    if (!scan_parse_key(c, KEY_SET, &s, &k)) return;
    bool is_table = k->encoding == ENC_HASHTABLE;
    if (is_table) scan_table(&s, &k->value.set->table);
    else s.cursor = 0; /* a compact set comes whole */
    scan_reply_head(c, &s);
    size_t place = resp_defer(c->reply);
    for (size_t i = 0; i < s.item_count; i++) {
        const struct set_member *m = s.items[i];
        struct bytes member = {m->data, m->len};
        if (!scan_matches(&s, member)) continue;
        resp_bulk(c->reply, member);
        n++;
    }
    if (!is_table) {
        struct set_iter it;
        struct bytes member;
        set_iter_init(&it, k);
        while (set_iter_next(&it, &member)) {
            if (!scan_matches(&s, member)) continue;
            resp_bulk(c->reply, member);
            n++;
        }
        set_iter_fini(&it);
    }
    resp_defer_array(c->reply, place, n);
    scan_fini(&s);
}

#define SET  .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_SET, .group = "set"
#define ALL  .first_key = 1, .last_key = -1, .key_step = 1, .acl = ACL_SET, .group = "set"
#define READ CMD_READONLY | CMD_FAST
#define GROW CMD_WRITE | CMD_DENYOOM

/* clang-format off */
const struct command cmd_set[] = {
    {.name = "sadd", .arity = -3, .flags = GROW | CMD_FAST, SET, .since = "1.0.0",
     .syntax = "SADD key member [member ...]", .summary = "Adds members; answers how many are new.",
     .handler = sadd, .complexity = "O(N) in members given"},
    {.name = "scard", .arity = 2, .flags = READ, SET, .since = "1.0.0", .syntax = "SCARD key",
     .summary = "Counts the members.", .handler = scard, .complexity = "O(1)"},
    {.name = "sdiff", .arity = -2, .flags = CMD_READONLY, ALL, .since = "1.0.0",
     .syntax = "SDIFF key [key ...]", .summary = "The first set without the others.",
     .handler = cmd_sdiff, .complexity = "O(N) in members of all sets"},
    {.name = "sdiffstore", .arity = -3, .flags = GROW, ALL, .since = "1.0.0",
     .syntax = "SDIFFSTORE destination key [key ...]", .summary = "SDIFF, kept under a key.",
     .handler = cmd_sdiffstore, .complexity = "O(N) in members of all sets"},
    {.name = "sinter", .arity = -2, .flags = CMD_READONLY, ALL, .since = "1.0.0",
     .syntax = "SINTER key [key ...]", .summary = "The members that all sets have.",
     .handler = cmd_sinter, .complexity = "O(N*M): smallest set times number of sets"},
    {.name = "sintercard", .arity = -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .first_key = 1,
     .key_positions = KEYS_NUMBERED, .acl = ACL_SET, .group = "set", .since = "7.0.0",
     .syntax = "SINTERCARD numkeys key [key ...] [LIMIT limit]",
     .summary = "Counts the members that all sets have.", .handler = cmd_sintercard,
     .complexity = "O(N*M): smallest set times number of sets"},
    {.name = "sinterstore", .arity = -3, .flags = GROW, ALL, .since = "1.0.0",
     .syntax = "SINTERSTORE destination key [key ...]", .summary = "SINTER, kept under a key.",
     .handler = cmd_sinterstore, .complexity = "O(N*M): smallest set times number of sets"},
    {.name = "sismember", .arity = 3, .flags = READ, SET, .since = "1.0.0",
     .syntax = "SISMEMBER key member", .summary = "Tells whether a member is there.",
     .handler = sismember, .complexity = "O(1)"},
    {.name = "smembers", .arity = 2, .flags = CMD_READONLY, SET, .since = "1.0.0",
     .syntax = "SMEMBERS key", .summary = "Answers all members.", .handler = smembers,
     .complexity = "O(N) in members"},
    {.name = "smismember", .arity = -3, .flags = READ, SET, .since = "6.2.0",
     .syntax = "SMISMEMBER key member [member ...]", .summary = "SISMEMBER for several members.",
     .handler = smismember, .complexity = "O(N) in members given"},
    {.name = "smove", .arity = 4, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .last_key = 2,
     .key_step = 1, .acl = ACL_SET, .group = "set", .since = "1.0.0",
     .syntax = "SMOVE source destination member", .summary = "Moves a member to another set.",
     .handler = smove, .complexity = "O(1)"},
    {.name = "spop", .arity = -2, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, SET,
     .since = "1.0.0", .syntax = "SPOP key [count]", .summary = "Takes members out at random.",
     .handler = spop, .complexity = "O(N) in members"},
    {.name = "srandmember", .arity = -2, .flags = CMD_READONLY, SET, .since = "1.0.0",
     .syntax = "SRANDMEMBER key [count]", .summary = "Answers members at random.",
     .handler = srandmember, .complexity = "O(N) in members"},
    {.name = "srem", .arity = -3, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, SET,
     .since = "1.0.0", .syntax = "SREM key member [member ...]", .summary = "Removes members.",
     .handler = srem, .complexity = "O(N) in members given"},
    {.name = "sscan", .arity = -3, .flags = CMD_READONLY, SET, .since = "2.8.0",
     .syntax = "SSCAN key cursor [MATCH pattern] [COUNT count]",
     .summary = "Walks the members in many small steps.", .handler = sscan,
     .complexity = "O(1) for every call"},
    {.name = "sunion", .arity = -2, .flags = CMD_READONLY, ALL, .since = "1.0.0",
     .syntax = "SUNION key [key ...]", .summary = "The members that any of the sets has.",
     .handler = cmd_sunion, .complexity = "O(N) in members of all sets"},
    {.name = "sunionstore", .arity = -3, .flags = GROW, ALL, .since = "1.0.0",
     .syntax = "SUNIONSTORE destination key [key ...]", .summary = "SUNION, kept under a key.",
     .handler = cmd_sunionstore, .complexity = "O(N) in members of all sets"},
    {.name = NULL},
};
/* clang-format on */
