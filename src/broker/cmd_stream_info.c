/* XINFO: what is known of a stream. */
#include "broker/stream_args.h"
#include "keys/stream_group.h"

static void field_int(struct call *c, const char *name, uint64_t n)
{
    resp_bulk_str(c->reply, name);
    resp_int(c->reply, (int64_t)n);
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
}

static void reply_retention(struct call *c, const struct stream *s)
{
    uint64_t memory, disk;
    stream_bytes(s, &memory, &disk);
    field_int(c, "bytes-in-memory", memory);
    field_int(c, "bytes-on-disk", disk);
    field_int(c, "retention-age-ms", (uint64_t)s->retention.age_ms);
    field_int(c, "retention-bytes", s->retention.bytes);
    field_int(c, "retention-acknowledged", s->retention.acknowledged);
}

static void stream_summary(struct call *c, struct stream *s)
{
    struct stream_entry first = {0}, last = {0};
    int a = find_end(s, stream_first, &first), b = find_end(s, stream_last, &last);
    if (!stream_is_there(c, a) || !stream_is_there(c, b)) return;
    resp_map(c->reply, 15);
    reply_figures(c, s, first.id);
    field_int(c, "groups", groups_count(s->groups));
    field_entry(c, "first-entry", &first);
    field_entry(c, "last-entry", &last);
    reply_retention(c, s);
}

static void xinfo_stream(struct call *c)
{
    struct key *k;
    if (!call_read_typed(c, c->argv[2], KEY_STREAM, &k)) return;
    if (k == NULL) resp_error(c->reply, "ERR no such key");
    else if (c->argc > 3)
        resp_error(c->reply, "ERR unknown subcommand or wrong number of arguments "
                             "for 'STREAM'. Try XINFO HELP.");
    else stream_summary(c, stream_of(k));
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
