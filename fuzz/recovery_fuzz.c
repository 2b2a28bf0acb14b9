/* Fuzzes the opening of a journal: any bytes as its segment files are read back, cut as a torn tail
 * or refused with a reason, and what was read once is read again, to the record.
 *
 *     input:   flags | length, segment | length, segment | ...
 *     segment: the first HEAD bytes of its header page, then what follows the page
 *
 * Lengths are two bytes. Files are filled up with zeros to a size that a segment can have. With
 * FIX_SUMS the checksums are made right before the file is stored, or mutations would seldom get
 * behind them. The files live in memory: see struct disk. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "log/format.h"
#include "log/journal.h"
#include "log/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FIX_SUMS = 1,
    FIX_SIZES = 2, /* the header names the file's size */
    GO_ON = 4,     /* something is appended before it is opened again */
    HEAD = 56,
    SEGMENTS_MAX = 4,
    FILES = 64,
};

/* ---- A disk in memory ---- */

struct stored {
    char name[128]; /* empty: unused */
    struct buf content;
};

struct disk {
    pthread_mutex_t lock;
    struct stored files[FILES];
};

static struct stored *find(struct disk *d, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    for (int i = 0; i < FILES; i++)
        if (strcmp(d->files[i].name, name) == 0) return &d->files[i];
    return NULL;
}

static struct stored *make(struct disk *d, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (int i = 0; i < FILES; i++) {
        if (d->files[i].name[0] != '\0') continue;
        snprintf(d->files[i].name, sizeof d->files[i].name, "%s", slash != NULL ? slash + 1 : path);
        return &d->files[i];
    }
    must(!"the disk has too few files");
    return NULL;
}

static void set_size(struct stored *f, uint64_t size)
{
    if (size > f->content.len) {
        buf_reserve(&f->content, size - f->content.len);
        memset(f->content.data + f->content.len, 0, size - f->content.len);
    }
    f->content.len = size;
}

/* A descriptor is the file's index; a file that is renamed keeps it. */
static int disk_open(void *ctx, const char *path, int flags, mode_t mode)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    struct stored *f = find(d, path);
    if (f == NULL && (flags & O_CREAT)) f = make(d, path);
    if (f != NULL && (flags & O_TRUNC)) f->content.len = 0;
    pthread_mutex_unlock(&d->lock);
    return f == NULL ? -ENOENT : (int)(f - d->files);
}

static void disk_close(void *ctx, int fd) {}

static ssize_t disk_pread(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    struct disk *d = ctx;
    struct buf *content = &d->files[fd].content;
    pthread_mutex_lock(&d->lock);
    size_t left = offset < content->len ? content->len - (size_t)offset : 0;
    if (n > left) n = left;
    if (n > 0) memcpy(data, content->data + offset, n);
    pthread_mutex_unlock(&d->lock);
    return (ssize_t)n;
}

static ssize_t disk_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    struct disk *d = ctx;
    struct stored *f = &d->files[fd];
    uint64_t at = offset;
    pthread_mutex_lock(&d->lock);
    for (int i = 0; i < count; i++) {
        if (at + iov[i].iov_len > f->content.len) set_size(f, at + iov[i].iov_len);
        if (iov[i].iov_len > 0) memcpy(f->content.data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    pthread_mutex_unlock(&d->lock);
    return (ssize_t)(at - offset);
}

static int disk_sync(void *ctx, int fd)
{
    return 0;
}

static int disk_sync_dir(void *ctx, const char *dir)
{
    return 0;
}

static int disk_allocate(void *ctx, int fd, uint64_t offset, uint64_t n)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    if (offset + n > d->files[fd].content.len) set_size(&d->files[fd], offset + n);
    pthread_mutex_unlock(&d->lock);
    return 0;
}

static int disk_measure(void *ctx, int fd, uint64_t *ret_size, uint64_t *ret_allocated)
{
    struct disk *d = ctx;
    *ret_size = *ret_allocated = d->files[fd].content.len;
    return 0;
}

static int disk_truncate(void *ctx, int fd, uint64_t size)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    set_size(&d->files[fd], size);
    pthread_mutex_unlock(&d->lock);
    return 0;
}

static void drop(struct stored *f)
{
    buf_fini(&f->content);
    *f = (struct stored){0};
}

static int disk_rename(void *ctx, const char *from, const char *to)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    struct stored *f = find(d, from), *old = find(d, to);
    if (old != NULL && old != f) drop(old);
    if (f != NULL) snprintf(f->name, sizeof f->name, "%s", strrchr(to, '/') + 1);
    pthread_mutex_unlock(&d->lock);
    return f == NULL ? -ENOENT : 0;
}

static int disk_unlink(void *ctx, const char *path)
{
    struct disk *d = ctx;
    pthread_mutex_lock(&d->lock);
    struct stored *f = find(d, path);
    if (f != NULL) drop(f);
    pthread_mutex_unlock(&d->lock);
    return f == NULL ? -ENOENT : 0;
}

static int disk_mkdir(void *ctx, const char *path, mode_t mode)
{
    return -EEXIST;
}

static int disk_list(void *ctx, const char *dir, int (*fn)(void *arg, const char *name), void *arg)
{
    struct disk *d = ctx;
    int r = 0;
    for (int i = 0; i < FILES && r == 0; i++)
        if (d->files[i].name[0] != '\0') r = fn(arg, d->files[i].name);
    return r;
}

static int disk_lock(void *ctx, int fd)
{
    return 0;
}

