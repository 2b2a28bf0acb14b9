/* The real file layer: thin over the system calls, with EINTR retried and errno turned negative. */
#include "log/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"

static int real_open(void *ctx, const char *path, int flags, mode_t mode)
{
    int fd = open(path, flags | O_CLOEXEC, mode);
    return fd >= 0 ? fd : -errno;
}

static void real_close(void *ctx, int fd)
{
    close(fd);
}

static ssize_t real_pread(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    ssize_t r;
    do r = pread(fd, data, n, (off_t)offset);
    while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

static ssize_t real_pread_now(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    struct iovec iov = {data, n};
    ssize_t r;
    do r = preadv2(fd, &iov, 1, (off_t)offset, RWF_NOWAIT);
    while (r < 0 && errno == EINTR);
    /* A file system that does not know how lives in memory, or is rare enough to wait for. */
    if (r < 0 && errno == EOPNOTSUPP) return real_pread(ctx, fd, data, n, offset);
    return r >= 0 ? r : -errno;
}

static ssize_t real_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t r;
    do r = pwritev(fd, iov, count, (off_t)offset);
    while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

static ssize_t real_pwrite_durable(void *ctx, int fd, const void *data, size_t n, uint64_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};
    ssize_t r;
    do r = pwritev2(fd, &iov, 1, (off_t)offset, RWF_DSYNC);
    while (r < 0 && errno == EINTR);
    return r >= 0 ? r : -errno;
}

/* Not retried after EINTR either: what a second call would say about the first one is unknown. */
static int real_fdatasync(void *ctx, int fd)
{
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static int real_sync_dir(void *ctx, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int r = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    /* Some file systems have no sync of directories; then there is nothing to be had. */
    return r == -EINVAL ? 0 : r;
}

static int real_allocate(void *ctx, int fd, uint64_t offset, uint64_t n)
{
    int r;
    do r = fallocate(fd, 0, (off_t)offset, (off_t)n);
    while (r < 0 && errno == EINTR);
    return r == 0 ? 0 : -errno;
}

static int real_measure(void *ctx, int fd, uint64_t *ret_size, uint64_t *ret_allocated)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return -errno;
    *ret_size = (uint64_t)st.st_size;
    *ret_allocated = (uint64_t)st.st_blocks * 512;
    return 0;
}

static int real_truncate(void *ctx, int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
}

static int real_rename(void *ctx, const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

static int real_unlink(void *ctx, const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

static int real_mkdir(void *ctx, const char *path, mode_t mode)
{
    return mkdir(path, mode) == 0 ? 0 : -errno;
}

static int real_list(void *ctx, const char *dir, int (*fn)(void *arg, const char *name), void *arg)
{
    DIR *d = opendir(dir);
    if (d == NULL) return -errno;
    int r = 0;
    while (r == 0) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (e == NULL) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) r = fn(arg, e->d_name);
    }
    closedir(d);
    return r;
}

static int real_lock(void *ctx, int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

const struct file_layer file_layer_real = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pread_now = real_pread_now,
    .pwritev = real_pwritev,
    .pwrite_durable = real_pwrite_durable,
    .fdatasync = real_fdatasync,
    .sync_dir = real_sync_dir,
    .allocate = real_allocate,
    .measure = real_measure,
    .truncate = real_truncate,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .list = real_list,
    .lock = real_lock,
};

int file_read_all(const struct file_layer *files, int fd, void *data, size_t n, uint64_t offset)
{
    char *at = data;
    while (n > 0) {
        ssize_t r = files->pread(files->ctx, fd, at, n, offset);
        if (r < 0) return (int)r;
        if (r == 0) return -ENODATA;
        at += r;
        n -= (size_t)r;
        offset += (uint64_t)r;
    }
    return 0;
}

/* Takes the first n bytes off the vector; returns how many of its parts are used up. */
static int skip_written(struct iovec *iov, int count, size_t n)
{
    int done = 0;
    while (done < count && n >= iov[done].iov_len) n -= iov[done++].iov_len;
    if (n > 0) {
        must(done < count);
        iov[done].iov_base = (char *)iov[done].iov_base + n;
        iov[done].iov_len -= n;
    }
    return done;
}

int file_write_all(const struct file_layer *files, int fd, struct iovec *iov, int count,
                   uint64_t offset)
{
    int done = skip_written(iov, count, 0); /* parts that are empty from the start */
    while (done < count) {
        ssize_t r = files->pwritev(files->ctx, fd, iov + done, count - done, offset);
        if (r < 0) return (int)r;
        if (r == 0) return -EIO; /* a disk that takes nothing and says nothing */
        offset += (uint64_t)r;
        done += skip_written(iov + done, count - done, (size_t)r);
    }
    return 0;
}

int file_write_zeros(const struct file_layer *files, int fd, uint64_t offset, uint64_t n)
{
    static const char zeros[64 << 10];
    int r = 0;
    while (n > 0 && r == 0) {
        struct iovec iov[16];
        int count = 0;
        uint64_t taken = 0;
        for (; count < 16 && taken < n; count++) {
            size_t part = n - taken < sizeof(zeros) ? (size_t)(n - taken) : sizeof(zeros);
            iov[count] = (struct iovec){(void *)zeros, part};
            taken += part;
        }
        r = file_write_all(files, fd, iov, count, offset);
        offset += taken;
        n -= taken;
    }
    return r;
}

/* The path of the directory that holds `dir`, on the heap. */
static char *path_above(const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    while (n > 0 && dir[n - 1] != '/') n--;
    while (n > 1 && dir[n - 1] == '/') n--;
    if (n == 0) return mem_strdup(".");
    char *above = mem_dup(dir, n + 1);
    above[n] = '\0';
    return above;
}

int file_make_dir(const struct file_layer *files, const char *dir, mode_t mode)
{
    int r = files->mkdir(files->ctx, dir, mode);
    if (r == -EEXIST) return 0;
    if (r < 0 && r != -ENOENT) return r;
    char *above = path_above(dir);
    bool is_last = strcmp(above, ".") == 0 || strcmp(above, "/") == 0;
    if (r == -ENOENT && !is_last) {
        r = file_make_dir(files, above, mode);
        if (r == 0) r = files->mkdir(files->ctx, dir, mode);
    }
    if (r == 0) {
        r = files->sync_dir(files->ctx, above);
        if (r == -EACCES) r = 0; /* to make something there is allowed, to open it is not */
    }
    mem_free(above);
    return r == -EEXIST ? 0 : r;
}
