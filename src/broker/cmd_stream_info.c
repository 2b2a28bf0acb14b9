/* XINFO: what is known of a stream and its groups. */
#include "broker/group_reply.h"
#include "broker/retention.h"
#include "broker/stream_args.h"
#include "keys/stream_idmp.h"

static void field_int(struct call *c, const char *name, uint64_t n)
{
    resp_bulk_str(c->reply, name);
    resp_int(c->reply, (int64_t)n);
}

/* Shown where it is in use. */
static size_t idmp_fields(const struct stream *s)
{
    enum { FIELDS = 6 };
    return s->idmp != NULL ? FIELDS : 0;
}

static void reply_idmp(struct call *c, const struct stream *s)
{
    struct stream_idmp *m = s->idmp;
    if (m == NULL) return;
    idmp_expire(m, c->now_ms);
    field_int(c, "idmp-duration", m->duration_s);
    field_int(c, "idmp-maxsize", m->maxsize);
    field_int(c, "pids-tracked", map_count(&m->producers));
    field_int(c, "iids-tracked", m->tracked);
    field_int(c, "iids-added", m->added);
    field_int(c, "iids-duplicates", m->duplicates);
}

static void field_id(struct call *c, const char *name, struct stream_id id)
{
    resp_bulk_str(c->reply, name);
    stream_reply_id(c, id);
}

static void field_entry(struct call *c, const char *name, const struct stream_entry *e)
{
    resp_bulk_str(c->reply, name);
    if (e->wire.len == 0) resp_null(c->reply);
    else buf_put(c->reply->out, e->wire);
}

/* One end of a stream; without bytes when it is empty. */
static int find_end(struct stream *s, int (*end)(struct stream *s, struct stream_id *ret),
                    struct stream_entry *ret)
{
    struct stream_id id;
    int result = end(s, &id);
    return result <= 0 ? result : stream_find(s, id, ret);
}

/* Redis's figures of its radix tree are here those of the index: a node per block and its root. */
static void reply_figures(struct call *c, const struct stream *s, struct stream_id first)
{
    size_t blocks = stream_blocks(s);
    field_int(c, "length", s->length);
    field_int(c, "radix-tree-keys", blocks);
    field_int(c, "radix-tree-nodes", blocks + 1);
    field_id(c, "last-generated-id", s->last_id);
    field_id(c, "max-deleted-entry-id", s->max_deleted_id);
    field_int(c, "entries-added", s->entries_added);
    field_id(c, "recorded-first-entry-id", first);
    reply_idmp(c, s);
}

/* leat's own: where the bytes are, and which retention holds. */
static void reply_own(struct call *c, const struct stream *s)
{
    static const char *const sources[] = {"none", "stream", "pattern"};
    struct stream_retention keep;
    enum retention_source source = retention_of(c->broker, c->argv[2], s, &keep);
    uint64_t memory, disk;
    stream_bytes(s, &memory, &disk);
    field_int(c, "bytes-in-memory", memory);
    field_int(c, "bytes-on-disk", disk);
    resp_bulk_str(c->reply, "retention");
    resp_bulk_str(c->reply, sources[source]);
    field_int(c, "retention-age-ms", (uint64_t)keep.age_ms);
    field_int(c, "retention-bytes", keep.bytes);
    field_int(c, "retention-until-acked", keep.acknowledged);
}

static void stream_summary(struct call *c, struct stream *s)
{
    struct stream_entry first = {0}, last = {0};
    int a = find_end(s, stream_first, &first), b = find_end(s, stream_last, &last);
    if (!stream_is_there(c, a) || !stream_is_there(c, b)) return;
    resp_map(c->reply, 16 + idmp_fields(s));
    reply_figures(c, s, first.id);
    field_int(c, "groups", groups_count(s->groups));
    field_entry(c, "first-entry", &first);
    field_entry(c, "last-entry", &last);
    reply_own(c, s);
}

static void stream_full(struct call *c, struct stream *s, uint64_t max)
{
    struct stream_id first = STREAM_ID_MIN;
    int there = stream_first(s, &first);
    int64_t n = stream_prepare_reply(s, STREAM_ID_MIN, STREAM_ID_MAX, false, max);
    if (!stream_is_there(c, there) || !stream_is_there(c, n) || !group_reply_prepare(c, s)) return;
    resp_map(c->reply, 15 + idmp_fields(s));
    reply_figures(c, s, first);
    resp_bulk_str(c->reply, "entries");
    if (!stream_reply_entries(c, s, STREAM_ID_MIN, STREAM_ID_MAX, false, (uint64_t)n)) return;
    resp_bulk_str(c->reply, "groups");
    group_reply_full(c, s, max);
    reply_own(c, s);
}

