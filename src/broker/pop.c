#include "broker/pop.h"

#include <math.h>

#include "base/num.h"

enum pop_found pop_find(struct call *c, const struct bytes *names, size_t count, enum key_type type,
                        struct key **ret_key, struct bytes *ret_name)
{
    for (size_t i = 0; i < count; i++) {
        if (!call_write_typed(c, names[i], type, ret_key)) return POP_FAILED;
        if (*ret_key == NULL) continue;
        *ret_name = names[i];
        return POP_FOUND;
    }
    return POP_NONE;
}

bool pop_timeout(struct call *c, struct bytes arg, int64_t *ret_ms)
{
    long double seconds;
    const char *error = NULL;
    if (!num_parse_long_double(arg, &seconds)) error = "ERR timeout is not a float or out of range";
    else if (seconds < 0) error = "ERR timeout is negative";
    else if (seconds * 1000 > (long double)(INT64_MAX - c->now_ms))
        error = "ERR timeout is out of range";
    else *ret_ms = (int64_t)ceill(seconds * 1000);
    if (error != NULL) resp_error(c->reply, "%s", error);
    return error == NULL;
}

void pop_wait(struct call *c, const struct bytes *names, size_t count, enum key_type type,
              int64_t timeout_ms)
{
    if (c->in_exec) call_reply_nothing(c);
    else call_block(c, names, count, type, timeout_ms, call_reply_nothing);
}

enum pop_found pop_find_or_wait(struct call *c, enum key_type type, struct key **ret_key,
                                struct bytes *ret_name)
{
    const struct bytes *names = c->argv + 1;
    size_t count = c->argc - 2;
    int64_t timeout_ms;
    if (!pop_timeout(c, c->argv[c->argc - 1], &timeout_ms)) return POP_FAILED;
    enum pop_found found = pop_find(c, names, count, type, ret_key, ret_name);
    if (found == POP_NONE) pop_wait(c, names, count, type, timeout_ms);
    return found;
}

static bool parse_count(struct call *c, struct bytes arg, const char *error, int64_t *ret)
{
    return call_int_range(c, arg, 1, INT64_MAX, error, ret);
}

/* COUNT may stand once; what is wrong first is the error. */
static bool parse_count_option(struct call *c, size_t i, int64_t *ret)
{
    bool given = false;
    for (; i < c->argc; i += 2) {
        if (given || i + 1 == c->argc || !bytes_is_word(c->argv[i], "count")) {
            call_error_syntax(c);
            return false;
        }
        given = true;
        if (!parse_count(c, c->argv[i + 1], "ERR count should be greater than 0", ret))
            return false;
    }
    return true;
}

bool pop_many_parse(struct call *c, size_t at, const char *first, const char *last,
                    struct pop_many *ret)
{
    int64_t n;
    *ret = (struct pop_many){.keys = c->argv + at + 1, .count = 1};
    if (!parse_count(c, c->argv[at], "ERR numkeys should be greater than 0", &n)) return false;
    size_t rest = c->argc - at - 1; /* the keys and what follows */
    bool fits = (uint64_t)n < rest;
    const struct bytes *where = fits ? &ret->keys[n] : NULL;
    if (fits) ret->last = bytes_is_word(*where, last);
    if (!fits || (!ret->last && !bytes_is_word(*where, first))) {
        call_error_syntax(c);
        return false;
    }
    ret->key_count = (size_t)n;
    return parse_count_option(c, at + 2 + ret->key_count, &ret->count);
}
