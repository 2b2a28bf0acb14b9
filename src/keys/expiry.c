#include "keys/expiry.h"

#include "base/mem.h"
#include "base/must.h"

void expiry_fini(struct expiry *e)
{
    mem_free(e->heap);
    *e = (struct expiry){0};
}

static void place(struct expiry *e, size_t slot, struct key *k)
{
    e->heap[slot] = k;
    k->expire_slot = (uint32_t)slot;
}

static void sift_up(struct expiry *e, size_t slot, struct key *k)
{
    while (slot > 0) {
        size_t parent = (slot - 1) / 2;
        if (e->heap[parent]->expire_at_ms <= k->expire_at_ms) break;
        place(e, slot, e->heap[parent]);
        slot = parent;
    }
    place(e, slot, k);
}

static void sift_down(struct expiry *e, size_t slot, struct key *k)
{
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= e->count) break;
        if (child + 1 < e->count && e->heap[child + 1]->expire_at_ms < e->heap[child]->expire_at_ms)
            child++;
        if (e->heap[child]->expire_at_ms >= k->expire_at_ms) break;
        place(e, slot, e->heap[child]);
        slot = child;
    }
    place(e, slot, k);
}

void expiry_reserve(struct expiry *e, size_t count)
{
    if (count <= e->cap) return;
    e->cap = count;
    e->heap = mem_realloc(e->heap, e->cap * sizeof(struct key *));
}

void expiry_add(struct expiry *e, struct key *k)
{
    must(e->count < UINT32_MAX);
    if (e->count == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 64;
        e->heap = mem_realloc(e->heap, e->cap * sizeof(struct key *));
    }
    e->count++;
    sift_up(e, e->count - 1, k);
}

void expiry_moved(struct expiry *e, struct key *k)
{
    size_t slot = k->expire_slot;
    must(slot < e->count && e->heap[slot] == k);
    sift_up(e, slot, k);
    sift_down(e, k->expire_slot, k);
}

void expiry_remove(struct expiry *e, struct key *k)
{
    size_t slot = k->expire_slot;
    must(slot < e->count && e->heap[slot] == k);
    struct key *last = e->heap[--e->count];
    if (last == k) return;
    place(e, slot, last);
    expiry_moved(e, last);
}
