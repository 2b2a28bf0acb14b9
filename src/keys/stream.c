/* Streams: their blocks, and what adds to them and takes from them. Reading is in stream_read.c. */
#include "keys/stream.h"

#include <errno.h>

#include "base/mem.h"
#include "base/must.h"
#include "keys/stream_group.h"
#include "keys/stream_idmp.h"
#include "keys/stream_priv.h"

void stream_init(struct key *k, struct stream_store *store)
{
    struct stream *s = mem_calloc(sizeof *s);
    s->store = store;
    s->serial = ++store->serial;
    k->value.stream = s;
    k->encoding = ENC_STREAM;
}

/* ---- Blocks ---- */

size_t stream_find_block(const struct stream *s, struct stream_id id)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stream_id_cmp(block_at(s, middle)->last, id) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

void stream_push_block(struct stream *s, struct stream_block *b)
{
    if (s->first + s->count == s->cap) {
        if (s->first > s->cap / 2) {
            memmove(s->blocks, s->blocks + s->first, s->count * sizeof(struct stream_block *));
            s->first = 0;
        } else {
            s->cap = s->cap > 0 ? s->cap * 2 : 4;
            s->blocks = mem_realloc(s->blocks, s->cap * sizeof(struct stream_block *));
        }
    }
    s->blocks[s->first + s->count++] = b;
}

void stream_add_block(struct stream *s, struct stream_block *b)
{
    struct stream_block *tail = s->count > 0 ? block_at(s, s->count - 1) : NULL;
    if (tail != NULL && !tail->closed) store_close(s->store, s, tail);
    stream_push_block(s, b);
    if (!b->closed) store_grown(s->store, s, b, b->wire_len);
    s->length += b->live;
    s->wire_bytes += b->live_bytes;
    s->last_id = b->last;
    s->next_ordinal = b->ordinal + b->count;
}

static void forget_block(struct stream *s, struct stream_block *b)
{
    if (!b->closed) store_forget_tail(s->store, s);
    store_forget(s->store, b);
}

/* Takes out `n` blocks from the i-th on. */
static void remove_blocks(struct stream *s, size_t i, size_t n)
{
    for (size_t at = i; at < i + n; at++) {
        s->length -= block_at(s, at)->live;
        s->wire_bytes -= block_at(s, at)->live_bytes;
        forget_block(s, block_at(s, at));
    }
    if (i == 0) {
        s->first += n;
    } else {
        struct stream_block **at = s->blocks + s->first + i;
        memmove(at, at + n, (s->count - i - n) * sizeof(struct stream_block *));
    }
    s->count -= n;
    if (s->count == 0) s->first = 0;
}

static void free_stream(struct key *k)
{
    struct stream *s = stream_of(k);
    store_forget_tail(s->store, s);
    for (size_t i = 0; i < s->count; i++) store_forget(s->store, block_at(s, i));
    groups_free(s->groups);
    idmp_free(s->idmp);
    mem_free(s->blocks);
    mem_free(s);
}

/* ---- Adding ---- */

/* Do ordinals and ids go on where those of the open block end? Not when what came after it is gone,
 * or the end of it is (stream_set_last_id): such a block is closed while the server runs, but comes
 * open out of a snapshot made before it was sealed. */
static bool goes_on(const struct stream *s, const struct stream_block *tail)
{
    return tail->ordinal + tail->count == s->next_ordinal &&
           stream_id_cmp(stream_block_id(tail, tail->count - 1), tail->last) == 0;
}

/* The block the next entry goes into, of `size` bytes. */
static struct stream_block *open_tail(struct stream *s, size_t size)
{
    struct stream_block *tail = s->count > 0 ? block_at(s, s->count - 1) : NULL;
    bool grown_up = tail != NULL && tail->wire_len + STREAM_BLOCK_SEAL_MIN >= STREAM_BLOCK_BYTES;
    if (tail != NULL && !tail->closed) {
        if (tail->wire_len + size <= STREAM_BLOCK_BYTES && goes_on(s, tail)) return tail;
        store_close(s->store, s, tail);
    }
    tail = stream_block_new(s->next_ordinal);
    tail->data = grown_up ? stream_block_data_new(STREAM_BLOCK_BYTES, STREAM_BLOCK_BYTES / 128)
                          : stream_block_data_new(STREAM_BLOCK_BYTES_FIRST, 4);
    stream_push_block(s, tail);
    return tail;
}

void stream_append(struct stream *s, struct stream_id id, const struct bytes *fields, size_t n)
{
    size_t size = stream_block_entry_size(id, fields, n);
    struct stream_block *tail = open_tail(s, size);
    must(tail->count == 0 || stream_id_cmp(id, tail->last) > 0);
    must(tail->ordinal + tail->count == s->next_ordinal);
    stream_block_append(tail, id, fields, n, size);
    s->length++;
    s->wire_bytes += size;
    s->last_id = id;
    s->entries_added++;
    s->next_ordinal++;
    store_grown(s->store, s, tail, size);
}

