/* Hashes: all commands of Redis 7.2. */
#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "broker/change_hash.h"
#include "broker/internal.h"
#include "broker/scan.h"

/* The hash to write to, made if it is absent; false with the error replied. */
static bool get_or_make(struct call *c, struct key **ret)
{
    if (!call_write_typed(c, c->argv[1], KEY_HASH, ret)) return false;
    if (*ret == NULL) *ret = change_hash_new(c, c->argv[1]);
    return true;
}

/* ---- Setting ---- */

static bool set_pairs(struct call *c, int64_t *ret_created)
{
    struct key *k;
    if (c->argc % 2 != 0) {
        call_error_arity(c);
        return false;
    }
    if (!get_or_make(c, &k)) return false;
    change_hash_make_room(c, k, c->argv + 2, c->argc - 2);
    for (size_t i = 2; i < c->argc; i += 2)
        *ret_created += change_hash_set(c, k, c->argv[i], c->argv[i + 1]);
    call_event(c, NOTIFY_HASH, "hset", c->argv[1]);
    return true;
}

static void hset(struct call *c)
{
    int64_t created = 0;
    if (set_pairs(c, &created)) resp_int(c->reply, created);
}

static void hmset(struct call *c)
{
    int64_t created = 0;
    if (set_pairs(c, &created)) resp_simple(c->reply, "OK");
}

static void hsetnx(struct call *c)
{
    struct key *k;
    struct bytes value;
    if (!call_write_typed(c, c->argv[1], KEY_HASH, &k)) return;
    if (k != NULL && hash_get(k, c->argv[2], &value)) {
        resp_int(c->reply, 0);
        return;
    }
    if (k == NULL) k = change_hash_new(c, c->argv[1]);
    change_hash_set(c, k, c->argv[2], c->argv[3]);
    call_event(c, NOTIFY_HASH, "hset", c->argv[1]);
    resp_int(c->reply, 1);
}

