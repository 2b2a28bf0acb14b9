/* Changes of string values, and their effect handlers. */
#include <errno.h>

#include "base/hash.h"
#include "broker/call.h"
#include "keys/str.h"

static struct key *set_value(struct keyspace *ks, int db, struct key *k, struct bytes name,
                             uint64_t hash, struct bytes value, bool keep_expiry)
{
    if (k == NULL) {
        k = keyspace_add(ks, db, name, hash, KEY_STRING, ENC_EMBSTR);
    } else {
        if (k->type != KEY_STRING) keyspace_reset(ks, k, KEY_STRING, ENC_EMBSTR);
        if (!keep_expiry && k->expire_at_ms != KEY_NEVER) keyspace_expire_at(ks, db, k, KEY_NEVER);
    }
    str_set(k, value);
    return k;
}

struct key *change_string_set(struct call *c, struct key *k, struct bytes name, struct bytes value,
                              bool keep_expiry)
{
    uint64_t hash = call_hash(c, name);
    enum record_kind kind = keep_expiry ? REC_STRING_KEEP : REC_STRING_SET;
    record_put_bytes(effects_new_record(c->fx, kind, c->db, name), value);
    effects_changed(c->fx, c->db, name, hash);
    k = set_value(c->ks, c->db, k, name, hash, value, keep_expiry);
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
    return k;
}

static int replay_set(struct keyspace *ks, struct record *r, bool keep_expiry)
{
    uint64_t hash = hash_bytes(r->key);
    struct bytes value = record_bytes(r);
    if (r->bad) return -EBADMSG;
    set_value(ks, r->db, keyspace_find(ks, r->db, r->key, hash), r->key, hash, value, keep_expiry);
    return 0;
}

int replay_string_set(struct keyspace *ks, struct record *r)
{
    return replay_set(ks, r, false);
}

int replay_string_keep(struct keyspace *ks, struct record *r)
{
    return replay_set(ks, r, true);
}

struct key *change_string_write(struct call *c, struct key *k, struct bytes name, size_t offset,
                                struct bytes value)
{
    uint64_t hash = hash_bytes(name);
    struct buf *items = effects_new_record(c->fx, REC_STRING_WRITE, c->db, name);
    record_put_int(items, (int64_t)offset);
    record_put_bytes(items, value);
    effects_changed(c->fx, c->db, name, hash);
    if (k == NULL) k = keyspace_add(c->ks, c->db, name, hash, KEY_STRING, ENC_RAW);
    str_write(k, offset, value);
    return k;
}

int replay_string_write(struct keyspace *ks, struct record *r)
{
    uint64_t hash = hash_bytes(r->key);
    int64_t offset = record_int(r);
    struct bytes value = record_bytes(r);
    if (r->bad || offset < 0 || offset > STR_BYTES_MAX) return -EBADMSG;
    struct key *k = keyspace_find(ks, r->db, r->key, hash);
    if (k == NULL) k = keyspace_add(ks, r->db, r->key, hash, KEY_STRING, ENC_RAW);
    if (k->type != KEY_STRING) return r->lenient ? 0 : -EBADMSG;
    str_write(k, (size_t)offset, value);
    return 0;
}
