/* JSON, the writing side. Misuse of the shape (a key outside an object, too deep) is a bug of the
 * caller and asserts; the bytes of strings come from outside and are mended. */
#include "http/json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

void json_out_init(struct json_out *j, struct buf *out)
{
    *j = (struct json_out){.out = out};
}

static void separate(struct json_out *j)
{
    if (!j->keyed && j->filled[j->depth]) buf_putc(j->out, ',');
    j->filled[j->depth] = true;
    j->keyed = false;
}

static void open_container(struct json_out *j, char c)
{
    separate(j);
    must(j->depth < JSON_OUT_DEPTH_MAX);
    j->filled[++j->depth] = false;
    buf_putc(j->out, c);
}

static void close_container(struct json_out *j, char c)
{
    must(j->depth > 0 && !j->keyed);
    j->depth--;
    buf_putc(j->out, c);
}

void json_out_object(struct json_out *j)
{
    open_container(j, '{');
}

void json_out_object_end(struct json_out *j)
{
    close_container(j, '}');
}

void json_out_array(struct json_out *j)
{
    open_container(j, '[');
}

void json_out_array_end(struct json_out *j)
{
    close_container(j, ']');
}

/* Length of the well-formed UTF-8 sequence at the start (Unicode 15, table 3-7), 0 when ill-formed.
 */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] > 0xf4 || len > n) return 0;
    if (len > 2) {
        if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
        if (s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogates */
        if (s[0] == 0xf0 && s[1] < 0x90) return 0;
        if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    return len;
}

static void put_ascii(struct buf *out, unsigned char c)
{
    static const char *const named[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"};
    if (c < sizeof(named) / sizeof(*named) && named[c]) {
        buf_append(out, named[c], 2);
    } else if (c < 0x20 || c == 0x7f) {
        buf_printf(out, "\\u%04x", c);
    } else {
        buf_putc(out, (char)c);
    }
}

static void put_quoted(struct buf *out, struct bytes text)
{
    const unsigned char *s = (const unsigned char *)text.data;
    size_t i = 0;
    buf_putc(out, '"');
    while (i < text.len) {
        size_t len = utf8_length(s + i, text.len - i);
        if (len == 0) {
            buf_append(out, "\xef\xbf\xbd", 3);
        } else if (len == 1) {
            put_ascii(out, s[i]);
        } else {
            buf_append(out, s + i, len);
        }
        i += len ? len : 1;
    }
    buf_putc(out, '"');
}

void json_out_name(struct json_out *j, struct bytes name)
{
    must(j->depth > 0 && !j->keyed);
    separate(j);
    put_quoted(j->out, name);
    buf_putc(j->out, ':');
    j->keyed = true;
}

void json_out_key(struct json_out *j, const char *name)
{
    json_out_name(j, bytes_of(name));
}

void json_out_string(struct json_out *j, struct bytes text)
{
    separate(j);
    put_quoted(j->out, text);
}

void json_out_text(struct json_out *j, const char *text)
{
    if (text) {
        json_out_string(j, bytes_of(text));
    } else {
        json_out_null(j);
    }
}

void json_out_int(struct json_out *j, int64_t n)
{
    separate(j);
    buf_printf(j->out, "%lld", (long long)n);
}

void json_out_number(struct json_out *j, double d)
{
    char text[40];
    if (!isfinite(d)) {
        json_out_null(j);
        return;
    }
    separate(j);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d) break;
    }
    buf_append(j->out, text, strlen(text));
}

void json_out_bool(struct json_out *j, bool b)
{
    separate(j);
    buf_printf(j->out, "%s", b ? "true" : "false");
}

void json_out_null(struct json_out *j)
{
    separate(j);
    buf_append(j->out, "null", 4);
}
