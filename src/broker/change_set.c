#include "broker/change_set.h"

#include <errno.h>

#include "base/hash.h"
#include "broker/internal.h"

static struct set_limits limits_of(const struct call *c)
{
    const struct settings *s = &c->broker->settings;
    return (struct set_limits){s->set_max_intset_entries, s->set_max_listpack_entries,
                               s->set_max_listpack_value};
}

struct key *change_set_make(struct call *c, struct bytes name, struct bytes first)
{
    struct set_limits limits = limits_of(c);
    struct key *k = keyspace_add(c->ks, c->db, name, hash_bytes(name), KEY_SET, ENC_LISTPACK);
    set_init(k, first, &limits);
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
    return k;
}

struct key *change_set_new(struct call *c, struct bytes name, struct bytes first)
{
    call_event(c, NOTIFY_NEW, "new", name);
    return change_set_make(c, name, first);
}

bool change_set_add(struct call *c, struct key *k, struct bytes member)
{
    struct set_limits limits = limits_of(c);
    if (!set_add(k, member, &limits)) return false;
    record_put_bytes(effects_record(c->fx, REC_SET_ADD, c->db, key_name(k)), member);
    call_changed(c, c->db, key_name(k));
    return true;
}

static const struct set_limits replay_limits = {512, 128, 64};

int replay_set_add(struct keyspace *ks, struct record *r)
{
    uint64_t hash = hash_bytes(r->key);
    struct key *k = keyspace_find(ks, r->db, r->key, hash);
    while (record_more(r)) {
        struct bytes member = record_bytes(r);
        if (r->bad) return -EBADMSG;
        if (k == NULL) {
            k = keyspace_add(ks, r->db, r->key, hash, KEY_SET, ENC_LISTPACK);
            set_init(k, member, &replay_limits);
        }
        if (k->type != KEY_SET) return r->lenient ? 0 : -EBADMSG;
        if (!set_add(k, member, &replay_limits) && !r->lenient) return -EBADMSG;
    }
    return 0;
}

bool change_set_remove(struct call *c, struct key *k, struct bytes member)
{
    /* The member may be borrowed from the set itself: record it before it goes. */
    if (!set_contains(k, member)) return false;
    record_put_bytes(effects_record(c->fx, REC_SET_REMOVE, c->db, key_name(k)), member);
    call_changed(c, c->db, key_name(k));
    return set_remove(k, member);
}

int replay_set_remove(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_SET);
    if (k == NULL) return r->lenient ? 0 : -EBADMSG;
    while (record_more(r)) {
        struct bytes member = record_bytes(r);
        if (r->bad || (!set_remove(k, member) && !r->lenient)) return -EBADMSG;
    }
    return 0;
}

bool change_set_drop_if_empty(struct call *c, struct key *k, struct bytes name)
{
    if (set_count(k) > 0) return false;
    change_delete(c, c->db, k);
    call_event(c, NOTIFY_GENERIC, "del", name);
    return true;
}
