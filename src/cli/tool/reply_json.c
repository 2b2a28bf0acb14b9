/* See reply_json.h. */
#include "cli/tool/reply_json.h"

#include "cli/tool/tool.h"

void reply_put_json(struct json_out *j, const struct leat_reply *r)
{
    enum leat_type type = leat_reply_type(r);
    bool list = type == LEAT_ARRAY || type == LEAT_SET || type == LEAT_PUSH;
    if ((list || type == LEAT_MAP) && j->depth >= JSON_OUT_DEPTH_MAX - 1) {
        json_out_null(j);
    } else if (list) {
        json_out_array(j);
        for (size_t i = 0; i < leat_reply_count(r); i++) reply_put_json(j, leat_reply_at(r, i));
        json_out_array_end(j);
    } else if (type == LEAT_MAP) {
        json_out_object(j);
        for (size_t i = 0; i + 1 < leat_reply_count(r); i += 2) {
            json_out_name(j, tool_text(leat_reply_at(r, i)));
            reply_put_json(j, leat_reply_at(r, i + 1));
        }
        json_out_object_end(j);
    } else if (type == LEAT_INTEGER) {
        json_out_int(j, leat_reply_integer(r));
    } else if (type == LEAT_DOUBLE) {
        json_out_number(j, leat_reply_double(r));
    } else if (type == LEAT_BOOL) {
        json_out_bool(j, leat_reply_integer(r) != 0);
    } else if (type == LEAT_NULL) {
        json_out_null(j);
    } else {
        json_out_string(j, tool_text(r));
    }
}
