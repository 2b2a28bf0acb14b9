#include "broker/scan.h"

#include "base/mem.h"
#include "base/num.h"

/* As strtoul reads it, which is what Redis asks: a sign is fine, nothing at all is 0, and what is
 * behind a zero byte is not seen. */
static bool parse_cursor(struct call *c, struct bytes text, uint64_t *ret)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    size_t at = text.len > 1 && (negative || text.data[0] == '+');
    uint64_t n = 0;
    for (; at < text.len && text.data[at] != 0; at++) {
        unsigned digit = (unsigned char)text.data[at] - (unsigned)'0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10) {
            resp_error(c->reply, "ERR invalid cursor");
            return false;
        }
        n = n * 10 + digit;
    }
    *ret = negative ? -n : n;
    return true;
}

static bool parse_options(struct call *c, size_t i, bool with_type, struct scan *s)
{
    for (; i < c->argc; i += 2) {
        struct bytes word = c->argv[i];
        bool more = i + 1 < c->argc;
        if (more && bytes_is_word(word, "count")) {
            if (!call_int(c, c->argv[i + 1], &s->count)) return false;
            if (s->count < 1) {
                call_error_syntax(c);
                return false;
            }
        } else if (more && bytes_is_word(word, "match")) {
            struct bytes p = c->argv[i + 1];
            s->pattern = bytes_eq(p, BYTES("*")) ? (struct bytes){NULL, 0} : p;
        } else if (more && with_type && bytes_is_word(word, "type")) {
            s->type = c->argv[i + 1];
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

bool scan_parse(struct call *c, size_t at, bool with_type, struct scan *ret)
{
    *ret = (struct scan){.count = 10};
    return parse_cursor(c, c->argv[at], &ret->cursor) && parse_options(c, at + 1, with_type, ret);
}

bool scan_parse_key(struct call *c, enum key_type type, struct scan *ret, struct key **ret_key)
{
    *ret = (struct scan){.count = 10};
    if (!parse_cursor(c, c->argv[2], &ret->cursor)) return false;
    if (!call_read_typed(c, c->argv[1], type, ret_key)) return false;
    if (*ret_key != NULL) return parse_options(c, 3, false, ret);
    ret->cursor = 0;
    scan_reply_head(c, ret);
    resp_array(c->reply, 0);
    return false;
}

static void collect(void *item, void *arg)
{
    struct scan *s = arg;
    if (s->item_count == s->item_cap) {
        s->item_cap = s->item_cap ? s->item_cap * 2 : 32;
        s->items = mem_realloc(s->items, s->item_cap * sizeof *s->items);
    }
    s->items[s->item_count++] = item;
}

void scan_table(struct scan *s, struct map *table)
{
    /* A sparse table must not make one call long: ten buckets for every item asked for. */
    int64_t buckets = s->count > INT64_MAX / 10 ? INT64_MAX : s->count * 10;
    do {
        s->cursor = map_scan(table, s->cursor, collect, s);
    } while (s->cursor != 0 && --buckets > 0 && (int64_t)s->item_count < s->count);
}

void scan_reply_head(struct call *c, const struct scan *s)
{
    char text[NUM_I64_MAX];
    size_t n = 0;
    uint64_t cursor = s->cursor;
    do {
        text[sizeof text - ++n] = (char)('0' + cursor % 10);
    } while ((cursor /= 10) != 0);
    resp_array(c->reply, 2);
    resp_bulk(c->reply, (struct bytes){text + sizeof text - n, n});
}

void scan_fini(struct scan *s)
{
    mem_free(s->items);
    s->items = NULL;
    s->item_count = s->item_cap = 0;
}
