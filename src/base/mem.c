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

/* Each thread counts in a cell of its own, without a locked instruction: that one would wait for
 * every store still under way, and did cost a tenth of a busy loop's time. What a thread frees need
 * not be what it allocated, so a cell may be negative; the sum is right. Threads beyond the cells
 * share the last one, with locked instructions. */
enum { CELLS = 64 };

static struct cell {
    _Alignas(64) atomic_llong bytes;
} cells[CELLS];
static atomic_int cells_taken;
static _Thread_local int own_cell = -1;
static atomic_size_t peak;

static void count(long long bytes)
{
    if (own_cell < 0) {
        int next = atomic_fetch_add(&cells_taken, 1);
        own_cell = next < CELLS ? next : CELLS - 1;
    }
    atomic_llong *mine = &cells[own_cell].bytes;
    if (own_cell < CELLS - 1)
        atomic_store_explicit(mine, atomic_load_explicit(mine, memory_order_relaxed) + bytes,
                              memory_order_relaxed);
    else atomic_fetch_add_explicit(mine, bytes, memory_order_relaxed);
}

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "leat: out of memory: an allocation of %zu bytes failed with %zu in use\n", n,
            mem_used());
    abort();
}

static void *counted(void *p, size_t n)
{
    if (p == NULL) out_of_memory(n);
    count((long long)malloc_usable_size(p));
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

enum { HUGE_BYTES = 4 << 20 };

/* The kernel aligns to small pages; so ask for a piece more and give back both ends. */
void *mem_pages_map(size_t n)
{
    size_t asked = n + MEM_PAGES_PIECE;
    char *p = mmap(NULL, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) out_of_memory(n);
    size_t before = -(uintptr_t)p % MEM_PAGES_PIECE;
    if (before > 0) must(munmap(p, before) == 0);
    must(munmap(p + before + n, MEM_PAGES_PIECE - before) == 0);
    count((long long)n);
    /* Tables are looked into at random: with small pages most look-ups miss the translation cache
     * as well. A kernel that does not want to is right. */
    if (n >= HUGE_BYTES) madvise(p + before, n, MADV_HUGEPAGE);
    return p + before;
}

void mem_pages_unmap(void *p, size_t n)
{
    if (n == 0) return;
    must(munmap(p, n) == 0);
    count(-(long long)n);
}

void *mem_realloc(void *p, size_t n)
{
    if (p != NULL) count(-(long long)malloc_usable_size(p));
    return counted(realloc(p, n ? n : 1), n);
}

void mem_free(void *p)
{
    if (p == NULL) return;
    count(-(long long)malloc_usable_size(p));
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
    long long sum = 0;
    int taken = atomic_load_explicit(&cells_taken, memory_order_relaxed);
    for (int i = 0; i < taken && i < CELLS; i++)
        sum += atomic_load_explicit(&cells[i].bytes, memory_order_relaxed);
    return sum > 0 ? (size_t)sum : 0;
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
