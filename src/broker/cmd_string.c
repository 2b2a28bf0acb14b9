/* Strings: all commands of Redis 7.2 but those on bits and LCS. */
#include <math.h>

#include "base/num.h"
#include "broker/expiry_time.h"
#include "broker/internal.h"
#include "keys/str.h"

static void reply_value(struct call *c, const struct key *k)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    if (k == NULL) resp_null(c->reply);
    else resp_bulk(c->reply, str_get(k, scratch));
}

static bool fits(struct call *c, size_t len)
{
    size_t max = (size_t)c->broker->settings.proto_max_bulk_len;
    if (len <= max) return true;
    resp_error(c->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

/* ---- SET and its older kin ---- */

struct set_options {
    bool nx, xx, get, keep_ttl;
    bool expires, persist;
    int64_t at_ms;
};

/* Reads one of EX PX EXAT PXAT and its argument; false with the error replied. */
static bool take_expiry(struct call *c, size_t *i, struct set_options *o)
{
    static const struct {
        const char *word;
        enum time_unit unit;
        bool absolute;
    } forms[] = {{"ex", UNIT_SECONDS, false},
                 {"px", UNIT_MS, false},
                 {"exat", UNIT_SECONDS, true},
                 {"pxat", UNIT_MS, true}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (!bytes_is_word(c->argv[*i], forms[f].word)) continue;
        bool other = o->expires && o->at_ms != (int64_t)f; /* the same once more is fine */
        if (*i + 1 >= c->argc || other || o->keep_ttl || o->persist) break;
        o->expires = true;
        (*i)++;
        o->at_ms = (int64_t)f; /* the form; resolved once the syntax is known to be right */
        return true;
    }
    call_error_syntax(c);
    return false;
}

static bool resolve_expiry(struct call *c, struct set_options *o, struct bytes text)
{
    if (!o->expires) return true;
    int64_t form = o->at_ms;
    return expiry_time(c, text, form & 1 ? UNIT_MS : UNIT_SECONDS, form >= 2, true, c->cmd->name,
                       &o->at_ms);
}

static bool parse_set(struct call *c, struct set_options *o)
{
    struct bytes time = {NULL, 0};
    for (size_t i = 3; i < c->argc; i++) {
        struct bytes word = c->argv[i];
        if (bytes_is_word(word, "nx") && !o->xx) {
            o->nx = true;
        } else if (bytes_is_word(word, "xx") && !o->nx) {
            o->xx = true;
        } else if (bytes_is_word(word, "get")) {
            o->get = true;
        } else if (bytes_is_word(word, "keepttl") && !o->expires) {
            o->keep_ttl = true;
        } else {
            if (!take_expiry(c, &i, o)) return false;
            time = c->argv[i];
        }
    }
    return resolve_expiry(c, o, time);
}

/* A time that is over already deletes instead: the command was as good as SET, then DEL. */
static void set_value(struct call *c, struct key *k, struct bytes name, struct bytes value,
                      const struct set_options *o)
{
    bool created = k == NULL;
    k = change_string_set(c, k, name, value, o->keep_ttl);
    if (created) call_event(c, NOTIFY_NEW, "new", name);
    if (o->expires) change_expire_at(c, c->db, k, o->at_ms);
    c->fx->ready = true;
    call_event(c, NOTIFY_STRING, "set", name);
    if (o->expires) call_event(c, NOTIFY_GENERIC, "expire", name);
}

/* The string that is about to be answered and changed; it counts as read. */
static bool read_to_write(struct call *c, struct bytes name, struct key **ret_key)
{
    bool ok = call_write_typed(c, name, KEY_STRING, ret_key);
    call_count_read(c, *ret_key, name);
    return ok;
}

static bool answer_before_write(struct call *c, struct bytes name, struct key **ret_key)
{
    if (!read_to_write(c, name, ret_key)) return false;
    reply_value(c, *ret_key);
    return true;
}

static void set_generic(struct call *c, struct bytes name, struct bytes value,
                        const struct set_options *o, void (*done)(struct resp_writer *w),
                        void (*not_done)(struct resp_writer *w))
{
    struct key *k;
    if (o->get) {
        if (!answer_before_write(c, name, &k)) return;
    } else {
        k = call_write(c, name);
    }
    if ((o->nx && k != NULL) || (o->xx && k == NULL)) {
        if (!o->get) not_done(c->reply);
        return;
    }
    set_value(c, k, name, value, o);
    if (!o->get) done(c->reply);
}

static void reply_ok(struct resp_writer *w)
{
    resp_simple(w, "OK");
}

static void reply_one(struct resp_writer *w)
{
    resp_int(w, 1);
}

static void reply_zero(struct resp_writer *w)
{
    resp_int(w, 0);
}

static void set(struct call *c)
{
    struct set_options o = {0};
    if (parse_set(c, &o)) set_generic(c, c->argv[1], c->argv[2], &o, reply_ok, resp_null);
}

static void setnx(struct call *c)
{
    struct set_options o = {.nx = true};
    set_generic(c, c->argv[1], c->argv[2], &o, reply_one, reply_zero);
}

static void set_for(struct call *c, enum time_unit unit)
{
    struct set_options o = {.expires = true};
    if (expiry_time(c, c->argv[2], unit, false, true, c->cmd->name, &o.at_ms))
        set_generic(c, c->argv[1], c->argv[3], &o, reply_ok, resp_null);
}

static void setex(struct call *c)
{
    set_for(c, UNIT_SECONDS);
}

static void psetex(struct call *c)
{
    set_for(c, UNIT_MS);
}

static void mset_all(struct call *c)
{
    for (size_t i = 1; i < c->argc; i += 2) {
        struct key *k = call_write(c, c->argv[i]);
        struct set_options o = {0};
        set_value(c, k, c->argv[i], c->argv[i + 1], &o);
    }
}

static bool has_pairs(struct call *c)
{
    if (c->argc % 2 == 1) return true;
    call_error_arity(c);
    return false;
}

static void mset(struct call *c)
{
    if (!has_pairs(c)) return;
    mset_all(c);
    resp_simple(c->reply, "OK");
}

static void msetnx(struct call *c)
{
    if (!has_pairs(c)) return;
    for (size_t i = 1; i < c->argc; i += 2) {
        if (call_write(c, c->argv[i]) != NULL) {
            resp_int(c->reply, 0);
            return;
        }
    }
    mset_all(c);
    resp_int(c->reply, 1);
}

static void getset(struct call *c)
{
    struct key *k;
    struct set_options o = {0};
    if (!answer_before_write(c, c->argv[1], &k)) return;
    set_value(c, k, c->argv[1], c->argv[2], &o);
}

/* ---- Reading ---- */

static void get(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_STRING, &k)) reply_value(c, k);
}