bool stream_can_append(const struct stream *s, struct stream_id id)
{
    if (stream_id_cmp(id, s->last_id) <= 0) return false;
    return s->count == 0 || stream_id_cmp(id, block_at(s, s->count - 1)->last) > 0;
}

void stream_set_last_id(struct stream *s, struct stream_id id)
{
    struct stream_block *tail = s->count > 0 ? block_at(s, s->count - 1) : NULL;
    if (tail != NULL && stream_id_cmp(tail->last, id) > 0) {
        /* All that is behind `id` is deleted, but lies there: what comes now begins a new block. */
        if (!tail->closed) store_close(s->store, s, tail);
        tail->last = id;
    }
    s->last_id = id;
}

/* ---- Taking away ---- */

int stream_get_block(struct stream *s, size_t i)
{
    return store_get(s->store, block_at(s, i));
}

/* Where the entry is: 1, 0 when it is nowhere, or negative. */
static int locate(struct stream *s, struct stream_id id, size_t *ret_block, uint32_t *ret_entry)
{
    size_t i = stream_find_block(s, id);
    if (i == s->count || stream_id_cmp(id, block_at(s, i)->first) < 0) return 0;
    int r = stream_get_block(s, i);
    if (r < 0) return r;
    const struct stream_block *b = block_at(s, i);
    uint32_t at = stream_block_lower_bound(b, id);
    if (!stream_block_is_live(b, at) || stream_id_cmp(stream_block_id(b, at), id) != 0) return 0;
    *ret_block = i;
    *ret_entry = at;
    return 1;
}

int stream_exists(struct stream *s, struct stream_id id)
{
    size_t block;
    uint32_t entry;
    return locate(s, id, &block, &entry);
}

int stream_find(struct stream *s, struct stream_id id, struct stream_entry *ret)
{
    size_t i;
    uint32_t entry;
    int r = locate(s, id, &i, &entry);
    if (r <= 0) return r;
    const struct stream_block *b = block_at(s, i);
    *ret = (struct stream_entry){id, b->ordinal + entry, stream_block_wire(b, entry)};
    return 1;
}

int stream_delete(struct stream *s, struct stream_id id)
{
    size_t i;
    uint32_t entry;
    int r = locate(s, id, &i, &entry);
    if (r <= 0) return r;
    struct stream_block *b = block_at(s, i);
    uint64_t before = b->live_bytes;
    stream_block_delete(b, entry);
    s->length--;
    s->wire_bytes -= before - b->live_bytes;
    if (b->live == 0) remove_blocks(s, i, 1);
    return 1;
}

/* ---- Trimming ---- */

/* The first live entry of block i at index `from` or behind; the block has one. */
static int live_id(struct stream *s, size_t i, uint32_t from, struct stream_id *ret)
{
    int r = stream_get_block(s, i);
    if (r < 0) return r;
    const struct stream_block *b = block_at(s, i);
    while (!stream_block_is_live(b, from)) from++;
    *ret = stream_block_id(b, from);
    return 0;
}

/* An id that no entry up to the last one reaches. */
static struct stream_id behind_all(const struct stream *s)
{
    struct stream_id id = block_at(s, s->count - 1)->last;
    if (!stream_id_next(&id)) id = STREAM_ID_MAX;
    return id;
}

/* So many entries go: where the rest begins. `gone` may become less where that spares a read. */
static int cut_after(struct stream *s, uint64_t gone, bool approximately,
                     struct stream_id *ret_keep_from, uint64_t *ret_gone)
{
    uint64_t passed = 0;
    size_t i = 0;
    while (i < s->count && passed + block_at(s, i)->live <= gone) passed += block_at(s, i++)->live;
    *ret_gone = gone;
    if (i == s->count) {
        *ret_keep_from = behind_all(s);
        return 0;
    }
    struct stream_block *b = block_at(s, i);
    if (approximately && b->data == NULL) {
        *ret_gone = passed;
        *ret_keep_from = b->first;
        return 0;
    }
    return live_id(s, i, stream_block_nth_live(b, (uint32_t)(gone - passed)), ret_keep_from);
}

/* How many entries have smaller ids; the block they end in may stay as it is when `approximately`.
 */
static int count_below(struct stream *s, struct stream_id id, bool approximately, uint64_t *ret)
{
    size_t end = stream_find_block(s, id);
    uint64_t n = 0;
    for (size_t i = 0; i < end; i++) n += block_at(s, i)->live;
    if (end < s->count && stream_id_cmp(block_at(s, end)->first, id) < 0 &&
        !(approximately && block_at(s, end)->data == NULL)) {
        int r = stream_get_block(s, end);
        if (r < 0) return r;
        const struct stream_block *b = block_at(s, end);
        n += stream_block_live_between(b, 0, stream_block_lower_bound(b, id));
    }
    *ret = n;
    return 0;
}

