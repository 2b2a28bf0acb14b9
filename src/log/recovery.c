#include "log/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "log/reader.h"

enum { PROGRESS_BYTES = 4 << 20 };

#define REMEDY                                                                                     \
    "`leat verify` names all that is damaged, `leat salvage` copies what is whole into a new "     \
    "directory"

void recovery_init(struct recovery *rec, const struct journal_options *options,
                   const struct file_layer *files, struct journal_error *error)
{
    *rec = (struct recovery){
        .files = files, .dir = options->dir, .options = options, .error = error, .marked = true};
}

void recovery_from(struct recovery *rec, const struct journal_from *from)
{
    rec->history = from->history;
    rec->from = from->position;
    rec->complete = rec->durable_upto = from->complete;
}

void recovery_fini(struct recovery *rec)
{
    mem_free(rec->found);
    buf_fini(&rec->window);
}

int recovery_fail(struct recovery *rec, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    rec->error->code = code;
    vsnprintf(rec->error->text, sizeof(rec->error->text), format, args);
    va_end(args);
    return code;
}

int recovery_open(struct recovery *rec, const struct found *f)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    char *path = path_join(rec->dir, name);
    int r = rec->files->open(rec->files->ctx, path, O_RDWR, 0);
    mem_free(path);
    if (r < 0)
        return recovery_fail(rec, r, "%s/%s cannot be opened: %s", rec->dir, name, strerror(-r));
    return r;
}

static int fail_reading(struct recovery *rec, const struct found *f, uint64_t offset, int error)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    return recovery_fail(rec, error, "%s/%s, offset %" PRIu64 ": cannot be read: %s%s", rec->dir,
                         name, offset, strerror(-error), error == -EIO ? ". " REMEDY : "");
}

/* The remedy is the same for all damage. */
static int fail_damaged(struct recovery *rec, const struct found *f, uint64_t offset,
                        const char *what)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, f->number);
    return recovery_fail(rec, -EBADMSG,
                         "%s/%s, offset %" PRIu64 ": damaged: %s. Nothing was changed. " REMEDY,
                         rec->dir, name, offset, what);
}

/* --- What is there --- */

