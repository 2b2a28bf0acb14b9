/* XDELEX and XACKDEL: entries are deleted with regard to the groups that refer to them. */
#include <stdlib.h>

#include "base/num.h"
#include "broker/change_stream.h"
#include "broker/group_args.h"
#include "broker/stream_args.h"

/* What is replied for each id. */
enum outcome { ABSENT = -1, DELETED = 1, KEPT = 2 };

struct deletion {
    enum stream_refs refs;
    struct stream_id *ids; /* as given */
    size_t count;
    struct stream_id *sorted; /* the same */
    bool *deleted;            /* of those, the first of equal ones */
};

/* ---- Arguments: [KEEPREF | DELREF | ACKED] IDS numids id ..., in any order ---- */

static bool parse_ids(struct call *c, size_t *i, struct deletion *d)
{
    int64_t n;
    const char *error = NULL;
    if (*i + 1 >= c->argc || !num_parse_i64(c->argv[*i + 1], &n) || n <= 0)
        error = "ERR Number of IDs must be a positive integer";
    else if ((uint64_t)n > c->argc - *i - 2)
        error = "ERR The `numids` parameter must match the number of arguments";
    if (error != NULL) {
        resp_error(c->reply, "%s", error);
        return false;
    }
    d->count = (size_t)n;
    d->ids = group_arg_ids(c, *i + 2, d->count);
    *i += 2 + d->count;
    return d->ids != NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return stream_id_cmp(*(const struct stream_id *)a, *(const struct stream_id *)b);
}

static bool parse(struct call *c, size_t from, struct deletion *d)
{
    bool given = false;
    *d = (struct deletion){.refs = STREAM_KEEPREF};
    for (size_t i = from; i < c->argc;) {
        if (d->ids == NULL && bytes_is_word(c->argv[i], "ids")) {
            if (!parse_ids(c, &i, d)) return false;
        } else if (!given && stream_arg_refs(c->argv[i], &d->refs)) {
            given = true;
            i++;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    if (d->ids == NULL) {
        call_error_syntax(c);
        return false;
    }
    d->sorted = arena_alloc(c->arena, d->count * sizeof *d->sorted);
    memcpy(d->sorted, d->ids, d->count * sizeof *d->sorted);
    qsort(d->sorted, d->count, sizeof *d->sorted, compare_ids);
    d->deleted = memset(arena_alloc(c->arena, d->count), 0, d->count);
    return true;
}

static void reply_absent(struct call *c, size_t n)
{
    resp_array(c->reply, n);
    for (size_t i = 0; i < n; i++) resp_int(c->reply, ABSENT);
}

/* ---- Deleting ---- */

/* The mark of an id: an id that is named twice is deleted once. */
static bool *mark_of(const struct deletion *d, struct stream_id id)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (stream_id_cmp(d->sorted[mid], id) < 0) low = mid + 1;
        else high = mid;
    }
    return &d->deleted[low];
}

/* Which of the ids are in the stream; NULL when they cannot be told yet. */
static bool *look_up(struct call *c, struct stream *s, const struct deletion *d)
{
    bool *there = arena_alloc(c->arena, d->count);
    int result = 0;
    for (size_t i = 0; i < d->count; i++) { /* all of them, so that all are asked for at once */
        int found = stream_exists(s, d->ids[i]);
        if (found < 0) result = found;
        there[i] = found == 1;
    }
    return stream_is_there(c, result) ? there : NULL;
}

/* What of the journal the references take that go: each is a record. `only`: the others' stay. */
static size_t refs_bytes(const struct key *k, const struct deletion *d, const struct group *only)
{
    enum { RECORD_BYTES = 64 };
    const struct groups *g = stream_of(k)->groups;
    size_t bytes = 0;
    for (size_t i = 0; i < groups_count(g); i++) {
        struct pending_entry e;
        if (only != NULL && g->list[i] != only) continue;
        for (size_t j = 0; j < d->count; j++)
            if (pending_get(&g->list[i]->pending, d->ids[j], &e))
                bytes += RECORD_BYTES + k->name_len + g->list[i]->name_len;
    }
    return bytes;
}

