/* Sorted sets, member by member: adding, asking for, removing, drawing, scanning. Ranges are in
 * cmd_zset_range.c, several sets together in cmd_zset_ops.c, pops in cmd_blocking.c. */
#include <math.h>

#include "broker/change_zset.h"
#include "broker/internal.h"
#include "broker/scan.h"
#include "broker/zset_reply.h"

/* ---- ZADD, ZINCRBY ---- */

struct zadd {
    bool nx, xx, gt, lt, ch, incr;
    size_t first; /* index of the first score */
};

static bool take_option(struct zadd *o, struct bytes word)
{
    static const char *const words[] = {"nx", "xx", "gt", "lt", "ch", "incr"};
    bool *const flags[] = {&o->nx, &o->xx, &o->gt, &o->lt, &o->ch, &o->incr};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!bytes_is_word(word, words[i])) continue;
        *flags[i] = true;
        return true;
    }
    return false;
}

static bool options_fit(struct call *c, const struct zadd *o, size_t pairs)
{
    const char *error = NULL;
    if (o->nx && o->xx) error = "ERR XX and NX options at the same time are not compatible";
    else if ((o->gt && o->nx) || (o->lt && o->nx) || (o->gt && o->lt))
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if (o->incr && pairs > 1)
        error = "ERR INCR option supports a single increment-element pair";
    if (error != NULL) resp_error(c->reply, "%s", error);
    return error == NULL;
}

static bool parse_zadd(struct call *c, struct zadd *o)
{
    size_t i = 2;
    while (i < c->argc && take_option(o, c->argv[i])) i++;
    size_t rest = c->argc - i;
    o->first = i;
    if (rest == 0 || rest % 2 != 0) {
        call_error_syntax(c);
        return false;
    }
    return options_fit(c, o, rest / 2);
}

/* All scores, before anything is changed. */
static double *parse_scores(struct call *c, size_t first)
{
    size_t n = (c->argc - first) / 2;
    double *scores = arena_alloc(c->arena, n * sizeof *scores);
    for (size_t i = 0; i < n; i++)
        if (!call_double(c, c->argv[first + 2 * i], &scores[i])) return NULL;
    return scores;
}

enum outcome { REFUSED, UNCHANGED, CHANGED, ADDED, NOT_A_NUMBER };

/* Whether the member may get *score, to which INCR has added the score it has. */
static enum outcome decide(const struct zadd *o, const struct zset_place *place, double *score)
{
    if (!place->found) return o->xx ? REFUSED : ADDED;
    if (o->nx) return REFUSED;
    if (o->incr) *score += place->score;
    if (isnan(*score)) return NOT_A_NUMBER;
    if (o->lt && *score >= place->score) return REFUSED;
    if (o->gt && *score <= place->score) return REFUSED;
    return *score == place->score ? UNCHANGED : CHANGED;
}

static enum outcome add(struct call *c, const struct zadd *o, struct key **k, struct bytes name,
                        struct bytes member, double *score)
{
    struct zset_place place;
    zset_find(*k == NULL ? NULL : (*k)->value.zset, member, &place);
    enum outcome outcome = decide(o, &place, score);
    if (outcome == CHANGED || outcome == ADDED)
        *k = change_zset_assign(c, *k, name, &place, *score);
    return outcome;
}

static void add_one(struct call *c, const struct zadd *o, struct key *k, struct bytes name,
                    struct bytes member, double score)
{
    enum outcome outcome = add(c, o, &k, name, member, &score);
    if (outcome == NOT_A_NUMBER) {
        resp_error(c->reply, "ERR resulting score is not a number (NaN)");
    } else if (outcome == REFUSED) {
        resp_null(c->reply);
    } else {
        resp_double(c->reply, score);
        if (outcome != UNCHANGED) call_event(c, NOTIFY_ZSET, "zincr", name);
    }
}

static void add_all(struct call *c, const struct zadd *o, struct key *k, struct bytes name,
                    double *scores)
{
    int64_t added = 0, changed = 0;
    for (size_t i = o->first + 1; i < c->argc; i += 2) {
        enum outcome outcome = add(c, o, &k, name, c->argv[i], scores++);
        added += outcome == ADDED;
        changed += outcome == CHANGED;
    }
    resp_int(c->reply, o->ch ? added + changed : added);
    if (added + changed > 0) call_event(c, NOTIFY_ZSET, "zadd", name);
}

