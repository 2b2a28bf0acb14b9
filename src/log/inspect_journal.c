/* All segments and their batches, past those that are damaged, and what their positions say
 * together. The rules are those of docs/format.md, "torn tail or damage", applied to every gap. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "log/inspect.h"
#include "log/reader.h"

/* ---- One segment ---- */

struct scan {
    struct inspection *in;
    size_t index;
    struct seen_segment *s;
    char name[SEGMENT_NAME_MAX];
    struct reader reader;
    uint64_t at;
};

static struct batch_owner owner_of(const struct scan *c)
{
    return (struct batch_owner){c->in->history, c->s->number};
}

static void index_batch(struct scan *c, const struct batch_header *b)
{
    struct inspection *in = c->in;
    if (in->batch_count == in->batch_cap) {
        in->batch_cap = in->batch_cap ? in->batch_cap * 2 : 1024;
        in->batches = mem_realloc(in->batches, in->batch_cap * sizeof *in->batches);
    }
    in->batches[in->batch_count++] = (struct seen_batch){
        c->index, c->at, b->position, b->length, b->durable_upto, b->time_us, b->records};
    in->records += b->records;
}

static void take_batch(struct scan *c, const struct batch_header *b, const char *records)
{
    uint64_t size = batch_size(b->length);
    if (c->in->history == 0) c->in->history = b->history;
    if (records_fill(records, b->length, b->records)) {
        index_batch(c, b);
        c->s->end = c->at + size;
    } else { /* no server would start on it: as if it were not there */
        inspect_note(c->in, FINDING_DAMAGE, c->name, c->at, size,
                     "the records do not fill their batch");
    }
    c->at += size;
    inspect_tell(c->in, size);
}

/* From a place that holds no batch of ours to the next that may. */
static int skip(struct scan *c)
{
    uint64_t from = c->at;
    int r = reader_seek(&c->reader, &c->at, &c->s->nonzero_end);
    if (r == 0 && c->at == from) { /* there is the beginning of one here */
        c->at += BATCH_ALIGN;
        c->s->nonzero_end = c->at;
        r = reader_seek(&c->reader, &c->at, &c->s->nonzero_end);
    }
    inspect_tell(c->in, c->at - from);
    return r;
}

static void scan_batches(struct scan *c)
{
    struct batch_header b;
    const char *records;
    int r = 0;
    while (c->at < c->s->size) {
        uint64_t from = c->at;
        if (r == 0) r = reader_batch(&c->reader, c->at, owner_of(c), &b, &records);
        if (r > 0) {
            take_batch(c, &b, records);
            r = 0;
        } else if (r >= 0) {
            r = skip(c);
        } else {
            c->at = inspect_note_unreadable(c->in, c->name, c->at, r);
            if (c->at > c->s->size) c->at = c->s->size;
            inspect_tell(c->in, c->at - from);
            r = 0;
        }
    }
}

/* What lies there is of an earlier use, unless it looks as if it were the next batch. */
static void look_behind(struct scan *c)
{
    const struct inspection *in = c->in;
    const struct seen_batch *last = in->batch_count > 0 ? &in->batches[in->batch_count - 1] : NULL;
    bool any = last != NULL && last->segment == c->index;
    uint64_t position = any ? last->position + last->length : c->s->header.first_position;
    int64_t end = reader_torn(&c->reader, c->s->end, owner_of(c), position);
    c->s->nonzero_end = end > 0 ? (uint64_t)end : 0;
}

static bool is_whole(const struct seen_segment *s)
{
    return s->state == HEADER_VALID || s->state == HEADER_UNUSED;
}

