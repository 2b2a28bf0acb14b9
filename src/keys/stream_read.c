/* Reading streams: ranges, runs, positions. */
#include <errno.h>

#include "base/must.h"
#include "keys/stream_priv.h"

/* How much of a range is asked for at once, when it turns out to be on disk. */
enum { FETCH_BLOCKS = 64, PREPARE_BLOCKS = 128 };

/* ---- Iterators ---- */

void stream_iter_init(struct stream_iter *it, struct stream *s, struct stream_id from,
                      struct stream_id to, bool reverse)
{
    *it = (struct stream_iter){.stream = s, .from = from, .to = to, .reverse = reverse};
    if (stream_id_cmp(from, to) > 0) {
        it->block = s->count; /* nothing: both directions are at their end */
        it->started = true;
        it->done = true;
    }
}

/* From the block the iterator is at on, in its direction: whatever it may come to and is away. */
static void fetch_ahead(struct stream_iter *it)
{
    struct stream *s = it->stream;
    size_t i = it->block;
    for (int n = 0; n < FETCH_BLOCKS && i < s->count; n++) {
        struct stream_block *b = block_at(s, i);
        if (stream_id_cmp(b->first, it->to) > 0 && !it->reverse) return;
        if (stream_id_cmp(b->last, it->from) < 0 && it->reverse) return;
        if (b->data == NULL && b->error == 0) store_fetch(s->store, b);
        i = it->reverse ? i - 1 : i + 1; /* below 0: beyond all */
    }
}

static int get_block(struct stream_iter *it)
{
    struct stream_block *b = block_at(it->stream, it->block);
    if (b->data == NULL) it->brought_in = true;
    int r = store_get(it->stream->store, b);
    if (r == -EAGAIN) fetch_ahead(it);
    return r;
}

/* Finds where the walk begins. */
static int start(struct stream_iter *it)
{
    struct stream *s = it->stream;
    it->block = stream_find_block(s, it->reverse ? it->to : it->from);
    if (it->reverse &&
        (it->block == s->count || stream_id_cmp(block_at(s, it->block)->first, it->to) > 0))
        it->block--; /* its entries are all above; below 0: there is nothing */
    if (it->block >= s->count) {
        it->done = true;
        return 0;
    }
    int r = get_block(it);
    if (r < 0) return r;
    const struct stream_block *b = block_at(s, it->block);
    it->entry = stream_block_lower_bound(b, it->reverse ? it->to : it->from);
    if (it->reverse && it->entry < b->count &&
        stream_id_cmp(stream_block_id(b, it->entry), it->to) == 0)
        it->entry++; /* reverse: the entry before `entry` is the next one */
    it->started = true;
    return 0;
}

/* Goes to the next block when this one is used up. 1, or 0 at the end, or negative. */
static int to_block_with_more(struct stream_iter *it)
{
    struct stream *s = it->stream;
    for (;;) {
        const struct stream_block *b = block_at(s, it->block);
        if (it->reverse ? it->entry > b->start : it->entry < b->count) {
            /* The data may have left since the last call. */
            int r = get_block(it);
            return r < 0 ? r : 1;
        }
        size_t next = it->reverse ? it->block - 1 : it->block + 1;
        if (next >= s->count) {
            it->done = true;
            return 0;
        }
        if (it->in_runs && it->brought_in) store_passed(s->store, block_at(s, it->block));
        it->brought_in = false;
        it->block = next;
        it->entry = it->reverse ? block_at(s, next)->count : block_at(s, next)->start;
    }
}

/* Is there a live entry to go on with? it->entry is it then (reverse: the one before). 1, 0, or
 * negative. */
static int to_live(struct stream_iter *it)
{
    int r = 0;
    if (it->done || it->stream->count == 0) return 0;
    if (!it->started && ((r = start(it)) < 0 || it->done)) return r;
    for (;;) {
        if ((r = to_block_with_more(it)) <= 0) return r;
        const struct stream_block *b = block_at(it->stream, it->block);
        if (it->reverse) {
            if (stream_block_is_live(b, it->entry - 1)) return 1;
            it->entry--;
        } else {
            if (stream_block_is_live(b, it->entry)) return 1;
            it->entry++;
        }
    }
}

