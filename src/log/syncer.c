/* The syncer: a thread that writes what is pending (unless the loop did so itself in flush), syncs
 * as the policy says, marks an idle journal, and wakes the loop.
 *
 *   always     each batch is synced before it counts as covered; the next one gathers meanwhile
 *   everysec   one sync a second while there is something to sync
 *   no         only segments that are full, what somebody asked for, and everything at the end
 *
 * Under both, half of the bytes that may be without a sync begin one, so that a writer has to wait
 * for the disk only where it is faster than that. */
#include <time.h>

#include "log/journal_priv.h"

/* When the thread has to look again by itself; 0: only when it is called. */
static int64_t sync_due_ms(const struct journal *j)
{
    if (!writer_needs_sync(j)) return 0;
    if (j->stopping || j->sync == JOURNAL_SYNC_ALWAYS || j->retired.first != NULL) return 1;
    if (j->written - atomic_load(&j->synced) > j->unsynced_bytes_max / 2) return 1;
    if (j->sync == JOURNAL_SYNC_EVERYSEC) return j->last_sync_ms + EVERYSEC_MS;
    return j->wanted > atomic_load(&j->synced) ? 1 : 0;
}

/* A marker says that everything before it is synced, so there is none while something is not; but
 * under `no` nothing is claimed before the end. */
static int64_t marker_due_ms(const struct journal *j)
{
    bool has_place = j->current->size - j->current->used >= BATCH_HEADER;
    if (j->marked || j->writing || writer_needs_sync(j) || !has_place) return 0;
    if (j->stopping) return 1;
    return j->sync == JOURNAL_SYNC_NO ? 0 : j->last_write_ms + IDLE_MARKER_MS;
}

static bool is_due(int64_t due_ms)
{
    return due_ms > 0 && now_ms() >= due_ms;
}

/* The loop is told without the lock, which it would want at once. */
static void tell_loop(struct journal *j, uint64_t covered_before)
{
    bool waited_for = atomic_exchange(&j->waited_for, false);
    if (atomic_load(&j->covered) == covered_before && !waited_for) return;
    pthread_mutex_unlock(&j->lock);
    journal_wake(j);
    pthread_mutex_lock(&j->lock);
}

/* True when there was something to do. */
static bool step(struct journal *j)
{
    uint64_t covered = atomic_load(&j->covered);
    if (j->pending_first != NULL && !j->writing) {
        writer_write(j);
        /* At once, and not one write further: the rest is the next batch. */
        if (j->sync == JOURNAL_SYNC_ALWAYS && !atomic_load(&j->failed)) writer_sync(j);
    } else if (is_due(sync_due_ms(j))) {
        writer_sync(j);
    } else if (is_due(marker_due_ms(j))) {
        writer_write(j);
        if (!atomic_load(&j->failed)) writer_sync(j);
    } else {
        return false;
    }
    tell_loop(j, covered);
    return true;
}

/* The sooner of the two; 0 when there is neither. */
static int64_t due_ms(const struct journal *j)
{
    int64_t sync_at = sync_due_ms(j), marker_at = marker_due_ms(j);
    if (sync_at == 0) return marker_at;
    return marker_at > 0 && marker_at < sync_at ? marker_at : sync_at;
}

bool syncer_should_wake(const struct journal *j)
{
    if (!j->syncer_waits) return false;
    if (j->pending_first != NULL) return true;
    int64_t at_ms = due_ms(j);
    return at_ms > 0 && (j->syncer_until_ms == 0 || at_ms < j->syncer_until_ms);
}

static void wait_for_work(struct journal *j)
{
    j->syncer_until_ms = due_ms(j);
    j->syncer_waits = true;
    if (j->syncer_until_ms == 0) {
        pthread_cond_wait(&j->work, &j->lock);
    } else {
        struct timespec at = {.tv_sec = j->syncer_until_ms / 1000,
                              .tv_nsec = j->syncer_until_ms % 1000 * 1000000};
        pthread_cond_timedwait(&j->work, &j->lock, &at);
    }
    j->syncer_waits = false;
}

void *syncer_main(void *journal)
{
    struct journal *j = journal;
    pthread_mutex_lock(&j->lock);
    while (!atomic_load(&j->failed)) {
        if (step(j)) continue;
        if (j->stopping && !j->writing) break;
        wait_for_work(j);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}
