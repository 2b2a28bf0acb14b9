/* Copying what salvage chose: the snapshot as it is, the chunks that it refers to at their places,
 * the batches into new segments. Everything is synced before salvage says that it is done, and
 * nothing is left of a copy that fails: no server may start on a half of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "log/chunks_priv.h"
#include "log/salvage_priv.h"

enum { SALVAGE_SEGMENT = 64 << 20, COPY_BYTES = 1 << 20 };

int salvage_fail(struct copying *c, int code, const char *doing, const char *name)
{
    c->error->code = code;
    snprintf(c->error->text, sizeof c->error->text, "%s %.200s failed: %s", doing, name,
             strerror(-code));
    return code;
}

/* ---- The snapshot ---- */

static int copy_bytes(struct copying *c, int from, int to, uint64_t size)
{
    struct reader reader;
    int r = 0;
    reader_init(&reader, c->in->files, from, size, &c->in->window);
    for (uint64_t at = 0; at < size && r == 0;) {
        uint64_t n = size - at < COPY_BYTES ? size - at : COPY_BYTES;
        const char *p = reader_get(&reader, at, n, &r);
        if (p == NULL) break;
        struct iovec iov = {(void *)p, n};
        r = file_write_all(c->in->files, to, &iov, 1, at);
        at += n;
    }
    return r;
}

static int create(struct copying *c, const char *name)
{
    char *path = path_join(c->out, name);
    int fd = c->in->files->open(c->in->files->ctx, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) salvage_fail(c, fd, "making", path);
    mem_free(path);
    return fd;
}

/* One block more, with the number that comes next. */
static int put_block(struct copying *c, int to, struct end_mark *m, uint64_t *at,
                     const struct block_header *b, const char *content)
{
    static const char zeros[BATCH_ALIGN];
    char head[BLOCK_HEADER];
    struct block_header h = {
        .number = m->blocks, .length = b->length, .records = b->records, .flags = b->flags};
    uint64_t size = block_size(b->length);
    struct bytes records = {content, b->length};
    struct bytes padding = {zeros, (size_t)(size - BLOCK_HEADER - b->length)};
    block_header_encode(head, &h, records, padding);
    struct iovec iov[] = {{head, sizeof head},
                          {(void *)records.data, records.len},
                          {(void *)padding.data, padding.len}};
    int r = file_write_all(c->in->files, to, iov, 3, *at);
    *at += size;
    m->blocks++;
    m->records += b->records;
    m->bytes += b->length;
    return r;
}

static int put_end(struct copying *c, int to, const struct end_mark *m, uint64_t at)
{
    char content[END_MARK];
    struct end_mark counted = *m;
    struct block_header b = {.length = END_MARK, .flags = BLOCK_END};
    end_mark_encode(content, m);
    return put_block(c, to, &counted, &at, &b, content);
}

static int put_header(struct copying *c, int to, const struct snapshot_header *known)
{
    char page[SNAPSHOT_HEADER];
    struct snapshot_header h = *known;
    h.flags |= SNAPSHOT_INEXACT;
    if (h.history == 0) h.history = c->in->history;
    if (h.history == 0) h.history = 1; /* nobody knows it any more */
    snapshot_header_encode(page, &h);
    struct iovec iov = {page, sizeof page};
    return file_write_all(c->in->files, to, &iov, 1, 0);
}

/* A snapshot of all blocks that are whole, which is complete at the end of what is taken. */
static int copy_blocks(struct copying *c, const struct seen_snapshot *s, int from, int to)
{
    struct reader reader;
    struct block_header b;
    const char *content;
    struct end_mark m = {.complete = c->best.end};
    struct snapshot_header h = {.position = s->position};
    int r = put_header(c, to, s->state == HEADER_VALID ? &s->header : &h);
    reader_init(&reader, c->in->files, from, s->size, &c->in->window);
    reader.patient = true;
    uint64_t put_at = SNAPSHOT_HEADER;
    for (uint64_t at = SNAPSHOT_HEADER; at < s->size && r >= 0;) {
        int found = reader_block(&reader, at, &b, &content);
        if (found < 0) at = (at / READER_UNREADABLE + 1) * READER_UNREADABLE;
        else if (found == 0) at += BATCH_ALIGN;
        if (found <= 0) continue;
        at += block_size(b.length);
        if (b.flags & BLOCK_END) break;
        r = put_block(c, to, &m, &put_at, &b, content);
    }
    c->s->blocks = m.blocks;
    return r < 0 ? r : put_end(c, to, &m, put_at);
}

