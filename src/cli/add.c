/* `leat add`: appends entries to a stream, from the command line or from lines of standard input.
 *
 * Lines go out as a pipeline: at most WINDOW entries are without their reply, and none once no more
 * input is there, so that each id is printed as soon as it can be. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/tool/entry.h"
#include "cli/tool/input.h"
#include "cli/tool/text.h"
#include "cli/tool/trimming.h"
#include "flow/json.h"

enum { WINDOW = 128 };

struct add {
    struct tool tool;
    struct bytes stream;
    const char *id, *lines;
    struct trimming trimming;
    bool nomkstream, quiet;
    struct json_parser *parser;
    uint64_t line; /* of standard input */
    size_t waiting;
};

enum { OPT_ID = 256, OPT_NOMKSTREAM, OPT_LINES };

static const struct argp_option options[] = {
    {"id", OPT_ID, "ID", 0,
     "The entry's id: 1795281361250-0 or 1795281361250-*; default: the server's", 1},
    {"lines", OPT_LINES, "FIELD", OPTION_ARG_OPTIONAL,
     "Each line of standard input as it is becomes the value of FIELD (default: data)", 1},
    {"nomkstream", OPT_NOMKSTREAM, 0, 0, "Do not make a stream that is not there", 1},
    {"quiet", 'q', 0, 0, "Do not print the ids", 1},
    {0, 0, 0, 0, "Trimming while adding:", 2},
    TRIMMING_OPTIONS(2),
    TOOL_OPTIONS,
};

static const char doc[] =
    "Appends an entry to a stream and prints its id. Without fields, each line of standard input "
    "is "
    "a JSON object and becomes an entry: strings are taken as they are, integers and booleans as "
    "they "
    "are written, other numbers in their shortest form, null as the empty string, lists and "
    "objects "
    "as JSON."
    "\v"
    "Examples:\n"
    "  leat add sensors room kitchen temp -3.5\n"
    "  leat add sensors --maxlen 100000 -~ room kitchen temp 21\n"
    "  leat add orders < orders.ndjson\n"
    "      one entry per line such as {\"order\":17,\"items\":[3,5]}\n"
    "  tail -F /var/log/syslog | leat add logs --lines --quiet --minid 7d-ago -~\n"
    "  leat add jobs --nomkstream --url redis://cache.example:6379/2 job resize\n"
    "Values that begin with a hyphen and are no number stand behind --: leat add s -- flag "
    "-x\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct add *a = state->input;
    switch (key) {
    case OPT_ID:
        a->id = arg;
        return 0;
    case OPT_LINES:
        a->lines = arg ? arg : "data";
        return 0;
    case OPT_NOMKSTREAM:
        a->nomkstream = true;
        return 0;
    case 'q':
        a->quiet = true;
        return 0;
    case ARGP_KEY_END:
        if (a->tool.arg_count == 0) argp_error(state, "to which STREAM?");
        if (a->tool.arg_count % 2 == 0)
            argp_error(state, "the field `%s' has no value", a->tool.args[a->tool.arg_count - 1]);
        if (a->trimming.maxlen && a->trimming.minid)
            argp_error(state, "either --maxlen or --minid");
        if (a->lines && a->tool.arg_count > 1) argp_error(state, "either fields or --lines");
        return 0;
    default:
        if (trimming_option(&a->trimming, key, arg, state) == 0) return 0;
        return tool_option(&a->tool, key, arg);
    }
}

static void begin_entry(const struct add *a, struct ask *ask)
{
    ask_text(ask, "XADD");
    ask_bytes(ask, a->stream);
    if (a->nomkstream) ask_text(ask, "NOMKSTREAM");
    trimming_put(&a->trimming, ask);
    ask_text(ask, a->id ? a->id : "*");
}

