/* A queue of small structs in one allocation: pushed at the back, dropped from the front, indexed
 * in between. Pointers into it hold until the next push. */
#ifndef LEAT_HUB_QUEUE_H
#define LEAT_HUB_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

struct queue {
    char *items;
    uint32_t first, count, cap;
};

static inline void *queue_at(const struct queue *q, size_t size, size_t i)
{
    return q->items + (q->first + i) * size;
}

/* An uninitialized item at the back. */
static inline void *queue_push(struct queue *q, size_t size)
{
    if (q->first + q->count == q->cap && q->first > q->cap / 2) {
        memmove(q->items, q->items + q->first * size, q->count * size);
        q->first = 0;
    }
    if (q->first + q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 1;
        q->items = mem_realloc(q->items, q->cap * size);
    }
    return queue_at(q, size, q->count++);
}

static inline void queue_fini(struct queue *q)
{
    mem_free(q->items);
    *q = (struct queue){0};
}

/* Drops n items from the front; a queue that was long and is empty gives its memory back. */
static inline void queue_drop(struct queue *q, size_t n)
{
    enum { KEPT = 8 };
    q->first += (uint32_t)n;
    q->count -= (uint32_t)n;
    if (q->count > 0) return;
    q->first = 0;
    if (q->cap > KEPT) queue_fini(q);
}

#endif
