/* From where one gets furthest: from each whole snapshot, and from the beginning, batches are
 * followed by their positions as long as one begins where the one before ended. The way that ends
 * last is copied: its snapshot as it is, its batches into new segments.
 *
 * What lies behind a gap is left, since a record says what changed, and nobody knows what it would
 * have changed without the missing ones. Where there is no way at all, what is whole of the newest
 * snapshot is better than nothing: its blocks stand for themselves. */
#include "log/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log/chunks_priv.h"
#include "log/reader.h"

enum { SALVAGE_SEGMENT = 64 << 20, COPY_BYTES = 1 << 20 };

struct way {
    const struct seen_snapshot *snapshot; /* NULL: from the beginning */
    size_t first, count;                  /* in `order` */
    uint64_t start, end;
    uint64_t chunks_lost; /* of those that the snapshot refers to */
};

struct copying {
    struct inspection *in;
    struct salvage *s;
    const char *out;
    struct journal_error *error;
    size_t *order; /* batches by position */
    struct way best;
    uint64_t made; /* segments */
    int from_fd;   /* of the segment last read; -1 */
    size_t from_segment;
    struct reader from;
};

static int fail(struct copying *c, int code, const char *doing, const char *name)
{
    c->error->code = code;
    snprintf(c->error->text, sizeof c->error->text, "%s %.200s failed: %s", doing, name,
             strerror(-code));
    return code;
}

/* ---- The way ---- */

static int by_position(const void *a, const void *b, void *batches)
{
    const struct seen_batch *x = (const struct seen_batch *)batches + *(const size_t *)a;
    const struct seen_batch *y = (const struct seen_batch *)batches + *(const size_t *)b;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length; /* a marker first */
}

static void sort_batches(struct copying *c)
{
    c->order = mem_alloc((c->in->batch_count + 1) * sizeof *c->order);
    for (size_t i = 0; i < c->in->batch_count; i++) c->order[i] = i;
    qsort_r(c->order, c->in->batch_count, sizeof *c->order, by_position, c->in->batches);
}

static const struct seen_batch *nth(const struct copying *c, size_t i)
{
    return &c->in->batches[c->order[i]];
}

static struct way follow(struct copying *c, const struct seen_snapshot *snapshot)
{
    struct way w = {.snapshot = snapshot};
    uint64_t from = snapshot != NULL ? snapshot->position : 0;
    size_t n = c->in->batch_count;
    while (w.first < n && nth(c, w.first)->position + nth(c, w.first)->length <= from) w.first++;
    w.start = w.end = from;
    if (w.first < n && nth(c, w.first)->position <= from)
        w.start = w.end = nth(c, w.first)->position;
    while (w.first + w.count < n && nth(c, w.first + w.count)->position == w.end) {
        w.end += nth(c, w.first + w.count)->length;
        w.count++;
    }
    if (w.end < from) w.end = from;
    return w;
}

/* Chunks that the snapshot refers to; one that several of its streams share counts once. */
static uint64_t count_chunks(const struct copying *c, const struct seen_snapshot *s, bool lost)
{
    uint64_t n = 0;
    const struct seen_ref *last = NULL;
    for (size_t i = 0; i < c->in->ref_count; i++) {
        const struct seen_ref *r = &c->in->refs[i];
        if (&c->in->snapshots[r->snapshot] != s || (lost && r->whole)) continue;
        n += last == NULL || !chunk_ref_eq(&last->ref, &r->ref);
        last = r;
    }
    return n;
}

/* Where no way leads from a whole snapshot or from the beginning. */
static bool choose_parts(struct copying *c)
{
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s->whole || s->whole_blocks == 0) continue;
        c->best = (struct way){.snapshot = s,
                               .start = s->position,
                               .end = s->position,
                               .chunks_lost = count_chunks(c, s, true)};
        return true;
    }
    return false;
}

/* Where there is no journal, nobody knows better. */
static bool is_of_journal(const struct copying *c, const struct seen_snapshot *s)
{
    return c->in->history == 0 || s->header.history == c->in->history;
}

