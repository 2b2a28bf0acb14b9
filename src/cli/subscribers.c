/* `leat subscribers`: who subscribes to channels.
 *
 * leat answers PUBSUB SUBSCRIBERS by a map from each channel to a list of maps, one per subscriber;
 * whatever fields there are become columns. Other servers only count (PUBSUB NUMSUB). */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/tool/inspect.h"
#include "cli/tool/reply_json.h"
#include "cli/tool/text.h"
#include "cli/tool/tool.h"

enum { COLUMNS_MAX = 24 };

struct subscribers {
    struct tool tool;
    struct leat_reply *reply; /* of PUBSUB SUBSCRIBERS */
    struct column columns[COLUMNS_MAX];
    char *titles[COLUMNS_MAX]; /* owned; [0] is NULL */
    struct bytes fields[COLUMNS_MAX];
    size_t column_count;
    int64_t now_ms;
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

static const struct leat_reply *list_of(const struct subscribers *s, size_t channel)
{
    return leat_reply_get(s->reply, s->tool.args[channel]);
}

static size_t count_of(const struct leat_reply *list)
{
    return list != NULL ? leat_reply_count(list) : 0;
}

static bool ends_in_ms(struct bytes field)
{
    return field.len > 3 && memcmp(field.data + field.len - 3, "-ms", 3) == 0;
}

/* `since-ms` is SINCE: what it shows is a time. */
static void add_column(struct subscribers *s, struct bytes field, bool number)
{
    for (size_t i = 1; i < s->column_count; i++)
        if (bytes_eq(s->fields[i], field)) return;
    if (s->column_count == COLUMNS_MAX) return;
    struct buf title = {0};
    text_put_word(&title, (struct bytes){field.data, field.len - (ends_in_ms(field) ? 3 : 0)});
    buf_putc(&title, '\0');
    for (char *c = title.data; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    size_t at = s->column_count++;
    s->titles[at] = mem_strdup(title.data);
    s->fields[at] = field;
    s->columns[at] = (struct column){s->titles[at], number};
    buf_fini(&title);
}

static void put_cell(struct subscribers *s, struct table *table, struct bytes field,
                     const struct leat_reply *value)
{
    enum leat_type type = value != NULL ? leat_reply_type(value) : LEAT_NULL;
    int64_t n = type == LEAT_INTEGER ? leat_reply_integer(value) : 0;
    struct stream_id as_id = {n > 0 ? (uint64_t)n : 0, 0};
    if (type == LEAT_INTEGER && ends_in_ms(field)) {
        if (stream_id_is_time(as_id)) inspect_put_time(&s->tool, table, true, as_id, s->now_ms);
        else inspect_put_span(&s->tool, table, n);
        return;
    }
    struct json_out j;
    struct buf *cell = table_begin(table);
    if (type == LEAT_STRING || type == LEAT_STATUS) {
        if (tool_text(value).len > 0) text_put_word(cell, tool_text(value));
    } else if (type != LEAT_NULL) {
        json_out_init(&j, cell);
        reply_put_json(&j, value);
    }
    table_end(table);
}

static const struct leat_reply *field_of(const struct leat_reply *map, struct bytes field)
{
    for (size_t k = 0; k + 1 < leat_reply_count(map); k += 2)
        if (bytes_eq(tool_text(leat_reply_at(map, k)), field)) return leat_reply_at(map, k + 1);
    return NULL;
}

static void find_columns(struct subscribers *s)
{
    s->columns[0] = (struct column){"CHANNEL", false};
    s->column_count = 1;
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < count_of(list_of(s, c)); i++) {
            const struct leat_reply *one = leat_reply_at(list_of(s, c), i);
            for (size_t k = 0; k + 1 < leat_reply_count(one); k += 2)
                add_column(s, tool_text(leat_reply_at(one, k)),
                           leat_reply_type(leat_reply_at(one, k + 1)) == LEAT_INTEGER);
        }
}

static void put_table(struct subscribers *s)
{
    struct table table;
    find_columns(s);
    table_init(&table, s->columns, s->column_count);
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < count_of(list_of(s, c)); i++) {
            const struct leat_reply *one = leat_reply_at(list_of(s, c), i);
            table_word(&table, bytes_of(s->tool.args[c]));
            for (size_t k = 1; k < s->column_count; k++)
                put_cell(s, &table, s->fields[k], field_of(one, s->fields[k]));
        }
    if (table_rows(&table) > 0) tool_put_table(&s->tool, &table);
    else tool_note(&s->tool, "nobody subscribes there");
    table_fini(&table);
    for (size_t i = 1; i < s->column_count; i++) mem_free(s->titles[i]);
}

