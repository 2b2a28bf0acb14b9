/* `leat lag`: how far each group of each stream is behind, once or as a live table.
 *
 * A sample is a list of rows; rates are the difference of two samples, rows paired by stream and
 * group. A stream without groups has one row with no group. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"
#include "cli/tool/screen.h"
#include "cli/tool/text.h"

struct row {
    struct bytes stream, group;                           /* owned; group.data NULL: none */
    int64_t length, added, consumers, pending, lag, read; /* -1: not told */
    bool has_oldest;
    struct stream_id oldest; /* of what is pending */
    int64_t oldest_idle_ms;
    double in_per_s, read_per_s; /* NAN: not known (yet) */
};

struct sample {
    struct row *rows;
    size_t count, cap;
    int64_t at_ms; /* by the server's clock */
};

struct lag {
    struct tool tool;
    int64_t every_ms; /* 0: once */
    struct sample now, before;
    struct table table;
    struct buf page;
};

enum { EVERY_MIN_MS = 100 };

static const struct argp_option options[] = {
    {"watch", 'w', "SECONDS", OPTION_ARG_OPTIONAL,
     "Look again every so many seconds (default 1) and show rates, until Ctrl-C", 1},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Shows how far the groups of streams are behind: entries given to a consumer and not "
    "acknowledged (pending), entries not yet given to anybody (lag), and how old the oldest "
    "pending "
    "entry is. All streams, or those named."
    "\v"
    "Examples:\n"
    "  leat lag\n"
    "  leat lag orders payments --watch\n"
    "      IN/S is what is added, READ/S what the group takes: the lag grows while IN/S is larger\n"
    "  leat lag --json | jq 'select(.lag > 1000 or .oldest_pending_age_ms > 60000)'\n"
    "  leat lag --watch 10 --json >> lag.ndjson\n"
    "A lag is `-' where the server cannot tell: Redis forgets it when entries are deleted, leat "
    "never does. The age is by the entry's id where that is a time, else since it was last "
    "given.\n" TOOL_STATUS_HELP;

static bool parse_seconds(const char *text, int64_t *ret_ms)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || (*end != '\0' && strcmp(end, "s") != 0)) return false;
    if (!(s > 0 && s <= 86400)) return false;
    *ret_ms = (int64_t)(s * 1000);
    if (*ret_ms < EVERY_MIN_MS) *ret_ms = EVERY_MIN_MS;
    return true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct lag *l = state->input;
    if (key != 'w') return key == ARGP_KEY_END ? 0 : tool_option(&l->tool, key, arg);
    l->every_ms = 1000;
    if (arg != NULL && !parse_seconds(arg, &l->every_ms))
        argp_error(state, "--watch %s: write seconds, such as 2 or 0.5", arg);
    /* `--watch 2`: a stream of that name would have to stand elsewhere. */
    if (arg == NULL && state->next < state->argc &&
        parse_seconds(state->argv[state->next], &l->every_ms))
        state->next++;
    return 0;
}

/* ---- Sampling ---- */

static struct bytes own(struct bytes b)
{
    return (struct bytes){mem_dup(b.data, b.len), b.len};
}

static void sample_clear(struct sample *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mem_free((void *)s->rows[i].stream.data);
        mem_free((void *)s->rows[i].group.data);
    }
    s->count = 0;
}

static struct row *sample_add(struct sample *s, struct bytes stream)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->rows = mem_realloc(s->rows, s->cap * sizeof *s->rows);
    }
    struct row *row = &s->rows[s->count++];
    *row =
        (struct row){.stream = own(stream), .consumers = -1, .pending = -1, .lag = -1, .read = -1};
    row->in_per_s = row->read_per_s = NAN;
    return row;
}

/* Says it of an answer that is an error, unless the stream has only gone meanwhile. */
static void note_error(struct lag *l, struct bytes stream, const struct leat_reply *answer)
{
    if (answer != NULL && leat_reply_type(answer) == LEAT_ERROR && !inspect_gone(answer))
        tool_refuse_of(&l->tool, stream, answer);
}

/* The pending entry with the smallest id. */
static bool learn_oldest(struct lag *l, struct row *row)
{
    struct leat_reply *r = tool_tryf(&l->tool, "XPENDING %b %b - + 1", row->stream.data,
                                     row->stream.len, row->group.data, row->group.len);
    note_error(l, row->stream, r);
    const struct leat_reply *entry = r != NULL ? leat_reply_at(r, 0) : NULL;
    if (entry != NULL && leat_reply_count(entry) == 4) {
        row->has_oldest = stream_id_parse(tool_text(leat_reply_at(entry, 0)), 0, &row->oldest);
        row->oldest_idle_ms = leat_reply_integer(leat_reply_at(entry, 2));
    }
    leat_sync_reply_free(r);
    return r != NULL;
}

