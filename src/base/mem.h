/* Memory of the broker's side: counted, and never NULL. A client-sized request is checked against a
 * limit before it comes here, so running out means the machine is out of memory: the process says
 * so and ends, and the journal has every acknowledged write. Any thread may call these. */
#ifndef LEAT_BASE_MEM_H
#define LEAT_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n);
void *mem_calloc(size_t n);
/* Zeroed, at a multiple of `align` (a power of two, at least 8). */
void *mem_calloc_aligned(size_t align, size_t n);
void *mem_realloc(void *p, size_t n); /* p may be NULL */
void mem_free(void *p);               /* p may be NULL */
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t n); /* n may be 0 */

/* Zero pages straight from the kernel, for what is large: given at once whatever their number, in
 * memory only once touched. Aligned to MEM_PAGES_PIECE, n is a multiple of the page size. Any piece
 * (at a multiple of MEM_PAGES_PIECE from the start) may be given back before the others. */
enum { MEM_PAGES_PIECE = 256 * 1024 };
void *mem_pages_map(size_t n);
void mem_pages_unmap(void *p, size_t n); /* n may be 0 */

/* Bytes allocated through this module and not yet freed, as the allocator rounds them. */
size_t mem_used(void);
/* The largest mem_used() that mem_note_peak() has seen. */
size_t mem_peak(void);
void mem_note_peak(void);
/* Size of one allocation as the allocator rounds it; for MEMORY USAGE. */
size_t mem_size(const void *p);

#endif