/* Our JSON's names have underscores: `lag_messages`. */
static void put_json_field(struct json_out *j, struct bytes name, const struct leat_reply *value)
{
    struct buf key = {0};
    buf_put(&key, name);
    for (size_t i = 0; i < key.len; i++)
        if (key.data[i] == '-') key.data[i] = '_';
    if (!bytes_eq(name, BYTES("channel"))) {
        json_out_name(j, buf_bytes(&key));
        reply_put_json(j, value);
    }
    buf_fini(&key);
}

static void put_json(struct subscribers *s)
{
    for (size_t c = 0; c < s->tool.arg_count; c++)
        for (size_t i = 0; i < count_of(list_of(s, c)); i++) {
            const struct leat_reply *one = leat_reply_at(list_of(s, c), i);
            struct json_out j;
            json_out_init(&j, &s->tool.out);
            json_out_object(&j);
            json_out_key(&j, "channel");
            json_out_text(&j, s->tool.args[c]);
            for (size_t k = 0; k + 1 < leat_reply_count(one); k += 2)
                put_json_field(&j, tool_text(leat_reply_at(one, k)), leat_reply_at(one, k + 1));
            json_out_object_end(&j);
            buf_putc(&s->tool.out, '\n');
        }
}

/* ---- Other servers ---- */

/* NULL when the connection is lost. */
static struct leat_reply *ask_for(struct subscribers *s, const char *words)
{
    struct ask a = {0};
    ask_words(&a, words);
    for (size_t i = 0; i < s->tool.arg_count; i++) ask_text(&a, s->tool.args[i]);
    return tool_try(&s->tool, &a);
}

static void count_only(struct subscribers *s)
{
    static const struct column columns[] = {{"CHANNEL", false}, {"SUBSCRIBERS", true}};
    struct table table;
    struct leat_reply *r = ask_for(s, "PUBSUB NUMSUB");
    if (r != NULL && leat_reply_type(r) == LEAT_ERROR) tool_refuse(&s->tool, r);
    if (s->tool.status != TOOL_OK) {
        leat_sync_reply_free(r);
        return;
    }
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

/* 1: the server told; 0: it does not know the command; -1: failed, and said so. */
static int ask_all(struct subscribers *s)
{
    struct leat_reply *hello = tool_tryf(&s->tool, "HELLO 3"); /* maps; without it, flat lists */
    if (hello == NULL) return -1;
    leat_sync_reply_free(hello);
    s->reply = ask_for(s, "PUBSUB SUBSCRIBERS");
    if (s->reply == NULL) return -1;
    if (leat_reply_type(s->reply) != LEAT_ERROR) return 1;
    struct bytes text = tool_text(s->reply);
    if (memmem(text.data, text.len, "subcommand", 10) != NULL) return 0;
    tool_refuse(&s->tool, s->reply);
    return -1;
}

int cmd_subscribers(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "CHANNEL...", doc, 0, 0, 0};
    struct subscribers s = {0};
    tool_parse(&argp, argc, argv, &s);
    s.now_ms = when_now_ms();
    int told = tool_connect(&s.tool) ? ask_all(&s) : -1;
    if (told == 0) count_only(&s);
    else if (told == 1 && s.tool.json) put_json(&s);
    else if (told == 1) put_table(&s);
    leat_sync_reply_free(s.reply);
    return tool_end(&s.tool);
}
