/* The bytes of docs/format.md: encoding and checking of headers, without any I/O.
 *
 * Recipe for a change: raise FORMAT_VERSION, say in docs/format.md what is new and what an older
 * reader does, keep reading the versions before. */
#ifndef LEAT_LOG_FORMAT_H
#define LEAT_LOG_FORMAT_H

#include "base/bytes.h"

enum {
    FORMAT_VERSION = 2,
    SEGMENT_HEADER = 4096,
    BATCH_HEADER = 64,
    BATCH_ALIGN = 8,
    RECORD_PREFIX = 4,
    SNAPSHOT_HEADER = 4096,
    SNAPSHOT_DBS = 16,
    BLOCK_HEADER = 32,
};

enum {
    SEGMENT_RECYCLED = 1, /* behind its own batches lie those of an earlier epoch */
    SEGMENT_UNUSED = 2,   /* prepared */
};

/* A file of this name says that salvage has not made the directory whole yet. */
#define UNFINISHED_NAME "salvage.tmp"

struct segment_header {
    uint32_t version;
    uint64_t history;
    uint64_t epoch;
    uint64_t first_position;
    uint64_t size;
    uint64_t time_us;
    uint32_t flags;
};

struct batch_header {
    uint64_t history;
    uint64_t epoch;
    uint64_t position;
    uint64_t durable_upto;
    uint64_t time_us;
    uint64_t length;
    uint32_t records;
    uint32_t crc; /* of what follows it in the header, the records and the padding */
};

#define BATCH_MAGIC "LB01"

/* What a batch of `length` bytes of records takes up in the file, all in all. */
static inline uint64_t batch_size(uint64_t length)
{
    return (BATCH_HEADER + length + BATCH_ALIGN - 1) & ~(uint64_t)(BATCH_ALIGN - 1);
}

static inline uint32_t load_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static inline void store_u32(char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++) p[i] = (char)(n >> 8 * i);
}

static inline uint64_t load_u64(const char *p)
{
    return load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

static inline void store_u64(char *p, uint64_t n)
{
    store_u32(p, (uint32_t)n);
    store_u32(p + 4, (uint32_t)(n >> 32));
}

/* `out` holds SEGMENT_HEADER bytes. h->version is not looked at: always the one of this code. */
void segment_header_encode(char *out, const struct segment_header *h);

enum header_state {
    HEADER_VALID,
    HEADER_BLANK,  /* all zeros: a segment not in use yet */
    HEADER_UNUSED, /* whole, and says that the segment is not in use yet */
    HEADER_NEWER,  /* whole, of a later version: only ret->version is filled in */
    HEADER_BAD,
};
enum header_state segment_header_decode(const char *page, struct segment_header *ret);

/* Fills h->crc from the parts in order (records, then padding) and writes the header to `out`. */
void batch_header_encode(char *out, struct batch_header *h, const struct bytes *parts, int count);
/* What stands at the places of the fields, whatever it is. */
void batch_header_load(const char *p, struct batch_header *ret);
/* False when the magic is wrong, a flag is set or the length is above `room`. Does not look at what
 * follows the header: see batch_is_whole(). */
bool batch_header_decode(const char *p, uint64_t room, struct batch_header *ret);
/* Checks the checksum of a decoded batch whose batch_size(length) bytes are at p. */
bool batch_is_whole(const char *p, const struct batch_header *h);
/* The next record at *at in records[0..length); false at the end or when the framing is wrong;
 * *at == length tells the end. */
bool record_next(const char *records, uint64_t length, uint64_t *at, struct bytes *ret);

/* Are these so many records, to the last byte? */
bool records_fill(const char *records, uint64_t length, uint32_t count);

struct snapshot_header {
    uint32_t version;
    uint64_t history;
    uint64_t position; /* where the journal goes on */
    uint64_t time_us;
    uint32_t flags;
    uint64_t keys[SNAPSHOT_DBS], expiring[SNAPSHOT_DBS]; /* at the beginning: for reserving */
};

/* Flag: records up to `complete` need not fit what is there, since others before them are missing.
 */
enum { SNAPSHOT_INEXACT = 1 };

enum { BLOCK_END = 1 }; /* flag: the last block, with counts in it */

struct block_header {
    uint64_t number; /* from 0 on */
    uint64_t length; /* of the records */
    uint32_t records;
    uint32_t flags;
    uint32_t crc;
};

struct end_mark {      /* what the last block holds */
    uint64_t complete; /* the journal must reach this far */
    uint64_t blocks, records, bytes;
};
enum { END_MARK = 32 };

static inline uint64_t block_size(uint64_t length)
{
    return (BLOCK_HEADER + length + BATCH_ALIGN - 1) & ~(uint64_t)(BATCH_ALIGN - 1);
}

/* `out` holds SNAPSHOT_HEADER bytes. As for segments. */
void snapshot_header_encode(char *out, const struct snapshot_header *h);
enum header_state snapshot_header_decode(const char *page, struct snapshot_header *ret);
/* `padding` is what fills up to block_size(); at most BATCH_ALIGN - 1 zeros. */
void block_header_encode(char *out, struct block_header *h, struct bytes records,
                         struct bytes padding);
/* As for batches. */
bool block_header_decode(const char *p, uint64_t room, struct block_header *ret);
bool block_is_whole(const char *p, const struct block_header *h);
void end_mark_encode(char out[END_MARK], const struct end_mark *m);
void end_mark_decode(const char *p, struct end_mark *ret);

bool bytes_are_zero(const char *p, size_t n);

#endif