static bool choose(struct copying *c)
{
    bool any = false;
    for (size_t i = 0; i <= c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = i < c->in->snapshot_count ? &c->in->snapshots[i] : NULL;
        if (s != NULL && (!s->whole || !is_of_journal(c, s))) continue;
        struct way w = follow(c, s);
        if (s != NULL) w.chunks_lost = count_chunks(c, s, true);
        if (s != NULL && w.end < s->end.complete) continue;
        if (s == NULL && w.count == 0) continue;
        /* As far as possible, and then with as little missing as possible. */
        bool better =
            w.end > c->best.end || (w.end == c->best.end && w.chunks_lost < c->best.chunks_lost);
        if (any && !better) continue;
        c->best = w;
        any = true;
    }
    return any || choose_parts(c);
}

/* ---- Copying ---- */

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
    if (fd < 0) fail(c, fd, "making", path);
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

/* A snapshot of all blocks that are whole; it needs no journal. */
static int copy_blocks(struct copying *c, const struct seen_snapshot *s, int from, int to)
{
    char page[SNAPSHOT_HEADER];
    struct reader reader;
    struct block_header b;
    const char *content;
    struct end_mark m = {.complete = s->position};
    struct snapshot_header h = {.history = c->in->history, .position = s->position};
    if (s->state == HEADER_VALID) h = s->header;
    if (h.history == 0) h.history = 1; /* nobody knows it any more */
    snapshot_header_encode(page, &h);
    struct iovec iov = {page, sizeof page};
    int r = file_write_all(c->in->files, to, &iov, 1, 0);
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
    if (from < 0) return fail(c, from, "opening", name);
    int to = create(c, name), r = to;
    if (to >= 0) {
        r = s->whole ? copy_bytes(c, from, to, s->size) : copy_blocks(c, s, from, to);
        if (r == 0) r = c->in->files->fdatasync(c->in->files->ctx, to);
        if (r < 0) fail(c, r, "copying", name);
        c->in->files->close(c->in->files->ctx, to);
    }
    c->in->files->close(c->in->files->ctx, from);
    return r < 0 ? r : 0;
}

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
    if (r < 0) fail(c, r, "writing", name);
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

/* How many batches from index i on go into one segment, and how large it gets. */
static size_t plan_segment(const struct copying *c, size_t i, uint64_t *ret_size)
{
    uint64_t size = SEGMENT_HEADER;
    size_t n = 0;
    for (; i + n < c->best.first + c->best.count; n++) {
        uint64_t more = batch_size(nth(c, i + n)->length);
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

/* The same batch, but for the epoch of its new segment. */
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
    int r = write_header(c, fd, number, nth(c, first)->position, nth(c, first)->time_us, size);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct seen_batch *b = nth(c, first + i);
        r = copy_batch(c, b, number, fd, at);
        at += batch_size(b->length);
        c->s->records += b->records;
        c->s->batches++;
    }
    if (r == 0) r = c->in->files->fdatasync(c->in->files->ctx, fd);
    if (r < 0) fail(c, r, "writing", name);
    c->in->files->close(c->in->files->ctx, fd);
    *ret_count = n;
    return r;
}

static int copy_journal(struct copying *c)
{
    size_t at = c->best.first, n = 0;
    int r = 0;
    for (uint64_t number = 1; at < c->best.first + c->best.count && r == 0; number++, at += n) {
        n = 0;
        r = copy_segment(c, at, number, &n);
    }
    return r;
}

/* ---- What is left ---- */

static void __attribute__((format(printf, 2, 3)))
tell_left(struct copying *c, const char *format, ...)
{
    char line[400];
    va_list args;
    if (c->s->left == NULL) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->s->left(c->s->arg, line);
}

