#include "keys/pending.h"

#include "base/mem.h"
#include "base/must.h"

enum column { COL_MS, COL_SEQ, COL_TIME, COL_COUNT, COL_CONSUMER, COLUMNS };

enum {
    NODE_MAX = 256, /* entries */
    NODE_MIN = 8,   /* room, at least */
    MERGE_MAX = 128,
};

/* Entries [start, start + count) of columns that each have room for `cap`, one behind the other. */
struct pending_node {
    uint16_t start, count, cap;
    uint8_t width[COLUMNS];
    uint64_t base[COLUMNS];
    uint64_t consumers; /* a bit for each number modulo 64; some may be of consumers long gone */
    unsigned char data[];
};

/* One entry as numbers: a time is shifted so that it is ordered as an unsigned number. */
struct row {
    uint64_t v[COLUMNS];
};

static const uint64_t TIME_SHIFT = UINT64_C(1) << 63;

static struct row row_of(const struct pending_entry *e)
{
    return (struct row){
        {e->id.ms, e->id.seq, (uint64_t)e->time_ms ^ TIME_SHIFT, e->count, e->consumer}};
}

static struct pending_entry entry_of(const struct row *r)
{
    return (struct pending_entry){.id = {r->v[COL_MS], r->v[COL_SEQ]},
                                  .time_ms = (int64_t)(r->v[COL_TIME] ^ TIME_SHIFT),
                                  .count = r->v[COL_COUNT],
                                  .consumer = (uint32_t)r->v[COL_CONSUMER]};
}

static uint64_t consumer_bit(uint64_t number)
{
    return UINT64_C(1) << (number & 63);
}

/* ---- Columns ---- */

static unsigned width_for(uint64_t distance)
{
    if (distance == 0) return 0;
    if (distance <= UINT8_MAX) return 1;
    if (distance <= UINT16_MAX) return 2;
    return distance <= UINT32_MAX ? 4 : 8;
}

static size_t node_row_bytes(const struct pending_node *n)
{
    size_t sum = 0;
    for (int c = 0; c < COLUMNS; c++) sum += n->width[c];
    return sum;
}

static unsigned char *column(const struct pending_node *n, enum column c)
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

static uint64_t node_value(const struct pending_node *n, enum column c, unsigned i)
{
    return n->base[c] + load(column(n, c), n->width[c], n->start + i);
}

static struct stream_id node_id(const struct pending_node *n, unsigned i)
{
    return (struct stream_id){node_value(n, COL_MS, i), node_value(n, COL_SEQ, i)};
}

static void node_row(const struct pending_node *n, unsigned i, struct row *ret)
{
    const unsigned char *at = n->data;
    for (int c = 0; c < COLUMNS; c++) {
        ret->v[c] = n->base[c] + load(at, n->width[c], n->start + i);
        at += (size_t)n->width[c] * n->cap;
    }
}

static bool node_fits(const struct pending_node *n, const struct row *r)
{
    for (int c = 0; c < COLUMNS; c++)
        if (r->v[c] < n->base[c] || width_for(r->v[c] - n->base[c]) > n->width[c]) return false;
    return true;
}

/* The row must fit. */
static void node_put(struct pending_node *n, unsigned i, const struct row *r)
{
    unsigned char *at = n->data;
    for (int c = 0; c < COLUMNS; c++) {
        store(at, n->width[c], n->start + i, r->v[c] - n->base[c]);
        at += (size_t)n->width[c] * n->cap;
    }
    n->consumers |= consumer_bit(r->v[COL_CONSUMER]);
}

