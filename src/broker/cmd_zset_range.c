/* Ranges of a sorted set: by rank, by score, by name; answered, counted, stored, removed. Whatever
 * the form, the bounds become a span of ranks (keys/zset.h), and the rest works on that. */
#include "base/num.h"
#include "broker/change_zset.h"
#include "broker/zset_reply.h"

/* ---- Bounds ---- */

enum range_by { BY_DEFAULT, BY_RANK, BY_SCORE, BY_NAME };

struct bounds {
    enum range_by by;
    int64_t start, stop;
    struct zset_score_range scores;
    struct zset_name_range names;
};

static bool parse_score_bound(struct bytes text, double *ret, bool *ret_open)
{
    *ret_open = text.len > 0 && text.data[0] == '(';
    if (*ret_open) text = (struct bytes){text.data + 1, text.len - 1};
    return num_parse_score_bound(text, ret);
}

static bool parse_name_bound(struct bytes text, struct zset_name_bound *ret)
{
    if (text.len == 0) return false;
    ret->text = (struct bytes){text.data + 1, text.len - 1};
    switch (text.data[0]) {
    case '-':
        ret->kind = ZSET_NAME_LEAST;
        return text.len == 1;
    case '+':
        ret->kind = ZSET_NAME_GREATEST;
        return text.len == 1;
    case '[':
        ret->kind = ZSET_NAME_CLOSED;
        return true;
    case '(':
        ret->kind = ZSET_NAME_OPEN;
        return true;
    default:
        return false;
    }
}

/* `min` and `max` are the arguments as such; false with the error replied. */
static bool parse_bounds(struct call *c, enum range_by by, struct bytes min, struct bytes max,
                         struct bounds *ret)
{
    struct zset_score_range *s = &ret->scores;
    ret->by = by;
    if (by == BY_RANK) return call_int(c, min, &ret->start) && call_int(c, max, &ret->stop);
    if (by == BY_SCORE) {
        if (parse_score_bound(min, &s->min, &s->min_open) &&
            parse_score_bound(max, &s->max, &s->max_open))
            return true;
        resp_error(c->reply, "ERR min or max is not a float");
        return false;
    }
    if (parse_name_bound(min, &ret->names.min) && parse_name_bound(max, &ret->names.max))
        return true;
    resp_error(c->reply, "ERR min or max not valid string range item");
    return false;
}

static struct zset_span span_of(const struct zset *z, const struct bounds *b, bool reverse)
{
    if (b->by == BY_SCORE) return zset_span_of_scores(z, &b->scores);
    if (b->by == BY_NAME) return zset_span_of_names(z, &b->names);
    struct zset_span span = zset_span_of_ranks(z, b->start, b->stop);
    if (reverse && span.count > 0) span.start = zset_count(z) - span.start - span.count;
    return span;
}

/* ---- ZRANGE and its kin ---- */

enum direction { ANY_DIRECTION, FORWARD, REVERSE };

struct range {
    enum direction direction;
    bool store, with_scores;
    int64_t offset, count; /* LIMIT; count -1: all */
    struct bounds bounds;
};

static bool error_syntax(struct call *c, const char *more)
{
    resp_error(c->reply, "ERR syntax error%s", more);
    return false;
}

/* The options from argv[i] on. What the command's name already says is no option. */
static bool parse_options(struct call *c, size_t i, struct range *r, enum range_by *by)
{
    for (; i < c->argc; i++) {
        struct bytes word = c->argv[i];
        if (!r->store && bytes_is_word(word, "withscores")) {
            r->with_scores = true;
        } else if (i + 2 < c->argc && bytes_is_word(word, "limit")) {
            if (!call_int(c, c->argv[i + 1], &r->offset)) return false;
            if (!call_int(c, c->argv[i + 2], &r->count)) return false;
            i += 2;
        } else if (r->direction == ANY_DIRECTION && bytes_is_word(word, "rev")) {
            r->direction = REVERSE;
        } else if (*by == BY_DEFAULT && bytes_is_word(word, "bylex")) {
            *by = BY_NAME;
        } else if (*by == BY_DEFAULT && bytes_is_word(word, "byscore")) {
            *by = BY_SCORE;
        } else {
            return error_syntax(c, "");
        }
    }
    return true;
}

