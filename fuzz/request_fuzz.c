/* Fuzzes the request reader: any bytes, whole and cut in pieces, must give the same commands and
 * the same error. The first byte of the input says how the rest is cut, and who is asking. */
#include "base/mem.h"
#include "base/must.h"
#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_text(struct buf *out, struct bytes text)
{
    buf_append(out, &text.len, sizeof text.len);
    buf_put(out, text);
}

static void put_command(struct buf *out, const struct resp_request *r)
{
    buf_append(out, &r->argc, sizeof r->argc);
    for (size_t i = 0; i < r->argc; i++) put_text(out, r->argv[i]);
}

/* Feeds all of `in`, `step` bytes more each time, from memory of exactly that size. */
static void read_all(struct bytes in, size_t step, bool authenticated, struct buf *out)
{
    struct resp_request r;
    resp_request_init(&r);
    r.bulk_bytes_max = 1000;
    r.authenticated = authenticated;
    size_t taken = 0, end = 0;
    ssize_t got = 0;
    while (got >= 0 && end < in.len) {
        end = in.len - end < step ? in.len : end + step;
        char *piece = mem_dup(in.data + taken, end - taken);
        size_t at = 0;
        while ((got = resp_request_feed(&r, piece + at, end - taken - at)) > 0) {
            must((size_t)got <= end - taken - at);
            must(resp_request_want(&r, 0) == 0);
            put_command(out, &r);
            at += (size_t)got;
        }
        taken += at;
        mem_free(piece);
    }
    if (got < 0) put_text(out, bytes_of(r.error));
    resp_request_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    bool authenticated = data[0] & 0x80;
    size_t step = (data[0] & 0x7f) + 1;
    struct buf whole = {0}, pieces = {0};
    read_all(in, in.len + 1, authenticated, &whole);
    read_all(in, step, authenticated, &pieces);
    must(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
