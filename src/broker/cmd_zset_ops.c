/* Several sorted sets (or sets: each member's score is 1) together: union, intersection and
 * difference, answered, counted or stored.
 *
 * Scores are added up in the order of the sources' sizes, smallest first, as Redis does: with
 * fractions the order shows in the sum. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "broker/change_zset.h"
#include "broker/zset_reply.h"
#include "keys/set.h"

/* ---- Sources ---- */

struct source {
    const struct key *key; /* NULL: absent */
    double weight;
    size_t count;
    size_t index; /* in the arguments: sorting keeps equal ones in this order */
};

struct source_iter {
    bool is_set;
    struct zset_iter zset;
    struct set_iter set;
};

static void source_iter_init(struct source_iter *it, const struct source *s)
{
    it->is_set = s->key->type == KEY_SET;
    if (it->is_set) set_iter_init(&it->set, s->key);
    else zset_iter_init(&it->zset, s->key->value.zset, (struct zset_span){0, s->count}, false);
}

static bool source_iter_next(struct source_iter *it, struct zset_entry *ret)
{
    if (!it->is_set) return zset_iter_next(&it->zset, ret);
    ret->score = 1;
    return set_iter_next(&it->set, &ret->member);
}

static void source_iter_fini(struct source_iter *it)
{
    if (it->is_set) set_iter_fini(&it->set);
}

static bool source_score(const struct source *s, struct bytes member, double *ret)
{
    if (s->count == 0) return false;
    if (s->key->type == KEY_ZSET) return zset_score(s->key->value.zset, member, ret);
    *ret = 1;
    return set_contains(s->key, member);
}

/* ---- Arguments ---- */

