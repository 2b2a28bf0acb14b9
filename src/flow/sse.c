/* The reader of Server-Sent Events: cuts the stream into lines, lines into fields, and gathers
 * fields until a blank line dispatches them.
 *
 * Invariants: `line` holds only the beginning of a line that was cut by the end of the input; a
 * line that lies whole in the input is never copied. No buffer grows beyond bytes_max and one line
 * end. An event is dispatched on the CR of its blank line, without waiting for the LF that may
 * follow: the last event of a quiet stream must not hang on it. */
#include "flow/sse.h"

enum { BOM_DONE = 3, RETRY_DIGITS_MAX = 9 };

void sse_init(struct sse *s, size_t bytes_max)
{
    *s = (struct sse){.bytes_max = bytes_max, .retry_ms = -1};
}

void sse_fini(struct sse *s)
{
    buf_fini(&s->line);
    buf_fini(&s->data);
    buf_fini(&s->name);
    buf_fini(&s->id);
    buf_fini(&s->last_id);
}

static void assign(struct buf *b, struct bytes value)
{
    b->len = 0;
    buf_put(b, value);
}

static void forget_event(struct sse *s)
{
    enum { KEEP = 64 * 1024 };
    s->data.len = 0;
    s->name.len = 0;
    s->event_bytes = 0;
    s->dropping = false;
    s->dispatched = false;
    buf_shrink(&s->data, KEEP);
    buf_shrink(&s->line, KEEP);
}

void sse_restart(struct sse *s)
{
    s->line.len = 0;
    s->bom_seen = 0;
    s->after_cr = false;
    s->in_comment = false;
    forget_event(s);
    assign(&s->id, buf_bytes(&s->last_id));
}

void sse_set_last_id(struct sse *s, struct bytes id)
{
    assign(&s->id, id);
    assign(&s->last_id, id);
}

static void take_retry(struct sse *s, struct bytes value)
{
    int64_t ms = 0;
    if (value.len == 0) return;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') return;
        if (i < RETRY_DIGITS_MAX) ms = ms * 10 + (value.data[i] - '0');
    }
    s->retry_ms = value.len > RETRY_DIGITS_MAX ? 1000000000 : ms;
}

static void take_field(struct sse *s, struct bytes field, struct bytes value)
{
    if (bytes_eq(field, BYTES("data"))) {
        buf_put(&s->data, value);
        buf_putc(&s->data, '\n');
    } else if (bytes_eq(field, BYTES("event"))) {
        assign(&s->name, value);
    } else if (bytes_eq(field, BYTES("id"))) {
        if (value.len == 0 || memchr(value.data, 0, value.len) == NULL) assign(&s->id, value);
    } else if (bytes_eq(field, BYTES("retry"))) {
        take_retry(s, value);
    }
}

/* Counts `n` more bytes towards the event; false when it has become too large. Of an oversized
 * event nothing is kept but its id, so that resuming goes past it. */
static bool admit(struct sse *s, size_t n)
{
    if (s->dropping) return false;
    s->event_bytes += n;
    if (s->event_bytes <= s->bytes_max) return true;
    s->dropping = true;
    s->oversized++;
    s->data.len = 0;
    s->name.len = 0;
    return false;
}

/* A line that is not blank. */
static void take_line(struct sse *s, struct bytes line)
{
    if (line.data[0] == ':') return;
    const char *colon = memchr(line.data, ':', line.len);
    struct bytes field = line, value = {line.data + line.len, 0};
    if (colon != NULL) {
        field.len = (size_t)(colon - line.data);
        value = (struct bytes){colon + 1, line.len - field.len - 1};
        if (value.len > 0 && value.data[0] == ' ') {
            value.data++;
            value.len--;
        }
    }
    bool is_id = bytes_eq(field, BYTES("id")) && line.len <= s->bytes_max;
    if (admit(s, line.len) || is_id) take_field(s, field, value);
}

/* A blank line: true with an event when there is one to dispatch. */
static bool dispatch(struct sse *s, struct sse_event *ret_event)
{
    assign(&s->last_id, buf_bytes(&s->id));
    if (s->data.len == 0 || s->dropping) {
        forget_event(s);
        return false;
    }
    *ret_event = (struct sse_event){
        .id = buf_bytes(&s->last_id),
        .name = s->name.len > 0 ? buf_bytes(&s->name) : BYTES("message"),
        .data = {s->data.data, s->data.len - 1},
    };
    return true;
}

static void advance(struct bytes *in, size_t n)
{
    in->data += n;
    in->len -= n;
}

/* The end of a line in `in`: the offset of its first CR or LF, or in.len when there is none. */
static size_t find_line_end(struct bytes in)
{
    const char *lf = memchr(in.data, '\n', in.len);
    size_t n = lf != NULL ? (size_t)(lf - in.data) : in.len;
    const char *cr = memchr(in.data, '\r', n);
    return cr != NULL ? (size_t)(cr - in.data) : n;
}

/* Keeps the beginning of a line. Of comments and oversized lines nothing needs keeping but that the
 * line was not blank, for which the beginning of a comment stands. */
static void keep_partial(struct sse *s, struct bytes part)
{
    if (part.len == 0) return;
    if (s->line.len == 0) s->in_comment = part.data[0] == ':';
    if (!s->in_comment && s->line.len + part.len > s->bytes_max) {
        admit(s, s->line.len + part.len);
        s->in_comment = true; /* its rest is skipped alike */
    }
    if (!s->in_comment) {
        buf_put(&s->line, part);
    } else {
        s->line.len = 0;
        buf_putc(&s->line, ':');
    }
}

/* One byte order mark at the very start is not part of the stream; it may come in pieces. What only
 * began like one is put back as the beginning of a line. */
static void skip_bom(struct sse *s, struct bytes *in)
{
    static const char bom[] = "\xef\xbb\xbf";
    while (s->bom_seen < BOM_DONE && in->len > 0) {
        if (in->data[0] != bom[s->bom_seen]) {
            keep_partial(s, (struct bytes){bom, s->bom_seen});
            s->bom_seen = BOM_DONE;
            return;
        }
        s->bom_seen++;
        advance(in, 1);
    }
}

bool sse_next(struct sse *s, struct bytes *in, struct sse_event *ret_event)
{
    if (s->dispatched) forget_event(s);
    if (s->bom_seen < BOM_DONE) skip_bom(s, in);
    for (;;) {
        if (s->after_cr && in->len > 0) {
            if (in->data[0] == '\n') advance(in, 1);
            s->after_cr = false;
        }
        if (in->len == 0) return false;
        size_t n = find_line_end(*in);
        if (n == in->len) {
            keep_partial(s, *in);
            advance(in, n);
            return false;
        }
        struct bytes line = {in->data, n};
        if (s->line.len > 0) {
            keep_partial(s, line);
            line = buf_bytes(&s->line);
        }
        s->after_cr = in->data[n] == '\r';
        advance(in, n + 1);
        s->line.len = 0;
        s->in_comment = false;
        if (line.len > 0) {
            take_line(s, line);
        } else if (dispatch(s, ret_event)) {
            s->dispatched = true;
            return true;
        }
    }
}
