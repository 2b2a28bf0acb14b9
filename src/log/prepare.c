/* The preparer: a thread that has the next segment ready when the current one is half full, so that
 * neither the writer nor admission waits for the making of files. What nobody needs any more it
 * makes the next ones of, or deletes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "log/journal_priv.h"

static uint64_t round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

static uint64_t next_size(const struct journal *j)
{
    const struct segment *last = j->prepared.last != NULL ? j->prepared.last : j->current;
    uint64_t size = round_up(last->size * SEGMENT_GROWTH, SEGMENT_HEADER);
    return size < j->segment_bytes ? size : j->segment_bytes;
}

/* The size that was asked for, or what would be good to have; on a full disk, less than that. */
static int prepare_one(struct journal *j, uint64_t size, uint64_t size_min, bool zero,
                       struct segment **ret)
{
    struct segment_plan plan = {.number = j->next_number,
                                .size = size,
                                .zero = zero,
                                .hurry = &j->hurry,
                                .stop = &j->stop_preparing};
    int r;
    for (;;) {
        r = segment_prepare(j->files, j->dir, &plan, ret);
        if ((r != -ENOSPC && r != -EDQUOT) || plan.size / 2 < size_min) return r;
        plan.size = round_up(plan.size / 2, SEGMENT_HEADER);
    }
}

/* The least that is worth making, with so much room behind the header. */
static uint64_t least_size(uint64_t room)
{
    uint64_t size = round_up(SEGMENT_HEADER + room, SEGMENT_HEADER);
    return size > SEGMENT_BYTES_MIN ? size : SEGMENT_BYTES_MIN;
}

bool prepare_is_hopeless(const struct journal *j, uint64_t room)
{
    return j->prepare_error != 0 && least_size(room) >= j->prepare_failed &&
           now_ms() < j->prepare_retry_ms;
}

static void note_failure(struct journal *j, int r, uint64_t size)
{
    j->prepare_error = r;
    j->prepare_failed = size;
    j->prepare_retry_ms = now_ms() + PREPARE_RETRY_MS;
    if (r == -ENOSPC || r == -EDQUOT)
        snprintf(j->prepare_text, sizeof(j->prepare_text),
                 "the disk is full: no room for a journal segment of %" PRIu64 " KB in %.150s",
                 size >> 10, j->dir);
    else
        snprintf(j->prepare_text, sizeof(j->prepare_text),
                 "the journal cannot grow: making a segment in %.120s: %s", j->dir, strerror(-r));
}

static void add_prepared(struct journal *j, struct segment *s)
{
    segment_list_push(&j->prepared, s);
    j->next_number = s->number + 1;
    j->prepare_tries++; /* whoever waits looks whether it is enough */
    j->prepare_error = 0;
    j->prepare_retry_ms = 0;
    /* It may have been begun before a larger one was asked for. */
    if (s->size >= SEGMENT_HEADER + j->need_bytes) j->need_bytes = 0;
    atomic_store(&j->hurry, j->need_bytes > 0);
}

/* With the lock held; lets go of it while it works. */
static void prepare_next(struct journal *j)
{
    uint64_t size_min = least_size(j->need_bytes);
    uint64_t size = next_size(j);
    if (size < size_min) size = size_min;
    bool zero = j->sync == JOURNAL_SYNC_ALWAYS;
    struct segment *s = NULL;

    pthread_mutex_unlock(&j->lock);
    int r = prepare_one(j, size, size_min, zero, &s);
    pthread_mutex_lock(&j->lock);
    if (r == -ECANCELED) return;

    if (r == 0) {
        add_prepared(j, s);
    } else {
        j->prepare_tries++;
        j->need_bytes = 0; /* whoever still wants it asks again */
        note_failure(j, r, size_min);
    }
    pthread_cond_broadcast(&j->progress);
}

/* Those of the usual size, as long as there are not more than are used up from one snapshot to the
 * next. A smaller one is of an early time, a larger one of a single large change. */
static bool is_worth_keeping(const struct journal *j, const struct segment *s)
{
    unsigned prepared = 0;
    for (const struct segment *p = j->prepared.first; p != NULL; p = p->next) prepared++;
    return s->size == j->segment_bytes && prepared < j->recycle_max;
}

static int recycle(struct journal *j, struct segment *s, uint64_t number)
{
    struct segment *made;
    int r = segment_recycle(j->files, j->dir, s->number, j->history, number, s->size, &made);
    pthread_mutex_lock(&j->lock);
    if (r == 0) {
        add_prepared(j, made);
        j->recycled++;
        note_size(j);
        pthread_cond_broadcast(&j->progress);
    }
    pthread_mutex_unlock(&j->lock);
    return r;
}

/* With the lock held; lets go of it while it works. */
static void recycle_or_delete(struct journal *j)
{
    struct segment *s = segment_list_pop(&j->unused);
    bool keep = is_worth_keeping(j, s);
    uint64_t number = j->next_number; /* this thread alone makes them */
    pthread_mutex_unlock(&j->lock);
    if (s->fd >= 0) j->files->close(j->files->ctx, s->fd);
    s->fd = -1;
    if (!keep || recycle(j, s, number) < 0) {
        char name[SEGMENT_NAME_MAX];
        segment_name(name, s->number);
        char *path = path_join(j->dir, name);
        j->files->unlink(j->files->ctx, path); /* were it to stay, it would do no harm */
        mem_free(path);
    }
    segment_free(j->files, s);
    pthread_mutex_lock(&j->lock);
}

static void wait_for_retry(struct journal *j, int64_t until_ms)
{
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_timedwait(&j->want, &j->lock, &at);
}

bool prepare_is_due(const struct journal *j)
{
    const struct segment *s = j->current;
    return j->prepared.first == NULL && s->size - s->used < s->size / 2;
}

void *preparer_main(void *journal)
{
    struct journal *j = journal;
    pthread_mutex_lock(&j->lock);
    while (!atomic_load(&j->stop_preparing)) {
        if (j->unused.first != NULL) recycle_or_delete(j);
        else if (j->need_bytes == 0 && !prepare_is_due(j)) pthread_cond_wait(&j->want, &j->lock);
        else if (prepare_is_hopeless(j, j->need_bytes)) wait_for_retry(j, j->prepare_retry_ms);
        else prepare_next(j);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

int prepare_first(struct journal *j, struct segment **ret)
{
    uint64_t size = j->segment_bytes < SEGMENT_BYTES_FIRST ? j->segment_bytes : SEGMENT_BYTES_FIRST;
    struct segment *s;
    int r = prepare_one(j, size, SEGMENT_BYTES_MIN, j->sync == JOURNAL_SYNC_ALWAYS, &s);
    if (r < 0) return r;
    j->next_number = s->number + 1;

    char page[SEGMENT_HEADER];
    struct segment_header h = {.history = j->history,
                               .epoch = s->number,
                               .first_position = j->written,
                               .size = s->size,
                               .time_us = wall_us()};
    segment_header_encode(page, &h);
    struct iovec iov = {page, sizeof(page)};
    r = file_write_all(j->files, s->fd, &iov, 1, 0);
    if (r == 0) r = j->files->fdatasync(j->files->ctx, s->fd);
    if (r < 0) {
        segment_free(j->files, s);
        return r;
    }
    s->used = SEGMENT_HEADER;
    s->first_position = j->written;
    *ret = s;
    return 0;
}
