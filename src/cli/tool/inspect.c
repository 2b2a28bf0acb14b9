/* See inspect.h. */
#include "cli/tool/inspect.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cli/tool/text.h"

void stream_names_add(struct stream_names *s, struct bytes name)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->names = mem_realloc(s->names, s->cap * sizeof *s->names);
    }
    s->names[s->count++] = (struct bytes){mem_dup(name.data, name.len), name.len};
}

void stream_names_fini(struct stream_names *s)
{
    for (size_t i = 0; i < s->count; i++) mem_free((void *)s->names[i].data);
    mem_free(s->names);
    *s = (struct stream_names){0};
}

static int by_name(const void *a, const void *b)
{
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* SCAN may return a key more than once. */
static void sort_and_thin(struct stream_names *s)
{
    size_t kept = 0;
    if (s->count == 0) return;
    qsort(s->names, s->count, sizeof *s->names, by_name);
    for (size_t i = 1; i < s->count; i++) {
        if (bytes_eq(s->names[kept], s->names[i])) mem_free((void *)s->names[i].data);
        else s->names[++kept] = s->names[i];
    }
    s->count = kept + 1;
}

bool stream_names_scan(struct tool *t, const char *pattern, struct stream_names *s)
{
    struct buf cursor = {0};
    buf_append(&cursor, "0", 1);
    do {
        struct leat_reply *r = tool_callf(t, "SCAN %b MATCH %s COUNT 1000 TYPE stream", cursor.data,
                                          cursor.len, pattern ? pattern : "*");
        if (r == NULL) {
            buf_fini(&cursor);
            return false;
        }
        const struct leat_reply *keys = leat_reply_at(r, 1);
        cursor.len = 0;
        buf_put(&cursor, tool_text(leat_reply_at(r, 0)));
        for (size_t i = 0; keys != NULL && i < leat_reply_count(keys); i++)
            stream_names_add(s, tool_text(leat_reply_at(keys, i)));
        leat_sync_reply_free(r);
    } while (cursor.len > 0 && !bytes_eq(buf_bytes(&cursor), BYTES("0")));
    buf_fini(&cursor);
    sort_and_thin(s);
    return true;
}

bool inspect_gone(const struct leat_reply *answer)
{
    return tool_is_error(answer, "ERR no such key") || tool_is_error(answer, "WRONGTYPE") ||
           tool_is_error(answer, "NOGROUP");
}

int64_t inspect_int(const struct leat_reply *info, const char *field)
{
    const struct leat_reply *r = leat_reply_get(info, field);
    return r != NULL && leat_reply_type(r) == LEAT_INTEGER ? leat_reply_integer(r) : -1;
}

bool inspect_id(const struct leat_reply *info, const char *field, struct stream_id *ret)
{
    return stream_id_parse(tool_text(leat_reply_get(info, field)), 0, ret) &&
           (ret->ms > 0 || ret->seq > 0);
}

void inspect_put_int(struct table *table, int64_t n)
{
    if (n < 0) table_text(table, NULL);
    else table_int(table, n);
}

void inspect_put_id(struct table *table, bool known, struct stream_id id)
{
    char text[STREAM_ID_TEXT];
    table_text(table, known ? stream_id_text(id, text) : NULL);
}

void inspect_put_time(const struct tool *t, struct table *table, bool known, struct stream_id id,
                      int64_t now_ms)
{
    struct buf *cell = table_begin(table);
    if (known && stream_id_is_time(id)) {
        if (t->terminal) when_put_short(cell, (int64_t)id.ms, now_ms);
        else when_put_iso(cell, (int64_t)id.ms);
    }
    table_end(table);
}

void inspect_append_span(const struct tool *t, struct buf *cell, int64_t ms)
{
    if (t->terminal) when_put_span(cell, ms);
    else buf_printf(cell, "%lldms", (long long)ms);
}

void inspect_append_size(const struct tool *t, struct buf *cell, int64_t bytes)
{
    if (t->terminal) text_put_size(cell, bytes);
    else buf_printf(cell, "%lld", (long long)bytes);
}

void inspect_put_span(const struct tool *t, struct table *table, int64_t ms)
{
    struct buf *cell = table_begin(table);
    if (ms >= 0) inspect_append_span(t, cell, ms);
    table_end(table);
}
