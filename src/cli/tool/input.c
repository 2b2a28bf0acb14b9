/* See input.h. */
#include "cli/tool/input.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"

enum { READ_BYTES = 64 * 1024 };

static struct bytes without_return(struct bytes line)
{
    if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
    return line;
}

/* Hands out the whole lines of `b`, and drops them. `from`: no line ends before. */
static bool hand_out(struct buf *b, size_t from, const struct input *in)
{
    size_t start = 0;
    bool more = true;
    while (more && from < b->len) {
        const char *end = memchr(b->data + from, '\n', b->len - from);
        if (end == NULL) break;
        size_t at = (size_t)(end - b->data);
        more = in->on_line(in->arg, without_return((struct bytes){b->data + start, at - start}));
        start = from = at + 1;
    }
    buf_consume(b, start);
    return more;
}

const char *input_error(int rc)
{
    return rc == -E2BIG ? "a line is longer than 64 MB" : strerror(-rc);
}

int input_lines(int fd, const struct input *in)
{
    struct buf b = {0};
    int rc = 0;
    for (bool more = true; more && rc == 0;) {
        size_t from = b.len;
        ssize_t n = read(fd, buf_reserve(&b, READ_BYTES), READ_BYTES);
        if (n > 0) {
            b.len += (size_t)n;
            more = hand_out(&b, from, in) && in->on_pause(in->arg);
            if (b.len > INPUT_LINE_MAX) rc = -E2BIG;
        } else if (n == 0) {
            if (b.len > 0) in->on_line(in->arg, without_return(buf_bytes(&b)));
            in->on_pause(in->arg);
            break;
        } else if (errno != EINTR) {
            rc = -errno;
        }
    }
    buf_fini(&b);
    return rc;
}
