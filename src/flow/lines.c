/* The reader of lines. Invariant: `partial` holds only the beginning of a line that was cut by the
 * end of the input, never more than bytes_max of it; a line whole in the input is not copied. */
#include "flow/lines.h"

void lines_init(struct lines *l, size_t bytes_max)
{
    *l = (struct lines){.bytes_max = bytes_max};
}

void lines_fini(struct lines *l)
{
    buf_fini(&l->partial);
}

void lines_restart(struct lines *l)
{
    enum { KEEP = 64 * 1024 };
    l->partial.len = 0;
    l->skipping = false;
    l->taken = false;
    buf_shrink(&l->partial, KEEP);
}

/* The limit is on the line with a CR at its end, if it has one: whether that belongs to the line is
 * known only later. */
static bool fits(struct lines *l, size_t n)
{
    if (l->skipping) return false;
    if (l->partial.len + n <= l->bytes_max) return true;
    l->skipping = true;
    l->oversized++;
    l->partial.len = 0;
    return false;
}

static void keep_partial(struct lines *l, struct bytes part)
{
    if (fits(l, part.len)) buf_put(&l->partial, part);
}

/* Takes a line that ended; true when there is something in it. */
static bool finish_line(struct lines *l, struct bytes end, struct bytes *ret_line)
{
    bool ok = fits(l, end.len);
    l->skipping = false;
    if (!ok) return false;
    if (l->partial.len > 0) {
        buf_put(&l->partial, end);
        end = buf_bytes(&l->partial);
        l->taken = true;
    }
    if (end.len > 0 && end.data[end.len - 1] == '\r') end.len--;
    if (end.len == 0) {
        lines_restart(l);
        return false;
    }
    *ret_line = end;
    return true;
}

bool lines_next(struct lines *l, struct bytes *in, struct bytes *ret_line)
{
    if (l->taken) lines_restart(l);
    while (in->len > 0) {
        const char *lf = memchr(in->data, '\n', in->len);
        struct bytes piece = {in->data, lf != NULL ? (size_t)(lf - in->data) : in->len};
        size_t used = piece.len + (lf != NULL);
        in->data += used;
        in->len -= used;
        if (lf == NULL) {
            keep_partial(l, piece);
        } else if (finish_line(l, piece, ret_line)) {
            return true;
        }
    }
    return false;
}

bool lines_last(struct lines *l, struct bytes *ret_line)
{
    if (l->taken || l->partial.len == 0) {
        lines_restart(l);
        return false;
    }
    return finish_line(l, (struct bytes){"", 0}, ret_line);
}
