/* A growing, owned run of bytes. */
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include "base/bytes.h"

struct buf {
    char *data; /* NULL while cap is 0 */
    size_t len;
    size_t cap;
};

void buf_fini(struct buf *b); /* leaves an empty, usable buf */
/* Room for n more bytes at data + len; returns that place. Growth is geometric. */
char *buf_reserve(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *data, size_t n);
static inline void buf_put(struct buf *b, struct bytes x)
{
    buf_append(b, x.data, x.len);
}
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Inserts n bytes at offset `at` <= len. */
void buf_insert(struct buf *b, size_t at, const void *data, size_t n);
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Gives memory back when it holds much more than it needs. */
void buf_shrink(struct buf *b, size_t cap_max);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->data, b->len};
}

#endif
