/* `leat streams`: the streams of a server, one row each. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"

enum { WINDOW = 64 }; /* streams asked about at once */

struct streams {
    struct tool tool;
    struct table table; /* made with the first row */
    bool retains;       /* it has that column: the first stream's facts decide */
    int64_t now_ms;
};

/* What is known of one stream; -1: not told. */
struct facts {
    int64_t length, added, groups, memory, disk;
    int64_t keep_age_ms, keep_bytes; /* retention, as leat tells it; 0: unlimited */
    bool keep_unacknowledged;
    bool has_first, has_last;
    struct stream_id first, last;
};

static const struct argp_option options[] = {TOOL_OPTIONS};

static const char doc[] =
    "Lists streams: how many entries, the first and the last id ever given with their times, how "
    "many bytes of memory and disk they take where the server tells, how many groups read them; on "
    "leat also what is kept: for how long, how many bytes, or until all groups have acknowledged "
    "(acked)."
    "\v"
    "Examples:\n"
    "  leat streams\n"
    "  leat streams 'orders:*'\n"
    "  leat streams --json | jq -r 'select(.length > 1000000) | .stream'\n"
    "A stream that is empty has a last id all the same: ids are never given twice. Of a cluster, "
    "this lists the streams of the node that --url names.\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct streams *s = state->input;
    if (key != ARGP_KEY_END) return tool_option(&s->tool, key, arg);
    if (s->tool.arg_count > 1)
        argp_error(state, "one PATTERN at a time (in quotes, so that the shell leaves it alone)");
    return 0;
}

/* leat tells memory and disk by itself; elsewhere MEMORY USAGE counts the memory. */
static void learn(struct facts *f, const struct leat_reply *info, const struct leat_reply *usage)
{
    const struct leat_reply *first = leat_reply_get(info, "first-entry");
    const struct leat_reply *id = first != NULL ? leat_reply_at(first, 0) : NULL;
    f->length = inspect_int(info, "length");
    f->added = inspect_int(info, "entries-added");
    f->groups = inspect_int(info, "groups");
    f->has_last = inspect_id(info, "last-generated-id", &f->last);
    f->has_first = id != NULL && stream_id_parse(tool_text(id), 0, &f->first);
    f->memory = inspect_int(info, "bytes-in-memory");
    f->disk = inspect_int(info, "bytes-on-disk");
    f->keep_age_ms = inspect_int(info, "retention-age-ms");
    f->keep_bytes = inspect_int(info, "retention-bytes");
    f->keep_unacknowledged = inspect_int(info, "retention-until-acked") > 0;
    if (f->memory < 0 && leat_reply_type(usage) == LEAT_INTEGER)
        f->memory = leat_reply_integer(usage);
}

/* What leat keeps of a stream: `7d00h,1.0GB,acked`, the last for until all groups have
 * acknowledged. */
static void put_retention(struct streams *s, const struct facts *f)
{
    struct buf *cell = table_begin(&s->table);
    if (f->keep_age_ms > 0) inspect_append_span(&s->tool, cell, f->keep_age_ms);
    if (f->keep_age_ms > 0 && f->keep_bytes > 0) buf_putc(cell, ',');
    if (f->keep_bytes > 0) inspect_append_size(&s->tool, cell, f->keep_bytes);
    if (f->keep_unacknowledged)
        buf_printf(cell, "%sacked", f->keep_age_ms > 0 || f->keep_bytes > 0 ? "," : "");
    table_end(&s->table);
}

/* Only leat tells a retention: elsewhere that column is left out. */
static void make_table(struct streams *s, const struct facts *f)
{
    static const struct column columns[] = {
        {"STREAM", false}, {"LENGTH", true},     {"FIRST", false}, {"FIRST-TIME", false},
        {"LAST", false},   {"LAST-TIME", false}, {"MEMORY", true}, {"DISK", true},
        {"GROUPS", true},  {"RETENTION", false}};
    size_t all = sizeof columns / sizeof *columns;
    s->retains = f->keep_age_ms >= 0;
    table_init(&s->table, columns, s->retains ? all : all - 1);
}

static void put_size(struct streams *s, int64_t bytes)
{
    struct buf *cell = table_begin(&s->table);
    if (bytes >= 0) inspect_append_size(&s->tool, cell, bytes);
    table_end(&s->table);
}

