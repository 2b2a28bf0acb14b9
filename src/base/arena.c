/* A list of blocks, newest first; only the newest is allocated from. What does not fit a block of
 * the usual size gets one of its own, put second so that the newest keeps its room. Under ASan what
 * is not handed out is poisoned, so that a pointer kept beyond a reset is caught. */
#include "base/arena.h"

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct arena_block {
    struct arena_block *next; /* older */
    size_t cap;               /* bytes of data */
    char data[];              /* 16-aligned, as the header is 16 bytes long */
};

_Static_assert(sizeof(struct arena_block) == 16, "data must be aligned to 16");

enum { BLOCK_CAP = 64 * 1024 - sizeof(struct arena_block) };

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b = mem_alloc(sizeof *b + cap);
    b->next = NULL;
    b->cap = cap;
    ASAN_POISON_MEMORY_REGION(b->data, cap);
    return b;
}

static void block_free(struct arena_block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(b->data, b->cap);
    mem_free(b);
}

void arena_fini(struct arena *a)
{
    while (a->block != NULL) {
        struct arena_block *b = a->block;
        a->block = b->next;
        block_free(b);
    }
    a->used = 0;
}

static void *alloc_apart(struct arena *a, size_t n)
{
    struct arena_block *b = block_new(n);
    if (a->block == NULL) {
        a->block = b;
        a->used = n;
    } else {
        b->next = a->block->next;
        a->block->next = b;
    }
    ASAN_UNPOISON_MEMORY_REGION(b->data, n);
    return b->data;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t want = (n + 15) & ~(size_t)15;
    if (a->block == NULL || want > a->block->cap - a->used) {
        if (want > BLOCK_CAP / 4) return alloc_apart(a, want);
        struct arena_block *b = block_new(BLOCK_CAP);
        b->next = a->block;
        a->block = b;
        a->used = 0;
    }
    void *p = a->block->data + a->used;
    a->used += want;
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    return p;
}

struct bytes arena_dup(struct arena *a, struct bytes b)
{
    char *copy = arena_alloc(a, b.len);
    if (b.len > 0) memcpy(copy, b.data, b.len);
    return (struct bytes){copy, b.len};
}

char *arena_strdup(struct arena *a, struct bytes b)
{
    char *copy = arena_alloc(a, b.len + 1);
    if (b.len > 0) memcpy(copy, b.data, b.len);
    copy[b.len] = '\0';
    return copy;
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;
    struct arena_block *next;
    for (struct arena_block *b = a->block; b != NULL; b = next) {
        next = b->next;
        if (kept == NULL && b->cap == BLOCK_CAP) {
            kept = b;
        } else {
            block_free(b);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
        ASAN_POISON_MEMORY_REGION(kept->data, kept->cap);
    }
    a->block = kept;
    a->used = 0;
}
