/* Where the entries of all streams are: how much of them is in memory, what goes to chunks on disk
 * and what comes back from there.
 *
 *   open blocks --closed--> being sealed --written--> cached --evicted--> on disk alone
 *                                                        ^------loaded------'
 *
 * The bytes in memory are bounded: open blocks (the tails of the streams, from 16 KB on) are closed
 * and sealed when together they are more than half of the bound; of the sealed ones the least
 * recently used leave the memory. Streams whose tails are smaller stay in memory as other keys do.
 *
 * One thread, but for store_forget() and store_forget_tail(), which are called on whatever thread
 * frees a stream. */
#ifndef LEAT_KEYS_STREAM_STORE_H
#define LEAT_KEYS_STREAM_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/chunks.h"

struct stream_block; /* keys/stream_block.h */
struct stream;

#define STREAM_MEMORY_DEFAULT (UINT64_C(32) << 20)

struct stream_store {
    struct chunks *chunks; /* borrowed; NULL: everything stays in memory */
    bool wait;             /* read from disk at once instead of -EAGAIN */
    uint64_t memory_max;
    uint64_t serial; /* of the last stream made */
    uint64_t loads;  /* finished so far: those who wait for one look again when it has grown */

    pthread_mutex_t lock; /* of what follows, and of the links in blocks and streams */
    struct stream_block *newest, *oldest;          /* cached */
    struct stream *first_unsealed, *last_unsealed; /* their tails are worth a chunk */
    /* What open blocks have grown by since the last turn: not in open_bytes yet, which may have
     * wrapped round below zero until then. */
    uint64_t grown;
    _Atomic uint64_t open_bytes, sealing_bytes, cached_bytes;
    char error[256];
};

void stream_store_init(struct stream_store *store);
/* All streams are gone by then, and so are the threads of `chunks`. */
void stream_store_fini(struct stream_store *store);

/* Once per turn of the loop, when nobody holds pointers into entries: takes what the threads have
 * finished, seals and evicts. */
void stream_store_turn(struct stream_store *store);
/* More waits to be written than should, and is being written: stop reading from writers. */
bool stream_store_is_full(const struct stream_store *store);
/* So much waits that no entry should be added: the error it cannot be written for; else 0. */
int stream_store_refusal(const struct stream_store *store);
/* Once the threads of `chunks` have been stopped: takes back what they had. */
void stream_store_end(struct stream_store *store);
/* Why the last read from disk failed, in a sentence. */
const char *stream_store_error(const struct stream_store *store);

struct stream_store_stats {
    uint64_t open_bytes, sealing_bytes, cached_bytes, loads;
};
void stream_store_stats(const struct stream_store *store, struct stream_store_stats *ret);

/* ---- For stream.c and its siblings ---- */

/* The block's data is here: 0; or negative, -EAGAIN when it is being fetched. */
int store_get(struct stream_store *store, struct stream_block *b);
/* Fetches it in the background if it is away. */
void store_fetch(struct stream_store *store, struct stream_block *b);
/* The tail of `s` has grown by so many bytes. */
void store_grown(struct stream_store *store, struct stream *s, struct stream_block *tail,
                 size_t bytes);
/* Closes the tail, which holds something, and has it sealed. */
void store_close(struct stream_store *store, struct stream *s, struct stream_block *tail);
/* A block that is sealed already, out of a snapshot. False when the chunk cannot be there. */
bool store_adopt(struct stream_store *store, struct stream_block *b, const struct chunk_ref *ref);
/* A closed block for another stream with the same bytes. */
struct stream_block *store_share(struct stream_store *store, struct stream_block *b);
/* Lets go of everything about the block, and frees it. Any thread. */
void store_forget(struct stream_store *store, struct stream_block *b);
void store_forget_tail(struct stream_store *store, struct stream *s);
/* Moves the chunk elsewhere when the file it is in is mostly dead. */
void store_tidy(struct stream_store *store, struct stream_block *b);
/* Drops the data of a sealed block if memory is short; for those who pass through once. */
void store_passed(struct stream_store *store, struct stream_block *b);

#endif
