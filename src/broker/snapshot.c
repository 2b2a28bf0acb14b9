/* The walk over the keyspace that makes a snapshot, beside the commands.
 *
 *   idle --request, growth--> walking --all keys visited--> writing --writer done--> idle
 *
 * A key's `mark` tells where it stands: `mark` of the walk: taken, or newer than the walk, which
 * the journal alone tells of; `mark + 1`: a large value of which parts are taken; anything else:
 * not visited yet. (Marks return after 32,767 walks: a key would have to be missed by as many.)
 * Keys are visited by a scan, so that tables may grow and shrink meanwhile; each is recorded under
 * the database it was in when the walk began, since a later SWAPDB is in the journal. */
#include "broker/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"
#include "broker/internal.h"
#include "keys/list.h"

enum {
    SLICE_US = 250,      /* at most, and a quarter of the loop's time in all */
    IDLE_SLICE_US = 500, /* when no command has come since the last */
    SLICE_US_MIN = 40,
    REST_MS = 1,           /* of a loop that has nothing else to do */
    BACKLOG_MAX = 8 << 20, /* bytes that may wait for the disk; then the walk pauses */
    BUCKETS = 16,          /* looked at together, so that their keys come into the cache together */
    LIST_BYTES_MAX = 16 << 10, /* a larger one is copied, and put in parts */
    RETRY_S = 10,              /* after one that failed */
    WRITING_POLL_MS = 5,
};

static struct metric made_total = {.name = "leat_snapshots_total",
                                   .labels = "result=\"ok\"",
                                   .help = "Snapshots made.",
                                   .kind = METRIC_COUNTER};
static struct metric failed_total = {.name = "leat_snapshots_total",
                                     .labels = "result=\"failed\"",
                                     .help = "Snapshots made.",
                                     .kind = METRIC_COUNTER};
static struct metric size_bytes = {.name = "leat_snapshot_size_bytes",
                                   .help = "Size of the newest snapshot.",
                                   .kind = METRIC_GAUGE};
static struct metric time_seconds = {.name = "leat_snapshot_timestamp_seconds",
                                     .help = "When the newest snapshot was made, Unix time.",
                                     .kind = METRIC_GAUGE};
static struct metric slice_seconds = {.name = "leat_snapshot_slice_seconds",
                                      .help = "Time that slices of the walk hold the loop.",
                                      .kind = METRIC_HISTOGRAM_US};

/* A large value of which parts are taken. A list is copied instead when it is visited, or before it
 * first changes, since its records are not absolute; the parts are then taken of the copy. */
struct large {
    struct large *next;
    int origin;
    uint8_t type;
    uint64_t cursor;
    struct list *copy;    /* of a list, else NULL */
    int64_t expire_at_ms; /* of that list; told behind it, when the key is there */
    size_t len;
    char name[];
};

struct snapshots {
    struct snapshot_writer *writer; /* NULL: idle */
    bool walking;
    bool requested, later; /* one is to begin; one more behind that under way */
    uint16_t mark;

    int origin;              /* the database being walked, by its index when the walk began */
    int where[KEYSPACE_DBS]; /* its index now */
    uint64_t cursor;
    struct large *large;
    struct key **batch;
    size_t batch_count, batch_cap;

    int64_t began_us, slice_ended_us, looked_us, retry_us; /* monotonic */
    uint64_t changes;
    struct snapshots_stats stats;
    bool in_reserve; /* the last one failed for want of room */
    bool reserved;   /* there is room for the next one */
    int64_t reserve_us;
    char error[256];
};

struct snapshots *snapshots_new(void)
{
    struct snapshots *s = mem_calloc(sizeof *s);
    s->stats = (struct snapshots_stats){.last_ok = true, .last_ms = -1, .current_ms = -1};
    metrics_register(&made_total);
    metrics_register(&failed_total);
    metrics_register(&size_bytes);
    metrics_register(&time_seconds);
    metrics_register(&slice_seconds);
    return s;
}

static void forget_large(struct snapshots *s)
{
    while (s->large != NULL) {
        struct large *l = s->large;
        s->large = l->next;
        list_free(l->copy);
        mem_free(l);
    }
}

