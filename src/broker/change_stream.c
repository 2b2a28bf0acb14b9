/* Changes of streams, and their effect handlers.
 *
 * The records are absolute (records.h): each leads to the same for the entries it names whatever
 * state it meets. An entry is added only behind the last one there is, so one that is there
 * already, or was and has been removed, is not added again; last_id is what the newest record says.
 */
#include "broker/change_stream.h"

#include <errno.h>

#include "base/mem.h"
#include "base/must.h"
#include "broker/change_group.h"
#include "broker/internal.h"

static struct key *add_key(struct keyspace *ks, int db, struct bytes name, uint64_t hash)
{
    struct key *k = keyspace_add(ks, db, name, hash, KEY_STREAM, ENC_STREAM);
    stream_init(k, keyspace_streams(ks));
    return k;
}

static struct key *new_stream(struct call *c, struct bytes name)
{
    struct key *k = add_key(c->ks, c->db, name, call_hash(c, name));
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
    call_event(c, NOTIFY_NEW, "new", name);
    return k;
}

void record_put_id(struct buf *out, struct stream_id id)
{
    record_put_int(out, (int64_t)id.ms);
    record_put_int(out, (int64_t)id.seq);
}

struct stream_id record_id(struct record *r)
{
    uint64_t ms = (uint64_t)record_int(r);
    return (struct stream_id){ms, (uint64_t)record_int(r)};
}

size_t change_stream_add_bytes(const struct key *k, struct stream_id id)
{
    enum { RECORD_BYTES = 64 };
    size_t bytes = 0;
    if (k == NULL || groups_next_passed(stream_of(k), id) == NULL) return 0;
    const struct groups *g = stream_of(k)->groups;
    for (size_t i = 0; i < g->count; i++)
        bytes += RECORD_BYTES + k->name_len + g->list[i]->name_len;
    return bytes;
}

/* It is recorded where they stand now: replay may meet a state that has the entry already, and no
 * longer all that came before it. */
static void settle_groups(struct call *c, struct key *k, struct stream_id id)
{
    const struct stream *s = stream_of(k);
    struct group *g;
    while ((g = groups_next_passed(s, id)) != NULL)
        change_group_set(c, k, g, group_name(g), g->last_id, s->next_ordinal);
}

struct key *change_stream_add(struct call *c, struct key *k, struct bytes name, struct stream_id id,
                              const struct bytes *fields, size_t n)
{
    if (k == NULL) k = new_stream(c, name);
    settle_groups(c, k, id);
    struct buf *items = effects_new_record(c->fx, REC_STREAM_ADD, c->db, name);
    record_put_id(items, id);
    for (size_t i = 0; i < n; i++) record_put_bytes(items, fields[i]);
    effects_changed(c->fx, c->db, name, call_hash(c, name));
    c->fx->ready = true;
    stream_append(stream_of(k), id, fields, n);
    return k;
}

/* As runs: those of one millisecond whose sequence numbers follow each other are one. */
static void put_runs(struct buf *items, const struct stream_id *ids, size_t n)
{
    for (size_t i = 0, len; i < n; i += len) {
        for (len = 1; i + len < n; len++)
            if (ids[i + len].ms != ids[i].ms || ids[i + len].seq != ids[i].seq + len) break;
        record_put_varint(items, ids[i].ms);
        record_put_varint(items, ids[i].seq);
        record_put_varint(items, len);
    }
}

static void delete_entries(struct call *c, struct key *k, const struct stream_id *ids, size_t n,
                           struct stream_id max_deleted_id)
{
    struct stream *s = stream_of(k);
    for (size_t i = 0; i < n; i++) must(stream_delete(s, ids[i]) == 1);
    s->max_deleted_id = max_deleted_id;
    struct buf *items = effects_new_record(c->fx, REC_STREAM_DELETE, c->db, key_name(k));
    record_put_id(items, max_deleted_id);
    put_runs(items, ids, n);
    call_changed(c, c->db, key_name(k));
}

void change_stream_delete(struct call *c, struct key *k, const struct stream_id *ids, size_t n)
{
    struct stream_id max = stream_of(k)->max_deleted_id;
    for (size_t i = 0; i < n; i++)
        if (stream_id_cmp(ids[i], max) > 0) max = ids[i];
    delete_entries(c, k, ids, n, max);
}

void change_stream_trim(struct call *c, struct key *k, struct stream_id keep_from, uint64_t gone)
{
    static const struct stream_id greatest = STREAM_ID_MAX; /* no id tells that it goes too */
    struct stream *s = stream_of(k);
    record_put_id(effects_new_record(c->fx, REC_STREAM_TRIM, c->db, key_name(k)), keep_from);
    call_changed(c, c->db, key_name(k));
    int64_t removed = stream_trim_to(s, keep_from);
    must(removed >= 0 && (uint64_t)removed <= gone);
    if ((uint64_t)removed < gone) delete_entries(c, k, &greatest, 1, s->max_deleted_id);
}

static void set(struct stream *s, struct stream_id last_id, uint64_t entries_added,
                struct stream_id max_deleted_id)
{
    groups_note_end(s, last_id);
    stream_set_last_id(s, last_id);
    s->entries_added = entries_added;
    s->max_deleted_id = max_deleted_id;
}

