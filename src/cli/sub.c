/* `leat sub`: prints what is published on channels, until Ctrl-C.
 *
 * The connection is in RESP2's subscribed state, where PING is allowed: a peer silent for PING_MS
 * is asked, one silent for twice as long is given up and connected to anew. */
#include "cli/sub.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/tool/durable.h"
#include "cli/tool/entry.h"
#include "cli/tool/text.h"

enum { PING_MS = 15000 };

enum { OPT_FROM = 256, OPT_COUNT };

static const struct argp_option options[] = {
    {"pattern", 'p', 0, 0, "The names are patterns: news.*, h?llo, h[ae]llo", 1},
    {"count", OPT_COUNT, "N", 0, "End after N messages", 1},
    {0, 0, 0, 0, "Without losing what comes while nobody listens:", 2},
    {"durable", 'd', "NAME", 0,
     "Be the durable subscriber NAME: first what came since it was last here, then what comes", 2},
    {"from", OPT_FROM, "WHERE", 0, "Put NAME's position to " POSITION_HELP, 2},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Prints the messages of channels as they come, one per line. With several channels or a "
    "pattern, "
    "each line begins with the channel."
    "\v"
    "Examples:\n"
    "  leat sub news\n"
    "  leat sub news weather --json | jq -r .message\n"
    "  leat sub --pattern 'news.*'\n"
    "  leat sub orders --durable billing\n"
    "      stop it, publish, start it again: what was published meanwhile comes first\n"
    "  leat sub orders --durable billing --from START\n"
    "On leat, --durable names the connection and subscribes; the server keeps the position for "
    "channels that its setting `durable' covers. Other servers have no such channels: there it "
    "reads the stream of the channel's name as a consumer group, to which `leat pub --durable' "
    "appends, and says so.\n"
    "Without --durable, what is published while nobody is connected is lost, as "
    "always.\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct sub *s = state->input;
    switch (key) {
    case 'p':
        s->pattern = true;
        return 0;
    case 'd':
        s->durable = arg;
        return 0;
    case OPT_FROM:
        s->from = arg;
        return 0;
    case OPT_COUNT:
        s->left = tool_parse_count(state, "--count", arg);
        return 0;
    case ARGP_KEY_END:
        if (s->tool.arg_count == 0) argp_error(state, "to which CHANNEL?");
        tool_check_distinct(&s->tool, state);
        if (s->from && !s->durable)
            argp_error(state, "--from goes with --durable NAME: an ordinary channel has no past");
        if (s->durable && *s->durable == '\0') argp_error(state, "--durable needs a name");
        if (s->durable && s->pattern)
            argp_error(state,
                       "--durable takes channels, not patterns: a position is one of a channel");
        return 0;
    default:
        return tool_option(&s->tool, key, arg);
    }
}

static void put_json(struct sub *s, struct bytes pattern, struct bytes channel, struct bytes id,
                     struct bytes message)
{
    struct json_out j;
    json_out_init(&j, &s->tool.out);
    json_out_object(&j);
    json_out_key(&j, "channel");
    json_out_string(&j, channel);
    if (pattern.len > 0) {
        json_out_key(&j, "pattern");
        json_out_string(&j, pattern);
    }
    if (id.len > 0) entry_put_json_id(&j, "id", "time", id);
    json_out_key(&j, "message");
    json_out_string(&j, message);
    json_out_object_end(&j);
}

void sub_put(struct sub *s, struct bytes pattern, struct bytes channel, struct bytes id,
             struct bytes message)
{
    struct buf *out = &s->tool.out;
    if (s->tool.json) {
        put_json(s, pattern, channel, id, message);
    } else {
        if (s->pattern || s->tool.arg_count > 1) {
            text_put_word(out, channel);
            buf_putc(out, ' ');
        }
        if (s->tool.terminal) text_put_line(out, message);
        else buf_put(out, message);
    }
    buf_putc(out, '\n');
}

/* ---- Subscribing ---- */

static bool name_connection(struct sub *s)
{
    struct leat_reply *r = tool_tryf(&s->tool, "CLIENT SETNAME %s", s->durable);
    bool good = r != NULL && leat_reply_type(r) != LEAT_ERROR;
    if (r != NULL && !good) tool_refuse(&s->tool, r);
    leat_sync_reply_free(r);
    return good;
}

static bool subscribe(struct sub *s)
{
    struct ask a = {0};
    if (s->durable && !name_connection(s)) return false;
    ask_text(&a, s->pattern ? "PSUBSCRIBE" : "SUBSCRIBE");
    for (size_t i = 0; i < s->tool.arg_count; i++) ask_text(&a, s->tool.args[i]);
    return tool_send(&s->tool, &a);
}

