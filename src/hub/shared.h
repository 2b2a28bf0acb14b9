/* Bytes shared by reference: only appended to while they are, so that a part [from, from + len) of
 * them never changes; it may move in memory when more is appended, so holders keep offsets. */
#ifndef LEAT_HUB_SHARED_H
#define LEAT_HUB_SHARED_H

#include "base/buf.h"
#include "base/mem.h"

struct shared {
    size_t refs;
    struct buf bytes;
};

static inline struct shared *shared_new(void)
{
    struct shared *b = mem_calloc(sizeof *b);
    b->refs = 1;
    return b;
}

static inline struct shared *shared_ref(struct shared *b)
{
    b->refs++;
    return b;
}

/* NULL is fine. */
static inline void shared_unref(struct shared *b)
{
    if (b == NULL || --b->refs > 0) return;
    buf_fini(&b->bytes);
    mem_free(b);
}

#endif
