#include "keys/list.h"

#include "base/mem.h"
#include "base/must.h"

/* ---- Life ---- */

void list_init(struct key *k)
{
    k->value.list = mem_calloc(sizeof *k->value.list);
    k->encoding = ENC_LISTPACK;
}

void list_free(struct list *l)
{
    if (l == NULL) return;
    for (struct list_node *n = l->first, *next; n != NULL; n = next) {
        next = n->next;
        mem_free(n);
    }
    mem_free(l);
}

static void free_value(struct key *k)
{
    list_free(k->value.list);
}

static void link_last(struct list *l, struct list_node *n)
{
    n->prev = l->last;
    if (l->last != NULL) l->last->next = n;
    else l->first = n;
    l->last = n;
}

struct list *list_copy(const struct list *from)
{
    struct list *l = mem_dup(from, sizeof *from);
    l->first = l->last = NULL;
    for (const struct list_node *n = from->first; n != NULL; n = n->next)
        link_last(l, list_node_copy(n));
    return l;
}

void list_drop_first_node(struct list *l)
{
    struct list_node *n = l->first;
    l->first = n->next;
    if (n->next != NULL) n->next->prev = NULL;
    else l->last = NULL;
    l->count -= n->count;
    l->bytes -= list_node_used(n);
    l->node_count--;
    mem_free(n);
}

static void copy_value(struct key *to, const struct key *from)
{
    to->value.list = list_copy(from->value.list);
    to->encoding = from->encoding;
}

static size_t memory_of(const struct key *k, size_t samples)
{
    const struct list *l = k->value.list;
    size_t sum = 0, seen = 0;
    for (const struct list_node *n = l->first; n != NULL; n = n->next) {
        if (samples != 0 && seen == samples) break;
        sum += mem_size(n);
        seen++;
    }
    return mem_size(l) + (seen > 0 ? sum * l->node_count / seen : 0);
}

static size_t weight_of(const struct key *k)
{
    return k->value.list == NULL ? 0 : k->value.list->node_count;
}

const struct key_ops list_ops = {.name = "list",
                                 .free = free_value,
                                 .copy = copy_value,
                                 .memory = memory_of,
                                 .weight = weight_of};

/* ---- Encoding ---- */

struct size_limits {
    size_t bytes, count;
};

static struct size_limits limits_of(int64_t limit)
{
    enum { KB = 1024 };
    if (limit == 0) return (struct size_limits){8 * KB, 1};
    if (limit > 0) return (struct size_limits){8 * KB, (size_t)limit};
    return (struct size_limits){(size_t)4 * KB << (limit < -5 ? 4 : -limit - 1), SIZE_MAX};
}

static void note_growth(struct key *k, int64_t limit)
{
    struct size_limits max = limits_of(limit);
    const struct list *l = k->value.list;
    if (l->bytes > max.bytes || l->count > max.count) k->encoding = ENC_QUICKLIST;
}

/* Half of the limit, so that a list on the border does not go back and forth. */
static void note_shrinking(struct key *k, int64_t limit)
{
    struct size_limits max = limits_of(limit);
    const struct list *l = k->value.list;
    if (l->bytes <= max.bytes / 2 && l->count <= max.count / 2) k->encoding = ENC_LISTPACK;
}

void list_make_room(struct key *k, const struct bytes *values, size_t count, int64_t limit)
{
    struct size_limits max = limits_of(limit);
    const struct list *l = k->value.list;
    size_t bytes = l->bytes;
    for (size_t i = 0; i < count; i++) bytes += values[i].len;
    if (bytes > max.bytes || l->count + count > max.count) k->encoding = ENC_QUICKLIST;
}

/* ---- Nodes of a list ---- */

/* An element's place: its node, its offset there, and its number in the node. */
struct place {
    struct list_node *node;
    uint32_t at, number;
};

/* `n` stands where a node stood that may have moved. */
static void replaced(struct list *l, struct list_node *n)
{
    if (n->prev == NULL) l->first = n;
    if (n->next == NULL) l->last = n;
}

static void free_node(struct list *l, struct list_node *n)
{
    if (n->prev != NULL) n->prev->next = n->next;
    else l->first = n->next;
    if (n->next != NULL) n->next->prev = n->prev;
    else l->last = n->prev;
    l->node_count--;
    mem_free(n);
}