static int copy_snapshot(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    const struct seen_snapshot *s = c->best.snapshot;
    snapshot_name(name, s->position);
    int from = inspect_open(c->in, name);
    if (from < 0) return salvage_fail(c, from, "opening", name);
    int to = create(c, name), r = to;
    if (to >= 0) {
        r = c->best.inexact ? copy_blocks(c, s, from, to) : copy_bytes(c, from, to, s->size);
        if (r == 0) r = c->in->files->fdatasync(c->in->files->ctx, to);
        if (r < 0) salvage_fail(c, r, "copying", name);
        c->in->files->close(c->in->files->ctx, to);
    }
    c->in->files->close(c->in->files->ctx, from);
    return r < 0 ? r : 0;
}

/* A snapshot of nothing: it only says that no state is right before the journal's end. */
static int put_empty_snapshot(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    struct snapshot_header h = {.position = 0};
    struct end_mark m = {.complete = c->best.end};
    snapshot_name(name, 0);
    int to = create(c, name);
    if (to < 0) return to;
    int r = put_header(c, to, &h);
    if (r == 0) r = put_end(c, to, &m, SNAPSHOT_HEADER);
    if (r == 0) r = c->in->files->fdatasync(c->in->files->ctx, to);
    if (r < 0) salvage_fail(c, r, "writing", name);
    c->in->files->close(c->in->files->ctx, to);
    return r;
}

/* ---- Chunks ---- */

/* What can be read of one, at its place; zeros where nothing can. */
static int copy_chunk(struct copying *c, struct reader *from, int to, const struct chunk_ref *ref)
{
    int r = -ENODATA;
    const char *p = NULL;
    uint64_t size = chunk_size(ref->length);
    if (ref->offset <= from->limit && size <= from->limit - ref->offset)
        p = reader_get(from, ref->offset, size, &r);
    if (p == NULL) return file_write_zeros(c->in->files, to, ref->offset, size);
    struct iovec iov = {(void *)p, size};
    return file_write_all(c->in->files, to, &iov, 1, ref->offset);
}

static bool is_wanted(const struct copying *c, size_t i)
{
    return &c->in->snapshots[c->in->refs[i].snapshot] == c->best.snapshot;
}

/* The chunks of one file that the snapshot refers to, from index i on, into one of the same name.
 */
static int copy_chunk_file(struct copying *c, size_t i)
{
    struct inspection *in = c->in;
    char name[CHUNK_NAME_MAX], page[CHUNK_FILE_HEADER];
    struct iovec iov = {page, sizeof page};
    struct reader reader;
    uint64_t number = in->refs[i].ref.file, size = 0;
    for (size_t k = 0; k < in->chunk_file_count; k++)
        if (in->chunk_files[k].number == number) size = in->chunk_files[k].size;
    chunks_name(name, number);
    int to = create(c, name);
    if (to < 0) return to;
    int from = size > 0 ? inspect_open(in, name) : -1;
    reader_init(&reader, in->files, from, from < 0 ? 0 : size, &in->window);
    reader.patient = true;
    chunk_file_header_encode(page, number);
    int r = file_write_all(in->files, to, &iov, 1, 0);
    for (; i < in->ref_count && in->refs[i].ref.file == number && r == 0; i++)
        if (is_wanted(c, i)) r = copy_chunk(c, &reader, to, &in->refs[i].ref);
    if (r == 0) r = in->files->fdatasync(in->files->ctx, to);
    if (r < 0) salvage_fail(c, r, "writing", name);
    in->files->close(in->files->ctx, to);
    if (from >= 0) in->files->close(in->files->ctx, from);
    return r;
}

