/* `leat pending`: what a group was given and has not acknowledged, by consumer or entry by entry.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"
#include "cli/tool/pending.h"
#include "cli/tool/text.h"

/* What one consumer holds. */
struct tally {
    struct bytes consumer; /* owned */
    int64_t count;
};

struct pending {
    struct tool tool;
    struct pending_query query;
    bool each;
    struct table table;
    struct tally *tallies;
    size_t tally_count;
    int64_t total, now_ms;
    struct buf first, last; /* ids */
};

enum { OPT_IDLE = 256, OPT_COUNT };

static const struct argp_option options[] = {
    {"long", 'l', 0, 0, "Entry by entry", 1},
    {"consumer", 'c', "NAME", 0, "Only what this consumer holds", 1},
    {"idle", OPT_IDLE, "DURATION", 0, "Only what was not given to anybody for so long", 1},
    {"count", OPT_COUNT, "N", 0, "Look at the first N entries only", 1},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Shows the entries that a group was given and has not acknowledged: how many each consumer "
    "holds, or with --long each of them, with the time since it was given last (idle) and how "
    "often "
    "it was given."
    "\v"
    "Examples:\n"
    "  leat pending orders billing\n"
    "  leat pending orders billing --long --count 20\n"
    "  leat pending orders billing --idle 10m --consumer worker-1\n"
    "  leat pending orders billing --long --json | jq 'select(.deliveries > 5)'\n"
    "`leat claim' gives such entries to another consumer.\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct pending *p = state->input;
    switch (key) {
    case 'l':
        p->each = true;
        return 0;
    case 'c':
        p->query.consumer = arg;
        return 0;
    case OPT_IDLE:
        p->query.idle_ms = tool_parse_span(state, "--idle", arg);
        return 0;
    case OPT_COUNT:
        p->query.count = tool_parse_count(state, "--count", arg);
        return 0;
    case ARGP_KEY_END:
        if (p->tool.arg_count != 2) argp_error(state, "which STREAM and which GROUP?");
        return 0;
    default:
        return tool_option(&p->tool, key, arg);
    }
}

/* ---- Entry by entry ---- */

static bool put_entry(void *arg, const struct pending_entry *e)
{
    struct pending *p = arg;
    p->total++;
    pending_put(&p->tool, &p->table, &p->query, e, p->now_ms);
    return !p->tool.json || tool_flush(&p->tool);
}

static void list(struct pending *p)
{
    table_init(&p->table, pending_columns, PENDING_COLUMNS);
    if (pending_each(&p->tool, &p->query, put_entry, p) && !p->tool.json && p->total > 0)
        tool_put_table(&p->tool, &p->table);
}

/* ---- By consumer ---- */

static struct tally *tally_of(struct pending *p, struct bytes consumer)
{
    for (size_t i = 0; i < p->tally_count; i++)
        if (bytes_eq(p->tallies[i].consumer, consumer)) return &p->tallies[i];
    p->tallies = mem_realloc(p->tallies, (p->tally_count + 1) * sizeof *p->tallies);
    struct tally *t = &p->tallies[p->tally_count++];
    *t = (struct tally){{mem_dup(consumer.data, consumer.len), consumer.len}, 0};
    return t;
}

static void note_id(struct buf *to, struct bytes id)
{
    to->len = 0;
    buf_put(to, id);
}

static bool count_entry(void *arg, const struct pending_entry *e)
{
    struct pending *p = arg;
    if (p->total++ == 0) note_id(&p->first, e->id);
    note_id(&p->last, e->id);
    tally_of(p, e->consumer)->count++;
    return true;
}

/* The server's own summary, where nothing is to be left out. */
static bool ask_summary(struct pending *p)
{
    struct leat_reply *r = tool_callf(&p->tool, "XPENDING %b %s", p->query.stream.data,
                                      p->query.stream.len, p->query.group);
    if (r == NULL) return false;
    const struct leat_reply *consumers = leat_reply_at(r, 3);
    p->total = leat_reply_count(r) == 4 ? leat_reply_integer(leat_reply_at(r, 0)) : 0;
    for (size_t i = 0; p->total > 0 && i < leat_reply_count(consumers); i++) {
        const struct leat_reply *pair = leat_reply_at(consumers, i);
        struct tally *t = tally_of(p, tool_text(leat_reply_at(pair, 0)));
        t->count = strtoll(tool_text(leat_reply_at(pair, 1)).data, NULL, 10);
    }
    note_id(&p->first, tool_text(leat_reply_at(r, 1)));
    note_id(&p->last, tool_text(leat_reply_at(r, 2)));
    leat_sync_reply_free(r);
    return true;
}

static void put_summary_json(struct pending *p)
{
    struct json_out j;
    json_out_init(&j, &p->tool.out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, p->query.stream);
    json_out_key(&j, "group");
    json_out_text(&j, p->query.group);
    json_out_key(&j, "pending");
    json_out_int(&j, p->total);
    entry_put_json_id(&j, "first_id", "first_time", buf_bytes(&p->first));
    entry_put_json_id(&j, "last_id", "last_time", buf_bytes(&p->last));
    json_out_key(&j, "consumers");
    json_out_object(&j);
    for (size_t i = 0; i < p->tally_count; i++) {
        json_out_name(&j, p->tallies[i].consumer);
        json_out_int(&j, p->tallies[i].count);
    }
    json_out_object_end(&j);
    json_out_object_end(&j);
    buf_putc(&p->tool.out, '\n');
}

static void put_summary(struct pending *p)
{
    static const struct column columns[] = {{"CONSUMER", false}, {"PENDING", true}};
    if (p->tool.terminal && p->total > 0) {
        buf_printf(&p->tool.out, "%lld pending, from ", (long long)p->total);
        text_put_word(&p->tool.out, buf_bytes(&p->first));
        buf_printf(&p->tool.out, " to ");
        text_put_word(&p->tool.out, buf_bytes(&p->last));
        buf_putc(&p->tool.out, '\n');
    }
    table_init(&p->table, columns, 2);
    for (size_t i = 0; i < p->tally_count; i++) {
        table_word(&p->table, p->tallies[i].consumer);
        table_int(&p->table, p->tallies[i].count);
    }
    if (p->total > 0) tool_put_table(&p->tool, &p->table);
}

static void summarise(struct pending *p)
{
    bool all = p->query.consumer == NULL && p->query.idle_ms < 0 && p->query.count < 0;
    if (!(all ? ask_summary(p) : pending_each(&p->tool, &p->query, count_entry, p))) return;
    if (p->tool.json) put_summary_json(p);
    else put_summary(p);
}

static void clean_up(struct pending *p)
{
    for (size_t i = 0; i < p->tally_count; i++) mem_free((void *)p->tallies[i].consumer.data);
    mem_free(p->tallies);
    buf_fini(&p->first);
    buf_fini(&p->last);
    table_fini(&p->table);
}

int cmd_pending(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM GROUP", doc, 0, 0, 0};
    struct pending p = {.query = {.idle_ms = -1, .count = -1}};
    tool_parse(&argp, argc, argv, &p);
    p.query.stream = bytes_of(p.tool.args[0]);
    p.query.group = p.tool.args[1];
    p.now_ms = when_now_ms();
    if (tool_connect(&p.tool)) {
        if (p.each) list(&p);
        else summarise(&p);
        if (p.total == 0 && p.tool.status == TOOL_OK && !p.tool.json)
            tool_note(&p.tool, "nothing of that is pending");
    }
    clean_up(&p);
    return tool_end(&p.tool);
}
