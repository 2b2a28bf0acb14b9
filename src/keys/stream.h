/* Stream values: entries in the order of their ids, in blocks.
 *
 *   stream -> [block] [block] ... [block]           ordered by id, found by binary search
 *                |       |           `- the tail: grows, in memory
 *                |       `- full: being sealed by the store's thread, or sealed and still cached
 *                `- sealed: a chunk on disk; its bytes come back when they are asked for
 *
 * A block holds its entries as the wire wants them,
 *     *2\r\n $15\r\n1526919030474-55\r\n *4\r\n $1\r\na\r\n $1\r\n1\r\n ...
 * one behind the other, so that a range is answered by copying a run of bytes. Deleted entries are
 * marked beside the block; trimmed ones are cut off its front; neither moves a byte.
 *
 * Every entry ever added has an *ordinal*: how many were added before it. A group's lag is counted
 * from ordinals, so it is exact whatever was deleted or trimmed.
 *
 * What a function needs may be on disk only. Those that can meet that return -EAGAIN after having
 * asked the store for it (see stream_store.h): nothing has changed, the caller parks its command
 * and runs it again. What has been brought in stays at least until the next store_turn(). While
 * store->wait is set (replay, EXEC) they read at once instead and never return -EAGAIN. -EBADMSG or
 * another negative code: the chunk cannot be read; store_error() says why.
 *
 * State only: nothing here journals. One thread, but for the freeing of a stream, which may run on
 * any. */
#ifndef LEAT_KEYS_STREAM_H
#define LEAT_KEYS_STREAM_H

#include "base/buf.h"
#include "keys/keyspace.h"
#include "keys/stream_id.h"

struct stream_block; /* stream_block.h */
struct groups;       /* stream_group.h */
struct stream_idmp;  /* stream_idmp.h */
struct stream_store; /* stream_store.h */

/* What of a stream goes by itself; 0: nothing does. */
struct stream_retention {
    int64_t age_ms;
    uint64_t bytes;
    bool acknowledged; /* what every group has acknowledged */
};

struct stream {
    struct stream_store *store;   /* borrowed */
    struct stream_block **blocks; /* blocks[first .. first + count) */
    size_t first, count, cap;
    uint64_t length;     /* entries there are */
    uint64_t wire_bytes; /* of them, as they are sent */
    struct stream_id last_id, max_deleted_id;
    uint64_t entries_added; /* as XINFO says; XSETID can set it */
    uint64_t next_ordinal;  /* of the next entry; only ever grows */
    struct groups *groups;  /* NULL: none */
    struct stream_retention retention;
    uint64_t serial;          /* no other stream of this process has it, or had */
    struct stream_idmp *idmp; /* NULL: not used */
    struct stream *prev_unsealed, *next_unsealed; /* the store's */
};

/* A key of type KEY_STREAM with a zero value becomes an empty stream. */
void stream_init(struct key *k, struct stream_store *store);
static inline struct stream *stream_of(const struct key *k)
{
    return k->value.stream;
}

/* The first and the last entry there are. 0 when there is none, 1, or negative (see above). */
int stream_first(struct stream *s, struct stream_id *ret);
int stream_last(struct stream *s, struct stream_id *ret);

/* Adds an entry behind all others: id > last_id. `fields`: field, value, field ...; `n` of them, an
 * even number. */
void stream_append(struct stream *s, struct stream_id id, const struct bytes *fields, size_t n);
/* May an entry with this id be added? Whoever has the id from disk asks. Never reads. */
bool stream_can_append(const struct stream *s, struct stream_id id);
/* The next entry comes behind `id`; none that is there may be. */
void stream_set_last_id(struct stream *s, struct stream_id id);

/* Is the entry there? 1, 0 or negative. */
int stream_exists(struct stream *s, struct stream_id id);
/* Deletes the entry: 1, 0 when it is not there, or negative. Does not touch max_deleted_id. */
int stream_delete(struct stream *s, struct stream_id id);

/* ---- Trimming ---- */

