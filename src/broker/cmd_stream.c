/* Streams: adding, deleting, trimming. Reading is in cmd_stream_read.c. */
#include <errno.h>
#include <stdlib.h>

#include "broker/change_idmp.h"
#include "broker/change_stream.h"
#include "broker/cmd_stream_idmp.h"
#include "broker/durable.h"
#include "broker/stream_refs.h"

enum { IDMP_RECORD_BYTES = 128 }; /* beside its texts */

/* ---- XADD ---- */

struct add {
    bool no_make;
    bool any_ms, any_seq; /* "*", "ms-*" */
    struct stream_id id;
    struct stream_trim_args trim;
    struct idmp_args idmp;
    const struct bytes *fields;
    size_t field_count;
};

static bool parse_add_id(struct call *c, struct bytes arg, struct add *a)
{
    a->any_ms = arg.len == 1 && arg.data[0] == '*';
    if (a->any_ms) return true;
    a->any_seq = arg.len > 2 && arg.data[arg.len - 1] == '*' && arg.data[arg.len - 2] == '-';
    if (a->any_seq) arg.len -= 2;
    return stream_arg_id(c, arg, 0, &a->id);
}

/* Options up to the id, which is whatever is none of them. */
static bool parse_add_options(struct call *c, struct add *a, size_t *i)
{
    while (*i < c->argc) {
        struct bytes arg = c->argv[*i];
        if (arg.len == 1 && arg.data[0] == '*') break; /* nearly always, and at once */
        int taken = stream_arg_trim(c, i, &a->trim);
        if (taken == 0) taken = idmp_parse(c, i, &a->idmp);
        if (taken < 0) return false;
        if (taken > 0) continue;
        if (!bytes_is_word(arg, "nomkstream")) break;
        a->no_make = true;
        ++*i;
    }
    return true;
}