void snapshots_free(struct snapshots *s)
{
    struct snapshot_result ignored;
    if (s == NULL) return;
    if (s->writer != NULL) snapshot_end(s->writer, &ignored);
    forget_large(s);
    mem_free(s->batch);
    mem_free(s);
}

void snapshots_loaded(struct broker *b, uint64_t position, uint64_t size, int64_t time_ms)
{
    struct snapshots_stats *stats = &b->snapshots->stats;
    stats->position = position;
    stats->size = size;
    stats->last_save_ms = time_ms;
    metric_set(&size_bytes, (int64_t)size);
    metric_set(&time_seconds, time_ms / 1000);
}

/* ---- Keys ---- */

static void put_expire_at(struct snapshots *s, int origin, struct bytes name, int64_t at_ms)
{
    if (at_ms == KEY_NEVER) return;
    struct buf *out = snapshot_record(s->writer);
    record_put_head(out, REC_EXPIRE_AT, origin, name);
    record_put_int(out, at_ms);
    snapshot_record_end(s->writer);
}

static void put_expiry(struct snapshots *s, int origin, const struct key *k)
{
    put_expire_at(s, origin, key_name(k), k->expire_at_ms);
}

static struct large *note_large(struct snapshots *s, int origin, const struct key *k,
                                uint64_t cursor)
{
    struct large *l = mem_alloc(sizeof *l + k->name_len);
    *l = (struct large){
        .next = s->large, .origin = origin, .type = k->type, .cursor = cursor, .len = k->name_len};
    memcpy(l->name, k->name, k->name_len);
    s->large = l;
    return l;
}

static bool is_large_list(const struct key *k)
{
    return k->type == KEY_LIST && k->value.list->bytes > LIST_BYTES_MAX;
}

static void set_list_aside(struct snapshots *s, int origin, struct key *k)
{
    struct large *l = note_large(s, origin, k, 0);
    l->copy = list_copy(k->value.list);
    l->expire_at_ms = k->expire_at_ms;
    k->mark = s->mark;
    s->stats.keys_done++;
}

static void put_key(struct snapshots *s, int origin, struct key *k)
{
    uint64_t cursor = 0;
    if (k->mark == s->mark || k->mark == s->mark + 1) return;
    if (is_large_list(k)) {
        set_list_aside(s, origin, k);
        return;
    }
    bool whole = snapshot_put_value(s->writer, origin, k, &cursor);
    put_expiry(s, origin, k);
    k->mark = (uint16_t)(whole ? s->mark : s->mark + 1);
    if (!whole) note_large(s, origin, k, cursor);
    s->stats.keys_done++;
}

static void put_list_aside(struct snapshots *s, struct large *l, struct bytes name)
{
    if (!snapshot_put_list_part(s->writer, l->origin, name, l->copy)) return;
    put_expire_at(s, l->origin, name, l->expire_at_ms);
    s->large = l->next;
    list_free(l->copy);
    mem_free(l);
}

/* Another part of a large value, unless the key is gone, or taken whole meanwhile. */
static void put_large(struct broker *b, struct snapshots *s)
{
    struct large *l = s->large;
    struct bytes name = {l->name, l->len};
    if (l->copy != NULL) {
        put_list_aside(s, l, name);
        return;
    }
    struct key *k = keyspace_find(b->ks, s->where[l->origin], name, hash_bytes(name));
    bool over = k == NULL || k->mark != (uint16_t)(s->mark + 1);
    if (!over) {
        if (k->type != l->type) l->cursor = 0; /* overwritten by a value of another type */
        l->type = k->type;
        over = snapshot_put_value(s->writer, l->origin, k, &l->cursor);
        if (over) k->mark = s->mark;
    }
    if (!over) return;
    s->large = l->next;
    mem_free(l);
}

/* Where the walk stands in a value of which parts are taken. */
static uint64_t cursor_of(const struct snapshots *s, int origin, const struct key *k)
{
    if (k->mark != (uint16_t)(s->mark + 1)) return 0;
    for (const struct large *l = s->large; l != NULL; l = l->next)
        if (l->origin == origin && l->type == k->type &&
            bytes_eq((struct bytes){l->name, l->len}, key_name(k)))
            return l->cursor;
    return 0;
}