static void hincrby(struct call *c)
{
    struct key *k;
    struct bytes old;
    int64_t delta, n = 0;
    char text[NUM_I64_MAX];
    if (!call_int(c, c->argv[3], &delta) || !call_write_typed(c, c->argv[1], KEY_HASH, &k)) return;
    if (k != NULL && hash_get(k, c->argv[2], &old) && !num_parse_i64(old, &n)) {
        resp_error(c->reply, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(n, delta, &n)) {
        resp_error(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (k == NULL) k = change_hash_new(c, c->argv[1]);
    change_hash_set(c, k, c->argv[2], (struct bytes){text, num_format_i64(text, n)});
    call_event(c, NOTIFY_HASH, "hincrby", c->argv[1]);
    resp_int(c->reply, n);
}

static void hincrbyfloat(struct call *c)
{
    struct key *k;
    struct bytes old;
    long double delta, n = 0;
    char text[NUM_DOUBLE_MAX];
    if (!num_parse_long_double(c->argv[3], &delta)) {
        resp_error(c->reply, "ERR value is not a valid float");
        return;
    }
    if (isnan(delta) || isinf(delta)) {
        resp_error(c->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!call_write_typed(c, c->argv[1], KEY_HASH, &k)) return;
    if (k != NULL && hash_get(k, c->argv[2], &old) && !num_parse_long_double(old, &n)) {
        resp_error(c->reply, "ERR hash value is not a float");
        return;
    }
    n += delta;
    if (isnan(n) || isinf(n)) {
        resp_error(c->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct bytes value = {text, num_format_long_double(text, n)};
    if (!call_admit(c, value.len)) return;
    if (k == NULL) k = change_hash_new(c, c->argv[1]);
    change_hash_set(c, k, c->argv[2], value);
    call_event(c, NOTIFY_HASH, "hincrbyfloat", c->argv[1]);
    resp_bulk(c->reply, value);
}

static void hdel(struct call *c)
{
    struct key *k;
    int64_t n = 0;
    if (!call_write_typed(c, c->argv[1], KEY_HASH, &k)) return;
    for (size_t i = 2; k != NULL && i < c->argc; i++) n += change_hash_delete(c, k, c->argv[i]);
    if (n > 0) {
        call_event(c, NOTIFY_HASH, "hdel", c->argv[1]);
        change_hash_drop_if_empty(c, k, c->argv[1]);
    }
    resp_int(c->reply, n);
}

/* ---- Reading ---- */

static void reply_field(struct call *c, const struct key *k, struct bytes field)
{
    struct bytes value;
    if (k != NULL && hash_get(k, field, &value)) resp_bulk(c->reply, value);
    else resp_null(c->reply);
}

static void hget(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_HASH, &k)) reply_field(c, k, c->argv[2]);
}

static void hmget(struct call *c)
{
    struct key *k;
    if (!call_read_typed(c, c->argv[1], KEY_HASH, &k)) return;
    resp_array(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc && !call_reply_is_full(c); i++) reply_field(c, k, c->argv[i]);
}

static void hexists(struct call *c)
{
    struct key *k;
    struct bytes value;
    if (call_read_typed(c, c->argv[1], KEY_HASH, &k))
        resp_int(c->reply, k != NULL && hash_get(k, c->argv[2], &value));
}

static void hlen(struct call *c)
{
    struct key *k;
    if (call_read_typed(c, c->argv[1], KEY_HASH, &k))
        resp_int(c->reply, k == NULL ? 0 : (int64_t)hash_count(k));
}

static void hstrlen(struct call *c)
{
    struct key *k;
    struct bytes value = {NULL, 0};
    if (!call_read_typed(c, c->argv[1], KEY_HASH, &k)) return;
    if (k != NULL) hash_get(k, c->argv[2], &value);
    resp_int(c->reply, (int64_t)value.len);
}

enum { FIELDS = 1, VALUES = 2 };

static void reply_all(struct call *c, unsigned what)
{
    struct key *k;
    struct hash_iter it;
    struct bytes field, value;
    if (!call_read_typed(c, c->argv[1], KEY_HASH, &k)) return;
    size_t n = k == NULL ? 0 : hash_count(k);
    if (what == (FIELDS | VALUES)) resp_map(c->reply, n);
    else resp_array(c->reply, n);
    if (k == NULL) return;
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) {
        if (what & FIELDS) resp_bulk(c->reply, field);
        if (what & VALUES) resp_bulk(c->reply, value);
    }
    hash_iter_fini(&it);
}

static void hgetall(struct call *c)
{
    reply_all(c, FIELDS | VALUES);
}

static void hkeys(struct call *c)
{
    reply_all(c, FIELDS);
}

static void hvals(struct call *c)
{
    reply_all(c, VALUES);
}

/* ---- HRANDFIELD ---- */

static void reply_pair(struct call *c, struct bytes field, struct bytes value, bool with_values)
{
    if (with_values && c->reply->proto == 3) resp_array(c->reply, 2);
    resp_bulk(c->reply, field);
    if (with_values) resp_bulk(c->reply, value);
}

static void reply_pairs_head(struct call *c, size_t n, bool with_values)
{
    resp_array(c->reply, with_values && c->reply->proto == 2 ? n * 2 : n);
}

static void random_with_repeats(struct call *c, const struct key *k, size_t n, bool with_values)
{
    struct bytes field, value;
    reply_pairs_head(c, n, with_values);
    for (size_t i = 0; i < n && !call_reply_is_full(c); i++) {
        hash_random(k, &c->broker->rng, &field, &value);
        reply_pair(c, field, value, with_values);
    }
}

/* Selection sampling: each field is taken with the chance that makes all subsets alike. */
static void random_distinct(struct call *c, const struct key *k, size_t n, bool with_values)
{
    struct hash_iter it;
    struct bytes field, value;
    size_t left = hash_count(k);
    if (n > left) n = left;
    reply_pairs_head(c, n, with_values);
    hash_iter_init(&it, k);
    while (n > 0 && hash_iter_next(&it, &field, &value)) {
        if (rng_below(&c->broker->rng, left--) >= n) continue;
        reply_pair(c, field, value, with_values);
        n--;
    }
    hash_iter_fini(&it);
}

static void hrandfield(struct call *c)
{
    struct key *k;
    struct bytes field, value;
    int64_t n = 0;
    bool with_values = c->argc == 4;
    if (c->argc > 2 && !call_count(c, c->argv[2], &n)) return;
    if (c->argc > 4 || (with_values && !bytes_is_word(c->argv[3], "withvalues"))) {
        call_error_syntax(c);
        return;
    }
    if (with_values && (n < -(INT64_MAX / 2) || n > INT64_MAX / 2)) {
        resp_error(c->reply, "ERR value is out of range");
        return;
    }
    if (!call_read_typed(c, c->argv[1], KEY_HASH, &k)) return;
    if (c->argc == 2) {
        if (k == NULL) {
            resp_null(c->reply);
            return;
        }
        hash_random(k, &c->broker->rng, &field, &value);
        resp_bulk(c->reply, field);
    } else if (k == NULL || n == 0) {
        resp_array(c->reply, 0);
    } else if (n < 0) {
        random_with_repeats(c, k, (size_t)-n, with_values);
    } else {
        random_distinct(c, k, (size_t)n, with_values);
    }
}

/* ---- HSCAN ---- */

static void reply_scanned(struct call *c, const struct scan *s, struct bytes field,
                          struct bytes value, size_t *n)
{
    if (!scan_matches(s, field)) return;
    resp_bulk(c->reply, field);
    resp_bulk(c->reply, value);
    *n += 2;
}

static void scan_pack(struct call *c, const struct scan *s, const struct key *k, size_t *n)
{
    struct hash_iter it;
    struct bytes field, value;
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) reply_scanned(c, s, field, value, n);
    hash_iter_fini(&it);
}

static void hscan(struct call *c)
{
    struct key *k;
    struct scan s;
    size_t n = 0;
    if (!scan_parse_key(c, KEY_HASH, &s, &k)) return;
    bool is_table = k->encoding == ENC_HASHTABLE;
    if (is_table) scan_table(&s, &k->value.hash->table);
    else s.cursor = 0; /* a compact hash comes whole */
    scan_reply_head(c, &s);
    size_t place = resp_defer(c->reply);
    for (size_t i = 0; i < s.item_count; i++)
        reply_scanned(c, &s, hash_entry_field(s.items[i]), hash_entry_value(s.items[i]), &n);
    if (!is_table) scan_pack(c, &s, k, &n);
    resp_defer_array(c->reply, place, n);
    scan_fini(&s);
}

#define HASH .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_HASH, .group = "hash"
#define GROW CMD_WRITE | CMD_DENYOOM | CMD_FAST

/* clang-format off */
const struct command cmd_hash[] = {
    {.name = "hdel", .arity = -3, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, HASH,
     .since = "2.0.0", .syntax = "HDEL key field [field ...]", .summary = "Removes fields.",
     .handler = hdel, .complexity = "O(N) in fields"},
    {.name = "hexists", .arity = 3, .flags = CMD_READONLY | CMD_FAST, HASH, .since = "2.0.0",
     .syntax = "HEXISTS key field", .summary = "Tells whether a field is there.",
     .handler = hexists, .complexity = "O(1)"},
    {.name = "hget", .arity = 3, .flags = CMD_READONLY | CMD_FAST, HASH, .since = "2.0.0",
     .syntax = "HGET key field", .summary = "Answers a field's value.", .handler = hget,
     .complexity = "O(1)"},
    {.name = "hgetall", .arity = 2, .flags = CMD_READONLY, HASH, .since = "2.0.0",
     .syntax = "HGETALL key", .summary = "Answers all fields and values.", .handler = hgetall,
     .complexity = "O(N) in fields"},
    {.name = "hincrby", .arity = 4, .flags = GROW, HASH, .since = "2.0.0",
     .syntax = "HINCRBY key field increment", .summary = "Adds a number to a field's integer.",
     .handler = hincrby, .complexity = "O(1)"},
    {.name = "hincrbyfloat", .arity = 4, .flags = GROW, HASH, .since = "2.6.0",
     .syntax = "HINCRBYFLOAT key field increment",
     .summary = "Adds a decimal number to a field's number.", .handler = hincrbyfloat,
     .complexity = "O(1)"},
    {.name = "hkeys", .arity = 2, .flags = CMD_READONLY, HASH, .since = "2.0.0",
     .syntax = "HKEYS key", .summary = "Answers all fields.", .handler = hkeys,
     .complexity = "O(N) in fields"},
    {.name = "hlen", .arity = 2, .flags = CMD_READONLY | CMD_FAST, HASH, .since = "2.0.0",
     .syntax = "HLEN key", .summary = "Counts the fields.", .handler = hlen, .complexity = "O(1)"},
    {.name = "hmget", .arity = -3, .flags = CMD_READONLY | CMD_FAST, HASH, .since = "2.0.0",
     .syntax = "HMGET key field [field ...]", .summary = "Answers the values of several fields.",
     .handler = hmget, .complexity = "O(N) in fields"},
    {.name = "hmset", .arity = -4, .flags = GROW, HASH, .since = "2.0.0",
     .syntax = "HMSET key field value [field value ...]", .summary = "HSET with the answer OK.",
     .handler = hmset, .complexity = "O(N) in fields"},
    {.name = "hrandfield", .arity = -2, .flags = CMD_READONLY, HASH, .since = "6.2.0",
     .syntax = "HRANDFIELD key [count [WITHVALUES]]", .summary = "Answers fields at random.",
     .handler = hrandfield, .complexity = "O(N) in fields answered"},
    {.name = "hscan", .arity = -3, .flags = CMD_READONLY, HASH, .since = "2.8.0",
     .syntax = "HSCAN key cursor [MATCH pattern] [COUNT count]",
     .summary = "Walks the fields in many small steps.", .handler = hscan,
     .complexity = "O(1) for every call"},
    {.name = "hset", .arity = -4, .flags = GROW, HASH, .since = "2.0.0",
     .syntax = "HSET key field value [field value ...]",
     .summary = "Sets fields; answers how many are new.", .handler = hset,
     .complexity = "O(N) in fields"},
    {.name = "hsetnx", .arity = 4, .flags = GROW, HASH, .since = "2.0.0",
     .syntax = "HSETNX key field value", .summary = "Sets a field if it is not there.",
     .handler = hsetnx, .complexity = "O(1)"},
    {.name = "hstrlen", .arity = 3, .flags = CMD_READONLY | CMD_FAST, HASH, .since = "3.2.0",
     .syntax = "HSTRLEN key field", .summary = "Answers the length of a field's value.",
     .handler = hstrlen, .complexity = "O(1)"},
    {.name = "hvals", .arity = 2, .flags = CMD_READONLY, HASH, .since = "2.0.0",
     .syntax = "HVALS key", .summary = "Answers all values.", .handler = hvals,
     .complexity = "O(N) in fields"},
    {.name = NULL},
};
/* clang-format on */
