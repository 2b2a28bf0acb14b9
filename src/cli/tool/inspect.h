/* What several commands ask a server about its streams. */
#ifndef LEAT_CLI_TOOL_INSPECT_H
#define LEAT_CLI_TOOL_INSPECT_H

#include "cli/tool/tool.h"
#include "cli/tool/when.h"

/* Names of streams; each owns its bytes. */
struct stream_names {
    struct bytes *names;
    size_t count, cap;
};

void stream_names_add(struct stream_names *s, struct bytes name);
/* All streams of the server (of this node, in a cluster) whose names match, in order. `pattern`
 * NULL: all. False, and said on standard error, when the server refuses or is lost. */
bool stream_names_scan(struct tool *t, const char *pattern, struct stream_names *s);
void stream_names_fini(struct stream_names *s);

/* Whether an answer says that what was asked about is there no more, or is no stream by now: that
 * happens between SCAN and the question, and is nobody's error. */
bool inspect_gone(const struct leat_reply *answer);
/* `field` of an XINFO reply as a number; -1 when it is not there or nil. */
int64_t inspect_int(const struct leat_reply *info, const char *field);
/* `field` as an id; false when it is not there, nil, 0-0 or no id. */
bool inspect_id(const struct leat_reply *info, const char *field, struct stream_id *ret);

/* Cells: a number that may be unknown (-1); an id, and its time where it is one: short in a
 * terminal, ISO elsewhere. */
void inspect_put_int(struct table *table, int64_t n);
void inspect_put_id(struct table *table, bool known, struct stream_id id);
void inspect_put_time(const struct tool *t, struct table *table, bool known, struct stream_id id,
                      int64_t now_ms);
/* A span that may be unknown (-1): 3m20s in a terminal, 200123ms elsewhere. */
void inspect_put_span(const struct tool *t, struct table *table, int64_t ms);
/* Parts of a cell: such a span; bytes, as 1.2MB in a terminal and in full elsewhere. */
void inspect_append_span(const struct tool *t, struct buf *cell, int64_t ms);
void inspect_append_size(const struct tool *t, struct buf *cell, int64_t bytes);

#endif
