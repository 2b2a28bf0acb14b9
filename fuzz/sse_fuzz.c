/* Fuzzes the SSE reader and the line reader: any bytes, whole and cut in pieces, must give the same
 * items. The first byte of the input says how the rest is cut. */
#include "base/mem.h"
#include "base/must.h"
#include "flow/lines.h"
#include "flow/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 200 };

static void put_item(struct buf *out, struct bytes item)
{
    buf_append(out, &item.len, sizeof item.len);
    buf_put(out, item);
}

static void feed_sse(struct sse *s, struct bytes in, struct buf *out)
{
    struct sse_event e;
    while (sse_next(s, &in, &e)) {
        must(e.id.len + e.name.len + e.data.len <= 3 * LIMIT);
        put_item(out, e.id);
        put_item(out, e.name);
        put_item(out, e.data);
    }
    must(in.len == 0);
}

static void feed_lines(struct lines *l, struct bytes in, struct buf *out)
{
    struct bytes line;
    while (lines_next(l, &in, &line)) {
        must(line.len > 0 && line.len <= LIMIT);
        put_item(out, line);
    }
    must(in.len == 0);
}

/* Reads all of `in`, `step` bytes at a time, each piece in memory of its own. */
static void read_stream(struct bytes in, size_t step, struct buf *out)
{
    struct sse s;
    struct lines l;
    struct bytes last;
    sse_init(&s, LIMIT);
    lines_init(&l, LIMIT);
    struct buf lines_out = {0};
    while (in.len > 0) {
        struct bytes piece = {in.data, step < in.len ? step : in.len};
        char *copy = mem_dup(piece.data, piece.len);
        feed_sse(&s, (struct bytes){copy, piece.len}, out);
        feed_lines(&l, (struct bytes){copy, piece.len}, &lines_out);
        mem_free(copy);
        in.data += piece.len;
        in.len -= piece.len;
    }
    put_item(out, buf_bytes(&s.last_id));
    buf_append(out, &s.oversized, sizeof s.oversized);
    buf_append(out, &s.retry_ms, sizeof s.retry_ms);
    if (lines_last(&l, &last)) put_item(&lines_out, last);
    buf_put(out, buf_bytes(&lines_out));
    buf_append(out, &l.oversized, sizeof l.oversized);
    buf_fini(&lines_out);
    sse_fini(&s);
    lines_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    struct buf whole = {0}, cut = {0};
    read_stream(in, in.len + 1, &whole);
    read_stream(in, 1 + data[0] % 16, &cut);
    must(bytes_eq(buf_bytes(&whole), buf_bytes(&cut)));
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
