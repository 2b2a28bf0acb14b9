/* Pending entries: given to a consumer of a group and not acknowledged. */
#ifndef LEAT_CLI_TOOL_PENDING_H
#define LEAT_CLI_TOOL_PENDING_H

#include "cli/tool/tool.h"

struct pending_query {
    struct bytes stream;
    const char *group;
    const char *consumer; /* NULL: of all */
    int64_t idle_ms;      /* at least; -1: any */
    int64_t count;        /* at most; -1: all */
};

struct pending_entry {
    struct bytes id, consumer;
    int64_t idle_ms, deliveries;
};

/* Calls fn for each, in order of ids, until it returns false. What it is given lives until it
 * returns; it may use the connection. False, said on standard error, when the server refuses or is
 * lost. */
bool pending_each(struct tool *t, const struct pending_query *q,
                  bool (*fn)(void *arg, const struct pending_entry *e), void *arg);

/* The table of such entries, and their rows; as JSON one line in t->out. */
extern const struct column pending_columns[];
enum { PENDING_COLUMNS = 5 };
void pending_put(struct tool *t, struct table *table, const struct pending_query *q,
                 const struct pending_entry *e, int64_t now_ms);

#endif
