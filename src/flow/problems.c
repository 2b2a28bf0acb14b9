/* The list of a file's problems; see problems.h. */
#include "flow/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct problem {
    int line, column;
    size_t number; /* keeps the sort stable */
    const char *text;
    struct problem *next;
};

void problems_add(struct problems *p, int line, int column, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* What a message quotes must not break the report's lines. */
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    struct problem *item = arena_alloc(p->arena, sizeof(*item));
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    *item = (struct problem){.line = line,
                             .column = column,
                             .number = p->count++,
                             .text = arena_strdup(p->arena, (struct bytes){text, len}),
                             .next = p->first};
    p->first = item;
}

static int by_place(const void *left, const void *right)
{
    const struct problem *a = *(struct problem *const *)left;
    const struct problem *b = *(struct problem *const *)right;
    if (a->line != b->line) return a->line < b->line ? -1 : 1;
    if (a->column != b->column) return a->column < b->column ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void problems_write(const struct problems *p, const char *file, struct buf *out)
{
    if (p->count == 0) return;
    const struct problem **sorted = mem_alloc(p->count * sizeof(struct problem *));
    size_t n = 0;
    for (const struct problem *item = p->first; item != NULL; item = item->next) sorted[n++] = item;
    qsort(sorted, n, sizeof(struct problem *), by_place);
    for (size_t i = 0; i < n; i++) {
        if (sorted[i]->line == 0) buf_printf(out, "%s: %s\n", file, sorted[i]->text);
        else
            buf_printf(out, "%s:%d:%d: %s\n", file, sorted[i]->line, sorted[i]->column,
                       sorted[i]->text);
    }
    mem_free(sorted);
}
