/* What is in the directory; each kind of file has a file of its own here (inspect_journal.c,
 * inspect_snapshot.c, inspect_chunks.c). inspect.h says how to add one. */
#include "log/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log/reader.h"

enum { TELL_BYTES = 1 << 20 };

const char *finding_kind_name(enum finding_kind kind)
{
    static const char *const names[] = {"damage", "stray", "torn"};
    return names[kind];
}

void inspect_init(struct inspection *in, const struct file_layer *files, const char *dir)
{
    *in = (struct inspection){
        .files = files != NULL ? files : &file_layer_real, .dir = dir, .lock_fd = -1};
}

void inspect_fini(struct inspection *in)
{
    if (in->lock_fd >= 0) in->files->close(in->files->ctx, in->lock_fd);
    mem_free(in->findings);
    mem_free(in->segments);
    mem_free(in->batches);
    mem_free(in->snapshots);
    mem_free(in->chunk_files);
    mem_free(in->refs);
    buf_fini(&in->window);
}

void inspect_note(struct inspection *in, enum finding_kind kind, const char *file, uint64_t offset,
                  uint64_t length, const char *format, ...)
{
    va_list args;
    if (in->finding_count == in->finding_cap) {
        in->finding_cap = in->finding_cap ? in->finding_cap * 2 : 16;
        in->findings = mem_realloc(in->findings, in->finding_cap * sizeof *in->findings);
    }
    struct finding *f = &in->findings[in->finding_count++];
    *f = (struct finding){.kind = kind, .offset = offset, .length = length};
    snprintf(f->file, sizeof f->file, "%s", file);
    va_start(args, format);
    vsnprintf(f->what, sizeof f->what, format, args);
    va_end(args);
}

size_t inspect_count(const struct inspection *in, enum finding_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < in->finding_count; i++) n += in->findings[i].kind == kind;
    return n;
}

void inspect_tell(struct inspection *in, uint64_t bytes)
{
    uint64_t before = in->done;
    in->done += bytes;
    if (in->progress != NULL && before / TELL_BYTES != in->done / TELL_BYTES)
        in->progress(in->arg, in->done, in->total);
}

uint64_t inspect_note_unreadable(struct inspection *in, const char *file, uint64_t offset,
                                 int error)
{
    uint64_t next = (offset / READER_UNREADABLE + 1) * READER_UNREADABLE;
    struct finding *last = in->finding_count > 0 ? &in->findings[in->finding_count - 1] : NULL;
    if (last != NULL && last->unreadable && last->offset + last->length == offset &&
        strcmp(last->file, file) == 0) {
        last->length = next - last->offset;
        return next;
    }
    inspect_note(in, FINDING_DAMAGE, file, offset, next - offset, "cannot be read: %s",
                 strerror(-error));
    in->findings[in->finding_count - 1].unreadable = true;
    return next;
}

static int open_quietly(struct inspection *in, const char *name)
{
    char *path = path_join(in->dir, name);
    int fd = in->files->open(in->files->ctx, path, O_RDONLY, 0);
    mem_free(path);
    return fd;
}

int inspect_open(struct inspection *in, const char *name)
{
    int fd = open_quietly(in, name);
    if (fd < 0) inspect_note(in, FINDING_DAMAGE, name, 0, 0, "cannot be opened: %s", strerror(-fd));
    return fd;
}

/* ---- What is there ---- */

