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

size_t text_width(struct bytes text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; width++) {
        size_t len = printable((const unsigned char *)text.data + i, text.len - i);
        i += len ? len : 1;
    }
    return width;
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
