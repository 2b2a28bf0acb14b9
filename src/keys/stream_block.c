#include "keys/stream_block.h"

#include "base/mem.h"
#include "base/must.h"

/* ---- Data ---- */

struct stream_block_data *stream_block_data_new(uint32_t wire_cap, uint32_t count_cap)
{
    struct stream_block_data *d = mem_alloc(sizeof *d);
    *d = (struct stream_block_data){
        .wire = mem_alloc(wire_cap > 0 ? wire_cap : 1),
        .offsets = mem_alloc((count_cap > 0 ? count_cap : 1) * sizeof(uint32_t)),
        .wire_cap = wire_cap,
        .count_cap = count_cap,
        .refs = 1};
    return d;
}

struct stream_block_data *stream_block_data_of_chunk(char *raw, uint32_t count, uint32_t wire_len)
{
    struct stream_block_data *d = mem_alloc(sizeof *d);
    *d = (struct stream_block_data){.raw = raw,
                                    .offsets = (uint32_t *)(void *)raw,
                                    .wire = raw + (size_t)count * sizeof(uint32_t),
                                    .wire_len = wire_len,
                                    .wire_cap = wire_len,
                                    .count = count,
                                    .count_cap = count,
                                    .refs = 1};
    return d;
}

void stream_block_data_free(struct stream_block_data *d)
{
    if (d == NULL) return;
    if (d->raw == NULL) {
        mem_free(d->wire);
        mem_free(d->offsets);
    }
    mem_free(d->raw);
    mem_free(d);
}

size_t stream_block_data_memory(const struct stream_block_data *d)
{
    return sizeof *d + d->wire_cap + d->count_cap * sizeof(uint32_t);
}

bool stream_block_data_is_sound(const struct stream_block_data *d)
{
    if (d->count == 0 || d->wire_len < 2 || d->wire[d->wire_len - 1] != '\n') return false;
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t end = i + 1 < d->count ? d->offsets[i + 1] : d->wire_len;
        if (end > d->wire_len || d->offsets[i] >= end || d->wire[d->offsets[i]] != '*')
            return false;
    }
    return d->offsets[0] == 0;
}

static void reserve(struct stream_block_data *d, size_t bytes)
{
    if (d->count == d->count_cap) {
        d->count_cap = d->count_cap * 2;
        d->offsets = mem_realloc(d->offsets, d->count_cap * sizeof(uint32_t));
    }
    if (bytes <= d->wire_cap - d->wire_len) return;
    size_t cap = (size_t)d->wire_cap * 2;
    if (cap > STREAM_BLOCK_BYTES) cap = STREAM_BLOCK_BYTES;
    if (cap < d->wire_len + bytes) cap = d->wire_len + bytes;
    must(cap <= UINT32_MAX);
    d->wire_cap = (uint32_t)cap;
    d->wire = mem_realloc(d->wire, cap);
}

/* ---- Blocks ---- */

struct stream_block *stream_block_new(uint64_t ordinal)
{
    struct stream_block *b = mem_calloc(sizeof *b);
    b->ordinal = ordinal;
    return b;
}

void stream_block_free(struct stream_block *b)
{
    if (b == NULL) return;
    mem_free(b->deleted);
    mem_free(b);
}

/* ---- Writing entries ---- */

static size_t digits(uint64_t n)
{
    size_t count = 1;
    for (; n >= 10; n /= 10) count++;
    return count;
}

/* Of "$<len>\r\n<bytes>\r\n". */
static size_t bulk_size(size_t len)
{
    return 1 + digits(len) + 2 + len + 2;
}

size_t stream_block_entry_size(struct stream_id id, const struct bytes *fields, size_t n)
{
    size_t size = STREAM_ENTRY_HEAD + bulk_size(digits(id.ms) + 1 + digits(id.seq));
    size += 1 + digits(n) + 2;
    for (size_t i = 0; i < n; i++) size += bulk_size(fields[i].len);
    return size;
}

static char *put_number(char *at, uint64_t n)
{
    size_t len = digits(n);
    for (size_t i = len; i-- > 0; n /= 10) at[i] = (char)('0' + n % 10);
    return at + len;
}