/* Goes on where the walk stands: the blocks of a stream must not be in a snapshot twice. */
static void put_whole(struct snapshots *s, int origin, struct key *k)
{
    if (is_large_list(k)) {
        set_list_aside(s, origin, k);
        return;
    }
    uint64_t cursor = cursor_of(s, origin, k);
    while (!snapshot_put_value(s->writer, origin, k, &cursor)) {
    }
    put_expiry(s, origin, k);
    if (k->mark != (uint16_t)(s->mark + 1)) s->stats.keys_done++;
    k->mark = s->mark;
}

void snapshots_before_copy(struct broker *b, int db, const struct key *k)
{
    struct snapshots *s = b->snapshots;
    int origin = 0;
    if (!s->walking || k->mark == s->mark) return;
    while (s->where[origin] != db) origin++;
    put_whole(s, origin, (struct key *)k);
}

void snapshots_swapped(struct broker *b, int one, int other)
{
    struct snapshots *s = b->snapshots;
    if (!s->walking) return;
    for (int i = 0; i < KEYSPACE_DBS; i++) {
        if (s->where[i] == one) s->where[i] = other;
        else if (s->where[i] == other) s->where[i] = one;
    }
}

/* ---- The walk ---- */

static void collect(void *item, void *arg)
{
    struct snapshots *s = arg;
    if (s->batch_count == s->batch_cap) {
        s->batch_cap = s->batch_cap ? s->batch_cap * 2 : 256;
        s->batch = mem_realloc(s->batch, s->batch_cap * sizeof(struct key *));
    }
    __builtin_prefetch(item, 1);
    s->batch[s->batch_count++] = item;
}

/* A few buckets more of the database. */
static void put_buckets(struct broker *b, struct snapshots *s)
{
    struct map *keys = keyspace_map(b->ks, s->where[s->origin]);
    s->batch_count = 0;
    for (int i = 0; i < BUCKETS && (i == 0 || s->cursor != 0); i++)
        s->cursor = map_scan(keys, s->cursor, collect, s);
    for (size_t i = 0; i < s->batch_count; i++)
        if (s->batch[i]->encoding != ENC_INT) __builtin_prefetch(s->batch[i]->value.any);
    for (size_t i = 0; i < s->batch_count; i++) put_key(s, s->origin, s->batch[i]);
    if (s->cursor == 0) s->origin++;
}

static void finish_walk(struct broker *b, struct snapshots *s)
{
    uint64_t complete = journal_head(b->journal);
    s->walking = false;
    journal_flush(b->journal);
    journal_want_sync(b->journal, complete);
    snapshot_complete(s->writer, complete);
}

/* False when it pauses, or is at its end. */
static bool walk_on(struct broker *b, struct snapshots *s)
{
    if (snapshot_backlog(s->writer) > BACKLOG_MAX || snapshot_state(s->writer) != SNAPSHOT_WRITING)
        return false;
    if (s->large != NULL) put_large(b, s);
    else if (s->origin < KEYSPACE_DBS) put_buckets(b, s);
    else finish_walk(b, s);
    return s->walking;
}

static void walk(struct broker *b, struct snapshots *s, int64_t budget_us)
{
    int64_t begin_us = b->options.monotonic_us(), now_us = begin_us;
    while (now_us - begin_us < budget_us && walk_on(b, s)) now_us = b->options.monotonic_us();
    now_us = b->options.monotonic_us();
    s->slice_ended_us = now_us;
    metric_observe_us(&slice_seconds, now_us - begin_us);
    s->stats.walk_us += now_us - begin_us;
    if (now_us - begin_us > s->stats.slice_us_max) s->stats.slice_us_max = now_us - begin_us;
}

/* ---- Beginning and end ---- */

static uint64_t synced_upto(void *broker)
{
    return journal_synced(((struct broker *)broker)->journal);
}

static bool has_failed(void *broker)
{
    return journal_failure(((struct broker *)broker)->journal) != NULL;
}

static int sync_chunks(void *broker)
{
    return chunks_sync(((struct broker *)broker)->chunks);
}

static bool is_full_disk(int code)
{
    return code == -ENOSPC || code == -EDQUOT;
}

