/* INFO persistence: Redis's fields in leat's terms, then leat's own. A snapshot is what Redis calls
 * an RDB file, the journal what it calls an AOF; leat never rewrites the one, it drops segments. */
#include "broker/internal.h"

static void put(struct buf *out, const char *field, int64_t value)
{
    buf_printf(out, "%s:%lld\r\n", field, (long long)value);
}

static void put_text(struct buf *out, const char *field, const char *value)
{
    buf_printf(out, "%s:%s\r\n", field, value);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part * 100 / (double)whole;
}

static void put_loading(struct broker *b, struct buf *out)
{
    uint64_t done = atomic_load(&b->load.done), total = atomic_load(&b->load.total);
    int64_t passed_us = b->mono_us - b->load.began_us;
    int64_t eta_us =
        done == 0 ? 0 : (int64_t)((double)passed_us / (double)done * (double)(total - done));
    put(out, "loading_start_time", b->started_ms / 1000);
    put(out, "loading_total_bytes", (int64_t)total);
    put(out, "loading_loaded_bytes", (int64_t)done);
    buf_printf(out, "loading_loaded_perc:%.2f\r\n", percent(done, total));
    put(out, "loading_eta_seconds", eta_us / 1000000);
}

static void put_snapshot(struct broker *b, const struct snapshots_stats *s, struct buf *out)
{
    put(out, "current_save_keys_processed", s->in_progress ? (int64_t)s->keys_done : 0);
    put(out, "current_save_keys_total", s->in_progress ? (int64_t)s->keys_total : 0);
    put(out, "rdb_changes_since_last_save", (int64_t)(b->dirty_records - s->changes_at));
    put(out, "rdb_bgsave_in_progress", s->in_progress);
    put(out, "rdb_last_save_time", s->last_save_ms / 1000);
    put_text(out, "rdb_last_bgsave_status", s->last_ok ? "ok" : "err");
    put(out, "rdb_last_bgsave_time_sec", s->last_ms < 0 ? -1 : s->last_ms / 1000);
    put(out, "rdb_current_bgsave_time_sec", s->current_ms < 0 ? -1 : s->current_ms / 1000);
    put(out, "rdb_saves", (int64_t)s->made);
    put(out, "rdb_last_cow_size", 0);
}

static void put_aof(struct broker *b, const struct journal_stats *j, struct buf *out)
{
    put(out, "aof_enabled", 1);
    put(out, "aof_rewrite_in_progress", 0);
    put(out, "aof_rewrite_scheduled", 0);
    put(out, "aof_last_rewrite_time_sec", -1);
    put(out, "aof_current_rewrite_time_sec", -1);
    put_text(out, "aof_last_bgrewrite_status", "ok");
    put_text(out, "aof_last_write_status", journal_failure(b->journal) ? "err" : "ok");
    put(out, "aof_current_size", (int64_t)j->bytes);
    put(out, "aof_pending_bio_fsync", j->pending_sync);
}

static void put_journal(struct broker *b, const struct journal_stats *j, struct buf *out)
{
    static const char *const policies[] = {"always", "everysec", "no"};
    put_text(out, "journal_sync", policies[b->settings.sync]);
    put(out, "journal_bytes", (int64_t)j->bytes);
    put(out, "journal_segments", (int64_t)j->segments);
    put(out, "journal_first_position", (int64_t)j->first_position);
    put(out, "journal_position", (int64_t)journal_head(b->journal));
    put(out, "journal_synced_position", (int64_t)journal_synced(b->journal));
    put(out, "journal_unsynced_bytes", (int64_t)j->unsynced_bytes);
    put(out, "journal_unsynced_bytes_max", (int64_t)j->unsynced_bytes_max);
    put(out, "journal_prepared_segments", (int64_t)j->prepared);
    put(out, "journal_prepared_bytes", (int64_t)j->prepared_bytes);
    put(out, "journal_recycled_segments", (int64_t)j->recycled);
    put(out, "journal_batches", (int64_t)j->batches);
    put(out, "journal_records", (int64_t)j->records);
    buf_printf(out, "journal_records_per_batch:%.2f\r\n",
               j->batches ? (double)j->records / (double)j->batches : 0);
    put(out, "journal_sync_us_p50", j->sync_us_p50);
    put(out, "journal_sync_us_p99", j->sync_us_p99);
    put(out, "journal_sync_us_max", j->sync_us_max);
}

static void put_own(struct broker *b, const struct snapshots_stats *s,
                    const struct journal_stats *j, struct buf *out)
{
    const struct load *l = &b->load;
    put(out, "snapshot_position", (int64_t)s->position);
    put(out, "snapshot_bytes", (int64_t)s->size);
    put(out, "snapshot_last_ms", s->last_ms);
    put(out, "snapshot_walk_ms", s->walk_us / 1000);
    put(out, "snapshot_slice_us_max", s->slice_us_max);
    put_text(out, "snapshot_last_error", s->error);
    put(out, "log_bytes", (int64_t)(j->bytes + s->size));
    /* What a snapshot takes is what is alive of it; the rest is history. */
    buf_printf(out, "log_live_percent:%.2f\r\n", percent(s->size, j->bytes + s->size));
    put(out, "recovery_ms", l->snapshot_ms + l->journal_ms);
    put(out, "recovery_snapshot_ms", l->snapshot_ms);
    put(out, "recovery_snapshot_records", (int64_t)l->snapshot_records);
    put(out, "recovery_journal_ms", l->journal_ms);
    put(out, "recovery_journal_records", (int64_t)l->journal_records);
    put(out, "recovery_bad_snapshots", l->fallbacks);
}

void broker_info_persistence(struct broker *b, struct buf *out)
{
    struct snapshots_stats s;
    struct journal_stats j = {0};
    snapshots_stats(b, &s);
    put(out, "loading", b->loading);
    put(out, "async_loading", 0);
    if (!b->loading) journal_stats(b->journal, &j);
    put_snapshot(b, &s, out);
    put_aof(b, &j, out);
    if (b->loading) {
        put_loading(b, out);
        return;
    }
    put_journal(b, &j, out);
    put_own(b, &s, &j, out);
    broker_info_streams(b, out);
}
