/* `leat sub --durable` on a server without durable channels: each channel is the stream of its
 * name, the subscriber a group of its own; what was printed is acknowledged. */
#include "cli/sub.h"
#include "cli/tool/follow.h"

static void put(void *arg, struct bytes stream, const struct leat_reply *entry)
{
    struct sub *s = arg;
    struct bytes id = tool_text(leat_reply_at(entry, 0));
    const struct leat_reply *fields = leat_reply_at(entry, 1);
    const struct leat_reply *data = leat_reply_get(fields, "data");
    if (leat_reply_type(fields) == LEAT_NULL) return; /* deleted before it was seen */
    if (data != NULL) {
        sub_put(s, (struct bytes){"", 0}, stream, id, tool_text(data));
        return;
    }
    tool_note(&s->tool, "the entry %.*s of %.*s has no field `data'; `leat read` shows it",
              (int)id.len, id.data, (int)stream.len, stream.data);
}

bool sub_position(struct sub *s, char id[STREAM_ID_TEXT])
{
    struct position p = {.kind = POSITION_END};
    const char *why;
    snprintf(id, STREAM_ID_TEXT, "$");
    if (s->from && !position_parse(s->from, tool_server_ms(&s->tool), &p, &why)) {
        tool_fail(&s->tool, TOOL_USAGE, "--from %s: %s", s->from, why);
        return false;
    }
    if (p.kind == POSITION_START) stream_id_text((struct stream_id){0, 0}, id);
    if (p.kind == POSITION_ID) stream_id_text(stream_id_before(p.id), id);
    return true;
}

/* The group is made where it begins: now, or --from. One that is there is moved by --from only. */
static bool prepare(struct sub *s, struct bytes stream)
{
    char id[STREAM_ID_TEXT];
    if (!sub_position(s, id)) return false;
    struct leat_reply *r = tool_tryf(&s->tool, "XGROUP CREATE %b %s %s MKSTREAM", stream.data,
                                     stream.len, s->durable, id);
    bool there = tool_is_error(r, "BUSYGROUP");
    if (there && s->from) {
        leat_sync_reply_free(r);
        r = tool_tryf(&s->tool, "XGROUP SETID %b %s %s", stream.data, stream.len, s->durable, id);
        there = false;
    }
    bool good = r != NULL && (there || leat_reply_type(r) != LEAT_ERROR);
    if (r != NULL && !good) tool_refuse(&s->tool, r);
    leat_sync_reply_free(r);
    return good;
}

void sub_streams(struct sub *s)
{
    struct follow f = {.tool = &s->tool,
                       .group = s->durable,
                       .consumer = s->durable,
                       .forever = true,
                       .acknowledge = true,
                       .earlier = true,
                       .left = s->left,
                       .put = put,
                       .arg = s};
    tool_note(&s->tool,
              "this server has no durable channels: reading the stream of that name as group %s "
              "instead. It gets what XADD and `leat pub --durable` append, not what PUBLISH sends; "
              "only leat keeps that too",
              s->durable);
    follow_init(&f, s->tool.arg_count);
    bool good = true;
    for (size_t i = 0; i < f.count && good; i++) {
        f.cursors[i].stream = bytes_of(s->tool.args[i]);
        good = prepare(s, f.cursors[i].stream);
    }
    if (good) follow_run(&f);
    follow_fini(&f);
}
