/* Looking at a directory without changing it: every segment, batch, snapshot and block, past any
 * damage. What is found wrong is listed; what is whole is indexed, for salvage.h.
 *
 * Recipe for a kind of file more: a `struct seen_...` and its array here; a line in note_name() and
 * in survey() (inspect.c); an inspect_KIND.c with what is in one such file, called by
 * inspect_dir(); what it must be to the others, beside check_snapshots(); in salvage_copy.c its
 * copying, and in salvage.c a part of tell_what_is_left(). What is whole must be told from the file
 * alone. */
#ifndef LEAT_LOG_INSPECT_H
#define LEAT_LOG_INSPECT_H

#include "log/chunks.h"
#include "log/segment.h"
#include "log/snapshot.h"

enum finding_kind {
    FINDING_DAMAGE, /* something that was safe is not there as it was */
    FINDING_STRAY,  /* bytes where there should be none; nothing is lost by them */
    FINDING_TORN,   /* the end of a write that a crash cut short: the next start cuts it off */
};
const char *finding_kind_name(enum finding_kind kind);

struct finding {
    enum finding_kind kind;
    char file[64];           /* its name in the directory */
    uint64_t offset, length; /* length 0: from there on, or not known */
    bool unreadable;         /* not wrong, but the disk does not give it */
    char what[200];
};

struct seen_segment {
    uint64_t number, size; /* of the file */
    enum header_state state;
    struct segment_header header; /* when valid */
    uint64_t end;                 /* behind its last whole batch */
    uint64_t nonzero_end;         /* behind the last byte after that which is not zero, or below */
};

struct seen_batch {
    size_t segment; /* index */
    uint64_t offset, position, length, durable_upto, time_us;
    uint32_t records;
};

struct seen_snapshot {
    uint64_t position, size;
    bool whole;
    uint64_t whole_blocks; /* but for the end mark */
    enum header_state state;
    struct snapshot_header header; /* when valid */
    struct end_mark end;           /* when whole */
};

struct seen_chunk_file {
    uint64_t number, size;
};

/* A chunk that a snapshot refers to. */
struct seen_ref {
    struct chunk_ref ref;
    size_t snapshot; /* index */
    bool whole;
};

struct inspection {
    const struct file_layer *files;
    const char *dir;
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
    void *arg;
    /* The chunk that a snapshot's record refers to, or false: records are not this layer's. NULL:
     * chunks are not looked at. */
    bool (*chunk_ref)(struct bytes record, struct chunk_ref *ret);

    int lock_fd; /* while it lasts, no server can start in the directory; -1: there is no lock */
    struct finding *findings;
    size_t finding_count, finding_cap;
    struct seen_segment *segments; /* by number */
    size_t segment_count;
    struct seen_batch *batches; /* whole ones, as they lie in the segments */
    size_t batch_count, batch_cap;
    struct seen_snapshot *snapshots; /* newest first */
    size_t snapshot_count;
    struct seen_chunk_file *chunk_files;
    size_t chunk_file_count;
    struct seen_ref *refs; /* by file and offset */
    size_t ref_count, ref_cap;
    uint64_t history;
    uint64_t records, end; /* of all whole batches; where the journal ends */
    uint64_t done, total;  /* bytes read */
    struct buf window;
};

/* `files` NULL: the real layer. Strings are borrowed until the end. */
void inspect_init(struct inspection *in, const struct file_layer *files, const char *dir);
void inspect_fini(struct inspection *in);
/* 0; or negative when the directory cannot be looked at: -EBUSY when a server uses it, -ENOENT when
 * it is not there or no data directory, or another error; *ret_error says it in words. */
int inspect_dir(struct inspection *in, struct journal_error *ret_error);
size_t inspect_count(const struct inspection *in, enum finding_kind kind);

/* For the files of this module. */
void inspect_note(struct inspection *in, enum finding_kind kind, const char *file, uint64_t offset,
                  uint64_t length, const char *format, ...) __attribute__((format(printf, 6, 7)));
void inspect_tell(struct inspection *in, uint64_t bytes);
/* For what cannot be read: a note that grows by READER_UNREADABLE when it follows upon itself.
 * Returns the offset to go on from. */
uint64_t inspect_note_unreadable(struct inspection *in, const char *file, uint64_t offset,
                                 int error);
int inspect_open(struct inspection *in, const char *name);
void inspect_snapshot(struct inspection *in, struct seen_snapshot *s);
void inspect_segment(struct inspection *in, size_t index);
void inspect_note_ref(struct inspection *in, const struct seen_snapshot *s, struct bytes record);
/* Once all snapshots are inspected. */
void inspect_chunks(struct inspection *in);
/* Once all segments are inspected: what they say together. */
void inspect_chain(struct inspection *in);
/* The position at which the journal on disk begins. */
uint64_t inspect_first_position(const struct inspection *in);

#endif
