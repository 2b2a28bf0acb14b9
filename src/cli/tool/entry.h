/* Entries of streams, as lines of text or as JSON. */
#ifndef LEAT_CLI_TOOL_ENTRY_H
#define LEAT_CLI_TOOL_ENTRY_H

#include "cli/tool/when.h"
#include "http/json_out.h"
#include "leat/leat.h"

struct entry_style {
    bool json;
    bool with_stream; /* text: each line begins with the stream's name; JSON always tells it */
    bool with_time;   /* text: the id's time behind the id */
    int64_t now_ms;   /* for that */
};

/* One line. `entry` is [id, [field, value, ...]] or, when it was deleted, [id, null]; false when it
 * is something else, and then nothing is written. */
bool entry_put(struct buf *out, const struct entry_style *style, struct bytes stream,
               const struct leat_reply *entry);
/* "id" and, where the id is one, "time": for all commands that tell an id. A NULL or empty id is
 * null. `id_name` and `time_name` are the keys. */
void entry_put_json_id(struct json_out *j, const char *id_name, const char *time_name,
                       struct bytes id);
/* A number that may be unknown: -1 is null. */
void entry_put_json_int(struct json_out *j, const char *name, int64_t n);

#endif
