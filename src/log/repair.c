/* What a start does to the disk before it goes on writing: puts a torn tail aside, and makes sure
 * that all it has read is really there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "log/reader.h"
#include "log/recovery.h"

enum { TORN_NAME_MAX = 100 };

static int fail_at(struct recovery *rec, int error, const char *doing, const char *name)
{
    return recovery_fail(rec, error, "%s %s/%s failed: %s", doing, rec->dir, name,
                         strerror(-error));
}

/* Copies bytes from..to of an open file to another one, in pieces. */
static int copy_range(struct recovery *rec, int from_fd, uint64_t from, uint64_t to, int to_fd,
                      uint64_t at)
{
    struct reader reader;
    int r = 0;
    reader_init(&reader, rec->files, from_fd, to, &rec->window);
    while (from < to && r == 0) {
        uint64_t n = to - from < (1 << 20) ? to - from : (1 << 20);
        const char *p = reader_get(&reader, from, n, &r);
        if (p == NULL) break;
        struct iovec iov = {(void *)p, n};
        r = file_write_all(rec->files, to_fd, &iov, 1, at);
        from += n;
        at += n;
    }
    return r;
}

static int save_remains(struct recovery *rec, const struct found *f, const char *name)
{
    int from = recovery_open(rec, f);
    if (from < 0) return from;
    char *path = path_join(rec->dir, name);
    int to = rec->files->open(rec->files->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int r = to;
    if (to >= 0) {
        r = copy_range(rec, from, f->end, f->remains_end, to, 0);
        if (r == 0) r = rec->files->fdatasync(rec->files->ctx, to);
        rec->files->close(rec->files->ctx, to);
    }
    rec->files->close(rec->files->ctx, from);
    mem_free(path);
    return r < 0 ? fail_at(rec, r, "saving a torn tail as", name) : 0;
}

static int set_aside(struct recovery *rec, const struct found *f, const char *name)
{
    char old_name[SEGMENT_NAME_MAX];
    segment_name(old_name, f->number);
    char *from = path_join(rec->dir, old_name), *to = path_join(rec->dir, name);
    int r = rec->files->rename(rec->files->ctx, from, to);
    mem_free(from);
    mem_free(to);
    return r < 0 ? fail_at(rec, r, "renaming a torn segment to", name) : 0;
}

static int wipe_remains(struct recovery *rec, const struct found *f)
{
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    int r = file_write_zeros(rec->files, fd, f->end, f->remains_end - f->end);
    if (r == 0) r = rec->files->fdatasync(rec->files->ctx, fd);
    rec->files->close(rec->files->ctx, fd);
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    return r < 0 ? fail_at(rec, r, "cutting the torn tail of", name) : 0;
}

static void report(struct recovery *rec, const struct found *f, const char *saved_as)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    if (rec->options->torn != NULL)
        rec->options->torn(rec->options->arg, name, f->end, f->remains_end - f->end, saved_as);
}

static void torn_name(char out[TORN_NAME_MAX], const struct recovery *rec, size_t i)
{
    if (i == rec->last) {
        snprintf(out, TORN_NAME_MAX, "torn-%" PRIu64 ".bin", rec->position);
    } else {
        char name[SEGMENT_NAME_MAX];
        segment_name(name, rec->found[i].number);
        snprintf(out, TORN_NAME_MAX, "torn-%" PRIu64 "-%s", rec->position, name);
    }
}

/* First everything is saved, then the journal's own segment is cut: a crash in between finds a torn
 * tail again. The last segment is saved under one name for one content, so that this may repeat. */
static int cut_torn(struct recovery *rec)
{
    char name[TORN_NAME_MAX];
    size_t first = rec->last < rec->count ? rec->last : 0;
    bool any = false;
    int r = 0;
    for (size_t i = first; i < rec->count && r == 0; i++) {
        const struct found *f = &rec->found[i];
        if (f->remains_end == 0) continue;
        any = true;
        torn_name(name, rec, i);
        r = i == rec->last ? save_remains(rec, f, name) : set_aside(rec, f, name);
    }
    if (r == 0 && any) {
        r = rec->files->sync_dir(rec->files->ctx, rec->dir);
        if (r < 0) fail_at(rec, r, "syncing", "");
    }
    if (r == 0 && rec->last < rec->count && rec->found[rec->last].remains_end > 0)
        r = wipe_remains(rec, &rec->found[rec->last]);
    for (size_t i = first; i < rec->count && r == 0; i++) {
        torn_name(name, rec, i);
        if (rec->found[i].remains_end > 0) report(rec, &rec->found[i], name);
    }
    return r;
}

/* Where the first batch lies that no claim covers; the header page counts with the first batch. */
static int find_unclaimed(struct recovery *rec, const struct found *f, int fd, uint64_t *ret)
{
    struct reader reader;
    struct batch_header b;
    int r = 0;
    reader_init(&reader, rec->files, fd, f->end, &rec->window);
    *ret = SEGMENT_HEADER;
    while (*ret < f->end) {
        if (f->end - *ret < BATCH_HEADER) return -EIO; /* it was whole before */
        const char *p = reader_get(&reader, *ret, BATCH_HEADER, &r);
        if (p == NULL) return r;
        if (!batch_header_decode(p, f->end - *ret, &b)) return -EIO;
        if (b.position + b.length > rec->durable_upto) break;
        *ret += batch_size(b.length);
    }
    if (*ret == SEGMENT_HEADER) *ret = 0;
    return 0;
}

/* After a failed sync the page cache may show what the disk never got, as clean: writing it again
 * makes the next sync mean something. */
static int settle_segment(struct recovery *rec, const struct found *f, bool claimed)
{
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    int r = 0;
    if (!claimed) {
        uint64_t from = 0;
        r = find_unclaimed(rec, f, fd, &from);
        if (r == 0) r = copy_range(rec, fd, from, f->end, fd, from);
    }
    if (r == 0) r = rec->files->fdatasync(rec->files->ctx, fd);
    rec->files->close(rec->files->ctx, fd);
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    return r < 0 ? fail_at(rec, r, "syncing", name) : 0;
}

static int settle(struct recovery *rec)
{
    uint64_t end = rec->position; /* of the segment looked at; they are visited backwards */
    for (size_t i = rec->last + 1; i-- > 0 && rec->last < rec->count;) {
        const struct found *f = &rec->found[i];
        if (f->end == 0) continue;
        int r = settle_segment(rec, f, end <= rec->durable_upto);
        if (r < 0) return r;
        end = f->header.first_position;
    }
    return 0;
}

int recovery_repair(struct recovery *rec)
{
    int r = cut_torn(rec);
    return r < 0 ? r : settle(rec);
}