static void note_failure(struct broker *b, struct snapshots *s, int code, const char *error)
{
    snprintf(s->error, sizeof s->error, "%s", error);
    s->stats.last_ok = false;
    s->retry_us = b->mono_us + RETRY_S * INT64_C(1000000);
    /* On a full disk it is just a snapshot that makes room: so at once, and out of the reserve. */
    if (is_full_disk(code) && !s->in_reserve) s->retry_us = 0;
    s->in_reserve = is_full_disk(code);
    if (s->in_reserve) journal_release_spares(b->journal);
    metric_add(&failed_total, 1);
    logline(LOG_LEVEL_WARNING, "snapshot",
            "%s; the one before and the journal are as they were, nothing is lost", error);
}

/* A second snapshot of the same state takes the place of the first; but it is the one before that
 * holds back what is dead. */
static void move_on(struct broker *b, const struct snapshots *s)
{
    if (journal_head(b->journal) != s->stats.position || s->stats.size == 0) return;
    record_put_head(journal_begin(b->journal), REC_NOTHING, 0, (struct bytes){0});
    journal_end(b->journal);
}

static bool begin(struct broker *b, struct snapshots *s)
{
    move_on(b, s);
    struct snapshot_options o = {.dir = b->settings.dir,
                                 .files = b->options.files,
                                 .synced = synced_upto,
                                 .failed = has_failed,
                                 .arg = b};
    if (b->chunks != NULL) {
        o.sync = sync_chunks;
        chunks_note(b->chunks, journal_head(b->journal));
    }
    o.keep_reserve = true;
    o.in_reserve = s->in_reserve;
    o.header.history = journal_history(b->journal);
    o.header.position = journal_head(b->journal);
    s->requested = false;
    s->stats.keys_done = s->stats.keys_total = 0;
    s->stats.walk_us = 0;
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        s->where[db] = db;
        o.header.keys[db] = keyspace_count(b->ks, db);
        o.header.expiring[db] = keyspace_count_expiring(b->ks, db);
        s->stats.keys_total += o.header.keys[db];
    }
    if (snapshot_begin(&o, &s->writer) < 0) {
        note_failure(b, s, -EAGAIN, "no thread could be started for a snapshot");
        return false;
    }
    s->walking = true;
    s->mark = (uint16_t)(s->mark + 2);
    keyspace_mark(b->ks, s->mark);
    s->origin = 0;
    s->cursor = 0;
    s->began_us = s->slice_ended_us = b->options.monotonic_us();
    s->changes = b->dirty_records;
    logline(LOG_LEVEL_VERBOSE, "snapshot", "begins at position %llu, with %llu keys",
            (unsigned long long)o.header.position, (unsigned long long)s->stats.keys_total);
    return true;
}

static void note_success(struct broker *b, struct snapshots *s, const struct snapshot_result *r)
{
    struct snapshots_stats *stats = &s->stats;
    stats->last_ok = true;
    stats->last_save_ms = b->now_ms;
    stats->changes_at = s->changes;
    stats->position = r->position;
    stats->size = r->size;
    stats->made++;
    s->error[0] = '\0';
    s->retry_us = 0;
    s->in_reserve = false;
    metric_add(&made_total, 1);
    metric_set(&size_bytes, (int64_t)r->size);
    metric_set(&time_seconds, b->now_ms / 1000);
    if (r->older > 0) {
        journal_drop_before(b->journal, r->older);
        chunks_drop_before(b->chunks, r->older);
    }
    logline(LOG_LEVEL_NOTICE, "snapshot", "%llu keys, %.1f MB, in %.2f s",
            (unsigned long long)stats->keys_done, (double)r->size / (1 << 20),
            (double)stats->last_ms / 1000);
}

static void end(struct broker *b, struct snapshots *s)
{
    struct snapshot_result result;
    snapshot_end(s->writer, &result);
    s->writer = NULL;
    s->walking = false;
    forget_large(s);
    s->stats.last_ms = (b->options.monotonic_us() - s->began_us) / 1000;
    if (result.state == SNAPSHOT_DONE) note_success(b, s, &result);
    else note_failure(b, s, result.code, result.error);
    s->reserved = false;
    s->requested = s->later;
    s->later = false;
}

