/* Snapshots: records that rebuild the keyspace, in one file, so that a start need not read history.
 *
 *     snapshot-00000000000000123456.snap          the digits: its position
 *     | header page | block | block | ... | end mark |
 *
 * A snapshot says: apply my records, then the journal's behind `position`, and know that only from
 * position `complete` on the outcome is a state that ever was (what was written while the snapshot
 * was made may be in it or not). So it gets its name only when it is safe on disk itself and the
 * journal is synced up to `complete`. The two newest are kept; the byte format stands in
 * docs/format.md, nothing read is trusted, and this module knows no record. */
#ifndef LEAT_LOG_SNAPSHOT_H
#define LEAT_LOG_SNAPSHOT_H

#include "base/buf.h"
#include "log/file.h"
#include "log/format.h"
#include "log/journal.h"

enum { SNAPSHOT_NAME_MAX = 48, SNAPSHOTS_KEPT = 2 };

void snapshot_name(char out[SNAPSHOT_NAME_MAX], uint64_t position);
/* False when the name is not a snapshot's. */
bool snapshot_name_parse(const char *name, uint64_t *ret_position);

/* ---- Writing: the loop's thread makes records, a thread of the writer's own brings them to disk.
 * Each function is for the one thread that began the writer. ---- */

struct snapshot_writer;

struct snapshot_options {
    const char *dir;
    const struct file_layer *files; /* NULL: the real one */
    struct snapshot_header header;  /* but for version and time */
    /* How far the journal is synced, and whether that can still grow; called on the writer's thread
     * once all is written. NULL: as far as needed. */
    uint64_t (*synced)(void *arg);
    bool (*failed)(void *arg);
    bool keep_reserve; /* set room aside for the next one, after it */
    bool in_reserve;   /* write it into the room that is set aside, see snapshot_make_reserve() */
    /* Brings to disk what the records refer to; called there as well, before the snapshot gets its
     * name. 0 or negative. NULL: they refer to nothing. */
    int (*sync)(void *arg);
    void *arg;
};

/* Starts the thread, which makes the file. Negative when there can be no thread. */
int snapshot_begin(const struct snapshot_options *options, struct snapshot_writer **ret);
/* The buffer to append exactly one record's bytes to. */
struct buf *snapshot_record(struct snapshot_writer *w);
void snapshot_record_end(struct snapshot_writer *w);
/* Instead of the end: there is nothing to record after all. */
void snapshot_record_drop(struct snapshot_writer *w);
/* Bytes that wait for the disk: the caller pauses when there are many. */
size_t snapshot_backlog(const struct snapshot_writer *w);
/* There are no more records; the journal's head is `complete`. */
void snapshot_complete(struct snapshot_writer *w, uint64_t complete);

enum snapshot_state { SNAPSHOT_WRITING, SNAPSHOT_DONE, SNAPSHOT_FAILED };
enum snapshot_state snapshot_state(const struct snapshot_writer *w);

struct snapshot_result {
    enum snapshot_state state;
    uint64_t position, complete, size, records;
    uint64_t older;  /* position of the other snapshot that is kept; 0 when there is none */
    int code;        /* negative, when it failed */
    char error[256]; /* one sentence, then */
};
/* Waits for the thread and frees. One that is not done is given up: its file is removed, and
 * *ret says SNAPSHOT_FAILED. */
void snapshot_end(struct snapshot_writer *w, struct snapshot_result *ret);

/* ---- Reading ---- */

struct snapshot_info {
    struct snapshot_header header;
    struct end_mark end;
    uint64_t size;
};

struct snapshot_reading {
    const struct file_layer *files; /* NULL: the real one */
    const char *dir;
    /* Each may be NULL; a negative result of the first two ends the reading with it. on_block() is
     * called on the caller's thread; on_header(), before it, and progress(), beside it, on one that
     * reads. */
    int (*on_header)(void *arg, const struct snapshot_header *header);
    int (*on_block)(void *arg, struct bytes records, uint32_t count);
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

/* Reads one from end to end, every block checked before it is handed on. 0; -EBADMSG when it is
 * damaged, -EPROTONOSUPPORT when of a later version, or another negative error; *ret_error then
 * says file, offset and what. */
int snapshot_read(const struct snapshot_reading *r, uint64_t position, struct snapshot_info *ret,
                  struct journal_error *ret_error);

/* Positions of the snapshots in the directory, newest first, at most `max` into ret; their number,
 * or a negative error. */
int snapshot_list(const struct file_layer *files, const char *dir, uint64_t *ret, int max);
/* Renames one that turned out to be bad, so that it does not count as one of the two, and is there
 * to be looked at: `bad-` before its name. */
int snapshot_set_aside(const struct file_layer *files, const char *dir, uint64_t position);
/* Sets room aside for one of `last_size`, or so; false when there is none. Done after each snapshot,
 * and again until it succeeds. */
bool snapshot_make_reserve(const struct file_layer *files, const char *dir, uint64_t last_size);
/* The room becomes the file `as`; negative when there is none. */
int snapshot_take_reserve(const struct file_layer *files, const char *dir, const char *as);
/* Removes what a crash left of one in the making. */
void snapshot_clean(const struct file_layer *files, const char *dir);

#endif
