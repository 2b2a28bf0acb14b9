/* See table.h. All cells lie in one buffer; a cell's number gives its row and column. */
#include "cli/tool/table.h"

#include "base/mem.h"
#include "base/must.h"
#include "cli/tool/text.h"

enum { NAME_MIN = 16 }; /* columns that a name keeps however narrow the terminal is */

void table_init(struct table *t, const struct column *columns, size_t width)
{
    must(width > 0);
    *t = (struct table){.columns = columns, .width = width};
}

void table_fini(struct table *t)
{
    buf_fini(&t->text);
    mem_free(t->ends);
    *t = (struct table){0};
}

void table_clear(struct table *t)
{
    t->text.len = 0;
    t->count = 0;
}

struct buf *table_begin(struct table *t)
{
    return &t->text;
}

void table_end(struct table *t)
{
    size_t start = t->count > 0 ? t->ends[t->count - 1] : 0;
    if (t->text.len == start) buf_putc(&t->text, '-');
    if (t->count == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->ends = mem_realloc(t->ends, t->cap * sizeof *t->ends);
    }
    t->ends[t->count++] = t->text.len;
}

void table_word(struct table *t, struct bytes word)
{
    text_put_word(table_begin(t), word);
    table_end(t);
}

void table_text(struct table *t, const char *text)
{
    if (text != NULL) buf_put(table_begin(t), bytes_of(text));
    table_end(t);
}

void table_int(struct table *t, int64_t n)
{
    buf_printf(table_begin(t), "%lld", (long long)n);
    table_end(t);
}

size_t table_rows(const struct table *t)
{
    must(t->count % t->width == 0);
    return t->count / t->width;
}

static struct bytes cell(const struct table *t, size_t index)
{
    size_t start = index > 0 ? t->ends[index - 1] : 0;
    return (struct bytes){t->text.data + start, t->ends[index] - start};
}

/* Row 0 is the titles. */
static struct bytes cell_at(const struct table *t, size_t row, size_t column)
{
    if (row == 0) return bytes_of(t->columns[column].title);
    return cell(t, (row - 1) * t->width + column);
}

static void put_spaces(struct buf *out, size_t n)
{
    while (n-- > 0) buf_putc(out, ' ');
}

/* Both ends of a name that is too wide: names that begin alike are told apart by their ends.
 * Returns the width. */
static size_t put_shortened(struct buf *out, struct bytes text, size_t width)
{
    size_t own = text_width(text), head = width / 2, tail = width - 1 - head, start = out->len;
    size_t skip = text_cut(text, own - tail);
    /* A wide character may stand across. */
    if (own - text_width((struct bytes){text.data, skip}) > tail)
        skip = text_cut(text, own - tail + 1);
    buf_append(out, text.data, text_cut(text, head));
    buf_append(out, "\xe2\x80\xa6", 3); /* an ellipsis */
    buf_append(out, text.data + skip, text.len - skip);
    return text_width((struct bytes){out->data + start, out->len - start});
}

static void put_aligned(struct buf *out, struct bytes text, size_t width, bool right, bool last)
{
    size_t own = text_width(text);
    if (own > width) {
        own = put_shortened(out, text, width);
        text.len = 0;
    }
    size_t pad = width - own;
    if (right) put_spaces(out, pad);
    buf_put(out, text);
    if (!right && !last) put_spaces(out, pad);
}

/* Cuts the line that begins at `start` to `max` columns. */
static void cut_line(struct buf *out, size_t start, int max)
{
    struct bytes line = {out->data + start, out->len - start};
    if (max <= 0 || text_width(line) <= (size_t)max) return;
    out->len = start + text_cut(line, (size_t)max - 1);
    buf_append(out, "\xe2\x80\xa6", 3); /* an ellipsis */
}

static void put_row(const struct table *t, size_t row, const size_t *widths,
                    const struct table_style *style, struct buf *out)
{
    bool bold = row == 0 && style->terminal;
    if (bold) buf_append(out, "\033[1m", 4);
    size_t start = out->len;
    for (size_t i = 0; i < t->width; i++) {
        bool last = i + 1 == t->width;
        if (i > 0) put_spaces(out, style->terminal ? 2 : 1);
        if (style->terminal)
            put_aligned(out, cell_at(t, row, i), widths[i], t->columns[i].right, last);
        else buf_put(out, cell_at(t, row, i));
    }
    cut_line(out, start, style->columns_max);
    if (bold) buf_append(out, "\033[0m", 4);
    buf_putc(out, '\n');
}

/* Makes room in a narrow terminal: the widest column of names, one column at a time. */
static void narrow(const struct table *t, const struct table_style *style, size_t *widths)
{
    while (style->terminal && style->columns_max > 0) {
        size_t all = 2 * (t->width - 1), widest = t->width;
        for (size_t i = 0; i < t->width; i++) {
            bool may = !t->columns[i].right && widths[i] > NAME_MIN;
            all += widths[i];
            if (may && (widest == t->width || widths[i] > widths[widest])) widest = i;
        }
        if (all <= (size_t)style->columns_max || widest == t->width) return;
        widths[widest]--;
    }
}

void table_put(const struct table *t, const struct table_style *style, struct buf *out)
{
    size_t rows = table_rows(t), shown = rows;
    size_t *widths = mem_calloc(t->width * sizeof *widths);
    if (style->rows_max > 0 && rows > style->rows_max) shown = style->rows_max - 1;
    for (size_t row = 0; row <= shown; row++) {
        for (size_t i = 0; i < t->width; i++) {
            size_t width = text_width(cell_at(t, row, i));
            if (width > widths[i]) widths[i] = width;
        }
    }
    narrow(t, style, widths);
    for (size_t row = 0; row <= shown; row++) put_row(t, row, widths, style, out);
    if (shown < rows) buf_printf(out, "and %zu more\n", rows - shown);
    mem_free(widths);
}
