/* Streams in snapshots: sealed blocks by reference to their chunks, the rest as they are.
 *
 *   STREAM_CHUNK, STREAM_BLOCK ... (by ordinal)   STREAM_META   groups
 *
 * Entries that are added while the walk is under way are in the journal. So that replay, which
 * leaves out what is not behind the stream's last id, adds them all, META must not know more than
 * the blocks: it is put in the same call as the last of them, the open one. */
#include <errno.h>

#include "base/mem.h"
#include "broker/change_idmp.h"
#include "broker/change_stream.h"
#include "broker/records.h"
#include "broker/snapshot.h"
#include "keys/stream_priv.h"

enum { PUT_BYTES = 32 << 10 }; /* in one call, or a block more */

/* A cursor is 0, an ordinal + 1 to go on from, or this bit and the groups' own. */
#define IN_GROUPS (UINT64_C(1) << 63)

/* What both kinds of blocks begin with. */
static void put_block_head(struct buf *out, const struct stream_block *b)
{
    struct bytes deleted = {(const char *)b->deleted,
                            b->deleted != NULL ? stream_block_deleted_bytes(b) : 0};
    record_put_id(out, b->first);
    record_put_id(out, b->last);
    record_put_varint(out, b->ordinal);
    record_put_varint(out, b->count);
    record_put_varint(out, b->start);
    record_put_varint(out, b->wire_len);
    record_put_varint(out, b->live_bytes);
    record_put_bytes(out, deleted);
}

static size_t put_block(struct snapshot_writer *w, int db, const struct key *k,
                        const struct stream_block *b)
{
    struct buf *out = snapshot_record(w);
    size_t start = out->len;
    record_put_head(out, b->ref.file != 0 ? REC_STREAM_CHUNK : REC_STREAM_BLOCK, db, key_name(k));
    put_block_head(out, b);
    if (b->ref.file != 0) {
        record_put_varint(out, b->ref.file);
        record_put_varint(out, b->ref.offset);
        record_put_varint(out, b->ref.length);
        record_put_varint(out, b->ref.crc);
    } else {
        record_put_bytes(
            out, (struct bytes){(const char *)b->data->offsets, b->data->count * sizeof(uint32_t)});
        record_put_bytes(out, (struct bytes){b->data->wire, b->data->wire_len});
    }
    size_t size = out->len - start;
    snapshot_record_end(w);
    return size;
}

static void put_meta(struct snapshot_writer *w, int db, const struct key *k)
{
    const struct stream *s = stream_of(k);
    struct buf *out = snapshot_record(w);
    record_put_head(out, REC_STREAM_META, db, key_name(k));
    record_put_id(out, s->last_id);
    record_put_id(out, s->max_deleted_id);
    record_put_varint(out, s->entries_added);
    record_put_varint(out, s->next_ordinal);
    record_put_int(out, s->retention.age_ms);
    record_put_varint(out, s->retention.bytes);
    record_put_varint(out, s->retention.acknowledged);
    snapshot_record_end(w);
}

static size_t block_from_ordinal(const struct stream *s, uint64_t ordinal)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (block_at(s, middle)->ordinal < ordinal) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* True when the last block is put, and META. */
static bool put_blocks(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    struct stream *s = stream_of(k);
    size_t put = 0;
    size_t i = *cursor > 0 ? block_from_ordinal(s, *cursor - 1) : 0;
    for (; i < s->count; i++) {
        struct stream_block *b = block_at(s, i);
        if (put >= PUT_BYTES) {
            *cursor = b->ordinal + 1;
            return false;
        }
        put += put_block(w, db, k, b);
        if (b->ref.file != 0) store_tidy(s->store, b);
    }
    put_meta(w, db, k);
    idmp_put(w, db, k);
    return true;
}

bool snapshot_put_stream(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    if (!(*cursor & IN_GROUPS)) {
        if (!put_blocks(w, db, k, cursor)) return false;
        *cursor = IN_GROUPS;
    }
    uint64_t of_groups = *cursor & ~IN_GROUPS;
    bool whole = groups_put(w, db, k, &of_groups);
    *cursor = IN_GROUPS | of_groups;
    return whole;
}

/* ---- Replay ---- */