static int copy_chunks(struct copying *c)
{
    uint64_t done = 0; /* files have numbers from 1 on, and references stand by file */
    int r = 0;
    for (size_t i = 0; i < c->in->ref_count && r == 0; i++) {
        if (!is_wanted(c, i) || c->in->refs[i].ref.file == done) continue;
        done = c->in->refs[i].ref.file;
        r = copy_chunk_file(c, i);
    }
    return r;
}

/* ---- The journal ---- */

/* How many batches from index i on go into one segment, and how large it gets. */
static size_t plan_segment(const struct copying *c, size_t i, uint64_t *ret_size)
{
    uint64_t size = SEGMENT_HEADER;
    size_t n = 0;
    for (; i + n < c->best.first + c->best.count; n++) {
        uint64_t more = batch_size(salvage_batch(c, i + n)->length);
        if (n > 0 && size + more > SALVAGE_SEGMENT) break;
        size += more;
    }
    size += SEGMENT_HEADER; /* a marker has its place */
    size = (size + SEGMENT_HEADER - 1) / SEGMENT_HEADER * SEGMENT_HEADER;
    *ret_size = size < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : size;
    return n;
}

static int write_header(struct copying *c, int fd, uint64_t number, uint64_t position,
                        uint64_t time_us, uint64_t size)
{
    char page[SEGMENT_HEADER];
    struct segment_header h = {.history = c->in->history,
                               .epoch = number,
                               .first_position = position,
                               .size = size,
                               .time_us = time_us};
    struct iovec iov = {page, sizeof page};
    segment_header_encode(page, &h);
    int r = file_write_zeros(c->in->files, fd, 0, size);
    return r < 0 ? r : file_write_all(c->in->files, fd, &iov, 1, 0);
}

static void close_source(struct copying *c)
{
    if (c->from_fd >= 0) c->in->files->close(c->in->files->ctx, c->from_fd);
    c->from_fd = -1;
}

/* Batches mostly come one after the other from the same segment. */
static int open_source(struct copying *c, size_t segment)
{
    char name[SEGMENT_NAME_MAX];
    if (c->from_fd >= 0 && c->from_segment == segment) return 0;
    close_source(c);
    segment_name(name, c->in->segments[segment].number);
    c->from_fd = inspect_open(c->in, name);
    if (c->from_fd < 0) return c->from_fd;
    c->from_segment = segment;
    reader_init(&c->from, c->in->files, c->from_fd, c->in->segments[segment].size, &c->in->window);
    c->from.patient = true; /* what is behind a batch may be what cannot be read */
    return 0;
}

/* The same batch, but for the epoch of its new segment, and for its position where gaps were
 * passed; all before it is on disk when salvage is done. */
static int copy_batch(struct copying *c, const struct seen_batch *b, uint64_t number, int to,
                      uint64_t at)
{
    static const char zeros[BATCH_ALIGN];
    char head[BATCH_HEADER];
    struct batch_header h;
    const char *records;
    int r = open_source(c, b->segment);
    if (r < 0) return r;
    r = reader_batch(&c->from, b->offset, (struct batch_owner){0}, &h, &records);
    if (r == 0) r = -EIO; /* it was whole before */
    if (r > 0) {
        struct bytes parts[] = {{records, h.length},
                                {zeros, (size_t)(batch_size(h.length) - BATCH_HEADER - h.length)}};
        h.epoch = number;
        h.position = c->position;
        if (c->best.inexact) h.durable_upto = c->position;
        c->position += h.length;
        batch_header_encode(head, &h, parts, 2);
        struct iovec iov[] = {{head, sizeof head},
                              {(void *)parts[0].data, parts[0].len},
                              {(void *)parts[1].data, parts[1].len}};
        r = file_write_all(c->in->files, to, iov, 3, at);
    }
    return r;
}

