/* Any reply as JSON. */
#ifndef LEAT_CLI_TOOL_REPLY_JSON_H
#define LEAT_CLI_TOOL_REPLY_JSON_H

#include "http/json_out.h"
#include "leat/leat.h"

/* A value: maps are objects, sets and pushes lists, errors strings. What is nested deeper than
 * JSON_OUT_DEPTH_MAX is null. */
void reply_put_json(struct json_out *j, const struct leat_reply *r);
/* The fields of a map (or of a list of keys and values in turn) into an open object, without the
 * field `except`. */
void reply_put_json_fields(struct json_out *j, const struct leat_reply *r, const char *except);

#endif