/* An empty node before (after) the first (last) one. */
static struct list_node *add_node(struct list *l, enum list_end end, size_t cap)
{
    struct list_node *n = list_node_new(cap);
    l->node_count++;
    if (end == LIST_TAIL) {
        link_last(l, n);
        return n;
    }
    n->next = l->first;
    if (l->first != NULL) l->first->prev = n;
    else l->last = n;
    l->first = n;
    return n;
}

static bool both_fit(const struct list_node *a, const struct list_node *b)
{
    return b != NULL && list_node_used(a) + list_node_used(b) <= LIST_NODE_BYTES / 2;
}

static void merge_next(struct list *l, struct list_node *n)
{
    l->node_count--;
    replaced(l, list_node_merge_next(n));
}

/* After a removal: an empty node goes, a small one joins a small neighbour. */
static void tidy(struct list *l, struct list_node *n)
{
    if (n->count == 0) free_node(l, n);
    else if (both_fit(n, n->next)) merge_next(l, n);
    else if (n->prev != NULL && both_fit(n->prev, n)) merge_next(l, n->prev);
    else if (l->node_count == 1) replaced(l, list_node_shrink(n));
}

static uint32_t offset_of(const struct list_node *n, uint32_t number)
{
    struct bytes skipped;
    uint32_t at;
    if (number <= n->count / 2) {
        at = n->start;
        while (number-- > 0) at = list_node_read(n, at, &skipped);
    } else {
        at = n->end;
        for (number = n->count - number; number > 0; number--)
            at = list_node_read_back(n, at, &skipped);
    }
    return at;
}

static struct place place_of(const struct list *l, size_t index)
{
    struct list_node *n;
    must(index < l->count);
    if (index < l->count / 2) {
        n = l->first;
        for (; index >= n->count; n = n->next) index -= n->count;
    } else {
        size_t begin = l->count;
        n = l->last;
        for (; index < (begin -= n->count); n = n->prev) {
        }
        index -= begin;
    }
    return (struct place){n, offset_of(n, (uint32_t)index), (uint32_t)index};
}

/* ---- Elements ---- */

size_t list_count(const struct key *k)
{
    return k->value.list->count;
}

struct bytes list_peek(const struct key *k, enum list_end end)
{
    const struct list *l = k->value.list;
    struct bytes element;
    if (end == LIST_HEAD) list_node_read(l->first, l->first->start, &element);
    else list_node_read_back(l->last, l->last->end, &element);
    return element;
}

struct bytes list_get(const struct key *k, size_t index)
{
    struct place p = place_of(k->value.list, index);
    struct bytes element;
    list_node_read(p.node, p.at, &element);
    return element;
}

static void count_in(struct list *l, size_t len)
{
    l->count++;
    l->bytes += list_frame_bytes(len);
}

void list_push(struct key *k, enum list_end end, struct bytes value, int64_t limit)
{
    struct list *l = k->value.list;
    struct list_node *n = end == LIST_HEAD ? l->first : l->last;
    if (n == NULL || !list_node_fits(n, value.len))
        n = add_node(l, end, list_frame_bytes(value.len));
    replaced(l, list_node_insert(n, end == LIST_HEAD ? n->start : n->end, value));
    count_in(l, value.len);
    note_growth(k, limit);
}

static void drop_one(struct list *l, enum list_end end)
{
    struct list_node *n = end == LIST_HEAD ? l->first : l->last;
    struct bytes element;
    if (end == LIST_HEAD) n->start = list_node_read(n, n->start, &element);
    else n->end = list_node_read_back(n, n->end, &element);
    n->count--;
    l->count--;
    l->bytes -= list_frame_bytes(element.len);
    if (n->count == 0) free_node(l, n);
    else if (l->node_count == 1) replaced(l, list_node_shrink(n));
}

void list_drop(struct key *k, enum list_end end, size_t n, int64_t limit)
{
    struct list *l = k->value.list;
    must(n <= l->count);
    while (n > 0) {
        struct list_node *node = end == LIST_HEAD ? l->first : l->last;
        if (node->count <= n) {
            n -= node->count;
            l->count -= node->count;
            l->bytes -= list_node_used(node);
            free_node(l, node);
        } else {
            drop_one(l, end);
            n--;
        }
    }
    note_shrinking(k, limit);
}

