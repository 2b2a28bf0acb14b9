/* Figures of a running journal. */
#include <stdlib.h>

#include "log/journal_priv.h"

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t bytes_in(const struct segment_list *list, uint64_t *count)
{
    uint64_t bytes = 0;
    for (const struct segment *s = list->first; s != NULL; s = s->next, ++*count) bytes += s->size;
    return bytes;
}

void journal_stats(struct journal *j, struct journal_stats *ret)
{
    uint32_t us[LATENCIES];
    *ret = (struct journal_stats){
        .records = j->records, .replayed = j->replayed, .replay_us = j->replay_us};

    pthread_mutex_lock(&j->lock);
    size_t n = j->syncs < LATENCIES ? (size_t)j->syncs : LATENCIES;
    memcpy(us, j->sync_us, n * sizeof(us[0]));
    ret->segments = j->kept_segments + 1;
    ret->bytes = j->kept_bytes + j->current->size + bytes_in(&j->retired, &ret->segments);
    ret->first_position = j->kept.first != NULL      ? j->kept.first->first_position
                          : j->retired.first != NULL ? j->retired.first->first_position
                                                     : j->current->first_position;
    ret->batches = j->batches;
    ret->unsynced_bytes = j->head - atomic_load(&j->synced);
    ret->unsynced_bytes_max = j->unsynced_bytes_max;
    ret->prepared_bytes = bytes_in(&j->prepared, &ret->prepared);
    ret->recycled = j->recycled;
    ret->sync_us_max = j->sync_us_max;
    /* While one is under way, too. */
    ret->pending_sync = j->writing || writer_needs_sync(j) || j->pending_first != NULL ||
                        j->written > atomic_load(&j->synced);
    pthread_mutex_unlock(&j->lock);

    if (n == 0) return;
    qsort(us, n, sizeof(us[0]), by_value);
    ret->sync_us_p50 = us[n / 2];
    ret->sync_us_p99 = us[n * 99 / 100];
}