/* One reply: prints the id. False when it ends the command. */
static bool take_reply(struct add *a)
{
    struct tool *t = &a->tool;
    struct leat_reply *r = tool_receive(t);
    bool good = r != NULL && leat_reply_type(r) == LEAT_STRING;
    if (r != NULL) a->waiting--;
    if (good && t->json && !a->quiet) {
        struct json_out j;
        json_out_init(&j, &t->out);
        json_out_object(&j);
        json_out_key(&j, "stream");
        json_out_string(&j, a->stream);
        entry_put_json_id(&j, "id", "time", tool_text(r));
        json_out_object_end(&j);
        buf_putc(&t->out, '\n');
    } else if (good && !a->quiet) {
        text_put_word(&t->out, tool_text(r));
        buf_putc(&t->out, '\n');
    } else if (r != NULL && leat_reply_type(r) == LEAT_ERROR) {
        tool_refuse(t, r);
    } else if (r != NULL && !good) {
        tool_fail(t, TOOL_REFUSED, "there is no stream %.*s; without --nomkstream it would be made",
                  (int)a->stream.len, a->stream.data);
    }
    leat_sync_reply_free(r);
    return good;
}

static bool drain(struct add *a)
{
    while (a->waiting > 0)
        if (!take_reply(a)) return false;
    return true;
}

static bool send_entry(struct add *a, struct ask *ask)
{
    bool sent = tool_send(&a->tool, ask);
    if (sent) a->waiting++;
    return sent && (a->waiting < WINDOW || take_reply(a));
}

/* ---- Standard input ---- */

struct fields {
    struct add *add;
    struct ask *ask;
    size_t count;
};

static void on_field(void *arg, struct bytes name, const struct json_value *value)
{
    struct fields *f = arg;
    bool nested = value->type == JSON_OBJECT || value->type == JSON_ARRAY;
    ask_bytes(f->ask, name);
    ask_bytes(f->ask, nested ? json_minified(f->add->parser, value) : value->text);
    f->count++;
}

static bool put_json_fields(struct add *a, struct bytes line, struct ask *ask)
{
    struct fields f = {a, ask, 0};
    struct json_value root;
    const char *why = "it is not an object";
    bool good = json_parse(a->parser, line, &why) == 0;
    if (good) {
        json_get(a->parser, BYTES(""), &root);
        good = json_each(a->parser, &root, on_field, &f);
        if (good && f.count == 0) why = "it has no field";
    }
    if (good && f.count > 0) return true;
    tool_fail(
        &a->tool, TOOL_USAGE,
        "line %llu: %s; write one JSON object per line, or take lines as they are with --lines",
        (unsigned long long)a->line, why);
    return false;
}

static bool on_line(void *arg, struct bytes line)
{
    struct add *a = arg;
    struct ask ask = {0};
    a->line++;
    if (a->lines == NULL && line.len == 0) return true;
    begin_entry(a, &ask);
    if (a->lines != NULL) {
        ask_text(&ask, a->lines);
        ask_bytes(&ask, line);
    } else if (!put_json_fields(a, line, &ask)) {
        ask_fini(&ask);
        return false;
    }
    return send_entry(a, &ask);
}

static bool on_pause(void *arg)
{
    struct add *a = arg;
    /* Ids are told even when the output's reader is gone: what was read has to be added. */
    return drain(a) && (tool_flush(&a->tool) || a->tool.status == TOOL_OK);
}

static void add_lines(struct add *a)
{
    struct input in = {on_line, on_pause, a};
    if (isatty(STDIN_FILENO))
        tool_note(&a->tool,
                  a->lines ? "reading lines from the terminal; Ctrl-D ends"
                           : "reading JSON objects from the terminal, one per line; Ctrl-D ends");
    a->parser = json_parser_new();
    int rc = input_lines(STDIN_FILENO, &in);
    if (a->tool.status != TOOL_UNREACHABLE) drain(a);
    if (rc != 0) tool_fail(&a->tool, TOOL_USAGE, "cannot read standard input: %s", input_error(rc));
    json_parser_free(a->parser);
}

static void add_arguments(struct add *a)
{
    struct ask ask = {0};
    begin_entry(a, &ask);
    for (size_t i = 1; i < a->tool.arg_count; i++) ask_text(&ask, a->tool.args[i]);
    if (send_entry(a, &ask)) drain(a);
}

int cmd_add(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "STREAM [FIELD VALUE]...", doc, 0, 0, 0};
    struct add a = {0};
    tool_parse(&argp, argc, argv, &a);
    a.stream = bytes_of(a.tool.args[0]);
    if (tool_connect(&a.tool) && trimming_resolve(&a.trimming, &a.tool)) {
        if (a.tool.arg_count > 1) add_arguments(&a);
        else add_lines(&a);
    }
    return tool_end(&a.tool);
}
