/* See table.h. All cells lie in one buffer; a cell's number gives its row and column. */
#include "cli/tool/table.h"

#include "base/mem.h"
#include "base/must.h"
#include "cli/tool/text.h"

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

static void put_aligned(struct buf *out, struct bytes text, size_t width, bool right, bool last)
{
    size_t own = text_width(text), pad = width > own ? width - own : 0;
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
    for (size_t row = 0; row <= shown; row++) put_row(t, row, widths, style, out);
    if (shown < rows) buf_printf(out, "and %zu more\n", rows - shown);
    mem_free(widths);
}