int stream_iter_next(struct stream_iter *it, struct stream_entry *ret)
{
    int r = to_live(it);
    if (r <= 0) return r;
    const struct stream_block *b = block_at(it->stream, it->block);
    uint32_t at = it->reverse ? it->entry - 1 : it->entry;
    struct stream_id id = stream_block_id(b, at);
    if (it->reverse ? stream_id_cmp(id, it->from) < 0 : stream_id_cmp(id, it->to) > 0) {
        it->done = true;
        return 0;
    }
    it->entry = it->reverse ? at : at + 1;
    *ret = (struct stream_entry){id, b->ordinal + at, stream_block_wire(b, at)};
    return 1;
}

/* The index behind the last entry of the block that is within the walk; forward. */
static uint32_t end_in(const struct stream_iter *it, const struct stream_block *b)
{
    if (stream_id_cmp(b->last, it->to) <= 0) return b->count;
    struct stream_id behind = it->to;
    return stream_id_next(&behind) ? stream_block_lower_bound(b, behind) : b->count;
}

int64_t stream_iter_run(struct stream_iter *it, uint64_t max, struct stream_run *ret)
{
    must(!it->reverse);
    it->in_runs = true;
    if (max == 0) return 0;
    int r = to_live(it);
    if (r <= 0) return r;
    const struct stream_block *b = block_at(it->stream, it->block);
    uint32_t from = it->entry, end = end_in(it, b);
    if (from >= end) {
        it->done = true;
        return 0;
    }
    if (end - from > max) end = from + (uint32_t)max;
    uint32_t to = end;
    if (b->deleted != NULL)
        for (to = from + 1; to < end && !stream_block_is_deleted(b, to); to++) {
        }
    it->entry = to;
    *ret = (struct stream_run){.first = stream_block_id(b, from),
                               .last = stream_block_id(b, to - 1),
                               .last_ordinal = b->ordinal + to - 1,
                               .wire = stream_block_wire_run(b, from, to)};
    return to - from;
}

/* ---- Ends ---- */

static int end_of(struct stream *s, bool reverse, struct stream_id *ret)
{
    struct stream_iter it;
    struct stream_entry e;
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, reverse);
    int r = stream_iter_next(&it, &e);
    if (r == 1) *ret = e.id;
    return r;
}

int stream_first(struct stream *s, struct stream_id *ret)
{
    if (s->count > 0 && stream_block_is_live(block_at(s, 0), 0)) {
        *ret = block_at(s, 0)->first;
        return 1;
    }
    return end_of(s, false, ret);
}

int stream_last(struct stream *s, struct stream_id *ret)
{
    const struct stream_block *b = s->count > 0 ? block_at(s, s->count - 1) : NULL;
    if (b != NULL && stream_block_is_live(b, b->count - 1)) {
        *ret = b->last;
        return 1;
    }
    return end_of(s, true, ret);
}

/* ---- Counting ---- */

int stream_prepare(struct stream *s, struct stream_id from, struct stream_id to, bool reverse,
                   uint64_t max)
{
    int missing = 0, looked_at = 0;
    uint64_t have = 0;
    if (s->count == 0 || stream_id_cmp(from, to) > 0) return 0;
    size_t i = stream_find_block(s, reverse ? to : from);
    if (reverse && (i == s->count || stream_id_cmp(block_at(s, i)->first, to) > 0)) i--;
    /* What the first block holds of the range is not known without it: it counts for nothing. */
    for (bool is_first = true;
         i < s->count && have < max && missing < FETCH_BLOCKS && looked_at < PREPARE_BLOCKS;
         is_first = false) {
        struct stream_block *b = block_at(s, i);
        if (reverse ? stream_id_cmp(b->last, from) < 0 : stream_id_cmp(b->first, to) > 0) break;
        int r = store_get(s->store, b);
        if (r < 0 && r != -EAGAIN) return r;
        missing += r == -EAGAIN;
        looked_at++;
        if (!is_first) have += b->live;
        i = reverse ? i - 1 : i + 1;
    }
    return missing > 0 ? -EAGAIN : 0;
}

/* How many entries of block i have smaller ids; or negative. */
static int64_t count_in_block(struct stream *s, size_t i, struct stream_id id)
{
    const struct stream_block *b = block_at(s, i);
    if (stream_id_cmp(id, b->first) <= 0) return 0;
    int r = stream_get_block(s, i);
    return r < 0 ? r : (int64_t)stream_block_live_between(b, 0, stream_block_lower_bound(b, id));
}

