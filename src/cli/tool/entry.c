/* See entry.h. */
#include "cli/tool/entry.h"

#include "cli/tool/text.h"
#include "cli/tool/tool.h"

void entry_put_json_id(struct json_out *j, const char *id_name, const char *time_name,
                       struct bytes id)
{
    struct stream_id parsed;
    bool good = stream_id_parse(id, 0, &parsed);
    json_out_key(j, id_name);
    if (good) json_out_string(j, id);
    else json_out_null(j);
    if (!good || !stream_id_is_time(parsed)) return;
    struct buf time = {0};
    when_put_iso(&time, (int64_t)parsed.ms);
    json_out_key(j, time_name);
    json_out_string(j, buf_bytes(&time));
    buf_fini(&time);
}

void entry_put_json_int(struct json_out *j, const char *name, int64_t n)
{
    json_out_key(j, name);
    if (n < 0) json_out_null(j);
    else json_out_int(j, n);
}

static void put_json(struct buf *out, struct bytes stream, struct bytes id,
                     const struct leat_reply *fields)
{
    struct json_out j;
    json_out_init(&j, out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, stream);
    entry_put_json_id(&j, "id", "time", id);
    json_out_key(&j, "fields");
    if (leat_reply_type(fields) == LEAT_NULL) {
        json_out_null(&j);
    } else {
        json_out_object(&j);
        for (size_t i = 0; i + 1 < leat_reply_count(fields); i += 2) {
            json_out_name(&j, tool_text(leat_reply_at(fields, i)));
            json_out_string(&j, tool_text(leat_reply_at(fields, i + 1)));
        }
        json_out_object_end(&j);
    }
    json_out_object_end(&j);
}

static void put_text(struct buf *out, const struct entry_style *style, struct bytes stream,
                     struct bytes id, const struct leat_reply *fields)
{
    struct stream_id parsed;
    if (style->with_stream) {
        text_put_word(out, stream);
        buf_putc(out, ' ');
    }
    text_put_word(out, id);
    if (style->with_time && stream_id_parse(id, 0, &parsed) && stream_id_is_time(parsed)) {
        buf_putc(out, ' ');
        when_put_short(out, (int64_t)parsed.ms, style->now_ms);
    }
    if (leat_reply_type(fields) == LEAT_NULL) buf_append(out, " (deleted)", 10);
    for (size_t i = 0; i + 1 < leat_reply_count(fields); i += 2) {
        buf_putc(out, ' ');
        text_put_word(out, tool_text(leat_reply_at(fields, i)));
        buf_putc(out, '=');
        text_put_word(out, tool_text(leat_reply_at(fields, i + 1)));
    }
}

bool entry_put(struct buf *out, const struct entry_style *style, struct bytes stream,
               const struct leat_reply *entry)
{
    if (leat_reply_count(entry) < 2 || leat_reply_type(entry) != LEAT_ARRAY) return false;
    struct bytes id = tool_text(leat_reply_at(entry, 0));
    const struct leat_reply *fields = leat_reply_at(entry, 1);
    if (style->json) put_json(out, stream, id, fields);
    else put_text(out, style, stream, id, fields);
    buf_putc(out, '\n');
    return true;
}
