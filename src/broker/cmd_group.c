/* XGROUP: groups and their consumers come, move and go. */
#include "broker/change_stream.h"
#include "broker/group_args.h"
#include "broker/stream_args.h"

/* argv: XGROUP subcommand key group ... */
enum { ARG_KEY = 2, ARG_GROUP = 3, ARG_ID = 4, ARG_CONSUMER = 4, ARG_OPTIONS = 5 };
/* More are too many, even if each makes sense: which Redis notices behind the key and the group. */
enum { CREATE_ARGS_MAX = 8, SETID_ARGS_MAX = 7 };

static bool error_no_key(struct call *c)
{
    resp_error(c->reply,
               "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
               "want to use the MKSTREAM option to create an empty stream automatically.");
    return false;
}

static bool find_key(struct call *c, struct key **ret)
{
    if (!call_write_typed(c, c->argv[ARG_KEY], KEY_STREAM, ret)) return false;
    return *ret != NULL || error_no_key(c);
}

static bool find_group(struct call *c, struct key **ret_key, struct group **ret_group)
{
    if (!find_key(c, ret_key)) return false;
    *ret_group = groups_find(stream_of(*ret_key)->groups, c->argv[ARG_GROUP]);
    if (*ret_group != NULL) return true;
    group_error_missing(c, GROUP_OF_KEY, c->argv[ARG_KEY], c->argv[ARG_GROUP]);
    return false;
}

/* ---- CREATE and SETID ---- */

static bool error_arguments(struct call *c)
{
    resp_error(c->reply,
               "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP HELP.",
               (int)c->argv[1].len, c->argv[1].data);
    return false;
}

