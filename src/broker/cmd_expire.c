/* Expiry: EXPIRE and its kin, TTL and its kin, PERSIST. */
#include "base/num.h"
#include "broker/expiry_time.h"
#include "broker/internal.h"

static bool out_of_range(struct call *c, const char *command)
{
    resp_error(c->reply, "ERR invalid expire time in '%s' command", command);
    return false;
}

bool expiry_time(struct call *c, struct bytes text, enum time_unit unit, bool absolute,
                 bool positive, const char *command, int64_t *ret_at_ms)
{
    int64_t n;
    if (!call_int(c, text, &n)) return false;
    if (positive && n <= 0) return out_of_range(c, command);
    if (unit == UNIT_SECONDS && __builtin_mul_overflow(n, 1000, &n))
        return out_of_range(c, command);
    if (!absolute && __builtin_add_overflow(n, c->now_ms, &n)) return out_of_range(c, command);
    /* KEY_NEVER means no expiry; nobody lives to see the difference of a millisecond. */
    *ret_at_ms = n == KEY_NEVER ? KEY_NEVER - 1 : n;
    return true;
}

enum { NX = 1, XX = 2, GT = 4, LT = 8 };

static bool parse_conditions(struct call *c, unsigned *ret)
{
    unsigned flags = 0;
    for (size_t i = 3; i < c->argc; i++) {
        if (bytes_is_word(c->argv[i], "nx")) {
            flags |= NX;
        } else if (bytes_is_word(c->argv[i], "xx")) {
            flags |= XX;
        } else if (bytes_is_word(c->argv[i], "gt")) {
            flags |= GT;
        } else if (bytes_is_word(c->argv[i], "lt")) {
            flags |= LT;
        } else {
            resp_error(c->reply, "ERR Unsupported option %.*s", (int)c->argv[i].len,
                       c->argv[i].data);
            return false;
        }
    }
    *ret = flags;
    if ((flags & NX) && (flags & (XX | GT | LT))) {
        resp_error(c->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((flags & GT) && (flags & LT)) {
        resp_error(c->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* A key without expiry counts as one that expires never. */
static bool condition_holds(unsigned flags, int64_t now_at_ms, int64_t new_at_ms)
{
    if ((flags & NX) && now_at_ms != KEY_NEVER) return false;
    if ((flags & XX) && now_at_ms == KEY_NEVER) return false;
    if ((flags & GT) && new_at_ms <= now_at_ms) return false;
    if ((flags & LT) && new_at_ms >= now_at_ms) return false;
    return true;
}

static void expire_generic(struct call *c, enum time_unit unit, bool absolute)
{
    unsigned flags;
    int64_t at_ms;
    if (!parse_conditions(c, &flags)) return;
    if (!expiry_time(c, c->argv[2], unit, absolute, false, c->cmd->name, &at_ms)) return;
    struct key *k = call_write(c, c->argv[1]);
    if (k == NULL || !condition_holds(flags, k->expire_at_ms, at_ms)) {
        resp_int(c->reply, 0);
        return;
    }
    if (at_ms <= c->now_ms) {
        change_delete(c, c->db, k);
        call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
    } else {
        change_expire_at(c, c->db, k, at_ms);
        call_event(c, NOTIFY_GENERIC, "expire", c->argv[1]);
    }
    resp_int(c->reply, 1);
}

static void expire(struct call *c)
{
    expire_generic(c, UNIT_SECONDS, false);
}

static void expireat(struct call *c)
{
    expire_generic(c, UNIT_SECONDS, true);
}

static void pexpire(struct call *c)
{
    expire_generic(c, UNIT_MS, false);
}

static void pexpireat(struct call *c)
{
    expire_generic(c, UNIT_MS, true);
}

static void ttl_generic(struct call *c, enum time_unit unit, bool absolute)
{
    struct key *k = call_look(c, c->argv[1]);
    if (k == NULL || k->expire_at_ms == KEY_NEVER) {
        resp_int(c->reply, k == NULL ? -2 : -1);
        return;
    }
    int64_t ms = absolute ? k->expire_at_ms : k->expire_at_ms - c->now_ms;
    if (ms < 0) ms = 0;
    resp_int(c->reply, unit == UNIT_MS ? ms : ms / 1000 + (ms % 1000 >= 500));
}

static void ttl(struct call *c)
{
    ttl_generic(c, UNIT_SECONDS, false);
}

static void pttl(struct call *c)
{
    ttl_generic(c, UNIT_MS, false);
}

static void expiretime(struct call *c)
{
    ttl_generic(c, UNIT_SECONDS, true);
}

static void pexpiretime(struct call *c)
{
    ttl_generic(c, UNIT_MS, true);
}

static void persist(struct call *c)
{
    struct key *k = call_write(c, c->argv[1]);
    bool had = k != NULL && k->expire_at_ms != KEY_NEVER;
    if (had) {
        change_expire_at(c, c->db, k, KEY_NEVER);
        call_event(c, NOTIFY_GENERIC, "persist", c->argv[1]);
    }
    resp_int(c->reply, had);
}

#define ONE_KEY                                                                                    \
    .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_KEYSPACE, .group = "generic",         \
    .complexity = "O(1)"
#define WRITE CMD_WRITE | CMD_FAST
#define READ  CMD_READONLY | CMD_FAST

/* clang-format off */
const struct command cmd_expire[] = {
    {.name = "expire", .arity = -3, .flags = WRITE, ONE_KEY, .since = "1.0.0",
     .syntax = "EXPIRE key seconds [NX | XX | GT | LT]",
     .summary = "Lets a key live for so many seconds.", .handler = expire},
    {.name = "expireat", .arity = -3, .flags = WRITE, ONE_KEY, .since = "1.2.0",
     .syntax = "EXPIREAT key unix-time-seconds [NX | XX | GT | LT]",
     .summary = "Lets a key live until a second.", .handler = expireat},
    {.name = "pexpire", .arity = -3, .flags = WRITE, ONE_KEY, .since = "2.6.0",
     .syntax = "PEXPIRE key milliseconds [NX | XX | GT | LT]",
     .summary = "Lets a key live for so many milliseconds.", .handler = pexpire},
    {.name = "pexpireat", .arity = -3, .flags = WRITE, ONE_KEY, .since = "2.6.0",
     .syntax = "PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]",
     .summary = "Lets a key live until a millisecond.", .handler = pexpireat},
    {.name = "ttl", .arity = 2, .flags = READ, ONE_KEY, .since = "1.0.0", .syntax = "TTL key",
     .summary = "Answers how many seconds a key has to live.", .handler = ttl},
    {.name = "pttl", .arity = 2, .flags = READ, ONE_KEY, .since = "2.6.0", .syntax = "PTTL key",
     .summary = "Answers how many milliseconds a key has to live.", .handler = pttl},
    {.name = "expiretime", .arity = 2, .flags = READ, ONE_KEY, .since = "7.0.0",
     .syntax = "EXPIRETIME key", .summary = "Answers the second at which a key expires.",
     .handler = expiretime},
    {.name = "pexpiretime", .arity = 2, .flags = READ, ONE_KEY, .since = "7.0.0",
     .syntax = "PEXPIRETIME key", .summary = "Answers the millisecond at which a key expires.",
     .handler = pexpiretime},
    {.name = "persist", .arity = 2, .flags = WRITE, ONE_KEY, .since = "2.2.0",
     .syntax = "PERSIST key", .summary = "Takes a key's expiry away.", .handler = persist},
    {.name = NULL},
};
/* clang-format on */
