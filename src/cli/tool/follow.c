/* See follow.h. */
#include "cli/tool/follow.h"

#include "base/mem.h"

enum {
    BATCH = 500,
    TURN_MS = 2000,  /* one BLOCK; between two of them we look around */
    GRACE_MS = 5000, /* how late the answer to one may be */
};

void follow_init(struct follow *f, size_t count)
{
    f->cursors = mem_calloc(count * sizeof *f->cursors);
    f->count = count;
}

void follow_fini(struct follow *f)
{
    mem_free(f->cursors);
    f->cursors = NULL;
}

/* COUNT is for each stream. */
static int64_t batch(const struct follow *f)
{
    int64_t left = f->group ? f->left / (int64_t)f->count : f->left;
    return left < 1 ? 1 : left < BATCH ? left : BATCH;
}

static void ask_streams(const struct follow *f, struct ask *ask)
{
    char id[STREAM_ID_TEXT];
    ask_text(ask, "STREAMS");
    for (size_t i = 0; i < f->count; i++) ask_bytes(ask, f->cursors[i].stream);
    for (size_t i = 0; i < f->count; i++) {
        const struct follow_cursor *c = &f->cursors[i];
        if (!f->group) ask_text(ask, stream_id_text(c->after, id));
        else if (f->earlier) ask_text(ask, stream_id_text(c->given, id));
        else ask_text(ask, ">");
    }
}

static bool send_read(struct follow *f, int64_t block_ms)
{
    struct ask ask = {0};
    if (f->group) {
        ask_words(&ask, "XREADGROUP GROUP");
        ask_text(&ask, f->group);
        ask_text(&ask, f->consumer);
    } else {
        ask_text(&ask, "XREAD");
    }
    ask_text(&ask, "COUNT");
    ask_int(&ask, batch(f));
    if (block_ms > 0) {
        ask_text(&ask, "BLOCK");
        ask_int(&ask, block_ms);
    }
    ask_streams(f, &ask);
    return ask_send(&ask, f->tool->server) == 0;
}

static struct follow_cursor *find_cursor(struct follow *f, struct bytes stream)
{
    for (size_t i = 0; i < f->count; i++)
        if (bytes_eq(f->cursors[i].stream, stream)) return &f->cursors[i];
    return NULL;
}

/* Puts the entries of one stream of a reply; those to be acknowledged go into `ack`. Returns how
 * many there were. In a group all are put: what was given must not stay unseen. */
static size_t put_stream(struct follow *f, const struct leat_reply *pair, struct ask *ack)
{
    struct bytes stream = tool_text(leat_reply_at(pair, 0));
    const struct leat_reply *entries = leat_reply_at(pair, 1);
    struct follow_cursor *c = find_cursor(f, stream);
    size_t count = entries ? leat_reply_count(entries) : 0;
    ask_text(ack, "XACK");
    ask_bytes(ack, stream);
    ask_text(ack, f->group ? f->group : "");
    for (size_t i = 0; i < count && c != NULL && (f->left > 0 || f->group); i++) {
        const struct leat_reply *entry = leat_reply_at(entries, i);
        struct bytes id = tool_text(leat_reply_at(entry, 0));
        if (leat_reply_count(entry) < 2) continue;
        f->put(f->arg, stream, entry);
        stream_id_parse(id, 0, f->earlier ? &c->given : &c->after);
        ask_bytes(ack, id);
        f->left--;
        f->found = true;
    }
    return count;
}

/* 1: entries were put (and acknowledged); 0: there were none; -1: the connection broke, the
 * output's reader is gone, or the server refuses that they be acknowledged. */
static int put_reply(struct follow *f, const struct leat_reply *reply)
{
    size_t seen = 0;
    for (size_t i = 0; i < leat_reply_count(reply); i++) {
        struct ask ack = {0};
        size_t count = put_stream(f, leat_reply_at(reply, i), &ack);
        bool acknowledge = f->group && f->acknowledge && ack.count > 3;
        seen += count;
        bool written = tool_flush(f->tool);
        struct leat_reply *done = NULL;
        if (written && acknowledge && ask_send(&ack, f->tool->server) == 0)
            done = leat_sync_receive(f->tool->server);
        ask_fini(&ack);
        if (!written || (acknowledge && done == NULL)) return -1;
        bool refused = done != NULL && leat_reply_type(done) == LEAT_ERROR;
        if (refused) tool_refuse(f->tool, done);
        leat_sync_reply_free(done);
        if (refused) return -1;
    }
    return seen > 0;
}

/* As put_reply; the status is set when the server refuses. */
static int read_once(struct follow *f, int64_t block_ms)
{
    struct leat_reply *reply = NULL;
    int rc = send_read(f, block_ms) ? tool_wait(f->tool, (int)block_ms + GRACE_MS, &reply) : -1;
    if (rc <= 0) return -1;
    if (leat_reply_type(reply) == LEAT_ERROR) {
        tool_refuse(f->tool, reply);
        rc = -1;
    } else {
        rc = put_reply(f, reply);
    }
    leat_sync_reply_free(reply);
    return rc;
}

/* What is to be done about a -1 of read_once: true to go on. */
static bool recover(struct follow *f)
{
    if (tool_over(f->tool) || f->tool->status != TOOL_OK) return false;
    if (f->forever) {
        /* What the lost reply gave to this consumer is pending now. */
        if (f->group && f->acknowledge) f->earlier = true;
        for (size_t i = 0; i < f->count; i++) f->cursors[i].given = (struct stream_id){0, 0};
        return tool_reconnect(f->tool);
    }
    tool_lost(f->tool);
    return false;
}

void follow_run(struct follow *f)
{
    int64_t idle_since = when_now_ms();
    while (f->left > 0 && !tool_over(f->tool)) {
        int64_t block_ms = f->forever ? TURN_MS : 0;
        if (!f->forever && f->block_ms >= 0) {
            int64_t rest = idle_since + f->block_ms - when_now_ms();
            block_ms = rest > TURN_MS ? TURN_MS : rest < 0 ? 0 : rest;
        }
        int rc = read_once(f, f->earlier ? 0 : block_ms);
        if (rc < 0 && !recover(f)) return;
        if (rc > 0) idle_since = when_now_ms();
        if (rc != 0) continue;
        if (f->earlier) f->earlier = false;
        else if (block_ms <= 0) return;
    }
}
