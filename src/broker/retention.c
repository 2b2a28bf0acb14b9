/* The walk over all streams that applies their retention, beside the commands.
 *
 *   resting --due, and something may have a retention--> walking --all keys seen--> resting
 *
 * Keys are visited by a scan, so tables may grow and shrink meanwhile; a stream that is renamed may
 * be missed until the next walk. One that had nothing to apply is not followed by another until
 * XRETAIN or the setting says so. */
#include "broker/retention.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "broker/change_stream.h"
#include "broker/durable.h"
#include "broker/internal.h"
#include "keys/stream_group.h"
#include "keys/stream_idmp.h"

enum {
    SLICE_US = 200, /* of a walk, and a twentieth of the loop's time in all */
    REST_SHARE = 20,
    REST_US = 100000, /* between two walks */
    TRIM_MAX = 50000, /* entries of one stream that go in one step */
    BUCKETS = 16,     /* looked at between two looks at the clock */
    RECORD_BYTES = 192,
};

enum cause { BY_AGE, BY_BYTES, BY_ACKNOWLEDGED, CAUSES };

#define DROPPED(n, l, h)                                                                           \
    {                                                                                              \
        .name = "leat_stream_retention_" n "_total", .labels = "cause=\"" l "\"",                  \
        .help = h " of streams dropped by retention.", .kind = METRIC_COUNTER                      \
    }

static struct metric entries_dropped[CAUSES] = {[BY_AGE] = DROPPED("entries", "age", "Entries"),
                                                [BY_BYTES] = DROPPED("entries", "bytes", "Entries"),
                                                [BY_ACKNOWLEDGED] =
                                                    DROPPED("entries", "acknowledged", "Entries")};
static struct metric bytes_dropped[CAUSES] = {[BY_AGE] = DROPPED("bytes", "age", "Bytes"),
                                              [BY_BYTES] = DROPPED("bytes", "bytes", "Bytes"),
                                              [BY_ACKNOWLEDGED] =
                                                  DROPPED("bytes", "acknowledged", "Bytes")};

static struct metric held_bytes = {
    .name = "leat_stream_retention_held_bytes",
    .help = "Bytes of the stream in which a group holds most back: that one, and no other.",
    .kind = METRIC_GAUGE};

/* A stream that is kept until its slowest group has acknowledged it. */
struct held {
    uint64_t bytes;
    int db;
    struct buf stream, group;
};

struct retention {
    struct retention_rules rules;
    char *rules_text; /* what they were made of; NULL: nothing yet */
    bool wanted;      /* some stream may have a retention */
    bool found;       /* in this walk */
    bool walking;
    int db;
    uint64_t cursor;
    int64_t not_before_us;   /* monotonic */
    struct held most, shown; /* of this walk, of the last one */
    struct key **streams;    /* of the buckets just looked at */
    size_t count, cap;
};

static void held_fini(struct held *h)
{
    buf_fini(&h->stream);
    buf_fini(&h->group);
}

struct retention *retention_new(void)
{
    struct retention *r = mem_calloc(sizeof *r);
    r->wanted = true; /* until the first walk knows */
    for (int i = 0; i < CAUSES; i++) {
        metrics_register(&entries_dropped[i]);
        metrics_register(&bytes_dropped[i]);
    }
    metrics_register(&held_bytes);
    metric_set_about(&held_bytes, BYTES(""), 0);
    return r;
}

void retention_free(struct retention *r)
{
    if (r == NULL) return;
    retention_rules_fini(&r->rules);
    mem_free(r->rules_text);
    mem_free(r->streams);
    held_fini(&r->most);
    held_fini(&r->shown);
    metric_set_about(&held_bytes, BYTES(""), 0);
    mem_free(r);
}

/* The rules as the setting has them now. */
static const struct retention_rules *rules_of(struct broker *b)
{
    struct retention *r = b->retention;
    const char *text = b->settings.stream_retention;
    if (r->rules_text != NULL && strcmp(r->rules_text, text) == 0) return &r->rules;
    struct buf error = {0};
    retention_rules_fini(&r->rules);
    mem_free(r->rules_text);
    r->rules_text = mem_strdup(text);
    retention_rules_parse(bytes_of(text), &r->rules, &error); /* good, or it were not the setting */
    buf_fini(&error);
    r->wanted = r->wanted || r->rules.count > 0;
    return &r->rules;
}

