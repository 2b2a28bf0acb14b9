/* `leat read`: the entries of streams, from anywhere on, once or for ever, alone or as a consumer
 * of a group.
 *
 * Alone: each stream has the id of the last entry printed; a broken connection goes on behind it,
 * so that nothing comes twice or is left out. In a group: entries are printed, then acknowledged;
 * after a broken connection what was delivered but perhaps not seen is read again first. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/tool.h"

enum {
    BATCH = 500,
    TURN_MS = 2000,  /* one BLOCK; between two of them we look around */
    GRACE_MS = 5000, /* how late the answer to one may be */
};

struct cursor {
    struct bytes stream;
    struct stream_id after; /* alone: the last one printed */
    struct stream_id given; /* in a group: the last one of those given earlier */
    bool over;              /* of those given earlier there are no more */
};

struct read {
    struct tool tool;
    const char *from, *group, *consumer;
    bool follow, no_ack, create, earlier;
    int64_t last, count, block_ms; /* 0, INT64_MAX, -1: not given */
    struct cursor *cursors;
    size_t streams;
    int64_t left; /* entries still to be printed */
    bool found;
};

enum { OPT_FROM = 256, OPT_LAST, OPT_COUNT, OPT_BLOCK, OPT_NO_ACK, OPT_CREATE, OPT_PENDING };