static int check_header(struct scan *c)
{
    char page[SEGMENT_HEADER] = {0};
    struct seen_segment *s = c->s;
    int r = 0;
    size_t n = s->size < sizeof page ? (size_t)s->size : sizeof page;
    const char *p = n == 0 ? page : reader_get(&c->reader, 0, n, &r);
    if (p == NULL) return r;
    memcpy(page, p, n);
    inspect_tell(c->in, n);
    s->state = segment_header_decode(page, &s->header);
    if (is_whole(s) && s->header.epoch != s->number) s->state = HEADER_BAD;
    if (s->size < SEGMENT_BYTES_MIN)
        inspect_note(c->in, FINDING_DAMAGE, c->name, s->size, 0, "the file has been cut short");
    else if (s->state == HEADER_NEWER)
        inspect_note(c->in, FINDING_DAMAGE, c->name, 12, 4,
                     "format version %" PRIu32 " is newer than the %d that this leat reads",
                     s->header.version, FORMAT_VERSION);
    else if (s->state == HEADER_VALID && c->in->history != 0 && s->header.history != c->in->history)
        inspect_note(c->in, FINDING_DAMAGE, c->name, 16, 8,
                     "the segment belongs to the journal of another server");
    else if (s->state == HEADER_VALID && s->header.size > s->size)
        inspect_note(c->in, FINDING_DAMAGE, c->name, s->size, s->header.size - s->size,
                     "the file was made with %" PRIu64 " bytes and has been cut short",
                     s->header.size);
    if (c->in->history == 0 && s->state == HEADER_VALID) c->in->history = s->header.history;
    return 0;
}

/* The header says that the segment is not in use; unless it has lost the one it had, whatever is in
 * it is of no use to anybody. */
static bool is_unused(struct scan *c)
{
    struct batch_header b;
    const char *records;
    return c->s->state == HEADER_UNUSED &&
           reader_batch(&c->reader, SEGMENT_HEADER, owner_of(c), &b, &records) <= 0;
}

void inspect_segment(struct inspection *in, size_t i)
{
    struct scan c = {.in = in, .index = i, .s = &in->segments[i], .at = SEGMENT_HEADER};
    segment_name(c.name, c.s->number);
    c.s->state = HEADER_BAD;
    int fd = inspect_open(in, c.name);
    if (fd < 0) return;
    reader_init(&c.reader, in->files, fd, c.s->size, &in->window);
    c.reader.patient = true;
    c.s->end = c.s->size < SEGMENT_HEADER ? c.s->size : SEGMENT_HEADER;
    int r = check_header(&c);
    if (r < 0) {
        inspect_note_unreadable(in, c.name, 0, r);
        inspect_tell(in, c.s->end);
    }
    if (is_unused(&c)) {
        inspect_tell(in, c.s->size - c.s->end);
    } else if (c.s->size > SEGMENT_HEADER) {
        scan_batches(&c);
        if (is_whole(c.s) && c.s->header.flags & SEGMENT_RECYCLED) look_behind(&c);
    }
    in->files->close(in->files->ctx, fd);
}

/* ---- What the positions say ---- */

/* The furthest that a batch from index `from` on, or a snapshot, says was safe. */
static uint64_t claimed_from(const struct inspection *in, size_t from)
{
    uint64_t claim = 0;
    for (size_t i = 0; i < in->snapshot_count; i++)
        if (in->snapshots[i].whole && in->snapshots[i].end.complete > claim)
            claim = in->snapshots[i].end.complete;
    for (size_t i = from; i < in->batch_count; i++)
        if (in->batches[i].durable_upto > claim) claim = in->batches[i].durable_upto;
    return claim;
}

static void note_gap(struct inspection *in, size_t before, size_t after, uint64_t position)
{
    const struct seen_batch *b = &in->batches[after];
    char name[SEGMENT_NAME_MAX];
    bool same = before < in->batch_count && in->batches[before].segment == b->segment;
    /* The batch that is missing may be the first of its segment, or the last of the one before. */
    bool in_front = !same && (before >= in->batch_count || b->offset > SEGMENT_HEADER);
    size_t segment = same || in_front ? b->segment : in->batches[before].segment;
    uint64_t from = in_front ? SEGMENT_HEADER
                             : in->batches[before].offset + batch_size(in->batches[before].length);
    bool claimed = claimed_from(in, after) > position;
    segment_name(name, in->segments[segment].number);
    inspect_note(in, claimed ? FINDING_DAMAGE : FINDING_TORN, name, from,
                 same || in_front ? b->offset - from : 0,
                 "the data of positions %" PRIu64 " to %" PRIu64 " is %s", position, b->position,
                 claimed ? "broken or missing, though it was safe on disk"
                         : "missing; it was never said to be safe");
}

