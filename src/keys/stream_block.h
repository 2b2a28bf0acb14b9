/* Blocks: runs of entries of one stream. For the files of streams alone.
 *
 *   entry      0        1        2        3        4
 *   wire   |xxxxxxxx|........|........|xxxxxxxx|........|
 *             gone ^start                deleted           `count
 *
 * A block is open (the tail of its stream: it grows), or closed for ever. A closed one is sealed
 * into a chunk in the background; then its bytes may leave the memory and come back. `data` is NULL
 * while they are away. What is known without them: ids of the first and last entry ever in it,
 * counts, and which are deleted. */
#ifndef LEAT_KEYS_STREAM_BLOCK_H
#define LEAT_KEYS_STREAM_BLOCK_H

#include "keys/stream.h"
#include "log/chunks.h"

enum {
    STREAM_BLOCK_BYTES = 64 << 10,    /* of entries in a block, but for a single large one */
    STREAM_BLOCK_SEAL_MIN = 16 << 10, /* a smaller one is not worth a chunk of its own */
    STREAM_BLOCK_BYTES_FIRST = 256,
};

/* The bytes of a block. Those of a closed block never change and may be shared by several blocks
 * (COPY) and a job of the chunk store; `refs` is under the store's lock. */
struct stream_block_data {
    char *raw; /* what both point into when it came from a chunk; else NULL */
    char *wire;
    uint32_t *offsets; /* where each entry begins */
    uint32_t wire_len, wire_cap, count, count_cap;
    uint32_t refs;
};

struct seal;

struct stream_block {
    struct stream_id first,
        last;         /* of all that was ever in it, see stream_set_last_id(); count > 0 */
    uint64_t ordinal; /* of entry 0 */
    uint32_t count;
    uint32_t start; /* entries before it are trimmed */
    uint32_t live;  /* neither trimmed nor deleted */
    uint32_t wire_len;
    uint64_t live_bytes;
    uint64_t *deleted; /* a bit per entry; NULL: none */
    struct stream_block_data *data;
    bool closed;

    /* The store's. */
    struct chunk_ref ref;               /* file 0: not sealed */
    struct seal *seal;                  /* being sealed or moved; NULL */
    struct load *load;                  /* being brought in; NULL */
    int error;                          /* why that failed, until it is told */
    bool cached;                        /* sealed, and its data is here */
    struct stream_block *newer, *older; /* while it is cached */
};

struct stream_block *stream_block_new(uint64_t ordinal);
/* Its data must be gone or the caller's. */
void stream_block_free(struct stream_block *b);
/* The size the entry would have. */
size_t stream_block_entry_size(struct stream_id id, const struct bytes *fields, size_t n);
/* Room for it must be had: the block is open, and empty or not full with it. */
void stream_block_append(struct stream_block *b, struct stream_id id, const struct bytes *fields,
                         size_t n, size_t size);

/* The size of `deleted`, in bytes. */
static inline size_t stream_block_deleted_bytes(const struct stream_block *b)
{
    return ((size_t)b->count + 63) / 64 * sizeof(uint64_t);
}
static inline bool stream_block_is_deleted(const struct stream_block *b, uint32_t i)
{
    return b->deleted != NULL && (b->deleted[i / 64] >> i % 64 & 1) != 0;
}
/* Not trimmed and not deleted. */
static inline bool stream_block_is_live(const struct stream_block *b, uint32_t i)
{
    return i >= b->start && i < b->count && !stream_block_is_deleted(b, i);
}
/* How many are live among [from, to). Needs no data. */
uint32_t stream_block_live_between(const struct stream_block *b, uint32_t from, uint32_t to);
/* The index of the n-th (from 0) live entry; n < live. Needs no data. */
uint32_t stream_block_nth_live(const struct stream_block *b, uint32_t n);

/* The rest needs the data. */
struct stream_id stream_block_id(const struct stream_block *b, uint32_t i);
struct bytes stream_block_wire(const struct stream_block *b, uint32_t i);
/* The bytes of [from, to). */
struct bytes stream_block_wire_run(const struct stream_block *b, uint32_t from, uint32_t to);
/* The first entry with this id or a higher one; count when there is none. Deleted and trimmed ones
 * count as well. */
uint32_t stream_block_lower_bound(const struct stream_block *b, struct stream_id id);
/* Marks as deleted; the entry is live. */
void stream_block_delete(struct stream_block *b, uint32_t i);
/* Cuts off what is before entry i. */
void stream_block_trim(struct stream_block *b, uint32_t i);

struct stream_block_data *stream_block_data_new(uint32_t wire_cap, uint32_t count_cap);
/* A chunk holds the offsets, then the wire. `raw` becomes the data's own. */
struct stream_block_data *stream_block_data_of_chunk(char *raw, uint32_t count, uint32_t wire_len);
void stream_block_data_free(struct stream_block_data *d);
size_t stream_block_data_memory(const struct stream_block_data *d);
/* Do the offsets make sense with the wire? For data from disk. */
bool stream_block_data_is_sound(const struct stream_block_data *d);

#endif
