/* Lists: what answers at once. What waits, and what pops from several, is in cmd_list_blocking.c.
 */
#include "broker/change_list.h"
#include "broker/list_reply.h"

static bool read_list(struct call *c, struct key **ret)
{
    return call_read_typed(c, c->argv[1], KEY_LIST, ret);
}

static bool write_list(struct call *c, struct key **ret)
{
    return call_write_typed(c, c->argv[1], KEY_LIST, ret);
}

/* ---- Pushing ---- */

static void push(struct call *c, enum list_end end, bool only_existing)
{
    struct key *k;
    if (!write_list(c, &k)) return;
    if (k == NULL && only_existing) {
        resp_int(c->reply, 0);
        return;
    }
    k = change_list_push(c, k, c->argv[1], end, c->argv + 2, c->argc - 2);
    resp_int(c->reply, (int64_t)list_count(k));
    call_event(c, NOTIFY_LIST, list_push_event(end), c->argv[1]);
}

static void lpush(struct call *c)
{
    push(c, LIST_HEAD, false);
}

static void rpush(struct call *c)
{
    push(c, LIST_TAIL, false);
}

static void lpushx(struct call *c)
{
    push(c, LIST_HEAD, true);
}

static void rpushx(struct call *c)
{
    push(c, LIST_TAIL, true);
}

/* ---- Popping ---- */

static void pop(struct call *c, enum list_end end)
{
    static const char error[] = "ERR value is out of range, must be positive";
    bool with_count = c->argc > 2;
    int64_t count = 1;
    struct key *k;
    if (c->argc > 3) {
        call_error_arity(c);
        return;
    }
    if (with_count && !call_int_range(c, c->argv[2], 0, INT64_MAX, error, &count)) return;
    if (!write_list(c, &k)) return;
    if (k == NULL) {
        if (with_count) resp_null_array(c->reply);
        else resp_null(c->reply);
        return;
    }
    size_t n = list_available(k, count);
    if (with_count) resp_array(c->reply, n);
    if (n > 0) list_reply_popped(c, k, c->argv[1], end, n);
}

static void lpop(struct call *c)
{
    pop(c, LIST_HEAD);
}

static void rpop(struct call *c)
{
    pop(c, LIST_TAIL);
}

/* ---- By index ---- */

/* Negative indexes count from the end; false when there is no such element. */
static bool find_index(const struct key *k, int64_t index, size_t *ret)
{
    int64_t count = (int64_t)list_count(k);
    if (index < 0) index += count;
    if (index < 0 || index >= count) return false;
    *ret = (size_t)index;
    return true;
}

static void llen(struct call *c)
{
    struct key *k;
    if (read_list(c, &k)) resp_int(c->reply, k == NULL ? 0 : (int64_t)list_count(k));
}

static void lindex(struct call *c)
{
    struct key *k;
    int64_t wanted;
    size_t index;
    if (!read_list(c, &k)) return;
    if (k == NULL) {
        resp_null(c->reply);
        return;
    }
    if (!call_int(c, c->argv[2], &wanted)) return;
    if (find_index(k, wanted, &index)) resp_bulk(c->reply, list_get(k, index));
    else resp_null(c->reply);
}

static void lset(struct call *c)
{
    struct key *k;
    int64_t wanted;
    size_t index;
    if (!write_list(c, &k)) return;
    if (k == NULL) {
        resp_error(c->reply, "ERR no such key");
        return;
    }
    if (!call_int(c, c->argv[2], &wanted)) return;
    if (!find_index(k, wanted, &index)) {
        resp_error(c->reply, "ERR index out of range");
        return;
    }
    change_list_set(c, k, index, c->argv[3]);
    call_event(c, NOTIFY_LIST, "lset", c->argv[1]);
    resp_simple(c->reply, "OK");
}

struct span {
    size_t start, count;
};

static bool parse_span(struct call *c, int64_t *ret_start, int64_t *ret_stop)
{
    return call_int(c, c->argv[2], ret_start) && call_int(c, c->argv[3], ret_stop);
}

/* What of the list lies between the two, both included. */
static struct span span_of(const struct key *k, int64_t start, int64_t stop)
{
    int64_t count = (int64_t)list_count(k);
    if (start < 0) start += count;
    if (stop < 0) stop += count;
    if (start < 0) start = 0;
    if (stop >= count) stop = count - 1;
    if (start > stop) return (struct span){0, 0};
    return (struct span){(size_t)start, (size_t)(stop - start + 1)};
}

static void lrange(struct call *c)
{
    struct key *k;
    int64_t start, stop;
    struct list_iter it;
    struct bytes element;
    if (!parse_span(c, &start, &stop) || !read_list(c, &k)) return;
    if (k == NULL) {
        resp_array(c->reply, 0);
        return;
    }
    struct span span = span_of(k, start, stop);
    resp_array(c->reply, span.count);
    list_iter_init(&it, k, span.start, LIST_HEAD);
    for (; span.count > 0; span.count--) {
        list_iter_next(&it, &element);
        resp_bulk(c->reply, element);
    }
}