static const struct argp_option options[] = {
    {"follow", 'f', 0, 0, "Go on with what comes, until Ctrl-C", 1},
    {"from", OPT_FROM, "WHERE", 0, "Begin at " POSITION_HELP "; default: START", 1},
    {"last", OPT_LAST, "N", 0, "Begin with the last N entries of each stream", 1},
    {"count", OPT_COUNT, "N", 0, "End after N entries", 1},
    {"block", OPT_BLOCK, "DURATION", 0, "End when nothing came for so long; default: at once", 1},
    {0, 0, 0, 0, "As a member of a group, who share the entries:", 2},
    {"group", 'g', "GROUP", 0, "What this group has not been given yet", 2},
    {"consumer", 'c', "NAME", 0, "Who takes them; each reader needs a name of its own", 2},
    {"no-ack", OPT_NO_ACK, 0, 0, "Leave them pending instead of acknowledging what was printed", 2},
    {"pending", OPT_PENDING, 0, 0,
     "First what this consumer was given before and never acknowledged", 2},
    {"create", OPT_CREATE, 0, 0,
     "Make the group (and the stream) if it is not there, beginning at --from", 2},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Prints the entries of streams, one per line."
    "\v"
    "Examples:\n"
    "  leat read sensors                      all there is\n"
    "  leat read sensors --last 10 -f         the last ten, then what comes\n"
    "  leat read sensors --from 2h-ago --count 100\n"
    "  leat read sensors --from '(1795281361250-0'\n"
    "      behind the entry that was seen last: to resume\n"
    "  leat read orders payments -f --from END --json | jq .fields\n"
    "  leat read orders -g billing -c worker-1 -f\n"
    "      shares the work with other consumers of the group `billing'; what was printed is "
    "acknowledged\n"
    "  leat read orders -g billing -c worker-1 --create --from START --pending\n" TOOL_STATUS_HELP;

static void check(struct read *r, struct argp_state *state)
{
    if (r->tool.arg_count == 0) argp_error(state, "which STREAM?");
    if (r->from && r->last) argp_error(state, "either --from or --last");
    if (r->consumer && !r->group) argp_error(state, "--consumer goes with --group");
    if (r->group && !r->consumer)
        argp_error(state,
                   "--group needs --consumer NAME: readers of one name share what is pending");
    if (!r->group && (r->no_ack || r->create || r->earlier))
        argp_error(state, "--no-ack, --pending and --create go with --group");
    if (r->group && r->last) argp_error(state, "--last is for reading without a group");
    if (r->group && r->from && !r->create)
        argp_error(state, "a group knows where it is; --from goes with --create then");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct read *r = state->input;
    switch (key) {
    case 'f':
        r->follow = true;
        return 0;
    case 'g':
        r->group = arg;
        return 0;
    case 'c':
        r->consumer = arg;
        return 0;
    case OPT_FROM:
        r->from = arg;
        return 0;
    case OPT_LAST:
        r->last = tool_parse_count(state, "--last", arg);
        return 0;
    case OPT_COUNT:
        r->count = tool_parse_count(state, "--count", arg);
        return 0;
    case OPT_BLOCK:
        r->block_ms = tool_parse_span(state, "--block", arg);
        return 0;
    case OPT_NO_ACK:
        r->no_ack = true;
        return 0;
    case OPT_CREATE:
        r->create = true;
        return 0;
    case OPT_PENDING:
        r->earlier = true;
        return 0;
    case ARGP_KEY_END:
        check(r, state);
        return 0;
    default:
        return tool_option(&r->tool, key, arg);
    }
}

/* ---- Where to begin ---- */

/* The id of the Nth entry from the end, or of the first when there are fewer; 0-0 of an empty
 * stream. */
static bool nth_last(struct read *r, struct bytes stream, int64_t n, struct stream_id *ret)
{
    struct leat_reply *reply =
        tool_callf(&r->tool, "XREVRANGE %b + - COUNT %lld", stream.data, stream.len, (long long)n);
    if (reply == NULL) return false;
    size_t count = leat_reply_count(reply);
    *ret = (struct stream_id){0, 0};
    if (count > 0)
        stream_id_parse(tool_text(leat_reply_at(leat_reply_at(reply, count - 1), 0)), 0, ret);
    leat_sync_reply_free(reply);
    return true;
}

static bool begin_at(struct read *r, struct cursor *c)
{
    struct position p = {.kind = POSITION_START};
    const char *why;
    if (r->from && !position_parse(r->from, tool_server_ms(&r->tool), &p, &why)) {
        tool_fail(&r->tool, TOOL_USAGE, "--from %s: %s", r->from, why);
        return false;
    }
    if (p.kind == POSITION_ID) c->after = stream_id_before(p.id);
    if (p.kind == POSITION_END) return nth_last(r, c->stream, 1, &c->after);
    if (r->last > 0) {
        if (!nth_last(r, c->stream, r->last, &c->after)) return false;
        c->after = stream_id_before(c->after);
    }
    return true;
}

static bool create_group(struct read *r, const struct cursor *c)
{
    char id[STREAM_ID_TEXT];
    struct leat_reply *reply =
        tool_tryf(&r->tool, "XGROUP CREATE %b %s %s MKSTREAM", c->stream.data, c->stream.len,
                  r->group, stream_id_text(c->after, id));
    bool good = reply != NULL;
    if (good && leat_reply_type(reply) == LEAT_ERROR && !tool_is_error(reply, "BUSYGROUP")) {
        tool_refuse(&r->tool, reply);
        good = false;
    }
    leat_sync_reply_free(reply);
    return good;
}

static bool begin(struct read *r)
{
    r->streams = r->tool.arg_count;
    r->cursors = mem_calloc(r->streams * sizeof *r->cursors);
    for (size_t i = 0; i < r->streams; i++) {
        struct cursor *c = &r->cursors[i];
        c->stream = bytes_of(r->tool.args[i]);
        if (r->group && !r->create) continue;
        if (!begin_at(r, c)) return false;
        if (r->create && !create_group(r, c)) return false;
    }
    return true;
}

/* ---- Reading ---- */

static int64_t batch(const struct read *r)
{
    return r->left < BATCH ? r->left : BATCH;
}

static void ask_streams(const struct read *r, struct ask *ask)
{
    char id[STREAM_ID_TEXT];
    ask_text(ask, "STREAMS");
    for (size_t i = 0; i < r->streams; i++) ask_bytes(ask, r->cursors[i].stream);
    for (size_t i = 0; i < r->streams; i++) {
        const struct cursor *c = &r->cursors[i];
        if (!r->group) ask_text(ask, stream_id_text(c->after, id));
        else if (r->earlier) ask_text(ask, stream_id_text(c->given, id));
        else ask_text(ask, ">");
    }
}

static bool send_read(struct read *r, int64_t block_ms)
{
    struct ask ask = {0};
    if (r->group) {
        ask_words(&ask, "XREADGROUP GROUP");
        ask_text(&ask, r->group);
        ask_text(&ask, r->consumer);
    } else {
        ask_text(&ask, "XREAD");
    }
    ask_text(&ask, "COUNT");
    ask_int(&ask, batch(r));
    if (block_ms > 0) {
        ask_text(&ask, "BLOCK");
        ask_int(&ask, block_ms);
    }
    ask_streams(r, &ask);
    return ask_send(&ask, r->tool.server) == 0;
}

static struct cursor *find_cursor(struct read *r, struct bytes stream)
{
    for (size_t i = 0; i < r->streams; i++)
        if (bytes_eq(r->cursors[i].stream, stream)) return &r->cursors[i];
    return NULL;
}

/* Prints the entries of one stream of a reply; those to be acknowledged go into `ack`. Returns how
 * many there were. */
static size_t print_stream(struct read *r, const struct leat_reply *pair, struct ask *ack)
{
    struct bytes stream = tool_text(leat_reply_at(pair, 0));
    const struct leat_reply *entries = leat_reply_at(pair, 1);
    struct cursor *c = find_cursor(r, stream);
    struct entry_style style = {r->tool.json, r->streams > 1, r->tool.terminal, when_now_ms()};
    size_t count = entries ? leat_reply_count(entries) : 0;
    ask_text(ack, "XACK");
    ask_bytes(ack, stream);
    ask_text(ack, r->group ? r->group : "");
    for (size_t i = 0; i < count && r->left > 0 && c != NULL; i++) {
        const struct leat_reply *entry = leat_reply_at(entries, i);
        struct bytes id = tool_text(leat_reply_at(entry, 0));
        if (!entry_put(&r->tool.out, &style, stream, entry)) continue;
        stream_id_parse(id, 0, r->earlier ? &c->given : &c->after);
        ask_bytes(ack, id);
        r->left--;
        r->found = true;
    }
    return count;
}

/* 1: entries were printed (and acknowledged); 0: there were none; -1: the connection broke, or the
 * output's reader is gone. */
static int print_reply(struct read *r, const struct leat_reply *reply)
{
    size_t seen = 0;
    for (size_t i = 0; i < leat_reply_count(reply); i++) {
        struct ask ack = {0};
        size_t count = print_stream(r, leat_reply_at(reply, i), &ack);
        bool acknowledge = r->group && !r->no_ack && ack.count > 3;
        seen += count;
        bool written = tool_flush(&r->tool);
        struct leat_reply *done = NULL;
        if (written && acknowledge && ask_send(&ack, r->tool.server) == 0)
            done = leat_sync_receive(r->tool.server);
        ask_fini(&ack);
        if (!written || (acknowledge && done == NULL)) return -1;
        leat_sync_reply_free(done);
    }
    return seen > 0;
}

/* As print_reply; the status is set when the server refuses. */
static int read_once(struct read *r, int64_t block_ms)
{
    struct leat_reply *reply = NULL;
    int rc = send_read(r, block_ms) ? tool_wait(&r->tool, (int)block_ms + GRACE_MS, &reply) : -1;
    if (rc <= 0) return -1;
    if (leat_reply_type(reply) == LEAT_ERROR) {
        tool_refuse(&r->tool, reply);
        rc = -1;
    } else {
        rc = print_reply(r, reply);
    }
    leat_sync_reply_free(reply);
    return rc;
}

/* What is to be done about a -1 of read_once: true to go on. */
static bool recover(struct read *r)
{
    if (tool_over(&r->tool) || r->tool.status != TOOL_OK) return false;
    if (r->follow) {
        /* What the lost reply gave to this consumer is pending now. */
        if (r->group && !r->no_ack) r->earlier = true;
        for (size_t i = 0; i < r->streams; i++) r->cursors[i].given = (struct stream_id){0, 0};
        return tool_reconnect(&r->tool);
    }
    tool_lost(&r->tool);
    return false;
}

static void run(struct read *r)
{
    int64_t idle_since = when_now_ms();
    while (r->left > 0 && !tool_over(&r->tool)) {
        int64_t block_ms = r->follow ? TURN_MS : 0;
        if (!r->follow && r->block_ms >= 0) {
            int64_t rest = idle_since + r->block_ms - when_now_ms();
            block_ms = rest > TURN_MS ? TURN_MS : rest < 0 ? 0 : rest;
        }
        int rc = read_once(r, r->earlier ? 0 : block_ms);
        if (rc < 0 && !recover(r)) return;
        if (rc > 0) idle_since = when_now_ms();
        if (rc != 0) continue;
        if (r->earlier) r->earlier = false;
        else if (block_ms <= 0) return;
    }
}

int cmd_read(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM...", doc, 0, 0, 0};
    struct read r = {.count = INT64_MAX, .block_ms = -1};
    tool_parse(&argp, argc, argv, &r);
    r.left = r.count;
    tool_catch_signals();
    if (tool_connect(&r.tool) && begin(&r)) {
        run(&r);
        if (!r.found && !tool_over(&r.tool) && r.tool.status == TOOL_OK)
            tool_fail(&r.tool, TOOL_REFUSED, "nothing to read there; -f waits for what comes");
    }
    mem_free(r.cursors);
    return tool_end(&r.tool);
}
