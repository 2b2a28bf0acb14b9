/* Chunks that the snapshots refer to: each is read where the reference says, and its bytes compared
 * with the reference's checksum. What nothing refers to is garbage and not looked at. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "log/inspect.h"
#include "log/reader.h"

void inspect_note_ref(struct inspection *in, const struct seen_snapshot *s, struct bytes record)
{
    struct chunk_ref ref;
    if (in->chunk_ref == NULL || !in->chunk_ref(record, &ref)) return;
    if (in->ref_count == in->ref_cap) {
        in->ref_cap = in->ref_cap ? in->ref_cap * 2 : 256;
        in->refs = mem_realloc(in->refs, in->ref_cap * sizeof *in->refs);
    }
    in->refs[in->ref_count++] =
        (struct seen_ref){.ref = ref, .snapshot = (size_t)(s - in->snapshots)};
}

static int by_place(const void *a, const void *b)
{
    const struct seen_ref *x = a, *y = b;
    if (x->ref.file != y->ref.file) return x->ref.file < y->ref.file ? -1 : 1;
    if (x->ref.offset != y->ref.offset) return x->ref.offset < y->ref.offset ? -1 : 1;
    return x->snapshot < y->snapshot ? -1 : x->snapshot > y->snapshot;
}

/* A file being looked at; fd < 0: it is not there. */
struct look {
    struct inspection *in;
    char name[CHUNK_NAME_MAX];
    uint64_t size, told;
    struct reader reader;
    int fd;
};

static void open_file(struct look *l, uint64_t number)
{
    struct inspection *in = l->in;
    chunks_name(l->name, number);
    for (size_t i = 0; i < in->chunk_file_count; i++)
        if (in->chunk_files[i].number == number) l->size = in->chunk_files[i].size;
    l->fd = inspect_open(in, l->name); /* which says it when it is not there */
    if (l->fd < 0) return;
    reader_init(&l->reader, in->files, l->fd, l->size, &in->window);
    l->reader.patient = true;
}

static void check_page(struct look *l, uint64_t number)
{
    int r = 0;
    const char *page = NULL;
    if (l->size >= CHUNK_FILE_HEADER) page = reader_get(&l->reader, 0, CHUNK_FILE_HEADER, &r);
    if (page != NULL) r = chunk_file_header_check(page, number);
    if (page != NULL && r == -EPROTONOSUPPORT)
        inspect_note(l->in, FINDING_DAMAGE, l->name, 12, 4,
                     "the format version is newer than the %d that this leat reads",
                     FORMAT_VERSION);
    else if (page == NULL || r < 0)
        inspect_note(l->in, FINDING_STRAY, l->name, 0, CHUNK_FILE_HEADER,
                     "the header is damaged; the chunks are told without it");
}

static bool check_chunk(struct look *l, const struct chunk_ref *ref, const char *snapshot)
{
    struct chunk_header h;
    int r = -ENODATA;
    const char *p = NULL;
    uint64_t size = chunk_size(ref->length);
    if (l->fd >= 0 && ref->offset <= l->size && size <= l->size - ref->offset)
        p = reader_get(&l->reader, ref->offset, size, &r);
    if (p == NULL || crc32c(0, p + CHUNK_HEADER, ref->length) != ref->crc) {
        inspect_note(l->in, FINDING_DAMAGE, l->name, ref->offset, size,
                     "the chunk that %s refers to is %s", snapshot,
                     p != NULL       ? "damaged"
                     : r == -ENODATA ? "missing"
                                     : "not to be read");
        return false;
    }
    if (!chunk_header_decode(p, &h) || h.offset != ref->offset || h.length != ref->length)
        inspect_note(l->in, FINDING_STRAY, l->name, ref->offset, CHUNK_HEADER,
                     "the chunk's header is damaged; its bytes are whole");
    return true;
}

/* All references into one file, from index i on; returns the index behind them. */
static size_t check_file(struct inspection *in, size_t i)
{
    struct look l = {.in = in};
    uint64_t number = in->refs[i].ref.file;
    char snapshot[SNAPSHOT_NAME_MAX];
    open_file(&l, number);
    if (l.fd >= 0) check_page(&l, number);
    for (size_t first = i; i < in->ref_count && in->refs[i].ref.file == number; i++) {
        struct seen_ref *r = &in->refs[i];
        if (i > first && chunk_ref_eq(&r->ref, &r[-1].ref)) {
            r->whole = r[-1].whole;
            continue;
        }
        snapshot_name(snapshot, in->snapshots[r->snapshot].position);
        r->whole = check_chunk(&l, &r->ref, snapshot);
        uint64_t size = chunk_size(r->ref.length);
        if (size > l.size - l.told) size = l.size - l.told;
        inspect_tell(in, size);
        l.told += size;
    }
    inspect_tell(in, l.size - l.told);
    if (l.fd >= 0) in->files->close(in->files->ctx, l.fd);
    return i;
}

static bool is_referred_to(const struct inspection *in, uint64_t number)
{
    size_t low = 0, high = in->ref_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (in->refs[middle].ref.file < number) low = middle + 1;
        else high = middle;
    }
    return low < in->ref_count && in->refs[low].ref.file == number;
}

void inspect_chunks(struct inspection *in)
{
    if (in->ref_count > 0) qsort(in->refs, in->ref_count, sizeof *in->refs, by_place);
    for (size_t i = 0; i < in->ref_count;) i = check_file(in, i);
    for (size_t i = 0; i < in->chunk_file_count; i++)
        if (!is_referred_to(in, in->chunk_files[i].number))
            inspect_tell(in, in->chunk_files[i].size);
}