static int note_name(void *arg, const char *name)
{
    struct inspection *in = arg;
    uint64_t number;
    if (segment_name_parse(name, &number)) {
        in->segments = mem_realloc(in->segments, (in->segment_count + 1) * sizeof *in->segments);
        in->segments[in->segment_count++] = (struct seen_segment){.number = number};
    } else if (snapshot_name_parse(name, &number)) {
        in->snapshots =
            mem_realloc(in->snapshots, (in->snapshot_count + 1) * sizeof *in->snapshots);
        in->snapshots[in->snapshot_count++] = (struct seen_snapshot){.position = number};
    } else if (chunks_name_parse(name, &number)) {
        in->chunk_files =
            mem_realloc(in->chunk_files, (in->chunk_file_count + 1) * sizeof *in->chunk_files);
        in->chunk_files[in->chunk_file_count++] = (struct seen_chunk_file){.number = number};
    } else if (strcmp(name, UNFINISHED_NAME) == 0) {
        inspect_note(in, FINDING_DAMAGE, name, 0, 0,
                     "the directory is what a salvage that was ended has made so far");
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct seen_segment *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int newest_first(const void *a, const void *b)
{
    const struct seen_snapshot *x = a, *y = b;
    return x->position > y->position ? -1 : x->position < y->position;
}

static uint64_t measure(struct inspection *in, const char *name)
{
    uint64_t size = 0, allocated;
    int fd = open_quietly(in, name); /* it is said when its content is looked at */
    if (fd < 0) return 0;
    int r = in->files->measure(in->files->ctx, fd, &size, &allocated);
    in->files->close(in->files->ctx, fd);
    return r < 0 ? 0 : size;
}

static int survey(struct inspection *in)
{
    char name[SEGMENT_NAME_MAX], snapshot[SNAPSHOT_NAME_MAX], chunks[CHUNK_NAME_MAX];
    int r = in->files->list(in->files->ctx, in->dir, note_name, in);
    if (r < 0) return r;
    if (in->segment_count > 0)
        qsort(in->segments, in->segment_count, sizeof *in->segments, by_number);
    if (in->snapshot_count > 0)
        qsort(in->snapshots, in->snapshot_count, sizeof *in->snapshots, newest_first);
    for (size_t i = 0; i < in->segment_count; i++) {
        segment_name(name, in->segments[i].number);
        in->total += in->segments[i].size = measure(in, name);
    }
    for (size_t i = 0; i < in->snapshot_count; i++) {
        snapshot_name(snapshot, in->snapshots[i].position);
        in->total += in->snapshots[i].size = measure(in, snapshot);
    }
    for (size_t i = 0; i < in->chunk_file_count; i++) {
        chunks_name(chunks, in->chunk_files[i].number);
        in->total += in->chunk_files[i].size = measure(in, chunks);
    }
    return 0;
}

/* Snapshots and journal have to meet. */
static void check_snapshots(struct inspection *in)
{
    char name[SNAPSHOT_NAME_MAX], file[SEGMENT_NAME_MAX] = "journal";
    uint64_t first = inspect_first_position(in);
    bool reached = first == 0;
    for (size_t i = 0; i < in->snapshot_count; i++) {
        const struct seen_snapshot *s = &in->snapshots[i];
        if (!s->whole) continue;
        snapshot_name(name, s->position);
        reached |= s->position >= first;
        if (s->end.complete > in->end)
            inspect_note(in, FINDING_DAMAGE, name, 0, 0,
                         "the journal ends at position %" PRIu64
                         ", and the snapshot says that all up to %" PRIu64 " was safe on disk",
                         in->end, s->end.complete);
        if (in->history != 0 && s->header.history != in->history)
            inspect_note(in, FINDING_DAMAGE, name, 16, 8,
                         "the snapshot belongs to the journal of another server");
    }
    if (reached) return;
    if (in->segment_count > 0) segment_name(file, in->segments[0].number);
    inspect_note(in, FINDING_DAMAGE, file, 32, 8,
                 "the journal begins at position %" PRIu64 ", and no whole snapshot reaches it",
                 first);
}

/* ---- All of it ---- */

static int __attribute__((format(printf, 3, 4)))
fail(struct journal_error *e, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    e->code = code;
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return code;
}

/* What is read must hold still: a server that runs goes on writing and uses files again. */
static int lock_out_servers(struct inspection *in, struct journal_error *e)
{
    char owner[24] = {0};
    char *path = path_join(in->dir, "lock");
    int fd = in->files->open(in->files->ctx, path, O_RDONLY, 0);
    mem_free(path);
    if (fd == -ENOENT) return 0; /* nobody ever ran here: a copy, or what salvage made */
    if (fd < 0) return fail(e, fd, "%.300s/lock cannot be opened: %s", in->dir, strerror(-fd));
    in->lock_fd = fd;
    int r = in->files->lock(in->files->ctx, fd);
    if (r != -EBUSY) return r < 0 ? fail(e, r, "locking %.300s: %s", in->dir, strerror(-r)) : 0;
    ssize_t n = in->files->pread(in->files->ctx, fd, owner, sizeof owner - 1, 0);
    return fail(e, r,
                "%.300s is in use (by process %ld): stop the server that runs on it first, or look "
                "at a copy",
                in->dir, n > 0 ? strtol(owner, NULL, 10) : 0);
}

int inspect_dir(struct inspection *in, struct journal_error *ret_error)
{
    int r = lock_out_servers(in, ret_error);
    if (r < 0) return r;
    r = survey(in);
    if (r < 0) return fail(ret_error, r, "%.300s cannot be read: %s", in->dir, strerror(-r));
    if (in->segment_count == 0 && in->snapshot_count == 0)
        return fail(ret_error, -ENOENT, "%.300s holds no journal and no snapshot", in->dir);
    for (size_t i = 0; i < in->snapshot_count; i++) inspect_snapshot(in, &in->snapshots[i]);
    inspect_chunks(in);
    for (size_t i = 0; i < in->segment_count; i++) inspect_segment(in, i);
    inspect_chain(in);
    check_snapshots(in);
    return 0;
}