static bool find_stream(struct call *c, struct key **ret)
{
    if (!call_read_typed(c, c->argv[2], KEY_STREAM, ret)) return false;
    if (*ret == NULL) resp_error(c->reply, "ERR no such key");
    return *ret != NULL;
}

/* FULL [COUNT count]; how many are listed, 0: none of it was given. */
static bool parse_full(struct call *c, uint64_t *ret_max)
{
    enum { COUNT_DEFAULT = 10 };
    int64_t n = COUNT_DEFAULT;
    *ret_max = 0;
    if (c->argc == 3) return true;
    bool good = (c->argc == 4 || c->argc == 6) && bytes_is_word(c->argv[3], "full") &&
                (c->argc == 4 || bytes_is_word(c->argv[4], "count"));
    if (!good) {
        resp_error(c->reply,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO "
                   "HELP.",
                   (int)c->argv[1].len, c->argv[1].data);
        return false;
    }
    if (c->argc == 6 && !call_int(c, c->argv[5], &n)) return false;
    *ret_max = n < 0 ? COUNT_DEFAULT : n == 0 ? UINT64_MAX : (uint64_t)n;
    return true;
}

static void xinfo_stream(struct call *c)
{
    struct key *k;
    uint64_t max;
    if (!find_stream(c, &k) || !parse_full(c, &max)) return;
    if (max > 0) stream_full(c, stream_of(k), max);
    else stream_summary(c, stream_of(k));
}

static void xinfo_groups(struct call *c)
{
    struct key *k;
    if (find_stream(c, &k) && group_reply_prepare(c, stream_of(k)))
        group_reply_all(c, stream_of(k));
}

static void xinfo_consumers(struct call *c)
{
    struct key *k;
    if (!find_stream(c, &k)) return;
    const struct group *g = groups_find(stream_of(k)->groups, c->argv[3]);
    if (g == NULL) group_error_missing(c, GROUP_OF_KEY, c->argv[2], c->argv[3]);
    else group_reply_consumers(c, g);
}

static void help(struct call *c)
{
    static const char *const lines[] = {
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    The consumers of a group.",
        "GROUPS <key>",
        "    The groups of a stream.",
        "STREAM <key> [FULL [COUNT <count>]]",
        "    What is known of a stream.",
        "HELP",
        "    This text.",
        NULL,
    };
    call_help(c, lines);
}

#define SUB_KEY .first_key = 2, .last_key = 2, .key_step = 1
#define STREAM  .acl = ACL_STREAM, .group = "stream"

/* clang-format off */
static const struct command xinfo_subcommands[] = {
    {.name = "consumers", .arity = 4, .flags = CMD_READONLY, SUB_KEY, STREAM, .since = "5.0.0",
     .syntax = "XINFO CONSUMERS key group", .summary = "Lists the consumers of a group.",
     .handler = xinfo_consumers, .complexity = "O(N) with N consumers"},
    {.name = "groups", .arity = 3, .flags = CMD_READONLY, SUB_KEY, STREAM, .since = "5.0.0",
     .syntax = "XINFO GROUPS key", .summary = "Lists the consumer groups of a stream.",
     .handler = xinfo_groups, .complexity = "O(N) with N groups"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, STREAM, .since = "5.0.0",
     .syntax = "XINFO HELP", .summary = "Answers what subcommands there are.", .handler = help,
     .complexity = "O(1)"},
    {.name = "stream", .arity = -3, .flags = CMD_READONLY, SUB_KEY, STREAM, .since = "5.0.0",
     .syntax = "XINFO STREAM key [FULL [COUNT count]]",
     .summary = "Answers what is known of a stream.", .handler = xinfo_stream,
     .complexity = "O(1)"},
    {.name = NULL},
};

const struct command cmd_stream_info[] = {
    {.name = "xinfo", .arity = -2, .group = "stream", .since = "5.0.0",
     .syntax = "XINFO <CONSUMERS | GROUPS | HELP | STREAM>",
     .summary = "What is known of streams, groups and consumers.",
     .subcommands = xinfo_subcommands},
    {.name = NULL},
};
/* clang-format on */
