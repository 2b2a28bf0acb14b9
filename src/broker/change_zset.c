/* Changes of sorted sets, and their effect handlers.
 *
 * The removal of a last member is recorded as the deletion of the key, so a record never leaves a
 * set empty, and replay takes one that would for nonsense. */
#include "broker/change_zset.h"

#include <errno.h>
#include <math.h>

#include "base/hash.h"
#include "base/must.h"
#include "broker/admit.h"
#include "broker/internal.h"

struct zset_limits call_zset_limits(const struct call *c)
{
    const struct settings *s = &c->broker->settings;
    return (struct zset_limits){(size_t)s->zset_max_listpack_entries,
                                (size_t)s->zset_max_listpack_value};
}

static struct key *add_key(struct keyspace *ks, int db, struct bytes name, uint64_t hash,
                           struct zset *z)
{
    struct key *k = keyspace_add(ks, db, name, hash, KEY_ZSET, zset_encoding(z));
    k->value.zset = z;
    return k;
}

static void put_score(struct call *c, struct bytes name, struct bytes member, double score)
{
    struct buf *items = effects_record(c->fx, REC_ZSET_ADD, c->db, name);
    record_put_score(items, score);
    record_put_bytes(items, member);
}

struct key *change_zset_assign(struct call *c, struct key *k, struct bytes name,
                               const struct zset_place *place, double score)
{
    uint64_t hash = hash_bytes(name);
    struct zset_limits limits = call_zset_limits(c);
    struct zset_place new_place;
    must(!isnan(score));
    put_score(c, name, place->member, score);
    effects_changed(c->fx, c->db, name, hash);
    c->fx->ready = true;
    if (k == NULL) {
        k = add_key(c->ks, c->db, name, hash, zset_new());
        k->accessed_s = (uint32_t)(c->now_ms / 1000);
        call_event(c, NOTIFY_NEW, "new", name);
        zset_find(k->value.zset, place->member, &new_place);
        place = &new_place;
    }
    zset_assign(place, score, &limits);
    k->encoding = zset_encoding(k->value.zset);
    return k;
}

struct key *change_zset_take(struct call *c, struct key *k, struct bytes name,
                             const struct zset_place *place)
{
    if (zset_count(k->value.zset) == 1) {
        change_delete(c, c->db, k);
        return NULL;
    }
    record_put_bytes(effects_record(c->fx, REC_ZSET_REMOVE, c->db, name), place->member);
    effects_changed(c->fx, c->db, name, hash_bytes(name));
    zset_take(place);
    return k;
}

struct key *change_zset_take_span(struct call *c, struct key *k, struct bytes name,
                                  struct zset_span span)
{
    struct zset *z = k->value.zset;
    struct zset_place place;
    if (span.count == zset_count(z)) {
        change_delete(c, c->db, k);
        return NULL;
    }
    while (span.count-- > 0) {
        zset_find(z, zset_at(z, span.start).member, &place);
        k = change_zset_take(c, k, name, &place);
    }
    return k;
}

static bool admit_entries(struct call *c, const struct zset *z, struct zset_span span)
{
    size_t bytes = 0;
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, span, false);
    while (zset_iter_next(&it, &e)) bytes += e.member.len + ADMIT_ITEM;
    return call_admit(c, bytes);
}

bool change_zset_admit_span(struct call *c, const struct zset *z, struct zset_span span)
{
    /* Removing all is one deletion, however many there are. */
    return span.count == zset_count(z) || admit_entries(c, z, span);
}

bool change_zset_admit_store(struct call *c, const struct zset *z)
{
    return admit_entries(c, z, (struct zset_span){0, zset_count(z)});
}

static void store_new(struct call *c, struct bytes name, struct zset *z)
{
    uint64_t hash = hash_bytes(name);
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, (struct zset_span){0, zset_count(z)}, false);
    while (zset_iter_next(&it, &e)) put_score(c, name, e.member, e.score);
    effects_changed(c->fx, c->db, name, hash);
    c->fx->ready = true;
    struct key *k = add_key(c->ks, c->db, name, hash, z);
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
}

void change_zset_store(struct call *c, struct bytes name, struct zset *z, const char *event)
{
    struct key *k = call_write(c, name);
    bool was_there = k != NULL;
    if (was_there) change_delete(c, c->db, k);
    if (zset_count(z) == 0) {
        zset_free(z);
        if (was_there) call_event(c, NOTIFY_GENERIC, "del", name);
        return;
    }
    store_new(c, name, z);
    if (!was_there) call_event(c, NOTIFY_NEW, "new", name);
    call_event(c, NOTIFY_ZSET, event, name);
}

/* ---- Replay ---- */

int replay_zset_add(struct keyspace *ks, struct record *r)
{
    static const struct zset_limits limits = {128, 64};
    uint64_t hash = hash_bytes(r->key);
    struct key *k = keyspace_find(ks, r->db, r->key, hash);
    if (k != NULL && k->type != KEY_ZSET) return r->lenient ? 0 : -EBADMSG;
    if (!record_more(r)) return -EBADMSG;
    while (record_more(r)) {
        double score = record_score(r);
        struct bytes member = record_bytes(r);
        if (r->bad || isnan(score)) return -EBADMSG;
        if (k == NULL) k = add_key(ks, r->db, r->key, hash, zset_new());
        zset_put(k->value.zset, member, score, &limits);
    }
    k->encoding = zset_encoding(k->value.zset);
    return 0;
}

int replay_zset_remove(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_ZSET);
    if (k == NULL) return r->lenient ? 0 : -EBADMSG;
    while (record_more(r)) {
        struct bytes member = record_bytes(r);
        if (r->bad) return -EBADMSG;
        if (!r->lenient && zset_count(k->value.zset) == 1) return -EBADMSG;
        if (!zset_remove(k->value.zset, member) && !r->lenient) return -EBADMSG;
    }
    return r->bad ? -EBADMSG : 0;
}
