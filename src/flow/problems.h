/* What is wrong with a file, gathered so that one run reports all of it, in the order of the lines.
 * Texts live in the arena given. One thread. */
#ifndef LEAT_FLOW_PROBLEMS_H
#define LEAT_FLOW_PROBLEMS_H

#include "base/arena.h"
#include "base/buf.h"

struct problem;

struct problems {
    struct arena *arena;
    struct problem *first; /* newest first */
    size_t count;
};

/* line and column count from 1; 0, 0 is the file as a whole. */
void problems_add(struct problems *p, int line, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends `file:line:column: text` lines, sorted by place, of equal places the earlier first. */
void problems_write(const struct problems *p, const char *file, struct buf *out);

#endif
