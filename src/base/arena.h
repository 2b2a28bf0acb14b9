/* Memory that lives until the end of a loop turn: a bump pointer, freed all at once. One thread. */
#ifndef LEAT_BASE_ARENA_H
#define LEAT_BASE_ARENA_H

#include "base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* newest first */
    size_t used;               /* in the newest block */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
/* Aligned to 16 bytes, uninitialised, never NULL. */
void *arena_alloc(struct arena *a, size_t n);
struct bytes arena_dup(struct arena *a, struct bytes b);
char *arena_strdup(struct arena *a, struct bytes b); /* zero-terminated */
/* Forgets all allocations; keeps one block of up to 64 KB, gives the rest back. */
void arena_reset(struct arena *a);

#endif