static bool learn_groups(struct lag *l, struct bytes stream, int64_t length, int64_t added,
                         const struct leat_reply *groups)
{
    size_t count = leat_reply_type(groups) == LEAT_ARRAY ? leat_reply_count(groups) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct leat_reply *info = leat_reply_at(groups, i);
        struct row *row = sample_add(&l->now, stream);
        row->group = own(tool_text(leat_reply_get(info, "name")));
        row->length = length;
        row->added = added;
        row->consumers = inspect_int(info, "consumers");
        row->pending = inspect_int(info, "pending");
        row->lag = inspect_int(info, "lag");
        row->read = inspect_int(info, "entries-read");
        if (row->pending > 0 && !learn_oldest(l, row)) return false;
    }
    if (count > 0) return true;
    struct row *row = sample_add(&l->now, stream);
    row->length = length;
    row->added = added;
    return true;
}

/* `must_be`: one that is not there is an error rather than deleted just now. */
static bool learn_stream(struct lag *l, struct bytes stream, bool must_be)
{
    struct leat_reply *info = tool_tryf(&l->tool, "XINFO STREAM %b", stream.data, stream.len);
    if (info == NULL) return false;
    bool good = true;
    if (leat_reply_type(info) != LEAT_ERROR) {
        struct leat_reply *groups = tool_tryf(&l->tool, "XINFO GROUPS %b", stream.data, stream.len);
        note_error(l, stream, groups);
        good = groups != NULL && learn_groups(l, stream, inspect_int(info, "length"),
                                              inspect_int(info, "entries-added"), groups);
        leat_sync_reply_free(groups);
    } else if (must_be) {
        tool_refuse_of(&l->tool, stream, info);
    } else {
        note_error(l, stream, info);
    }
    leat_sync_reply_free(info);
    return good;
}

static const struct row *find_row(const struct sample *s, const struct row *like, size_t hint)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct row *row = &s->rows[(i + hint) % s->count];
        if (bytes_eq(row->stream, like->stream) && bytes_eq(row->group, like->group)) return row;
    }
    return NULL;
}

static void learn_rates(struct lag *l)
{
    double seconds = (double)(l->now.at_ms - l->before.at_ms) / 1000;
    for (size_t i = 0; i < l->now.count && seconds > 0; i++) {
        struct row *row = &l->now.rows[i];
        const struct row *old = find_row(&l->before, row, i);
        if (old == NULL) continue;
        if (row->added >= 0 && old->added >= 0)
            row->in_per_s = (double)(row->added - old->added) / seconds;
        if (row->read >= 0 && old->read >= 0)
            row->read_per_s = (double)(row->read - old->read) / seconds;
    }
}

/* False when the connection is lost. */
static bool take_sample(struct lag *l, bool first)
{
    struct tool *t = &l->tool;
    struct stream_names all = {0};
    struct sample old = l->before;
    l->before = l->now;
    l->now = old;
    sample_clear(&l->now);
    for (size_t i = 0; i < t->arg_count; i++) stream_names_add(&all, bytes_of(t->args[i]));
    bool good = t->arg_count > 0 || stream_names_scan(t, NULL, &all);
    l->now.at_ms = tool_server_ms(t);
    for (size_t i = 0; i < all.count && good; i++)
        good = learn_stream(l, all.names[i], first && t->arg_count > 0);
    stream_names_fini(&all);
    if (good) learn_rates(l);
    return good && t->status != TOOL_UNREACHABLE;
}

/* ---- Showing ---- */

static int64_t age_ms(const struct lag *l, const struct row *row)
{
    if (!row->has_oldest) return -1;
    if (!stream_id_is_time(row->oldest)) return row->oldest_idle_ms;
    int64_t age = l->now.at_ms - (int64_t)row->oldest.ms;
    return age > 0 ? age : 0;
}

static void put_rate(struct table *table, double rate)
{
    if (!isnan(rate)) text_put_rate(table_begin(table), rate);
    table_end(table);
}

static void put_row(struct lag *l, const struct row *row)
{
    int64_t age = age_ms(l, row);
    table_word(&l->table, row->stream);
    if (row->group.data != NULL) table_word(&l->table, row->group);
    else table_text(&l->table, NULL);
    inspect_put_int(&l->table, row->length);
    inspect_put_int(&l->table, row->consumers);
    inspect_put_int(&l->table, row->pending);
    inspect_put_int(&l->table, row->lag);
    inspect_put_span(&l->tool, &l->table, age);
    if (l->every_ms == 0) return;
    put_rate(&l->table, row->in_per_s);
    put_rate(&l->table, row->read_per_s);
}

static void put_json_rate(struct json_out *j, const char *key, double rate)
{
    json_out_key(j, key);
    json_out_number(j, isnan(rate) ? rate : round(rate * 10) / 10);
}

