/* The inside of the journal, for the files of src/log alone.
 *
 *   loop thread: gather --flush--> pending ---+
 *                                             v           current     prepared (empty, in order)
 *   syncer thread (or, unless `always`,   one batch ---> [segment] -> [segment] -> ...
 *   the loop itself in flush)                 |             ^  retired behind it until synced
 *                                             v             |
 *                                     written, synced   preparer thread makes the next ones
 *
 * Who may write to a segment holds the writer's role (`writing`), taken and given back under
 * `lock`; the write itself happens without it. Only the syncer syncs and closes. Fields stand below
 * by who may touch them. */
#ifndef LEAT_LOG_JOURNAL_PRIV_H
#define LEAT_LOG_JOURNAL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/direct.h"
#include "log/journal.h"
#include "log/segment.h"

enum {
    BATCH_UNITS_MAX = 60,       /* units in one batch; each is a part of one pwritev */
    BATCH_BYTES_MAX = 16 << 20, /* a batch stops taking further units here */
    IDLE_MARKER_MS = 100,
    EVERYSEC_MS = 1000,
    PREPARE_RETRY_MS = 200, /* after a failure, the disk full, say */
    SEGMENT_BYTES_DEFAULT = 64 << 20,
    SEGMENT_BYTES_FIRST = 4 << 20, /* a first start is quick, a small journal stays small */
    SEGMENT_GROWTH = 2,
    UNSYNCED_BYTES_DEFAULT = 64 << 20,
    RESERVE_BYTES_MAX = 1 << 20,
    SPARE_UNITS_MAX = 4,
    SPARE_UNIT_BYTES = 1 << 20,
    RECYCLED_MAX = 8, /* prepared segments, above which what is unused is deleted */
    LATENCIES = 1024, /* the newest syncs that the quantiles are taken from */
    /* What one unit may take beyond its records: header, padding, and a marker behind it. */
    UNIT_OVERHEAD = BATCH_HEADER + BATCH_ALIGN + BATCH_HEADER,
};

/* The records of one turn of the loop, framed. Never divided between two batches. */
struct unit {
    struct unit *next;
    struct buf bytes;
    uint32_t records;
};

struct segment_list {
    struct segment *first, *last;
};

struct journal {
    /* Fixed once open. */
    const struct file_layer *files;
    char *dir;
    size_t segment_bytes, unsynced_bytes_max, reserve_bytes;
    bool started; /* its threads run */
    uint64_t history;
    struct journal_options options; /* for the callbacks */
    int lock_fd, wake_fd;
    pthread_t syncer, preparer;

    /* The loop thread's own. */
    struct unit *gather; /* never NULL */
    size_t record_start; /* of the record being appended, its prefix included */
    uint64_t head;
    int64_t admit_left; /* bytes that may be appended without looking again */
    uint64_t records, replayed;
    int64_t replay_us;
    char refusal[256];

    /* The syncer's own. */
    struct direct direct;

    /* Published to the loop. */
    _Atomic uint64_t covered, synced;
    atomic_bool failed;                /* set once, after `failure` */
    atomic_bool waited_for;            /* the loop waits for a sync, see journal_is_full() */
    atomic_bool hurry, stop_preparing; /* see struct segment_plan */
    char failure[512];

    /* Under `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t work;     /* the syncer waits here */
    pthread_cond_t want;     /* the preparer waits here */
    pthread_cond_t progress; /* all others: something below has moved on */
    bool syncer_waits, stopping;
    int64_t syncer_until_ms; /* while it waits; 0: until it is called */
    enum journal_sync sync;

    struct unit *pending_first, *pending_last, *spare;
    unsigned spares;
    bool writing;          /* the writer's role is taken */
    bool marked;           /* the last batch is a marker, or there is nothing to mark */
    uint64_t written;      /* position up to which writes are complete */
    int64_t last_write_ms; /* monotonic */
    int64_t last_sync_ms;
    uint64_t wanted; /* somebody waits for a sync up to here, whatever the policy */

    struct segment *current;
    struct segment_list prepared;
    struct segment_list retired; /* full, not yet synced */
    struct segment_list kept;    /* full and synced, closed, in order */
    struct segment_list unused;  /* no more needed, or too small when prepared */
    uint64_t next_number;
    uint64_t kept_bytes, kept_segments; /* of `kept` */

    uint64_t need_bytes;      /* a segment of this much room is waited for; 0: none */
    uint64_t prepare_tries;   /* counts finished attempts */
    int64_t prepare_retry_ms; /* not before; 0 when the last attempt succeeded */
    uint64_t
        prepare_failed; /* the size that could not be had; a smaller one may be tried at once */
    int prepare_error;  /* of the last attempt; 0 */
    char prepare_text[256];

    unsigned recycle_max; /* at most so many prepared ones are useful */
    unsigned begun;       /* segments, since some were last dropped */
    uint64_t recycled;    /* since the start */

    uint64_t batches, syncs;
    int64_t sync_us_max;
    uint32_t sync_us[LATENCIES];
};

int64_t now_ms(void); /* monotonic */
int64_t now_us(void);
uint64_t wall_us(void);

/* For the metrics; after a change of what segments there are, with `lock` held. */
void note_size(struct journal *j);
/* The segment's turn is over and all of it is synced. */
void keep_segment(struct journal *j, struct segment *s);
void segment_list_push(struct segment_list *list, struct segment *s);
struct segment *segment_list_pop(struct segment_list *list);

/* --- writer.c: all with `lock` held; those marked * let go of it while they work. --- */

/* * Writes one batch of what is pending (a marker when nothing is), holding the writer's role,
 * which must be free. Covered advances here unless the policy is `always`. */
void writer_write(struct journal *j);
/* * Syncs every segment with unsynced writes. */
void writer_sync(struct journal *j);
bool writer_needs_sync(const struct journal *j);
void writer_register_metrics(void);
/* The journal has failed for good; `doing` and the segment tell what. Wakes everybody. */
void journal_fail(struct journal *j, int error, const char *doing, const struct segment *s);
/* Tells the loop that covered or failed has changed. No lock needed. */
void journal_wake(struct journal *j);

void *syncer_main(void *journal);
/* Is it asleep though there is something for it to do, now or sooner than it will look? */
bool syncer_should_wake(const struct journal *j);

/* --- room.c --- */

/* * Waits until a prepared segment has `room` bytes behind its header, drops smaller ones before it
 * and takes it out. NULL when none can be made. */
struct segment *room_take_segment(struct journal *j, uint64_t room);
/* The segment, current or prepared, in which the last of what was appended will lie; NULL: in none
 * of them. */
const struct segment *room_last_promised(const struct journal *j);

/* --- prepare.c --- */

void *preparer_main(void *journal);
/* Is the current segment so far used that another should be ready, and is none? */
bool prepare_is_due(const struct journal *j);
/* Would an attempt to make a segment of so much room be in vain, as the one just now was? */
bool prepare_is_hopeless(const struct journal *j, uint64_t room);
/* Makes the first segment of a new journal, in the caller's thread. */
int prepare_first(struct journal *j, struct segment **ret);

#endif
