/* `leat pub`: publishes messages on a channel, from the command line or from lines of standard
 * input. Lines go out as a pipeline, as in `leat add`. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/tool/durable.h"
#include "cli/tool/input.h"
#include "cli/tool/tool.h"
#include "http/json_out.h"

enum { WINDOW = 128 };

struct pub {
    struct tool tool;
    struct bytes channel;
    bool quiet, durable;
    bool append; /* into the stream of the channel's name: the server does not do it */
    size_t waiting;
};

static const struct argp_option options[] = {
    {"durable", 'd', 0, 0,
     "On a server without durable channels, also append the message to the stream of the channel's "
     "name, for `leat sub --durable'",
     1},
    {"quiet", 'q', 0, 0, "Do not print how many received it", 1},
    TOOL_OPTIONS,
};

static const char doc[] =
    "Publishes each MESSAGE, or each line of standard input, on CHANNEL, and prints how many "
    "subscribers received it."
    "\v"
    "Examples:\n"
    "  leat pub news 'it works'\n"
    "  leat pub news one two three        three messages\n"
    "  tail -F access.log | leat pub access --quiet\n"
    "  leat pub orders --durable '{\"order\":17}'\n"
    "      kept for subscribers that are away, on any server\n"
    "A message that begins with a hyphen stands behind --: leat pub news -- "
    "--dashes--\n" TOOL_STATUS_HELP;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct pub *p = state->input;
    switch (key) {
    case 'd':
        p->durable = true;
        return 0;
    case 'q':
        p->quiet = true;
        return 0;
    case ARGP_KEY_END:
        if (p->tool.arg_count == 0) argp_error(state, "on which CHANNEL?");
        return 0;
    default:
        return tool_option(&p->tool, key, arg);
    }
}

static void tell(struct pub *p, int64_t receivers)
{
    struct tool *t = &p->tool;
    if (t->json) {
        struct json_out j;
        json_out_init(&j, &t->out);
        json_out_object(&j);
        json_out_key(&j, "channel");
        json_out_string(&j, p->channel);
        json_out_key(&j, "receivers");
        json_out_int(&j, receivers);
        json_out_object_end(&j);
        buf_putc(&t->out, '\n');
    } else {
        buf_printf(&t->out, "%lld\n", (long long)receivers);
    }
}

static bool take_reply(struct pub *p)
{
    struct leat_reply *r = tool_receive(&p->tool);
    if (r == NULL) return false;
    p->waiting--;
    bool good = leat_reply_type(r) != LEAT_ERROR;
    if (!good) tool_refuse(&p->tool, r);
    /* An id is what the stream answers. */
    if (leat_reply_type(r) == LEAT_INTEGER && !p->quiet) tell(p, leat_reply_integer(r));
    leat_sync_reply_free(r);
    return good;
}

static bool drain(struct pub *p)
{
    while (p->waiting > 0)
        if (!take_reply(p)) return false;
    return true;
}

static bool send_command(struct pub *p, struct ask *a)
{
    if (!tool_send(&p->tool, a)) return false;
    p->waiting++;
    return p->waiting < WINDOW || take_reply(p);
}

/* Appended first: who hears of a message finds it. */
static bool publish(void *arg, struct bytes message)
{
    struct pub *p = arg;
    struct ask add = {0}, a = {0};
    if (p->append) {
        ask_text(&add, "XADD");
        ask_bytes(&add, p->channel);
        ask_words(&add, "* data");
        ask_bytes(&add, message);
        if (!send_command(p, &add)) return false;
    }
    ask_text(&a, "PUBLISH");
    ask_bytes(&a, p->channel);
    ask_bytes(&a, message);
    return send_command(p, &a);
}

static bool on_pause(void *arg)
{
    struct pub *p = arg;
    return drain(p) && (tool_flush(&p->tool) || p->tool.status == TOOL_OK);
}

/* leat keeps what is published on a durable channel by itself; other servers have to be told. */
static bool look_at_server(struct pub *p)
{
    struct buf patterns = {0};
    if (!p->durable) return true;
    bool here = durable_patterns(&p->tool, &patterns);
    p->append = !here;
    if (here && !durable_covers(buf_bytes(&patterns), p->channel))
        tool_fail(&p->tool, TOOL_REFUSED,
                  "%.*s is not among the server's durable channels (%.*s); CONFIG SET durable "
                  "'PATTERN ...' makes it one",
                  (int)p->channel.len, p->channel.data, (int)patterns.len,
                  patterns.len ? patterns.data : "");
    buf_fini(&patterns);
    return p->tool.status == TOOL_OK;
}

static void publish_lines(struct pub *p)
{
    struct input in = {publish, on_pause, p};
    if (isatty(STDIN_FILENO))
        tool_note(&p->tool, "reading messages from the terminal, one per line; Ctrl-D ends");
    int rc = input_lines(STDIN_FILENO, &in);
    if (rc != 0) tool_fail(&p->tool, TOOL_USAGE, "cannot read standard input: %s", input_error(rc));
}

int cmd_pub(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "CHANNEL [MESSAGE]...", doc, 0, 0, 0};
    struct pub p = {0};
    tool_parse(&argp, argc, argv, &p);
    p.channel = bytes_of(p.tool.args[0]);
    if (tool_connect(&p.tool) && look_at_server(&p)) {
        bool good = true;
        for (size_t i = 1; i < p.tool.arg_count && good; i++)
            good = publish(&p, bytes_of(p.tool.args[i]));
        if (p.tool.arg_count == 1) publish_lines(&p);
        if (p.tool.status != TOOL_UNREACHABLE) drain(&p);
    }
    return tool_end(&p.tool);
}
