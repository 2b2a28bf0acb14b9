/* `leat subscribers`: who subscribes to channels.
 *
 * leat tells one map per subscriber (PUBSUB SUBSCRIBERS); whatever fields there are become columns.
 * Other servers only count (PUBSUB NUMSUB). */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/tool/reply_json.h"
#include "cli/tool/text.h"
#include "cli/tool/tool.h"

enum { COLUMNS_MAX = 24 };

struct subscribers {
    struct tool tool;
    struct leat_reply **replies; /* one per channel */
    struct column columns[COLUMNS_MAX];
    char *titles[COLUMNS_MAX]; /* owned; [0] is NULL */
    struct bytes fields[COLUMNS_MAX];
    size_t column_count;
};

static const struct argp_option options[] = {TOOL_OPTIONS};

static const char doc[] =
    "Lists who subscribes to channels: on leat each subscriber with its name, address, since when, "
    "and how far it is; other servers only tell how many there are. Those who subscribe by a "
    "pattern "
    "are not among them on other servers."
    "\v"
    "Examples:\n"
    "  leat subscribers news\n"
    "  leat subscribers news orders --json\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct subscribers *s = state->input;
    if (key != ARGP_KEY_END) return tool_option(&s->tool, key, arg);
    if (s->tool.arg_count == 0) argp_error(state, "of which CHANNEL?");
    return 0;
}

/* ---- leat ---- */

static void add_column(struct subscribers *s, struct bytes field)
{
    for (size_t i = 1; i < s->column_count; i++)
        if (bytes_eq(s->fields[i], field)) return;
    if (s->column_count == COLUMNS_MAX) return;
    struct buf title = {0};
    text_put_word(&title, field);
    buf_putc(&title, '\0');
    for (char *c = title.data; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    size_t at = s->column_count++;
    s->titles[at] = mem_strdup(title.data);
    s->fields[at] = field;
    s->columns[at] = (struct column){s->titles[at], false};
    buf_fini(&title);
}

static void put_cell(struct table *table, const struct leat_reply *value)
{
    struct json_out j;
    struct buf *cell = table_begin(table);
    enum leat_type type = value != NULL ? leat_reply_type(value) : LEAT_NULL;
    if (type == LEAT_STRING || type == LEAT_STATUS) {
        if (tool_text(value).len > 0) text_put_word(cell, tool_text(value));
    } else if (type != LEAT_NULL) {
        json_out_init(&j, cell);
        reply_put_json(&j, value);
    }
    table_end(table);
}

static void put_table(struct subscribers *s)
{
    struct table table;
    s->columns[0] = (struct column){"CHANNEL", false};
    s->column_count = 1;
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < leat_reply_count(s->replies[c]); i++) {
            const struct leat_reply *one = leat_reply_at(s->replies[c], i);
            for (size_t k = 0; k + 1 < leat_reply_count(one); k += 2)
                add_column(s, tool_text(leat_reply_at(one, k)));
        }
    table_init(&table, s->columns, s->column_count);
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < leat_reply_count(s->replies[c]); i++) {
            table_word(&table, bytes_of(s->tool.args[c]));
            for (size_t k = 1; k < s->column_count; k++) {
                char *name = mem_calloc(s->fields[k].len + 1);
                memcpy(name, s->fields[k].data, s->fields[k].len);
                put_cell(&table, leat_reply_get(leat_reply_at(s->replies[c], i), name));
                mem_free(name);
            }
        }
    if (table_rows(&table) > 0) tool_put_table(&s->tool, &table);
    else tool_note(&s->tool, "nobody subscribes there");
    table_fini(&table);
    for (size_t i = 1; i < s->column_count; i++) mem_free(s->titles[i]);
}

static void put_json(struct subscribers *s)
{
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < leat_reply_count(s->replies[c]); i++) {
            const struct leat_reply *one = leat_reply_at(s->replies[c], i);
            struct json_out j;
            json_out_init(&j, &s->tool.out);
            json_out_object(&j);
            json_out_key(&j, "channel");
            json_out_text(&j, s->tool.args[c]);
            reply_put_json_fields(&j, one, "channel");
            json_out_object_end(&j);
            buf_putc(&s->tool.out, '\n');
        }
}

/* ---- Other servers ---- */

static void count_only(struct subscribers *s)
{
    static const struct column columns[] = {{"CHANNEL", false}, {"SUBSCRIBERS", true}};
    struct table table;
    struct ask a = {0};
    ask_words(&a, "PUBSUB NUMSUB");
    for (size_t i = 0; i < s->tool.arg_count; i++) ask_text(&a, s->tool.args[i]);
    struct leat_reply *r = tool_call(&s->tool, &a);
    if (r == NULL) return;
    table_init(&table, columns, 2);
    for (size_t i = 0; i + 1 < leat_reply_count(r); i += 2) {
        struct bytes channel = tool_text(leat_reply_at(r, i));
        int64_t count = leat_reply_integer(leat_reply_at(r, i + 1));
        table_word(&table, channel);
        table_int(&table, count);
        if (!s->tool.json) continue;
        struct json_out j;
        json_out_init(&j, &s->tool.out);
        json_out_object(&j);
        json_out_key(&j, "channel");
        json_out_string(&j, channel);
        json_out_key(&j, "subscribers");
        json_out_int(&j, count);
        json_out_object_end(&j);
        buf_putc(&s->tool.out, '\n');
    }
    if (!s->tool.json) tool_put_table(&s->tool, &table);
    tool_note(&s->tool, "this server only counts subscribers; who they are, since when and how far "
                        "behind, leat tells");
    table_fini(&table);
    leat_sync_reply_free(r);
}

/* 1: all channels were answered; 0: the server does not know the command; -1: failed, and said so.
 */
static int ask_all(struct subscribers *s)
{
    struct leat_reply *hello = tool_tryf(&s->tool, "HELLO 3"); /* maps; without it, flat lists */
    bool alive = hello != NULL;
    leat_sync_reply_free(hello);
    for (size_t i = 0; i < s->tool.arg_count && alive; i++) {
        struct leat_reply *r = tool_tryf(&s->tool, "PUBSUB SUBSCRIBERS %s", s->tool.args[i]);
        s->replies[i] = r;
        alive = r != NULL;
        if (!alive || leat_reply_type(r) != LEAT_ERROR) continue;
        struct bytes text = tool_text(r);
        if (memmem(text.data, text.len, "subcommand", 10) != NULL) return 0;
        tool_refuse(&s->tool, r);
        return -1;
    }
    return alive ? 1 : -1;
}

int cmd_subscribers(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "CHANNEL...", doc, 0, 0, 0};
    struct subscribers s = {0};
    tool_parse(&argp, argc, argv, &s);
    s.replies = mem_calloc(s.tool.arg_count * sizeof(struct leat_reply *));
    int told = tool_connect(&s.tool) ? ask_all(&s) : -1;
    if (told == 0) count_only(&s);
    else if (told == 1 && s.tool.json) put_json(&s);
    else if (told == 1) put_table(&s);
    for (size_t i = 0; i < s.tool.arg_count; i++) leat_sync_reply_free(s.replies[i]);
    mem_free(s.replies);
    return tool_end(&s.tool);
}
