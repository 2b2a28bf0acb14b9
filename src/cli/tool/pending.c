/* See pending.h. */
#include "cli/tool/pending.h"

#include "base/mem.h"
#include "cli/tool/entry.h"
#include "cli/tool/inspect.h"

enum { BATCH = 500 };

const struct column pending_columns[] = {
    {"ID", false}, {"TIME", false}, {"CONSUMER", false}, {"IDLE", true}, {"DELIVERIES", true}};

static struct leat_reply *ask_range(struct tool *t, const struct pending_query *q,
                                    struct bytes start, int64_t count)
{
    struct ask a = {0};
    ask_text(&a, "XPENDING");
    ask_bytes(&a, q->stream);
    ask_text(&a, q->group);
    if (q->idle_ms >= 0) {
        ask_text(&a, "IDLE");
        ask_int(&a, q->idle_ms);
    }
    ask_bytes(&a, start);
    ask_text(&a, "+");
    ask_int(&a, count);
    if (q->consumer != NULL) ask_text(&a, q->consumer);
    return tool_call(t, &a);
}

bool pending_each(struct tool *t, const struct pending_query *q,
                  bool (*fn)(void *arg, const struct pending_entry *e), void *arg)
{
    struct buf start = {0};
    int64_t left = q->count < 0 ? INT64_MAX : q->count;
    bool good = true, more = true;
    buf_putc(&start, '-');
    while (good && more && left > 0) {
        int64_t batch = left < BATCH ? left : BATCH;
        struct leat_reply *r = ask_range(t, q, buf_bytes(&start), batch);
        size_t count = r != NULL ? leat_reply_count(r) : 0;
        good = r != NULL;
        for (size_t i = 0; i < count && more; i++) {
            const struct leat_reply *e = leat_reply_at(r, i);
            if (leat_reply_count(e) != 4) continue;
            struct pending_entry entry = {
                tool_text(leat_reply_at(e, 0)), tool_text(leat_reply_at(e, 1)),
                leat_reply_integer(leat_reply_at(e, 2)), leat_reply_integer(leat_reply_at(e, 3))};
            start.len = 0;
            buf_putc(&start, '(');
            buf_put(&start, entry.id);
            more = fn(arg, &entry);
        }
        left -= (int64_t)count;
        if ((int64_t)count < batch) more = false;
        leat_sync_reply_free(r);
    }
    buf_fini(&start);
    return good && t->status == TOOL_OK;
}

static void put_json(struct tool *t, const struct pending_query *q, const struct pending_entry *e)
{
    struct json_out j;
    json_out_init(&j, &t->out);
    json_out_object(&j);
    json_out_key(&j, "stream");
    json_out_string(&j, q->stream);
    json_out_key(&j, "group");
    json_out_text(&j, q->group);
    entry_put_json_id(&j, "id", "time", e->id);
    json_out_key(&j, "consumer");
    json_out_string(&j, e->consumer);
    json_out_key(&j, "idle_ms");
    json_out_int(&j, e->idle_ms);
    json_out_key(&j, "deliveries");
    json_out_int(&j, e->deliveries);
    json_out_object_end(&j);
    buf_putc(&t->out, '\n');
}

void pending_put(struct tool *t, struct table *table, const struct pending_query *q,
                 const struct pending_entry *e, int64_t now_ms)
{
    struct stream_id id = {0};
    if (t->json) {
        put_json(t, q, e);
        return;
    }
    bool known = stream_id_parse(e->id, 0, &id);
    table_word(table, e->id);
    inspect_put_time(t, table, known, id, now_ms);
    table_word(table, e->consumer);
    inspect_put_span(t, table, e->idle_ms);
    table_int(table, e->deliveries);
}
