/* Making and ending the broker, and the two ends of a loop turn. */
#include "broker/broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "broker/retention.h"

static int open_journal(struct broker *b, char **ret_error)
{
    struct journal_options options = {
        .dir = b->settings.dir,
        .sync = (enum journal_sync)b->settings.sync,
        .segment_bytes = (size_t)b->settings.segment_bytes,
        .files = b->options.files,
        .replay = load_on_record,
        .progress = load_on_progress,
        .torn = load_on_torn,
        .arg = b,
    };
    struct journal_error error = {0};
    int result = journal_new(&options, &error, &b->journal);
    if (result < 0) *ret_error = mem_strdup(error.text);
    return result;
}

static int open_chunks(struct broker *b, char **ret_error)
{
    struct chunks_options options = {.dir = b->settings.dir,
                                     .files = b->options.files,
                                     .file_bytes = (uint64_t)b->settings.chunk_file_bytes,
                                     .wake_fd = journal_wake_fd(b->journal)};
    char error[512];
    int result = chunks_new(&options, &b->chunks);
    if (result < 0) {
        snprintf(error, sizeof error,
                 result == -EPROTONOSUPPORT
                     ? "%s holds chunk files of a later version of leat than this one can read; "
                       "start that version"
                     : "%s: the chunk files in it cannot be looked at: %s",
                 b->settings.dir, strerror(-result));
        *ret_error = mem_strdup(error);
        return result;
    }
    b->streams->chunks = b->chunks;
    return 0;
}

static struct buf *begin_record(void *journal)
{
    return journal_begin(journal);
}

static uint64_t end_record(void *journal)
{
    return journal_end(journal);
}

static void make_run_id(struct broker *b)
{
    for (int i = 0; i < 40; i++) b->run_id[i] = "0123456789abcdef"[rng_below(&b->rng, 16)];
}

struct broker *broker_new(const struct broker_options *options, char **ret_error)
{
    struct broker *b = mem_calloc(sizeof *b);
    b->options = *options;
    settings_copy(&b->settings, options->settings);
    b->options.settings = NULL;
    b->now_us = options->now_us();
    b->now_ms = b->started_ms = b->now_us / 1000;
    b->mono_us = options->monotonic_us();
    rng_seed_random(&b->rng);
    make_run_id(b);
    b->loading = true;
    b->load.dir = mem_strdup(b->settings.dir);
    b->ks = keyspace_new();
    b->streams = keyspace_streams(b->ks);
    b->streams->memory_max = (uint64_t)b->settings.stream_memory;
    b->streams->wait = true; /* until all is loaded */
    b->snapshots = snapshots_new();
    b->retention = retention_new();
    b->hub = hub_new();
    b->durable = durable_new();
    durable_settings_changed(b);
    b->blocked = blocked_new();
    b->positions = mem_calloc(POSITION_SLOTS * sizeof *b->positions);
    b->stats = mem_calloc(command_count() * sizeof *b->stats);
    b->next_session_id = 1;
    b->reply_bytes_max = BROKER_REPLY_BYTES_MAX;
    arena_init(&b->arena);
    watch_init(b);
    broker_stats_init(b);
    effects_init(&b->fx, &b->arena);
    if (open_journal(b, ret_error) < 0 || open_chunks(b, ret_error) < 0) {
        broker_free(b);
        return NULL;
    }
    b->fx.sink = (struct record_sink){begin_record, end_record, b->journal};
    return b;
}

void broker_free(struct broker *b)
{
    if (b == NULL) return;
    must(b->session_count == 0);
    snapshots_free(b->snapshots); /* looks at the journal */
    retention_free(b->retention);
    if (b->chunks != NULL) { /* it wakes the loop through the journal */
        chunks_stop(b->chunks);
        stream_store_end(b->streams);
    }
    journal_close(b->journal);
    mem_free(b->load.dir);
    slowlog_clear(&b->slowlog);
    broker_stats_fini(b);
    watch_fini(b);
    blocked_free(b->blocked);
    durable_free(b->durable);
    hub_free(b->hub);
    keyspace_free(b->ks);
    chunks_free(b->chunks);
    effects_fini(&b->fx);
    arena_fini(&b->arena);
    mem_free(b->positions);
    mem_free(b->stats);
    settings_fini(&b->settings);
    mem_free(b);
}

