#include "keys/pending.h"

#include "base/mem.h"
#include "keys/pending_node.h"

/* Two nodes are put together when they are no more than this. */
enum { MERGE_MAX = 128 };

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
    *slot_at(p, i) = (struct pending_slot){pending_node_id(n, 0), n};
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

static void replace_node(struct pending *p, size_t i, const struct pending_row *rows,
                         unsigned count, unsigned cap)
{
    mem_free(slot_at(p, i)->node);
    set_node(p, i, pending_node_new(rows, count, cap));
}

/* ---- All of it ---- */

void pending_fini(struct pending *p)
{
    for (size_t i = 0; i < p->nodes; i++) mem_free(slot_at(p, i)->node);
    mem_free(p->slots);
    *p = (struct pending){0};
}

void pending_copy(struct pending *to, const struct pending *from)
{
    *to = (struct pending){.nodes = from->nodes, .cap = from->nodes, .count = from->count};
    if (from->nodes == 0) return;
    to->slots = mem_dup(slot_at(from, 0), from->nodes * sizeof *to->slots);
    for (size_t i = 0; i < to->nodes; i++) {
        struct pending_node *n = to->slots[i].node;
        to->slots[i].node = mem_dup(n, pending_node_bytes(n));
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
    *ret_at = pending_node_search(n, id);
    return *ret_at < n->count && stream_id_cmp(pending_node_id(n, *ret_at), id) == 0;
}

bool pending_get(const struct pending *p, struct stream_id id, struct pending_entry *ret)
{
    size_t slot;
    unsigned at;
    struct pending_row r;
    if (!find(p, id, &slot, &at)) return false;
    pending_node_row(slot_at(p, slot)->node, at, &r);
    *ret = pending_entry_of(&r);
    return true;
}

/* A row more in a full node: the new ones go half and half, but a node that is appended to stays
 * full. */
static void split(struct pending *p, size_t slot, const struct pending_row *rows, unsigned count,
                  unsigned at)
{
    bool appended = at + 1 == count && slot + 1 == p->nodes;
    unsigned left = appended ? count - 1 : count / 2;
    replace_node(p, slot, rows, left, pending_node_room(left));
    insert_slot(p, slot + 1,
                pending_node_new(rows + left, count - left, pending_node_room(count - left)));
}

static void insert_row(struct pending *p, size_t slot, unsigned at, const struct pending_row *r)
{
    struct pending_node *n = slot_at(p, slot)->node;
    if (n->start + n->count < n->cap && pending_node_fits(n, r)) {
        if (at < n->count) pending_node_shift(n, at, 1);
        n->count++;
        pending_node_put(n, at, r);
        if (at == 0) slot_at(p, slot)->first = pending_node_id(n, 0);
        return;
    }
    struct pending_row rows[PENDING_NODE_MAX + 1];
    unsigned count = n->count + 1u;
    pending_node_rows(n, rows);
    memmove(&rows[at + 1], &rows[at], (n->count - at) * sizeof *rows);
    rows[at] = *r;
    if (count > PENDING_NODE_MAX) split(p, slot, rows, count, at);
    else replace_node(p, slot, rows, count, pending_node_room(count));
}

static void replace_row(struct pending *p, size_t slot, unsigned at, const struct pending_row *r)
{
    struct pending_node *n = slot_at(p, slot)->node;
    if (pending_node_fits(n, r)) {
        pending_node_put(n, at, r);
        return;
    }
    struct pending_row rows[PENDING_NODE_MAX];
    unsigned count = n->count;
    pending_node_rows(n, rows);
    rows[at] = *r;
    replace_node(p, slot, rows, count, pending_node_room(count));
}

bool pending_set(struct pending *p, const struct pending_entry *e, struct pending_entry *ret_old)
{
    struct pending_row r = pending_row_of(e), old;
    size_t slot;
    unsigned at;
    if (find(p, e->id, &slot, &at)) {
        pending_node_row(slot_at(p, slot)->node, at, &old);
        *ret_old = pending_entry_of(&old);
        replace_row(p, slot, at, &r);
        return true;
    }
    if (p->nodes == 0) insert_slot(p, 0, pending_node_new(&r, 1, PENDING_NODE_MIN));
    else insert_row(p, slot, at, &r);
    p->count++;
    return false;
}

/* A node that has become small is put together with a neighbour or gets less room. */
static void tidy(struct pending *p, size_t slot)
{
    const struct pending_node *n = slot_at(p, slot)->node;
    struct pending_row rows[MERGE_MAX];
    if (n->count > n->cap / 4) return;
    for (size_t left = slot > 0 ? slot - 1 : 0; left <= slot && left + 1 < p->nodes; left++) {
        const struct pending_node *a = slot_at(p, left)->node, *b = slot_at(p, left + 1)->node;
        unsigned sum = (unsigned)a->count + b->count;
        if (sum > MERGE_MAX) continue;
        pending_node_rows(a, rows);
        pending_node_rows(b, rows + a->count);
        remove_slot(p, left + 1);
        replace_node(p, left, rows, sum, pending_node_room(sum));
        return;
    }
    if (n->cap <= PENDING_NODE_MIN) return;
    unsigned count = n->count;
    pending_node_rows(n, rows);
    replace_node(p, slot, rows, count, pending_node_room(count * 2));
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
    else pending_node_shift(n, at, -1);
    n->count--;
    if (at == 0) slot_at(p, slot)->first = pending_node_id(n, 0);
    tidy(p, slot);
}

bool pending_remove(struct pending *p, struct stream_id id, struct pending_entry *ret_old)
{
    size_t slot;
    unsigned at;
    struct pending_row r;
    if (!find(p, id, &slot, &at)) return false;
    pending_node_row(slot_at(p, slot)->node, at, &r);
    *ret_old = pending_entry_of(&r);
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
    *ret = pending_node_id(n, n->count - 1u);
    return true;
}

/* ---- Walking ---- */

void pending_iter_init(struct pending_iter *it, const struct pending *p, struct stream_id from,
                       int64_t consumer, int64_t time_max_ms)
{
    *it = (struct pending_iter){.pending = p, .consumer = consumer, .time_max_ms = time_max_ms};
    if (p->nodes == 0) return;
    it->slot = find_slot(p, from);
    it->entry = pending_node_search(slot_at(p, it->slot)->node, from);
}

static bool may_have(const struct pending_iter *it, const struct pending_node *n)
{
    if (it->consumer != PENDING_ANY &&
        !(n->consumers & pending_consumer_bit((uint64_t)it->consumer)))
        return false;
    return (int64_t)(n->base[PENDING_TIME] ^ PENDING_TIME_SHIFT) <= it->time_max_ms;
}

bool pending_iter_next(struct pending_iter *it, struct pending_entry *ret)
{
    const struct pending *p = it->pending;
    for (; it->slot < p->nodes; it->slot++, it->entry = 0) {
        const struct pending_node *n = slot_at(p, it->slot)->node;
        if (!may_have(it, n)) continue;
        while (it->entry < n->count) {
            struct pending_row r;
            pending_node_row(n, it->entry++, &r);
            *ret = pending_entry_of(&r);
            if (it->consumer != PENDING_ANY && ret->consumer != it->consumer) continue;
            if (ret->time_ms <= it->time_max_ms) return true;
        }
    }
    return false;
}

static int64_t node_next_time(const struct pending_node *n, int64_t after_ms)
{
    int64_t next = INT64_MAX, lowest = (int64_t)(n->base[PENDING_TIME] ^ PENDING_TIME_SHIFT);
    if (lowest > after_ms) return lowest;
    for (unsigned i = 0; i < n->count; i++) {
        int64_t time_ms = (int64_t)(pending_node_value(n, PENDING_TIME, i) ^ PENDING_TIME_SHIFT);
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
    struct pending_row rows[PENDING_NODE_MAX];
    for (size_t slot = p->nodes; slot-- > 0;) {
        const struct pending_node *n = slot_at(p, slot)->node;
        if (!(n->consumers & pending_consumer_bit(from))) continue;
        unsigned kept = 0, hits = 0;
        for (unsigned i = 0; i < n->count; i++) {
            pending_node_row(n, i, &rows[kept]);
            bool is_its = rows[kept].v[PENDING_CONSUMER] == from;
            if (is_its && to >= 0) {
                rows[kept].v[PENDING_CONSUMER] = (uint64_t)to;
                if (time_ms >= 0)
                    rows[kept].v[PENDING_TIME] = (uint64_t)time_ms ^ PENDING_TIME_SHIFT;
            }
            if (is_its) hits++;
            if (!is_its || to >= 0) kept++;
        }
        found += hits;
        if (kept == 0) remove_slot(p, slot);
        else if (hits > 0) replace_node(p, slot, rows, kept, pending_node_room(kept));
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
