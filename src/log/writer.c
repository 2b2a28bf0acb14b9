/* One batch at a time to the current segment, and the syncs.
 *
 * Whoever calls holds the lock; it is let go during the system calls. The place of a batch in its
 * segment is taken before the write begins, so that room.c always knows what is left. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"
#include "log/journal_priv.h"

static struct metric batches_total = {.name = "leat_journal_batches_total",
                                      .help = "Batches written to the journal.",
                                      .kind = METRIC_COUNTER};
static struct metric records_total = {.name = "leat_journal_records_total",
                                      .help = "Records written to the journal.",
                                      .kind = METRIC_COUNTER};
static struct metric bytes_total = {.name = "leat_journal_bytes_total",
                                    .help = "Bytes of records written to the journal.",
                                    .kind = METRIC_COUNTER};
static struct metric sync_seconds = {.name = "leat_journal_sync_seconds",
                                     .help = "Time that syncs of the journal take.",
                                     .kind = METRIC_HISTOGRAM_US};
static struct metric sync_max_us = {.name = "leat_journal_sync_max_microseconds",
                                    .help = "The longest of them.",
                                    .kind = METRIC_GAUGE};
static struct metric recycled_total = {.name = "leat_journal_recycled_segments_total",
                                       .help = "Segments used again instead of deleted.",
                                       .kind = METRIC_COUNTER};
static struct metric size_bytes = {.name = "leat_journal_size_bytes",
                                   .help = "Size of the segments in use.",
                                   .kind = METRIC_GAUGE};

/* A batch on its way to the disk. */
struct batch {
    struct unit *units; /* in order; NULL for a marker */
    struct segment *segment;
    bool opens_segment; /* the segment's header goes with it */
    uint64_t offset;    /* in the file, of the segment's header where that goes along */
    struct batch_header header;
    bool durable; /* to be written so that it needs no sync; false again where that failed to be */
    int64_t took_us; /* if so */
};

void segment_list_push(struct segment_list *list, struct segment *s)
{
    s->next = NULL;
    if (list->last != NULL) list->last->next = s;
    else list->first = s;
    list->last = s;
}

void keep_segment(struct journal *j, struct segment *s)
{
    if (s->fd >= 0) j->files->close(j->files->ctx, s->fd);
    s->fd = -1;
    direct_leave(&j->direct, j->files, s);
    j->kept_bytes += s->size;
    j->kept_segments++;
    segment_list_push(&j->kept, s);
}

struct segment *segment_list_pop(struct segment_list *list)
{
    struct segment *s = list->first;
    if (s == NULL) return NULL;
    list->first = s->next;
    if (list->first == NULL) list->last = NULL;
    s->next = NULL;
    return s;
}

void note_size(struct journal *j)
{
    uint64_t bytes = j->kept_bytes + j->current->size;
    for (const struct segment *s = j->retired.first; s != NULL; s = s->next) bytes += s->size;
    metric_set(&size_bytes, (int64_t)bytes);
    metric_set(&recycled_total, (int64_t)j->recycled);
}

void journal_wake(struct journal *j)
{
    uint64_t one = 1;
    /* Fails only when the counter is about to overflow; then it is readable anyway. */
    ssize_t r = write(j->wake_fd, &one, sizeof(one));
    (void)r;
}

void journal_fail(struct journal *j, int error, const char *doing, const struct segment *s)
{
    if (!atomic_load(&j->failed)) {
        char name[SEGMENT_NAME_MAX] = "its next segment";
        if (s != NULL) segment_name(name, s->number);
        snprintf(j->failure, sizeof(j->failure), "%s %s in %s failed: %s", doing, name, j->dir,
                 strerror(-error));
        atomic_store(&j->failed, true);
    }
    pthread_cond_broadcast(&j->work);
    pthread_cond_broadcast(&j->progress);
    journal_wake(j);
}

/* Is there room for a batch of so many bytes, and for a marker behind it? */
static bool fits(const struct segment *s, uint64_t size)
{
    return s->used + size + BATCH_HEADER <= s->size;
}

/* Goes on to a segment that holds `size` bytes. False when there is none: the journal has failed.
 */
