/* Changes of lists, and their effect handlers.
 *
 * The removal of a last element is recorded as the deletion of the key, so a record never leaves a
 * list empty, and replay takes one that would for nonsense; but for LIST_MOVE, which may take the
 * last element along. */
#include "broker/change_list.h"

#include <errno.h>

#include "base/hash.h"
#include "broker/internal.h"

enum move_flag { MOVE_FROM_TAIL = 1 << 0, MOVE_TO_TAIL = 1 << 1 };

static int64_t limit_of(const struct call *c)
{
    return c->broker->settings.list_max_listpack_size;
}

static struct key *add_key(struct keyspace *ks, int db, struct bytes name)
{
    struct key *k = keyspace_add(ks, db, name, hash_bytes(name), KEY_LIST, ENC_LISTPACK);
    list_init(k);
    return k;
}

static struct key *new_list(struct call *c, struct bytes name)
{
    struct key *k = add_key(c->ks, c->db, name);
    k->accessed_s = (uint32_t)(c->now_ms / 1000);
    call_event(c, NOTIFY_NEW, "new", name);
    return k;
}

struct key *change_list_push(struct call *c, struct key *k, struct bytes name, enum list_end end,
                             const struct bytes *values, size_t count)
{
    enum record_kind kind = end == LIST_HEAD ? REC_LIST_PUSH_HEAD : REC_LIST_PUSH_TAIL;
    if (k == NULL) k = new_list(c, name);
    list_make_room(k, values, count, limit_of(c));
    for (size_t i = 0; i < count; i++) {
        record_put_bytes(effects_record(c->fx, kind, c->db, name), values[i]);
        list_push(k, end, values[i], limit_of(c));
    }
    call_changed(c, c->db, name);
    c->fx->ready = true;
    return k;
}

struct key *change_list_drop(struct call *c, struct key *k, enum list_end end, size_t n)
{
    enum record_kind kind = end == LIST_HEAD ? REC_LIST_DROP_HEAD : REC_LIST_DROP_TAIL;
    if (n == list_count(k)) {
        change_delete(c, c->db, k);
        return NULL;
    }
    record_put_int(effects_new_record(c->fx, kind, c->db, key_name(k)), (int64_t)n);
    call_changed(c, c->db, key_name(k));
    list_drop(k, end, n, limit_of(c));
    return k;
}

/* True when nothing is left behind. */
static bool move(struct key *from, enum list_end from_end, struct key *to, enum list_end to_end,
                 int64_t limit)
{
    list_push(to, to_end, list_peek(from, from_end), limit);
    list_drop(from, from_end, 1, limit);
    return list_count(from) == 0;
}

struct key *change_list_move(struct call *c, struct key *from, enum list_end from_end,
                             struct key *to, struct bytes to_name, enum list_end to_end)
{
    struct buf *items = effects_new_record(c->fx, REC_LIST_MOVE, c->db, key_name(from));
    record_put_int(items, (from_end == LIST_TAIL ? MOVE_FROM_TAIL : 0) |
                              (to_end == LIST_TAIL ? MOVE_TO_TAIL : 0));
    record_put_bytes(items, to_name);
    call_changed(c, c->db, to_name);
    call_changed(c, c->db, key_name(from));
    c->fx->ready = true;
    if (to == NULL) to = new_list(c, to_name);
    if (!move(from, from_end, to, to_end, limit_of(c))) return from;
    keyspace_remove(c->ks, c->db, from);
    return NULL;
}

void change_list_set(struct call *c, struct key *k, size_t index, struct bytes value)
{
    struct buf *items = effects_new_record(c->fx, REC_LIST_SET, c->db, key_name(k));
    record_put_int(items, (int64_t)index);
    record_put_bytes(items, value);
    call_changed(c, c->db, key_name(k));
    list_make_room(k, &value, 1, limit_of(c));
    list_set(k, index, value, limit_of(c));
}

void change_list_insert(struct call *c, struct key *k, size_t index, struct bytes value)
{
    struct buf *items = effects_new_record(c->fx, REC_LIST_INSERT, c->db, key_name(k));
    record_put_int(items, (int64_t)index);
    record_put_bytes(items, value);
    call_changed(c, c->db, key_name(k));
    list_make_room(k, &value, 1, limit_of(c));
    list_insert(k, index, value, limit_of(c));
}

