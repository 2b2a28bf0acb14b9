/* Every reply of the server passes through here, so each function asks the buffer for room once and
 * writes digits by hand.
 *
 * The types that RESP2 lacks fall back as Redis lets them: a map to a flat array, a set and a push
 * to an array, a double and a verbatim string to a bulk string, a boolean to an integer. */
#include "resp/writer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"

enum { HEADER_MAX = 1 + NUM_I64_MAX + 2 };

/* buf_reserve, without the call when there is room. */
static inline char *room(struct buf *b, size_t n)
{
    if (__builtin_expect(b->cap - b->len >= n, 1)) return b->data + b->len;
    return buf_reserve(b, n);
}

/* Returns the end. Most lengths have one or two digits. */
static inline char *put_number(char *at, int64_t n)
{
    if (n >= 0 && n < 10) {
        *at = (char)('0' + n);
        return at + 1;
    }
    if (n >= 10 && n < 100) {
        at[0] = (char)('0' + n / 10);
        at[1] = (char)('0' + n % 10);
        return at + 2;
    }
    return at + num_format_i64(at, n);
}

static inline char *put_crlf(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static inline char *put_header(char *at, char type, int64_t n)
{
    *at++ = type;
    return put_crlf(put_number(at, n));
}

static inline void advance(struct buf *b, const char *end)
{
    b->len = (size_t)(end - b->data);
}

static void header(struct resp_writer *w, char type, int64_t n)
{
    advance(w->out, put_header(room(w->out, HEADER_MAX), type, n));
}

static void fixed(struct resp_writer *w, const char *text, size_t len)
{
    memcpy(room(w->out, len), text, len);
    w->out->len += len;
}

/* Types of one line: + - , ( */
static void line(struct resp_writer *w, char type, const char *text, size_t len)
{
    char *at = room(w->out, len + 3);
    *at++ = type;
    if (len > 0) memcpy(at, text, len);
    advance(w->out, put_crlf(at + len));
}

void resp_simple(struct resp_writer *w, const char *text)
{
    line(w, '+', text, strlen(text));
}

void resp_error_bytes(struct resp_writer *w, struct bytes text)
{
    size_t from = w->out->len + 1;
    line(w, '-', text.data, text.len);
    char *at = w->out->data + from;
    for (size_t i = 0; i < text.len; i++)
        if (at[i] == '\r' || at[i] == '\n') at[i] = ' ';
}

void resp_error(struct resp_writer *w, const char *format, ...)
{
    char small[512], *text = small;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    must(n >= 0);
    if ((size_t)n >= sizeof small) {
        text = mem_alloc((size_t)n + 1);
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    resp_error_bytes(w, (struct bytes){text, (size_t)n});
    if (text != small) mem_free(text);
}

void resp_int(struct resp_writer *w, int64_t n)
{
    header(w, ':', n);
}

void resp_bulk(struct resp_writer *w, struct bytes b)
{
    char *at = put_header(room(w->out, HEADER_MAX + b.len + 2), '$', (int64_t)b.len);
    if (b.len > 0) memcpy(at, b.data, b.len);
    advance(w->out, put_crlf(at + b.len));
}

void resp_bulk_str(struct resp_writer *w, const char *s)
{
    resp_bulk(w, bytes_of(s));
}

void resp_bulk_i64(struct resp_writer *w, int64_t n)
{
    char digits[NUM_I64_MAX];
    resp_bulk(w, (struct bytes){digits, (size_t)(put_number(digits, n) - digits)});
}

void resp_double(struct resp_writer *w, double d)
{
    char text[128];
    size_t len = num_format_double(text, d);
    if (w->proto >= 3) line(w, ',', text, len);
    else resp_bulk(w, (struct bytes){text, len});
}

void resp_bool(struct resp_writer *w, bool b)
{
    if (w->proto >= 3) fixed(w, b ? "#t\r\n" : "#f\r\n", 4);
    else fixed(w, b ? ":1\r\n" : ":0\r\n", 4);
}

void resp_verbatim(struct resp_writer *w, const char *type3, struct bytes text)
{
    if (w->proto < 3) {
        resp_bulk(w, text);
        return;
    }
    must(strlen(type3) == 3);
    char *at = put_header(room(w->out, HEADER_MAX + 4 + text.len + 2), '=', (int64_t)text.len + 4);
    memcpy(at, type3, 3);
    at[3] = ':';
    if (text.len > 0) memcpy(at + 4, text.data, text.len);
    advance(w->out, put_crlf(at + 4 + text.len));
}

void resp_null(struct resp_writer *w)
{
    if (w->proto >= 3) fixed(w, "_\r\n", 3);
    else fixed(w, "$-1\r\n", 5);
}

void resp_null_array(struct resp_writer *w)
{
    if (w->proto >= 3) fixed(w, "_\r\n", 3);
    else fixed(w, "*-1\r\n", 5);
}

void resp_array(struct resp_writer *w, size_t n)
{
    header(w, '*', (int64_t)n);
}

void resp_map(struct resp_writer *w, size_t pairs)
{
    if (w->proto >= 3) header(w, '%', (int64_t)pairs);
    else header(w, '*', (int64_t)pairs * 2);
}

void resp_set(struct resp_writer *w, size_t n)
{
    header(w, w->proto >= 3 ? '~' : '*', (int64_t)n);
}

void resp_push(struct resp_writer *w, size_t n)
{
    header(w, w->proto >= 3 ? '>' : '*', (int64_t)n);
}

void resp_field(struct resp_writer *w, const char *name, struct bytes value)
{
    resp_bulk_str(w, name);
    resp_bulk(w, value);
}

void resp_field_int(struct resp_writer *w, const char *name, int64_t value)
{
    resp_bulk_str(w, name);
    resp_int(w, value);
}

static void defer(struct resp_writer *w, size_t place, char type, size_t n)
{
    char text[HEADER_MAX];
    size_t len = (size_t)(put_header(text, type, (int64_t)n) - text);
    buf_insert(w->out, place, text, len);
}

void resp_defer_array(struct resp_writer *w, size_t place, size_t n)
{
    defer(w, place, '*', n);
}

void resp_defer_map(struct resp_writer *w, size_t place, size_t pairs)
{
    if (w->proto >= 3) defer(w, place, '%', pairs);
    else defer(w, place, '*', pairs * 2);
}

void resp_defer_set(struct resp_writer *w, size_t place, size_t n)
{
    defer(w, place, w->proto >= 3 ? '~' : '*', n);
}

void resp_command(struct resp_writer *w, const struct bytes *argv, size_t argc)
{
    header(w, '*', (int64_t)argc);
    for (size_t i = 0; i < argc; i++) resp_bulk(w, argv[i]);
}
