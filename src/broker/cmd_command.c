/* COMMAND: the table of commands, as clients ask for it. */
#include <stdio.h>

#include "broker/internal.h"
#include "broker/key_specs.h"

struct name_of_bit {
    unsigned bit;
    const char *name;
};

/* In the order COMMAND INFO lists them. */
static const struct name_of_bit flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_MAY_REPLICATE, "may_replicate"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
};

static const struct name_of_bit acl_names[] = {
    {ACL_KEYSPACE, "@keyspace"},
    {ACL_READ, "@read"},
    {ACL_WRITE, "@write"},
    {ACL_SET, "@set"},
    {ACL_SORTEDSET, "@sortedset"},
    {ACL_LIST, "@list"},
    {ACL_HASH, "@hash"},
    {ACL_STRING, "@string"},
    {ACL_BITMAP, "@bitmap"},
    {ACL_HYPERLOGLOG, "@hyperloglog"},
    {ACL_GEO, "@geo"},
    {ACL_STREAM, "@stream"},
    {ACL_PUBSUB, "@pubsub"},
    {ACL_ADMIN, "@admin"},
    {ACL_FAST, "@fast"},
    {ACL_SLOW, "@slow"},
    {ACL_BLOCKING, "@blocking"},
    {ACL_DANGEROUS, "@dangerous"},
    {ACL_CONNECTION, "@connection"},
    {ACL_TRANSACTION, "@transaction"},
    {ACL_SCRIPTING, "@scripting"},
};

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* What the flags imply, as Redis derives it. */
static unsigned acl_of(const struct command *cmd)
{
    unsigned acl = cmd->acl;
    if (cmd->flags & CMD_WRITE) acl |= ACL_WRITE;
    if ((cmd->flags & CMD_READONLY) && !(acl & ACL_SCRIPTING)) acl |= ACL_READ;
    if (cmd->flags & CMD_ADMIN) acl |= ACL_ADMIN | ACL_DANGEROUS;
    if (cmd->flags & CMD_PUBSUB) acl |= ACL_PUBSUB;
    if (cmd->flags & CMD_BLOCKING) acl |= ACL_BLOCKING;
    return acl | (cmd->flags & CMD_FAST ? ACL_FAST : ACL_SLOW);
}

static void put_bits(struct resp_writer *w, unsigned bits, const struct name_of_bit *names,
                     size_t n)
{
    size_t place = resp_defer(w), count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(bits & names[i].bit)) continue;
        resp_simple(w, names[i].name);
        count++;
    }
    resp_defer_set(w, place, count);
}

static size_t subcommand_count(const struct command *cmd)
{
    size_t n = 0;
    while (cmd->subcommands != NULL && cmd->subcommands[n].name != NULL) n++;
    return n;
}

static void put_name(struct resp_writer *w, const struct command *parent, const struct command *cmd)
{
    char name[96];
    snprintf(name, sizeof name, "%s%s%s", parent ? parent->name : "", parent ? "|" : "", cmd->name);
    resp_bulk_str(w, name);
}

static void put_info(struct resp_writer *w, const struct command *parent, const struct command *cmd)
{
    bool plain = cmd->key_positions == KEYS_RANGE || cmd->key_positions == KEYS_CHANNELS;
    bool store = !plain && cmd->first_key > 1 && cmd->last_key == 1;
    resp_array(w, 10);
    put_name(w, parent, cmd);
    resp_int(w, cmd->arity);
    put_bits(w, cmd->flags, flag_names, COUNT_OF(flag_names));
    resp_int(w, plain ? cmd->first_key : store);
    resp_int(w, plain ? cmd->last_key : store);
    resp_int(w, plain ? cmd->key_step : store);
    put_bits(w, acl_of(cmd), acl_names, COUNT_OF(acl_names));
    resp_array(w, 0);
    key_specs_put(w, cmd);
    size_t subs = subcommand_count(cmd);
    resp_array(w, subs);
    for (size_t i = 0; i < subs; i++) put_info(w, cmd, &cmd->subcommands[i]);
}