enum retention_source retention_of(struct broker *b, struct bytes name, const struct stream *s,
                                   struct stream_retention *ret)
{
    const struct retention_rules *rules = rules_of(b);
    *ret = s->retention;
    if (retention_is_given(ret)) return RETENTION_OF_STREAM;
    for (size_t i = 0; i < rules->count; i++) {
        if (!bytes_match_glob(rules->list[i].pattern, name, false)) continue;
        *ret = rules->list[i].keep;
        return RETENTION_OF_PATTERN;
    }
    return RETENTION_NONE;
}

void retention_wake(struct broker *b)
{
    b->retention->wanted = true;
}

/* ---- One stream ---- */

/* The smallest id that has not been acknowledged by all; false when there are no groups. */
static bool find_floor(struct broker *b, int db, const struct key *k, struct stream_id *ret)
{
    if (!groups_floor(stream_of(k), ret)) return false;
    durable_lower_floor(b, db, k, ret);
    return true;
}

/* What of a stream goes by a cause; false when nothing does. */
static bool trim_by(struct broker *b, int db, const struct key *k,
                    const struct stream_retention *keep, enum cause cause, struct stream_trim *ret)
{
    const struct stream *s = stream_of(k);
    *ret = (struct stream_trim){.by_id = true, .approximately = true, .limit = TRIM_MAX};
    switch (cause) {
    case BY_ACKNOWLEDGED:
        return keep->acknowledged && find_floor(b, db, k, &ret->min_id);
    case BY_AGE:
        ret->min_id.ms = (uint64_t)(b->now_ms - keep->age_ms);
        return keep->age_ms > 0 && keep->age_ms < b->now_ms;
    case BY_BYTES:
        ret->by_id = false;
        ret->length = s->length - stream_count_over_bytes(s, keep->bytes);
        return keep->bytes > 0;
    case CAUSES:
        break;
    }
    return false;
}

/* True when it took as much as it may at once. */
static bool trim(struct broker *b, int db, struct key *k, const struct stream_trim *t,
                 enum cause cause)
{
    struct stream *s = stream_of(k);
    struct stream_id keep_from;
    uint64_t gone, bytes = s->wire_bytes;
    if (stream_trim_plan(s, t, &keep_from, &gone) < 0 || gone == 0) return false;
    if (journal_admit(b->journal, k->name_len + RECORD_BYTES, true) < 0) return false;
    struct call c = {
        .broker = b, .fx = &b->fx, .ks = b->ks, .arena = &b->arena, .db = db, .now_ms = b->now_ms};
    struct bytes name = arena_dup(&b->arena, key_name(k));
    snapshots_before_change(b, db, k);
    change_stream_trim(&c, k, keep_from, gone);
    /* A durable channel of events would hear of its own trimming, and grow by it. */
    if (db != 0 || !durable_is_channel(b, name)) call_event(&c, NOTIFY_STREAM, "xtrim", name);
    broker_drain(b, NULL);
    b->fx.depends = 0;
    metric_add(&entries_dropped[cause], (int64_t)gone);
    metric_add(&bytes_dropped[cause], (int64_t)(bytes - s->wire_bytes));
    return gone >= TRIM_MAX;
}

/* ---- Who holds back ---- */

static void set_text(struct buf *to, struct bytes text)
{
    to->len = 0;
    buf_put(to, text);
}

static void note_held(struct held *most, int db, const struct key *k)
{
    const struct stream *s = stream_of(k);
    const struct group *slowest = s->wire_bytes > most->bytes ? groups_slowest(s) : NULL;
    if (slowest == NULL) return;
    most->bytes = s->wire_bytes;
    most->db = db;
    set_text(&most->stream, key_name(k));
    set_text(&most->group, group_name(slowest));
}

static void show_held(struct retention *r)
{
    held_fini(&r->shown);
    r->shown = r->most;
    r->most = (struct held){0};
    struct buf labels = {0};
    if (r->shown.bytes > 0) {
        char db[16];
        snprintf(db, sizeof db, "%d", r->shown.db);
        metrics_put_label(&labels, "db", bytes_of(db));
        metrics_put_label(&labels, "stream", buf_bytes(&r->shown.stream));
        metrics_put_label(&labels, "group", buf_bytes(&r->shown.group));
    }
    metric_set_about(&held_bytes, buf_bytes(&labels), (int64_t)r->shown.bytes);
    buf_fini(&labels);
}