/* By growth of the journal since the last one, or because of what is dead in the chunk files. */
static bool is_due(struct broker *b, struct snapshots *s)
{
    enum { LOOK_US = 100000 };
    int64_t percent = b->settings.snapshot_growth_percent;
    if (percent == 0 || b->mono_us - s->looked_us < LOOK_US || b->mono_us < s->retry_us)
        return false;
    s->looked_us = b->mono_us;
    struct chunks_stats chunks;
    chunks_stats(b->chunks, &chunks);
    /* It takes snapshots to give that space back. */
    if (chunks.dead_bytes > (uint64_t)b->settings.snapshot_min_bytes &&
        chunks.dead_bytes > chunks.live_bytes)
        return true;
    if (chunks.dead_bytes > 0 && (chunks.write_error != 0 || s->in_reserve)) return true;
    uint64_t grown = journal_head(b->journal) - s->stats.position;
    return grown >= (uint64_t)b->settings.snapshot_min_bytes &&
           (double)grown >= (double)s->stats.size * (double)percent / 100;
}

/* How long the walk may go on now. Even an idle loop does not give it all of its time: a thread
 * that never sleeps is made to wait by the kernel just when there is a command again. */
static int64_t slice_us(const struct broker *b, const struct snapshots *s, bool idle)
{
    int64_t share_us = (b->options.monotonic_us() - s->slice_ended_us) / (idle ? 2 : 3);
    int64_t max_us = idle ? IDLE_SLICE_US : SLICE_US;
    if (share_us < SLICE_US_MIN) return 0;
    return share_us < max_us ? share_us : max_us;
}

/* On a full disk the journal and chunk files take what a snapshot has just given back as soon as it
 * is there. Without room for the next snapshot that would be the last they get: so this is quicker.
 */
static void keep_reserve(struct broker *b, struct snapshots *s)
{
    enum { AGAIN_US = 2000 };
    if (s->reserved || b->mono_us < s->reserve_us) return;
    s->reserved = snapshot_make_reserve(b->options.files, b->settings.dir, s->stats.size);
    s->reserve_us = b->mono_us + AGAIN_US;
}

void snapshots_step(struct broker *b, bool idle)
{
    struct snapshots *s = b->snapshots;
    if (s->writer == NULL) {
        keep_reserve(b, s);
        if ((s->requested || is_due(b, s)) && !begin(b, s)) return;
        if (s->writer == NULL) return;
    }
    if (s->walking) {
        int64_t budget_us = slice_us(b, s, idle);
        if (budget_us > 0) walk(b, s, budget_us);
    }
    if (snapshot_state(s->writer) != SNAPSHOT_WRITING) end(b, s);
}

int64_t snapshots_due_ms(const struct broker *b, int64_t ms)
{
    const struct snapshots *s = b->snapshots;
    if (s->writer == NULL) return s->requested ? 0 : ms;
    int64_t rest_ms = s->walking ? REST_MS : WRITING_POLL_MS;
    return ms < rest_ms ? ms : rest_ms;
}

/* ---- Asked for ---- */

bool snapshots_in_progress(const struct broker *b)
{
    return b->snapshots->writer != NULL || b->snapshots->requested;
}

bool snapshots_request(struct broker *b, bool later)
{
    struct snapshots *s = b->snapshots;
    bool free = !snapshots_in_progress(b);
    if (free) s->requested = true;
    else if (later) s->later = true;
    return free;
}

bool snapshots_save(struct broker *b)
{
    struct snapshots *s = b->snapshots;
    static const struct timespec pause = {.tv_nsec = 200000};
    if (snapshots_in_progress(b) || !begin(b, s)) return false;
    while (snapshot_state(s->writer) == SNAPSHOT_WRITING)
        if (!s->walking || !walk_on(b, s)) nanosleep(&pause, NULL);
    end(b, s);
    return s->stats.last_ok;
}

void snapshots_stats(const struct broker *b, struct snapshots_stats *ret)
{
    const struct snapshots *s = b->snapshots;
    *ret = s->stats;
    ret->error = s->error;
    ret->in_progress = snapshots_in_progress(b);
    if (s->writer != NULL) ret->current_ms = (b->mono_us - s->began_us) / 1000;
}