/* "config|get" or "get". */
static const struct command *find_by_name(struct bytes name, const struct command **ret_parent)
{
    const char *bar = memchr(name.data, '|', name.len);
    *ret_parent = NULL;
    if (bar == NULL) return command_find(name);
    const struct command *parent =
        command_find((struct bytes){name.data, (size_t)(bar - name.data)});
    if (parent == NULL) return NULL;
    *ret_parent = parent;
    struct bytes sub = {bar + 1, name.len - (size_t)(bar - name.data) - 1};
    return command_find_sub(parent, sub);
}

static void put_all_info(struct call *c)
{
    resp_array(c->reply, command_count());
    for (size_t i = 0; i < command_count(); i++) put_info(c->reply, NULL, command_at(i));
}

static void command(struct call *c)
{
    put_all_info(c);
}

static void command_info(struct call *c)
{
    if (c->argc == 2) {
        put_all_info(c);
        return;
    }
    resp_array(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        const struct command *parent;
        const struct command *cmd = find_by_name(c->argv[i], &parent);
        if (cmd == NULL) resp_null(c->reply);
        else put_info(c->reply, parent, cmd);
    }
}

static void count_commands(struct call *c)
{
    resp_int(c->reply, (int64_t)command_count());
}

static void put_docs(struct resp_writer *w, const struct command *parent, const struct command *cmd)
{
    size_t subs = subcommand_count(cmd);
    put_name(w, parent, cmd);
    resp_map(w, 4 + (subs > 0));
    resp_bulk_str(w, "summary");
    resp_bulk_str(w, cmd->summary);
    resp_bulk_str(w, "since");
    resp_bulk_str(w, cmd->since);
    resp_bulk_str(w, "group");
    resp_bulk_str(w, cmd->group);
    resp_bulk_str(w, "complexity");
    resp_bulk_str(w, cmd->complexity ? cmd->complexity : "O(1)");
    if (subs == 0) return;
    resp_bulk_str(w, "subcommands");
    resp_map(w, subs);
    for (size_t i = 0; i < subs; i++) put_docs(w, cmd, &cmd->subcommands[i]);
}

static void command_docs(struct call *c)
{
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; c->argc == 2 && i < command_count(); i++, n++)
        put_docs(c->reply, NULL, command_at(i));
    for (size_t i = 2; i < c->argc; i++) {
        const struct command *parent;
        const struct command *cmd = find_by_name(c->argv[i], &parent);
        if (cmd == NULL) continue;
        put_docs(c->reply, parent, cmd);
        n++;
    }
    resp_defer_map(c->reply, place, n);
}

/* ---- LIST ---- */

static bool has_category(const struct command *cmd, struct bytes category)
{
    for (size_t i = 0; i < COUNT_OF(acl_names); i++)
        if (bytes_is_word(category, acl_names[i].name + 1)) return acl_of(cmd) & acl_names[i].bit;
    return false;
}

static void command_list(struct call *c)
{
    bool by_pattern = false, by_category = false;
    if (c->argc == 5 && bytes_is_word(c->argv[2], "filterby")) {
        by_pattern = bytes_is_word(c->argv[3], "pattern");
        by_category = bytes_is_word(c->argv[3], "aclcat");
        if (bytes_is_word(c->argv[3], "module")) {
            resp_array(c->reply, 0);
            return;
        }
    }
    if (c->argc != 2 && !by_pattern && !by_category) {
        call_error_syntax(c);
        return;
    }
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        if (by_pattern && !bytes_match_glob(c->argv[4], bytes_of(cmd->name), true)) continue;
        if (by_category && !has_category(cmd, c->argv[4])) continue;
        resp_bulk_str(c->reply, cmd->name);
        n++;
    }
    resp_defer_array(c->reply, place, n);
}

