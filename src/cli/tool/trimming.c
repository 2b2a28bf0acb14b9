/* See trimming.h. */
#include "cli/tool/trimming.h"

error_t trimming_option(struct trimming *t, int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case TRIMMING_MAXLEN:
        tool_parse_count(state, "--maxlen", arg);
        t->maxlen = arg;
        return 0;
    case TRIMMING_MINID:
        t->minid = arg;
        return 0;
    case '~':
        t->approximate = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

bool trimming_resolve(struct trimming *t, struct tool *tool)
{
    struct position p;
    const char *why = "an id or a time, not START or END";
    if (t->minid == NULL) return true;
    if (!position_parse(t->minid, tool_server_ms(tool), &p, &why) || p.kind != POSITION_ID) {
        tool_fail(tool, TOOL_USAGE, "--minid %s: %s", t->minid, why);
        return false;
    }
    stream_id_text(p.id, t->from);
    return true;
}

void trimming_put(const struct trimming *t, struct ask *a)
{
    if (t->maxlen == NULL && t->from[0] == '\0') return;
    ask_text(a, t->maxlen ? "MAXLEN" : "MINID");
    if (t->approximate) ask_text(a, "~");
    ask_text(a, t->maxlen ? t->maxlen : t->from);
}