static bool parse_add(struct call *c, struct add *a)
{
    size_t i = 2;
    if (!parse_add_options(c, a, &i)) return false;
    if (i < c->argc && !parse_add_id(c, c->argv[i], a)) return false;
    if (!stream_arg_trim_end(c, &a->trim)) return false;
    a->field_count = i < c->argc ? c->argc - i - 1 : 0;
    a->fields = c->argv + i + 1;
    if (a->field_count == 0 || a->field_count % 2 != 0) {
        call_error_arity(c);
        return false;
    }
    if (!a->any_ms && !a->any_seq && a->id.ms == 0 && a->id.seq == 0) {
        resp_error(c->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return false;
    }
    return idmp_parse_end(c, &a->idmp, !a->any_ms, a->fields, a->field_count);
}

/* The id behind `last` that was asked for; false when there is none. */
static bool next_id(const struct call *c, const struct add *a, struct stream_id last,
                    struct stream_id *ret)
{
    uint64_t ms = a->any_ms ? (uint64_t)c->now_ms : a->id.ms;
    if (!a->any_ms && !a->any_seq) {
        *ret = a->id;
        return stream_id_cmp(a->id, last) > 0;
    }
    if (ms > last.ms) {
        *ret = (struct stream_id){ms, 0};
        return true;
    }
    *ret = last;
    return (a->any_ms || ms == last.ms) && stream_id_next(ret) && (a->any_ms || ret->ms == ms);
}

static bool choose_id(struct call *c, const struct add *a, struct stream_id last,
                      struct stream_id *ret)
{
    if (stream_id_cmp(last, STREAM_ID_MAX) == 0) {
        resp_error(c->reply, "ERR The stream has exhausted the last possible ID, unable to add "
                             "more items");
        return false;
    }
    if (next_id(c, a, last, ret)) return true;
    resp_error(c->reply, "ERR The ID specified in XADD is equal or smaller than the target stream "
                         "top item");
    return false;
}

/* What a trim would do to the stream once the entry `id` has been added: as stream_trim_plan(). */
static int plan_trim(struct stream *s, const struct stream_trim *t, struct stream_id id,
                     struct stream_id *ret_keep_from, uint64_t *ret_gone)
{
    struct stream_trim before = *t;
    uint64_t there = s == NULL ? 0 : s->length;
    bool all = t->by_id ? stream_id_cmp(id, t->min_id) < 0 : t->length == 0;
    if (!t->by_id && t->length > 0) before.length--;
    *ret_gone = 0;
    int result = s == NULL ? 0 : stream_trim_plan(s, &before, ret_keep_from, ret_gone);
    if (result < 0 || !all || *ret_gone < there) return result;
    if (t->limit > 0 && *ret_gone >= t->limit) return 0;
    *ret_keep_from = id; /* the new one goes too */
    stream_id_next(ret_keep_from);
    ++*ret_gone;
    return 0;
}

static void xadd(struct call *c)
{
    struct add a = {0};
    struct key *k;
    struct stream_id id, keep_from = STREAM_ID_MIN;
    struct stream_cut cut;
    uint64_t gone = 0;
    if (!parse_add(c, &a) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    if (k == NULL && a.no_make) {
        resp_null(c->reply);
        return;
    }
    struct stream *s = k == NULL ? NULL : stream_of(k);
    if (idmp_reply_duplicate(c, s, &a.idmp)) return;
    if (!choose_id(c, &a, s == NULL ? STREAM_ID_MIN : s->last_id, &id)) return;
    if (a.trim.given && !stream_is_there(c, plan_trim(s, &a.trim.trim, id, &keep_from, &gone)))
        return;
    if (!stream_is_there(c, stream_cut_plan(c, s, &a.trim, keep_from, gone, &cut))) return;
    size_t more = change_stream_add_bytes(k, id) + stream_cut_bytes(k, &cut);
    if (a.idmp.given) more += c->argv[1].len + IDMP_RECORD_BYTES;
    if (more > 0 && !call_admit(c, more)) return;
    k = change_stream_add(c, k, c->argv[1], id, a.fields, a.field_count);
    if (a.idmp.given) change_idmp_add(c, k, a.idmp.pid, a.idmp.iid, id);
    durable_added(c, k, id, a.fields, a.field_count);
    stream_reply_id(c, id);
    call_event(c, NOTIFY_STREAM, "xadd", c->argv[1]);
    if (stream_cut_count(&cut) == 0) return;
    stream_cut_do(c, k, &cut);
    call_event(c, NOTIFY_STREAM, "xtrim", c->argv[1]);
}

/* ---- XDEL ---- */

static bool parse_ids(struct call *c, size_t first, struct stream_id *ret)
{
    for (size_t i = first; i < c->argc; i++)
        if (!stream_arg_id(c, c->argv[i], 0, &ret[i - first])) return false;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    return stream_id_cmp(*(const struct stream_id *)a, *(const struct stream_id *)b);
}

/* Sorted, each once: ids that arrive in order, as they mostly do, are looked at only once. */
static size_t sort_ids(struct stream_id *ids, size_t n)
{
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++) sorted = stream_id_cmp(ids[i - 1], ids[i]) < 0;
    if (sorted) return n;
    qsort(ids, n, sizeof *ids, compare_ids);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (stream_id_cmp(ids[i], ids[kept - 1]) != 0) ids[kept++] = ids[i];
    return kept;
}

/* Leaves those that are there; their number, or negative when that cannot be told yet. Asks for all
 * that is missing at once. */
static int64_t keep_existing(struct stream *s, struct stream_id *ids, size_t n)
{
    int result = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        int there = stream_exists(s, ids[i]);
        if (there < 0 && (result == 0 || result == -EAGAIN)) result = there;
        if (there > 0) ids[kept++] = ids[i];
    }
    return result < 0 ? result : (int64_t)kept;
}