static bool roll(struct journal *j, uint64_t size)
{
    struct segment *next = room_take_segment(j, size + BATCH_HEADER);
    if (next == NULL) {
        journal_fail(j, j->prepare_error, "making", NULL);
        return false;
    }
    segment_list_push(&j->retired, j->current);
    j->begun++;
    next->used = SEGMENT_HEADER;
    next->first_position = j->written;
    j->current = next;
    note_size(j);
    return true;
}

/* Takes as many pending units as the segment and the bounds allow, at least one. */
static void take_units(struct journal *j, struct batch *b)
{
    uint64_t length = 0, records = 0;
    int count = 0;
    struct unit *last = NULL;
    for (struct unit *u = j->pending_first; u != NULL; last = u, u = u->next, count++) {
        uint64_t with = length + u->bytes.len;
        if (count > 0 && (count == BATCH_UNITS_MAX || with > BATCH_BYTES_MAX ||
                          records + u->records > UINT32_MAX || !fits(j->current, batch_size(with))))
            break;
        length = with;
        records += u->records;
    }
    must(last != NULL); /* the first unit is taken whatever its size */
    b->units = j->pending_first;
    j->pending_first = last->next;
    if (j->pending_first == NULL) j->pending_last = NULL;
    last->next = NULL;
    b->header.length = length;
    b->header.records = (uint32_t)records;
}

/* Decides what the next batch is and where it goes. */
static bool begin_batch(struct journal *j, struct batch *b)
{
    uint64_t least = batch_size(j->pending_first != NULL ? j->pending_first->bytes.len : 0);
    bool rolled = false;
    /* A marker has its place: the syncer looks, and fits() keeps it free. */
    if (j->pending_first != NULL && !fits(j->current, least)) {
        if (!roll(j, least)) return false;
        rolled = true;
    }
    *b = (struct batch){.segment = j->current, .opens_segment = rolled};
    if (j->pending_first != NULL) take_units(j, b);
    b->offset = rolled ? 0 : j->current->used;
    b->durable = j->sync == JOURNAL_SYNC_ALWAYS && !j->current->dirty;
    b->header.history = j->history;
    b->header.epoch = j->current->number;
    b->header.position = j->written;
    b->header.durable_upto = atomic_load(&j->synced);
    j->current->used += batch_size(b->header.length);
    must(j->current->used <= j->current->size);
    if (prepare_is_due(j)) pthread_cond_signal(&j->want);
    return true;
}

/* Around the page cache where that can be done. */
static int write_durable(struct journal *j, struct batch *b, struct iovec *iov, int count)
{
    int64_t began = now_us();
    int r = direct_write(&j->direct, j->files, j->dir, b->segment, iov, count, b->offset);
    b->durable = r == 0;
    b->took_us = now_us() - began;
    return r <= 0 ? r : file_write_all(j->files, b->segment->fd, iov, count, b->offset);
}

static int write_batch(struct journal *j, struct batch *b)
{
    static const char zeros[BATCH_ALIGN];
    char page[SEGMENT_HEADER], head[BATCH_HEADER];
    struct bytes parts[BATCH_UNITS_MAX + 1];
    struct iovec iov[BATCH_UNITS_MAX + 3];
    int count = 0, vecs = 0;

    for (struct unit *u = b->units; u != NULL; u = u->next) parts[count++] = buf_bytes(&u->bytes);
    size_t padding = (size_t)(batch_size(b->header.length) - BATCH_HEADER - b->header.length);
    parts[count++] = (struct bytes){zeros, padding};
    b->header.time_us = wall_us();
    batch_header_encode(head, &b->header, parts, count);

    if (b->opens_segment) {
        struct segment_header h = {.history = j->history,
                                   .epoch = b->segment->number,
                                   .first_position = b->header.position,
                                   .size = b->segment->size,
                                   .time_us = b->header.time_us,
                                   .flags = b->segment->recycled ? SEGMENT_RECYCLED : 0};
        segment_header_encode(page, &h);
        iov[vecs++] = (struct iovec){page, sizeof(page)};
    }
    iov[vecs++] = (struct iovec){head, sizeof(head)};
    for (int i = 0; i < count; i++) {
        if (parts[i].len > 0) iov[vecs++] = (struct iovec){(void *)parts[i].data, parts[i].len};
    }
    return b->durable ? write_durable(j, b, iov, vecs)
                      : file_write_all(j->files, b->segment->fd, iov, vecs, b->offset);
}

