#include "log/format.h"

#include "base/crc.h"

static const char segment_magic[8] = "leat-jrn";
static const char snapshot_magic[8] = "leat-snp";
static const char block_magic[4] = "LS01";

bool bytes_are_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

void segment_header_encode(char *out, const struct segment_header *h)
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, segment_magic, sizeof(segment_magic));
    store_u32(out + 12, FORMAT_VERSION);
    store_u64(out + 16, h->history);
    store_u64(out + 24, h->epoch);
    store_u64(out + 32, h->first_position);
    store_u64(out + 40, h->size);
    store_u64(out + 48, h->time_us);
    store_u32(out + 56, h->flags);
    store_u32(out + 8, crc32c(0, out + 12, SEGMENT_HEADER - 12));
}

enum header_state segment_header_decode(const char *page, struct segment_header *ret)
{
    if (memcmp(page, segment_magic, sizeof(segment_magic)) != 0)
        return bytes_are_zero(page, SEGMENT_HEADER) ? HEADER_BLANK : HEADER_BAD;
    if (load_u32(page + 8) != crc32c(0, page + 12, SEGMENT_HEADER - 12)) return HEADER_BAD;
    ret->version = load_u32(page + 12);
    if (ret->version > FORMAT_VERSION) return HEADER_NEWER;
    ret->history = load_u64(page + 16);
    ret->epoch = load_u64(page + 24);
    ret->first_position = load_u64(page + 32);
    ret->size = load_u64(page + 40);
    ret->time_us = load_u64(page + 48);
    ret->flags = load_u32(page + 56);
    if (ret->version == 0 || ret->size < SEGMENT_HEADER) return HEADER_BAD;
    return ret->flags & SEGMENT_UNUSED ? HEADER_UNUSED : HEADER_VALID;
}

void batch_header_encode(char *out, struct batch_header *h, const struct bytes *parts, int count)
{
    memcpy(out, BATCH_MAGIC, 4);
    store_u64(out + 8, h->history);
    store_u64(out + 16, h->epoch);
    store_u64(out + 24, h->position);
    store_u64(out + 32, h->durable_upto);
    store_u64(out + 40, h->time_us);
    store_u64(out + 48, h->length);
    store_u32(out + 56, h->records);
    store_u32(out + 60, 0);
    h->crc = crc32c(0, out + 8, BATCH_HEADER - 8);
    for (int i = 0; i < count; i++) h->crc = crc32c(h->crc, parts[i].data, parts[i].len);
    store_u32(out + 4, h->crc);
}

void batch_header_load(const char *p, struct batch_header *ret)
{
    ret->crc = load_u32(p + 4);
    ret->history = load_u64(p + 8);
    ret->epoch = load_u64(p + 16);
    ret->position = load_u64(p + 24);
    ret->durable_upto = load_u64(p + 32);
    ret->time_us = load_u64(p + 40);
    ret->length = load_u64(p + 48);
    ret->records = load_u32(p + 56);
}

bool batch_header_decode(const char *p, uint64_t room, struct batch_header *ret)
{
    if (memcmp(p, BATCH_MAGIC, 4) != 0 || load_u32(p + 60) != 0) return false;
    batch_header_load(p, ret);
    /* The first comparison keeps batch_size() from wrapping around. */
    return ret->length <= room && batch_size(ret->length) <= room;
}

bool batch_is_whole(const char *p, const struct batch_header *h)
{
    return h->crc == crc32c(0, p + 8, (size_t)batch_size(h->length) - 8);
}

bool record_next(const char *records, uint64_t length, uint64_t *at, struct bytes *ret)
{
    if (length - *at < RECORD_PREFIX) return false;
    uint32_t n = load_u32(records + *at);
    if (n > length - *at - RECORD_PREFIX) return false;
    *ret = (struct bytes){records + *at + RECORD_PREFIX, n};
    *at += RECORD_PREFIX + (uint64_t)n;
    return true;
}

