/* Values as records, one function per type: adding a type is adding its own. A small value is one
 * record; a large one becomes many, put in several calls: between them it may change, see
 * snapshot_put_value().
 *
 * What such a function owes: every part of the value that nobody changes from the first call to the
 * last is in one of the records at least. A scan of a map gives that by itself. */
#include "base/must.h"
#include "broker/records.h"
#include "broker/snapshot.h"
#include "keys/hash.h"
#include "keys/list.h"
#include "keys/set.h"
#include "keys/str.h"
#include "keys/zset.h"

enum {
    PUT_BYTES = 32 << 10,     /* and no more in one call, but for a single large element */
    RECORD_BYTES = 512 << 10, /* of a string or a list in one record */
    IN_ORDER_MAX = 1024,      /* a sorted set as small is put in one call, in order */
};

/* A record under way. */
struct put {
    struct snapshot_writer *writer;
    struct buf *out;
    size_t start; /* of the items */
};

static void begin(struct put *p, struct snapshot_writer *w, enum record_kind kind, int db,
                  const struct key *k)
{
    p->writer = w;
    p->out = snapshot_record(w);
    record_put_head(p->out, kind, db, key_name(k));
    p->start = p->out->len;
}

static bool is_full(const struct put *p)
{
    return p->out->len - p->start >= PUT_BYTES;
}

static void end(struct put *p)
{
    if (p->out->len == p->start) snapshot_record_drop(p->writer);
    else snapshot_record_end(p->writer);
}

/* Puts the items of a table, bucket by bucket, until there is enough. */
static bool scan(struct put *p, struct map *table, uint64_t *cursor,
                 void (*item)(void *item, void *put))
{
    do *cursor = map_scan(table, *cursor, item, p);
    while (*cursor != 0 && !is_full(p));
    end(p);
    return *cursor == 0;
}

static bool put_string(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    struct bytes text = str_get(k, scratch);
    struct put p;
    if (*cursor > text.len) return true; /* it has become shorter meanwhile */
    size_t left = text.len - (size_t)*cursor;
    struct bytes part = {text.data + *cursor, left < RECORD_BYTES ? left : RECORD_BYTES};
    begin(&p, w, *cursor == 0 ? REC_STRING_SET : REC_STRING_WRITE, db, k);
    if (*cursor > 0) record_put_int(p.out, (int64_t)*cursor);
    record_put_bytes(p.out, part);
    snapshot_record_end(w);
    *cursor += part.len;
    return part.len == left;
}

static void put_hash_entry(void *item, void *arg)
{
    struct put *p = arg;
    record_put_bytes(p->out, hash_entry_field(item));
    record_put_bytes(p->out, hash_entry_value(item));
}

static bool put_hash(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    struct put p;
    struct hash_iter it;
    struct bytes field, value;
    begin(&p, w, REC_HASH_SET, db, k);
    if (k->encoding == ENC_HASHTABLE)
        return scan(&p, &k->value.hash->table, cursor, put_hash_entry);
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) {
        record_put_bytes(p.out, field);
        record_put_bytes(p.out, value);
    }
    hash_iter_fini(&it);
    end(&p);
    return true;
}

static void put_set_member(void *item, void *arg)
{
    const struct set_member *m = item;
    struct put *p = arg;
    record_put_bytes(p->out, (struct bytes){m->data, m->len});
}

static bool put_set(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    struct put p;
    struct set_iter it;
    struct bytes member;
    begin(&p, w, REC_SET_ADD, db, k);
    if (k->encoding == ENC_HASHTABLE) return scan(&p, &k->value.set->table, cursor, put_set_member);
    set_iter_init(&it, k);
    while (set_iter_next(&it, &member)) record_put_bytes(p.out, member);
    set_iter_fini(&it);
    end(&p);
    return true;
}

static void put_zset_entry(struct put *p, struct zset_entry e)
{
    record_put_score(p->out, e.score);
    record_put_bytes(p->out, e.member);
}

static void put_zset_item(void *item, void *arg)
{
    put_zset_entry(arg, zset_item_entry(item));
}

static bool put_zset(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    struct put p;
    struct zset_iter it;
    struct zset_entry e;
    struct zset *z = k->value.zset;
    struct map *table = zset_map(z);
    begin(&p, w, REC_ZSET_ADD, db, k);
    if (table != NULL && (*cursor != 0 || zset_count(z) > IN_ORDER_MAX))
        return scan(&p, table, cursor, put_zset_item);
    zset_iter_init(&it, z, (struct zset_span){0, zset_count(z)}, false);
    while (zset_iter_next(&it, &e)) put_zset_entry(&p, e);
    end(&p);
    return true;
}

/* In one go, since the records of lists are not absolute: between two calls it may not change. A
 * large one is copied first (snapshot.c). */
static bool put_list(struct snapshot_writer *w, int db, const struct key *k)
{
    struct put p;
    struct list_iter it;
    struct bytes value;
    begin(&p, w, REC_LIST_PUSH_TAIL, db, k);
    list_iter_init(&it, k, 0, LIST_HEAD);
    while (list_iter_next(&it, &value)) {
        if (p.out->len - p.start >= RECORD_BYTES) {
            end(&p);
            begin(&p, w, REC_LIST_PUSH_TAIL, db, k);
        }
        record_put_bytes(p.out, value);
    }
    end(&p);
    return true;
}

bool snapshot_put_list_part(struct snapshot_writer *w, int db, struct bytes name, struct list *l)
{
    struct put p = {.writer = w, .out = snapshot_record(w)};
    struct bytes value;
    record_put_head(p.out, REC_LIST_PUSH_TAIL, db, name);
    p.start = p.out->len;
    while (l->first != NULL && !is_full(&p)) {
        const struct list_node *n = l->first;
        for (uint32_t at = n->start; at < n->end;) {
            at = list_node_read(n, at, &value);
            record_put_bytes(p.out, value);
        }
        list_drop_first_node(l);
    }
    end(&p);
    return l->first == NULL;
}

bool snapshot_put_value(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    switch ((enum key_type)k->type) {
    case KEY_STRING:
        return put_string(w, db, k, cursor);
    case KEY_HASH:
        return put_hash(w, db, k, cursor);
    case KEY_SET:
        return put_set(w, db, k, cursor);
    case KEY_ZSET:
        return put_zset(w, db, k, cursor);
    case KEY_LIST:
        return put_list(w, db, k);
    case KEY_STREAM:
        return snapshot_put_stream(w, db, k, cursor);
    case KEY_TYPES:
        break;
    }
    must(!"a type that snapshots do not know");
    return true;
}
