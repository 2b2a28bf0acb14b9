/* A recording, loaded and cut into events.
 *
 * `wire` holds all events behind one another in the form in which they are sent, so that an event
 * is a slice of it. Times run backwards in real feeds; `due_ms` never does, and no gap of it is
 * longer than GAP_MAX_MS, so that a recorded outage does not become one. */
#include "cli/replay_recording.h"

#include "base/mem.h"
#include "cli/replay_file.h"
#include "cli/replay_time.h"
#include "flow/json.h"
#include "flow/lines.h"
#include "flow/sse.h"

enum { GAP_MAX_MS = 60 * 1000, PACE_MS = 50 /* where events say no times */ };

struct loader {
    struct recording *r;
    struct json_parser *json;
    enum feed_format format;
    int64_t last_time_ms; /* of the events so far the latest; -1: none */
};

static int64_t due_of(struct loader *l, struct bytes id, struct bytes data)
{
    struct recording *r = l->r;
    int64_t due = r->count > 0 ? r->events[r->count - 1].due_ms : 0;
    int64_t t = replay_time(l->json, id, data);
    if (t < 0) return r->timed || r->count == 0 ? due : due + PACE_MS;
    int64_t gap = l->last_time_ms >= 0 ? t - l->last_time_ms : 0;
    if (t > l->last_time_ms) l->last_time_ms = t;
    r->timed = true;
    if (gap < 0) gap = 0;
    return due + (gap < GAP_MAX_MS ? gap : GAP_MAX_MS);
}

static void put_id(struct recording *r, struct recording_event *e, struct bytes id)
{
    if (r->count > 0 && bytes_eq(recording_id(r, r->count - 1), id)) {
        e->id_at = r->events[r->count - 1].id_at;
    } else {
        e->id_at = r->ids.len;
        buf_put(&r->ids, id);
    }
    e->id_len = id.len;
}

/* Adds the event whose bytes stand in `wire` from `at` on. */
static void add_event(struct loader *l, size_t at, struct bytes id, struct bytes data)
{
    struct recording *r = l->r;
    struct recording_event e = {.at = at, .len = r->wire.len - at, .due_ms = due_of(l, id, data)};
    put_id(r, &e, id);
    if (r->count == r->cap) {
        r->cap = r->cap > 0 ? 2 * r->cap : 1024;
        r->events = mem_realloc(r->events, r->cap * sizeof *r->events);
    }
    r->events[r->count++] = e;
}

/* What has to stay on one line. */
static void put_flat(struct buf *out, struct bytes data)
{
    char *to = buf_reserve(out, data.len);
    for (size_t i = 0; i < data.len; i++) {
        char c = data.data[i];
        to[i] = c == '\n' || c == '\r' ? ' ' : c;
    }
    out->len += data.len;
}

static void load_sse(struct loader *l, struct bytes in)
{
    struct sse sse;
    struct sse_event e;
    struct buf *wire = &l->r->wire;
    const char *from = in.data;
    sse_init(&sse, SIZE_MAX / 2);
    while (sse_next(&sse, &in, &e)) {
        size_t at = wire->len;
        /* The LF of a CRLF belongs to the event it ends. */
        if (in.len > 0 && in.data[0] == '\n' && in.data[-1] == '\r') {
            in.data++;
            in.len--;
        }
        if (l->format == FEED_SSE) {
            buf_append(wire, from, (size_t)(in.data - from));
        } else {
            put_flat(wire, e.data);
            buf_putc(wire, '\n');
        }
        add_event(l, at, e.id, e.data);
        from = in.data;
    }
    l->r->tail_at = wire->len;
    if (l->format == FEED_SSE) buf_append(wire, from, (size_t)(in.data - from));
    sse_fini(&sse);
}

static void add_line(struct loader *l, struct bytes line)
{
    struct recording *r = l->r;
    struct buf *wire = &r->wire, id = {0};
    size_t at = wire->len;
    if (l->format == FEED_SSE) {
        buf_printf(&id, "%zu", r->count + 1);
        buf_printf(wire, "id: %zu\ndata: ", r->count + 1);
        put_flat(wire, line);
        buf_append(wire, "\n\n", 2);
    } else {
        buf_put(wire, line);
        buf_putc(wire, '\n');
    }
    add_event(l, at, buf_bytes(&id), line);
    buf_fini(&id);
}

static void load_lines(struct loader *l, struct bytes in)
{
    struct lines lines;
    struct bytes line;
    lines_init(&lines, SIZE_MAX / 2);
    while (lines_next(&lines, &in, &line)) add_line(l, line);
    if (lines_last(&lines, &line)) add_line(l, line);
    l->r->tail_at = l->r->wire.len;
    lines_fini(&lines);
}

/* JSON begins with a bracket; no field or comment of an event stream does. */
static bool looks_like_sse(struct bytes text)
{
    size_t i = 0;
    while (i < text.len && strchr("\xef\xbb\xbf \t\r\n", text.data[i]) != NULL) i++;
    return i < text.len && strchr("{[\"", text.data[i]) == NULL;
}

int recording_load(const char *path, enum feed_format format, struct recording *ret,
                   struct buf *error)
{
    struct buf text = {0};
    struct loader l = {.r = ret, .format = format, .last_time_ms = -1};
    *ret = (struct recording){0};
    int rc = replay_file_read(path, &text, error);
    if (rc == 0) {
        l.json = json_parser_new();
        ret->was_sse = looks_like_sse(buf_bytes(&text));
        (ret->was_sse ? load_sse : load_lines)(&l, buf_bytes(&text));
        json_parser_free(l.json);
        if (ret->count == 0) {
            buf_printf(error, "%s holds no events, neither as Server-Sent Events nor as lines",
                       path);
            rc = -1;
        }
    }
    buf_fini(&text);
    return rc;
}

void recording_fini(struct recording *r)
{
    buf_fini(&r->wire);
    buf_fini(&r->ids);
    mem_free(r->events);
}

struct bytes recording_bytes(const struct recording *r, size_t index)
{
    return (struct bytes){r->wire.data + r->events[index].at, r->events[index].len};
}

struct bytes recording_id(const struct recording *r, size_t index)
{
    if (r->events[index].id_len == 0) return (struct bytes){"", 0};
    return (struct bytes){r->ids.data + r->events[index].id_at, r->events[index].id_len};
}

struct bytes recording_tail(const struct recording *r)
{
    return (struct bytes){r->wire.data + r->tail_at, r->wire.len - r->tail_at};
}

size_t recording_find(const struct recording *r, struct bytes id)
{
    for (size_t i = 0; id.len > 0 && i < r->count; i++) {
        if (bytes_eq(recording_id(r, i), id)) return i;
    }
    return 0;
}