static void tell_what_is_left(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    uint64_t batches = 0, records = 0, from = UINT64_MAX, to = 0;
    for (size_t i = c->best.first + c->best.count; i < c->in->batch_count; i++) {
        const struct seen_batch *b = nth(c, i);
        if (b->records == 0 || b->position < c->best.end) continue;
        batches++;
        records += b->records;
        if (b->position < from) from = b->position;
        if (b->position + b->length > to) to = b->position + b->length;
    }
    if (c->best.snapshot != NULL && !c->best.snapshot->whole)
        tell_left(c,
                  "what is not in the %" PRIu64 " whole blocks of the snapshot of position %" PRIu64
                  ", and all that came after it: no whole snapshot and no journal leads further",
                  c->s->blocks, c->best.snapshot->position);
    for (size_t i = 0; i < c->in->finding_count; i++) {
        const struct finding *f = &c->in->findings[i];
        tell_left(c, "%s, offset %" PRIu64 ": %s", f->file, f->offset, f->what);
    }
    if (batches > 0)
        tell_left(c,
                  "%" PRIu64 " batches of %" PRIu64 " records, positions %" PRIu64 " to %" PRIu64
                  ": whole, but what comes before them is missing",
                  batches, records, from, to);
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s == c->best.snapshot) continue;
        snapshot_name(name, s->position);
        tell_left(c, "%s: %s", name,
                  s->whole ? "whole, but not needed" : "not whole, and nothing of it is needed");
    }
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
    if (r < 0) return fail(c, r, "making", c->out);
    r = files->list(files->ctx, c->out, refuse_any, NULL);
    if (r != -EEXIST) return r < 0 ? fail(c, r, "reading", c->out) : 0;
    c->error->code = r;
    snprintf(c->error->text, sizeof c->error->text,
             "%.300s is not empty: name a directory that is new", c->out);
    return r;
}

/* So that no server ever starts on a half of it. */
static void take_back(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    for (uint64_t number = c->made; number > 0; number--) {
        segment_name(name, number);
        char *path = path_join(c->out, name);
        c->in->files->unlink(c->in->files->ctx, path);
        mem_free(path);
    }
    for (size_t i = 0; i < c->in->ref_count; i++) {
        chunks_name(name, c->in->refs[i].ref.file);
        char *path = path_join(c->out, name);
        c->in->files->unlink(c->in->files->ctx, path);
        mem_free(path);
    }
    if (c->best.snapshot == NULL) return;
    snapshot_name(name, c->best.snapshot->position);
    char *path = path_join(c->out, name);
    c->in->files->unlink(c->in->files->ctx, path);
    mem_free(path);
}

static int copy_all(struct copying *c)
{
    int r = copy_chunks(c);
    if (r == 0 && c->best.snapshot != NULL) r = copy_snapshot(c);
    if (r == 0) r = copy_journal(c);
    if (r == 0) {
        r = c->in->files->sync_dir(c->in->files->ctx, c->out);
        if (r < 0) fail(c, r, "syncing", c->out);
    }
    if (r < 0) take_back(c);
    return r;
}

static void tell(struct copying *c)
{
    c->s->has_snapshot = c->best.snapshot != NULL;
    c->s->snapshot = c->s->has_snapshot ? c->best.snapshot->position : 0;
    c->s->partial = c->s->has_snapshot && !c->best.snapshot->whole;
    c->s->start = c->best.start;
    c->s->end = c->best.end;
    c->s->chunks_lost = c->best.chunks_lost;
    if (c->best.snapshot != NULL) c->s->chunks = count_chunks(c, c->best.snapshot, false);
    c->s->reach = c->in->end;
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s->whole && s->end.complete > c->s->reach) c->s->reach = s->end.complete;
    }
    tell_what_is_left(c);
}

int salvage_dir(struct inspection *in, const char *out, struct salvage *s,
                struct journal_error *ret_error)
{
    struct copying c = {.in = in, .s = s, .out = out, .error = ret_error, .from_fd = -1};
    int r = -ENODATA;
    sort_batches(&c);
    if (choose(&c)) {
        r = make_out(&c);
        if (r == 0) r = copy_all(&c);
        if (r == 0) tell(&c);
    } else {
        ret_error->code = r;
        snprintf(ret_error->text, sizeof ret_error->text,
                 "%.300s: nothing can be saved: there is no snapshot with a whole part, and no "
                 "journal from its beginning on",
                 in->dir);
    }
    close_source(&c);
    mem_free(c.order);
    return r;
}
