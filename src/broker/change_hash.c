#include "broker/change_hash.h"

#include <errno.h>

#include "base/hash.h"
#include "broker/internal.h"

static struct hash_limits limits_of(const struct call *c)
{
    const struct settings *s = &c->broker->settings;
    return (struct hash_limits){s->hash_max_listpack_entries, s->hash_max_listpack_value};
}

struct key *change_hash_new(struct call *c, struct bytes name)
{
    struct key *k = keyspace_add(c->ks, c->db, name, hash_bytes(name), KEY_HASH, ENC_LISTPACK);
    hash_init(k);
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
    call_event(c, NOTIFY_NEW, "new", name);
    return k;
}

void change_hash_make_room(struct call *c, struct key *k, const struct bytes *texts, size_t count)
{
    struct hash_limits limits = limits_of(c);
    hash_make_room(k, texts, count, &limits);
}

bool change_hash_set(struct call *c, struct key *k, struct bytes field, struct bytes value)
{
    struct hash_limits limits = limits_of(c);
    struct buf *items = effects_record(c->fx, REC_HASH_SET, c->db, key_name(k));
    record_put_bytes(items, field);
    record_put_bytes(items, value);
    call_changed(c, c->db, key_name(k));
    return hash_set(k, field, value, &limits);
}

/* Replay knows no settings: it starts from the defaults, and the encoding follows the next change.
 */
static const struct hash_limits replay_limits = {512, 64};

int replay_hash_set(struct keyspace *ks, struct record *r)
{
    uint64_t hash = hash_bytes(r->key);
    struct key *k = keyspace_find(ks, r->db, r->key, hash);
    if (k == NULL) {
        k = keyspace_add(ks, r->db, r->key, hash, KEY_HASH, ENC_LISTPACK);
        hash_init(k);
    }
    if (k->type != KEY_HASH) return r->lenient ? 0 : -EBADMSG;
    while (record_more(r)) {
        struct bytes field = record_bytes(r);
        struct bytes value = record_bytes(r);
        if (r->bad) return -EBADMSG;
        hash_set(k, field, value, &replay_limits);
    }
    return 0;
}

bool change_hash_delete(struct call *c, struct key *k, struct bytes field)
{
    if (!hash_delete(k, field)) return false;
    record_put_bytes(effects_record(c->fx, REC_HASH_DELETE, c->db, key_name(k)), field);
    call_changed(c, c->db, key_name(k));
    return true;
}

int replay_hash_delete(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_HASH);
    if (k == NULL) return r->lenient ? 0 : -EBADMSG;
    while (record_more(r)) {
        struct bytes field = record_bytes(r);
        if (r->bad || (!hash_delete(k, field) && !r->lenient)) return -EBADMSG;
    }
    return 0;
}

bool change_hash_drop_if_empty(struct call *c, struct key *k, struct bytes name)
{
    if (hash_count(k) > 0) return false;
    change_delete(c, c->db, k);
    call_event(c, NOTIFY_GENERIC, "del", name);
    return true;
}
