/* `leat groups`: the groups of a stream, or their consumers. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"

struct groups {
    struct tool tool;
    struct bytes stream;
    bool consumers;
    struct table table;
    int64_t now_ms;
};

static const struct argp_option options[] = {
    {"consumers", 'c', 0, 0, "The consumers of each group instead", 1},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Lists the groups of a stream: how many consumers, how many entries were given and not "
    "acknowledged (pending), the last id given, how many entries were read and are still to be "
    "read "
    "(lag; `-' where the server cannot tell). With --consumers: what each consumer holds, how long "
    "ago it last asked (idle) and was last given something (inactive)."
    "\v"
    "Examples:\n"
    "  leat groups orders\n"
    "  leat groups orders --consumers\n"
    "  leat groups orders --json | jq 'select(.lag > 1000)'\n"
    "leat lag shows all streams and keeps looking.\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct groups *g = state->input;
    if (key == 'c') {
        g->consumers = true;
        return 0;
    }
    if (key != ARGP_KEY_END) return tool_option(&g->tool, key, arg);
    if (g->tool.arg_count != 1) argp_error(state, "which STREAM? One at a time");
    return 0;
}

static struct json_out begin_json(struct groups *g, struct bytes group)
{
    struct json_out j;
    json_out_init(&j, &g->tool.out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, g->stream);
    json_out_key(&j, "group");
    json_out_string(&j, group);
    return j;
}

static void put_group(struct groups *g, const struct leat_reply *info)
{
    struct bytes name = tool_text(leat_reply_get(info, "name"));
    struct stream_id last;
    bool begun = inspect_id(info, "last-delivered-id", &last);
    if (g->tool.json) {
        struct json_out j = begin_json(g, name);
        entry_put_json_int(&j, "consumers", inspect_int(info, "consumers"));
        entry_put_json_int(&j, "pending", inspect_int(info, "pending"));
        entry_put_json_id(&j, "last_delivered_id", "last_delivered_time",
                          tool_text(leat_reply_get(info, "last-delivered-id")));
        entry_put_json_int(&j, "entries_read", inspect_int(info, "entries-read"));
        entry_put_json_int(&j, "lag", inspect_int(info, "lag"));
        json_out_object_end(&j);
        buf_putc(&g->tool.out, '\n');
        return;
    }
    table_word(&g->table, name);
    inspect_put_int(&g->table, inspect_int(info, "consumers"));
    inspect_put_int(&g->table, inspect_int(info, "pending"));
    inspect_put_id(&g->table, begun, last);
    inspect_put_time(&g->tool, &g->table, begun, last, g->now_ms);
    inspect_put_int(&g->table, inspect_int(info, "entries-read"));
    inspect_put_int(&g->table, inspect_int(info, "lag"));
}

static void put_consumer(struct groups *g, struct bytes group, const struct leat_reply *info)
{
    struct bytes name = tool_text(leat_reply_get(info, "name"));
    int64_t pending = inspect_int(info, "pending"), idle = inspect_int(info, "idle");
    int64_t inactive = inspect_int(info, "inactive"); /* since Redis 7.2 */
    if (g->tool.json) {
        struct json_out j = begin_json(g, group);
        json_out_key(&j, "consumer");
        json_out_string(&j, name);
        entry_put_json_int(&j, "pending", pending);
        entry_put_json_int(&j, "idle_ms", idle);
        entry_put_json_int(&j, "inactive_ms", inactive);
        json_out_object_end(&j);
        buf_putc(&g->tool.out, '\n');
        return;
    }
    table_word(&g->table, group);
    table_word(&g->table, name);
    inspect_put_int(&g->table, pending);
    inspect_put_span(&g->tool, &g->table, idle);
    inspect_put_span(&g->tool, &g->table, inactive);
}

static void put_consumers(struct groups *g, struct bytes group)
{
    struct leat_reply *all = tool_callf(&g->tool, "XINFO CONSUMERS %b %b", g->stream.data,
                                        g->stream.len, group.data, group.len);
    for (size_t i = 0; all != NULL && i < leat_reply_count(all); i++)
        put_consumer(g, group, leat_reply_at(all, i));
    leat_sync_reply_free(all);
}

static void list(struct groups *g)
{
    struct leat_reply *all = tool_callf(&g->tool, "XINFO GROUPS %b", g->stream.data, g->stream.len);
    if (all == NULL) return;
    for (size_t i = 0; i < leat_reply_count(all) && g->tool.status == TOOL_OK; i++) {
        const struct leat_reply *info = leat_reply_at(all, i);
        if (g->consumers) put_consumers(g, tool_text(leat_reply_get(info, "name")));
        else put_group(g, info);
    }
    if (leat_reply_count(all) == 0)
        tool_note(&g->tool,
                  "no group reads %s; `leat read %s --group G --consumer C --create` makes one",
                  g->stream.data, g->stream.data);
    else if (!g->tool.json) tool_put_table(&g->tool, &g->table);
    leat_sync_reply_free(all);
}

int cmd_groups(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM", doc, 0, 0, 0};
    static const struct column of_groups[] = {
        {"GROUP", false},     {"CONSUMERS", true}, {"PENDING", true}, {"LAST", false},
        {"LAST-TIME", false}, {"READ", true},      {"LAG", true}};
    static const struct column of_consumers[] = {{"GROUP", false},
                                                 {"CONSUMER", false},
                                                 {"PENDING", true},
                                                 {"IDLE", true},
                                                 {"INACTIVE", true}};
    struct groups g = {0};
    tool_parse(&argp, argc, argv, &g);
    g.stream = bytes_of(g.tool.args[0]);
    g.now_ms = when_now_ms();
    if (g.consumers) table_init(&g.table, of_consumers, 5);
    else table_init(&g.table, of_groups, 7);
    if (tool_connect(&g.tool)) list(&g);
    table_fini(&g.table);
    return tool_end(&g.tool);
}