struct journal *broker_journal(struct broker *b)
{
    return b->journal;
}

bool broker_is_loading(const struct broker *b)
{
    return b->loading;
}

struct settings *broker_settings(struct broker *b)
{
    return &b->settings;
}

void broker_need_password(struct broker *b)
{
    b->needs_password = true;
}

static void end_pause(struct broker *b)
{
    if (b->pause_until_ms == 0 || b->pause_until_ms > b->now_ms) return;
    broker_unpause(b);
}

void broker_unpause(struct broker *b)
{
    b->pause_until_ms = 0;
    for (struct session *s = b->first_session; s != NULL; s = s->next) {
        if (!(s->flags & SESSION_PAUSED)) continue;
        s->flags &= ~(unsigned)SESSION_PAUSED;
        s->port->resume(s->owner);
    }
}

void broker_turn_begin(struct broker *b)
{
    b->now_us = b->options.now_us();
    b->now_ms = b->now_us / 1000;
    b->mono_us = b->options.monotonic_us();
    hub_set_time(b->hub, b->now_ms);
    end_pause(b);
    if (!b->loading) { /* until then the store is the loading thread's */
        b->streams->memory_max = (uint64_t)b->settings.stream_memory;
        stream_store_turn(b->streams);
    }
    if (b->blocked_count > 0) {
        blocked_look_at_loads(b);
        blocked_look_at_journal(b);
        blocked_timeouts(b);
    }
    if (!b->loading) broker_expire(b, 1000);
    durable_turn_begin(b);
    if (b->blocked_count > 0) blocked_serve(b); /* who waits for what has expired */
    broker_sample(b);
}

void broker_turn_end(struct broker *b)
{
    if (!b->loading) keyspace_step(b->ks, 16);
    arena_reset(&b->arena);
    journal_flush(b->journal);
}

void broker_spread(struct broker *b)
{
    durable_feed(b);
    hub_spread(b->hub);
}

size_t broker_check_output(struct broker *b, struct session *s, bool full)
{
    return s->durable != NULL ? durable_check_output(b, s, full) : 0;
}

size_t broker_unspread_bytes(const struct broker *b)
{
    return hub_unspread_bytes(b->hub);
}

uint64_t broker_delivered_bytes(const struct broker *b)
{
    return hub_delivered_bytes(b->hub);
}

void broker_background(struct broker *b, bool idle)
{
    hub_turn_end(b->hub);
    if (b->loading) return;
    retention_step(b);
    snapshots_step(b, idle);
}

int64_t broker_next_due_ms(const struct broker *b)
{
    int64_t due = b->now_ms + 100; /* samples for INFO */
    int64_t expiry = b->loading ? INT64_MAX : broker_next_expiry_ms(b);
    if (expiry < due) due = expiry;
    int64_t unblock = blocked_next_ms(b);
    if (unblock < due) due = unblock;
    if (durable_is_hungry(b)) due = b->now_ms;
    if (b->pause_until_ms != 0 && b->pause_until_ms < due) due = b->pause_until_ms;
    int64_t ms = due <= b->now_ms ? 0 : due - b->now_ms;
    return b->loading ? ms : snapshots_due_ms(b, ms);
}

bool broker_is_full(const struct broker *b)
{
    return journal_is_full(b->journal) || stream_store_is_full(b->streams);
}

int64_t broker_now_ms(const struct broker *b)
{
    return b->now_ms;
}

void broker_count_input(struct broker *b, size_t bytes)
{
    b->net_input += bytes;
    b->reads++;
    b->mono_us = b->options.monotonic_us(); /* the time it took to read is no command's */
}

void broker_count_output(struct broker *b, size_t bytes)
{
    b->net_output += bytes;
    b->writes++;
}

void broker_count_output_limit(struct broker *b)
{
    b->output_limit_closes++;
}

void broker_count_rejected(struct broker *b)
{
    b->rejected_connections++;
}
