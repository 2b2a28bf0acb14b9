#include "broker/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "broker/internal.h"
#include "keys/hash.h"
#include "keys/list.h"
#include "keys/set.h"
#include "keys/zset.h"
#include "log/segment.h"
#include "log/snapshot.h"

typedef unsigned long long ull;

enum {
    AHEAD = 12,        /* records whose place in the tables is fetched in advance */
    TELL_US = 1000000, /* between two lines of progress */
    STOP_EVERY = 1024, /* journal records between two looks at `stop` */
    STORE_EVERY = 64,  /* and between two turns of the streams' store */
    SNAPSHOTS_MAX = 16,
};

static void tell(struct broker *b, const char *what, uint64_t done, uint64_t total)
{
    struct load *l = &b->load;
    int64_t now_us = b->options.monotonic_us();
    atomic_store(&l->done, done);
    atomic_store(&l->total, total);
    if (now_us - l->told_us < TELL_US) return;
    l->told_us = now_us;
    logline(LOG_LEVEL_NOTICE, "loading", "%s: %llu of %llu MB", what, (ull)(done >> 20),
            (ull)(total >> 20));
}

/* ---- The snapshot ---- */

static int on_header(void *arg, const struct snapshot_header *h)
{
    struct broker *b = arg;
    enum { KEYS_MAX = 1 << 30 }; /* a header that says more is nothing to reserve by */
    b->load.salvaged = h->flags & SNAPSHOT_INEXACT;
    for (int db = 0; db < KEYSPACE_DBS; db++)
        if (h->keys[db] <= KEYS_MAX && h->expiring[db] <= KEYS_MAX)
            keyspace_reserve(b->ks, db, h->keys[db], h->expiring[db]);
    return 0;
}

static void prefetch(struct broker *b, struct bytes record)
{
    struct record r;
    if (record_open(&r, record)) keyspace_prefetch(b->ks, r.db, hash_bytes(r.key));
}

static int on_block(void *arg, struct bytes records, uint32_t count)
{
    struct broker *b = arg;
    uint64_t at = 0, ahead = 0;
    struct bytes record;
    if (atomic_load(&b->load.stop)) return -ECANCELED;
    for (int i = 0; i < AHEAD && record_next(records.data, records.len, &ahead, &record); i++)
        prefetch(b, record);
    stream_store_turn(b->streams);
    while (record_next(records.data, records.len, &at, &record)) {
        int r = replay_record_lenient(b->ks, record);
        if (r < 0) return r;
        if (record_next(records.data, records.len, &ahead, &record)) prefetch(b, record);
    }
    return 0;
}

static void on_snapshot_progress(void *arg, uint64_t done, uint64_t total)
{
    tell(arg, "snapshot", done, total);
}

static int load_snapshot(struct broker *b, uint64_t position, struct journal_error *e)
{
    struct load *l = &b->load;
    struct snapshot_info info;
    struct snapshot_reading how = {.files = b->options.files,
                                   .dir = b->load.dir,
                                   .on_header = on_header,
                                   .on_block = on_block,
                                   .progress = on_snapshot_progress,
                                   .arg = b};
    int r = snapshot_read(&how, position, &info, e);
    if (r < 0) {
        for (int db = 0; db < KEYSPACE_DBS; db++) keyspace_flush(b->ks, db);
        return r;
    }
    l->has_snapshot = true;
    l->from = (struct journal_from){info.header.history, position, info.end.complete};
    l->snapshot_size = info.size;
    l->snapshot_time_ms = (int64_t)(info.header.time_us / 1000);
    l->snapshot_records = info.end.records;
    return 0;
}

/* What makes no sense may do so because of a chunk that is missing or damaged: that is named. */
static void add_chunk_error(struct broker *b, struct journal_error *e)
{
    const char *why = stream_store_error(b->streams);
    size_t len = strlen(e->text);
    if (why[0] == '\0') return;
    snprintf(e->text + len, sizeof e->text - len, " (%s)", why);
}

/* The newest that is whole; none is fine. *ret_bad: the positions of those that are not. */
static int load_newest(struct broker *b, uint64_t *ret_bad, struct journal_error *e)
{
    uint64_t positions[SNAPSHOTS_MAX];
    int n = snapshot_list(b->options.files, b->load.dir, positions, SNAPSHOTS_MAX);
    for (int i = 0; i < n; i++) {
        int r = load_snapshot(b, positions[i], e);
        if (r == 0) return 0;
        if (r == -ECANCELED || r == -EPROTONOSUPPORT) return r;
        add_chunk_error(b, e);
        logline(LOG_LEVEL_WARNING, "loading", "%s. Falling back to %s", e->text,
                i + 1 < n ? "the snapshot before, and more of the journal" : "the journal alone");
        ret_bad[b->load.fallbacks++] = positions[i];
    }
    return 0;
}

/* Once the start has succeeded without them: so that they are neither counted nor lost. */
static void set_bad_aside(struct broker *b, const uint64_t *bad)
{
    for (unsigned i = 0; i < b->load.fallbacks; i++) {
        char name[SNAPSHOT_NAME_MAX];
        snapshot_name(name, bad[i]);
        if (snapshot_set_aside(b->options.files, b->load.dir, bad[i]) < 0) continue;
        logline(LOG_LEVEL_WARNING, "loading", "%s is kept as bad-%s", name, name);
    }
}

/* ---- What was salvaged past gaps ---- */

static bool is_empty(const struct key *k)
{
    switch (k->type) {
    case KEY_LIST:
        return list_count(k) == 0;
    case KEY_HASH:
        return hash_count(k) == 0;
    case KEY_SET:
        return set_count(k) == 0;
    case KEY_ZSET:
        return zset_count(k->value.zset) == 0;
    default:
        return false;
    }
}

