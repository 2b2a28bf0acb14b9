#include "keys/list_node.h"

#include "base/mem.h"
#include "base/must.h"

static size_t length_bytes(size_t len)
{
    size_t n = 1;
    for (; len >= 0x80; len >>= 7) n++;
    return n;
}

size_t list_frame_bytes(size_t len)
{
    return len + 2 * length_bytes(len);
}

/* ---- Frames ---- */

static char *put_length(char *at, size_t len)
{
    for (; len >= 0x80; len >>= 7) *at++ = (char)(len | 0x80);
    *at++ = (char)len;
    return at;
}

/* Read from its last byte backwards it is what put_length writes. */
static void put_length_back(char *end, size_t len)
{
    for (; len >= 0x80; len >>= 7) *--end = (char)(len | 0x80);
    *--end = (char)len;
}

static void put_frame(char *at, struct bytes value, size_t frame)
{
    char *data = put_length(at, value.len);
    if (value.len > 0) memmove(data, value.data, value.len);
    put_length_back(at + frame, value.len);
}

uint32_t list_node_read(const struct list_node *n, uint32_t at, struct bytes *ret)
{
    size_t len = 0, head = 0;
    unsigned char c;
    do {
        c = (unsigned char)n->data[at + head];
        len |= (size_t)(c & 0x7f) << (7 * head);
        head++;
    } while (c & 0x80);
    *ret = (struct bytes){n->data + at + head, len};
    return at + (uint32_t)(len + 2 * head);
}

uint32_t list_node_read_back(const struct list_node *n, uint32_t at, struct bytes *ret)
{
    size_t len = 0, tail = 0;
    unsigned char c;
    do {
        c = (unsigned char)n->data[at - 1 - tail];
        len |= (size_t)(c & 0x7f) << (7 * tail);
        tail++;
    } while (c & 0x80);
    *ret = (struct bytes){n->data + at - tail - len, len};
    return at - (uint32_t)(len + 2 * tail);
}

/* ---- Nodes ---- */

struct list_node *list_node_new(size_t cap)
{
    must(cap <= UINT32_MAX);
    struct list_node *n = mem_alloc(sizeof *n + cap);
    *n = (struct list_node){.cap = (uint32_t)cap};
    return n;
}

/* The elements in a new node of `cap` bytes, from `start` on, with a gap of `gap` bytes before what
 * was at `at`. */
static struct list_node *rebuild(const struct list_node *n, size_t cap, size_t start, uint32_t at,
                                 size_t gap)
{
    struct list_node *to = list_node_new(cap);
    size_t before = at - n->start, behind = n->end - at;
    if (before > 0) memcpy(to->data + start, n->data + n->start, before);
    if (behind > 0) memcpy(to->data + start + before + gap, n->data + at, behind);
    to->start = (uint32_t)start;
    to->end = (uint32_t)(start + before + gap + behind);
    to->count = n->count;
    to->prev = n->prev;
    to->next = n->next;
    return to;
}

static void link_neighbours(struct list_node *n)
{
    if (n->prev != NULL) n->prev->next = n;
    if (n->next != NULL) n->next->prev = n;
}

static struct list_node *move_to(struct list_node *to, struct list_node *from)
{
    link_neighbours(to);
    mem_free(from);
    return to;
}

struct list_node *list_node_copy(const struct list_node *n)
{
    struct list_node *to = rebuild(n, list_node_used(n), 0, n->start, 0);
    to->prev = to->next = NULL;
    return to;
}

/* Doubles, so that pushing stays cheap; what is alone gets just its size. */
static size_t next_cap(const struct list_node *n, size_t needed)
{
    size_t cap = n->count == 0 ? needed : (size_t)n->cap * 2;
    if (cap > LIST_NODE_BYTES) cap = LIST_NODE_BYTES;
    return cap > needed ? cap : needed;
}

struct list_node *list_node_insert(struct list_node *n, uint32_t at, struct bytes value)
{
    size_t frame = list_frame_bytes(value.len);
    bool in_front = at - n->start < n->end - at; /* the shorter side moves, out of the way */
    n->count++;
    if (in_front && n->start >= frame) {
        memmove(n->data + n->start - frame, n->data + n->start, at - n->start);
        n->start -= (uint32_t)frame;
        put_frame(n->data + at - frame, value, frame);
        return n;
    }
    if (!in_front && n->cap - n->end >= frame) {
        memmove(n->data + at + frame, n->data + at, n->end - at);
        n->end += (uint32_t)frame;
        put_frame(n->data + at, value, frame);
        return n;
    }
    size_t needed = list_node_used(n) + frame;
    n->count--;
    size_t cap = n->cap >= needed ? n->cap : next_cap(n, needed);
    size_t start = in_front ? cap - needed : 0; /* all free room where it is wanted */
    struct list_node *to = rebuild(n, cap, start, at, frame);
    to->count++;
    put_frame(to->data + start + (at - n->start), value, frame); /* it may lie in n */
    return move_to(to, n);
}

uint32_t list_node_remove(struct list_node *n, uint32_t at)
{
    struct bytes element;
    uint32_t behind = list_node_read(n, at, &element);
    uint32_t frame = behind - at;
    n->count--;
    if (at - n->start < n->end - behind) {
        memmove(n->data + n->start + frame, n->data + n->start, at - n->start);
        n->start += frame;
        return behind;
    }
    memmove(n->data + at, n->data + behind, n->end - behind);
    n->end -= frame;
    return at;
}

struct list_node *list_node_split(struct list_node *n, uint32_t at, uint32_t count)
{
    must(at > n->start && at < n->end && count < n->count);
    struct list_node *second = list_node_new(n->end - at);
    memcpy(second->data, n->data + at, n->end - at);
    second->end = n->end - at;
    second->count = count;
    second->prev = n;
    second->next = n->next;
    n->end = at;
    n->count -= count;
    link_neighbours(second);
    return second;
}

struct list_node *list_node_merge_next(struct list_node *n)
{
    struct list_node *gone = n->next;
    size_t more = list_node_used(gone);
    struct list_node *to = rebuild(n, list_node_used(n) + more, 0, n->end, more);
    memcpy(to->data + list_node_used(n), gone->data + gone->start, more);
    to->count += gone->count;
    to->next = gone->next;
    mem_free(gone);
    return move_to(to, n);
}

struct list_node *list_node_shrink(struct list_node *n)
{
    enum { SMALL = 256 }; /* not worth it */
    size_t used = list_node_used(n);
    if (n->cap <= SMALL || used * 4 > n->cap) return n;
    return move_to(rebuild(n, used * 2, 0, n->end, 0), n);
}