bool records_fill(const char *records, uint64_t length, uint32_t count)
{
    uint64_t at = 0, n = 0;
    struct bytes record;
    while (record_next(records, length, &at, &record)) n++;
    return at == length && n == count;
}

/* --- Snapshots --- */

void snapshot_header_encode(char *out, const struct snapshot_header *h)
{
    memset(out, 0, SNAPSHOT_HEADER);
    memcpy(out, snapshot_magic, sizeof(snapshot_magic));
    store_u32(out + 12, FORMAT_VERSION);
    store_u64(out + 16, h->history);
    store_u64(out + 24, h->position);
    store_u64(out + 32, h->time_us);
    store_u32(out + 40, SNAPSHOT_DBS);
    store_u32(out + 44, h->flags);
    for (int db = 0; db < SNAPSHOT_DBS; db++) {
        store_u64(out + 48 + 16 * db, h->keys[db]);
        store_u64(out + 56 + 16 * db, h->expiring[db]);
    }
    store_u32(out + 8, crc32c(0, out + 12, SNAPSHOT_HEADER - 12));
}

enum header_state snapshot_header_decode(const char *page, struct snapshot_header *ret)
{
    if (memcmp(page, snapshot_magic, sizeof(snapshot_magic)) != 0)
        return bytes_are_zero(page, SNAPSHOT_HEADER) ? HEADER_BLANK : HEADER_BAD;
    if (load_u32(page + 8) != crc32c(0, page + 12, SNAPSHOT_HEADER - 12)) return HEADER_BAD;
    ret->version = load_u32(page + 12);
    if (ret->version > FORMAT_VERSION) return HEADER_NEWER;
    ret->history = load_u64(page + 16);
    ret->position = load_u64(page + 24);
    ret->time_us = load_u64(page + 32);
    ret->flags = load_u32(page + 44);
    for (int db = 0; db < SNAPSHOT_DBS; db++) {
        ret->keys[db] = load_u64(page + 48 + 16 * db);
        ret->expiring[db] = load_u64(page + 56 + 16 * db);
    }
    return ret->version > 0 && load_u32(page + 40) == SNAPSHOT_DBS ? HEADER_VALID : HEADER_BAD;
}

void block_header_encode(char *out, struct block_header *h, struct bytes records,
                         struct bytes padding)
{
    memcpy(out, block_magic, sizeof(block_magic));
    store_u64(out + 8, h->number);
    store_u64(out + 16, h->length);
    store_u32(out + 24, h->records);
    store_u32(out + 28, h->flags);
    h->crc = crc32c(0, out + 8, BLOCK_HEADER - 8);
    h->crc = crc32c(h->crc, records.data, records.len);
    h->crc = crc32c(h->crc, padding.data, padding.len);
    store_u32(out + 4, h->crc);
}

bool block_header_decode(const char *p, uint64_t room, struct block_header *ret)
{
    if (memcmp(p, block_magic, sizeof(block_magic)) != 0) return false;
    ret->crc = load_u32(p + 4);
    ret->number = load_u64(p + 8);
    ret->length = load_u64(p + 16);
    ret->records = load_u32(p + 24);
    ret->flags = load_u32(p + 28);
    if ((ret->flags & ~(uint32_t)BLOCK_END) != 0) return false;
    if ((ret->flags & BLOCK_END) && ret->length != END_MARK) return false;
    return ret->length <= room && block_size(ret->length) <= room;
}

bool block_is_whole(const char *p, const struct block_header *h)
{
    return h->crc == crc32c(0, p + 8, (size_t)block_size(h->length) - 8);
}

void end_mark_encode(char out[END_MARK], const struct end_mark *m)
{
    store_u64(out, m->complete);
    store_u64(out + 8, m->blocks);
    store_u64(out + 16, m->records);
    store_u64(out + 24, m->bytes);
}

void end_mark_decode(const char *p, struct end_mark *ret)
{
    ret->complete = load_u64(p);
    ret->blocks = load_u64(p + 8);
    ret->records = load_u64(p + 16);
    ret->bytes = load_u64(p + 24);
}