struct key *change_stream_set(struct call *c, struct key *k, struct bytes name,
                              struct stream_id last_id, uint64_t entries_added,
                              struct stream_id max_deleted_id)
{
    if (k == NULL) k = new_stream(c, name);
    else snapshots_before_copy(c->broker, c->db, k); /* ids need not grow from here on */
    struct buf *items = effects_new_record(c->fx, REC_STREAM_SET, c->db, name);
    record_put_id(items, last_id);
    record_put_int(items, (int64_t)entries_added);
    record_put_id(items, max_deleted_id);
    effects_changed(c->fx, c->db, name, call_hash(c, name));
    set(stream_of(k), last_id, entries_added, max_deleted_id);
    return k;
}

void change_stream_retention(struct call *c, struct key *k, struct stream_retention retention)
{
    struct buf *items = effects_new_record(c->fx, REC_STREAM_RETENTION, c->db, key_name(k));
    record_put_int(items, retention.age_ms);
    record_put_int(items, (int64_t)retention.bytes);
    record_put_int(items, retention.acknowledged);
    call_changed(c, c->db, key_name(k));
    stream_of(k)->retention = retention;
}

/* ---- Replay ---- */

struct stream *replay_need_stream(struct keyspace *ks, const struct record *r)
{
    uint64_t hash = hash_bytes(r->key);
    struct key *k = keyspace_find(ks, r->db, r->key, hash);
    if (k == NULL) k = add_key(ks, r->db, r->key, hash);
    return k->type == KEY_STREAM ? stream_of(k) : NULL;
}

struct stream *replay_find_stream(struct keyspace *ks, const struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_STREAM);
    return k == NULL ? NULL : stream_of(k);
}

/* The fields of a record: their number, or -1 when it is odd, none, or they are damaged. */
static ssize_t take_fields(struct record *r, struct bytes **ret)
{
    enum { FIRST_CAP = 16 };
    size_t n = 0, cap = FIRST_CAP;
    struct bytes *fields = mem_alloc(cap * sizeof *fields);
    while (record_more(r)) {
        if (n == cap) fields = mem_realloc(fields, (cap *= 2) * sizeof *fields);
        fields[n++] = record_bytes(r);
    }
    if (r->bad || n == 0 || n % 2 != 0) {
        mem_free(fields);
        return -1;
    }
    *ret = fields;
    return (ssize_t)n;
}

static int append(struct stream *s, const struct record *r, struct stream_id id,
                  const struct bytes *fields, size_t n)
{
    if (!stream_can_append(s, id)) return replay_nonsense(r);
    stream_append(s, id, fields, n);
    return 0;
}

int replay_stream_add(struct keyspace *ks, struct record *r)
{
    struct bytes *fields;
    struct stream_id id = record_id(r);
    ssize_t n = take_fields(r, &fields);
    if (n < 0) return -EBADMSG;
    struct stream *s = replay_need_stream(ks, r);
    int result = s == NULL ? replay_nonsense(r) : append(s, r, id, fields, (size_t)n);
    mem_free(fields);
    return result;
}

/* From where an entry of a run is not, to the next that is there: 1, 0 when there is none left, or
 * negative. The run may be as long as it likes. */
static int skip_absent(struct stream *s, struct stream_id *id, uint64_t *n)
{
    struct stream_iter it;
    struct stream_entry next;
    stream_iter_init(&it, s, *id, (struct stream_id){id->ms, id->seq + (*n - 1)}, false);
    int r = stream_iter_next(&it, &next);
    if (r <= 0) return r;
    *n -= next.id.seq - id->seq;
    *id = next.id;
    return 1;
}

static int delete_run(struct stream *s, struct record *r)
{
    struct stream_id id = {.ms = record_varint(r)};
    id.seq = record_varint(r);
    uint64_t n = record_varint(r);
    if (r->bad || n == 0 || n - 1 > UINT64_MAX - id.seq) return -EBADMSG;
    while (n > 0) {
        int there = stream_delete(s, id);
        if (there < 0) return there;
        if (there > 0) {
            n--;
            id.seq++;
            continue;
        }
        if (!r->lenient) return -EBADMSG;
        there = skip_absent(s, &id, &n);
        if (there <= 0) return there;
    }
    return 0;
}

int replay_stream_delete(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_find_stream(ks, r);
    struct stream_id max = record_id(r);
    if (r->bad || !record_more(r) || s == NULL) return replay_nonsense(r);
    while (record_more(r)) {
        int result = delete_run(s, r);
        if (result < 0) return result;
    }
    s->max_deleted_id = max;
    return 0;
}

int replay_stream_trim(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_find_stream(ks, r);
    struct stream_id keep_from = record_id(r);
    if (r->bad || s == NULL) return replay_nonsense(r);
    int64_t gone = stream_trim_to(s, keep_from);
    return gone < 0 ? (int)gone : 0;
}

int replay_stream_set(struct keyspace *ks, struct record *r)
{
    struct stream_id last_id = record_id(r);
    uint64_t entries_added = (uint64_t)record_int(r);
    struct stream_id max_deleted_id = record_id(r);
    if (r->bad) return -EBADMSG;
    struct stream *s = replay_need_stream(ks, r);
    if (s == NULL) return replay_nonsense(r);
    set(s, last_id, entries_added, max_deleted_id);
    return 0;
}

int replay_stream_retention(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_find_stream(ks, r);
    struct stream_retention retention = {.age_ms = record_int(r)};
    retention.bytes = (uint64_t)record_int(r);
    int64_t acknowledged = record_int(r);
    if (r->bad || retention.age_ms < 0 || acknowledged < 0 || acknowledged > 1) return -EBADMSG;
    if (s == NULL) return replay_nonsense(r);
    retention.acknowledged = acknowledged;
    s->retention = retention;
    return 0;
}
