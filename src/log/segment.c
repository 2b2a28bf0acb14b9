#include "log/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Zeros are written and synced in steps of this size, so that no single sync of the device is long.
 */
enum { ZERO_STEP = 1 << 20 };

void segment_name(char out[SEGMENT_NAME_MAX], uint64_t number)
{
    snprintf(out, SEGMENT_NAME_MAX, "journal-%012" PRIu64 ".log", number);
}

bool segment_name_parse(const char *name, uint64_t *ret_number)
{
    uint64_t number;
    char again[SEGMENT_NAME_MAX];
    /* Printed again it has to be the same name. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(name, "journal-%" SCNu64 ".log", &number) != 1) return false;
    segment_name(again, number);
    if (strcmp(name, again) != 0) return false;
    *ret_number = number;
    return true;
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(n);
    snprintf(path, n, "%s/%s", dir, name);
    return path;
}

static char *segment_path(const char *dir, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, number);
    return path_join(dir, name);
}

static struct segment *segment_new(uint64_t number, int fd, uint64_t size)
{
    struct segment *s = mem_calloc(sizeof(*s));
    s->number = number;
    s->fd = fd;
    s->size = size;
    return s;
}

int segment_open(const struct file_layer *files, const char *dir, uint64_t number,
                 struct segment **ret)
{
    char *path = segment_path(dir, number);
    uint64_t size, allocated;
    int r = files->open(files->ctx, path, O_RDWR, 0);
    mem_free(path);
    if (r < 0) return r;
    int fd = r;
    r = files->measure(files->ctx, fd, &size, &allocated);
    if (r < 0) {
        files->close(files->ctx, fd);
        return r;
    }
    *ret = segment_new(number, fd, size);
    return 0;
}

static bool is_set(const atomic_bool *flag)
{
    return flag != NULL && atomic_load_explicit(flag, memory_order_relaxed);
}

/* Sets the space aside; with zeros where asked for, or where that is the only way to reserve. */
static int fill(const struct file_layer *files, int fd, const struct segment_plan *plan)
{
    int r = files->allocate(files->ctx, fd, 0, plan->size);
    if (r < 0 && r != -EOPNOTSUPP && r != -ENOSYS) return r;
    bool reserved = r == 0;

    uint64_t end = plan->zero || !reserved ? plan->size : 0;
    for (uint64_t at = 0; at < end;) {
        if (is_set(plan->stop)) return -ECANCELED;
        if (reserved && is_set(plan->hurry)) break;
        uint64_t step = end - at < ZERO_STEP ? end - at : ZERO_STEP;
        r = file_write_zeros(files, fd, at, step);
        if (r == 0) r = files->fdatasync(files->ctx, fd);
        if (r < 0) return r;
        at += step;
    }
    return files->fdatasync(files->ctx, fd);
}

int segment_prepare(const struct file_layer *files, const char *dir,
                    const struct segment_plan *plan, struct segment **ret)
{
    char *made = path_join(dir, "preparing.tmp"), *path = segment_path(dir, plan->number);
    int r = files->open(files->ctx, made, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (r < 0) goto out;
    int fd = r;
    r = fill(files, fd, plan);
    if (r == 0) r = files->rename(files->ctx, made, path);
    if (r == 0) r = files->sync_dir(files->ctx, dir);
    if (r == 0) {
        *ret = segment_new(plan->number, fd, plan->size);
    } else {
        files->close(files->ctx, fd);
        /* Space is what is short: one of the two names has it. */
        files->unlink(files->ctx, made);
        files->unlink(files->ctx, path);
    }
out:
    mem_free(made);
    mem_free(path);
    return r;
}

/* The header page first, and only then the name: a file of that name is whole. */
static int make_unused(const struct file_layer *files, int fd, uint64_t history, uint64_t number,
                       uint64_t size)
{
    char page[SEGMENT_HEADER];
    uint64_t found, allocated;
    int r = files->measure(files->ctx, fd, &found, &allocated);
    if (r < 0) return r;
    if (found != size || allocated < size) return -EINVAL;
    struct segment_header h = {.history = history,
                               .epoch = number,
                               .size = size,
                               .flags = SEGMENT_RECYCLED | SEGMENT_UNUSED};
    struct iovec iov = {page, sizeof(page)};
    segment_header_encode(page, &h);
    r = file_write_all(files, fd, &iov, 1, 0);
    return r < 0 ? r : files->fdatasync(files->ctx, fd);
}

int segment_recycle(const struct file_layer *files, const char *dir, uint64_t old_number,
                    uint64_t history, uint64_t number, uint64_t size, struct segment **ret)
{
    char *old = segment_path(dir, old_number), *path = segment_path(dir, number);
    char *made = path_join(dir, "preparing.tmp");
    int fd = -1;
    /* Synced before the header is written: under its old name the file is whole or gone. */
    int r = files->rename(files->ctx, old, made);
    if (r < 0) files->unlink(files->ctx, old);
    if (r == 0) r = files->sync_dir(files->ctx, dir);
    if (r == 0) r = fd = files->open(files->ctx, made, O_RDWR, 0);
    if (r >= 0) r = make_unused(files, fd, history, number, size);
    if (r == 0) r = files->rename(files->ctx, made, path);
    if (r == 0) r = files->sync_dir(files->ctx, dir);
    if (r == 0) {
        *ret = segment_new(number, fd, size);
        (*ret)->recycled = true;
    } else {
        if (fd >= 0) files->close(files->ctx, fd);
        files->unlink(files->ctx, made);
        files->unlink(files->ctx, path);
    }
    mem_free(old);
    mem_free(path);
    mem_free(made);
    return r;
}

void segment_free(const struct file_layer *files, struct segment *s)
{
    if (s == NULL) return;
    if (s->fd >= 0) files->close(files->ctx, s->fd);
    mem_free(s);
}
