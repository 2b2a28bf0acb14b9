#include "keys/str.h"

#include "base/mem.h"
#include "base/num.h"

static void str_free(struct key *k)
{
    if (k->encoding != ENC_INT) mem_free(k->value.str);
}

static struct str *new_str(struct bytes value)
{
    struct str *s = mem_alloc(sizeof *s + value.len);
    s->len = value.len;
    if (value.len > 0) memcpy(s->data, value.data, value.len);
    return s;
}

static void str_copy(struct key *to, const struct key *from)
{
    to->encoding = from->encoding;
    if (from->encoding == ENC_INT) {
        to->value.integer = from->value.integer;
    } else {
        struct str *s = from->value.str;
        to->value.str = new_str((struct bytes){s->data, s->len});
    }
}

static size_t str_memory(const struct key *k, size_t samples)
{
    return k->encoding == ENC_INT ? 0 : mem_size(k->value.str);
}

/* Giving back the pages of a very long string takes its time, too. */
static size_t str_weight(const struct key *k)
{
    enum { ALLOCATION_BYTES = 4096 };
    return k->encoding == ENC_INT || k->value.str == NULL ? 0
                                                          : k->value.str->len / ALLOCATION_BYTES;
}

const struct key_ops str_ops = {.name = "string",
                                .free = str_free,
                                .copy = str_copy,
                                .memory = str_memory,
                                .weight = str_weight};

void str_set_integer(struct key *k, int64_t n)
{
    str_free(k);
    k->encoding = ENC_INT;
    k->value.integer = n;
}

void str_set(struct key *k, struct bytes value)
{
    int64_t n;
    if (value.len <= STR_INT_TEXT_MAX && num_parse_i64(value, &n)) str_set_integer(k, n);
    else str_set_text(k, value);
}

void str_set_text(struct key *k, struct bytes value)
{
    struct str *s = k->encoding == ENC_INT ? NULL : k->value.str;
    if (s != NULL && s->len == value.len) { /* overwritten in place: the usual case of a cache */
        memmove(s->data, value.data, value.len);
        k->encoding = value.len <= STR_EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW;
        return;
    }
    s = new_str(value); /* before the old one goes: value may point into it */
    str_free(k);
    k->encoding = value.len <= STR_EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW;
    k->value.str = s;
}

struct bytes str_get(const struct key *k, char *scratch)
{
    if (k->encoding == ENC_INT)
        return (struct bytes){scratch, num_format_i64(scratch, k->value.integer)};
    return (struct bytes){k->value.str->data, k->value.str->len};
}

bool str_get_integer(const struct key *k, int64_t *ret)
{
    if (k->encoding == ENC_INT) {
        *ret = k->value.integer;
        return true;
    }
    return num_parse_i64((struct bytes){k->value.str->data, k->value.str->len}, ret);
}

size_t str_len(const struct key *k)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    return str_get(k, scratch).len;
}

/* Appending again and again must not copy the whole each time. */
static struct str *grown(struct str *s, size_t len)
{
    size_t need = sizeof *s + len;
    if (s != NULL && mem_size(s) >= need) return s;
    return mem_realloc(s, need < (1u << 20) ? need * 2 : need + (1u << 20));
}

void str_write(struct key *k, size_t offset, struct bytes value)
{
    if (k->encoding == ENC_INT) {
        char scratch[STR_INT_TEXT_MAX + 1];
        struct bytes text = str_get(k, scratch);
        k->value.str = new_str(text);
    } else if (k->value.str == NULL) {
        k->value.str = new_str((struct bytes){NULL, 0});
    }
    k->encoding = ENC_RAW;
    size_t end = offset + value.len;
    struct str *s = k->value.str;
    if (end > s->len) {
        s = grown(s, end);
        if (offset > s->len) memset(s->data + s->len, 0, offset - s->len);
        s->len = end;
        k->value.str = s;
    }
    if (value.len > 0) memcpy(s->data + offset, value.data, value.len);
}