struct key *change_list_remove(struct call *c, struct key *k, enum list_end from,
                               struct bytes value, size_t max, size_t *ret_removed)
{
    size_t n = list_remove(k, from, value, max, limit_of(c));
    *ret_removed = n;
    if (n == 0) return k;
    if (list_count(k) == 0) {
        change_delete(c, c->db, k);
        return NULL;
    }
    struct buf *items = effects_new_record(c->fx, REC_LIST_REMOVE, c->db, key_name(k));
    record_put_int(items, from == LIST_HEAD ? (int64_t)n : -(int64_t)n);
    record_put_bytes(items, value);
    call_changed(c, c->db, key_name(k));
    return k;
}

/* ---- Replay: it knows no settings and takes the default limit ---- */

/* The list to add to, made if it is absent; NULL when the key is of another type. */
static struct key *find_or_add(struct keyspace *ks, int db, struct bytes name)
{
    struct key *k = keyspace_find(ks, db, name, hash_bytes(name));
    if (k == NULL) return add_key(ks, db, name);
    return k->type == KEY_LIST ? k : NULL;
}

static int replay_push(struct keyspace *ks, struct record *r, enum list_end end)
{
    if (!record_more(r)) return -EBADMSG;
    struct key *k = find_or_add(ks, r->db, r->key);
    if (k == NULL) return replay_nonsense(r);
    while (record_more(r)) {
        struct bytes value = record_bytes(r);
        if (!r->bad) list_push(k, end, value, LIST_LIMIT_DEFAULT);
    }
    if (list_count(k) == 0) keyspace_remove(ks, r->db, k); /* its first value was damaged */
    return r->bad ? -EBADMSG : 0;
}

int replay_list_push_head(struct keyspace *ks, struct record *r)
{
    return replay_push(ks, r, LIST_HEAD);
}

int replay_list_push_tail(struct keyspace *ks, struct record *r)
{
    return replay_push(ks, r, LIST_TAIL);
}

static int replay_drop(struct keyspace *ks, struct record *r, enum list_end end)
{
    struct key *k = replay_find(ks, r, KEY_LIST);
    int64_t n = record_int(r);
    if (r->bad || k == NULL || n < 0 || (uint64_t)n >= list_count(k)) return replay_nonsense(r);
    list_drop(k, end, (size_t)n, LIST_LIMIT_DEFAULT);
    return 0;
}

int replay_list_drop_head(struct keyspace *ks, struct record *r)
{
    return replay_drop(ks, r, LIST_HEAD);
}

int replay_list_drop_tail(struct keyspace *ks, struct record *r)
{
    return replay_drop(ks, r, LIST_TAIL);
}

int replay_list_set(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_LIST);
    int64_t index = record_int(r);
    struct bytes value = record_bytes(r);
    if (r->bad || k == NULL || index < 0 || (uint64_t)index >= list_count(k))
        return replay_nonsense(r);
    list_set(k, (size_t)index, value, LIST_LIMIT_DEFAULT);
    return 0;
}

int replay_list_insert(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_LIST);
    int64_t index = record_int(r);
    struct bytes value = record_bytes(r);
    if (r->bad || k == NULL || index < 0 || (uint64_t)index > list_count(k))
        return replay_nonsense(r);
    list_insert(k, (size_t)index, value, LIST_LIMIT_DEFAULT);
    return 0;
}

int replay_list_remove(struct keyspace *ks, struct record *r)
{
    struct key *k = replay_find(ks, r, KEY_LIST);
    int64_t n = record_int(r);
    struct bytes value = record_bytes(r);
    if (r->bad || k == NULL || n == 0 || n == INT64_MIN) return replay_nonsense(r);
    enum list_end from = n > 0 ? LIST_HEAD : LIST_TAIL;
    size_t max = (size_t)(n > 0 ? n : -n);
    size_t removed = list_remove(k, from, value, max, LIST_LIMIT_DEFAULT);
    if (list_count(k) > 0) return removed == max ? 0 : replay_nonsense(r);
    keyspace_remove(ks, r->db, k);
    return replay_nonsense(r);
}

int replay_list_move(struct keyspace *ks, struct record *r)
{
    struct key *from = replay_find(ks, r, KEY_LIST);
    int64_t flags = record_int(r);
    struct bytes to_name = record_bytes(r);
    if (r->bad || from == NULL || (flags & ~(int64_t)(MOVE_FROM_TAIL | MOVE_TO_TAIL)) != 0)
        return replay_nonsense(r);
    struct key *to = find_or_add(ks, r->db, to_name);
    if (to == NULL) return replay_nonsense(r);
    if (move(from, flags & MOVE_FROM_TAIL ? LIST_TAIL : LIST_HEAD, to,
             flags & MOVE_TO_TAIL ? LIST_TAIL : LIST_HEAD, LIST_LIMIT_DEFAULT))
        keyspace_remove(ks, r->db, from);
    return 0;
}