struct stream_trim {
    bool by_id;         /* keep those from min_id on; else the newest `length` */
    bool approximately; /* `~`: what costs a read from disk may stay */
    uint64_t length;
    struct stream_id min_id;
    uint64_t limit; /* at most so many entries go; 0: no limit */
};
/* What a trim would do: the smallest id that is kept (all with smaller ids go) and how many go, 0
 * when none. 0, or negative. Changes nothing. */
int stream_trim_plan(struct stream *s, const struct stream_trim *t, struct stream_id *ret_keep_from,
                     uint64_t *ret_gone);
/* How many of the oldest entries make the stream larger than so many bytes. Never reads: inside a
 * block all are taken for equally long. */
uint64_t stream_count_over_bytes(const struct stream *s, uint64_t bytes);
/* Removes all entries with smaller ids; how many there were, or negative. */
int64_t stream_trim_to(struct stream *s, struct stream_id keep_from);

/* ---- Reading ---- */

struct stream_entry {
    struct stream_id id;
    uint64_t ordinal;
    struct bytes wire; /* "*2\r\n" id fields: valid until the stream changes or the next turn */
};
enum { STREAM_ENTRY_HEAD = 4 }; /* "*2\r\n": what comes behind is the id and the array of fields */

/* 1 with *ret, 0 when there is no such entry, or negative. */
int stream_find(struct stream *s, struct stream_id id, struct stream_entry *ret);

/* Walks from..to, both included, in either direction; nothing may change meanwhile. */
struct stream_iter {
    struct stream *stream;
    struct stream_id from, to;
    bool reverse;
    size_t block;   /* index, counted from stream->first */
    uint32_t entry; /* the next one in it; reverse: the one behind it */
    bool started, done;
    bool brought_in; /* the block was not in memory before */
    bool in_runs;    /* then it goes again when the walk has passed it */
};
void stream_iter_init(struct stream_iter *it, struct stream *s, struct stream_id from,
                      struct stream_id to, bool reverse);
/* 1 with *ret, 0 at the end, or negative. */
int stream_iter_next(struct stream_iter *it, struct stream_entry *ret);
/* As many entries as lie side by side, at most `max`, in one piece of bytes; forward only.
 * Their number, 0 at the end, or negative. */
struct stream_run {
    struct stream_id first, last;
    uint64_t last_ordinal;
    struct bytes wire; /* valid until the next call */
};
int64_t stream_iter_run(struct stream_iter *it, uint64_t max, struct stream_run *ret);

/* Makes sure that a walk of at most `max` entries meets nothing that has to be read from disk in
 * its first 8 MB or so: 0, or negative. Asks for all that is missing at once. */
int stream_prepare(struct stream *s, struct stream_id from, struct stream_id to, bool reverse,
                   uint64_t max);
/* How many entries there are in from..to, but no more than `max`. Or negative. Reads only where a
 * range ends inside a block. */
int64_t stream_count(struct stream *s, struct stream_id from, struct stream_id to, uint64_t max);

/* The ordinal that an entry with the next higher id than this has or would have: what a group that
 * stands at `id` has behind it. 0 with *ret, or negative. */
int stream_ordinal_after(struct stream *s, struct stream_id id, uint64_t *ret);
/* How many entries there are with this ordinal or a higher one: a lag. Never reads. */
uint64_t stream_count_from_ordinal(const struct stream *s, uint64_t ordinal);

/* What there is with this ordinal or a higher one. Never reads: the entries of a block that is away
 * are taken for equally long, and for as old as its first one. */
struct stream_rest {
    uint64_t count, bytes; /* as they are sent */
    uint64_t since_ms;     /* when the first came, by its id; 0: there is none */
};
void stream_rest(const struct stream *s, uint64_t ordinal, struct stream_rest *ret);

/* The fields of an entry, one after the other: field, value, field ... False at the end. `at` is 0
 * in the beginning. */
bool stream_entry_next(const struct stream_entry *e, size_t *at, struct bytes *ret);
/* How many fields and values there are. */
size_t stream_entry_count(const struct stream_entry *e);

/* ---- Figures ---- */

size_t stream_blocks(const struct stream *s);
void stream_bytes(const struct stream *s, uint64_t *ret_memory, uint64_t *ret_disk);

#endif