/* Before the element at `p`; a full node is divided there. */
static void insert_at(struct list *l, struct place p, struct bytes value)
{
    struct list_node *n = p.node;
    if (!list_node_fits(n, value.len)) {
        if (p.at > n->start) {
            list_node_split(n, p.at, n->count - p.number);
            l->node_count++;
            if (l->last == n) l->last = n->next;
        }
        struct list_node *before = p.at > n->start ? n : n->prev;
        if (before == NULL) {
            n = add_node(l, LIST_HEAD, list_frame_bytes(value.len));
        } else if (list_node_fits(before, value.len)) {
            n = before;
        } else { /* between the two */
            n = list_node_new(list_frame_bytes(value.len));
            n->prev = before;
            n->next = before->next;
            before->next = n->next->prev = n;
            l->node_count++;
        }
        p.at = n->end;
    }
    replaced(l, list_node_insert(n, p.at, value));
    count_in(l, value.len);
}

void list_insert(struct key *k, size_t index, struct bytes value, int64_t limit)
{
    struct list *l = k->value.list;
    if (index == l->count) {
        list_push(k, LIST_TAIL, value, limit);
        return;
    }
    insert_at(l, place_of(l, index), value);
    note_growth(k, limit);
}

static void remove_at(struct list *l, struct place p)
{
    struct bytes element;
    list_node_read(p.node, p.at, &element);
    l->count--;
    l->bytes -= list_frame_bytes(element.len);
    list_node_remove(p.node, p.at);
    tidy(l, p.node);
}

void list_set(struct key *k, size_t index, struct bytes value, int64_t limit)
{
    struct list *l = k->value.list;
    struct place p = place_of(l, index);
    struct bytes old;
    list_node_read(p.node, p.at, &old);
    if (old.len == value.len) {
        if (value.len > 0) memcpy(p.node->data + (old.data - p.node->data), value.data, value.len);
        return;
    }
    size_t old_bytes = l->bytes;
    insert_at(l, p, value);
    remove_at(l, place_of(l, index + 1));
    if (l->bytes > old_bytes) note_growth(k, limit);
    else note_shrinking(k, limit);
}

/* Of one node; at most `max`. */
static size_t remove_in_node(struct list *l, struct list_node *n, enum list_end from,
                             struct bytes value, size_t max)
{
    struct bytes element;
    size_t removed = 0;
    uint32_t at = from == LIST_HEAD ? n->start : n->end;
    while (removed < max && at != (from == LIST_HEAD ? n->end : n->start)) {
        uint32_t other = from == LIST_HEAD ? list_node_read(n, at, &element)
                                           : list_node_read_back(n, at, &element);
        if (!bytes_eq(element, value)) {
            at = other;
            continue;
        }
        at = list_node_remove(n, from == LIST_HEAD ? at : other);
        removed++;
    }
    l->count -= removed;
    l->bytes -= removed * list_frame_bytes(value.len);
    return removed;
}

size_t list_remove(struct key *k, enum list_end from, struct bytes value, size_t max, int64_t limit)
{
    struct list *l = k->value.list;
    size_t removed = 0;
    struct list_node *n = from == LIST_HEAD ? l->first : l->last;
    while (n != NULL && removed < max) {
        struct list_node *next = from == LIST_HEAD ? n->next : n->prev;
        size_t here = remove_in_node(l, n, from, value, max - removed);
        removed += here;
        /* Joined only with what is done with: `next` stays. */
        if (n->count == 0) free_node(l, n);
        else if (here > 0 && from == LIST_HEAD && n->prev != NULL && both_fit(n->prev, n))
            merge_next(l, n->prev);
        else if (here > 0 && from == LIST_TAIL && both_fit(n, n->next)) merge_next(l, n);
        n = next;
    }
    if (l->node_count == 1) replaced(l, list_node_shrink(l->first));
    if (removed > 0) note_shrinking(k, limit);
    return removed;
}

/* ---- Walking ---- */

void list_iter_init(struct list_iter *it, const struct key *k, size_t index, enum list_end from)
{
    const struct list *l = k->value.list;
    *it = (struct list_iter){.from = from};
    if (index >= l->count) return;
    struct place p = place_of(l, index);
    struct bytes element;
    it->node = p.node;
    it->at = from == LIST_HEAD ? p.at : list_node_read(p.node, p.at, &element);
}

bool list_iter_next(struct list_iter *it, struct bytes *ret)
{
    const struct list_node *n = it->node;
    if (n == NULL) return false;
    if (it->from == LIST_HEAD) {
        it->at = list_node_read(n, it->at, ret);
        if (it->at < n->end) return true;
        it->node = n->next;
        if (it->node != NULL) it->at = it->node->start;
    } else {
        it->at = list_node_read_back(n, it->at, ret);
        if (it->at > n->start) return true;
        it->node = n->prev;
        if (it->node != NULL) it->at = it->node->end;
    }
    return true;
}
