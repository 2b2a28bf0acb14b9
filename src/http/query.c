/* application/x-www-form-urlencoded, the reading side: pairs parted by '&', '+' is a space, %XX a
 * byte. A name without '=' has the empty value. */
#include "http/query.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static const char *decode(struct arena *arena, const char *text, size_t len)
{
    char *out = arena_alloc(arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            c = (char)(hex(text[i + 1]) << 4 | hex(text[i + 2]));
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = 0;
    return out;
}

static size_t count_pairs(const char *text)
{
    size_t n = 1;
    for (const char *p = text; *p; p++) n += *p == '&';
    return n < QUERY_PARAMS_MAX ? n : QUERY_PARAMS_MAX;
}

void query_parse(struct query *q, struct arena *arena, const char *text)
{
    size_t cap = 0;
    *q = (struct query){0};
    if (!text || !*text) return;
    cap = count_pairs(text);
    q->params = arena_alloc(arena, cap * sizeof(*q->params));
    while (*text && q->count < cap) {
        size_t len = strcspn(text, "&");
        const char *equals = memchr(text, '=', len);
        size_t name = equals ? (size_t)(equals - text) : len;
        if (len > 0) {
            struct query_param *p = &q->params[q->count++];
            p->name = decode(arena, text, name);
            p->value = equals ? decode(arena, equals + 1, len - name - 1) : "";
        }
        text += len;
        if (*text == '&') text++;
    }
}

const char *query_get(const struct query *q, const char *name, int index)
{
    for (size_t i = 0; i < q->count; i++) {
        if (strcmp(q->params[i].name, name) == 0 && index-- == 0) return q->params[i].value;
    }
    return NULL;
}