static bool parse_range(struct call *c, size_t at, enum range_by by, struct range *r)
{
    r->count = -1;
    if (!parse_options(c, at + 2, r, &by)) return false;
    if (by == BY_DEFAULT) by = BY_RANK;
    if (r->count != -1 && by == BY_RANK)
        return error_syntax(
            c, ", LIMIT is only supported in combination with either BYSCORE or BYLEX");
    if (r->with_scores && by == BY_NAME)
        return error_syntax(c, ", WITHSCORES not supported in combination with BYLEX");
    bool swapped = r->direction == REVERSE && by != BY_RANK; /* the greater bound comes first */
    return parse_bounds(c, by, c->argv[at + swapped], c->argv[at + !swapped], &r->bounds);
}

static struct zset_span range_span(const struct zset *z, const struct range *r)
{
    bool reverse = r->direction == REVERSE;
    struct zset_span span = span_of(z, &r->bounds, reverse);
    if (r->bounds.by == BY_RANK) return span;
    return zset_span_limit(span, reverse, r->offset, r->count);
}

static void answer_range(struct call *c, enum range_by by, enum direction direction)
{
    struct range r = {.direction = direction};
    struct key *k;
    if (!parse_range(c, 2, by, &r) || !call_read_typed(c, c->argv[1], KEY_ZSET, &k)) return;
    if (k == NULL) {
        resp_array(c->reply, 0);
        return;
    }
    const struct zset *z = k->value.zset;
    zset_reply_span(c, z, range_span(z, &r), r.direction == REVERSE, r.with_scores);
}

static void zrange(struct call *c)
{
    answer_range(c, BY_DEFAULT, ANY_DIRECTION);
}

static void zrevrange(struct call *c)
{
    answer_range(c, BY_RANK, REVERSE);
}

static void zrangebyscore(struct call *c)
{
    answer_range(c, BY_SCORE, FORWARD);
}

static void zrevrangebyscore(struct call *c)
{
    answer_range(c, BY_SCORE, REVERSE);
}

static void zrangebylex(struct call *c)
{
    answer_range(c, BY_NAME, FORWARD);
}

static void zrevrangebylex(struct call *c)
{
    answer_range(c, BY_NAME, REVERSE);
}

static struct zset *copy_span(struct call *c, const struct zset *z, struct zset_span span)
{
    struct zset_limits limits = call_zset_limits(c);
    struct zset *copy = zset_new();
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, span, false);
    while (zset_iter_next(&it, &e)) zset_put(copy, e.member, e.score, &limits);
    return copy;
}

static void zrangestore(struct call *c)
{
    struct range r = {.store = true};
    struct key *k;
    if (!parse_range(c, 3, BY_DEFAULT, &r)) return;
    if (!call_read_typed(c, c->argv[2], KEY_ZSET, &k)) return;
    struct zset *from = k == NULL ? NULL : k->value.zset;
    struct zset *result = from == NULL ? zset_new() : copy_span(c, from, range_span(from, &r));
    if (!change_zset_admit_store(c, result)) {
        zset_free(result);
        return;
    }
    resp_int(c->reply, (int64_t)zset_count(result));
    change_zset_store(c, c->argv[1], result, "zrangestore");
}

/* ---- Counting ---- */

static void count_range(struct call *c, enum range_by by)
{
    struct bounds b;
    struct key *k;
    if (!parse_bounds(c, by, c->argv[2], c->argv[3], &b)) return;
    if (!call_read_typed(c, c->argv[1], KEY_ZSET, &k)) return;
    resp_int(c->reply, k == NULL ? 0 : (int64_t)span_of(k->value.zset, &b, false).count);
}

static void zcount(struct call *c)
{
    count_range(c, BY_SCORE);
}

static void zlexcount(struct call *c)
{
    count_range(c, BY_NAME);
}

/* ---- Removing ---- */

static void remove_range(struct call *c, enum range_by by, const char *event)
{
    struct bytes name = c->argv[1];
    struct bounds b;
    struct key *k;
    if (!parse_bounds(c, by, c->argv[2], c->argv[3], &b)) return;
    if (!call_write_typed(c, name, KEY_ZSET, &k)) return;
    struct zset_span span = {0, 0};
    if (k != NULL) span = span_of(k->value.zset, &b, false);
    if (k != NULL && !change_zset_admit_span(c, k->value.zset, span)) return;
    resp_int(c->reply, (int64_t)span.count);
    if (span.count == 0) return;
    k = change_zset_take_span(c, k, name, span);
    call_event(c, NOTIFY_ZSET, event, name);
    if (k == NULL) call_event(c, NOTIFY_GENERIC, "del", name);
}

static void zremrangebyrank(struct call *c)
{
    remove_range(c, BY_RANK, "zremrangebyrank");
}

