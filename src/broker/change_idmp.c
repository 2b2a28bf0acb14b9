/* Idempotent production: changes and their effect handlers. Each message has the number of those
 * that were ever added with it, which tells replay whether it is in the state already. That a
 * message was seen again is counted in memory and recorded with the next change only: a duplicate
 * writes nothing. */
#include "broker/change_idmp.h"

#include <errno.h>

#include "broker/change_stream.h"
#include "broker/retention.h"
#include "broker/snapshot.h"

static void put_message(struct buf *items, const struct idmp_message *message, uint64_t added,
                        uint64_t duplicates)
{
    record_put_bytes(items, message->pid);
    record_put_bytes(items, message->iid);
    record_put_id(items, message->id);
    record_put_int(items, message->added_ms);
    record_put_varint(items, added);
    record_put_varint(items, duplicates);
}

static struct stream_idmp *idmp_of(struct stream *s)
{
    if (s->idmp == NULL) s->idmp = idmp_new();
    return s->idmp;
}

void change_idmp_add(struct call *c, struct key *k, struct bytes pid, struct bytes iid,
                     struct stream_id id)
{
    struct stream_idmp *m = idmp_of(stream_of(k));
    struct idmp_message message = {pid, iid, id, c->now_ms};
    m->added++;
    put_message(effects_new_record(c->fx, REC_STREAM_IDMP_ADD, c->db, key_name(k)), &message,
                m->added, m->duplicates);
    call_changed(c, c->db, key_name(k));
    idmp_add(m, &message);
    retention_wake(c->broker); /* it forgets what has run out */
}

static void put_limits(struct buf *items, const struct stream_idmp *m, bool forget, uint64_t added)
{
    record_put_varint(items, m->duration_s);
    record_put_varint(items, m->maxsize);
    record_put_varint(items, forget);
    record_put_varint(items, added);
    record_put_varint(items, m->duplicates);
}

void change_idmp_limits(struct call *c, struct key *k, uint32_t duration_s, uint32_t maxsize)
{
    struct stream_idmp *m = idmp_of(stream_of(k));
    bool forget = m->duration_s != duration_s || m->maxsize != maxsize;
    m->duration_s = duration_s;
    m->maxsize = maxsize;
    if (forget) idmp_clear(m);
    put_limits(effects_new_record(c->fx, REC_STREAM_IDMP_SET, c->db, key_name(k)), m, forget,
               m->added);
    call_changed(c, c->db, key_name(k));
}

/* ---- Snapshots ---- */

struct put {
    struct snapshot_writer *writer;
    int db;
    const struct key *key;
    uint64_t added; /* up to the next message: numbered as if they were the last that were added */
};

static void put_one(const struct idmp_message *message, void *arg)
{
    struct put *p = arg;
    struct buf *out = snapshot_record(p->writer);
    record_put_head(out, REC_STREAM_IDMP_ADD, p->db, key_name(p->key));
    put_message(out, message, ++p->added, stream_of(p->key)->idmp->duplicates);
    snapshot_record_end(p->writer);
}

void idmp_put(struct snapshot_writer *w, int db, const struct key *k)
{
    struct stream_idmp *m = stream_of(k)->idmp;
    struct put p = {w, db, k, 0};
    if (m == NULL) return;
    p.added = m->added - m->tracked;
    struct buf *out = snapshot_record(w);
    record_put_head(out, REC_STREAM_IDMP_SET, db, key_name(k));
    put_limits(out, m, false, p.added);
    snapshot_record_end(w);
    idmp_walk(m, put_one, &p);
}

/* ---- Replay ---- */

int replay_stream_idmp_add(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_find_stream(ks, r);
    struct idmp_message message = {.pid = record_bytes(r)};
    message.iid = record_bytes(r);
    message.id = record_id(r);
    message.added_ms = record_int(r);
    uint64_t added = record_varint(r), duplicates = record_varint(r);
    if (r->bad || s == NULL) return replay_nonsense(r);
    struct stream_idmp *m = idmp_of(s);
    if (added <= m->added) return replay_nonsense(r); /* the state is ahead */
    m->added = added;
    m->duplicates = duplicates;
    idmp_add(m, &message);
    return 0;
}

int replay_stream_idmp_set(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_find_stream(ks, r);
    uint64_t duration_s = record_varint(r), maxsize = record_varint(r), forget = record_varint(r);
    uint64_t added = record_varint(r), duplicates = record_varint(r);
    if (r->bad || duration_s < 1 || duration_s > IDMP_DURATION_MAX || maxsize < 1 ||
        maxsize > IDMP_MAXSIZE_MAX || forget > 1)
        return -EBADMSG;
    if (s == NULL) return replay_nonsense(r);
    struct stream_idmp *m = idmp_of(s);
    if (!forget && added < m->added)
        return replay_nonsense(r); /* the state is ahead, and stays as it is */
    *m = (struct stream_idmp){(uint32_t)duration_s, (uint32_t)maxsize, added,
                              duplicates,           m->tracked,        m->producers};
    if (forget) idmp_clear(m);
    return 0;
}