/* False when the server refused. */
static bool take(struct sub *s, const struct leat_reply *r)
{
    struct bytes none = {"", 0}, kind = tool_text(leat_reply_at(r, 0));
    if (leat_reply_type(r) == LEAT_ERROR) {
        tool_refuse(&s->tool, r);
        return false;
    }
    if (bytes_eq(kind, BYTES("message")) && leat_reply_count(r) == 3) {
        sub_put(s, none, tool_text(leat_reply_at(r, 1)), none, tool_text(leat_reply_at(r, 2)));
        s->left--;
    } else if (bytes_eq(kind, BYTES("pmessage")) && leat_reply_count(r) == 4) {
        sub_put(s, tool_text(leat_reply_at(r, 1)), tool_text(leat_reply_at(r, 2)), none,
                tool_text(leat_reply_at(r, 3)));
        s->left--;
    } else if (s->tool.terminal && bytes_is_word(kind, s->pattern ? "psubscribe" : "subscribe")) {
        struct bytes channel = tool_text(leat_reply_at(r, 1));
        tool_note(&s->tool, "subscribed to %.*s; Ctrl-C ends", (int)channel.len, channel.data);
    }
    return true;
}

/* Takes all that is there, then writes. 1, 0: nothing came, -1: broken, refused or nobody reads. */
static int take_all(struct sub *s, int wait_ms)
{
    struct leat_reply *r;
    int got = tool_wait(&s->tool, wait_ms, &r), seen = 0;
    while (got == 1 && s->left > 0) {
        bool good = take(s, r);
        leat_sync_reply_free(r);
        if (!good) return -1;
        seen = 1;
        if (s->left == 0 || s->tool.out.len > (1 << 20)) break;
        got = leat_sync_try_receive(s->tool.server, 0, &r);
    }
    if (!tool_flush(&s->tool)) return -1;
    return got < 0 ? -1 : seen;
}

static bool recover(struct sub *s)
{
    if (tool_over(&s->tool) || s->tool.status == TOOL_REFUSED) return false;
    s->tool.status = TOOL_OK;
    if (!tool_reconnect(&s->tool)) return false;
    if (!s->durable)
        tool_note(&s->tool, "what was published in between is lost; --durable NAME would get it");
    return true;
}

static void run(struct sub *s)
{
    bool ready = subscribe(s), asked = false;
    while (s->left > 0 && !tool_over(&s->tool)) {
        int rc = ready ? take_all(s, PING_MS) : -1;
        if (rc == 0 && !asked && !tool_over(&s->tool)) {
            struct ask ping = {0};
            ask_text(&ping, "PING");
            asked = ask_send(&ping, s->tool.server) == 0;
            if (asked) continue;
        }
        if (rc == 1) asked = false;
        if (rc == 1 || tool_over(&s->tool)) continue;
        if (!recover(s)) return;
        ready = subscribe(s);
        asked = false;
    }
}

/* Puts the position that the server keeps to --from. A channel nothing was published on yet has no
 * past to begin in. */
static void move_position(struct sub *s, struct bytes channel)
{
    char id[STREAM_ID_TEXT];
    if (!sub_position(s, id)) return;
    struct leat_reply *r = tool_tryf(&s->tool, "PUBSUB DURABLE RESET %b %s %s", channel.data,
                                     channel.len, s->durable, id);
    if (r != NULL && leat_reply_type(r) == LEAT_ERROR &&
        !tool_is_error(r, "ERR no such durable channel"))
        tool_refuse(&s->tool, r);
    leat_sync_reply_free(r);
}

/* Whether the server keeps positions itself; says what is amiss. */
static bool has_durable_channels(struct sub *s)
{
    struct buf patterns = {0};
    bool here = durable_patterns(&s->tool, &patterns);
    for (size_t i = 0; i < s->tool.arg_count && here; i++) {
        struct bytes channel = bytes_of(s->tool.args[i]);
        if (!durable_covers(buf_bytes(&patterns), channel))
            tool_note(&s->tool,
                      "%s is not among the server's durable channels (%.*s), so what comes while "
                      "nobody listens is lost; CONFIG SET durable 'PATTERN ...' makes it one",
                      channel.data, (int)patterns.len, patterns.len ? patterns.data : "none");
        else if (s->from) move_position(s, channel);
    }
    buf_fini(&patterns);
    return here;
}

int cmd_sub(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "CHANNEL...", doc, 0, 0, 0};
    struct sub s = {.left = INT64_MAX};
    tool_parse(&argp, argc, argv, &s);
    tool_catch_signals();
    if (!tool_connect(&s.tool)) return tool_end(&s.tool);
    bool here = s.durable == NULL || has_durable_channels(&s);
    if (here && s.tool.status == TOOL_OK) run(&s);
    else if (s.tool.status == TOOL_OK) sub_streams(&s);
    if (tool_over(&s.tool) && s.tool.status == TOOL_UNREACHABLE) s.tool.status = TOOL_OK;
    return tool_end(&s.tool);
}