static void put_name(struct buf *out, const char *field, const struct buf *name)
{
    buf_printf(out, "%s:", field);
    for (size_t i = 0; i < name->len; i++) { /* on one line, whatever is in it */
        unsigned char c = (unsigned char)name->data[i];
        if (c < ' ' || c == 0x7f) buf_printf(out, "\\x%02x", c);
        else buf_putc(out, (char)c);
    }
    buf_printf(out, "\r\n");
}

void retention_info(struct broker *b, struct buf *out)
{
    const struct held *h = &b->retention->shown;
    put_name(out, "retention_held_stream", &h->stream);
    put_name(out, "retention_held_group", &h->group);
    buf_printf(out, "retention_held_bytes:%llu\r\n", (unsigned long long)h->bytes);
}

/* In the order that blames least: what nobody needs first. True when there is more to do. */
static bool apply(struct broker *b, int db, struct key *k)
{
    static const enum cause order[CAUSES] = {BY_ACKNOWLEDGED, BY_AGE, BY_BYTES};
    struct stream *s = stream_of(k);
    struct stream_retention keep;
    struct stream_trim t;
    bool more = false;
    if (s->idmp != NULL) {
        idmp_expire(s->idmp, b->now_ms);
        b->retention->found = true;
    }
    if (key_is_expired(k, b->now_ms) || retention_of(b, key_name(k), s, &keep) == RETENTION_NONE)
        return false;
    b->retention->found = true;
    for (int i = 0; i < CAUSES && !more && s->length > 0; i++)
        if (trim_by(b, db, k, &keep, order[i], &t)) more = trim(b, db, k, &t, order[i]);
    if (keep.acknowledged) note_held(&b->retention->most, db, k);
    return more;
}

/* ---- The walk ---- */

static void gather(void *item, void *arg)
{
    struct retention *r = arg;
    struct key *k = item;
    if (k->type != KEY_STREAM) return;
    if (r->count == r->cap) {
        r->cap = r->cap > 0 ? r->cap * 2 : 64;
        r->streams = mem_realloc(r->streams, r->cap * sizeof *r->streams);
    }
    r->streams[r->count++] = k;
}

static bool next_db(struct broker *b)
{
    struct retention *r = b->retention;
    if (++r->db < KEYSPACE_DBS) return true;
    r->walking = false;
    show_held(r);
    r->wanted = r->found || r->rules.count > 0;
    return false;
}

/* Applies the retention of what was gathered; false when the time was over before. */
static bool apply_all(struct broker *b, int64_t until_us)
{
    struct retention *r = b->retention;
    for (size_t i = 0; i < r->count; i++)
        while (apply(b, r->db, r->streams[i]))
            if (b->options.monotonic_us() >= until_us) return false;
    return true;
}

/* Looks at some buckets; false at the end of the walk. */
static bool look(struct broker *b, int64_t until_us)
{
    struct retention *r = b->retention;
    uint64_t begin = r->cursor;
    r->count = 0;
    if (keyspace_count(b->ks, r->db) == 0) return next_db(b);
    for (int i = 0; i < BUCKETS; i++) {
        r->cursor = keyspace_scan(b->ks, r->db, r->cursor, gather, r);
        if (r->cursor == 0) break;
    }
    if (!apply_all(b, until_us)) {
        r->cursor = begin; /* once more */
        return true;
    }
    return r->cursor != 0 || next_db(b);
}

static bool is_due(struct broker *b)
{
    struct retention *r = b->retention;
    rules_of(b);
    return r->wanted && b->mono_us >= r->not_before_us && b->pause_until_ms <= b->now_ms;
}

void retention_step(struct broker *b)
{
    struct retention *r = b->retention;
    if (!is_due(b)) return;
    if (!r->walking) {
        r->walking = true;
        r->found = false;
        r->db = 0;
        r->cursor = 0;
    }
    int64_t start_us = b->options.monotonic_us(), spent_us;
    bool more;
    do {
        more = look(b, start_us + SLICE_US);
        spent_us = b->options.monotonic_us() - start_us;
    } while (more && spent_us < SLICE_US);
    r->not_before_us = start_us + spent_us + (r->walking ? spent_us * REST_SHARE : REST_US);
    arena_reset(&b->arena);
}