/* An entry that is there: marked as to be deleted, unless ACKED forbids. */
static enum outcome delete_one(struct call *c, struct key *k, struct deletion *d,
                               struct stream_id id, bool without_groups)
{
    const struct groups *g = stream_of(k)->groups;
    bool *mark = mark_of(d, id);
    if (*mark) return ABSENT;
    if (d->refs == STREAM_ACKED &&
        (groups_count(g) == 0 ? !without_groups : !groups_have_acknowledged(g, id)))
        return KEPT;
    if (d->refs == STREAM_DELREF) change_pending_drop_all(c, k, &id, 1);
    *mark = true;
    return DELETED;
}

static void delete_marked(struct call *c, struct key *k, struct deletion *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->deleted[i]) d->sorted[n++] = d->sorted[i];
    if (n == 0) return;
    change_stream_delete(c, k, d->sorted, n);
    call_event(c, NOTIFY_STREAM, "xdel", key_name(k));
}

/* ---- XDELEX ---- */

static void xdelex(struct call *c)
{
    struct deletion d;
    struct key *k;
    if (!parse(c, 2, &d) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    if (k == NULL) {
        reply_absent(c, d.count);
        return;
    }
    const bool *there = look_up(c, stream_of(k), &d);
    size_t bytes = d.refs == STREAM_DELREF ? refs_bytes(k, &d, NULL) : 0;
    if (there == NULL || !call_admit(c, bytes)) return;
    resp_array(c->reply, d.count);
    for (size_t i = 0; i < d.count; i++) {
        if (!there[i] && d.refs == STREAM_DELREF) change_pending_drop_all(c, k, &d.ids[i], 1);
        resp_int(c->reply, there[i] ? delete_one(c, k, &d, d.ids[i], false) : ABSENT);
    }
    delete_marked(c, k, &d);
}

/* ---- XACKDEL ---- */

/* What is not pending in the group is left alone; but references to what is not in the stream any
 * more go with DELREF, wherever they are. */
static enum outcome acknowledge(struct call *c, struct key *k, struct group *g, struct deletion *d,
                                size_t i, bool there)
{
    struct stream_id id = d->ids[i];
    bool pending = change_pending_drop(c, k, g, &id, 1) > 0;
    if (!there && d->refs == STREAM_DELREF) change_pending_drop_all(c, k, &id, 1);
    return there && pending ? delete_one(c, k, d, id, true) : ABSENT;
}

static void xackdel(struct call *c)
{
    struct deletion d;
    struct key *k;
    if (!parse(c, 3, &d) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    struct group *g = k == NULL ? NULL : groups_find(stream_of(k)->groups, c->argv[2]);
    if (g == NULL) {
        reply_absent(c, d.count);
        return;
    }
    const bool *there = look_up(c, stream_of(k), &d);
    size_t bytes = refs_bytes(k, &d, d.refs == STREAM_DELREF ? NULL : g);
    if (there == NULL || !call_admit(c, bytes)) return;
    resp_array(c->reply, d.count);
    for (size_t i = 0; i < d.count; i++) resp_int(c->reply, acknowledge(c, k, g, &d, i, there[i]));
    delete_marked(c, k, &d);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

const struct command cmd_stream_refs[] = {
    /* clang-format off */
    {.name = "xackdel", .arity = -6, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY, STREAM,
     .since = "8.2.0",
     .syntax = "XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
     .summary = "Acknowledges entries and deletes them: whatever other groups think of it, with "
                "their references, or once all groups have acknowledged.",
     .handler = xackdel, .complexity = "O(log N) for each id and group"},
    {.name = "xdelex", .arity = -5, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY, STREAM,
     .since = "8.2.0", .syntax = "XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
     .summary = "Deletes entries: whatever groups think of it, with their references, or those "
                "that all groups have acknowledged.",
     .handler = xdelex, .complexity = "O(log N) for each id and group"},
    {.name = NULL},
    /* clang-format on */
};