static void mget(struct call *c)
{
    resp_array(c->reply, c->argc - 1);
    for (size_t i = 1; i < c->argc && !call_reply_is_full(c); i++) {
        struct key *k = call_read(c, c->argv[i]);
        reply_value(c, k != NULL && k->type == KEY_STRING ? k : NULL);
    }
}

static void getdel(struct call *c)
{
    struct key *k;
    if (!answer_before_write(c, c->argv[1], &k) || k == NULL) return;
    change_delete(c, c->db, k);
    call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
}

static bool parse_getex(struct call *c, struct set_options *o, struct bytes *ret_time)
{
    for (size_t i = 2; i < c->argc; i++) {
        if (bytes_is_word(c->argv[i], "persist") && !o->expires) {
            o->persist = true;
        } else {
            if (!take_expiry(c, &i, o)) return false;
            *ret_time = c->argv[i];
        }
    }
    return true;
}

static void getex(struct call *c)
{
    struct key *k;
    struct set_options o = {0};
    struct bytes time = {NULL, 0};
    if (!parse_getex(c, &o, &time) || !read_to_write(c, c->argv[1], &k)) return;
    if (k != NULL && !resolve_expiry(c, &o, time)) return; /* an absent key has no use for it */
    reply_value(c, k);
    if (k == NULL) return;
    if (o.expires && o.at_ms <= c->now_ms) {
        change_delete(c, c->db, k);
        call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
    } else if (o.expires) {
        change_expire_at(c, c->db, k, o.at_ms);
        call_event(c, NOTIFY_GENERIC, "expire", c->argv[1]);
    } else if (o.persist && k->expire_at_ms != KEY_NEVER) {
        change_expire_at(c, c->db, k, KEY_NEVER);
        call_event(c, NOTIFY_GENERIC, "persist", c->argv[1]);
    }
}

static void strlen_of(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_STRING, &k))
        resp_int(c->reply, k == NULL ? 0 : (int64_t)str_len(k));
}

static void getrange(struct call *c)
{
    struct key *k;
    int64_t start, end;
    char scratch[STR_INT_TEXT_MAX + 1];
    if (!call_int(c, c->argv[2], &start) || !call_int(c, c->argv[3], &end)) return;
    if (!call_read_typed(c, c->argv[1], KEY_STRING, &k)) return;
    struct bytes text = k == NULL ? BYTES("") : str_get(k, scratch);
    int64_t len = (int64_t)text.len;
    if (start < 0 && end < 0 && start > end) len = 0;
    if (start < 0) start = start + len < 0 ? 0 : start + len;
    if (end < 0) end = end + len < 0 ? 0 : end + len;
    if (end >= len) end = len - 1;
    if (len == 0 || start > end) resp_bulk(c->reply, BYTES(""));
    else resp_bulk(c->reply, (struct bytes){text.data + start, (size_t)(end - start + 1)});
}

