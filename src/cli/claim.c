/* `leat claim`: gives pending entries to another consumer of the group, as when theirs has died.
 *
 * Every way asks the server to compare the idle time itself (XCLAIM, XAUTOCLAIM), so that an entry
 * whose consumer woke up meanwhile stays where it is. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"
#include "cli/tool/pending.h"
#include "cli/tool/text.h"

enum { BATCH = 100 };

struct claim {
    struct tool tool;
    struct pending_query query; /* consumer: from whom; idle_ms: at least; count */
    const char *consumer;       /* who gets them */
    bool dry_run, ids_only;
    int64_t left; /* entries still to be claimed */
    int64_t claimed, gone, now_ms;
    struct ask batch; /* XCLAIM with ids, being filled */
    size_t batched;
    struct table table;
};

enum { OPT_IDLE = 256, OPT_FROM, OPT_DRY_RUN, OPT_IDS, OPT_COUNT };

static const struct argp_option options[] = {
    {"idle", OPT_IDLE, "DURATION", 0,
     "Only what was not given to anybody for so long (needed; 0s for all)", 1},
    {"from-consumer", OPT_FROM, "NAME", 0, "Only what this consumer holds", 1},
    {"count", OPT_COUNT, "N", 0, "At most N entries", 1},
    {"ids-only", OPT_IDS, 0, 0,
     "Print ids instead of entries; it does not count as one more delivery then", 1},
    {"dry-run", 'n', 0, 0, "Only show what would be claimed", 1},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Gives entries that are pending for too long to CONSUMER, and prints them. All of the group, "
    "or "
    "those of one consumer, or those with the ids named."
    "\v"
    "Examples:\n"
    "  leat claim orders billing worker-2 --idle 10m --dry-run\n"
    "  leat claim orders billing worker-2 --idle 10m\n"
    "  leat claim orders billing worker-2 --idle 0s --from-consumer worker-1\n"
    "      worker-1 is gone for good\n"
    "  leat claim orders billing worker-2 --idle 1m 1795281361250-0 1795281361250-1\n"
    "worker-2 sees them by reading its pending entries: leat read orders -g billing -c worker-2 "
    "--pending\n" TOOL_STATUS_HELP;

static void check(struct claim *c, struct argp_state *state)
{
    if (c->tool.arg_count < 3) argp_error(state, "which STREAM, which GROUP, for which CONSUMER?");
    if (c->query.idle_ms < 0)
        argp_error(state,
                   "--idle DURATION is needed: what is being worked on must not be taken away");
    if (c->tool.arg_count > 3 && (c->query.consumer || c->dry_run || c->query.count >= 0))
        argp_error(state, "ids go without --from-consumer, --count and --dry-run");
    for (size_t i = 3; i < c->tool.arg_count; i++) {
        struct stream_id id;
        if (!stream_id_parse(bytes_of(c->tool.args[i]), 0, &id))
            argp_error(state, "`%s' is no id; one looks like 1795281361250-0", c->tool.args[i]);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct claim *c = state->input;
    switch (key) {
    case OPT_IDLE:
        c->query.idle_ms = tool_parse_span(state, "--idle", arg);
        return 0;
    case OPT_FROM:
        c->query.consumer = arg;
        return 0;
    case OPT_COUNT:
        c->query.count = tool_parse_count(state, "--count", arg);
        return 0;
    case OPT_IDS:
        c->ids_only = true;
        return 0;
    case 'n':
        c->dry_run = true;
        return 0;
    case ARGP_KEY_END:
        check(c, state);
        return 0;
    default:
        return tool_option(&c->tool, key, arg);
    }
}

/* ---- What was claimed ---- */

static void put_id(struct claim *c, struct bytes id)
{
    struct tool *t = &c->tool;
    if (t->json) {
        struct json_out j;
        json_out_init(&j, &t->out);
        json_out_object(&j);
        json_out_key(&j, "stream");
        json_out_string(&j, c->query.stream);
        entry_put_json_id(&j, "id", "time", id);
        json_out_object_end(&j);
    } else {
        text_put_word(&t->out, id);
    }
    buf_putc(&t->out, '\n');
}

/* `entries` as XCLAIM gives them: ids, or entries; null for one deleted (before Redis 7). */
static bool put_claimed(struct claim *c, const struct leat_reply *entries)
{
    struct entry_style style = {c->tool.json, false, c->tool.terminal, c->now_ms};
    size_t count = entries != NULL ? leat_reply_count(entries) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct leat_reply *e = leat_reply_at(entries, i);
        if (leat_reply_type(e) == LEAT_STRING) put_id(c, tool_text(e));
        else if (!entry_put(&c->tool.out, &style, c->query.stream, e)) continue;
        c->claimed++;
        c->left--;
    }
    return tool_flush(&c->tool);
}

/* ---- By id, and from one consumer ---- */

static bool claim_batch(struct claim *c)
{
    if (c->batched == 0) return true;
    if (c->ids_only) ask_text(&c->batch, "JUSTID");
    struct leat_reply *r = tool_call(&c->tool, &c->batch);
    c->batched = 0;
    bool good = r != NULL && put_claimed(c, r);
    leat_sync_reply_free(r);
    return good;
}

static bool batch_id(struct claim *c, struct bytes id)
{
    if (c->batched == 0) {
        ask_text(&c->batch, "XCLAIM");
        ask_bytes(&c->batch, c->query.stream);
        ask_text(&c->batch, c->query.group);
        ask_text(&c->batch, c->consumer);
        ask_int(&c->batch, c->query.idle_ms);
    }
    ask_bytes(&c->batch, id);
    return ++c->batched < BATCH || claim_batch(c);
}

static bool on_pending(void *arg, const struct pending_entry *e)
{
    return batch_id(arg, e->id);
}

/* ---- All ---- */

static void claim_all(struct claim *c)
{
    struct buf cursor = {0};
    buf_append(&cursor, "0-0", 3);
    do {
        struct ask a = {0};
        ask_text(&a, "XAUTOCLAIM");
        ask_bytes(&a, c->query.stream);
        ask_text(&a, c->query.group);
        ask_text(&a, c->consumer);
        ask_int(&a, c->query.idle_ms);
        ask_bytes(&a, buf_bytes(&cursor));
        ask_text(&a, "COUNT");
        ask_int(&a, c->left < BATCH ? c->left : BATCH);
        if (c->ids_only) ask_text(&a, "JUSTID");
        struct leat_reply *r = tool_call(&c->tool, &a);
        cursor.len = 0;
        buf_put(&cursor, tool_text(r != NULL ? leat_reply_at(r, 0) : NULL));
        const struct leat_reply *gone = r != NULL ? leat_reply_at(r, 2) : NULL; /* Redis 7 */
        c->gone += gone != NULL ? (int64_t)leat_reply_count(gone) : 0;
        if (r == NULL || !put_claimed(c, leat_reply_at(r, 1))) cursor.len = 0;
        leat_sync_reply_free(r);
    } while (cursor.len > 0 && !bytes_eq(buf_bytes(&cursor), BYTES("0-0")) && c->left > 0);
    buf_fini(&cursor);
}

/* ---- None ---- */

static bool show(void *arg, const struct pending_entry *e)
{
    struct claim *c = arg;
    c->claimed++;
    pending_put(&c->tool, &c->table, &c->query, e, c->now_ms);
    return true;
}

static void claim(struct claim *c)
{
    if (c->dry_run) {
        table_init(&c->table, pending_columns, PENDING_COLUMNS);
        if (pending_each(&c->tool, &c->query, show, c) && !c->tool.json && c->claimed > 0)
            tool_put_table(&c->tool, &c->table);
        table_fini(&c->table);
    } else if (c->tool.arg_count > 3) {
        bool good = true;
        for (size_t i = 3; i < c->tool.arg_count && good; i++)
            good = batch_id(c, bytes_of(c->tool.args[i]));
        if (good) claim_batch(c);
    } else if (c->query.consumer != NULL) {
        if (pending_each(&c->tool, &c->query, on_pending, c)) claim_batch(c);
    } else {
        claim_all(c);
    }
}

int cmd_claim(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM GROUP CONSUMER [ID]...", doc, 0, 0, 0};
    struct claim c = {.query = {.idle_ms = -1, .count = -1}};
    tool_parse(&argp, argc, argv, &c);
    c.query.stream = bytes_of(c.tool.args[0]);
    c.query.group = c.tool.args[1];
    c.consumer = c.tool.args[2];
    c.left = c.query.count < 0 ? INT64_MAX : c.query.count;
    c.now_ms = when_now_ms();
    if (tool_connect(&c.tool)) {
        claim(&c);
        if (c.gone > 0)
            tool_note(
                &c.tool,
                "%lld more were pending, but deleted from the stream; they are no longer pending",
                (long long)c.gone);
        if (c.claimed == 0 && c.tool.status == TOOL_OK && !c.tool.closed)
            tool_fail(
                &c.tool, TOOL_REFUSED,
                "nothing of that is pending for so long; `leat pending %s %s --long` shows what is",
                c.tool.args[0], c.tool.args[1]);
    }
    ask_fini(&c.batch);
    return tool_end(&c.tool);
}
