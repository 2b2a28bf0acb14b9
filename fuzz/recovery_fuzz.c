/* Fuzzes the opening of a journal: any bytes as its segment files are read back, cut as a torn tail
 * or refused with a reason, and what was read once is read again, to the record.
 *
 *     input:   flags | length, segment | length, segment | ...
 *     segment: the first HEAD bytes of its header page, then what follows the page
 *
 * Lengths are two bytes. Files are filled up with zeros to a size that a segment can have. With
 * FIX_SUMS the checksums are made right before the file is stored, or mutations would seldom get
 * behind them. The files live in memory. */
#include "base/crc.h"
#include "log/format.h"
#include "log/journal.h"
#include "log/segment.h"
#include "memory_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FIX_SUMS = 1,
    FIX_SIZES = 2, /* the header names the file's size */
    GO_ON = 4,     /* something is appended before it is opened again */
    HEAD = 56,
    SEGMENTS_MAX = 4,
};

/* ---- Input to files ---- */

/* Where the lengths make sense, so do the checksums. */
static void fix_sums(char *p, size_t size)
{
    store_u32(p + 8, crc32c(0, p + 12, SEGMENT_HEADER - 12));
    size_t at = SEGMENT_HEADER;
    while (at + BATCH_HEADER <= size) {
        uint64_t length = load_u64(p + at + 48);
        if (memcmp(p + at, BATCH_MAGIC, 4) != 0 || length > size - at - BATCH_HEADER) {
            at += BATCH_ALIGN;
            continue;
        }
        uint64_t whole = batch_size(length);
        if (whole > size - at) break;
        store_u32(p + at + 4, crc32c(0, p + at + 8, whole - 8));
        at += whole;
    }
}

static void store_segment(struct disk *d, unsigned number, struct bytes given, unsigned flags)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, number);
    struct stored *f = make(d, name);
    size_t head = given.len < HEAD ? given.len : HEAD, rest = given.len - head;
    size_t size = SEGMENT_HEADER + rest;
    if (size < SEGMENT_BYTES_MIN) size = SEGMENT_BYTES_MIN;
    if (flags & FIX_SIZES) size = (size + SEGMENT_HEADER - 1) / SEGMENT_HEADER * SEGMENT_HEADER;
    set_size(f, size);
    if (head > 0) memcpy(f->content.data, given.data, head);
    if (rest > 0) memcpy(f->content.data + SEGMENT_HEADER, given.data + head, rest);
    if (flags & FIX_SIZES) store_u64(f->content.data + 40, size);
    if (flags & FIX_SUMS) fix_sums(f->content.data, size);
}

static unsigned fill(struct disk *d, const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[0] : 0;
    size_t at = 1;
    for (unsigned n = 1; n <= SEGMENTS_MAX && at + 2 <= size; n++) {
        size_t len = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        if (len > size - at) len = size - at;
        store_segment(d, n, (struct bytes){(const char *)data + at, len}, flags);
        at += len;
    }
    return flags;
}

/* ---- Opening ---- */

struct told {
    uint64_t records, position;
    uint32_t sum;
    unsigned torn;
};

static int on_record(void *arg, struct bytes record, uint64_t position)
{
    struct told *t = arg;
    must(position > t->position);
    t->records++;
    t->position = position;
    t->sum = t->sum * 31 + crc32c(0, record.data, record.len);
    return 0;
}

static void on_torn(void *arg, const char *file, uint64_t offset, uint64_t len,
                    const char *saved_as)
{
    struct told *t = arg;
    must(len > 0 && saved_as != NULL && file != NULL);
    t->torn++;
}

static uint32_t sum_of(const struct disk *d)
{
    uint32_t sum = 0;
    for (int i = 0; i < FILES; i++) {
        if (strncmp(d->files[i].name, "journal-", 8) != 0) continue;
        sum = crc32c(sum, d->files[i].name, strlen(d->files[i].name));
        sum = crc32c(sum, d->files[i].content.data, d->files[i].content.len);
    }
    return sum;
}

/* False when it was refused. */
static bool open_once(struct disk *d, struct told *t, bool append)
{
    static const char text[] = "one more record";
    struct file_layer files = layer_of(d);
    struct journal_error error = {0};
    struct journal *j = NULL;
    *t = (struct told){0};
    struct journal_options options = {.dir = "/disk",
                                      .sync = JOURNAL_SYNC_NO,
                                      .segment_bytes = SEGMENT_BYTES_MIN,
                                      .files = &files,
                                      .replay = on_record,
                                      .torn = on_torn,
                                      .arg = t};
    uint32_t before = sum_of(d);
    if (journal_open(&options, &error, &j) < 0) {
        must(error.code < 0 && strlen(error.text) > 10);
        if (error.code == -EBADMSG) must(sum_of(d) == before); /* "nothing was changed" */
        return false;
    }
    must(journal_head(j) == t->position);
    if (append && journal_admit(j, sizeof text + 4, false) == 0) {
        buf_append(journal_begin(j), text, sizeof text);
        t->position = journal_end(j);
        t->records++;
        t->sum = t->sum * 31 + crc32c(0, text, sizeof text);
    }
    journal_close(j);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk *d = disk_new();
    struct told first, second;
    unsigned flags = fill(d, data, size);
    if (open_once(d, &first, flags & GO_ON)) {
        must(open_once(d, &second, false));
        must(second.torn == 0); /* what is cut is cut once */
        must(second.position == first.position && second.records == first.records);
        must(second.sum == first.sum);
    }
    disk_free(d);
    return 0;
}
