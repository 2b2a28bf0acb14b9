/* The file layer: every touch of the disk in src/log goes through one of these tables, so that a
 * test can put another one in that fails, shortens, delays or records (file_fault.h).
 *
 * Each function returns a negative errno on failure. Descriptors are plain ones. Functions may be
 * called by several threads at once. The caller keeps the table alive as long as it is in use. */
#ifndef LEAT_LOG_FILE_H
#define LEAT_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { FILE_BLOCK = 4096 };

struct file_layer {
    void *ctx; /* handed to every function */
    int (*open)(void *ctx, const char *path, int flags, mode_t mode);
    void (*close)(void *ctx, int fd);
    /* As the system calls: a short count is not an error, 0 from pread is the end of the file. */
    ssize_t (*pread)(void *ctx, int fd, void *data, size_t n, uint64_t offset);
    /* The same, but -EAGAIN where it would have to wait for the disk. */
    ssize_t (*pread_now)(void *ctx, int fd, void *data, size_t n, uint64_t offset);
    ssize_t (*pwritev)(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset);
    /* Writes blocks of FILE_BLOCK bytes around the page cache and returns when they are durable:
     * what fdatasync() would make so is. The file is open with O_DIRECT; memory, n and offset are
     * multiples of a block. -EINVAL or -EOPNOTSUPP: not here. */
    ssize_t (*pwrite_durable)(void *ctx, int fd, const void *data, size_t n, uint64_t offset);
    int (*fdatasync)(void *ctx, int fd); /* data, and the size where it changed */
    int (*sync_dir)(void *ctx, const char *dir);
    /* Sets space aside, growing the file; -EOPNOTSUPP where the file system cannot. */
    int (*allocate)(void *ctx, int fd, uint64_t offset, uint64_t n);
    /* Size and bytes really set aside for the file. */
    int (*measure)(void *ctx, int fd, uint64_t *ret_size, uint64_t *ret_allocated);
    int (*truncate)(void *ctx, int fd, uint64_t size);
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*mkdir)(void *ctx, const char *path, mode_t mode); /* -EEXIST included */
    /* Calls fn with every name but . and .. until it returns other than 0, and returns that. */
    int (*list)(void *ctx, const char *dir, int (*fn)(void *arg, const char *name), void *arg);
    int (*lock)(void *ctx, int fd); /* exclusive, ends with the descriptor; -EBUSY when taken */
};

extern const struct file_layer file_layer_real;

/* Reads exactly n bytes; -ENODATA when the file ends before. */
int file_read_all(const struct file_layer *files, int fd, void *data, size_t n, uint64_t offset);
/* Writes everything, however often it takes. `iov` is used up. */
int file_write_all(const struct file_layer *files, int fd, struct iovec *iov, int count,
                   uint64_t offset);
/* Writes n zero bytes. */
int file_write_zeros(const struct file_layer *files, int fd, uint64_t offset, uint64_t n);
/* Makes the directory and those above it, durably; fine if it is there. */
int file_make_dir(const struct file_layer *files, const char *dir, mode_t mode);

#endif