/* ---- Changing in place ---- */

static void setrange(struct call *c)
{
    struct key *k;
    int64_t offset;
    struct bytes value = c->argv[3];
    if (!call_int(c, c->argv[2], &offset)) return;
    if (offset < 0) {
        resp_error(c->reply, "ERR offset is out of range");
        return;
    }
    if (!call_write_typed(c, c->argv[1], KEY_STRING, &k)) return;
    if (value.len == 0) {
        resp_int(c->reply, k == NULL ? 0 : (int64_t)str_len(k));
        return;
    }
    if (!fits(c, (size_t)offset + value.len)) return;
    bool created = k == NULL;
    k = change_string_write(c, k, c->argv[1], (size_t)offset, value);
    if (created) call_event(c, NOTIFY_NEW, "new", c->argv[1]);
    call_event(c, NOTIFY_STRING, "setrange", c->argv[1]);
    resp_int(c->reply, (int64_t)str_len(k));
}

static void append(struct call *c)
{
    struct key *k;
    if (!call_write_typed(c, c->argv[1], KEY_STRING, &k)) return;
    bool created = k == NULL;
    size_t len = created ? 0 : str_len(k);
    if (!fits(c, len + c->argv[2].len)) return;
    if (created) k = change_string_set(c, NULL, c->argv[1], c->argv[2], false);
    else k = change_string_write(c, k, c->argv[1], len, c->argv[2]);
    if (created) call_event(c, NOTIFY_NEW, "new", c->argv[1]);
    call_event(c, NOTIFY_STRING, "append", c->argv[1]);
    resp_int(c->reply, (int64_t)(len + c->argv[2].len));
}

