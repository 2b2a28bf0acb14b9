#include "keys/pack.h"

#include "base/must.h"

enum { VARINT_MAX = 5 };

static size_t put_length(char *out, size_t len)
{
    size_t n = 0;
    while (len >= 0x80) {
        out[n++] = (char)(len | 0x80);
        len >>= 7;
    }
    out[n++] = (char)len;
    return n;
}

static inline size_t get_length(const char *at, size_t *ret_len)
{
    size_t len = 0, n = 0;
    unsigned char c;
    do {
        c = (unsigned char)at[n];
        len |= (size_t)(c & 0x7f) << (7 * n);
        n++;
    } while (c & 0x80);
    *ret_len = len;
    return n;
}

void pack_fini(struct pack *p)
{
    buf_fini(&p->bytes);
    p->count = 0;
}

void pack_copy(struct pack *to, const struct pack *from)
{
    *to = (struct pack){.count = from->count};
    buf_put(&to->bytes, buf_bytes(&from->bytes));
}

bool pack_next(const struct pack *p, size_t *at, struct bytes *ret)
{
    if (*at >= p->bytes.len) return false;
    size_t len;
    size_t head = get_length(p->bytes.data + *at, &len);
    *ret = (struct bytes){p->bytes.data + *at + head, len};
    *at += head + len;
    return true;
}

/* Names in one value tend to begin alike: their ends are compared first. `len` bytes of both. */
static inline bool is_same(const char *a, const char *b, size_t len)
{
    enum { END = 8 };
    if (len < END) {
        for (size_t i = len; i > 0; i--)
            if (a[i - 1] != b[i - 1]) return false;
        return true;
    }
    return memcmp(a + len - END, b + len - END, END) == 0 && memcmp(a, b, len - END) == 0;
}

/* The element behind the one at `at`. */
static inline const char *skip(const char *at)
{
    size_t len;
    size_t head = get_length(at, &len);
    return at + head + len;
}

ssize_t pack_find(const struct pack *p, struct bytes b, uint32_t step)
{
    const char *at = p->bytes.data, *end = at + p->bytes.len;
    while (at < end) {
        size_t len;
        const char *content = at + get_length(at, &len);
        if (len == b.len && is_same(content, b.data, len)) return at - p->bytes.data;
        at = content + len;
        for (uint32_t i = 1; i < step && at < end; i++) at = skip(at);
    }
    return -1;
}

size_t pack_offset(const struct pack *p, uint32_t index)
{
    must(index <= p->count);
    size_t at = 0;
    struct bytes skipped;
    while (index-- > 0) pack_next(p, &at, &skipped);
    return at;
}

void pack_append(struct pack *p, struct bytes b)
{
    pack_insert(p, p->bytes.len, b);
}

void pack_insert(struct pack *p, size_t at, struct bytes b)
{
    char head[VARINT_MAX];
    size_t n = put_length(head, b.len);
    /* b may point into this very pack; growing would move it away. */
    struct buf copy = {0};
    if (b.data >= p->bytes.data && b.data < p->bytes.data + p->bytes.len) {
        buf_put(&copy, b);
        b = buf_bytes(&copy);
    }
    buf_reserve(&p->bytes, n + b.len);
    buf_insert(&p->bytes, at, head, n);
    if (b.len > 0) buf_insert(&p->bytes, at + n, b.data, b.len);
    p->count++;
    buf_fini(&copy);
}

void pack_replace(struct pack *p, size_t at, struct bytes b)
{
    size_t len;
    size_t head = get_length(p->bytes.data + at, &len);
    if (len == b.len) {
        memmove(p->bytes.data + at + head, b.data, len);
        return;
    }
    pack_insert(p, at, b);
    size_t behind = at;
    struct bytes inserted;
    pack_next(p, &behind, &inserted);
    pack_remove(p, behind, 1);
}

void pack_remove(struct pack *p, size_t at, uint32_t n)
{
    size_t end = at;
    struct bytes skipped;
    for (uint32_t i = 0; i < n; i++) must(pack_next(p, &end, &skipped));
    memmove(p->bytes.data + at, p->bytes.data + end, p->bytes.len - end);
    p->bytes.len -= end - at;
    p->count -= n;
}