/* The block without its bytes; NULL when it makes no sense. */
static struct stream_block *read_block_head(struct record *r)
{
    struct stream_block *b = stream_block_new(0);
    b->first = record_id(r);
    b->last = record_id(r);
    b->ordinal = record_varint(r);
    uint64_t count = record_varint(r), start = record_varint(r), wire_len = record_varint(r);
    b->live_bytes = record_varint(r);
    struct bytes deleted = record_bytes(r);
    b->count = (uint32_t)count;
    b->start = (uint32_t)start;
    b->wire_len = (uint32_t)wire_len;
    bool good = !r->bad && count > 0 && count <= UINT32_MAX && start <= count &&
                wire_len <= UINT32_MAX && b->live_bytes <= wire_len &&
                stream_id_cmp(b->first, b->last) <= 0 &&
                (deleted.len == 0 || deleted.len == stream_block_deleted_bytes(b));
    if (good && deleted.len > 0) b->deleted = mem_dup(deleted.data, deleted.len);
    if (good) b->live = stream_block_live_between(b, 0, b->count);
    if (good && b->live > 0) return b;
    stream_block_free(b);
    return NULL;
}

/* False when it makes no sense. */
static bool read_ref(struct record *r, struct chunk_ref *ret)
{
    ret->file = record_varint(r);
    ret->offset = record_varint(r);
    uint64_t length = record_varint(r), crc = record_varint(r);
    ret->length = (uint32_t)length;
    ret->crc = (uint32_t)crc;
    return !r->bad && ret->file > 0 && length <= UINT32_MAX && crc <= UINT32_MAX;
}

bool snapshot_chunk_ref(struct bytes record, struct chunk_ref *ret)
{
    struct record r;
    if (!record_open(&r, record) || r.kind != REC_STREAM_CHUNK) return false;
    struct stream_block *b = read_block_head(&r);
    bool good = b != NULL && read_ref(&r, ret);
    stream_block_free(b);
    return good;
}

static bool read_chunk(struct stream *s, struct record *r, struct stream_block *b)
{
    struct chunk_ref ref;
    return read_ref(r, &ref) && ref.length == (uint64_t)b->count * sizeof(uint32_t) + b->wire_len &&
           store_adopt(s->store, b, &ref);
}

static bool read_bytes(struct stream *s, struct record *r, struct stream_block *b)
{
    struct bytes offsets = record_bytes(r), wire = record_bytes(r);
    if (r->bad || offsets.len != b->count * sizeof(uint32_t) || wire.len != b->wire_len)
        return false;
    b->data = stream_block_data_new(b->wire_len, b->count);
    memcpy(b->data->offsets, offsets.data, offsets.len);
    memcpy(b->data->wire, wire.data, wire.len);
    b->data->wire_len = b->wire_len;
    b->data->count = b->count;
    if (!stream_block_data_is_sound(b->data)) {
        stream_block_data_free(b->data);
        return false;
    }
    return true;
}

static int replay_block(struct keyspace *ks, struct record *r,
                        bool (*fill)(struct stream *s, struct record *r, struct stream_block *b))
{
    struct stream *s = replay_need_stream(ks, r);
    struct stream_block *b = s != NULL ? read_block_head(r) : NULL;
    if (b == NULL) return -EBADMSG;
    bool behind = s->count == 0 || stream_id_cmp(b->first, block_at(s, s->count - 1)->last) > 0;
    if (!behind || !fill(s, r, b)) {
        stream_block_free(b);
        return -EBADMSG;
    }
    stream_add_block(s, b);
    return 0;
}

int replay_stream_chunk(struct keyspace *ks, struct record *r)
{
    return replay_block(ks, r, read_chunk);
}

int replay_stream_block(struct keyspace *ks, struct record *r)
{
    return replay_block(ks, r, read_bytes);
}

int replay_stream_meta(struct keyspace *ks, struct record *r)
{
    struct stream *s = replay_need_stream(ks, r);
    struct stream_id last_id = record_id(r), max_deleted_id = record_id(r);
    uint64_t entries_added = record_varint(r), next_ordinal = record_varint(r);
    struct stream_retention retention = {.age_ms = record_int(r)};
    retention.bytes = record_varint(r);
    retention.acknowledged = record_varint(r) != 0;
    if (r->bad || s == NULL || next_ordinal < s->next_ordinal) return -EBADMSG;
    if (stream_id_cmp(last_id, s->last_id) < 0) return -EBADMSG; /* that of the last block */
    s->last_id = last_id;
    s->max_deleted_id = max_deleted_id;
    s->entries_added = entries_added;
    s->next_ordinal = next_ordinal;
    s->retention = retention;
    return 0;
}