/* Keeps a few: one is gathered into while others are written. */
static void recycle_units(struct journal *j, struct unit *u)
{
    while (u != NULL) {
        struct unit *next = u->next;
        if (j->spares < SPARE_UNITS_MAX) {
            u->records = 0;
            u->bytes.len = 0;
            buf_shrink(&u->bytes, SPARE_UNIT_BYTES);
            u->next = j->spare;
            j->spare = u;
            j->spares++;
        } else {
            buf_fini(&u->bytes);
            mem_free(u);
        }
        u = next;
    }
}

static void note_latency(struct journal *j, int64_t us)
{
    j->sync_us[j->syncs++ % LATENCIES] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    if (us > j->sync_us_max) j->sync_us_max = us;
    metric_set(&sync_max_us, j->sync_us_max);
    metric_observe_us(&sync_seconds, us);
}

void writer_write(struct journal *j)
{
    struct batch b;
    must(!j->writing);
    j->writing = true;
    bool begun = begin_batch(j, &b);
    if (begun) {
        pthread_mutex_unlock(&j->lock);
        int r = write_batch(j, &b);
        pthread_mutex_lock(&j->lock);
        if (b.durable) note_latency(j, b.took_us);
        else b.segment->dirty = true;
        if (r < 0) {
            journal_fail(j, r, "writing to", b.segment);
        } else {
            j->written += b.header.length;
            j->marked = b.units == NULL;
            j->last_write_ms = now_ms();
            j->batches++;
            if (j->sync != JOURNAL_SYNC_ALWAYS) atomic_store(&j->covered, j->written);
        }
        recycle_units(j, b.units);
        metric_add(&batches_total, 1);
        metric_add(&records_total, b.header.records);
        metric_add(&bytes_total, (int64_t)b.header.length);
    }
    j->writing = false;
    pthread_cond_broadcast(&j->progress);
}

bool writer_needs_sync(const struct journal *j)
{
    return j->current->dirty || j->retired.first != NULL;
}

/* Syncs one segment without the lock; `dirty` is lowered first, so that a write that completes
 * meanwhile raises it again. */
static int sync_segment(struct journal *j, struct segment *s)
{
    if (!s->dirty) return 0;
    s->dirty = false;
    pthread_mutex_unlock(&j->lock);
    int64_t began = now_us();
    int r = j->files->fdatasync(j->files->ctx, s->fd);
    int64_t took = now_us() - began;
    pthread_mutex_lock(&j->lock);
    note_latency(j, took);
    if (r < 0) journal_fail(j, r, "syncing", s);
    return r;
}

/* How far the completed writes to a segment reach. */
static uint64_t end_of(const struct journal *j, const struct segment *s)
{
    if (s == j->current) return j->written;
    return s->next != NULL ? s->next->first_position : j->current->first_position;
}

void writer_sync(struct journal *j)
{
    struct segment *current = j->current;
    while (j->retired.first != NULL && j->retired.first != current) {
        /* Only this thread takes segments out of the list. */
        struct segment *s = j->retired.first;
        if (sync_segment(j, s) < 0) return;
        if (s->dirty) continue; /* its last write completed meanwhile */
        segment_list_pop(&j->retired);
        keep_segment(j, s);
    }
    /* All before `current` is synced by now. What was written to it while that took is covered by
     * the sync that begins here: were it not counted, nothing would be left that asks for another.
     */
    uint64_t target = end_of(j, current);
    if (sync_segment(j, current) < 0) return;
    if (target > atomic_load(&j->synced)) atomic_store(&j->synced, target);
    if (j->sync == JOURNAL_SYNC_ALWAYS && target > atomic_load(&j->covered))
        atomic_store(&j->covered, target);
    j->last_sync_ms = now_ms();
    pthread_cond_broadcast(&j->progress);
}

void writer_register_metrics(void)
{
    metrics_register(&batches_total);
    metrics_register(&records_total);
    metrics_register(&bytes_total);
    metrics_register(&sync_seconds);
    metrics_register(&sync_max_us);
    metrics_register(&recycled_total);
    metrics_register(&size_bytes);
}