/* ENTRIESREAD is checked and then passed over: what was read is always counted exactly. */
static bool parse_options(struct call *c, bool *ret_make)
{
    for (size_t i = ARG_OPTIONS; i < c->argc; i++) {
        int64_t read;
        if (ret_make != NULL && bytes_is_word(c->argv[i], "mkstream")) {
            *ret_make = true;
        } else if (bytes_is_word(c->argv[i], "entriesread") && i + 1 < c->argc) {
            if (!call_int(c, c->argv[++i], &read)) return false;
            if (read < -1) {
                resp_error(c->reply, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            return error_arguments(c);
        }
    }
    return true;
}

/* Where "$" or an id is in the stream; s is NULL for one that is about to be made. SETID alone
 * knows "-" and "+", too. */
static bool parse_place(struct call *c, struct stream *s, bool ends, struct stream_id *ret_id,
                        uint64_t *ret_ordinal)
{
    struct bytes arg = c->argv[ARG_ID];
    bool is_end = ends && arg.len == 1 && (arg.data[0] == '-' || arg.data[0] == '+');
    bool at_end = arg.len == 1 && arg.data[0] == '$';
    *ret_ordinal = s != NULL ? s->next_ordinal : 0;
    *ret_id = s != NULL ? s->last_id : STREAM_ID_MIN;
    if (at_end) return true;
    if (is_end) *ret_id = arg.data[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    else if (!stream_arg_id(c, arg, 0, ret_id)) return false;
    if (s == NULL && stream_id_cmp(*ret_id, STREAM_ID_MIN) > 0) *ret_ordinal = GROUP_AHEAD;
    return s == NULL || group_ordinal_at(c, s, *ret_id, ret_ordinal);
}

static void create(struct call *c)
{
    struct key *k;
    struct stream_id id;
    uint64_t ordinal;
    bool make = false;
    struct bytes key = c->argv[ARG_KEY], name = c->argv[ARG_GROUP];
    if (!parse_options(c, &make) || !call_write_typed(c, key, KEY_STREAM, &k)) return;
    if (k == NULL && !make) {
        error_no_key(c);
        return;
    }
    if (c->argc > CREATE_ARGS_MAX) {
        error_arguments(c);
        return;
    }
    if (!parse_place(c, k != NULL ? stream_of(k) : NULL, false, &id, &ordinal)) return;
    if (k != NULL && groups_find(stream_of(k)->groups, name) != NULL) {
        resp_error(c->reply, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    if (k == NULL) k = change_stream_set(c, NULL, key, STREAM_ID_MIN, 0, STREAM_ID_MIN);
    change_group_set(c, k, NULL, name, id, ordinal);
    call_event(c, NOTIFY_STREAM, "xgroup-create", key);
    resp_simple(c->reply, "OK");
}

static void setid(struct call *c)
{
    struct key *k;
    struct group *g;
    struct stream_id id;
    uint64_t ordinal;
    if (!parse_options(c, NULL) || !find_group(c, &k, &g)) return;
    if (c->argc > SETID_ARGS_MAX) {
        error_arguments(c);
        return;
    }
    if (!parse_place(c, stream_of(k), true, &id, &ordinal)) return;
    change_group_set(c, k, g, c->argv[ARG_GROUP], id, ordinal);
    c->fx->ready = true; /* who waits may have something now */
    call_event(c, NOTIFY_STREAM, "xgroup-setid", c->argv[ARG_KEY]);
    resp_simple(c->reply, "OK");
}

static void destroy(struct call *c)
{
    struct key *k;
    if (!find_key(c, &k)) return;
    struct group *g = groups_find(stream_of(k)->groups, c->argv[ARG_GROUP]);
    if (g != NULL) {
        change_group_destroy(c, k, g);
        call_event(c, NOTIFY_STREAM, "xgroup-destroy", c->argv[ARG_KEY]);
    }
    resp_int(c->reply, g != NULL);
}

/* ---- Consumers ---- */

static void createconsumer(struct call *c)
{
    struct key *k;
    struct group *g;
    if (!find_group(c, &k, &g)) return;
    bool is_new = group_consumer(g, c->argv[ARG_CONSUMER]) == NULL;
    group_need_consumer(c, k, g, c->argv[ARG_CONSUMER]);
    resp_int(c->reply, is_new);
}

static void delete_consumer(struct call *c, struct key *k, struct group *g, struct consumer *of)
{
    change_consumer_delete(c, k, g, of);
    call_event(c, NOTIFY_STREAM, "xgroup-delconsumer", c->argv[ARG_KEY]);
}

static void delconsumer(struct call *c)
{
    struct key *k;
    struct group *g;
    if (!find_group(c, &k, &g)) return;
    struct consumer *of = group_consumer(g, c->argv[ARG_CONSUMER]);
    uint64_t pending = of != NULL ? of->pending : 0;
    if (of != NULL) delete_consumer(c, k, g, of);
    resp_int(c->reply, (int64_t)pending);
}

/* To whom: the consumer named behind TO, else the one without a name, which stands for the group:
 * nobody reads as it, and whoever claims has what is there at once. */
static bool parse_heir(struct call *c, struct bytes *ret)
{
    enum { ARG_TO = 5, ARG_HEIR };
    *ret = (struct bytes){"", 0};
    if (c->argc == ARG_TO) return true;
    if (c->argc != ARG_HEIR + 1 || !bytes_is_word(c->argv[ARG_TO], "to")) {
        call_error_syntax(c);
        return false;
    }
    *ret = c->argv[ARG_HEIR];
    if (!bytes_eq(*ret, c->argv[ARG_CONSUMER])) return true;
    resp_error(c->reply, "ERR a consumer cannot be replaced by itself");
    return false;
}

static void replaceconsumer(struct call *c)
{
    struct key *k;
    struct group *g;
    struct bytes heir;
    if (!parse_heir(c, &heir) || !find_group(c, &k, &g)) return;
    struct consumer *of = group_consumer(g, c->argv[ARG_CONSUMER]);
    uint64_t pending = of != NULL ? of->pending : 0;
    if (pending > 0) {
        struct consumer *to = group_consumer(g, heir);
        if (to == NULL) to = group_need_consumer(c, k, g, heir);
        change_consumer_give(c, k, g, of, to, heir.len == 0 ? 0 : PENDING_TIME_STAYS);
        if (heir.len == 0) c->fx->ready = true; /* who waits to claim has it at once */
    }
    if (of != NULL) delete_consumer(c, k, g, of);
    resp_int(c->reply, (int64_t)pending);
}

static void help(struct call *c)
{
    static const char *const lines[] = {
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "REPLACECONSUMER <key> <groupname> <consumer> [TO <consumer>]",
        "    Remove the consumer and hand on what it has pending, to the other or to the group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        "HELP",
        "    Prints this help.",
        NULL};
    call_help(c, lines);
}

#define KEY_2  .first_key = 2, .last_key = 2, .key_step = 1
#define STREAM .acl = ACL_STREAM, .group = "stream"

static const struct command xgroup_subcommands[] = {
    /* clang-format off */
    {.name = "create", .arity = -5, .flags = CMD_WRITE | CMD_DENYOOM, KEY_2, STREAM,
     .since = "5.0.0",
     .syntax = "XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
     .summary = "Creates a consumer group.", .handler = create, .complexity = "O(1)"},
    {.name = "createconsumer", .arity = 5, .flags = CMD_WRITE | CMD_DENYOOM, KEY_2, STREAM,
     .since = "6.2.0", .syntax = "XGROUP CREATECONSUMER key group consumer",
     .summary = "Creates a consumer in a consumer group.", .handler = createconsumer,
     .complexity = "O(1)"},
    {.name = "delconsumer", .arity = 5, .flags = CMD_WRITE | CMD_SHRINKS, KEY_2, STREAM,
     .since = "5.0.0", .syntax = "XGROUP DELCONSUMER key group consumer",
     .summary = "Deletes a consumer of a group, and what it has pending.", .handler = delconsumer,
     .complexity = "O(N) with N entries pending"},
    {.name = "destroy", .arity = 4, .flags = CMD_WRITE | CMD_SHRINKS, KEY_2, STREAM,
     .since = "5.0.0", .syntax = "XGROUP DESTROY key group",
     .summary = "Destroys a consumer group.", .handler = destroy,
     .complexity = "O(N) with N entries pending"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, STREAM, .since = "5.0.0",
     .syntax = "XGROUP HELP", .summary = "Says what the subcommands are.", .handler = help,
     .complexity = "O(1)"},
    {.name = "replaceconsumer", .arity = -5, .flags = CMD_WRITE | CMD_SHRINKS, KEY_2, STREAM,
     .since = "0.1.0", .syntax = "XGROUP REPLACECONSUMER key group consumer [TO consumer]",
     .summary = "Deletes a consumer and hands on what it has pending: to another consumer, or back "
                "to the group, for whoever claims.",
     .handler = replaceconsumer, .complexity = "O(N) with N entries pending"},
    {.name = "setid", .arity = -5, .flags = CMD_WRITE, KEY_2, STREAM, .since = "5.0.0",
     .syntax = "XGROUP SETID key group <id | $> [ENTRIESREAD entries-read]",
     .summary = "Sets the last delivered id of a consumer group.", .handler = setid,
     .complexity = "O(1)"},
    {.name = NULL},
    /* clang-format on */
};

const struct command cmd_group[] = {
    /* clang-format off */
    {.name = "xgroup", .arity = -2, .group = "stream", .since = "5.0.0", .syntax = "XGROUP",
     .summary = "Consumer groups of streams.", .subcommands = xgroup_subcommands,
     .complexity = "Depends on subcommand."},
    {.name = NULL},
    /* clang-format on */
};
