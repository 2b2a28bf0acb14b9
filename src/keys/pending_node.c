#include "keys/pending_node.h"

#include "base/mem.h"

/* ---- Columns ---- */

static unsigned width_for(uint64_t distance)
{
    if (distance == 0) return 0;
    if (distance <= UINT8_MAX) return 1;
    if (distance <= UINT16_MAX) return 2;
    return distance <= UINT32_MAX ? 4 : 8;
}

static size_t row_bytes_of(const struct pending_node *n)
{
    size_t sum = 0;
    for (int c = 0; c < PENDING_COLUMNS; c++) sum += n->width[c];
    return sum;
}

static unsigned char *column(const struct pending_node *n, enum pending_column c)
{
    size_t before = 0;
    for (int i = 0; i < (int)c; i++) before += n->width[i];
    return (unsigned char *)n->data + before * n->cap;
}

static uint64_t load(const unsigned char *at, unsigned width, unsigned i)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (width) {
    case 0:
        return 0;
    case 1:
        return at[i];
    case 2:
        memcpy(&two, at + 2 * (size_t)i, 2);
        return two;
    case 4:
        memcpy(&four, at + 4 * (size_t)i, 4);
        return four;
    default:
        memcpy(&eight, at + 8 * (size_t)i, 8);
        return eight;
    }
}

/* The lowest bytes of a number stand first: this is memory, and of this machine only. */
static void store(unsigned char *at, unsigned width, unsigned i, uint64_t distance)
{
    uint16_t two = (uint16_t)distance;
    uint32_t four = (uint32_t)distance;
    switch (width) {
    case 0:
        break;
    case 1:
        at[i] = (unsigned char)distance;
        break;
    case 2:
        memcpy(at + 2 * (size_t)i, &two, 2);
        break;
    case 4:
        memcpy(at + 4 * (size_t)i, &four, 4);
        break;
    default:
        memcpy(at + 8 * (size_t)i, &distance, 8);
    }
}

uint64_t pending_node_value(const struct pending_node *n, enum pending_column c, unsigned i)
{
    return n->base[c] + load(column(n, c), n->width[c], n->start + i);
}

struct stream_id pending_node_id(const struct pending_node *n, unsigned i)
{
    return (struct stream_id){pending_node_value(n, PENDING_MS, i),
                              pending_node_value(n, PENDING_SEQ, i)};
}

void pending_node_row(const struct pending_node *n, unsigned i, struct pending_row *ret)
{
    const unsigned char *at = n->data;
    for (int c = 0; c < PENDING_COLUMNS; c++) {
        ret->v[c] = n->base[c] + load(at, n->width[c], n->start + i);
        at += (size_t)n->width[c] * n->cap;
    }
}

bool pending_node_fits(const struct pending_node *n, const struct pending_row *r)
{
    for (int c = 0; c < PENDING_COLUMNS; c++)
        if (r->v[c] < n->base[c] || width_for(r->v[c] - n->base[c]) > n->width[c]) return false;
    return true;
}

/* The row must fit. */
void pending_node_put(struct pending_node *n, unsigned i, const struct pending_row *r)
{
    unsigned char *at = n->data;
    for (int c = 0; c < PENDING_COLUMNS; c++) {
        store(at, n->width[c], n->start + i, r->v[c] - n->base[c]);
        at += (size_t)n->width[c] * n->cap;
    }
    n->consumers |= pending_consumer_bit(r->v[PENDING_CONSUMER]);
}

/* The first entry whose id is not below; n->count when all are. */
unsigned pending_node_search(const struct pending_node *n, struct stream_id id)
{
    unsigned low = 0, high = n->count;
    const unsigned char *ms = column(n, PENDING_MS), *seq = column(n, PENDING_SEQ);
    while (low < high) {
        unsigned mid = (low + high) / 2;
        struct stream_id at = {n->base[PENDING_MS] + load(ms, n->width[PENDING_MS], n->start + mid),
                               n->base[PENDING_SEQ] +
                                   load(seq, n->width[PENDING_SEQ], n->start + mid)};
        if (stream_id_cmp(at, id) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* ---- Nodes made anew ---- */

unsigned pending_node_room(unsigned count)
{
    unsigned cap = PENDING_NODE_MIN;
    while (cap < count) cap *= 2;
    return cap;
}

/* A node of these rows, in order, with room for `cap`. */
struct pending_node *pending_node_new(const struct pending_row *rows, unsigned count, unsigned cap)
{
    uint64_t low[PENDING_COLUMNS], high[PENDING_COLUMNS];
    memcpy(low, rows[0].v, sizeof low);
    memcpy(high, rows[0].v, sizeof high);
    for (unsigned i = 1; i < count; i++)
        for (int c = 0; c < PENDING_COLUMNS; c++) {
            if (rows[i].v[c] < low[c]) low[c] = rows[i].v[c];
            if (rows[i].v[c] > high[c]) high[c] = rows[i].v[c];
        }
    size_t row_bytes = 0;
    for (int c = 0; c < PENDING_COLUMNS; c++) row_bytes += width_for(high[c] - low[c]);
    struct pending_node *n = mem_alloc(sizeof *n + row_bytes * cap);
    *n = (struct pending_node){.count = (uint16_t)count, .cap = (uint16_t)cap};
    memcpy(n->base, low, sizeof low);
    for (int c = 0; c < PENDING_COLUMNS; c++) n->width[c] = (uint8_t)width_for(high[c] - low[c]);
    for (unsigned i = 0; i < count; i++) pending_node_put(n, i, &rows[i]);
    return n;
}

void pending_node_rows(const struct pending_node *n, struct pending_row *rows)
{
    for (unsigned i = 0; i < n->count; i++) pending_node_row(n, i, &rows[i]);
}

/* Opens a gap before entry `at`, or closes it over entry `at`. */
void pending_node_shift(struct pending_node *n, unsigned at, int by)
{
    for (int c = 0; c < PENDING_COLUMNS; c++) {
        unsigned char *from = column(n, c) + (size_t)n->width[c] * (n->start + at);
        size_t w = n->width[c];
        if (by > 0) memmove(from + w, from, w * (n->count - at));
        else memmove(from, from + w, w * (n->count - at - 1));
    }
}

size_t pending_node_bytes(const struct pending_node *n)
{
    return sizeof *n + row_bytes_of(n) * n->cap;
}
