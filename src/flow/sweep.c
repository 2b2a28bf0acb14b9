/* A round: HSCAN the total; SSCAN the members, and HSCAN the series of each; HDEL what is old.
 *
 *   hash under way (key, cursor) --cursor 0--> next member of the page --none--> next page
 *
 * Exactly one command of a round is unanswered at any time. A sweep freed while one is goes when
 * the client hands it the answer, or the NULL of its own end. */
#include "flow/sweep.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "flow/flow.h"
#include "leat/leat.h"

#define PER_STEP "250"

struct sweep {
    const struct flow_view *view;
    struct leat_client *client;
    void (*on_error)(void *arg, struct bytes text);
    void *arg;
    bool running;
    bool freed; /* the struct goes when the last reply has come */
    int64_t cutoff;
    struct buf key;    /* of the hash under way */
    struct buf cursor; /* of its HSCAN */
    struct buf pages;  /* cursor of SSCAN */
    bool last_page;
    struct buf page; /* members: a size_t length and the bytes, each */
    size_t page_at;
    uint64_t removed;
};

static void next_hash(struct sweep *s);
static void scan_hash(struct sweep *s);

/* ---- Replies ---- */

static void release(struct sweep *s)
{
    buf_fini(&s->key);
    buf_fini(&s->cursor);
    buf_fini(&s->pages);
    buf_fini(&s->page);
    mem_free(s);
}

/* True when the round goes on; otherwise it is over (and the struct perhaps gone). */
static bool check_reply(struct sweep *s, const struct leat_reply *reply)
{
    if (s->freed) {
        release(s);
        return false;
    }
    if (reply == NULL) {
        s->running = false;
        return false;
    }
    if (leat_reply_type(reply) == LEAT_ERROR) {
        size_t len;
        const char *text = leat_reply_text(reply, &len);
        s->on_error(s->arg, (struct bytes){text, len});
    }
    return true;
}

/* The two elements of a SCAN's reply; false for anything else. */
static bool take_page(const struct leat_reply *reply, struct buf *cursor,
                      const struct leat_reply **ret_items)
{
    if (leat_reply_type(reply) != LEAT_ARRAY || leat_reply_count(reply) != 2) return false;
    size_t len;
    const char *text = leat_reply_text(leat_reply_at(reply, 0), &len);
    if (text == NULL) return false;
    cursor->len = 0;
    buf_append(cursor, text, len);
    *ret_items = leat_reply_at(reply, 1);
    return true;
}

static bool is_end(const struct buf *cursor)
{
    return bytes_eq(buf_bytes(cursor), BYTES("0"));
}

static void set_text(struct buf *b, const char *text)
{
    b->len = 0;
    buf_put(b, bytes_of(text));
}

/* ---- One hash ---- */

static void after_step(struct sweep *s)
{
    if (is_end(&s->cursor)) next_hash(s);
    else scan_hash(s);
}

static void on_deleted(void *arg, const struct leat_reply *reply)
{
    struct sweep *s = arg;
    if (!check_reply(s, reply)) return;
    int64_t n = leat_reply_type(reply) == LEAT_INTEGER ? leat_reply_integer(reply) : 0;
    s->removed += n > 0 ? (uint64_t)n : 0;
    after_step(s);
}

/* HDEL of the old ones among the fields of a page (field, value, field, value ...). False when
 * there is none. */
static bool delete_old(struct sweep *s, const struct leat_reply *fields)
{
    size_t count = leat_reply_count(fields);
    const char **argv = mem_alloc((count / 2 + 2) * sizeof(char *));
    size_t *lens = mem_alloc((count / 2 + 2) * sizeof(size_t));
    int argc = 0;
    argv[argc] = "HDEL";
    lens[argc++] = 4;
    argv[argc] = s->key.len > 0 ? s->key.data : "";
    lens[argc++] = s->key.len;
    for (size_t i = 0; i + 1 < count; i += 2) {
        int64_t bucket;
        size_t len;
        const char *text = leat_reply_text(leat_reply_at(fields, i), &len);
        if (text == NULL || !num_parse_i64((struct bytes){text, len}, &bucket)) continue;
        if (bucket >= s->cutoff) continue;
        argv[argc] = text;
        lens[argc++] = len;
    }
    bool any = argc > 2;
    if (any && leat_command(s->client, argc, argv, lens, on_deleted, s) != 0) s->running = false;
    mem_free(argv);
    mem_free(lens);
    return any;
}

