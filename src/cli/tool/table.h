/* A table for people: aligned in a terminal, one plain space between columns elsewhere. */
#ifndef LEAT_CLI_TOOL_TABLE_H
#define LEAT_CLI_TOOL_TABLE_H

#include "base/buf.h"

struct column {
    const char *title; /* static */
    bool right;        /* numbers */
};

struct table {
    const struct column *columns; /* borrowed */
    size_t width;                 /* columns */
    struct buf text;              /* of all cells, one behind the other */
    size_t *ends;                 /* where each ends in `text` */
    size_t count, cap;
};

void table_init(struct table *t, const struct column *columns, size_t width);
void table_fini(struct table *t);
/* Forgets the rows. */
void table_clear(struct table *t);

/* The next cell is what was appended to the buf returned, once table_end is called. An empty one is
 * shown as `-`. */
struct buf *table_begin(struct table *t);
void table_end(struct table *t);
/* Cells: bytes from outside (quoted where needed), our own word (NULL: nothing), a number. */
void table_word(struct table *t, struct bytes word);
void table_text(struct table *t, const char *text);
void table_int(struct table *t, int64_t n);
size_t table_rows(const struct table *t);

struct table_style {
    bool terminal;
    int columns_max; /* lines are cut there, names shortened before; 0: nowhere */
    size_t rows_max; /* what is more is only counted; 0: all */
};
/* Titles and rows, one line each. A row without all its cells is a bug. */
void table_put(const struct table *t, const struct table_style *style, struct buf *out);

#endif
