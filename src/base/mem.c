/* The counts are kept by what the allocator says an allocation really takes. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/must.h"

static atomic_size_t used;
static atomic_size_t peak;

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "leat: out of memory: an allocation of %zu bytes failed with %zu in use\n", n,
            mem_used());
    abort();
}

static void *counted(void *p, size_t n)
{
    if (p == NULL) out_of_memory(n);
    atomic_fetch_add_explicit(&used, malloc_usable_size(p), memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t n)
{
    return counted(malloc(n ? n : 1), n);
}

void *mem_calloc(size_t n)
{
    return counted(calloc(1, n ? n : 1), n);
}

void *mem_calloc_aligned(size_t align, size_t n)
{
    void *p = NULL;
    if (posix_memalign(&p, align, n ? n : 1) != 0) out_of_memory(n);
    return memset(counted(p, n), 0, n);
}

/* The kernel aligns to small pages; so ask for a piece more and give back both ends. */
void *mem_pages_map(size_t n)
{
    size_t asked = n + MEM_PAGES_PIECE;
    char *p = mmap(NULL, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) out_of_memory(n);
    size_t before = -(uintptr_t)p % MEM_PAGES_PIECE;
    if (before > 0) must(munmap(p, before) == 0);
    must(munmap(p + before + n, MEM_PAGES_PIECE - before) == 0);
    atomic_fetch_add_explicit(&used, n, memory_order_relaxed);
    return p + before;
}

void mem_pages_unmap(void *p, size_t n)
{
    if (n == 0) return;
    must(munmap(p, n) == 0);
    atomic_fetch_sub_explicit(&used, n, memory_order_relaxed);
}

void *mem_realloc(void *p, size_t n)
{
    if (p != NULL) atomic_fetch_sub_explicit(&used, malloc_usable_size(p), memory_order_relaxed);
    return counted(realloc(p, n ? n : 1), n);
}

void mem_free(void *p)
{
    if (p == NULL) return;
    atomic_fetch_sub_explicit(&used, malloc_usable_size(p), memory_order_relaxed);
    free(p);
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (n > 0) memcpy(copy, p, n);
    return copy;
}

size_t mem_used(void)
{
    return atomic_load_explicit(&used, memory_order_relaxed);
}

size_t mem_peak(void)
{
    mem_note_peak();
    return atomic_load_explicit(&peak, memory_order_relaxed);
}

void mem_note_peak(void)
{
    size_t now = mem_used();
    size_t seen = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {
    }
}

size_t mem_size(const void *p)
{
    return p == NULL ? 0 : malloc_usable_size((void *)p);
}
