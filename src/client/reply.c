/* The public face of a reply: struct leat_reply is struct resp_reply by another name. */
#include "resp/reply.h"
#include "leat/leat.h"

static const struct resp_reply *inside(const struct leat_reply *r)
{
    return (const struct resp_reply *)r;
}

enum leat_type leat_reply_type(const struct leat_reply *r)
{
    switch (inside(r)->type) {
    case RESP_SIMPLE:
        return LEAT_STATUS;
    case RESP_ERROR:
        return LEAT_ERROR;
    case RESP_INT:
        return LEAT_INTEGER;
    case RESP_BULK:
    case RESP_VERBATIM:
    case RESP_BIGNUM:
        return LEAT_STRING;
    case RESP_ARRAY:
        return LEAT_ARRAY;
    case RESP_MAP:
        return LEAT_MAP;
    case RESP_SET:
        return LEAT_SET;
    case RESP_PUSH:
        return LEAT_PUSH;
    case RESP_DOUBLE:
        return LEAT_DOUBLE;
    case RESP_BOOL:
        return LEAT_BOOL;
    case RESP_NULL:
        break;
    }
    return LEAT_NULL;
}

const char *leat_reply_text(const struct leat_reply *r, size_t *ret_len)
{
    struct bytes text = inside(r)->text;
    if (inside(r)->type == RESP_DOUBLE) text = (struct bytes){NULL, 0};
    if (ret_len != NULL) *ret_len = text.len;
    return text.data;
}

int64_t leat_reply_integer(const struct leat_reply *r)
{
    return inside(r)->integer;
}

double leat_reply_double(const struct leat_reply *r)
{
    return inside(r)->type == RESP_DOUBLE ? inside(r)->number : (double)inside(r)->integer;
}

size_t leat_reply_count(const struct leat_reply *r)
{
    return inside(r)->count;
}

const struct leat_reply *leat_reply_at(const struct leat_reply *r, size_t index)
{
    if (index >= inside(r)->count) return NULL;
    return (const struct leat_reply *)&inside(r)->elements[index];
}

const struct leat_reply *leat_reply_get(const struct leat_reply *r, const char *key)
{
    if (r == NULL || (inside(r)->type != RESP_MAP && inside(r)->type != RESP_ARRAY)) return NULL;
    for (size_t i = 0; i + 1 < inside(r)->count; i += 2)
        if (bytes_eq(inside(r)->elements[i].text, bytes_of(key))) return leat_reply_at(r, i + 1);
    return NULL;
}
