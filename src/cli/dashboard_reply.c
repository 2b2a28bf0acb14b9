/* Replies of the broker, read with suspicion: a key of a view may hold anything by now. */
#include "base/num.h"
#include "cli/dashboard_priv.h"

struct bytes reply_bytes(const struct leat_reply *r)
{
    struct bytes b = {0};
    b.data = leat_reply_text(r, &b.len);
    if (!b.data) b.len = 0;
    return b;
}

bool reply_int(const struct leat_reply *r, int64_t *ret)
{
    if (leat_reply_type(r) == LEAT_INTEGER) {
        *ret = leat_reply_integer(r);
        return true;
    }
    return leat_reply_type(r) == LEAT_STRING && num_parse_i64(reply_bytes(r), ret);
}

bool reply_double(const struct leat_reply *r, double *ret)
{
    switch (leat_reply_type(r)) {
    case LEAT_DOUBLE:
        *ret = leat_reply_double(r);
        return true;
    case LEAT_INTEGER:
        *ret = (double)leat_reply_integer(r);
        return true;
    case LEAT_STRING:
        return num_parse_double(reply_bytes(r), ret);
    default:
        return false;
    }
}

const char *reply_problem(const struct leat_reply *r)
{
    if (!r) return "the connection to the broker broke";
    if (leat_reply_type(r) == LEAT_ERROR) return leat_reply_text(r, NULL);
    return NULL;
}
