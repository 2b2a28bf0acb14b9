/* What the two ways of `leat sub` share: sub.c subscribes, sub_stream.c reads streams instead where
 * a server has no durable channels. */
#ifndef LEAT_CLI_SUB_H
#define LEAT_CLI_SUB_H

#include "cli/tool/tool.h"
#include "cli/tool/when.h"

struct sub {
    struct tool tool;
    const char *durable; /* the subscriber's name; NULL: an ordinary one */
    const char *from;    /* NULL: where it was, or now */
    bool pattern;
    int64_t left; /* messages still to be printed */
};

/* One line. `pattern` and `id` are empty where there is none. */
void sub_put(struct sub *s, struct bytes pattern, struct bytes channel, struct bytes id,
             struct bytes message);
/* --from as the id of the last entry that is not wanted any more, "$" without it. False when it
 * makes no sense, which has been said. */
bool sub_position(struct sub *s, char id[STREAM_ID_TEXT]);
/* Reads the streams of the channels' names as the group s->durable. */
void sub_streams(struct sub *s);

#endif
