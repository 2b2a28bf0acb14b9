/* Reading streams on and on, alone or as a consumer of a group, across broken connections.
 *
 * Alone: each stream has the id of the last entry seen; after a broken connection it goes on behind
 * it, so that nothing comes twice or is left out. In a group: entries are put, written, and then
 * acknowledged; after a broken connection what was given but perhaps not seen is read again first.
 */
#ifndef LEAT_CLI_TOOL_FOLLOW_H
#define LEAT_CLI_TOOL_FOLLOW_H

#include "cli/tool/tool.h"
#include "cli/tool/when.h"

struct follow_cursor {
    struct bytes stream;    /* borrowed */
    struct stream_id after; /* alone: the last one seen */
    struct stream_id given; /* in a group: the last one of those given earlier */
};

struct follow {
    struct tool *tool;
    const char *group, *consumer; /* NULL: alone */
    bool forever;
    bool acknowledge;
    bool earlier;     /* first what this consumer was given and has not acknowledged */
    int64_t left;     /* entries still to be put */
    int64_t block_ms; /* when not for ever: end when nothing came for so long; -1: at once */
    /* Appends to tool->out. */
    void (*put)(void *arg, struct bytes stream, const struct leat_reply *entry);
    void *arg;

    struct follow_cursor *cursors;
    size_t count;
    bool found; /* an entry was put */
};

/* Makes the cursors, zeroed; the rest is the caller's to set, before or after. */
void follow_init(struct follow *f, size_t count);
void follow_fini(struct follow *f);
/* Until the end, Ctrl-C, the end of who reads the output, or a failure: tool->status says. */
void follow_run(struct follow *f);

#endif
