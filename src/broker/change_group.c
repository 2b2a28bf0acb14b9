/* Changes of consumer groups, and their effect handlers.
 *
 * The records are absolute (records.h): a group, a consumer, or what is pending with an id is what
 * the newest record says. Ids stand in them as runs:
 *
 *     ms: distance from the run before, seq, (n - 1) * 4 + flags [, count] [, time]
 *
 * so that what XADD numbered itself takes about three bytes an entry, and less where several were
 * added in a millisecond. */
#include "broker/change_group.h"

#include <errno.h>

#include "base/must.h"
#include "broker/internal.h"

enum {
    RUN_MAX = 256, /* entries in one run: what a damaged one can ask for is bounded */
    RUN_HAS_COUNT = 1,
    RUN_HAS_TIME = 2,
    RUN_IDS_BYTES_MAX = 23, /* of a run without count and time */
    RUN_BYTES_MAX = 43,
    RECORD_ENTRIES_MAX = 4096,
};

/* ---- Runs ---- */

static uint64_t zigzag(int64_t n)
{
    return (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
    return (int64_t)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0));
}

static void flush_run(struct pending_runs *r)
{
    const struct pending_entry *e = &r->first;
    bool has_count = e->count != r->count, has_time = e->time_ms != r->time_ms;
    if (r->n == 0) return;
    record_put_varint(r->out, e->id.ms - r->last_ms);
    record_put_varint(r->out, e->id.seq);
    record_put_varint(r->out, (r->n - 1) * 4 + (has_count ? RUN_HAS_COUNT : 0) +
                                  (has_time ? RUN_HAS_TIME : 0));
    if (has_count) record_put_varint(r->out, e->count);
    if (has_time)
        record_put_varint(r->out, zigzag((int64_t)((uint64_t)e->time_ms - (uint64_t)r->time_ms)));
    r->last_ms = e->id.ms;
    r->n = 0;
}

void pending_runs_begin(struct pending_runs *r, struct buf *items, struct bytes group,
                        struct bytes consumer, const struct pending_entry *like)
{
    *r = (struct pending_runs){.out = items, .time_ms = like->time_ms, .count = like->count};
    record_put_bytes(items, group);
    record_put_bytes(items, consumer);
    record_put_int(items, like->time_ms);
    record_put_varint(items, like->count);
}

void pending_runs_add(struct pending_runs *r, const struct pending_entry *e)
{
    bool goes_on = r->n > 0 && r->n < RUN_MAX && e->id.ms == r->first.id.ms &&
                   e->id.seq == r->first.id.seq + r->n && e->time_ms == r->first.time_ms &&
                   e->count == r->first.count;
    if (!goes_on) {
        flush_run(r);
        r->first = *e;
    }
    r->n++;
}

void pending_runs_end(struct pending_runs *r)
{
    flush_run(r);
}

/* The next run: its first entry and how many there are. False when it makes no sense. */
static bool take_run(struct record *rec, struct pending_runs *r)
{
    r->first.id.ms = r->last_ms + record_varint(rec);
    r->first.id.seq = record_varint(rec);
    uint64_t head = record_varint(rec);
    r->first.count = head & RUN_HAS_COUNT ? record_varint(rec) : r->count;
    uint64_t later = head & RUN_HAS_TIME ? (uint64_t)unzigzag(record_varint(rec)) : 0;
    r->first.time_ms = (int64_t)((uint64_t)r->time_ms + later);
    r->n = head / 4 + 1;
    r->last_ms = r->first.id.ms;
    return !rec->bad && r->first.time_ms >= 0 && r->n <= RUN_MAX &&
           r->n - 1 <= UINT64_MAX - r->first.id.seq;
}

/* ---- Changing ---- */

static struct buf *record(struct call *c, const struct key *k, enum record_kind kind)
{
    call_noted(c, c->db, key_name(k));
    return effects_new_record(c->fx, kind, c->db, key_name(k));
}

void group_put_record(struct buf *items, const struct group *g)
{
    record_put_bytes(items, group_name(g));
    record_put_varint(items, g->last_id.ms);
    record_put_varint(items, g->last_id.seq);
    record_put_varint(items, g->ordinal);
}

struct group *change_group_set(struct call *c, struct key *k, struct group *g, struct bytes name,
                               struct stream_id last_id, uint64_t ordinal)
{
    if (g == NULL) g = groups_add(&stream_of(k)->groups, name);
    group_set_place(stream_of(k)->groups, g, last_id, ordinal);
    group_put_record(record(c, k, REC_GROUP_SET), g);
    return g;
}