static char *put_line(char *at, char type, uint64_t n)
{
    *at++ = type;
    at = put_number(at, n);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *put_bulk(char *at, struct bytes b)
{
    at = put_line(at, '$', b.len);
    if (b.len > 0) memcpy(at, b.data, b.len);
    at += b.len;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

void stream_block_append(struct stream_block *b, struct stream_id id, const struct bytes *fields,
                         size_t n, size_t size)
{
    char text[STREAM_ID_TEXT_MAX];
    struct stream_block_data *d = b->data;
    must(!b->closed && size <= UINT32_MAX);
    reserve(d, size);
    char *at = d->wire + d->wire_len;
    memcpy(at, "*2\r\n", STREAM_ENTRY_HEAD);
    at = put_bulk(at + STREAM_ENTRY_HEAD, (struct bytes){text, stream_id_format(text, id)});
    at = put_line(at, '*', n);
    for (size_t i = 0; i < n; i++) at = put_bulk(at, fields[i]);
    must((size_t)(at - d->wire) == d->wire_len + size);
    d->offsets[d->count++] = d->wire_len;
    d->wire_len += (uint32_t)size;
    if (b->count++ == 0) b->first = id;
    b->last = id;
    b->live++;
    b->live_bytes += size;
    b->wire_len = d->wire_len;
    if (b->deleted != NULL && b->count % 64 == 1) { /* a word more */
        b->deleted = mem_realloc(b->deleted, stream_block_deleted_bytes(b));
        b->deleted[b->count / 64] = 0;
    }
}

/* ---- What is left in a block ---- */

uint32_t stream_block_live_between(const struct stream_block *b, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    if (from < b->start) from = b->start;
    if (to > b->count) to = b->count;
    if (from >= to) return 0;
    if (b->deleted == NULL) return to - from;
    for (uint32_t i = from; i < to;) {
        uint32_t end = i - i % 64 + 64;
        if (end > to) end = to;
        uint64_t bits = ~b->deleted[i / 64] >> i % 64;
        if (end - i < 64) bits &= (UINT64_C(1) << (end - i)) - 1;
        n += (uint32_t)__builtin_popcountll(bits);
        i = end;
    }
    return n;
}

uint32_t stream_block_nth_live(const struct stream_block *b, uint32_t n)
{
    must(n < b->live);
    if (b->deleted == NULL) return b->start + n;
    for (uint32_t i = b->start;; i++)
        if (!stream_block_is_deleted(b, i) && n-- == 0) return i;
}

/* ---- With the data ---- */

struct bytes stream_block_wire(const struct stream_block *b, uint32_t i)
{
    return stream_block_wire_run(b, i, i + 1);
}

struct bytes stream_block_wire_run(const struct stream_block *b, uint32_t from, uint32_t to)
{
    const struct stream_block_data *d = b->data;
    must(from < to && to <= d->count);
    uint32_t end = to < d->count ? d->offsets[to] : d->wire_len;
    return (struct bytes){d->wire + d->offsets[from], end - d->offsets[from]};
}

static uint64_t take_number(const char **at)
{
    uint64_t n = 0;
    while (**at >= '0' && **at <= '9') n = n * 10 + (uint64_t)(*(*at)++ - '0');
    return n;
}

struct stream_id stream_block_id(const struct stream_block *b, uint32_t i)
{
    struct stream_id id;
    const char *at = b->data->wire + b->data->offsets[i] + STREAM_ENTRY_HEAD + 1;
    take_number(&at); /* how long the text is */
    at += 2;
    id.ms = take_number(&at);
    at++;
    id.seq = take_number(&at);
    return id;
}

uint32_t stream_block_lower_bound(const struct stream_block *b, struct stream_id id)
{
    if (stream_id_cmp(id, b->first) <= 0) return 0;
    if (stream_id_cmp(id, b->last) > 0) return b->count;
    uint32_t low = 0, high = b->count - 1; /* the last one is not below */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stream_id_cmp(stream_block_id(b, middle), id) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

void stream_block_delete(struct stream_block *b, uint32_t i)
{
    must(stream_block_is_live(b, i));
    if (b->deleted == NULL) b->deleted = mem_calloc(stream_block_deleted_bytes(b));
    b->deleted[i / 64] |= UINT64_C(1) << i % 64;
    b->live--;
    b->live_bytes -= stream_block_wire(b, i).len;
}

void stream_block_trim(struct stream_block *b, uint32_t i)
{
    for (uint32_t at = b->start; at < i; at++) {
        if (stream_block_is_deleted(b, at)) continue;
        b->live--;
        b->live_bytes -= stream_block_wire(b, at).len;
    }
    if (i > b->start) b->start = i;
}