int stream_trim_plan(struct stream *s, const struct stream_trim *t, struct stream_id *ret_keep_from,
                     uint64_t *ret_gone)
{
    uint64_t gone = s->length > t->length ? s->length - t->length : 0;
    if (t->by_id) {
        int r = count_below(s, t->min_id, t->approximately, &gone);
        if (r < 0) return r;
    }
    if (t->limit > 0 && gone > t->limit) gone = t->limit;
    *ret_gone = 0;
    if (gone == 0) return 0;
    return cut_after(s, gone, t->approximately, ret_keep_from, ret_gone);
}

uint64_t stream_count_over_bytes(const struct stream *s, uint64_t bytes)
{
    uint64_t over = s->wire_bytes > bytes ? s->wire_bytes - bytes : 0, n = 0;
    for (size_t i = 0; i < s->count && over > 0; i++) {
        const struct stream_block *b = block_at(s, i);
        if (b->live == 0) continue;
        if (over < b->live_bytes) /* rounded up: what is left fits */
            return n + (over * b->live + b->live_bytes - 1) / b->live_bytes;
        over -= b->live_bytes;
        n += b->live;
    }
    return n;
}

int64_t stream_trim_to(struct stream *s, struct stream_id keep_from)
{
    uint64_t before = s->length;
    size_t whole = stream_find_block(s, keep_from);
    if (whole < s->count && stream_id_cmp(block_at(s, whole)->first, keep_from) < 0) {
        int r = stream_get_block(s, whole);
        if (r < 0) return r;
        struct stream_block *b = block_at(s, whole);
        uint64_t live = b->live, bytes = b->live_bytes;
        stream_block_trim(b, stream_block_lower_bound(b, keep_from));
        s->length -= live - b->live;
        s->wire_bytes -= bytes - b->live_bytes;
        if (b->live == 0) whole++;
    }
    if (whole > 0) remove_blocks(s, 0, whole);
    return (int64_t)(before - s->length);
}

/* ---- Figures ---- */

size_t stream_blocks(const struct stream *s)
{
    return s->count;
}

void stream_bytes(const struct stream *s, uint64_t *ret_memory, uint64_t *ret_disk)
{
    uint64_t memory = mem_size(s), disk = 0;
    if (s->blocks != NULL) memory += mem_size(s->blocks);
    for (size_t i = 0; i < s->count; i++) {
        const struct stream_block *b = block_at(s, i);
        memory += mem_size(b);
        if (b->deleted != NULL) memory += mem_size(b->deleted);
        if (b->data != NULL) memory += stream_block_data_memory(b->data);
        if (b->ref.file != 0) disk += chunk_size(b->ref.length);
    }
    *ret_memory = memory;
    *ret_disk = disk;
}

/* ---- As a value of the keyspace ---- */

static struct stream_block *copy_open(const struct stream *s, const struct stream_block *b)
{
    struct stream_block *copy = stream_block_new(b->ordinal);
    struct stream_block_data *d = b->data;
    uint64_t *deleted = b->deleted;
    *copy = *b;
    copy->data = stream_block_data_new(d->wire_cap, d->count_cap);
    copy->data->wire_len = d->wire_len;
    copy->data->count = d->count;
    memcpy(copy->data->wire, d->wire, d->wire_len);
    memcpy(copy->data->offsets, d->offsets, d->count * sizeof(uint32_t));
    if (deleted != NULL) copy->deleted = mem_dup(deleted, stream_block_deleted_bytes(b));
    return copy;
}

static void copy_stream(struct key *to, const struct key *from)
{
    const struct stream *s = stream_of(from);
    stream_init(to, s->store);
    struct stream *t = stream_of(to);
    for (size_t i = 0; i < s->count; i++) {
        struct stream_block *b = block_at(s, i);
        stream_push_block(t, b->closed ? store_share(s->store, b) : copy_open(s, b));
    }
    struct stream_block *tail = t->count > 0 ? block_at(t, t->count - 1) : NULL;
    if (tail != NULL && !tail->closed) store_grown(t->store, t, tail, tail->wire_len);
    t->length = s->length;
    t->wire_bytes = s->wire_bytes;
    t->last_id = s->last_id;
    t->max_deleted_id = s->max_deleted_id;
    t->entries_added = s->entries_added;
    t->next_ordinal = s->next_ordinal;
    t->retention = s->retention;
    t->idmp = idmp_copy(s->idmp);
    t->groups = groups_copy(s->groups);
}

static size_t memory_of(const struct key *k, size_t samples)
{
    uint64_t memory, disk;
    stream_bytes(stream_of(k), &memory, &disk);
    return memory + groups_memory(stream_of(k)->groups) + idmp_memory(stream_of(k)->idmp);
}

static size_t weight_of(const struct key *k)
{
    const struct stream *s = stream_of(k);
    return s->count + groups_weight(s->groups);
}

const struct key_ops stream_ops = {
    .name = "stream",
    .free = free_stream,
    .copy = copy_stream,
    .memory = memory_of,
    .weight = weight_of,
};
