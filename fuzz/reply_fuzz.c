/* Fuzzes the reply reader: any bytes, whole and cut in pieces, must give the same values and the
 * same error. The first byte of the input says how the rest is cut. */
#include "base/mem.h"
#include "base/must.h"
#include "resp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_reply(struct buf *out, const struct resp_reply *r, int depth)
{
    must(depth <= RESP_DEPTH_MAX);
    buf_append(out, &r->type, sizeof r->type);
    buf_append(out, &r->integer, sizeof r->integer);
    buf_append(out, &r->number, sizeof r->number);
    buf_append(out, &r->count, sizeof r->count);
    buf_append(out, &r->text.len, sizeof r->text.len);
    if (r->text.data != NULL) must(r->text.data[r->text.len] == '\0');
    buf_put(out, r->text);
    for (size_t i = 0; i < r->count; i++) put_reply(out, &r->elements[i], depth + 1);
}

static void read_all(struct bytes in, size_t step, struct buf *out)
{
    struct resp_reader *r = resp_reader_new();
    int got = 0;
    for (size_t at = 0; at < in.len && got >= 0; at += step) {
        size_t len = in.len - at < step ? in.len - at : step;
        char *piece = mem_dup(in.data + at, len);
        resp_reader_feed(r, piece, len);
        mem_free(piece);
        const struct resp_reply *reply;
        while ((got = resp_reader_next(r, &reply)) > 0) put_reply(out, reply, 0);
    }
    must((got < 0) == (resp_reader_error(r) != NULL));
    if (got < 0) buf_put(out, bytes_of(resp_reader_error(r)));
    resp_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct bytes in = {(const char *)data + 1, size - 1};
    struct buf whole = {0}, pieces = {0};
    read_all(in, in.len + 1, &whole);
    read_all(in, (size_t)data[0] + 1, &pieces);
    must(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