static void add_generic(struct call *c, struct zadd o)
{
    struct bytes name = c->argv[1];
    struct key *k;
    double *scores;
    if (!parse_zadd(c, &o) || (scores = parse_scores(c, o.first)) == NULL) return;
    if (!call_write_typed(c, name, KEY_ZSET, &k)) return;
    if (o.incr) add_one(c, &o, k, name, c->argv[o.first + 1], scores[0]);
    else add_all(c, &o, k, name, scores);
}

static void zadd(struct call *c)
{
    add_generic(c, (struct zadd){0});
}

/* ZADD with INCR, down to its options: ZINCRBY key NX member is a syntax error. */
static void zincrby(struct call *c)
{
    add_generic(c, (struct zadd){.incr = true});
}

/* ---- Asking ---- */

/* The set for reading, NULL when absent; false with the error replied. */
static bool read_zset(struct call *c, struct zset **ret)
{
    struct key *k;
    if (!call_read_typed(c, c->argv[1], KEY_ZSET, &k)) return false;
    *ret = k == NULL ? NULL : k->value.zset;
    return true;
}

static void zcard(struct call *c)
{
    struct zset *z;
    if (read_zset(c, &z)) resp_int(c->reply, z == NULL ? 0 : (int64_t)zset_count(z));
}

static void reply_score(struct call *c, struct zset *z, struct bytes member)
{
    double score;
    if (z != NULL && zset_score(z, member, &score)) resp_double(c->reply, score);
    else resp_null(c->reply);
}

static void zscore(struct call *c)
{
    struct zset *z;
    if (read_zset(c, &z)) reply_score(c, z, c->argv[2]);
}

static void zmscore(struct call *c)
{
    struct zset *z;
    if (!read_zset(c, &z)) return;
    resp_array(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) reply_score(c, z, c->argv[i]);
}

static void rank_from(struct call *c, bool reverse)
{
    bool with_score = c->argc > 3;
    struct zset *z;
    size_t rank;
    double score;
    if (c->argc > 4) {
        call_error_arity(c);
        return;
    }
    if (with_score && !bytes_is_word(c->argv[3], "withscore")) {
        call_error_syntax(c);
        return;
    }
    if (!read_zset(c, &z)) return;
    if (z == NULL || !zset_rank(z, c->argv[2], &rank, &score)) {
        if (with_score) resp_null_array(c->reply);
        else resp_null(c->reply);
        return;
    }
    if (reverse) rank = zset_count(z) - 1 - rank;
    if (with_score) resp_array(c->reply, 2);
    resp_int(c->reply, (int64_t)rank);
    if (with_score) resp_double(c->reply, score);
}

static void zrank(struct call *c)
{
    rank_from(c, false);
}

static void zrevrank(struct call *c)
{
    rank_from(c, true);
}

/* ---- Removing ---- */

static void zrem(struct call *c)
{
    struct bytes name = c->argv[1];
    struct zset_place place;
    struct key *k;
    int64_t removed = 0;
    if (!call_write_typed(c, name, KEY_ZSET, &k)) return;
    for (size_t i = 2; i < c->argc && k != NULL; i++) {
        if (!zset_find(k->value.zset, c->argv[i], &place)) continue;
        k = change_zset_take(c, k, name, &place);
        removed++;
    }
    resp_int(c->reply, removed);
    if (removed == 0) return;
    call_event(c, NOTIFY_ZSET, "zrem", name);
    if (k == NULL) call_event(c, NOTIFY_GENERIC, "del", name);
}

/* ---- Drawing ---- */

/* Entries by rank, many times over: those of a small set are laid out first. */
struct draw {
    const struct zset *zset;
    size_t count;
    struct zset_entry *laid_out; /* NULL: a large set */
};

static struct draw draw_from(struct call *c, struct zset *z)
{
    struct draw d = {.zset = z, .count = zset_count(z)};
    struct zset_iter it;
    if (zset_map(z) != NULL) return d;
    d.laid_out = arena_alloc(c->arena, d.count * sizeof *d.laid_out);
    zset_iter_init(&it, z, (struct zset_span){0, d.count}, false);
    for (size_t i = 0; zset_iter_next(&it, &d.laid_out[i]);) i++;
    return d;
}

