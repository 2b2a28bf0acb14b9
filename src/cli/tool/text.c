/* See text.h. */
#include "cli/tool/text.h"

/* Length of the printable UTF-8 character at the start; 0 when there is none: a control character
 * (U+0080 to U+009F too: terminals obey them), a line or direction mark, or not UTF-8. */
static size_t printable(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (len == 1) return s[0] >= 0x20 && s[0] != 0x7f;
    if (len == 0 || len > n || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xc2 && s[1] < 0xa0) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    if (s[0] == 0xe2 && s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) return 0;
    if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9) return 0;
    return len;
}

static void put_escaped(struct buf *out, unsigned char c)
{
    if (c == '\n') buf_printf(out, "\\n");
    else if (c == '\r') buf_printf(out, "\\r");
    else if (c == '\t') buf_printf(out, "\\t");
    else buf_printf(out, "\\x%02x", c);
}

static bool is_word(struct bytes word)
{
    for (size_t i = 0; i < word.len;) {
        char c = word.data[i];
        size_t len = printable((const unsigned char *)word.data + i, word.len - i);
        if (len == 0 || c == ' ' || c == '"' || c == '\\') return false;
        i += len;
    }
    return word.len > 0;
}

void text_put_line(struct buf *out, struct bytes line)
{
    for (size_t i = 0; i < line.len;) {
        size_t len = printable((const unsigned char *)line.data + i, line.len - i);
        if (len == 0) put_escaped(out, (unsigned char)line.data[i]);
        else buf_append(out, line.data + i, len);
        i += len ? len : 1;
    }
}

void text_put_word(struct buf *out, struct bytes word)
{
    if (is_word(word)) {
        buf_put(out, word);
        return;
    }
    buf_putc(out, '"');
    while (word.len > 0) {
        size_t plain = 0;
        while (plain < word.len && word.data[plain] != '"' && word.data[plain] != '\\') plain++;
        text_put_line(out, (struct bytes){word.data, plain});
        if (plain < word.len) buf_printf(out, "\\%c", word.data[plain++]);
        word.data += plain;
        word.len -= plain;
    }
    buf_putc(out, '"');
}

/* Ranges of code points that take 0 or 2 columns, in order: the blocks of Unicode's East Asian
 * Width and of its combining marks that people use. */
static const struct {
    uint32_t from, to;
    unsigned columns;
} unusual[] = {
    {0x300, 0x36f, 0},     {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x231a, 0x231b, 2},
    {0x23e9, 0x23ec, 2},   {0x2614, 0x2615, 2},   {0x2648, 0x2653, 2},   {0x26a1, 0x26a1, 2},
    {0x26bd, 0x26be, 2},   {0x2705, 0x2705, 2},   {0x2728, 0x2728, 2},   {0x274c, 0x274c, 2},
    {0x2753, 0x2755, 2},   {0x2757, 0x2757, 2},   {0x2795, 0x2797, 2},   {0x2b50, 0x2b50, 2},
    {0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},   {0x4e00, 0xa4cf, 2},
    {0xa960, 0xa97f, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
    {0xfe30, 0xfe6f, 2},   {0xff01, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2},
    {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x1fa70, 0x1faff, 2}, {0x20000, 0x3fffd, 2}};

/* Of the character at the start, which has so many bytes; 0 bytes: none that could be shown. */
static size_t columns_of(const unsigned char *s, size_t len)
{
    if (len < 2) return 1;
    uint32_t c = s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) c = c << 6 | (s[i] & 0x3f);
    for (size_t i = 0; i < sizeof unusual / sizeof *unusual && unusual[i].from <= c; i++)
        if (c <= unusual[i].to) return unusual[i].columns;
    return 1;
}

/* Walks until the next character would not fit: its place, and the width up to there. */
static size_t walk(struct bytes text, size_t max, size_t *ret_width)
{
    size_t at = 0, width = 0;
    while (at < text.len) {
        const unsigned char *s = (const unsigned char *)text.data + at;
        size_t len = printable(s, text.len - at), columns = columns_of(s, len);
        if (columns > max - width) break;
        width += columns;
        at += len ? len : 1;
    }
    *ret_width = width;
    return at;
}

size_t text_width(struct bytes text)
{
    size_t width;
    walk(text, SIZE_MAX, &width);
    return width;
}

size_t text_cut(struct bytes text, size_t width)
{
    size_t up_to;
    return walk(text, width, &up_to);
}

void text_put_size(struct buf *out, int64_t bytes)
{
    static const char *const units[] = {"", "KB", "MB", "GB", "TB"};
    double n = (double)bytes;
    size_t unit = 0;
    while (n >= 1024 && unit < 4) {
        n /= 1024;
        unit++;
    }
    buf_printf(out, unit > 0 && n < 9.95 ? "%.1f%s" : "%.0f%s", n, units[unit]);
}

void text_put_rate(struct buf *out, double per_second)
{
    buf_printf(out, per_second > 0 && per_second < 9.95 ? "%.1f" : "%.0f", per_second);
}
