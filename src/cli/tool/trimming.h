/* What of a stream's entries is to be kept, as `leat add` and `leat trim` are told it: by --maxlen
 * or
 * --minid, exactly or where it is cheap. */
#ifndef LEAT_CLI_TOOL_TRIMMING_H
#define LEAT_CLI_TOOL_TRIMMING_H

#include "cli/tool/tool.h"
#include "cli/tool/when.h"

struct trimming {
    const char *maxlen, *minid; /* as typed; at most one of them */
    bool approximate;
    char from[STREAM_ID_TEXT]; /* the id to keep from; "": none yet */
};

/* In a command's table of options. */
enum { TRIMMING_MAXLEN = 0x7101, TRIMMING_MINID };
#define TRIMMING_OPTIONS(group)                                                                    \
    {"maxlen", TRIMMING_MAXLEN, "N", 0, "Keep the newest N entries", group},                       \
        {"minid", TRIMMING_MINID, "ID|TIME", 0, "Keep entries from this id or time on (7d-ago)",   \
         group},                                                                                   \
    {                                                                                              \
        "approximate", '~', 0, 0, "Trim where it is cheap: some more entries may stay", group      \
    }
/* For what a command's parser does not know itself; then comes tool_option. */
error_t trimming_option(struct trimming *t, int key, char *arg, struct argp_state *state);
/* Makes an id of --minid, by the server's clock. False, said on standard error, when it is none. */
bool trimming_resolve(struct trimming *t, struct tool *tool);
/* The words of XADD and XTRIM; nothing when nothing is to be trimmed. */
void trimming_put(const struct trimming *t, struct ask *a);

#endif