uint64_t inspect_first_position(const struct inspection *in)
{
    uint64_t first = in->batch_count > 0 ? in->batches[0].position : UINT64_MAX;
    for (size_t i = 0; i < in->segment_count; i++)
        if (in->segments[i].state == HEADER_VALID && in->segments[i].header.first_position < first)
            first = in->segments[i].header.first_position;
    return first == UINT64_MAX ? 0 : first;
}

static void check_chain(struct inspection *in)
{
    uint64_t position = inspect_first_position(in);
    uint64_t at = 0; /* where the next batch of the segment is expected */
    for (size_t i = 0; i < in->batch_count; i++) {
        const struct seen_batch *b = &in->batches[i];
        bool new_segment = i == 0 || b->segment != in->batches[i - 1].segment;
        if (new_segment) at = SEGMENT_HEADER;
        if (b->position != position || b->offset != at)
            note_gap(in, i == 0 ? in->batch_count : i - 1, i, position);
        position = b->position + b->length;
        at = b->offset + batch_size(b->length);
    }
    /* A snapshot that is complete by itself needs no journal. */
    if (in->segment_count == 0 && in->snapshot_count > 0 && in->snapshots[0].whole)
        position = in->snapshots[0].position;
    in->end = position;
}

/* A header that does not say what it should is damage where what follows it was safe; else it is
 * the beginning of a torn write. */
static void check_headers(struct inspection *in)
{
    char name[SEGMENT_NAME_MAX];
    size_t k = 0; /* the segment's first batch */
    uint64_t position = inspect_first_position(in);
    for (size_t i = 0; i < in->segment_count; i++) {
        const struct seen_segment *s = &in->segments[i];
        for (; k < in->batch_count && in->batches[k].segment < i; k++)
            position = in->batches[k].position + in->batches[k].length;
        if (s->size < SEGMENT_BYTES_MIN) continue; /* it was said that it is short */
        bool used = s->end > SEGMENT_HEADER;
        if (s->state != HEADER_BAD && (!used || s->state == HEADER_VALID)) continue;
        bool claimed = used && claimed_from(in, k) > position;
        segment_name(name, s->number);
        inspect_note(in, claimed ? FINDING_DAMAGE : FINDING_TORN, name, 0, SEGMENT_HEADER,
                     "the header is %s%s",
                     s->state == HEADER_UNUSED ? "one of a segment that is not in use" : "damaged",
                     claimed ? "" : "; what follows it was never said to be safe");
    }
}

/* What lies behind the last whole batch of each segment. */
static void check_remains(struct inspection *in, size_t i)
{
    struct seen_segment *s = &in->segments[i];
    char name[SEGMENT_NAME_MAX];
    if (s->nonzero_end <= s->end) return;
    segment_name(name, s->number);
    bool last = true, claimed = claimed_from(in, 0) > in->end;
    for (size_t k = i + 1; k < in->segment_count; k++)
        last &= in->segments[k].end <= SEGMENT_HEADER;
    if (!last)
        inspect_note(in, FINDING_STRAY, name, s->end, s->nonzero_end - s->end,
                     "there are bytes in unused space; nothing is lost by them");
    else
        inspect_note(in, claimed ? FINDING_DAMAGE : FINDING_TORN, name, s->end,
                     s->nonzero_end - s->end,
                     claimed ? "the end of the journal is broken, though it was safe on disk"
                             : "the last write was cut short: the next start cuts it off");
}

void inspect_chain(struct inspection *in)
{
    check_headers(in);
    check_chain(in);
    for (size_t i = 0; i < in->segment_count; i++) check_remains(in, i);
}