int64_t stream_count(struct stream *s, struct stream_id from, struct stream_id to, uint64_t max)
{
    uint64_t n = 0;
    if (stream_id_cmp(from, to) > 0) return 0;
    size_t i = stream_find_block(s, from);
    if (i == s->count) return 0;
    int64_t skipped = count_in_block(s, i, from);
    if (skipped < 0) return skipped;
    uint64_t enough = max < UINT64_MAX - (uint64_t)skipped ? max + (uint64_t)skipped : UINT64_MAX;
    for (; i < s->count && n < enough; i++) {
        const struct stream_block *b = block_at(s, i);
        if (stream_id_cmp(b->last, to) > 0) {
            struct stream_id behind = to;
            stream_id_next(&behind); /* `to` is below an id there is */
            int64_t within = count_in_block(s, i, behind);
            if (within < 0) return within;
            n += (uint64_t)within;
            break;
        }
        n += b->live;
    }
    n -= (uint64_t)skipped < n ? (uint64_t)skipped : n;
    return (int64_t)(n < max ? n : max);
}

int stream_ordinal_after(struct stream *s, struct stream_id id, uint64_t *ret)
{
    struct stream_id next = id;
    size_t i = stream_id_next(&next) ? stream_find_block(s, next) : s->count;
    if (i == s->count) {
        *ret = s->next_ordinal;
        return 0;
    }
    const struct stream_block *b = block_at(s, i);
    uint32_t entry = 0;
    if (stream_id_cmp(next, b->first) > 0) {
        int r = stream_get_block(s, i);
        if (r < 0) return r;
        entry = stream_block_lower_bound(b, next);
    }
    *ret = b->ordinal + entry;
    return 0;
}

uint64_t stream_count_from_ordinal(const struct stream *s, uint64_t ordinal)
{
    uint64_t n = 0;
    for (size_t i = s->count; i-- > 0;) { /* from the end: that is where groups are */
        const struct stream_block *b = block_at(s, i);
        if (b->ordinal < ordinal) {
            uint64_t from = ordinal - b->ordinal;
            if (from < b->count) n += stream_block_live_between(b, (uint32_t)from, b->count);
            break;
        }
        n += b->live;
    }
    return n;
}

static uint64_t time_in_block(const struct stream_block *b, uint32_t from)
{
    if (b->data == NULL) return b->first.ms;
    while (!stream_block_is_live(b, from)) from++;
    return stream_block_id(b, from).ms;
}

void stream_rest(const struct stream *s, uint64_t ordinal, struct stream_rest *ret)
{
    *ret = (struct stream_rest){0};
    for (size_t i = s->count; i-- > 0;) {
        const struct stream_block *b = block_at(s, i);
        uint64_t skipped = b->ordinal < ordinal ? ordinal - b->ordinal : 0;
        if (skipped >= b->count) return;
        uint32_t from = (uint32_t)skipped, n = stream_block_live_between(b, from, b->count);
        if (n > 0) {
            ret->count += n;
            ret->bytes += n == b->live ? b->live_bytes : b->live_bytes / b->live * n;
            ret->since_ms = time_in_block(b, from);
        }
        if (skipped > 0) return;
    }
}

/* ---- Entries ---- */

static size_t number_at(const struct stream_entry *e, size_t *at)
{
    size_t n = 0;
    while (*at < e->wire.len && e->wire.data[*at] >= '0' && e->wire.data[*at] <= '9')
        n = n * 10 + (size_t)(e->wire.data[(*at)++] - '0');
    *at += 2;
    return n;
}

/* Where the array of fields begins. */
static size_t fields_at(const struct stream_entry *e)
{
    size_t at = STREAM_ENTRY_HEAD + 1;
    size_t id_len = number_at(e, &at);
    return at + id_len + 2;
}

size_t stream_entry_count(const struct stream_entry *e)
{
    size_t at = fields_at(e) + 1;
    return number_at(e, &at);
}

bool stream_entry_next(const struct stream_entry *e, size_t *at, struct bytes *ret)
{
    if (*at == 0) {
        *at = fields_at(e) + 1;
        number_at(e, at);
    }
    if (*at >= e->wire.len) return false;
    (*at)++; /* $ */
    size_t len = number_at(e, at);
    must(len <= e->wire.len && *at <= e->wire.len - len);
    *ret = (struct bytes){e->wire.data + *at, len};
    *at += len + 2;
    return true;
}