static void on_fields(void *arg, const struct leat_reply *reply)
{
    struct sweep *s = arg;
    if (!check_reply(s, reply)) return;
    const struct leat_reply *fields;
    if (!take_page(reply, &s->cursor, &fields)) {
        next_hash(s); /* not a hash, say: not ours to clean */
        return;
    }
    if (!delete_old(s, fields)) after_step(s);
}

static void scan(struct sweep *s, const char *name, const struct buf *key, const struct buf *cursor,
                 leat_reply_fn fn)
{
    const char *argv[] = {name, key->len > 0 ? key->data : "", cursor->data, "COUNT", PER_STEP};
    size_t lens[] = {strlen(name), key->len, cursor->len, 5, sizeof(PER_STEP) - 1};
    /* Refused when the connection is gone for good: the round is over. */
    if (leat_command(s->client, 5, argv, lens, fn, s) != 0) s->running = false;
}

static void scan_hash(struct sweep *s)
{
    scan(s, "HSCAN", &s->key, &s->cursor, on_fields);
}

/* ---- From hash to hash ---- */

static void on_members(void *arg, const struct leat_reply *reply)
{
    struct sweep *s = arg;
    if (!check_reply(s, reply)) return;
    const struct leat_reply *members;
    s->page.len = 0;
    s->page_at = 0;
    if (!take_page(reply, &s->pages, &members)) {
        s->running = false;
        return;
    }
    for (size_t i = 0; i < leat_reply_count(members); i++) {
        size_t len;
        const char *text = leat_reply_text(leat_reply_at(members, i), &len);
        if (text == NULL) continue;
        buf_append(&s->page, &len, sizeof(len));
        buf_append(&s->page, text, len);
    }
    s->last_page = is_end(&s->pages);
    next_hash(s);
}

static bool take_member(struct sweep *s, struct bytes *ret)
{
    if (s->page_at == s->page.len) return false;
    memcpy(&ret->len, s->page.data + s->page_at, sizeof(ret->len));
    ret->data = s->page.data + s->page_at + sizeof(ret->len);
    s->page_at += sizeof(ret->len) + ret->len;
    return true;
}

static void next_hash(struct sweep *s)
{
    struct bytes member;
    if (take_member(s, &member)) {
        flow_series_key(s->view, member, &s->key);
        set_text(&s->cursor, "0");
        scan_hash(s);
    } else if (!s->last_page) {
        struct buf set = {.data = (char *)(uintptr_t)s->view->members,
                          .len = strlen(s->view->members)};
        scan(s, "SSCAN", &set, &s->pages, on_members);
    } else {
        s->running = false;
    }
}

bool sweep_start(struct sweep *s, int64_t cutoff)
{
    if (s->running) return false;
    s->running = true;
    s->cutoff = cutoff;
    s->page.len = s->page_at = 0;
    s->last_page = s->view->by == NULL;
    set_text(&s->pages, "0");
    set_text(&s->key, s->view->total);
    set_text(&s->cursor, "0");
    scan_hash(s);
    return true;
}

/* ---- Life ---- */

struct sweep *sweep_new(const struct flow_view *view, struct leat_client *client,
                        void (*on_error)(void *arg, struct bytes text), void *arg)
{
    struct sweep *s = mem_calloc(sizeof(*s));
    s->view = view;
    s->client = client;
    s->on_error = on_error;
    s->arg = arg;
    return s;
}

void sweep_free(struct sweep *s)
{
    if (s == NULL) return;
    s->freed = true;
    if (!s->running) release(s);
}

uint64_t sweep_removed(const struct sweep *s)
{
    return s->removed;
}