static void ltrim(struct call *c)
{
    struct key *k;
    int64_t start, stop;
    if (!parse_span(c, &start, &stop) || !write_list(c, &k)) return;
    resp_simple(c->reply, "OK");
    if (k == NULL) return;
    struct span span = span_of(k, start, stop);
    size_t count = list_count(k), behind = count - span.start - span.count;
    call_event(c, NOTIFY_LIST, "ltrim", c->argv[1]);
    if (span.count == 0) {
        change_list_drop(c, k, LIST_HEAD, count);
        call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
        return;
    }
    if (span.start > 0) change_list_drop(c, k, LIST_HEAD, span.start);
    if (behind > 0) change_list_drop(c, k, LIST_TAIL, behind);
    call_changed(c, c->db, c->argv[1]); /* for WATCH, also where all of it stays */
}

/* ---- By value ---- */

/* The index of the first element equal to the value; -1 when there is none. */
static int64_t index_of(const struct key *k, struct bytes value)
{
    struct list_iter it;
    struct bytes element;
    list_iter_init(&it, k, 0, LIST_HEAD);
    for (int64_t i = 0; list_iter_next(&it, &element); i++)
        if (bytes_eq(element, value)) return i;
    return -1;
}

static void linsert(struct call *c)
{
    struct key *k;
    bool after = bytes_is_word(c->argv[2], "after");
    if (!after && !bytes_is_word(c->argv[2], "before")) {
        call_error_syntax(c);
        return;
    }
    if (!write_list(c, &k)) return;
    int64_t pivot = k == NULL ? 0 : index_of(k, c->argv[3]);
    if (k == NULL || pivot < 0) {
        resp_int(c->reply, pivot);
        return;
    }
    change_list_insert(c, k, (size_t)pivot + after, c->argv[4]);
    call_event(c, NOTIFY_LIST, "linsert", c->argv[1]);
    resp_int(c->reply, (int64_t)list_count(k));
}

static void lrem(struct call *c)
{
    struct key *k;
    int64_t count;
    size_t removed = 0;
    if (!call_int(c, c->argv[2], &count) || !write_list(c, &k)) return;
    if (k != NULL) {
        size_t max = count == 0 ? SIZE_MAX : count > 0 ? (size_t)count : -(size_t)count;
        enum list_end from = count < 0 ? LIST_TAIL : LIST_HEAD;
        k = change_list_remove(c, k, from, c->argv[3], max, &removed);
        if (removed > 0) call_event(c, NOTIFY_LIST, "lrem", c->argv[1]);
        if (k == NULL) call_event(c, NOTIFY_GENERIC, "del", c->argv[1]);
    }
    resp_int(c->reply, (int64_t)removed);
}

/* ---- LPOS ---- */

struct lpos {
    int64_t rank;   /* 1: the first match; negative: from the end */
    int64_t count;  /* -1: one, and not in an array; 0: all */
    int64_t maxlen; /* elements looked at; 0: all */
};

static bool parse_rank(struct call *c, struct bytes arg, int64_t *ret)
{
    if (!call_count(c, arg, ret)) return false;
    if (*ret != 0) return true;
    resp_error(c->reply, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
                         "second ... or use negative to start from the end of the list");
    return false;
}

