/* A small sequence of byte strings in one allocation: the form of small hashes, sets and sorted
 * sets. Each element is a varint length and its bytes; searching is linear and meant to be, the
 * owners turn to tables when it grows (the *-max-listpack-* settings). */
#ifndef LEAT_KEYS_PACK_H
#define LEAT_KEYS_PACK_H

#include "base/buf.h"

struct pack {
    struct buf bytes;
    uint32_t count;
};

void pack_fini(struct pack *p);
void pack_copy(struct pack *to, const struct pack *from);

/* Walk: pack_first, then pack_next, until false; `at` is an offset into bytes. */
static inline size_t pack_first(const struct pack *p)
{
    (void)p;
    return 0;
}
/* Element at offset `*at`; moves *at behind it. False at the end. The bytes live until a change. */
bool pack_next(const struct pack *p, size_t *at, struct bytes *ret);
/* Offset of the first element equal to `b` among elements 0, step, 2*step, ...; -1 if none. */
ssize_t pack_find(const struct pack *p, struct bytes b, uint32_t step);
/* Offset of element `index` (< count). */
size_t pack_offset(const struct pack *p, uint32_t index);
void pack_append(struct pack *p, struct bytes b);
/* Before the element at offset `at` (or at the end). */
void pack_insert(struct pack *p, size_t at, struct bytes b);
/* Replaces the element at offset `at`. */
void pack_replace(struct pack *p, size_t at, struct bytes b);
/* Removes `n` elements from offset `at` on. */
void pack_remove(struct pack *p, size_t at, uint32_t n);

#endif