struct empty_keys {
    struct key **keys;
    size_t count, cap;
};

static void note_empty(void *item, void *arg)
{
    struct empty_keys *e = arg;
    if (!is_empty(item)) return;
    if (e->count == e->cap) {
        e->cap = e->cap > 0 ? e->cap * 2 : 64;
        e->keys = mem_realloc(e->keys, e->cap * sizeof *e->keys);
    }
    e->keys[e->count++] = item;
}

/* Where what was added is missing, and what was removed is not. */
static void remove_empty_keys(struct keyspace *ks)
{
    struct empty_keys e = {0};
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        uint64_t cursor = 0;
        do {
            e.count = 0;
            cursor = keyspace_scan(ks, db, cursor, note_empty, &e);
            for (size_t i = 0; i < e.count; i++) keyspace_remove(ks, db, e.keys[i]);
        } while (cursor != 0);
    }
    mem_free(e.keys);
}

/* ---- The journal: the callbacks of journal_options ---- */

int load_on_record(void *arg, struct bytes record, uint64_t position)
{
    struct broker *b = arg;
    struct load *l = &b->load;
    if (++l->journal_records % STOP_EVERY == 0 && atomic_load(&l->stop)) return -ECANCELED;
    if (l->journal_records % STORE_EVERY == 0) stream_store_turn(b->streams);
    if (position <= l->from.complete)
        return l->salvaged ? replay_record_salvaged(b->ks, record)
                           : replay_record_lenient(b->ks, record);
    return replay_record(b->ks, record);
}

void load_on_progress(void *arg, uint64_t done, uint64_t total)
{
    tell(arg, "journal", done, total);
}

void load_on_torn(void *arg, const char *file, uint64_t offset, uint64_t len, const char *saved_as)
{
    logline(LOG_LEVEL_WARNING, "journal",
            "%s: the last batch, at offset %llu, was not completely written (%llu bytes): cut off "
            "and saved as %s; nothing acknowledged was in it",
            file, (ull)offset, (ull)len, saved_as);
}

/* ---- All of it ---- */

static struct metric recovery_ms = {.name = "leat_recovery_milliseconds",
                                    .help = "How long the start took to read what was on disk.",
                                    .kind = METRIC_GAUGE};

static int stop_at_segment(void *arg, const char *name)
{
    uint64_t number;
    return segment_name_parse(name, &number) ? 1 : 0;
}

/* Where no snapshot is whole and there is no journal, nothing is left: that is no reason to begin
 * anew. */
static int check_anything_left(struct broker *b, const uint64_t *bad, struct journal_error *e)
{
    const struct file_layer *files = b->options.files != NULL ? b->options.files : &file_layer_real;
    const struct load *l = &b->load;
    if (l->has_snapshot || l->fallbacks == 0 || bad[0] == 0) return 0; /* 0: it was of nothing */
    if (files->list(files->ctx, b->load.dir, stop_at_segment, NULL) != 0) return 0;
    snprintf(
        e->text, sizeof e->text,
        "%.300s: damaged: no snapshot in it is whole, and there is no journal. Nothing was "
        "changed. `leat verify` names all that is damaged, `leat salvage` copies what is whole "
        "into a new directory",
        b->load.dir);
    return e->code = -EBADMSG;
}

int broker_load(struct broker *b, char **ret_error)
{
    struct load *l = &b->load;
    struct journal_error error = {0};
    uint64_t bad[SNAPSHOTS_MAX] = {0};
    l->began_us = l->told_us = b->options.monotonic_us();
    snapshot_clean(b->options.files, b->load.dir);
    int r = load_newest(b, bad, &error);
    int64_t between_us = b->options.monotonic_us();
    l->snapshot_ms = (between_us - l->began_us) / 1000;
    if (r == 0) r = check_anything_left(b, bad, &error);
    if (r == 0) r = journal_start(b->journal, l->has_snapshot ? &l->from : NULL, &error);
    if (r == 0 && l->has_snapshot && l->salvaged) remove_empty_keys(b->ks);
    l->journal_ms = (b->options.monotonic_us() - between_us) / 1000;
    if (r < 0) {
        add_chunk_error(b, &error);
        *ret_error = mem_strdup(error.text);
    } else {
        set_bad_aside(b, bad);
        snapshot_make_reserve(b->options.files, b->load.dir, l->snapshot_size);
    }
    return r;
}

void broker_load_stop(struct broker *b)
{
    atomic_store(&b->load.stop, true);
}

void broker_loaded(struct broker *b)
{
    const struct load *l = &b->load;
    size_t keys = 0;
    b->loading = false;
    b->streams->wait = false;
    b->now_us = b->options.now_us();
    b->now_ms = b->now_us / 1000;
    journal_set_sync(b->journal, (enum journal_sync)b->settings.sync);
    snapshots_loaded(b, l->from.position, l->snapshot_size,
                     l->has_snapshot ? l->snapshot_time_ms : b->now_ms);
    metrics_register(&recovery_ms);
    metric_set(&recovery_ms, l->snapshot_ms + l->journal_ms);
    for (int db = 0; db < KEYSPACE_DBS; db++) keys += keyspace_count(b->ks, db);
    if (l->snapshot_records + l->journal_records > 0)
        logline(LOG_LEVEL_NOTICE, "loading",
                "%zu keys: %llu records of a snapshot in %.2f s, %llu of the journal in %.2f s",
                keys, (ull)l->snapshot_records, (double)l->snapshot_ms / 1000,
                (ull)l->journal_records, (double)l->journal_ms / 1000);
}