static bool parse_lpos(struct call *c, struct lpos *o)
{
    *o = (struct lpos){.rank = 1, .count = -1};
    for (size_t i = 3; i < c->argc; i += 2) {
        struct bytes word = c->argv[i], value;
        bool ok;
        if (i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        value = c->argv[i + 1];
        if (bytes_is_word(word, "rank")) {
            ok = parse_rank(c, value, &o->rank);
        } else if (bytes_is_word(word, "count")) {
            ok = call_int_range(c, value, 0, INT64_MAX, "ERR COUNT can't be negative", &o->count);
        } else if (bytes_is_word(word, "maxlen")) {
            ok = call_int_range(c, value, 0, INT64_MAX, "ERR MAXLEN can't be negative", &o->maxlen);
        } else {
            call_error_syntax(c);
            return false;
        }
        if (!ok) return false;
    }
    return true;
}

/* Replies the indexes of the matches, one behind the other; how many there are. */
static size_t reply_matches(struct call *c, const struct key *k, const struct lpos *o)
{
    struct list_iter it;
    struct bytes element;
    enum list_end from = o->rank > 0 ? LIST_HEAD : LIST_TAIL;
    int64_t count = (int64_t)list_count(k), skip = (o->rank > 0 ? o->rank : -o->rank) - 1;
    int64_t most = o->maxlen == 0 || o->maxlen > count ? count : o->maxlen;
    int64_t wanted = o->count < 0 ? 1 : o->count == 0 ? count : o->count;
    size_t found = 0;
    list_iter_init(&it, k, from == LIST_HEAD ? 0 : (size_t)count - 1, from);
    for (int64_t i = 0; i < most && list_iter_next(&it, &element); i++) {
        if (!bytes_eq(element, c->argv[2]) || skip-- > 0) continue;
        resp_int(c->reply, from == LIST_HEAD ? i : count - 1 - i);
        if ((int64_t)++found == wanted) break;
    }
    return found;
}

static void lpos(struct call *c)
{
    struct key *k;
    struct lpos o;
    if (!parse_lpos(c, &o) || !read_list(c, &k)) return;
    size_t place = resp_defer(c->reply);
    size_t found = k == NULL ? 0 : reply_matches(c, k, &o);
    if (o.count >= 0) resp_defer_array(c->reply, place, found);
    else if (found == 0) resp_null(c->reply);
}

#define LIST .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_LIST, .group = "list"
#define GROW CMD_WRITE | CMD_DENYOOM

/* clang-format off */
const struct command cmd_list[] = {
    {.name = "lindex", .arity = 3, .flags = CMD_READONLY, LIST, .since = "1.0.0",
     .syntax = "LINDEX key index", .summary = "Answers the element at an index.",
     .handler = lindex, .complexity = "O(N) in elements from the nearer end, in large steps"},
    {.name = "linsert", .arity = 5, .flags = GROW, LIST, .since = "2.2.0",
     .syntax = "LINSERT key <BEFORE | AFTER> pivot element",
     .summary = "Inserts an element beside another.", .handler = linsert,
     .complexity = "O(N) in elements before the pivot"},
    {.name = "llen", .arity = 2, .flags = CMD_READONLY | CMD_FAST, LIST, .since = "1.0.0",
     .syntax = "LLEN key", .summary = "Counts the elements.", .handler = llen,
     .complexity = "O(1)"},
    {.name = "lpop", .arity = -2, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, LIST,
     .since = "1.0.0", .syntax = "LPOP key [count]",
     .summary = "Removes and answers the first elements.", .handler = lpop,
     .complexity = "O(N) in elements answered"},
    {.name = "lpos", .arity = -3, .flags = CMD_READONLY, LIST, .since = "6.0.6",
     .syntax = "LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
     .summary = "Answers the indexes of the elements that equal one.", .handler = lpos,
     .complexity = "O(N) in elements looked at"},
    {.name = "lpush", .arity = -3, .flags = GROW | CMD_FAST, LIST, .since = "1.0.0",
     .syntax = "LPUSH key element [element ...]",
     .summary = "Puts elements before the first, one after the other.", .handler = lpush,
     .complexity = "O(N) in elements added"},
    {.name = "lpushx", .arity = -3, .flags = GROW | CMD_FAST, LIST, .since = "2.2.0",
     .syntax = "LPUSHX key element [element ...]", .summary = "LPUSH, if the list exists.",
     .handler = lpushx, .complexity = "O(N) in elements added"},
    {.name = "lrange", .arity = 4, .flags = CMD_READONLY, LIST, .since = "1.0.0",
     .syntax = "LRANGE key start stop", .summary = "Answers the elements of a range.",
     .handler = lrange, .complexity = "O(N) in elements answered, and the way to the first"},
    {.name = "lrem", .arity = 4, .flags = CMD_WRITE | CMD_SHRINKS, LIST, .since = "1.0.0",
     .syntax = "LREM key count element", .summary = "Removes elements that equal one.",
     .handler = lrem, .complexity = "O(N) in elements"},
    {.name = "lset", .arity = 4, .flags = GROW, LIST, .since = "1.0.0",
     .syntax = "LSET key index element", .summary = "Replaces the element at an index.",
     .handler = lset, .complexity = "O(N) in elements from the nearer end, in large steps"},
    {.name = "ltrim", .arity = 4, .flags = CMD_WRITE | CMD_SHRINKS, LIST, .since = "1.0.0",
     .syntax = "LTRIM key start stop", .summary = "Removes all elements but those of a range.",
     .handler = ltrim, .complexity = "O(N) in elements removed"},
    {.name = "rpop", .arity = -2, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, LIST,
     .since = "1.0.0", .syntax = "RPOP key [count]",
     .summary = "Removes and answers the last elements, the last one first.", .handler = rpop,
     .complexity = "O(N) in elements answered"},
    {.name = "rpush", .arity = -3, .flags = GROW | CMD_FAST, LIST, .since = "1.0.0",
     .syntax = "RPUSH key element [element ...]", .summary = "Puts elements behind the last.",
     .handler = rpush, .complexity = "O(N) in elements added"},
    {.name = "rpushx", .arity = -3, .flags = GROW | CMD_FAST, LIST, .since = "2.2.0",
     .syntax = "RPUSHX key element [element ...]", .summary = "RPUSH, if the list exists.",
     .handler = rpushx, .complexity = "O(N) in elements added"},
    {.name = NULL},
};
/* clang-format on */
