/* The ${...} of flow files; see interpolate.h. The forms are those of the shell, so that nobody has
 * to learn them; a `$` before anything else stands for itself, as in the field name `$schema`. */
#include "flow/interpolate.h"

enum { NEST_MAX = 8, NAME_MAX_BYTES = 128 };

struct reader {
    interpolate_getenv getenv_fn;
    struct buf *why;
};

static int expand(const struct reader *r, struct bytes text, int nest, struct buf *out);

static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return name.len > 0 && name.len < NAME_MAX_BYTES;
}

/* Offset of the brace that closes the one before `text`, or text.len when none does. */
static size_t find_close(struct bytes text)
{
    size_t depth = 1;
    for (size_t i = 0; i < text.len; i++) {
        char next = i + 1 < text.len ? text.data[i + 1] : '\0';
        if (text.data[i] == '$' && next == '$') i++; /* stands for itself, whatever follows */
        else if (text.data[i] == '$' && next == '{') depth++;
        else if (text.data[i] == '}' && --depth == 0) return i;
    }
    return text.len;
}

static int refuse_unset(const struct reader *r, struct bytes name)
{
    int n = (int)name.len;
    buf_printf(r->why,
               "%.*s is not set in the environment and has no default; set it "
               "(%.*s=... leat run FILE) or write ${%.*s:-default}",
               n, name.data, n, name.data, n, name.data);
    return -1;
}

/* One variable: `body` is what stands between the braces. */
static int expand_variable(const struct reader *r, struct bytes body, int nest, struct buf *out)
{
    size_t at = 0;
    while (at < body.len && body.data[at] != ':') at++;
    struct bytes name = {body.data, at};
    char kind = at + 1 < body.len ? body.data[at + 1] : '\0';
    if (!is_name(name) || (at < body.len && kind != '-' && kind != '?')) {
        buf_printf(r->why,
                   "${%.*s} is none of ${NAME}, ${NAME:-default} and ${NAME:?message}; "
                   "write $$ for a plain $",
                   (int)body.len, body.data);
        return -1;
    }
    char zero_ended[NAME_MAX_BYTES];
    memcpy(zero_ended, name.data, name.len);
    zero_ended[name.len] = '\0';
    const char *value = r->getenv_fn(zero_ended);
    bool has_word = at < body.len;
    if (value != NULL && (value[0] != '\0' || !has_word)) {
        buf_put(out, bytes_of(value));
        return 0;
    }
    if (!has_word) return refuse_unset(r, name);
    struct bytes word = {body.data + at + 2, body.len - at - 2};
    if (kind == '-') return expand(r, word, nest + 1, out);
    buf_printf(r->why, "%s is not set: %.*s", zero_ended, (int)word.len, word.data);
    return -1;
}

static int expand(const struct reader *r, struct bytes text, int nest, struct buf *out)
{
    if (nest > NEST_MAX) {
        buf_printf(r->why, "variables nested too deeply");
        return -1;
    }
    for (size_t at = 0; at < text.len; at++) {
        char next = at + 1 < text.len ? text.data[at + 1] : '\0';
        if (text.data[at] != '$' || (next != '$' && next != '{')) {
            buf_putc(out, text.data[at]);
            continue;
        }
        if (next == '$') {
            buf_putc(out, '$');
            at++;
            continue;
        }
        struct bytes rest = {text.data + at + 2, text.len - at - 2};
        size_t close = find_close(rest);
        if (close == rest.len) {
            buf_printf(r->why, "a `${` is not closed");
            return -1;
        }
        if (expand_variable(r, (struct bytes){rest.data, close}, nest, out) != 0) return -1;
        at += close + 2;
    }
    return 0;
}

int interpolate(struct bytes text, interpolate_getenv getenv_fn, struct buf *out, struct buf *why)
{
    struct reader r = {.getenv_fn = getenv_fn, .why = why};
    return expand(&r, text, 0, out);
}
