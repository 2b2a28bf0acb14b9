/* The command line's side of tool.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/tool/tool.h"
#include "flow/units.h"

error_t tool_option(struct tool *t, int key, char *arg)
{
    switch (key) {
    case TOOL_OPT_URL:
        t->url = arg;
        return 0;
    case TOOL_OPT_JSON:
        t->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* argp takes every -x for an option; these are none of ours. */
static bool is_number(const char *arg)
{
    return arg[0] == '-' && ((arg[1] >= '0' && arg[1] <= '9') || arg[1] == '.');
}

struct parse {
    const struct argp *argp;
    struct tool *tool;
};

/* Arguments come in order, so that state->next is what follows. */
static error_t on_key(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    struct tool *t = p->tool;
    if (key == ARGP_KEY_ARG) {
        t->args[t->arg_count++] = arg;
        while (state->next < state->argc && is_number(state->argv[state->next]))
            t->args[t->arg_count++] = state->argv[state->next++];
        return 0;
    }
    state->input = t;
    error_t error = p->argp->parser(key, arg, state);
    state->input = p;
    return error;
}

void tool_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    struct tool *t = input;
    struct parse p = {argp, t};
    struct argp outer = *argp;
    outer.parser = on_key;
    t->name = argv[0];
    t->terminal = isatty(STDOUT_FILENO);
    t->url = getenv("LEAT_URL");
    t->args = mem_calloc((size_t)argc * sizeof *t->args);
    argp_err_exit_status = TOOL_USAGE;
    argp_parse(&outer, argc, argv, ARGP_IN_ORDER, NULL, &p);
    if (t->url == NULL || *t->url == '\0') t->url = "redis://127.0.0.1:6379";
    signal(SIGPIPE, SIG_IGN);
}

int64_t tool_parse_count(struct argp_state *state, const char *option, const char *arg)
{
    int64_t n = 0;
    const char *why;
    if (units_count(bytes_of(arg), &n, &why) < 0)
        argp_error(state, "%s %s: write a whole number", option, arg);
    return n;
}

int64_t tool_parse_span(struct argp_state *state, const char *option, const char *arg)
{
    int64_t ms = 0;
    const char *why;
    if (units_duration_ms(bytes_of(arg), &ms, &why) < 0)
        argp_error(state, "%s %s: write a duration such as 500ms, 10s, 30m, 2h or 7d", option, arg);
    return ms;
}

void tool_check_distinct(const struct tool *t, struct argp_state *state)
{
    for (size_t i = 0; i < t->arg_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(t->args[i], t->args[k]) == 0)
                argp_error(state, "`%s' is named twice", t->args[i]);
}

void tool_fini(struct tool *t)
{
    leat_sync_close(t->server);
    t->server = NULL;
    buf_fini(&t->out);
    mem_free(t->args);
    t->args = NULL;
}
