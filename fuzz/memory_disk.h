/* A directory in memory behind the file layer, for fuzzers: one level, any path's last part is the
 * name. Nothing fails. Functions are static, for the one program that includes this. */
#ifndef LEAT_FUZZ_MEMORY_DISK_H
#define LEAT_FUZZ_MEMORY_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/must.h"
#include "log/file.h"

enum { FILES = 64 };

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

static struct disk *disk_new(void)
{
    struct disk *d = mem_calloc(sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

static void disk_free(struct disk *d)
{
    for (int i = 0; i < FILES; i++) buf_fini(&d->files[i].content);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
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

#endif