static struct file_layer layer_of(struct disk *d)
{
    return (struct file_layer){.ctx = d,
                               .open = disk_open,
                               .close = disk_close,
                               .pread = disk_pread,
                               .pwritev = disk_pwritev,
                               .fdatasync = disk_sync,
                               .sync_dir = disk_sync_dir,
                               .allocate = disk_allocate,
                               .measure = disk_measure,
                               .truncate = disk_truncate,
                               .rename = disk_rename,
                               .unlink = disk_unlink,
                               .mkdir = disk_mkdir,
                               .list = disk_list,
                               .lock = disk_lock};
}

/* ---- Input to files ---- */

static void store_u64(char *p, uint64_t n)
{
    store_u32(p, (uint32_t)n);
    store_u32(p + 4, (uint32_t)(n >> 32));
}

/* Where the lengths make sense, so do the checksums. */
static void fix_sums(char *p, size_t size)
{
    store_u32(p + 8, crc32c(0, p + 12, SEGMENT_HEADER - 12));
    size_t at = SEGMENT_HEADER;
    while (at + BATCH_HEADER <= size) {
        uint64_t length = load_u32(p + at + 48) | (uint64_t)load_u32(p + at + 52) << 32;
        if (memcmp(p + at, "LB01", 4) != 0 || length > size - at - BATCH_HEADER) {
            at += BATCH_ALIGN;
            continue;
        }
        uint64_t whole = batch_size(length);
        if (whole > size - at) break;
        store_u32(p + at + 4, crc32c(0, p + at + 8, whole - 8));
        at += whole;
    }
}

static void store_segment(struct disk *d, unsigned number, struct bytes given, unsigned flags)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, number);
    struct stored *f = make(d, name);
    size_t head = given.len < HEAD ? given.len : HEAD, rest = given.len - head;
    size_t size = SEGMENT_HEADER + rest;
    if (size < SEGMENT_BYTES_MIN) size = SEGMENT_BYTES_MIN;
    if (flags & FIX_SIZES) size = (size + SEGMENT_HEADER - 1) / SEGMENT_HEADER * SEGMENT_HEADER;
    set_size(f, size);
    if (head > 0) memcpy(f->content.data, given.data, head);
    if (rest > 0) memcpy(f->content.data + SEGMENT_HEADER, given.data + head, rest);
    if (flags & FIX_SIZES) store_u64(f->content.data + 40, size);
    if (flags & FIX_SUMS) fix_sums(f->content.data, size);
}

static unsigned fill(struct disk *d, const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[0] : 0;
    size_t at = 1;
    for (unsigned n = 1; n <= SEGMENTS_MAX && at + 2 <= size; n++) {
        size_t len = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (len > size - at) len = size - at;
        store_segment(d, n, (struct bytes){(const char *)data + at, len}, flags);
        at += len;
    }
    return flags;
}

/* ---- Opening ---- */

struct told {
    uint64_t records, position;
    uint32_t sum;
    unsigned torn;
};

static int on_record(void *arg, struct bytes record, uint64_t position)
{
    struct told *t = arg;
    must(position > t->position);
    t->records++;
    t->position = position;
    t->sum = t->sum * 31 + crc32c(0, record.data, record.len);
    return 0;
}

static void on_torn(void *arg, const char *file, uint64_t offset, uint64_t len,
                    const char *saved_as)
{
    struct told *t = arg;
    must(len > 0 && saved_as != NULL && file != NULL);
    t->torn++;
}

static uint32_t sum_of(const struct disk *d)
{
    uint32_t sum = 0;
    for (int i = 0; i < FILES; i++) {
        if (strncmp(d->files[i].name, "journal-", 8) != 0) continue;
        sum = crc32c(sum, d->files[i].name, strlen(d->files[i].name));
        sum = crc32c(sum, d->files[i].content.data, d->files[i].content.len);
    }
    return sum;
}

/* False when it was refused. */
static bool open_once(struct disk *d, struct told *t, bool append)
{
    static const char text[] = "one more record";
    struct file_layer files = layer_of(d);
    struct journal_error error = {0};
    struct journal *j = NULL;
    *t = (struct told){0};
    struct journal_options options = {.dir = "/disk",
                                      .sync = JOURNAL_SYNC_NO,
                                      .segment_bytes = SEGMENT_BYTES_MIN,
                                      .files = &files,
                                      .replay = on_record,
                                      .torn = on_torn,
                                      .arg = t};
    uint32_t before = sum_of(d);
    if (journal_open(&options, &error, &j) < 0) {
        must(error.code < 0 && strlen(error.text) > 10);
        if (error.code == -EBADMSG) must(sum_of(d) == before); /* "nothing was changed" */
        return false;
    }
    must(journal_head(j) == t->position);
    if (append && journal_admit(j, sizeof text + 4, false) == 0) {
        buf_append(journal_begin(j), text, sizeof text);
        t->position = journal_end(j);
        t->records++;
        t->sum = t->sum * 31 + crc32c(0, text, sizeof text);
    }
    journal_close(j);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk *d = mem_calloc(sizeof *d);
    struct told first, second;
    pthread_mutex_init(&d->lock, NULL);
    unsigned flags = fill(d, data, size);
    if (open_once(d, &first, flags & GO_ON)) {
        must(open_once(d, &second, false));
        must(second.torn == 0); /* what is cut is cut once */
        must(second.position == first.position && second.records == first.records);
        must(second.sum == first.sum);
    }
    for (int i = 0; i < FILES; i++) buf_fini(&d->files[i].content);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
    return 0;
}
