/* Any reply as JSON. */
#ifndef LEAT_CLI_TOOL_REPLY_JSON_H
#define LEAT_CLI_TOOL_REPLY_JSON_H

#include "http/json_out.h"
#include "leat/leat.h"

/* A value: maps are objects, sets and pushes lists, errors strings. What is nested deeper than
 * JSON_OUT_DEPTH_MAX is null. */
void reply_put_json(struct json_out *j, const struct leat_reply *r);

#endif