static void zremrangebyscore(struct call *c)
{
    remove_range(c, BY_SCORE, "zremrangebyscore");
}

static void zremrangebylex(struct call *c)
{
    remove_range(c, BY_NAME, "zremrangebylex");
}

#define ONE_KEY                                                                                    \
    .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_SORTEDSET, .group = "sorted-set"
#define READ        CMD_READONLY
#define REMOVE      CMD_WRITE | CMD_SHRINKS
#define RANGE_TIME  "O(log N + M) with M members answered"
#define REMOVE_TIME "O(log N + M log N) with M members removed"

const struct command cmd_zset_range[] = {
    /* clang-format off */
    {.name = "zcount", .arity = 4, .flags = READ | CMD_FAST, ONE_KEY, .since = "2.0.0",
     .syntax = "ZCOUNT key min max", .summary = "Counts the members with scores in a range.",
     .handler = zcount, .complexity = "O(log N)"},
    {.name = "zlexcount", .arity = 4, .flags = READ | CMD_FAST, ONE_KEY, .since = "2.8.9",
     .syntax = "ZLEXCOUNT key min max",
     .summary = "Counts the members with names in a range, where all scores are equal.",
     .handler = zlexcount, .complexity = "O(log N)"},
    {.name = "zrange", .arity = -4, .flags = READ, ONE_KEY, .since = "1.2.0",
     .syntax = "ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
     .summary = "Answers members in order, within a range of ranks, scores or names.",
     .handler = zrange, .complexity = RANGE_TIME},
    {.name = "zrangebylex", .arity = -4, .flags = READ, ONE_KEY, .since = "2.8.9",
     .syntax = "ZRANGEBYLEX key min max [LIMIT offset count]",
     .summary = "Answers members within a range of names. ZRANGE with BYLEX does the same.",
     .handler = zrangebylex, .complexity = RANGE_TIME},
    {.name = "zrangebyscore", .arity = -4, .flags = READ, ONE_KEY, .since = "1.0.5",
     .syntax = "ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]",
     .summary = "Answers members within a range of scores. ZRANGE with BYSCORE does the same.",
     .handler = zrangebyscore, .complexity = RANGE_TIME},
    {.name = "zrangestore", .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1,
     .last_key = 2, .key_step = 1, .acl = ACL_SORTEDSET, .group = "sorted-set", .since = "6.2.0",
     .syntax = "ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
     .summary = "Stores a range of a sorted set in a key.", .handler = zrangestore,
     .complexity = "O(log N + M log M) with M members stored"},
    {.name = "zremrangebylex", .arity = 4, .flags = REMOVE, ONE_KEY, .since = "2.8.9",
     .syntax = "ZREMRANGEBYLEX key min max",
     .summary = "Removes the members within a range of names, where all scores are equal.",
     .handler = zremrangebylex, .complexity = REMOVE_TIME},
    {.name = "zremrangebyrank", .arity = 4, .flags = REMOVE, ONE_KEY, .since = "2.0.0",
     .syntax = "ZREMRANGEBYRANK key start stop",
     .summary = "Removes the members within a range of ranks.", .handler = zremrangebyrank,
     .complexity = REMOVE_TIME},
    {.name = "zremrangebyscore", .arity = 4, .flags = REMOVE, ONE_KEY, .since = "1.2.0",
     .syntax = "ZREMRANGEBYSCORE key min max",
     .summary = "Removes the members within a range of scores.", .handler = zremrangebyscore,
     .complexity = REMOVE_TIME},
    {.name = "zrevrange", .arity = -4, .flags = READ, ONE_KEY, .since = "1.2.0",
     .syntax = "ZREVRANGE key start stop [WITHSCORES]",
     .summary = "Answers members from the highest score down. ZRANGE with REV does the same.",
     .handler = zrevrange, .complexity = RANGE_TIME},
    {.name = "zrevrangebylex", .arity = -4, .flags = READ, ONE_KEY, .since = "2.8.9",
     .syntax = "ZREVRANGEBYLEX key max min [LIMIT offset count]",
     .summary = "Answers members within a range of names, last first.",
     .handler = zrevrangebylex, .complexity = RANGE_TIME},
    {.name = "zrevrangebyscore", .arity = -4, .flags = READ, ONE_KEY, .since = "2.2.0",
     .syntax = "ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]",
     .summary = "Answers members within a range of scores, highest first.",
     .handler = zrevrangebyscore, .complexity = RANGE_TIME},
    {.name = NULL},
    /* clang-format on */
};
