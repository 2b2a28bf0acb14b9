/* Chunk files: runs of bytes that were sorted out of the journal, written once, read at random.
 *
 *     chunks-000000000001.dat
 *     | header page | chunk | chunk | ... |        a chunk: header, bytes, checksummed
 *
 * Chunks are no source of truth until a snapshot refers to them: what is in one is in the journal
 * as well until then. So nothing is synced when a chunk is written, only before a snapshot that
 * names it gets its own name (chunks_sync), and what a crash leaves unnamed is garbage.
 *
 * A file dies when nothing refers to any of its chunks (chunks_hold, chunks_release); it is removed
 * once both kept snapshots began after that (chunks_note, chunks_drop_before). A file most of which
 * is dead is to be emptied: who refers to its chunks has them moved (chunks_is_sparse, CHUNK_MOVE).
 *
 * Two threads of its own, a writer and a reader; results are taken by chunks_done(). Functions are
 * for the owner's thread but where they say otherwise. The bytes stand in docs/format.md; what a
 * chunk holds is its owner's business. */
#ifndef LEAT_LOG_CHUNKS_H
#define LEAT_LOG_CHUNKS_H

#include "base/bytes.h"
#include "log/file.h"

struct chunks;

struct chunk_ref {
    uint64_t file; /* its number, from 1; 0: no chunk */
    uint64_t offset;
    uint32_t length; /* of its bytes, without header and padding */
    uint32_t crc;
};
static inline bool chunk_ref_eq(const struct chunk_ref *a, const struct chunk_ref *b)
{
    return a->file == b->file && a->offset == b->offset && a->length == b->length &&
           a->crc == b->crc;
}

enum chunk_job_kind { CHUNK_WRITE, CHUNK_READ, CHUNK_MOVE };

/* Work for the threads. The owner keeps it, and what it points to, until chunks_done() returns it.
 */
struct chunk_job {
    struct chunk_job *next;
    enum chunk_job_kind kind;
    struct bytes parts[2]; /* WRITE: the bytes, in order */
    char *into;            /* READ: room for ref.length bytes */
    struct chunk_ref ref;  /* READ, MOVE: which; after WRITE, MOVE: where it is, held already */
    int result;            /* 0, or negative: -EBADMSG when the checksum is wrong */
    void *owner;
};

struct chunks_options {
    const char *dir;
    const struct file_layer *files; /* NULL: the real one */
    uint64_t file_bytes;            /* a file is full then; 0: the default, 256 MB */
    int wake_fd;                    /* an eventfd that is written to when a job is done; -1 */
};

/* Looks at the files there are and starts the threads; 0 or negative. */
int chunks_new(const struct chunks_options *options, struct chunks **ret);
/* Ends the threads, after what they are at; jobs not begun are done with the result -ECANCELED. */
void chunks_stop(struct chunks *c);
/* After chunks_stop(); NULL is fine. */
void chunks_free(struct chunks *c);

/* Hands a job over; any number may be under way. */
void chunks_start(struct chunks *c, struct chunk_job *job);
/* The next finished job; NULL when there is none. */
struct chunk_job *chunks_done(struct chunks *c);
/* Bytes handed over to be written that are not yet. */
uint64_t chunks_backlog(const struct chunks *c);

/* Why nothing can be written, the disk full, say; 0: nothing is wrong. It is tried again by itself.
 */
int chunks_write_error(const struct chunks *c);

/* Reads and checks a chunk in the caller's thread: 0; -EAGAIN when it would have to wait for the
 * disk and `wait` is not set; -EBADMSG for damage; or another negative error. chunks_describe()
 * says what, in words. */
int chunks_read(struct chunks *c, const struct chunk_ref *ref, char *into, bool wait);
/* One sentence: file, offset, what. For the error a job or chunks_read() ended with. */
void chunks_describe(const struct chunks *c, const struct chunk_ref *ref, int error, char *out,
                     size_t size);
/* Does the file hold so much? For references that come out of a snapshot. */
bool chunks_has(struct chunks *c, const struct chunk_ref *ref);

/* Something refers to the chunk, or does no more. Any thread. */
void chunks_hold(struct chunks *c, const struct chunk_ref *ref);
void chunks_release(struct chunks *c, const struct chunk_ref *ref);

/* Brings all that is written to disk. Any thread. 0 or negative; once it has failed it always will,
 * since nobody knows then what the disk has: the journal still has it all. */
int chunks_sync(struct chunks *c);

/* A snapshot begins at `position`, the journal's head: it refers to no file that is dead by now. */
void chunks_note(struct chunks *c, uint64_t position);
/* No kept snapshot began before `position`: removes the files that died before it. */
void chunks_drop_before(struct chunks *c, uint64_t position);
/* Is so much of this file dead that what is left should be moved? */
bool chunks_is_sparse(const struct chunks *c, uint64_t file);

struct chunks_stats {
    uint64_t files, bytes;         /* on disk */
    uint64_t live_bytes;           /* of chunks that something refers to */
    uint64_t dead_bytes;           /* that snapshots would set free */
    uint64_t written, read, moved; /* chunks, since the start */
    int write_error;               /* of the last attempt to write; 0 */
};
void chunks_stats(const struct chunks *c, struct chunks_stats *ret);

enum { CHUNK_HEADER = 32, CHUNK_FILE_HEADER = 4096, CHUNK_NAME_MAX = 40 };
void chunks_name(char out[CHUNK_NAME_MAX], uint64_t number);
bool chunks_name_parse(const char *name, uint64_t *ret_number);

/* For tools that read a whole file: the header page; then, at each offset, one chunk's header. */
struct chunk_header {
    uint32_t crc, length;
    uint64_t offset; /* where it stands, so that no other place is taken for it */
};
static inline uint64_t chunk_size(uint64_t length)
{
    return (CHUNK_HEADER + length + 7) & ~(uint64_t)7;
}
/* False when it is none. */
bool chunk_header_decode(const char *p, struct chunk_header *ret);
int chunk_file_header_check(const char *page, uint64_t number); /* 0, -EBADMSG, -EPROTONOSUPPORT */

#endif
