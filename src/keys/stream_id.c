#include "keys/stream_id.h"

#include "base/num.h"

bool stream_id_next(struct stream_id *id)
{
    if (id->seq < UINT64_MAX) {
        id->seq++;
        return true;
    }
    if (id->ms == UINT64_MAX) return false;
    *id = (struct stream_id){id->ms + 1, 0};
    return true;
}

bool stream_id_prev(struct stream_id *id)
{
    if (id->seq > 0) {
        id->seq--;
        return true;
    }
    if (id->ms == 0) return false;
    *id = (struct stream_id){id->ms - 1, UINT64_MAX};
    return true;
}

/* Two digits at a time: each XADD formats two ids. */
static size_t format_u64(char *out, uint64_t n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof digits;
    for (; n >= 100; n /= 100) memcpy(digits + (at -= 2), pairs + n % 100 * 2, 2);
    if (n >= 10) memcpy(digits + (at -= 2), pairs + n * 2, 2);
    else digits[--at] = (char)('0' + n);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], struct stream_id id)
{
    size_t len = format_u64(out, id.ms);
    out[len++] = '-';
    return len + format_u64(out + len, id.seq);
}

/* As Redis reads it: blanks and a plus before the digits are fine, and so are leading zeros. */
static bool parse_part(struct bytes text, uint64_t *ret)
{
    while (text.len > 1 && (text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r')))
        text = (struct bytes){text.data + 1, text.len - 1};
    if (text.len > 1 && text.data[0] == '+') text = (struct bytes){text.data + 1, text.len - 1};
    while (text.len > 1 && text.data[0] == '0') text = (struct bytes){text.data + 1, text.len - 1};
    return num_parse_u64(text, ret);
}

bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *ret)
{
    enum { TEXT_MAX = 127 };
    if (text.len > TEXT_MAX) return false;
    if (text.len > 0) text.len = strnlen(text.data, text.len); /* it ends at a zero byte */
    const char *dash = text.len > 0 ? memchr(text.data, '-', text.len) : NULL;
    struct stream_id id = {.seq = missing_seq};
    struct bytes ms = {text.data, dash != NULL ? (size_t)(dash - text.data) : text.len};
    if (!parse_part(ms, &id.ms)) return false;
    if (dash != NULL) {
        struct bytes seq = {dash + 1, text.len - ms.len - 1};
        if (!parse_part(seq, &id.seq)) return false;
    }
    *ret = id;
    return true;
}