/* The first entry whose id is not below; n->count when all are. */
static unsigned node_search(const struct pending_node *n, struct stream_id id)
{
    unsigned low = 0, high = n->count;
    const unsigned char *ms = column(n, COL_MS), *seq = column(n, COL_SEQ);
    while (low < high) {
        unsigned mid = (low + high) / 2;
        struct stream_id at = {n->base[COL_MS] + load(ms, n->width[COL_MS], n->start + mid),
                               n->base[COL_SEQ] + load(seq, n->width[COL_SEQ], n->start + mid)};
        if (stream_id_cmp(at, id) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* ---- Nodes made anew ---- */

static unsigned room_for(unsigned count)
{
    unsigned cap = NODE_MIN;
    while (cap < count) cap *= 2;
    return cap;
}

/* A node of these rows, in order, with room for `cap`. */
static struct pending_node *node_of(const struct row *rows, unsigned count, unsigned cap)
{
    uint64_t low[COLUMNS], high[COLUMNS];
    memcpy(low, rows[0].v, sizeof low);
    memcpy(high, rows[0].v, sizeof high);
    for (unsigned i = 1; i < count; i++)
        for (int c = 0; c < COLUMNS; c++) {
            if (rows[i].v[c] < low[c]) low[c] = rows[i].v[c];
            if (rows[i].v[c] > high[c]) high[c] = rows[i].v[c];
        }
    size_t row_bytes = 0;
    for (int c = 0; c < COLUMNS; c++) row_bytes += width_for(high[c] - low[c]);
    struct pending_node *n = mem_alloc(sizeof *n + row_bytes * cap);
    *n = (struct pending_node){.count = (uint16_t)count, .cap = (uint16_t)cap};
    memcpy(n->base, low, sizeof low);
    for (int c = 0; c < COLUMNS; c++) n->width[c] = (uint8_t)width_for(high[c] - low[c]);
    for (unsigned i = 0; i < count; i++) node_put(n, i, &rows[i]);
    return n;
}

static void node_rows(const struct pending_node *n, struct row *rows)
{
    for (unsigned i = 0; i < n->count; i++) node_row(n, i, &rows[i]);
}

/* ---- The directory ---- */

static struct pending_slot *slot_at(const struct pending *p, size_t i)
{
    return &p->slots[p->first + i];
}

/* The slot in which an entry of this id is or would be; there is at least one. */
static size_t find_slot(const struct pending *p, struct stream_id id)
{
    size_t low = 0, high = p->nodes; /* the first whose `first` is above id */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (stream_id_cmp(slot_at(p, mid)->first, id) <= 0) low = mid + 1;
        else high = mid;
    }
    return low > 0 ? low - 1 : 0;
}

static void set_node(struct pending *p, size_t i, struct pending_node *n)
{
    *slot_at(p, i) = (struct pending_slot){node_id(n, 0), n};
}

static void make_room(struct pending *p)
{
    if (p->first + p->nodes < p->cap) return;
    if (p->first > p->nodes) { /* most of it is what was drained at the front */
        memmove(p->slots, slot_at(p, 0), p->nodes * sizeof *p->slots);
    } else {
        size_t cap = p->nodes < 4 ? 4 : p->nodes + p->nodes / 2;
        struct pending_slot *slots = mem_alloc(cap * sizeof *slots);
        if (p->nodes > 0) memcpy(slots, slot_at(p, 0), p->nodes * sizeof *slots);
        mem_free(p->slots);
        p->slots = slots;
        p->cap = cap;
    }
    p->first = 0;
}

static void insert_slot(struct pending *p, size_t i, struct pending_node *n)
{
    make_room(p);
    memmove(slot_at(p, i + 1), slot_at(p, i), (p->nodes - i) * sizeof *p->slots);
    p->nodes++;
    set_node(p, i, n);
}

static void remove_slot(struct pending *p, size_t i)
{
    mem_free(slot_at(p, i)->node);
    p->nodes--;
    if (i == 0) p->first++;
    else memmove(slot_at(p, i), slot_at(p, i + 1), (p->nodes - i) * sizeof *p->slots);
    if (p->nodes > 0) return;
    mem_free(p->slots);
    p->slots = NULL;
    p->first = p->cap = 0;
}

static void replace_node(struct pending *p, size_t i, const struct row *rows, unsigned count,
                         unsigned cap)
{
    mem_free(slot_at(p, i)->node);
    set_node(p, i, node_of(rows, count, cap));
}

/* ---- All of it ---- */

void pending_fini(struct pending *p)
{
    for (size_t i = 0; i < p->nodes; i++) mem_free(slot_at(p, i)->node);
    mem_free(p->slots);
    *p = (struct pending){0};
}

static size_t node_bytes(const struct pending_node *n)
{
    return sizeof *n + node_row_bytes(n) * n->cap;
}

void pending_copy(struct pending *to, const struct pending *from)
{
    *to = (struct pending){.nodes = from->nodes, .cap = from->nodes, .count = from->count};
    if (from->nodes == 0) return;
    to->slots = mem_dup(slot_at(from, 0), from->nodes * sizeof *to->slots);
    for (size_t i = 0; i < to->nodes; i++) {
        struct pending_node *n = to->slots[i].node;
        to->slots[i].node = mem_dup(n, node_bytes(n));
    }
}

size_t pending_memory(const struct pending *p)
{
    size_t sum = p->slots != NULL ? mem_size(p->slots) : 0;
    for (size_t i = 0; i < p->nodes; i++) sum += mem_size(slot_at(p, i)->node);
    return sum;
}

/* ---- One entry ---- */

static bool find(const struct pending *p, struct stream_id id, size_t *ret_slot, unsigned *ret_at)
{
    if (p->nodes == 0) return false;
    *ret_slot = find_slot(p, id);
    const struct pending_node *n = slot_at(p, *ret_slot)->node;
    *ret_at = node_search(n, id);
    return *ret_at < n->count && stream_id_cmp(node_id(n, *ret_at), id) == 0;
}

bool pending_get(const struct pending *p, struct stream_id id, struct pending_entry *ret)
{
    size_t slot;
    unsigned at;
    struct row r;
    if (!find(p, id, &slot, &at)) return false;
    node_row(slot_at(p, slot)->node, at, &r);
    *ret = entry_of(&r);
    return true;
}

/* Opens a gap before entry `at`, or closes it over entry `at`. */
static void shift(struct pending_node *n, unsigned at, int by)
{
    for (int c = 0; c < COLUMNS; c++) {
        unsigned char *from = column(n, c) + (size_t)n->width[c] * (n->start + at);
        size_t w = n->width[c];
        if (by > 0) memmove(from + w, from, w * (n->count - at));
        else memmove(from, from + w, w * (n->count - at - 1));
    }
}

/* A row more in a full node: the new ones go half and half, but a node that is appended to stays
 * full. */
static void split(struct pending *p, size_t slot, const struct row *rows, unsigned count,
                  unsigned at)
{
    bool appended = at + 1 == count && slot + 1 == p->nodes;
    unsigned left = appended ? count - 1 : count / 2;
    replace_node(p, slot, rows, left, room_for(left));
    insert_slot(p, slot + 1, node_of(rows + left, count - left, room_for(count - left)));
}

static void insert_row(struct pending *p, size_t slot, unsigned at, const struct row *r)
{
    struct pending_node *n = slot_at(p, slot)->node;
    if (n->start + n->count < n->cap && node_fits(n, r)) {
        if (at < n->count) shift(n, at, 1);
        n->count++;
        node_put(n, at, r);
        if (at == 0) slot_at(p, slot)->first = node_id(n, 0);
        return;
    }
    struct row rows[NODE_MAX + 1];
    unsigned count = n->count + 1u;
    node_rows(n, rows);
    memmove(&rows[at + 1], &rows[at], (n->count - at) * sizeof *rows);
    rows[at] = *r;
    if (count > NODE_MAX) split(p, slot, rows, count, at);
    else replace_node(p, slot, rows, count, room_for(count));
}

static void replace_row(struct pending *p, size_t slot, unsigned at, const struct row *r)
{
    struct pending_node *n = slot_at(p, slot)->node;
    if (node_fits(n, r)) {
        node_put(n, at, r);
        return;
    }
    struct row rows[NODE_MAX];
    unsigned count = n->count;
    node_rows(n, rows);
    rows[at] = *r;
    replace_node(p, slot, rows, count, room_for(count));
}

bool pending_set(struct pending *p, const struct pending_entry *e, struct pending_entry *ret_old)
{
    struct row r = row_of(e), old;
    size_t slot;
    unsigned at;
    if (find(p, e->id, &slot, &at)) {
        node_row(slot_at(p, slot)->node, at, &old);
        *ret_old = entry_of(&old);
        replace_row(p, slot, at, &r);
        return true;
    }
    if (p->nodes == 0) insert_slot(p, 0, node_of(&r, 1, NODE_MIN));
    else insert_row(p, slot, at, &r);
    p->count++;
    return false;
}

/* A node that has become small is put together with a neighbour or gets less room. */
static void tidy(struct pending *p, size_t slot)
{
    const struct pending_node *n = slot_at(p, slot)->node;
    struct row rows[MERGE_MAX];
    if (n->count > n->cap / 4) return;
    for (size_t left = slot > 0 ? slot - 1 : 0; left <= slot && left + 1 < p->nodes; left++) {
        const struct pending_node *a = slot_at(p, left)->node, *b = slot_at(p, left + 1)->node;
        unsigned sum = (unsigned)a->count + b->count;
        if (sum > MERGE_MAX) continue;
        node_rows(a, rows);
        node_rows(b, rows + a->count);
        remove_slot(p, left + 1);
        replace_node(p, left, rows, sum, room_for(sum));
        return;
    }
    if (n->cap <= NODE_MIN) return;
    unsigned count = n->count;
    node_rows(n, rows);
    replace_node(p, slot, rows, count, room_for(count * 2));
}

static void remove_at(struct pending *p, size_t slot, unsigned at)
{
    struct pending_node *n = slot_at(p, slot)->node;
    p->count--;
    if (n->count == 1) {
        remove_slot(p, slot);
        return;
    }
    if (at == 0) n->start++;
    else shift(n, at, -1);
    n->count--;
    if (at == 0) slot_at(p, slot)->first = node_id(n, 0);
    tidy(p, slot);
}

bool pending_remove(struct pending *p, struct stream_id id, struct pending_entry *ret_old)
{
    size_t slot;
    unsigned at;
    struct row r;
    if (!find(p, id, &slot, &at)) return false;
    node_row(slot_at(p, slot)->node, at, &r);
    *ret_old = entry_of(&r);
    remove_at(p, slot, at);
    return true;
}

bool pending_first(const struct pending *p, struct stream_id *ret)
{
    if (p->nodes == 0) return false;
    *ret = slot_at(p, 0)->first;
    return true;
}

bool pending_last(const struct pending *p, struct stream_id *ret)
{
    if (p->nodes == 0) return false;
    const struct pending_node *n = slot_at(p, p->nodes - 1)->node;
    *ret = node_id(n, n->count - 1u);
    return true;
}

/* ---- Walking ---- */

void pending_iter_init(struct pending_iter *it, const struct pending *p, struct stream_id from,
                       int64_t consumer, int64_t time_max_ms)
{
    *it = (struct pending_iter){.pending = p, .consumer = consumer, .time_max_ms = time_max_ms};
    if (p->nodes == 0) return;
    it->slot = find_slot(p, from);
    it->entry = node_search(slot_at(p, it->slot)->node, from);
}

static bool may_have(const struct pending_iter *it, const struct pending_node *n)
{
    if (it->consumer != PENDING_ANY && !(n->consumers & consumer_bit((uint64_t)it->consumer)))
        return false;
    return (int64_t)(n->base[COL_TIME] ^ TIME_SHIFT) <= it->time_max_ms;
}

bool pending_iter_next(struct pending_iter *it, struct pending_entry *ret)
{
    const struct pending *p = it->pending;
    for (; it->slot < p->nodes; it->slot++, it->entry = 0) {
        const struct pending_node *n = slot_at(p, it->slot)->node;
        if (!may_have(it, n)) continue;
        while (it->entry < n->count) {
            struct row r;
            node_row(n, it->entry++, &r);
            *ret = entry_of(&r);
            if (it->consumer != PENDING_ANY && ret->consumer != it->consumer) continue;
            if (ret->time_ms <= it->time_max_ms) return true;
        }
    }
    return false;
}

static int64_t node_next_time(const struct pending_node *n, int64_t after_ms)
{
    int64_t next = INT64_MAX, lowest = (int64_t)(n->base[COL_TIME] ^ TIME_SHIFT);
    if (lowest > after_ms) return lowest;
    for (unsigned i = 0; i < n->count; i++) {
        int64_t time_ms = (int64_t)(node_value(n, COL_TIME, i) ^ TIME_SHIFT);
        if (time_ms > after_ms && time_ms < next) next = time_ms;
    }
    return next;
}

int64_t pending_next_time(const struct pending *p, int64_t after_ms)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < p->nodes; i++) {
        int64_t of_node = node_next_time(slot_at(p, i)->node, after_ms);
        if (of_node < next) next = of_node;
    }
    return next;
}