static void xdel(struct call *c)
{
    struct key *k;
    if (!call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    size_t n = c->argc - 2;
    struct stream_id *ids = arena_alloc(c->arena, n * sizeof *ids);
    if (k == NULL) {
        resp_int(c->reply, 0);
        return;
    }
    if (!parse_ids(c, 2, ids)) return;
    int64_t there = keep_existing(stream_of(k), ids, sort_ids(ids, n));
    if (!stream_is_there(c, there)) return;
    resp_int(c->reply, there);
    if (there == 0) return;
    change_stream_delete(c, k, ids, (size_t)there);
    call_event(c, NOTIFY_STREAM, "xdel", c->argv[1]);
}

/* ---- XTRIM ---- */

static bool parse_trim(struct call *c, struct stream_trim_args *a)
{
    for (size_t i = 2; i < c->argc;) {
        int taken = stream_arg_trim(c, &i, a);
        if (taken == 0) call_error_syntax(c);
        if (taken <= 0) return false;
    }
    return stream_arg_trim_end(c, a);
}

static void xtrim(struct call *c)
{
    struct stream_trim_args a = {0};
    struct key *k;
    struct stream_id keep_from = STREAM_ID_MIN;
    struct stream_cut cut;
    uint64_t gone = 0;
    if (!parse_trim(c, &a) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    if (k != NULL &&
        !stream_is_there(c, stream_trim_plan(stream_of(k), &a.trim, &keep_from, &gone)))
        return;
    struct stream *s = k == NULL ? NULL : stream_of(k);
    if (!stream_is_there(c, stream_cut_plan(c, s, &a, keep_from, gone, &cut))) return;
    bool goes = stream_cut_count(&cut) > 0;
    if (goes && !call_admit(c, stream_cut_bytes(k, &cut))) return;
    resp_int(c->reply, (int64_t)stream_cut_count(&cut));
    if (!goes) return;
    stream_cut_do(c, k, &cut);
    call_event(c, NOTIFY_STREAM, "xtrim", c->argv[1]);
}

/* ---- XSETID ---- */

struct set_id {
    struct stream_id last_id, max_deleted_id;
    int64_t entries_added; /* -1: not given */
    bool max_deleted;
};

static bool parse_set_id_option(struct call *c, size_t i, struct set_id *a)
{
    if (i + 1 < c->argc && bytes_is_word(c->argv[i], "entriesadded")) {
        if (!call_int(c, c->argv[i + 1], &a->entries_added)) return false;
        if (a->entries_added >= 0) return true;
        resp_error(c->reply, "ERR entries_added must be positive");
        return false;
    }
    if (i + 1 < c->argc && bytes_is_word(c->argv[i], "maxdeletedid")) {
        if (!stream_arg_id(c, c->argv[i + 1], 0, &a->max_deleted_id)) return false;
        a->max_deleted = true;
        if (stream_id_cmp(a->last_id, a->max_deleted_id) >= 0) return true;
        resp_error(c->reply, "ERR The ID specified in XSETID is smaller than the provided "
                             "max_deleted_entry_id");
        return false;
    }
    call_error_syntax(c);
    return false;
}

static bool parse_set_id(struct call *c, struct set_id *a)
{
    *a = (struct set_id){.entries_added = -1};
    if (!stream_arg_id(c, c->argv[2], 0, &a->last_id)) return false;
    for (size_t i = 3; i < c->argc; i += 2)
        if (!parse_set_id_option(c, i, a)) return false;
    return true;
}

static bool may_set_id(struct call *c, struct stream *s, const struct set_id *a)
{
    struct stream_id last;
    int there = stream_last(s, &last);
    if (!stream_is_there(c, there)) return false;
    if (there > 0 && stream_id_cmp(a->last_id, last) < 0) {
        resp_error(c->reply, "ERR The ID specified in XSETID is smaller than the target stream "
                             "top item");
        return false;
    }
    if (a->entries_added >= 0 && (uint64_t)a->entries_added < s->length) {
        resp_error(c->reply, "ERR The entries_added specified in XSETID is smaller than the "
                             "target stream length");
        return false;
    }
    return true;
}

static void xsetid(struct call *c)
{
    struct set_id a;
    struct key *k;
    if (!parse_set_id(c, &a) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    if (k == NULL) {
        resp_error(c->reply, "ERR no such key");
        return;
    }
    struct stream *s = stream_of(k);
    if (!may_set_id(c, s, &a)) return;
    bool given = a.max_deleted && stream_id_cmp(a.max_deleted_id, STREAM_ID_MIN) > 0;
    change_stream_set(c, k, c->argv[1], a.last_id,
                      a.entries_added >= 0 ? (uint64_t)a.entries_added : s->entries_added,
                      given ? a.max_deleted_id : s->max_deleted_id);
    resp_simple(c->reply, "OK");
    call_event(c, NOTIFY_STREAM, "xsetid", c->argv[1]);
}

#define ONE_KEY .first_key = 1, .last_key = 1, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

/* clang-format off */
const struct command cmd_stream[] = {
    {.name = "xadd", .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, ONE_KEY, STREAM,
     .since = "5.0.0",
     .syntax = "XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [IDMPAUTO producer-id | IDMP "
               "producer-id idempotent-id] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] "
               "<* | id> field value [field value ...]",
     .summary = "Adds an entry to a stream, and perhaps trims it. Creates the key if absent.",
     .handler = xadd,
     .complexity = "O(1); trimming O(N) in blocks removed"},
    {.name = "xdel", .arity = -3, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ONE_KEY, STREAM,
     .since = "5.0.0", .syntax = "XDEL key id [id ...]",
     .summary = "Deletes entries and answers how many there were.", .handler = xdel,
     .complexity = "O(log B) in blocks, for each entry"},
    {.name = "xsetid", .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, ONE_KEY, STREAM,
     .since = "5.0.0",
     .syntax = "XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
     .summary = "Sets the last id of a stream, behind which the next entry comes.",
     .handler = xsetid, .complexity = "O(1)"},
    {.name = "xtrim", .arity = -4, .flags = CMD_WRITE | CMD_SHRINKS, ONE_KEY, STREAM,
     .since = "5.0.0",
     .syntax = "XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | "
               "ACKED]",
     .summary = "Removes the oldest entries of a stream.", .handler = xtrim,
     .complexity = "O(N) in blocks removed"},
    {.name = NULL},
};
/* clang-format on */
