/* How streams lie in memory and on disk, in INFO persistence and as metrics. */
#include "base/metrics.h"
#include "broker/internal.h"
#include "keys/stream_store.h"
#include "log/chunks.h"

enum figure {
    OPEN,
    SEALING,
    CACHED,
    MEMORY_MAX,
    LOADS,
    FILES,
    BYTES,
    LIVE,
    DEAD,
    WRITTEN,
    READ,
    MOVED,
    FAILS,
    FIGURES,
};

static struct metric metrics[FIGURES] = {
    [OPEN] =
        GAUGE("leat_stream_open_bytes", "Entries in blocks that are not closed yet, in memory."),
    [SEALING] =
        GAUGE("leat_stream_sealing_bytes", "Entries that wait to be written to chunk files."),
    [CACHED] =
        GAUGE("leat_stream_cached_bytes", "Entries in memory that are in chunk files as well."),
    [MEMORY_MAX] = GAUGE("leat_stream_memory_max_bytes",
                         "What open and cached ones may take (stream-memory)."),
    [LOADS] = COUNTER("leat_stream_loads_total", "Blocks that a command had to wait for."),
    [FILES] = GAUGE("leat_chunk_files", "Files of stream entries."),
    [BYTES] = GAUGE("leat_chunk_bytes", "Their size."),
    [LIVE] = GAUGE("leat_chunk_live_bytes", "Of that, what streams refer to."),
    [DEAD] = GAUGE("leat_chunk_dead_bytes", "Of that, what the next snapshots give back."),
    [WRITTEN] = COUNTER("leat_chunks_written_total", "Blocks written to chunk files."),
    [READ] = COUNTER("leat_chunks_read_total", "Blocks read back by the reader's thread."),
    [MOVED] = COUNTER("leat_chunks_moved_total", "Blocks moved out of files that are mostly dead."),
    [FAILS] = GAUGE("leat_chunk_write_failing", "1 while chunk files cannot be written."),
};

static const char *const fields[FIGURES] = {
    [OPEN] = "stream_open_bytes",     [SEALING] = "stream_sealing_bytes",
    [CACHED] = "stream_cached_bytes", [MEMORY_MAX] = "stream_memory_max",
    [LOADS] = "stream_loads",         [FILES] = "chunk_files",
    [BYTES] = "chunk_bytes",          [LIVE] = "chunk_live_bytes",
    [DEAD] = "chunk_dead_bytes",      [WRITTEN] = "chunks_written",
    [READ] = "chunks_read",           [MOVED] = "chunks_moved",
    [FAILS] = "chunk_write_failing",
};

static void gather(const struct broker *b, int64_t ret[FIGURES])
{
    struct stream_store_stats s;
    struct chunks_stats c;
    stream_store_stats(b->streams, &s);
    chunks_stats(b->chunks, &c);
    const int64_t now[FIGURES] = {
        [OPEN] = (int64_t)s.open_bytes,     [SEALING] = (int64_t)s.sealing_bytes,
        [CACHED] = (int64_t)s.cached_bytes, [MEMORY_MAX] = b->settings.stream_memory,
        [LOADS] = (int64_t)s.loads,         [FILES] = (int64_t)c.files,
        [BYTES] = (int64_t)c.bytes,         [LIVE] = (int64_t)c.live_bytes,
        [DEAD] = (int64_t)c.dead_bytes,     [WRITTEN] = (int64_t)c.written,
        [READ] = (int64_t)c.read,           [MOVED] = (int64_t)c.moved,
        [FAILS] = c.write_error != 0,
    };
    for (int i = 0; i < FIGURES; i++) ret[i] = now[i];
}

void broker_info_streams(struct broker *b, struct buf *out)
{
    int64_t now[FIGURES];
    gather(b, now);
    for (int i = 0; i < FIGURES; i++) buf_printf(out, "%s:%lld\r\n", fields[i], (long long)now[i]);
}

void stream_metrics_register(void)
{
    for (int i = 0; i < FIGURES; i++) metrics_register(&metrics[i]);
}

void stream_metrics_update(const struct broker *b)
{
    int64_t now[FIGURES];
    if (b->loading) return; /* another thread's until then */
    gather(b, now);
    for (int i = 0; i < FIGURES; i++) metric_set(&metrics[i], now[i]);
}