void change_group_destroy(struct call *c, struct key *k, struct group *g)
{
    record_put_bytes(record(c, k, REC_GROUP_DESTROY), group_name(g));
    groups_remove(&stream_of(k)->groups, g);
    c->fx->ready = true;
}

void consumer_put_record(struct buf *items, const struct group *g, const struct consumer *of)
{
    record_put_bytes(items, group_name(g));
    record_put_bytes(items, consumer_name(of));
    record_put_int(items, of->seen_ms);
    record_put_int(items, of->active_ms);
}

struct consumer *change_consumer_add(struct call *c, struct key *k, struct group *g,
                                     struct bytes name)
{
    struct consumer *added = group_add_consumer(g, name, c->now_ms);
    consumer_put_record(record(c, k, REC_CONSUMER_SET), g, added);
    return added;
}

void change_consumer_times(struct call *c, struct key *k, struct group *g, struct consumer *of,
                           int64_t seen_ms, int64_t active_ms)
{
    of->seen_ms = seen_ms;
    of->active_ms = active_ms;
    consumer_put_record(record(c, k, REC_CONSUMER_SET), g, of);
}

void change_consumer_delete(struct call *c, struct key *k, struct group *g, struct consumer *of)
{
    struct buf *items = record(c, k, REC_CONSUMER_DELETE);
    record_put_bytes(items, group_name(g));
    record_put_bytes(items, consumer_name(of));
    group_remove_consumer(g, of);
}

void change_consumer_give(struct call *c, struct key *k, struct group *g, struct consumer *from,
                          struct consumer *to, int64_t time_ms)
{
    struct buf *items = record(c, k, REC_PENDING_GIVE);
    record_put_bytes(items, group_name(g));
    record_put_bytes(items, consumer_name(from));
    record_put_bytes(items, consumer_name(to));
    record_put_int(items, time_ms);
    group_give_pending(g, from, to, time_ms);
}

/* It got something at this time. */
static void note_active(struct consumer *of, int64_t time_ms)
{
    if (time_ms > of->seen_ms) of->seen_ms = time_ms;
    if (time_ms > of->active_ms) of->active_ms = time_ms;
}

void change_pending_set(struct call *c, struct key *k, struct group *g, struct consumer *of,
                        struct pending_entry *entries, size_t n)
{
    struct pending_runs runs;
    for (size_t i = 0; i < n; i++) {
        if (i % RECORD_ENTRIES_MAX == 0) {
            if (i > 0) pending_runs_end(&runs);
            pending_runs_begin(&runs, record(c, k, REC_PENDING_SET), group_name(g),
                               consumer_name(of), &entries[i]);
        }
        entries[i].consumer = of->number;
        pending_runs_add(&runs, &entries[i]);
        group_set_pending(g, &entries[i]);
        note_active(of, entries[i].time_ms);
    }
    if (n > 0) pending_runs_end(&runs);
}

size_t change_pending_drop(struct call *c, struct key *k, struct group *g,
                           const struct stream_id *ids, size_t n)
{
    struct pending_runs runs = {0};
    size_t dropped = 0;
    for (size_t i = 0; i < n; i++) {
        struct pending_entry e = {.id = ids[i]};
        if (!group_drop_pending(g, ids[i])) continue;
        if (dropped++ % RECORD_ENTRIES_MAX == 0) {
            flush_run(&runs);
            runs = (struct pending_runs){.out = record(c, k, REC_PENDING_DROP)};
            record_put_bytes(runs.out, group_name(g));
        }
        pending_runs_add(&runs, &e);
    }
    flush_run(&runs);
    return dropped;
}

size_t change_pending_drop_all(struct call *c, struct key *k, const struct stream_id *ids, size_t n)
{
    const struct groups *g = stream_of(k)->groups;
    size_t dropped = 0;
    for (size_t i = 0; i < groups_count(g); i++)
        dropped += change_pending_drop(c, k, g->list[i], ids, n);
    return dropped;
}

static size_t drop_below(struct group *g, struct stream_id id)
{
    struct stream_id first;
    size_t dropped = 0;
    for (; pending_first(&g->pending, &first) && stream_id_cmp(first, id) < 0; dropped++)
        group_drop_pending(g, first);
    return dropped;
}

size_t change_pending_drop_below(struct call *c, struct key *k, struct group *g,
                                 struct stream_id id)
{
    size_t dropped = drop_below(g, id);
    if (dropped == 0) return 0;
    struct buf *items = record(c, k, REC_PENDING_DROP_BELOW);
    record_put_bytes(items, group_name(g));
    record_put_varint(items, id.ms);
    record_put_varint(items, id.seq);
    return dropped;
}