enum op { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct combine {
    enum op op;
    size_t source_count;
    struct source *sources;
    enum aggregate aggregate;
    bool with_scores;
    int64_t limit; /* ZINTERCARD; 0: none */
};

enum form { ANSWER, STORE, COUNT };

/* Reads the count at argv[at] and the keys behind it. */
static bool read_sources(struct call *c, size_t at, struct combine *o)
{
    int64_t n;
    if (!call_int(c, c->argv[at], &n)) return false;
    if (n < 1) {
        resp_error(c->reply, "ERR at least 1 input key is needed for '%s' command", c->cmd->name);
        return false;
    }
    if (n > (int64_t)(c->argc - at - 1)) {
        call_error_syntax(c);
        return false;
    }
    o->source_count = (size_t)n;
    o->sources = arena_alloc(c->arena, (size_t)n * sizeof *o->sources);
    for (size_t i = 0; i < (size_t)n; i++) {
        struct key *k = call_read(c, c->argv[at + 1 + i]);
        struct source s = {.key = k, .weight = 1, .index = i};
        if (k != NULL && k->type != KEY_ZSET && k->type != KEY_SET) {
            call_error_wrong_type(c);
            return false;
        }
        if (k != NULL) s.count = k->type == KEY_SET ? set_count(k) : zset_count(k->value.zset);
        o->sources[i] = s;
    }
    return true;
}

static bool parse_weights(struct call *c, size_t at, struct combine *o)
{
    for (size_t i = 0; i < o->source_count; i++) {
        if (num_parse_double(c->argv[at + i], &o->sources[i].weight)) continue;
        resp_error(c->reply, "ERR weight value is not a float");
        return false;
    }
    return true;
}

static bool parse_aggregate(struct bytes word, enum aggregate *ret)
{
    static const char *const words[] = {"sum", "min", "max"};
    for (int i = SUM; i <= MAX; i++) {
        if (!bytes_is_word(word, words[i])) continue;
        *ret = (enum aggregate)i;
        return true;
    }
    return false;
}

static bool parse_limit(struct call *c, struct bytes arg, struct combine *o)
{
    return call_int_range(c, arg, 0, INT64_MAX, "ERR LIMIT can't be negative", &o->limit);
}

static bool parse_options(struct call *c, size_t i, enum form form, struct combine *o)
{
    bool scored = form != COUNT && o->op != DIFF;
    while (i < c->argc) {
        struct bytes word = c->argv[i];
        size_t left = c->argc - i - 1;
        if (scored && left >= o->source_count && bytes_is_word(word, "weights")) {
            if (!parse_weights(c, i + 1, o)) return false;
            i += 1 + o->source_count;
        } else if (scored && left >= 1 && bytes_is_word(word, "aggregate") &&
                   parse_aggregate(c->argv[i + 1], &o->aggregate)) {
            i += 2;
        } else if (form == ANSWER && bytes_is_word(word, "withscores")) {
            o->with_scores = true;
            i++;
        } else if (form == COUNT && left >= 1 && bytes_is_word(word, "limit")) {
            if (!parse_limit(c, c->argv[i + 1], o)) return false;
            i += 2;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static bool parse(struct call *c, enum op op, enum form form, struct combine *o)
{
    size_t at = form == STORE ? 2 : 1;
    *o = (struct combine){.op = op};
    return read_sources(c, at, o) && parse_options(c, at + 1 + o->source_count, form, o);
}

/* ---- Combining ---- */

static int compare_sizes(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static double zero_if_nan(double d)
{
    return isnan(d) ? 0 : d;
}

static double joined(enum aggregate how, double a, double b)
{
    switch (how) {
    case SUM:
        return zero_if_nan(a + b); /* inf + -inf */
    case MIN:
        return b < a ? b : a;
    default:
        return b > a ? b : a;
    }
}

static void unite(const struct combine *o, struct zset_draft *d)
{
    for (size_t i = 0; i < o->source_count; i++) {
        const struct source *s = &o->sources[i];
        struct source_iter it;
        struct zset_entry e;
        bool is_new;
        if (s->count == 0) continue;
        source_iter_init(&it, s);
        while (source_iter_next(&it, &e)) {
            double score = zero_if_nan(s->weight * e.score);
            double *slot = zset_draft_slot(d, e.member, &is_new);
            *slot = is_new ? score : joined(o->aggregate, *slot, score);
        }
        source_iter_fini(&it);
    }
}

/* Whether all other sources have the member of the first; *score becomes the joined one. */
static bool in_all(const struct combine *o, struct bytes member, double *score)
{
    double other;
    *score = zero_if_nan(o->sources[0].weight * *score);
    for (size_t i = 1; i < o->source_count; i++) {
        if (!source_score(&o->sources[i], member, &other)) return false;
        *score = joined(o->aggregate, *score, o->sources[i].weight * other);
    }
    return true;
}

/* Gathers the members of the intersection, up to the limit, and returns their number. `d` may be
 * NULL: they are only counted. */
static size_t intersect(const struct combine *o, struct zset_draft *d)
{
    struct source_iter it;
    struct zset_entry e;
    size_t found = 0;
    bool is_new;
    if (o->sources[0].count == 0) return 0;
    source_iter_init(&it, &o->sources[0]);
    while (source_iter_next(&it, &e)) {
        if (!in_all(o, e.member, &e.score)) continue;
        if (d != NULL) *zset_draft_slot(d, e.member, &is_new) = e.score;
        if (++found == (uint64_t)o->limit) break;
    }
    source_iter_fini(&it);
    return found;
}

static bool in_any_other(const struct combine *o, struct bytes member)
{
    double score;
    for (size_t i = 1; i < o->source_count; i++)
        if (source_score(&o->sources[i], member, &score)) return true;
    return false;
}

static void subtract(const struct combine *o, struct zset_draft *d)
{
    struct source_iter it;
    struct zset_entry e;
    bool is_new;
    if (o->sources[0].count == 0) return;
    source_iter_init(&it, &o->sources[0]);
    while (source_iter_next(&it, &e))
        if (!in_any_other(o, e.member)) *zset_draft_slot(d, e.member, &is_new) = e.score;
    source_iter_fini(&it);
}

static struct zset *combine(struct combine *o, struct zset_limits limits)
{
    struct zset_draft d;
    zset_draft_init(&d);
    if (o->op == DIFF) {
        subtract(o, &d);
    } else {
        qsort(o->sources, o->source_count, sizeof *o->sources, compare_sizes);
        if (o->op == UNION) unite(o, &d);
        else intersect(o, &d);
    }
    return zset_draft_finish(&d, &limits);
}

/* ---- Commands ---- */

static void answer(struct call *c, enum op op)
{
    struct combine o;
    if (!parse(c, op, ANSWER, &o)) return;
    struct zset *z = combine(&o, (struct zset_limits){0, 0}); /* a pack would lose -0 */
    zset_reply_span(c, z, (struct zset_span){0, zset_count(z)}, false, o.with_scores);
    zset_free(z);
}

static void store(struct call *c, enum op op, const char *event)
{
    struct combine o;
    if (!parse(c, op, STORE, &o)) return;
    struct zset *z = combine(&o, call_zset_limits(c));
    if (!change_zset_admit_store(c, z)) {
        zset_free(z);
        return;
    }
    resp_int(c->reply, (int64_t)zset_count(z));
    change_zset_store(c, c->argv[1], z, event);
}

static void zdiff(struct call *c)
{
    answer(c, DIFF);
}

static void zinter(struct call *c)
{
    answer(c, INTER);
}

static void zunion(struct call *c)
{
    answer(c, UNION);
}

static void zdiffstore(struct call *c)
{
    store(c, DIFF, "zdiffstore");
}

static void zinterstore(struct call *c)
{
    store(c, INTER, "zinterstore");
}

static void zunionstore(struct call *c)
{
    store(c, UNION, "zunionstore");
}

static void zintercard(struct call *c)
{
    struct combine o;
    if (!parse(c, INTER, COUNT, &o)) return;
    qsort(o.sources, o.source_count, sizeof *o.sources, compare_sizes);
    resp_int(c->reply, (int64_t)intersect(&o, NULL));
}

#define ANSWERS                                                                                    \
    .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .first_key = 1, .key_positions = KEYS_NUMBERED,      \
    .acl = ACL_SORTEDSET, .group = "sorted-set"
#define STORES                                                                                     \
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 2, .last_key = 1,            \
    .key_positions = KEYS_NUMBERED, .acl = ACL_SORTEDSET, .group = "sorted-set"
#define INTER_TIME "O(N K + M log M) with N members in the smallest of K, M in the result"
#define UNION_TIME "O(N + M log M) with N members in all, M in the result"
#define DIFF_TIME  "O(N K + M log M) with N members in the first of K, M in the result"

const struct command cmd_zset_ops[] = {
    /* clang-format off */
    {.name = "zdiff", .arity = -3, ANSWERS, .since = "6.2.0",
     .syntax = "ZDIFF numkeys key [key ...] [WITHSCORES]",
     .summary = "Answers the members of the first sorted set that are in none of the others.",
     .handler = zdiff, .complexity = DIFF_TIME},
    {.name = "zdiffstore", .arity = -4, STORES, .since = "6.2.0",
     .syntax = "ZDIFFSTORE destination numkeys key [key ...]",
     .summary = "Stores what ZDIFF would answer.", .handler = zdiffstore,
     .complexity = DIFF_TIME},
    {.name = "zinter", .arity = -3, ANSWERS, .since = "6.2.0",
     .syntax = "ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] "
               "[AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
     .summary = "Answers the members that are in all of several sorted sets.",
     .handler = zinter, .complexity = INTER_TIME},
    {.name = "zintercard", .arity = -3, ANSWERS, .since = "7.0.0",
     .syntax = "ZINTERCARD numkeys key [key ...] [LIMIT limit]",
     .summary = "Counts the members that are in all of several sorted sets.",
     .handler = zintercard, .complexity = "O(N K) with N members in the smallest of K"},
    {.name = "zinterstore", .arity = -4, STORES, .since = "2.0.0",
     .syntax = "ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] "
               "[AGGREGATE <SUM | MIN | MAX>]",
     .summary = "Stores what ZINTER would answer.", .handler = zinterstore,
     .complexity = INTER_TIME},
    {.name = "zunion", .arity = -3, ANSWERS, .since = "6.2.0",
     .syntax = "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] "
               "[AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
     .summary = "Answers the members of several sorted sets, scores joined.",
     .handler = zunion, .complexity = UNION_TIME},
    {.name = "zunionstore", .arity = -4, STORES, .since = "2.0.0",
     .syntax = "ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] "
               "[AGGREGATE <SUM | MIN | MAX>]",
     .summary = "Stores what ZUNION would answer.", .handler = zunionstore,
     .complexity = UNION_TIME},
    {.name = NULL},
    /* clang-format on */
};