/* ---- One consumer's ---- */

/* Rewrites the nodes in which the consumer may have entries: they become another's, or go (to: -1).
 */
static uint64_t replace_consumer(struct pending *p, uint32_t from, int64_t to, int64_t time_ms)
{
    uint64_t found = 0;
    struct row rows[NODE_MAX];
    for (size_t slot = p->nodes; slot-- > 0;) {
        const struct pending_node *n = slot_at(p, slot)->node;
        if (!(n->consumers & consumer_bit(from))) continue;
        unsigned kept = 0, hits = 0;
        for (unsigned i = 0; i < n->count; i++) {
            node_row(n, i, &rows[kept]);
            bool is_its = rows[kept].v[COL_CONSUMER] == from;
            if (is_its && to >= 0) {
                rows[kept].v[COL_CONSUMER] = (uint64_t)to;
                if (time_ms >= 0) rows[kept].v[COL_TIME] = (uint64_t)time_ms ^ TIME_SHIFT;
            }
            if (is_its) hits++;
            if (!is_its || to >= 0) kept++;
        }
        found += hits;
        if (kept == 0) remove_slot(p, slot);
        else if (hits > 0) replace_node(p, slot, rows, kept, room_for(kept));
    }
    return found;
}

uint64_t pending_give(struct pending *p, uint32_t from, uint32_t to, int64_t time_ms)
{
    return from == to ? 0 : replace_consumer(p, from, to, time_ms);
}

uint64_t pending_remove_consumer(struct pending *p, uint32_t consumer)
{
    uint64_t gone = replace_consumer(p, consumer, -1, PENDING_TIME_STAYS);
    p->count -= gone;
    return gone;
}
