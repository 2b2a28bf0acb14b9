#include "log/reader.h"

#include <errno.h>

#include "base/crc.h"
#include "base/must.h"

enum { WINDOW = 1 << 20 };

void reader_init(struct reader *r, const struct file_layer *files, int fd, uint64_t limit,
                 struct buf *window)
{
    window->len = 0;
    *r = (struct reader){.files = files, .fd = fd, .limit = limit, .window = window};
}

const char *reader_get(struct reader *r, uint64_t offset, uint64_t n, int *ret_error)
{
    must(offset + n >= offset && offset + n <= r->limit);
    struct buf *w = r->window;
    if (offset >= r->window_at && offset + n <= r->window_at + w->len)
        return w->data + (offset - r->window_at);

    uint64_t want = n > WINDOW ? n : WINDOW;
    if (want > r->limit - offset) want = r->limit - offset;
    w->len = 0;
    r->window_at = offset;
    buf_reserve(w, want);
    int error = file_read_all(r->files, r->fd, w->data, want, offset);
    if (error < 0 && r->patient && n < want) {
        want = n;
        error = file_read_all(r->files, r->fd, w->data, want, offset);
    }
    if (error < 0) {
        *ret_error = error;
        return NULL;
    }
    w->len = want;
    return w->data;
}

/* What a header says is larger than that is not brought into memory before its sum is known to be
 * right: a length that is damaged may be that of all the rest of the file. */
enum { UNCHECKED_MAX = 16 * WINDOW };

/* 1 or 0, or negative when reading failed. */
static int is_sum_right(struct reader *r, uint64_t from, uint64_t to, uint32_t crc)
{
    uint32_t found = 0;
    int error = 0;
    for (uint64_t at = from; at < to;) {
        uint64_t n = to - at < WINDOW ? to - at : WINDOW;
        const char *p = reader_get(r, at, n, &error);
        if (p == NULL) return error;
        found = crc32c(found, p, (size_t)n);
        at += n;
    }
    return found == crc;
}

static bool is_of(const struct batch_header *b, struct batch_owner owner)
{
    return (owner.history == 0 || b->history == owner.history) &&
           (owner.epoch == 0 || b->epoch == owner.epoch);
}

int reader_batch(struct reader *r, uint64_t offset, struct batch_owner owner,
                 struct batch_header *ret, const char **ret_records)
{
    int error = 0;
    if (offset > r->limit || r->limit - offset < BATCH_HEADER) return 0;
    const char *p = reader_get(r, offset, BATCH_HEADER, &error);
    if (p == NULL) return error;
    if (!batch_header_decode(p, r->limit - offset, ret) || !is_of(ret, owner)) return 0;
    uint64_t size = batch_size(ret->length);
    int right = size > UNCHECKED_MAX ? is_sum_right(r, offset + 8, offset + size, ret->crc) : 1;
    if (right <= 0) return right;
    p = reader_get(r, offset, size, &error);
    if (p == NULL) return error;
    if (!batch_is_whole(p, ret)) return 0;
    *ret_records = p + BATCH_HEADER;
    return 1;
}

int64_t reader_torn(struct reader *r, uint64_t offset, struct batch_owner owner, uint64_t position)
{
    struct batch_header b;
    int error = 0;
    if (offset > r->limit || r->limit - offset < BATCH_HEADER) return 0;
    const char *p = reader_get(r, offset, BATCH_HEADER, &error);
    if (p == NULL) return error;
    batch_header_load(p, &b);
    if (b.epoch != owner.epoch && (b.history != owner.history || b.position != position)) return 0;
    uint64_t room = r->limit - offset;
    bool fits = b.length <= room && batch_size(b.length) <= room;
    return (int64_t)(offset + (fits ? batch_size(b.length) : BATCH_HEADER));
}

int reader_block(struct reader *r, uint64_t offset, struct block_header *ret,
                 const char **ret_content)
{
    int error = 0;
    if (offset > r->limit || r->limit - offset < BLOCK_HEADER) return 0;
    const char *p = reader_get(r, offset, BLOCK_HEADER, &error);
    if (p == NULL) return error;
    if (!block_header_decode(p, r->limit - offset, ret)) return 0;
    uint64_t size = block_size(ret->length);
    int right = size > UNCHECKED_MAX ? is_sum_right(r, offset + 8, offset + size, ret->crc) : 1;
    if (right <= 0) return right;
    p = reader_get(r, offset, size, &error);
    if (p == NULL) return error;
    if (!block_is_whole(p, ret)) return 0;
    *ret_content = p + BLOCK_HEADER;
    return 1;
}

/* As much as can be had at once, at most a window; never less than READER_UNREADABLE or the rest.
 */
static const char *get_some(struct reader *r, uint64_t offset, uint64_t *ret_n, int *ret_error)
{
    uint64_t left = r->limit - offset;
    *ret_n = left < WINDOW ? left : WINDOW;
    const char *p = reader_get(r, offset, *ret_n, ret_error);
    if (p == NULL && r->patient && *ret_n > READER_UNREADABLE) {
        *ret_n = READER_UNREADABLE;
        p = reader_get(r, offset, *ret_n, ret_error);
    }
    return p;
}

int reader_seek(struct reader *r, uint64_t *offset, uint64_t *ret_nonzero_end)
{
    int error = 0;
    uint64_t n;
    while (*offset < r->limit) {
        const char *p = get_some(r, *offset, &n, &error);
        if (p == NULL) return error;
        if (bytes_are_zero(p, n)) {
            *offset += n;
            continue;
        }
        for (uint64_t i = 0; i < n; i += BATCH_ALIGN) {
            uint64_t step = n - i < BATCH_ALIGN ? n - i : BATCH_ALIGN;
            if (step == BATCH_ALIGN && memcmp(p + i, BATCH_MAGIC, 4) == 0) {
                *offset += i;
                return 0;
            }
            for (uint64_t k = 0; k < step; k++)
                if (p[i + k] != 0) *ret_nonzero_end = *offset + i + k + 1;
        }
        *offset += n;
    }
    return 0;
}