size_t change_pending_bytes(const struct key *k, size_t n, bool differ)
{
    enum { HEAD_BYTES = 64 };
    return n * (differ ? RUN_BYTES_MAX : RUN_IDS_BYTES_MAX) +
           (n / RECORD_ENTRIES_MAX + 1) * (HEAD_BYTES + k->name_len);
}

/* ---- Replay ---- */

/* The group that the record names first; NULL when there is none. */
static struct group *take_group(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_STREAM);
    struct bytes name = record_bytes(r);
    return k == NULL || r->bad ? NULL : groups_find(stream_of(k)->groups, name);
}

static struct consumer *take_consumer(struct group *g, struct record *r)
{
    struct bytes name = record_bytes(r);
    return g == NULL || r->bad ? NULL : group_consumer(g, name);
}

static struct consumer *find_or_add(struct group *g, struct bytes name, int64_t now_ms)
{
    struct consumer *found = group_consumer(g, name);
    return found != NULL ? found : group_add_consumer(g, name, now_ms);
}

int replay_group_set(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_STREAM);
    struct bytes name = record_bytes(r);
    struct stream_id last_id = {.ms = record_varint(r)};
    last_id.seq = record_varint(r);
    uint64_t ordinal = record_varint(r);
    if (r->bad || k == NULL) return replay_nonsense(r);
    struct group *g = groups_find(stream_of(k)->groups, name);
    if (g == NULL) g = groups_add(&stream_of(k)->groups, name);
    group_set_place(stream_of(k)->groups, g, last_id, ordinal);
    return 0;
}

int replay_group_destroy(struct keyspace *ks, struct record *r)
{
    struct group *g = take_group(ks, r);
    if (g == NULL) return replay_nonsense(r);
    groups_remove(&stream_of(replay_find(ks, r, KEY_STREAM))->groups, g);
    return 0;
}

int replay_consumer_set(struct keyspace *ks, struct record *r)
{
    struct group *g = take_group(ks, r);
    struct bytes name = record_bytes(r);
    int64_t seen_ms = record_int(r), active_ms = record_int(r);
    if (seen_ms < 0 || active_ms < -1) return -EBADMSG;
    if (r->bad || g == NULL) return replay_nonsense(r);
    struct consumer *of = find_or_add(g, name, seen_ms);
    of->seen_ms = seen_ms;
    of->active_ms = active_ms;
    return 0;
}

int replay_consumer_delete(struct keyspace *ks, struct record *r)
{
    struct group *g = take_group(ks, r);
    struct consumer *of = take_consumer(g, r);
    if (of == NULL) return replay_nonsense(r);
    group_remove_consumer(g, of);
    return 0;
}

int replay_pending_give(struct keyspace *ks, struct record *r)
{
    struct group *g = take_group(ks, r);
    struct consumer *from = take_consumer(g, r), *to = take_consumer(g, r);
    int64_t time_ms = record_int(r);
    if (time_ms < PENDING_TIME_STAYS) return -EBADMSG;
    if (r->bad || from == NULL || to == NULL) return replay_nonsense(r);
    group_give_pending(g, from, to, time_ms);
    return 0;
}

int replay_pending_set(struct keyspace *ks, struct record *r)
{
    struct pending_runs runs = {0};
    struct group *g = take_group(ks, r);
    struct bytes name = record_bytes(r);
    runs.time_ms = record_int(r);
    runs.count = record_varint(r);
    if (runs.time_ms < 0) return -EBADMSG;
    if (r->bad || g == NULL || !record_more(r)) return replay_nonsense(r);
    struct consumer *of = find_or_add(g, name, runs.time_ms);
    while (record_more(r)) {
        if (!take_run(r, &runs)) return -EBADMSG;
        struct pending_entry e = runs.first;
        e.consumer = of->number;
        note_active(of, e.time_ms);
        for (; runs.n > 0; runs.n--, e.id.seq++) group_set_pending(g, &e);
    }
    return 0;
}

int replay_pending_drop(struct keyspace *ks, struct record *r)
{
    struct pending_runs runs = {0};
    struct group *g = take_group(ks, r);
    if (r->bad || g == NULL || !record_more(r)) return replay_nonsense(r);
    while (record_more(r)) {
        if (!take_run(r, &runs)) return -EBADMSG;
        struct stream_id id = runs.first.id;
        for (; runs.n > 0; runs.n--, id.seq++)
            if (!group_drop_pending(g, id) && !r->lenient) return -EBADMSG;
    }
    return 0;
}

int replay_pending_drop_below(struct keyspace *ks, struct record *r)
{
    struct group *g = take_group(ks, r);
    struct stream_id id = {.ms = record_varint(r)};
    id.seq = record_varint(r);
    if (r->bad || g == NULL) return replay_nonsense(r);
    drop_below(g, id);
    return 0;
}
