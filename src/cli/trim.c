/* `leat trim`: removes a stream's oldest entries. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/tool/trimming.h"
#include "http/json_out.h"

struct trim {
    struct tool tool;
    struct bytes stream;
    struct trimming trimming;
    int64_t older_ms; /* -1: not given */
};

enum { OPT_OLDER = 256 };

static const struct argp_option options[] = {
    {"older-than", OPT_OLDER, "DURATION", 0, "Remove what was added longer ago, by its id", 1},
    TRIMMING_OPTIONS(1),
    TOOL_OPTIONS,
};

static const char doc[] =
    "Removes the oldest entries of a stream, whether groups have read them or not, and tells how "
    "many."
    "\v"
    "Examples:\n"
    "  leat trim sensors --maxlen 1000000 --approximate\n"
    "  leat trim sensors --older-than 7d\n"
    "  leat trim sensors --minid 2026-11-01\n"
    "`leat lag sensors' shows first whether a group has yet to read them.\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct trim *t = state->input;
    switch (key) {
    case OPT_OLDER:
        t->older_ms = tool_parse_span(state, "--older-than", arg);
        return 0;
    case ARGP_KEY_END:
        if (t->tool.arg_count != 1) argp_error(state, "which STREAM? One at a time");
        if (!!t->trimming.maxlen + !!t->trimming.minid + (t->older_ms >= 0) != 1)
            argp_error(state, "one of --maxlen, --minid and --older-than");
        return 0;
    default:
        if (trimming_option(&t->trimming, key, arg, state) == 0) return 0;
        return tool_option(&t->tool, key, arg);
    }
}

static bool resolve(struct trim *t)
{
    struct stream_id id = {0, 0};
    if (t->older_ms < 0) return trimming_resolve(&t->trimming, &t->tool);
    int64_t now_ms = tool_server_ms(&t->tool);
    if (t->older_ms < now_ms) id.ms = (uint64_t)(now_ms - t->older_ms);
    stream_id_text(id, t->trimming.from);
    return true;
}

static void tell(struct trim *t, int64_t removed, int64_t length)
{
    struct json_out j;
    if (!t->tool.json) {
        buf_printf(&t->tool.out, "%lld removed, %lld left\n", (long long)removed,
                   (long long)length);
        return;
    }
    json_out_init(&j, &t->tool.out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, t->stream);
    json_out_key(&j, "removed");
    json_out_int(&j, removed);
    json_out_key(&j, "length");
    json_out_int(&j, length);
    json_out_object_end(&j);
    buf_putc(&t->tool.out, '\n');
}

/* The integer that a command of one word and the stream's name answers; -1 on failure. */
static int64_t number_of(struct trim *t, const char *command)
{
    struct ask a = {0};
    ask_text(&a, command);
    ask_bytes(&a, t->stream);
    struct leat_reply *r = tool_call(&t->tool, &a);
    int64_t n = r != NULL ? leat_reply_integer(r) : -1;
    leat_sync_reply_free(r);
    return n;
}

static void trim(struct trim *t)
{
    struct ask a = {0};
    int64_t exists = number_of(t, "EXISTS");
    if (exists == 0)
        tool_fail(&t->tool, TOOL_REFUSED, "there is no stream %.*s; `leat streams` lists them",
                  (int)t->stream.len, t->stream.data);
    if (exists <= 0 || !resolve(t)) return;
    ask_text(&a, "XTRIM");
    ask_bytes(&a, t->stream);
    trimming_put(&t->trimming, &a);
    struct leat_reply *r = tool_call(&t->tool, &a);
    int64_t length = r != NULL ? number_of(t, "XLEN") : -1;
    if (length >= 0) tell(t, leat_reply_integer(r), length);
    leat_sync_reply_free(r);
}

int cmd_trim(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM", doc, 0, 0, 0};
    struct trim t = {.older_ms = -1};
    tool_parse(&argp, argc, argv, &t);
    t.stream = bytes_of(t.tool.args[0]);
    if (tool_connect(&t.tool)) trim(&t);
    return tool_end(&t.tool);
}