static void put_row(struct streams *s, struct bytes name, const struct facts *f)
{
    if (s->table.width == 0) make_table(s, f);
    table_word(&s->table, name);
    inspect_put_int(&s->table, f->length);
    inspect_put_id(&s->table, f->has_first, f->first);
    inspect_put_time(&s->tool, &s->table, f->has_first, f->first, s->now_ms);
    inspect_put_id(&s->table, f->has_last, f->last);
    inspect_put_time(&s->tool, &s->table, f->has_last, f->last, s->now_ms);
    put_size(s, f->memory);
    put_size(s, f->disk);
    inspect_put_int(&s->table, f->groups);
    if (s->retains) put_retention(s, f);
}

static void put_json(struct streams *s, struct bytes name, const struct facts *f)
{
    char first[STREAM_ID_TEXT], last[STREAM_ID_TEXT];
    struct json_out j;
    json_out_init(&j, &s->tool.out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, name);
    entry_put_json_int(&j, "length", f->length);
    entry_put_json_id(&j, "first_id", "first_time",
                      bytes_of(f->has_first ? stream_id_text(f->first, first) : ""));
    entry_put_json_id(&j, "last_id", "last_time",
                      bytes_of(f->has_last ? stream_id_text(f->last, last) : ""));
    entry_put_json_int(&j, "entries_added", f->added);
    entry_put_json_int(&j, "memory_bytes", f->memory);
    entry_put_json_int(&j, "disk_bytes", f->disk);
    entry_put_json_int(&j, "groups", f->groups);
    if (f->keep_age_ms >= 0) {
        entry_put_json_int(&j, "retention_age_ms", f->keep_age_ms);
        entry_put_json_int(&j, "retention_bytes", f->keep_bytes);
        json_out_key(&j, "retention_until_acked");
        json_out_bool(&j, f->keep_unacknowledged);
    }
    json_out_object_end(&j);
    buf_putc(&s->tool.out, '\n');
}

static bool ask_about(struct streams *s, struct bytes name)
{
    struct ask info = {0}, usage = {0};
    ask_words(&info, "XINFO STREAM");
    ask_bytes(&info, name);
    ask_words(&usage, "MEMORY USAGE");
    ask_bytes(&usage, name);
    bool sent = tool_send(&s->tool, &info) && tool_send(&s->tool, &usage);
    ask_fini(&usage);
    return sent;
}

static bool take(struct streams *s, struct bytes name)
{
    struct leat_reply *info = tool_receive(&s->tool);
    struct leat_reply *usage = info ? tool_receive(&s->tool) : NULL;
    if (usage != NULL && leat_reply_type(info) != LEAT_ERROR) {
        struct facts f = {0};
        learn(&f, info, usage);
        if (s->tool.json) put_json(s, name, &f);
        else put_row(s, name, &f);
    } else if (usage != NULL && !inspect_gone(info)) {
        tool_refuse_of(&s->tool, name, info);
    }
    leat_sync_reply_free(info);
    leat_sync_reply_free(usage);
    return usage != NULL;
}

static bool list(struct streams *s, const struct stream_names *all)
{
    for (size_t from = 0; from < all->count; from += WINDOW) {
        size_t to = from + WINDOW < all->count ? from + WINDOW : all->count;
        for (size_t i = from; i < to; i++)
            if (!ask_about(s, all->names[i])) return false;
        for (size_t i = from; i < to; i++)
            if (!take(s, all->names[i])) return false;
    }
    return true;
}

int cmd_streams(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "[PATTERN]", doc, 0, 0, 0};
    struct streams s = {0};
    struct stream_names all = {0};
    tool_parse(&argp, argc, argv, &s);
    s.now_ms = when_now_ms();
    const char *pattern = s.tool.arg_count > 0 ? s.tool.args[0] : NULL;
    if (tool_connect(&s.tool) && stream_names_scan(&s.tool, pattern, &all) && list(&s, &all)) {
        if (s.table.width > 0) tool_put_table(&s.tool, &s.table);
        if (all.count == 0 && pattern)
            tool_fail(&s.tool, TOOL_REFUSED, "no stream's name matches %s", pattern);
        else if (all.count == 0)
            tool_note(&s.tool, "there are no streams yet; `leat add STREAM FIELD VALUE` makes one");
    }
    stream_names_fini(&all);
    table_fini(&s.table);
    return tool_end(&s.tool);
}
