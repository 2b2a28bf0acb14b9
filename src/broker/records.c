#include "broker/records.h"

#include <endian.h>
#include <errno.h>

#include "base/hash.h"
#include "keys/keyspace.h"

enum { VARINT_MAX = 10 };

static bool take(struct record *r, void *out, size_t n)
{
    if (r->bad || r->rest.len < n) {
        r->bad = true;
        memset(out, 0, n);
        return false;
    }
    memcpy(out, r->rest.data, n);
    r->rest.data += n;
    r->rest.len -= n;
    return true;
}

uint64_t record_varint(struct record *r)
{
    uint64_t n = 0;
    uint8_t c;
    for (int shift = 0; shift < 64; shift += 7) {
        if (!take(r, &c, 1)) return 0;
        if (shift == 63 && c > 1) break; /* more than 64 bits */
        n |= (uint64_t)(c & 0x7f) << shift;
        if ((c & 0x80) == 0) return n;
    }
    r->bad = true;
    return 0;
}

struct bytes record_bytes(struct record *r)
{
    uint64_t len = record_varint(r);
    if (r->bad || len > r->rest.len) {
        r->bad = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {r->rest.data, len};
    r->rest.data += len;
    r->rest.len -= len;
    return b;
}

int64_t record_int(struct record *r)
{
    uint64_t wire;
    take(r, &wire, sizeof wire);
    return (int64_t)le64toh(wire);
}

double record_score(struct record *r)
{
    int64_t bits = record_int(r);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static inline size_t put_varint(char *at, uint64_t n)
{
    size_t len = 0;
    for (; n >= 0x80; n >>= 7) at[len++] = (char)(n | 0x80);
    at[len++] = (char)n;
    return len;
}

void record_put_varint(struct buf *out, uint64_t n)
{
    out->len += put_varint(buf_reserve(out, VARINT_MAX), n);
}

void record_put_bytes(struct buf *out, struct bytes b)
{
    char *at = buf_reserve(out, VARINT_MAX + b.len);
    size_t n = put_varint(at, b.len);
    if (b.len > 0) memcpy(at + n, b.data, b.len);
    out->len += n + b.len;
}

void record_put_int(struct buf *out, int64_t n)
{
    uint64_t wire = htole64((uint64_t)n);
    buf_append(out, &wire, sizeof wire);
}

void record_put_score(struct buf *out, double d)
{
    int64_t bits;
    memcpy(&bits, &d, sizeof bits);
    record_put_int(out, bits);
}

void record_put_head(struct buf *out, enum record_kind kind, int db, struct bytes key)
{
    char *at = buf_reserve(out, 2);
    at[0] = (char)kind;
    at[1] = (char)db;
    out->len += 2;
    record_put_bytes(out, key);
}

struct key *replay_find(struct keyspace *ks, const struct record *r, int type)
{
    struct key *k = keyspace_find(ks, r->db, r->key, hash_bytes(r->key));
    return k != NULL && k->type == type ? k : NULL;
}

int replay_nonsense(const struct record *r)
{
    return r->lenient && !r->bad ? 0 : -EBADMSG;
}

bool record_open(struct record *ret, struct bytes record)
{
    uint8_t head[2];
    *ret = (struct record){.rest = record};
    take(ret, head, sizeof head);
    ret->kind = head[0];
    ret->db = head[1];
    ret->key = record_bytes(ret);
    return !ret->bad && ret->db < KEYSPACE_DBS;
}

static int apply(struct keyspace *ks, struct bytes record, bool lenient, bool salvaged)
{
    struct record r;
    if (!record_open(&r, record)) return -EBADMSG;
    r.lenient = lenient;
    r.salvaged = salvaged;
    int result = -EBADMSG;
    switch (r.kind) {
#define X(number, name, handler)                                                                   \
    case REC_##name:                                                                               \
        result = handler(ks, &r);                                                                  \
        break;
        RECORDS(X)
#undef X
    }
    return r.bad ? -EBADMSG : result;
}

int replay_record(struct keyspace *ks, struct bytes record)
{
    return apply(ks, record, false, false);
}

int replay_record_lenient(struct keyspace *ks, struct bytes record)
{
    return apply(ks, record, true, false);
}

int replay_record_salvaged(struct keyspace *ks, struct bytes record)
{
    return apply(ks, record, true, true);
}