/* ---- GETKEYS ---- */

static int keys_of_argument(struct call *c, const struct command **ret_cmd, int *indexes, int max)
{
    const struct bytes *argv = c->argv + 2;
    size_t argc = c->argc - 2;
    const struct command *cmd = command_find(argv[0]);
    if (cmd != NULL && cmd->subcommands != NULL && argc > 1) cmd = command_find_sub(cmd, argv[1]);
    if (cmd == NULL) {
        resp_error(c->reply, "ERR Invalid command specified");
        return -1;
    }
    if (cmd->first_key == 0 || cmd->key_positions == KEYS_CHANNELS) {
        resp_error(c->reply, "ERR The command has no key arguments");
        return -1;
    }
    if (!command_arity_ok(cmd, argc)) {
        resp_error(c->reply, "ERR Invalid number of arguments specified for command");
        return -1;
    }
    int n = command_keys(cmd, argv, argc, indexes, max);
    if (n <= 0) resp_error(c->reply, "ERR Invalid arguments specified for command");
    *ret_cmd = cmd;
    return n <= 0 ? -1 : n;
}

static void get_keys(struct call *c, bool with_flags)
{
    const struct command *cmd;
    int *indexes = arena_alloc(c->arena, c->argc * sizeof *indexes);
    int n = keys_of_argument(c, &cmd, indexes, (int)c->argc);
    if (n < 0) return;
    resp_array(c->reply, (size_t)n);
    for (int i = 0; i < n; i++) {
        if (with_flags) resp_array(c->reply, 2);
        resp_bulk(c->reply, c->argv[2 + indexes[i]]);
        if (with_flags) key_specs_put_use(c->reply, cmd, c->argv + 2, c->argc - 2, i);
    }
}

static void command_getkeys(struct call *c)
{
    get_keys(c, false);
}

static void command_getkeysandflags(struct call *c)
{
    get_keys(c, true);
}

static void command_help(struct call *c)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "LIST [FILTERBY <filter> <value>]",
        "    Return a list of all commands in this server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple commands.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full command.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

#define FLAGS CMD_LOADING | CMD_STALE | CMD_SENTINEL
#define SUB(word, n, version, form, text, function)                                                \
    {                                                                                              \
        .name = word, .arity = n, .flags = FLAGS, .acl = ACL_CONNECTION, .group = "server",        \
        .since = version, .syntax = form, .summary = text, .handler = function,                    \
        .complexity = "O(N) in commands"                                                           \
    }

/* clang-format off */
static const struct command command_subcommands[] = {
    SUB("count", 2, "2.8.13", "COMMAND COUNT", "Counts the commands.", count_commands),
    SUB("docs", -2, "7.0.0", "COMMAND DOCS [command-name ...]", "Explains commands.",
        command_docs),
    SUB("getkeys", -3, "2.8.13", "COMMAND GETKEYS command [arg ...]",
        "Answers which arguments are keys.", command_getkeys),
    SUB("getkeysandflags", -3, "7.0.0", "COMMAND GETKEYSANDFLAGS command [arg ...]",
        "Answers which arguments are keys and what becomes of them.", command_getkeysandflags),
    SUB("help", 2, "5.0.0", "COMMAND HELP", "Explains the subcommands.", command_help),
    SUB("info", -2, "2.8.13", "COMMAND INFO [command-name ...]", "Describes commands.",
        command_info),
    SUB("list", -2, "7.0.0",
        "COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]",
        "Lists the names of commands.", command_list),
    {.name = NULL},
};

const struct command cmd_command[] = {
    {.name = "command", .arity = -1, .flags = FLAGS, .acl = ACL_CONNECTION, .group = "server",
     .since = "2.8.13", .syntax = "COMMAND", .summary = "Describes all commands.",
     .handler = command, .subcommands = command_subcommands, .complexity = "O(N) in commands"},
    {.name = NULL},
};
/* clang-format on */