static void reply_drawn(struct call *c, const struct draw *d, size_t rank, bool with_score)
{
    struct zset_entry e = d->laid_out != NULL ? d->laid_out[rank] : zset_at(d->zset, rank);
    zset_reply_entry(c, &e, with_score);
}

static void draw_with_repeats(struct call *c, const struct draw *d, size_t n, bool with_scores)
{
    zset_reply_head(c, n, with_scores);
    for (size_t i = 0; i < n && !call_reply_is_full(c); i++)
        reply_drawn(c, d, rng_below(&c->broker->rng, d->count), with_scores);
}

/* `n` different ranks, each set of them as likely as any other (Floyd's way), marked in a bit map:
 * for i = count-n ... count-1 one of 0..i is drawn, and i itself where that one was drawn before.
 */
static void draw_distinct(struct call *c, const struct draw *d, size_t n, bool with_scores)
{
    size_t bytes = d->count / 8 + 1;
    uint8_t *taken = arena_alloc(c->arena, bytes);
    memset(taken, 0, bytes);
    zset_reply_head(c, n, with_scores);
    for (size_t i = d->count - n; i < d->count; i++) {
        size_t rank = rng_below(&c->broker->rng, i + 1);
        if (taken[rank / 8] >> rank % 8 & 1) rank = i;
        taken[rank / 8] |= (uint8_t)(1 << rank % 8);
        reply_drawn(c, d, rank, with_scores);
    }
}

static void draw_many(struct call *c, int64_t count, bool with_scores)
{
    struct zset *z;
    if (!read_zset(c, &z)) return;
    if (z == NULL || count == 0) {
        resp_array(c->reply, 0);
        return;
    }
    if (count > 0 && (uint64_t)count >= zset_count(z)) {
        zset_reply_span(c, z, (struct zset_span){0, zset_count(z)}, false, with_scores);
        return;
    }
    struct draw d = draw_from(c, z);
    if (count < 0) draw_with_repeats(c, &d, (size_t)-count, with_scores);
    else draw_distinct(c, &d, (size_t)count, with_scores);
}

static void draw_one(struct call *c)
{
    struct zset *z;
    if (!read_zset(c, &z)) return;
    if (z == NULL) resp_null(c->reply);
    else resp_bulk(c->reply, zset_at(z, rng_below(&c->broker->rng, zset_count(z))).member);
}

static void zrandmember(struct call *c)
{
    bool with_scores = c->argc > 3;
    int64_t count;
    if (c->argc == 2) {
        draw_one(c);
        return;
    }
    if (!call_int(c, c->argv[2], &count)) return;
    if (count == INT64_MIN) {
        resp_error(c->reply, "ERR value is out of range, value must between %lld and %lld",
                   -(long long)INT64_MAX, (long long)INT64_MAX);
        return;
    }
    if (c->argc > 4 || (with_scores && !bytes_is_word(c->argv[3], "withscores"))) {
        call_error_syntax(c);
        return;
    }
    if (with_scores && (count > INT64_MAX / 2 || count < -(INT64_MAX / 2))) {
        resp_error(c->reply, "ERR value is out of range");
        return;
    }
    draw_many(c, count, with_scores);
}

/* ---- ZSCAN ---- */

/* The score is text here, in RESP3 too. Of a small set an integer is written out in full, since
 * that is how Redis keeps it there: 1e17 is 100000000000000000. */
static void reply_scanned(struct call *c, const struct zset_entry *e, bool small)
{
    struct resp_writer text = {c->reply->out, 2};
    bool whole = fabs(e->score) <= 0x1p62 && trunc(e->score) == e->score;
    resp_bulk(&text, e->member);
    if (small && whole) resp_bulk_i64(&text, (int64_t)e->score);
    else resp_double(&text, e->score);
}

static size_t scan_small(struct call *c, struct scan *s, const struct zset *z)
{
    size_t found = 0;
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, (struct zset_span){0, zset_count(z)}, false);
    for (; zset_iter_next(&it, &e);) {
        if (!scan_matches(s, e.member)) continue;
        reply_scanned(c, &e, true);
        found++;
    }
    return found;
}

