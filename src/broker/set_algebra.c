/* Union, intersection and difference. A result is first gathered as a list of members in the arena,
 * so that a destination may be one of the sources. */
#include "broker/set_algebra.h"
#include "broker/admit.h"

#include "base/mem.h"
#include "broker/change_set.h"
#include "broker/internal.h"

struct result {
    struct bytes *members;
    size_t count, cap;
};

static void keep(struct call *c, struct result *r, struct bytes member)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct bytes *more = arena_alloc(c->arena, cap * sizeof *more);
        if (r->count > 0) memcpy(more, r->members, r->count * sizeof *more);
        r->members = more;
        r->cap = cap;
    }
    r->members[r->count++] = arena_dup(c->arena, member);
}

/* The sets at argv[from..to); absent ones are NULL. False with WRONGTYPE replied. */
static bool read_sets(struct call *c, size_t from, size_t to, struct key **sets)
{
    for (size_t i = from; i < to; i++)
        if (!call_read_typed(c, c->argv[i], KEY_SET, &sets[i - from])) return false;
    return true;
}

static bool in_all_but(struct key **sets, size_t n, size_t but, struct bytes member)
{
    for (size_t i = 0; i < n; i++)
        if (i != but && !set_contains(sets[i], member)) return false;
    return true;
}

/* Walks the smallest set and looks the others up; stops at `limit` members (0: none). */
static void intersect(struct call *c, struct key **sets, size_t n, size_t limit, struct result *r)
{
    struct set_iter it;
    struct bytes member;
    size_t smallest = 0;
    for (size_t i = 0; i < n; i++) {
        if (sets[i] == NULL) return;
        if (set_count(sets[i]) < set_count(sets[smallest])) smallest = i;
    }
    set_iter_init(&it, sets[smallest]);
    while ((limit == 0 || r->count < limit) && set_iter_next(&it, &member))
        if (in_all_but(sets, n, smallest, member)) keep(c, r, member);
    set_iter_fini(&it);
}

static void unite(struct call *c, struct key **sets, size_t n, struct result *r)
{
    for (size_t i = 0; i < n; i++) {
        struct set_iter it;
        struct bytes member;
        if (sets[i] == NULL) continue;
        set_iter_init(&it, sets[i]);
        while (set_iter_next(&it, &member)) {
            bool seen = false; /* in an earlier set: kept already */
            for (size_t j = 0; j < i && !seen; j++)
                seen = sets[j] != NULL && set_contains(sets[j], member);
            if (!seen) keep(c, r, member);
        }
        set_iter_fini(&it);
    }
}

static void subtract(struct call *c, struct key **sets, size_t n, struct result *r)
{
    struct set_iter it;
    struct bytes member;
    if (sets[0] == NULL) return;
    set_iter_init(&it, sets[0]);
    while (set_iter_next(&it, &member)) {
        bool elsewhere = false;
        for (size_t i = 1; i < n && !elsewhere; i++)
            elsewhere = sets[i] != NULL && set_contains(sets[i], member);
        if (!elsewhere) keep(c, r, member);
    }
    set_iter_fini(&it);
}

enum operation { UNION, INTER, DIFF };

static void compute(struct call *c, enum operation op, struct key **sets, size_t n,
                    struct result *r)
{
    switch (op) {
    case UNION:
        unite(c, sets, n, r);
        break;
    case INTER:
        intersect(c, sets, n, 0, r);
        break;
    case DIFF:
        subtract(c, sets, n, r);
        break;
    }
}

static void answer(struct call *c, enum operation op)
{
    size_t n = c->argc - 1;
    struct result r = {0};
    struct key **sets = arena_alloc(c->arena, n * sizeof *sets);
    if (!read_sets(c, 1, c->argc, sets)) return;
    compute(c, op, sets, n, &r);
    resp_set(c->reply, r.count);
    for (size_t i = 0; i < r.count; i++) resp_bulk(c->reply, r.members[i]);
}

static size_t record_bytes_of(const struct result *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->count; i++) bytes += r->members[i].len + ADMIT_ITEM;
    return bytes;
}

static void store(struct call *c, enum operation op, const char *event)
{
    size_t n = c->argc - 2;
    struct result r = {0};
    struct bytes name = c->argv[1];
    struct key **sets = arena_alloc(c->arena, n * sizeof *sets);
    if (!read_sets(c, 2, c->argc, sets)) return;
    compute(c, op, sets, n, &r);
    if (!call_admit(c, record_bytes_of(&r))) return;
    struct key *old = call_write(c, name);
    if (old != NULL) change_delete(c, c->db, old);
    if (r.count > 0) {
        struct key *k = change_set_make(c, name, r.members[0]);
        if (old == NULL) call_event(c, NOTIFY_NEW, "new", name);
        for (size_t i = 0; i < r.count; i++) change_set_add(c, k, r.members[i]);
        call_event(c, NOTIFY_SET, event, name);
    } else if (old != NULL) {
        call_event(c, NOTIFY_GENERIC, "del", name);
    }
    resp_int(c->reply, (int64_t)r.count);
}

void cmd_sdiff(struct call *c)
{
    answer(c, DIFF);
}

void cmd_sdiffstore(struct call *c)
{
    store(c, DIFF, "sdiffstore");
}

void cmd_sinter(struct call *c)
{
    answer(c, INTER);
}

void cmd_sinterstore(struct call *c)
{
    store(c, INTER, "sinterstore");
}

void cmd_sunion(struct call *c)
{
    answer(c, UNION);
}

void cmd_sunionstore(struct call *c)
{
    store(c, UNION, "sunionstore");
}

static bool parse_limit(struct call *c, size_t at, int64_t *ret)
{
    for (size_t i = at; i < c->argc; i += 2) {
        if (!bytes_is_word(c->argv[i], "limit") || i + 1 >= c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!call_int_range(c, c->argv[i + 1], 0, INT64_MAX, "ERR LIMIT can't be negative", ret))
            return false;
    }
    return true;
}

void cmd_sintercard(struct call *c)
{
    int64_t n, limit = 0;
    struct result r = {0};
    if (!call_int_range(c, c->argv[1], 1, INT64_MAX, "ERR numkeys should be greater than 0", &n))
        return;
    if (n > (int64_t)c->argc - 2) {
        resp_error(c->reply, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!parse_limit(c, 2 + (size_t)n, &limit)) return;
    struct key **sets = arena_alloc(c->arena, (size_t)n * sizeof *sets);
    if (!read_sets(c, 2, 2 + (size_t)n, sets)) return;
    intersect(c, sets, (size_t)n, (size_t)limit, &r);
    resp_int(c->reply, (int64_t)r.count);
}
