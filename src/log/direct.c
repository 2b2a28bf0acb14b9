/* A disk writes whole blocks, a batch ends anywhere: so the block it ends in is written again with
 * the next batch, the same bytes and what follows them. (The page cache does nothing else.) What
 * lies behind a batch in its block becomes zeros.
 *
 * Compared with a write and an fdatasync() this saves the copy into the page cache, its
 * bookkeeping, and on some file systems the write of the time of modification. */
#include "log/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"

enum { BYTES = 32 << 10 }; /* with larger batches nothing is gained */

static uint64_t block_begin(uint64_t at)
{
    return at / FILE_BLOCK * FILE_BLOCK;
}

static uint64_t block_end(uint64_t at)
{
    return block_begin(at + FILE_BLOCK - 1);
}

static uint64_t length_of(const struct iovec *iov, int count)
{
    uint64_t n = 0;
    for (int i = 0; i < count; i++) n += iov[i].iov_len;
    return n;
}

/* From now on it cannot be written to like this. */
static void refuse_segment(struct direct *d, const struct file_layer *files)
{
    if (d->fd >= 0) files->close(files->ctx, d->fd);
    d->fd = -1;
    d->end = 0;
}

void direct_leave(struct direct *d, const struct file_layer *files, const struct segment *s)
{
    if (d->number != s->number) return;
    refuse_segment(d, files);
    d->number = 0;
}

/* Can it be written to like this? */
static bool enter_segment(struct direct *d, const struct file_layer *files, const char *dir,
                          const struct segment *s)
{
    if (d->number == s->number) return d->fd >= 0;
    refuse_segment(d, files);
    char name[SEGMENT_NAME_MAX];
    segment_name(name, s->number);
    char *path = path_join(dir, name);
    d->fd = files->open(files->ctx, path, O_RDWR | O_DIRECT, 0);
    d->number = s->number;
    mem_free(path);
    return d->fd >= 0;
}

/* The block that `offset` lies in, up to there, to the front of `bytes`. */
static int begin_block(struct direct *d, const struct file_layer *files, const struct segment *s,
                       uint64_t offset)
{
    if (d->end == offset) return 0;
    uint64_t begin = block_begin(offset);
    return file_read_all(files, s->fd, d->bytes, offset - begin, begin);
}

/* A write may be cut short; where no whole block was written, that is no way to write. */
static int write_blocks(struct direct *d, const struct file_layer *files, uint64_t n,
                        uint64_t offset)
{
    for (uint64_t at = 0; at < n;) {
        ssize_t r = files->pwrite_durable(files->ctx, d->fd, d->bytes + at, n - at, offset + at);
        if (r < 0) return (int)r;
        if (r < FILE_BLOCK) return -EOPNOTSUPP;
        at += block_begin((uint64_t)r);
    }
    return 0;
}

int direct_write(struct direct *d, const struct file_layer *files, const char *dir,
                 struct segment *s, const struct iovec *iov, int count, uint64_t offset)
{
    uint64_t begin = block_begin(offset), end = offset + length_of(iov, count), at = offset - begin;
    uint64_t n = block_end(end) - begin;
    if (n > BYTES || begin + n > s->size || !enter_segment(d, files, dir, s)) return 1;
    if (d->bytes == NULL) d->bytes = mem_calloc_aligned(FILE_BLOCK, BYTES);
    int r = begin_block(d, files, s, offset);
    if (r < 0) return r;
    for (int i = 0; i < count; at += iov[i++].iov_len)
        memcpy(d->bytes + at, iov[i].iov_base, iov[i].iov_len);
    memset(d->bytes + at, 0, n - at);
    d->end = 0;
    r = write_blocks(d, files, n, begin);
    if (r == -EINVAL || r == -EOPNOTSUPP) { /* larger blocks, or a file system without it */
        refuse_segment(d, files);
        return 1;
    }
    if (r < 0) return r;
    memmove(d->bytes, d->bytes + block_begin(end) - begin, end - block_begin(end));
    d->end = end;
    return 0;
}

void direct_fini(struct direct *d, const struct file_layer *files)
{
    refuse_segment(d, files);
    mem_free(d->bytes);
}