static size_t scan_found(struct call *c, struct scan *s)
{
    size_t found = 0;
    for (size_t i = 0; i < s->item_count; i++) {
        struct zset_entry e = zset_item_entry(s->items[i]);
        if (!scan_matches(s, e.member)) continue;
        reply_scanned(c, &e, false);
        found++;
    }
    return found;
}

static void zscan(struct call *c)
{
    struct scan s;
    struct key *k;
    if (!scan_parse_key(c, KEY_ZSET, &s, &k)) return;
    struct zset *z = k->value.zset;
    bool small = zset_map(z) == NULL;
    if (small) s.cursor = 0;
    else scan_table(&s, zset_map(z));
    scan_reply_head(c, &s);
    size_t place = resp_defer(c->reply);
    size_t found = small ? scan_small(c, &s, z) : scan_found(c, &s);
    resp_defer_array(c->reply, place, 2 * found);
    scan_fini(&s);
}

#define ONE_KEY                                                                                    \
    .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_SORTEDSET, .group = "sorted-set"
#define READ CMD_READONLY

const struct command cmd_zset[] = {
    /* clang-format off */
    {.name = "zadd", .arity = -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, ONE_KEY,
     .since = "1.2.0",
     .syntax = "ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
     .summary = "Adds members, or gives them other scores, on conditions if asked.",
     .handler = zadd, .complexity = "O(log N) for each member"},
    {.name = "zcard", .arity = 2, .flags = READ | CMD_FAST, ONE_KEY, .since = "1.2.0",
     .syntax = "ZCARD key", .summary = "Answers how many members there are.", .handler = zcard,
     .complexity = "O(1)"},
    {.name = "zincrby", .arity = 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, ONE_KEY,
     .since = "1.2.0", .syntax = "ZINCRBY key increment member",
     .summary = "Adds to a member's score; an absent one begins at 0.", .handler = zincrby,
     .complexity = "O(log N)"},
    {.name = "zmscore", .arity = -3, .flags = READ | CMD_FAST, ONE_KEY, .since = "6.2.0",
     .syntax = "ZMSCORE key member [member ...]",
     .summary = "Answers the scores of several members.", .handler = zmscore,
     .complexity = "O(N) in members asked for"},
    {.name = "zrandmember", .arity = -2, .flags = READ, ONE_KEY, .since = "6.2.0",
     .syntax = "ZRANDMEMBER key [count [WITHSCORES]]",
     .summary = "Draws members by chance: different ones, or with repeats if count is negative.",
     .handler = zrandmember, .complexity = "O(N) in members answered"},
    {.name = "zrank", .arity = -3, .flags = READ | CMD_FAST, ONE_KEY, .since = "2.0.0",
     .syntax = "ZRANK key member [WITHSCORE]",
     .summary = "Answers a member's place, counted from the lowest score.", .handler = zrank,
     .complexity = "O(log N)"},
    {.name = "zrem", .arity = -3, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY,
     .since = "1.2.0", .syntax = "ZREM key member [member ...]", .summary = "Removes members.",
     .handler = zrem, .complexity = "O(log N) for each member"},
    {.name = "zrevrank", .arity = -3, .flags = READ | CMD_FAST, ONE_KEY, .since = "2.0.0",
     .syntax = "ZREVRANK key member [WITHSCORE]",
     .summary = "Answers a member's place, counted from the highest score.",
     .handler = zrevrank, .complexity = "O(log N)"},
    {.name = "zscan", .arity = -3, .flags = READ, ONE_KEY, .since = "2.8.0",
     .syntax = "ZSCAN key cursor [MATCH pattern] [COUNT count]",
     .summary = "Walks members and scores bit by bit.", .handler = zscan,
     .complexity = "O(1) for each call, O(N) for the walk"},
    {.name = "zscore", .arity = 3, .flags = READ | CMD_FAST, ONE_KEY, .since = "1.2.0",
     .syntax = "ZSCORE key member", .summary = "Answers a member's score.", .handler = zscore,
     .complexity = "O(1)"},
    {.name = NULL},
    /* clang-format on */
};
