/* Growth doubles up to 64 MB and then goes by a quarter, so that huge buffers waste little. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/must.h"

void buf_fini(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){0};
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->len < n) {
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap - b->len < n) cap += cap < (1u << 26) ? cap : cap / 4;
        b->data = mem_realloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
    if (n == 0) return;
    memcpy(buf_reserve(b, n), data, n);
    b->len += n;
}

void buf_putc(struct buf *b, char c)
{
    *buf_reserve(b, 1) = c;
    b->len++;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room ? b->data + b->len : NULL, room, format, args);
    va_end(args);
    must(n >= 0);
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n + 1);
        va_start(args, format);
        vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
        va_end(args);
    }
    b->len += (size_t)n;
}

void buf_insert(struct buf *b, size_t at, const void *data, size_t n)
{
    must(at <= b->len);
    buf_reserve(b, n);
    memmove(b->data + at + n, b->data + at, b->len - at);
    memcpy(b->data + at, data, n);
    b->len += n;
}

void buf_consume(struct buf *b, size_t n)
{
    must(n <= b->len);
    if (n < b->len) memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void buf_shrink(struct buf *b, size_t cap_max)
{
    if (b->cap <= cap_max || b->len > cap_max) return;
    if (b->len == 0) {
        buf_fini(b);
    } else {
        b->data = mem_realloc(b->data, cap_max);
        b->cap = cap_max;
    }
}