static void add(struct call *c, int64_t delta)
{
    struct key *k;
    int64_t n = 0;
    char text[NUM_I64_MAX];
    if (!call_write_typed(c, c->argv[1], KEY_STRING, &k)) return;
    if (k != NULL && !str_get_integer(k, &n)) {
        resp_error(c->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(n, delta, &n)) {
        resp_error(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    bool created = k == NULL;
    change_string_set(c, k, c->argv[1], (struct bytes){text, num_format_i64(text, n)}, true);
    if (created) call_event(c, NOTIFY_NEW, "new", c->argv[1]);
    call_event(c, NOTIFY_STRING, "incrby", c->argv[1]);
    resp_int(c->reply, n);
}

static void incr(struct call *c)
{
    add(c, 1);
}

static void decr(struct call *c)
{
    add(c, -1);
}

static void incrby(struct call *c)
{
    int64_t delta;
    if (call_int(c, c->argv[2], &delta)) add(c, delta);
}

static void decrby(struct call *c)
{
    int64_t delta;
    if (!call_int(c, c->argv[2], &delta)) return;
    if (delta == INT64_MIN) resp_error(c->reply, "ERR decrement would overflow");
    else add(c, -delta);
}

static void incrbyfloat(struct call *c)
{
    struct key *k;
    long double n = 0, delta;
    char scratch[STR_INT_TEXT_MAX + 1], text[NUM_DOUBLE_MAX];
    if (!call_write_typed(c, c->argv[1], KEY_STRING, &k)) return;
    if ((k != NULL && !num_parse_long_double(str_get(k, scratch), &n)) ||
        !num_parse_long_double(c->argv[2], &delta)) {
        resp_error(c->reply, "ERR value is not a valid float");
        return;
    }
    n += delta;
    if (isnan(n) || isinf(n)) {
        resp_error(c->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct bytes value = {text, num_format_long_double(text, n)};
    if (!call_admit(c, value.len)) return;
    bool created = k == NULL;
    str_set_text(change_string_set(c, k, c->argv[1], value, true), value);
    if (created) call_event(c, NOTIFY_NEW, "new", c->argv[1]);
    call_event(c, NOTIFY_STRING, "incrbyfloat", c->argv[1]);
    resp_bulk(c->reply, value);
}

#define READ    CMD_READONLY | CMD_FAST
#define GROW    CMD_WRITE | CMD_DENYOOM
#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_STRING, .group = "string"

/* A flat table, one row per command. */
/* clang-format off */
const struct command cmd_string[] = {
    {.name = "append", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "2.0.0",
     .syntax = "APPEND key value",
     .summary = "Adds to the end of a string; answers its new length.",
     .handler = append, .complexity = "O(1) amortised"},
    {.name = "decr", .arity = 2, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "DECR key", .summary = "Takes one off an integer.", .handler = decr,
     .complexity = "O(1)"},
    {.name = "decrby", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "DECRBY key decrement", .summary = "Takes a number off an integer.",
     .handler = decrby, .complexity = "O(1)"},
    {.name = "get", .arity = 2, .flags = READ, ONE_KEY, .since = "1.0.0", .syntax = "GET key",
     .summary = "Answers a string.", .handler = get, .complexity = "O(1)"},
    {.name = "getdel", .arity = 2, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY,
     .since = "6.2.0", .syntax = "GETDEL key", .summary = "Answers a string and deletes it.",
     .handler = getdel, .complexity = "O(1)"},
    {.name = "getex", .arity = -2, .flags = CMD_WRITE | CMD_FAST, ONE_KEY, .since = "6.2.0",
     .syntax = "GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
               "unix-time-milliseconds | PERSIST]",
     .summary = "Answers a string and changes its expiry.", .handler = getex, .complexity = "O(1)"},
    {.name = "getrange", .arity = 4, .flags = CMD_READONLY, ONE_KEY, .since = "2.4.0",
     .syntax = "GETRANGE key start end", .summary = "Answers a part of a string.",
     .handler = getrange, .complexity = "O(N) in bytes answered"},
    {.name = "getset", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "GETSET key value", .summary = "Sets a string; answers the one before.",
     .handler = getset, .complexity = "O(1)"},
    {.name = "incr", .arity = 2, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "INCR key", .summary = "Adds one to an integer.", .handler = incr,
     .complexity = "O(1)"},
    {.name = "incrby", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "INCRBY key increment", .summary = "Adds a number to an integer.",
     .handler = incrby, .complexity = "O(1)"},
    {.name = "incrbyfloat", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "2.6.0",
     .syntax = "INCRBYFLOAT key increment", .summary = "Adds a decimal number to a number.",
     .handler = incrbyfloat, .complexity = "O(1)"},
    {.name = "mget", .arity = -2, .flags = READ, .first_key = 1, .last_key = -1, .key_step = 1,
     .acl = ACL_STRING, .group = "string", .since = "1.0.0", .syntax = "MGET key [key ...]",
     .summary = "Answers several strings.", .handler = mget, .complexity = "O(N) in keys"},
    {.name = "mset", .arity = -3, .flags = GROW, .first_key = 1, .last_key = -1, .key_step = 2,
     .acl = ACL_STRING, .group = "string", .since = "1.0.1",
     .syntax = "MSET key value [key value ...]", .summary = "Sets several strings at once.",
     .handler = mset, .complexity = "O(N) in keys"},
    {.name = "msetnx", .arity = -3, .flags = GROW, .first_key = 1, .last_key = -1, .key_step = 2,
     .acl = ACL_STRING, .group = "string", .since = "1.0.1",
     .syntax = "MSETNX key value [key value ...]",
     .summary = "Sets several strings if none of the keys exists.", .handler = msetnx,
     .complexity = "O(N) in keys"},
    {.name = "psetex", .arity = 4, .flags = GROW, ONE_KEY, .since = "2.6.0",
     .syntax = "PSETEX key milliseconds value",
     .summary = "Sets a string for so many milliseconds.",
     .handler = psetex, .complexity = "O(1)"},
    {.name = "set", .arity = -3, .flags = GROW, ONE_KEY, .since = "1.0.0",
     .syntax = "SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT "
               "unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
     .summary = "Sets a string, on conditions and for a time if asked.", .handler = set,
     .complexity = "O(1)"},
    {.name = "setex", .arity = 4, .flags = GROW, ONE_KEY, .since = "2.0.0",
     .syntax = "SETEX key seconds value", .summary = "Sets a string for so many seconds.",
     .handler = setex, .complexity = "O(1)"},
    {.name = "setnx", .arity = 3, .flags = GROW | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "SETNX key value", .summary = "Sets a string if the key does not exist.",
     .handler = setnx, .complexity = "O(1)"},
    {.name = "setrange", .arity = 4, .flags = GROW, ONE_KEY, .since = "2.2.0",
     .syntax = "SETRANGE key offset value", .summary = "Overwrites a part of a string.",
     .handler = setrange, .complexity = "O(N) in bytes written"},
    {.name = "strlen", .arity = 2, .flags = READ, ONE_KEY, .since = "2.2.0",
     .syntax = "STRLEN key", .summary = "Answers the length of a string.", .handler = strlen_of,
     .complexity = "O(1)"},
    {.name = "substr", .arity = 4, .flags = CMD_READONLY, ONE_KEY, .since = "1.0.0",
     .syntax = "SUBSTR key start end", .summary = "GETRANGE under its old name.",
     .handler = getrange, .complexity = "O(N) in bytes answered"},
    {.name = NULL},
};
/* clang-format on */
