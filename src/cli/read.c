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
#include "cli/tool/follow.h"
#include "cli/tool/tool.h"

struct read {
    struct tool tool;
    struct follow follow;
    const char *from;
    bool create;
    int64_t last; /* -1: not given */
};

enum { OPT_FROM = 256, OPT_LAST, OPT_COUNT, OPT_BLOCK, OPT_NO_ACK, OPT_CREATE, OPT_PENDING };

static const struct argp_option options[] = {
    {"follow", 'f', 0, 0, "Go on with what comes, until Ctrl-C", 1},
    {"from", OPT_FROM, "WHERE", 0, "Begin at " POSITION_HELP "; default: START", 1},
    {"last", OPT_LAST, "N", 0, "Begin with the last N entries of each stream (0: as --from END)",
     1},
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
    tool_check_distinct(&r->tool, state);
    if (r->from && r->last >= 0) argp_error(state, "either --from or --last");
    if (r->follow.consumer && !r->follow.group) argp_error(state, "--consumer goes with --group");
    if (r->follow.group && !r->follow.consumer)
        argp_error(state,
                   "--group needs --consumer NAME: readers of one name share what is pending");
    if (!r->follow.group && (!r->follow.acknowledge || r->create || r->follow.earlier))
        argp_error(state, "--no-ack, --pending and --create go with --group");
    if (r->follow.group && r->last >= 0) argp_error(state, "--last is for reading without a group");
    if (r->follow.group && r->from && !r->create)
        argp_error(state, "a group knows where it is; --from goes with --create then");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct read *r = state->input;
    switch (key) {
    case 'f':
        r->follow.forever = true;
        return 0;
    case 'g':
        r->follow.group = arg;
        return 0;
    case 'c':
        r->follow.consumer = arg;
        return 0;
    case OPT_FROM:
        r->from = arg;
        return 0;
    case OPT_LAST:
        r->last = tool_parse_count(state, "--last", arg);
        return 0;
    case OPT_COUNT:
        r->follow.left = tool_parse_count(state, "--count", arg);
        return 0;
    case OPT_BLOCK:
        r->follow.block_ms = tool_parse_span(state, "--block", arg);
        return 0;
    case OPT_NO_ACK:
        r->follow.acknowledge = false;
        return 0;
    case OPT_CREATE:
        r->create = true;
        return 0;
    case OPT_PENDING:
        r->follow.earlier = true;
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

static bool begin_at(struct read *r, struct follow_cursor *c)
{
    struct position p = {.kind = POSITION_START};
    const char *why;
    if (r->from && !position_parse(r->from, tool_server_ms(&r->tool), &p, &why)) {
        tool_fail(&r->tool, TOOL_USAGE, "--from %s: %s", r->from, why);
        return false;
    }
    if (p.kind == POSITION_ID) c->after = stream_id_before(p.id);
    if (p.kind == POSITION_END || r->last == 0) return nth_last(r, c->stream, 1, &c->after);
    if (r->last > 0) {
        if (!nth_last(r, c->stream, r->last, &c->after)) return false;
        c->after = stream_id_before(c->after);
    }
    return true;
}

static bool create_group(struct read *r, const struct follow_cursor *c)
{
    char id[STREAM_ID_TEXT];
    /* END is $ here, so that the server knows how many entries lie before. */
    bool end = r->from && (bytes_is_word(bytes_of(r->from), "end") || strcmp(r->from, "$") == 0);
    struct leat_reply *reply =
        tool_tryf(&r->tool, "XGROUP CREATE %b %s %s MKSTREAM", c->stream.data, c->stream.len,
                  r->follow.group, end ? "$" : stream_id_text(c->after, id));
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
    follow_init(&r->follow, r->tool.arg_count);
    for (size_t i = 0; i < r->follow.count; i++) {
        struct follow_cursor *c = &r->follow.cursors[i];
        c->stream = bytes_of(r->tool.args[i]);
        if (r->follow.group && !r->create) continue;
        if (!begin_at(r, c)) return false;
        if (r->create && !create_group(r, c)) return false;
    }
    return true;
}

static void put(void *arg, struct bytes stream, const struct leat_reply *entry)
{
    struct read *r = arg;
    struct entry_style style = {r->tool.json, r->follow.count > 1, r->tool.terminal, when_now_ms()};
    entry_put(&r->tool.out, &style, stream, entry);
}

int cmd_read(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM...", doc, 0, 0, 0};
    struct read r = {.follow = {.left = INT64_MAX, .block_ms = -1, .acknowledge = true},
                     .last = -1};
    r.follow.tool = &r.tool;
    r.follow.put = put;
    r.follow.arg = &r;
    tool_parse(&argp, argc, argv, &r);
    tool_catch_signals();
    if (tool_connect(&r.tool) && begin(&r)) {
        follow_run(&r.follow);
        if (!r.follow.found && !tool_over(&r.tool) && r.tool.status == TOOL_OK)
            tool_fail(&r.tool, TOOL_REFUSED, "nothing to read there; -f waits for what comes");
    }
    follow_fini(&r.follow);
    return tool_end(&r.tool);
}