static int note_file(void *arg, const char *name)
{
    struct recovery *rec = arg;
    uint64_t number;
    if (!segment_name_parse(name, &number)) return 0;
    rec->found = mem_realloc(rec->found, (rec->count + 1) * sizeof(*rec->found));
    rec->found[rec->count++] = (struct found){.number = number};
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int load_header(struct recovery *rec, struct found *f)
{
    char page[SEGMENT_HEADER] = {0};
    uint64_t allocated;
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    int r = rec->files->measure(rec->files->ctx, fd, &f->size, &allocated);
    size_t n = f->size < sizeof(page) ? (size_t)f->size : sizeof(page);
    if (r == 0) r = file_read_all(rec->files, fd, page, n, 0);
    rec->files->close(rec->files->ctx, fd);
    if (r < 0) return fail_reading(rec, f, 0, r);

    f->state = segment_header_decode(page, &f->header);
    bool whole = f->state == HEADER_VALID || f->state == HEADER_UNUSED;
    if (whole && f->header.epoch != f->number) f->state = HEADER_BAD;
    return 0;
}

static int check_header(struct recovery *rec, const struct found *f)
{
    char name[SEGMENT_NAME_MAX], what[160];
    segment_name(name, f->number);
    if (f->state == HEADER_NEWER)
        return recovery_fail(rec, -EPROTONOSUPPORT,
                             "%s/%s has format version %" PRIu32
                             ", and this leat reads versions up "
                             "to %d: start a newer leat on this directory",
                             rec->dir, name, f->header.version, FORMAT_VERSION);
    if (f->size < SEGMENT_BYTES_MIN)
        return fail_damaged(rec, f, f->size, "the file has been cut short");
    if (f->state != HEADER_VALID) return 0;
    if (f->header.history != rec->history)
        return fail_damaged(rec, f, 16, "the segment belongs to the journal of another server");
    if (f->header.size > f->size) {
        snprintf(what, sizeof(what),
                 "the file was made with %" PRIu64 " bytes and has been cut short", f->header.size);
        return fail_damaged(rec, f, f->size, what);
    }
    return 0;
}

static int survey(struct recovery *rec)
{
    int r = rec->files->list(rec->files->ctx, rec->dir, note_file, rec);
    if (r < 0) return recovery_fail(rec, r, "%s cannot be read: %s", rec->dir, strerror(-r));
    if (rec->count > 0) qsort(rec->found, rec->count, sizeof(*rec->found), by_number);
    rec->last = rec->count;
    for (size_t i = 0; i < rec->count && r == 0; i++) r = load_header(rec, &rec->found[i]);
    for (size_t i = 0; i < rec->count && rec->history == 0; i++)
        if (rec->found[i].state == HEADER_VALID) rec->history = rec->found[i].header.history;
    for (size_t i = 0; i < rec->count && r == 0; i++) r = check_header(rec, &rec->found[i]);
    return r;
}

/* --- Replay --- */

static int replay_batch(struct recovery *rec, const struct found *f, uint64_t offset,
                        const struct batch_header *b, const char *records)
{
    uint64_t at = 0;
    struct bytes record;
    if (!records_fill(records, b->length, b->records))
        return fail_damaged(rec, f, offset, "the records do not fill their batch");
    while (record_next(records, b->length, &at, &record)) {
        if (b->position + at <= rec->from) continue;
        rec->records++;
        int r = rec->options->replay(rec->options->arg, record, b->position + at);
        if (r == -ECANCELED) return recovery_fail(rec, r, "the start was given up");
        if (r < 0) {
            char name[SEGMENT_NAME_MAX];
            segment_name(name, f->number);
            return recovery_fail(rec, r,
                                 "%s/%s, offset %" PRIu64
                                 ": the record that ends at position %" PRIu64
                                 " is not understood (%s); was it written by a newer leat?",
                                 rec->dir, name, offset, b->position + at, strerror(-r));
        }
    }
    return 0;
}

static void report_progress(struct recovery *rec, uint64_t done)
{
    rec->bytes_done += done;
    if (rec->options->progress != NULL)
        rec->options->progress(rec->options->arg, rec->bytes_done, rec->bytes_total);
}

static struct batch_owner owner_of(const struct recovery *rec, const struct found *f)
{
    return (struct batch_owner){rec->history, f->number};
}

static int read_segment(struct recovery *rec, struct found *f)
{
    struct reader reader;
    struct batch_header b;
    const char *records;
    uint64_t at = SEGMENT_HEADER, reported = 0;
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    reader_init(&reader, rec->files, fd, f->header.size, &rec->window);
    int r;
    while ((r = reader_batch(&reader, at, owner_of(rec, f), &b, &records)) > 0) {
        if (b.position != rec->position) break;
        r = replay_batch(rec, f, at, &b, records);
        if (r < 0) goto out;
        rec->position += b.length;
        rec->marked = b.records == 0;
        if (b.durable_upto > rec->durable_upto) rec->durable_upto = b.durable_upto;
        at += batch_size(b.length);
        if (at - reported >= PROGRESS_BYTES) {
            report_progress(rec, at - reported);
            reported = at;
        }
    }
    if (r < 0) fail_reading(rec, f, at, r);
    f->end = at;
    report_progress(rec, f->size - reported);
out:
    rec->files->close(rec->files->ctx, fd);
    return r < 0 ? r : 0;
}

/* The last segment that begins at or before the snapshot's position; the very first one when there
 * is no snapshot. */
static void find_first(struct recovery *rec)
{
    bool found = false;
    for (size_t i = 0; i < rec->count; i++) {
        const struct found *f = &rec->found[i];
        if (f->state != HEADER_VALID) continue;
        if (rec->from > 0 && f->header.first_position <= rec->from) {
            rec->first = i;
            rec->bytes_total = 0;
            found = true;
        }
        rec->bytes_total += f->size;
    }
    rec->position = found ? rec->found[rec->first].header.first_position : rec->from;
}

/* Reads on as long as a segment begins where the one before ended. */
static int follow(struct recovery *rec)
{
    find_first(rec);
    for (size_t i = rec->first; i < rec->count; i++) {
        struct found *f = &rec->found[i];
        if (f->state != HEADER_VALID) continue;
        if (f->header.first_position > rec->position) return 0;
        if (f->header.first_position < rec->position)
            return fail_damaged(rec, f, 32, "the segment begins before the one before it ends");
        int r = read_segment(rec, f);
        if (r < 0) return r;
        rec->last = i;
    }
    return 0;
}

/* --- What lies behind the end --- */

static bool is_recycled(const struct found *f)
{
    return f->state == HEADER_VALID && (f->header.flags & SEGMENT_RECYCLED);
}

struct claim {
    const struct found *file; /* NULL: none found */
    uint64_t offset;
};

/* From where on there are bytes that have to be cut, were there no batch behind it. */
static int64_t first_remains(struct recovery *rec, const struct found *f, uint64_t from,
                             struct reader *reader)
{
    /* A segment in use that does not follow is cut as a whole. */
    if (from == 0) return f->state == HEADER_VALID ? SEGMENT_HEADER : 0;
    return is_recycled(f) ? reader_torn(reader, from, owner_of(rec, f), rec->position) : 0;
}

/* Looks for a batch that claims more than was read; notes how far the bytes reach that have to be
 * cut if there is none: that are not zero, or, in a recycled segment, that are of its own epoch. */
static int scan_batches(struct recovery *rec, struct found *f, uint64_t from, struct reader *reader,
                        struct claim *ret)
{
    struct batch_header b;
    const char *records;
    uint64_t at = from, nonzero_end = 0;
    int64_t torn_end = first_remains(rec, f, from, reader);
    int r = torn_end < 0 ? (int)torn_end : 0;
    while (r == 0 && (r = reader_seek(reader, &at, &nonzero_end)) == 0 && at < f->size) {
        /* Without any header that is whole the history is not known: then each batch counts. */
        struct batch_owner owner = {0};
        if (rec->history != 0) owner = owner_of(rec, f);
        r = reader_batch(reader, at, owner, &b, &records);
        if (r < 0) break;
        if (r > 0 && (rec->history == 0 || b.durable_upto > rec->position)) {
            *ret = (struct claim){f, at};
            break;
        }
        at += r > 0 ? batch_size(b.length) : BATCH_ALIGN;
        nonzero_end = at;
        if (r > 0) torn_end = (int64_t)at;
        r = 0;
    }
    if (!is_recycled(f) && nonzero_end > (uint64_t)torn_end) torn_end = (int64_t)nonzero_end;
    f->remains_end = torn_end < 0 ? 0 : (uint64_t)torn_end;
    if (r > 0 && f->remains_end <= from) f->remains_end = at; /* damage is there at least */
    return r < 0 ? fail_reading(rec, f, at, r) : 0;
}

static int scan_remains(struct recovery *rec, struct found *f, uint64_t from, struct claim *ret)
{
    struct reader reader;
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    reader_init(&reader, rec->files, fd, f->size, &rec->window);
    int r = scan_batches(rec, f, from, &reader, ret);
    rec->files->close(rec->files->ctx, fd);
    return r;
}

/* A segment whose header says that it is not in use yet. Whatever is in it was never synced then,
 * and it is never used under this epoch; so a batch that claims more than was read tells that a
 * header was there, and was lost. */
static int check_unused(struct recovery *rec, const struct found *f, struct claim *ret)
{
    struct reader reader;
    struct batch_header b;
    const char *records;
    uint64_t at = SEGMENT_HEADER;
    int fd = recovery_open(rec, f);
    if (fd < 0) return fd;
    reader_init(&reader, rec->files, fd, f->size, &rec->window);
    int r;
    while ((r = reader_batch(&reader, at, owner_of(rec, f), &b, &records)) > 0) {
        if (b.durable_upto > rec->position) {
            *ret = (struct claim){f, at};
            break;
        }
        at += batch_size(b.length);
    }
    rec->files->close(rec->files->ctx, fd);
    return r < 0 ? fail_reading(rec, f, at, r) : 0;
}

/* The place to name: the end of what was read, or a broken header right behind it, or the one that
 * was lost. */
static const struct found *find_damage(struct recovery *rec, const struct claim *claim,
                                       uint64_t *ret_offset)
{
    *ret_offset = 0;
    if (claim != NULL && claim->file->state == HEADER_UNUSED) return claim->file;
    if (rec->last == rec->count) return &rec->found[0];
    const struct found *f = &rec->found[rec->last];
    *ret_offset = f->end;
    if (f->remains_end > f->end) return f;
    for (size_t i = rec->last + 1; i < rec->count; i++) {
        if (rec->found[i].state == HEADER_BLANK || rec->found[i].state == HEADER_UNUSED) continue;
        if (rec->found[i].state == HEADER_BAD) {
            *ret_offset = 0;
            return &rec->found[i];
        }
        break;
    }
    return f;
}

static int fail_claimed(struct recovery *rec, const struct claim *claim)
{
    uint64_t offset;
    char name[SEGMENT_NAME_MAX], what[200];
    const struct found *f = find_damage(rec, claim, &offset);
    segment_name(name, claim->file->number);
    snprintf(what, sizeof(what),
             "the data of position %" PRIu64 " is broken or missing, though %s, offset %" PRIu64
             ", says that it was safe on disk",
             rec->position, name, claim->offset);
    return fail_damaged(rec, f, offset, what);
}

/* Damage, or else remains_end is set wherever there is something to be cut. */
static int judge_end(struct recovery *rec)
{
    size_t first = rec->last < rec->count ? rec->last : 0;
    for (size_t i = first; i < rec->count; i++) {
        struct claim claim = {NULL, 0};
        struct found *f = &rec->found[i];
        int r = f->state == HEADER_UNUSED
                    ? check_unused(rec, f, &claim)
                    : scan_remains(rec, f, i == rec->last ? f->end : 0, &claim);
        if (r < 0) return r;
        if (claim.file != NULL) return fail_claimed(rec, &claim);
    }
    return 0;
}

/* A snapshot gets its name only when the journal is safe on disk as far as it was complete. */
static int check_complete(struct recovery *rec)
{
    uint64_t offset;
    char what[200];
    if (rec->position >= rec->complete) return 0;
    if (rec->count == 0)
        return recovery_fail(rec, -EBADMSG,
                             "%s: damaged: there is a snapshot, but no journal. Nothing was "
                             "changed. " REMEDY,
                             rec->dir);
    const struct found *f = find_damage(rec, NULL, &offset);
    snprintf(what, sizeof(what),
             "the data of position %" PRIu64 " is missing, though the snapshot of position %" PRIu64
             " says that all up to %" PRIu64 " was safe on disk",
             rec->position, rec->from, rec->complete);
    return fail_damaged(rec, f, offset, what);
}

int recovery_read(struct recovery *rec)
{
    int r = survey(rec);
    if (r == 0) r = follow(rec);
    if (r == 0) r = judge_end(rec);
    if (r == 0) r = check_complete(rec);
    return r;
}
