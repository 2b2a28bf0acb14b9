/* Fuzzes the reading of snapshots: any bytes as a snapshot file are refused with a reason, or read
 * to their end mark, and its records applied to a keyspace or refused.
 *
 *     input: flags | the first HEAD bytes of the header page | what follows the page
 *
 * With FIX_SUMS checksums are made right before the file is stored, or mutations would seldom get
 * behind them. */
#include "base/crc.h"
#include "broker/records.h"
#include "keys/keyspace.h"
#include "log/snapshot.h"
#include "memory_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIX_SUMS = 1, HEAD = 304, POSITION = 1000 };

/* Where lengths make sense, so do checksums. */
static void fix_sums(char *p, size_t size)
{
    store_u32(p + 8, crc32c(0, p + 12, SNAPSHOT_HEADER - 12));
    for (size_t at = SNAPSHOT_HEADER; at + BLOCK_HEADER <= size;) {
        struct block_header b;
        if (!block_header_decode(p + at, size - at, &b)) return;
        uint64_t whole = block_size(b.length);
        store_u32(p + at + 4, crc32c(0, p + at + 8, whole - 8));
        at += whole;
    }
}

static void store_snapshot(struct disk *d, const uint8_t *data, size_t size, unsigned flags)
{
    char name[SNAPSHOT_NAME_MAX];
    snapshot_name(name, POSITION);
    struct stored *f = make(d, name);
    size_t head = size < HEAD ? size : HEAD, rest = size - head;
    set_size(f, SNAPSHOT_HEADER + rest);
    if (head > 0) memcpy(f->content.data, data, head);
    if (rest > 0) memcpy(f->content.data + SNAPSHOT_HEADER, data + head, rest);
    if (!(flags & FIX_SUMS)) return;
    store_u64(f->content.data + 24, POSITION);
    fix_sums(f->content.data, f->content.len);
}

/* A long string at a far offset is a record like any other, and takes all the memory there is. */
static bool is_too_far(struct bytes record)
{
    struct record r;
    return record_open(&r, record) && r.kind == REC_STRING_WRITE && record_int(&r) > 1 << 16;
}

static int on_block(void *arg, struct bytes records, uint32_t count)
{
    uint64_t at = 0;
    uint32_t n = 0;
    struct bytes record;
    while (record_next(records.data, records.len, &at, &record)) {
        int r = is_too_far(record) ? -EBADMSG : replay_record_lenient(arg, record);
        if (r < 0) return r;
        n++;
    }
    must(at == records.len && n == count); /* what is handed on was checked */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct disk *d = disk_new();
    struct keyspace *ks = keyspace_new();
    struct file_layer files = layer_of(d);
    struct snapshot_info info;
    struct journal_error error = {0};
    struct snapshot_reading how = {
        .files = &files, .dir = "/disk", .on_block = on_block, .arg = ks};
    store_snapshot(d, data + 1, size - 1, data[0]);
    if (snapshot_read(&how, POSITION, &info, &error) < 0)
        must(error.code < 0 && strlen(error.text) > 10);
    else must(info.header.position == POSITION && info.end.complete >= POSITION);
    keyspace_free(ks);
    disk_free(d);
    return 0;
}