static void put_json(struct lag *l, const struct row *row)
{
    char id[STREAM_ID_TEXT];
    struct json_out j;
    struct buf time = {0};
    json_out_init(&j, &l->page);
    json_out_object(&j);
    when_put_iso(&time, l->now.at_ms);
    json_out_key(&j, "at");
    json_out_string(&j, buf_bytes(&time));
    buf_fini(&time);
    json_out_key(&j, "stream");
    json_out_string(&j, row->stream);
    json_out_key(&j, "group");
    if (row->group.data != NULL) json_out_string(&j, row->group);
    else json_out_null(&j);
    entry_put_json_int(&j, "length", row->length);
    entry_put_json_int(&j, "consumers", row->consumers);
    entry_put_json_int(&j, "pending", row->pending);
    entry_put_json_int(&j, "lag", row->lag);
    entry_put_json_id(&j, "oldest_pending_id", "oldest_pending_time",
                      bytes_of(row->has_oldest ? stream_id_text(row->oldest, id) : ""));
    entry_put_json_int(&j, "oldest_pending_age_ms", age_ms(l, row));
    entry_put_json_int(&j, "oldest_pending_idle_ms", row->has_oldest ? row->oldest_idle_ms : -1);
    if (l->every_ms > 0) {
        put_json_rate(&j, "in_per_second", row->in_per_s);
        put_json_rate(&j, "read_per_second", row->read_per_s);
    }
    json_out_object_end(&j);
    buf_putc(&l->page, '\n');
}

static void put_heading(struct lag *l, int columns_max)
{
    size_t start = l->page.len;
    if (!l->tool.terminal) {
        when_put_iso(&l->page, l->now.at_ms);
        buf_putc(&l->page, '\n');
        return;
    }
    when_put_short(&l->page, l->now.at_ms, l->now.at_ms);
    buf_printf(&l->page, "  every %g s  Ctrl-C ends", (double)l->every_ms / 1000);
    struct bytes heading = {l->page.data + start, l->page.len - start};
    if (columns_max > 0) l->page.len = start + text_cut(heading, (size_t)columns_max);
    buf_printf(&l->page, "\n\n");
}

static void make_page(struct lag *l)
{
    struct table_style style = screen_style(&l->tool, 3);
    if (l->every_ms == 0) style = (struct table_style){.terminal = l->tool.terminal};
    l->page.len = 0;
    table_clear(&l->table);
    for (size_t i = 0; i < l->now.count; i++) {
        if (l->tool.json) put_json(l, &l->now.rows[i]);
        else put_row(l, &l->now.rows[i]);
    }
    if (l->tool.json) return;
    if (l->every_ms > 0) put_heading(l, style.columns_max);
    table_put(&l->table, &style, &l->page);
    if (l->now.count == 0) buf_printf(&l->page, "there are no streams\n");
}

/* Waits until `due_ms` of our clock. */
static bool pause_until(struct lag *l, int64_t due_ms)
{
    for (;;) {
        struct leat_reply *stray = NULL;
        int64_t left = due_ms - when_now_ms();
        if (left <= 0 || tool_over(&l->tool)) return !tool_over(&l->tool);
        if (left > l->every_ms) due_ms = when_now_ms() + l->every_ms; /* the clock was set back */
        if (tool_wait(&l->tool, (int)(left < l->every_ms ? left : l->every_ms), &stray) != 0)
            return true; /* broken: the next sample says so */
    }
}

static void watch(struct lag *l)
{
    bool first = true;
    for (int64_t due_ms = when_now_ms();; due_ms += l->every_ms, first = false) {
        bool good = take_sample(l, first);
        if (l->tool.status == TOOL_REFUSED) break;
        if (!good) {
            screen_leave(&l->tool, buf_bytes(&l->page));
            if (!tool_reconnect(&l->tool)) break;
            continue;
        }
        make_page(l);
        if (!screen_show(&l->tool, buf_bytes(&l->page)) || !pause_until(l, due_ms + l->every_ms))
            break;
        if (when_now_ms() - due_ms > 2 * l->every_ms) due_ms = when_now_ms() - l->every_ms;
    }
    screen_leave(&l->tool, buf_bytes(&l->page));
    if (tool_over(&l->tool)) l->tool.status = TOOL_OK;
}

static void once(struct lag *l)
{
    if (!take_sample(l, true)) return;
    if (l->now.count == 0 && l->tool.status == TOOL_OK)
        tool_note(&l->tool, "there are no streams yet; `leat add STREAM FIELD VALUE` makes one");
    if (l->now.count == 0) return;
    make_page(l);
    buf_put(&l->tool.out, buf_bytes(&l->page));
}

int cmd_lag(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "[STREAM]...", doc, 0, 0, 0};
    static const struct column columns[] = {
        {"STREAM", false},        {"GROUP", false},  {"LENGTH", true},
        {"CONSUMERS", true},      {"PENDING", true}, {"LAG", true},
        {"OLDEST-PENDING", true}, {"IN/S", true},    {"READ/S", true}};
    struct lag l = {0};
    tool_parse(&argp, argc, argv, &l);
    table_init(&l.table, columns, l.every_ms > 0 ? 9 : 7);
    if (l.every_ms > 0) tool_catch_signals();
    if (tool_connect(&l.tool)) {
        if (l.every_ms > 0) watch(&l);
        else once(&l);
    }
    sample_clear(&l.now);
    sample_clear(&l.before);
    mem_free(l.now.rows);
    mem_free(l.before.rows);
    table_fini(&l.table);
    buf_fini(&l.page);
    return tool_end(&l.tool);
}