static int copy_segment(struct copying *c, size_t first, uint64_t number, size_t *ret_count)
{
    char name[SEGMENT_NAME_MAX];
    uint64_t size, at = SEGMENT_HEADER;
    size_t n = plan_segment(c, first, &size);
    segment_name(name, number);
    int fd = create(c, name);
    if (fd < 0) return fd;
    c->made = number;
    int r = write_header(c, fd, number, c->position, salvage_batch(c, first)->time_us, size);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct seen_batch *b = salvage_batch(c, first + i);
        r = copy_batch(c, b, number, fd, at);
        at += batch_size(b->length);
        c->s->records += b->records;
        c->s->batches++;
    }
    if (r == 0) r = c->in->files->fdatasync(c->in->files->ctx, fd);
    if (r < 0) salvage_fail(c, r, "writing", name);
    c->in->files->close(c->in->files->ctx, fd);
    *ret_count = n;
    return r;
}

static int copy_journal(struct copying *c)
{
    size_t at = c->best.first, n = 0;
    int r = 0;
    c->position = c->best.start;
    for (uint64_t number = 1; at < c->best.first + c->best.count && r == 0; number++, at += n) {
        n = 0;
        r = copy_segment(c, at, number, &n);
    }
    return r;
}

/* ---- All of it ---- */

static int refuse_any(void *arg, const char *name)
{
    return -EEXIST;
}

static int make_out(struct copying *c)
{
    const struct file_layer *files = c->in->files;
    int r = file_make_dir(files, c->out, 0700);
    if (r < 0) return salvage_fail(c, r, "making", c->out);
    r = files->list(files->ctx, c->out, refuse_any, NULL);
    if (r != -EEXIST) return r < 0 ? salvage_fail(c, r, "reading", c->out) : 0;
    c->error->code = r;
    snprintf(c->error->text, sizeof c->error->text,
             "%.300s is not empty: name a directory that is new", c->out);
    return r;
}

static int sync_out(struct copying *c)
{
    int r = c->in->files->sync_dir(c->in->files->ctx, c->out);
    return r < 0 ? salvage_fail(c, r, "syncing", c->out) : 0;
}

static void remove_from_out(struct copying *c, const char *name)
{
    char *path = path_join(c->out, name);
    c->in->files->unlink(c->in->files->ctx, path);
    mem_free(path);
}

/* So that no server ever starts on a half of it. */
static void take_back(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    uint64_t last = 0;
    for (uint64_t number = c->made; number > 0; number--) {
        segment_name(name, number);
        remove_from_out(c, name);
    }
    for (size_t i = 0; i < c->in->ref_count; i++) {
        if (c->in->refs[i].ref.file == last) continue;
        chunks_name(name, last = c->in->refs[i].ref.file);
        remove_from_out(c, name);
    }
    snapshot_name(name, c->best.snapshot != NULL ? c->best.snapshot->position : 0);
    if (c->best.snapshot != NULL || c->best.inexact) remove_from_out(c, name);
    remove_from_out(c, UNFINISHED_NAME);
}

/* Who is killed takes nothing back: until all is there, a file says that it is not. */
static int begin(struct copying *c)
{
    int fd = create(c, UNFINISHED_NAME);
    if (fd < 0) return fd;
    c->in->files->close(c->in->files->ctx, fd);
    return sync_out(c);
}

static int finish(struct copying *c)
{
    int r = sync_out(c);
    if (r < 0) return r;
    char *path = path_join(c->out, UNFINISHED_NAME);
    r = c->in->files->unlink(c->in->files->ctx, path);
    if (r < 0) salvage_fail(c, r, "removing", path);
    mem_free(path);
    return r < 0 ? r : sync_out(c);
}

int salvage_copy(struct copying *c)
{
    int r = make_out(c);
    if (r < 0) return r;
    r = begin(c);
    if (r == 0) r = copy_chunks(c);
    if (r == 0 && c->best.snapshot != NULL) r = copy_snapshot(c);
    if (r == 0 && c->best.snapshot == NULL && c->best.inexact) r = put_empty_snapshot(c);
    if (r == 0) r = copy_journal(c);
    if (r == 0) r = finish(c);
    close_source(c);
    if (r < 0) take_back(c);
    return r;
}
