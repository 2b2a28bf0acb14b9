/* Reads what servers send: any RESP2 or RESP3 value, as a tree. Feed bytes, take replies; no I/O.
 * Used by the client; a reply owns its bytes. */
#ifndef LEAT_RESP_REPLY_H
#define LEAT_RESP_REPLY_H

#include "base/buf.h"

enum {
    RESP_DEPTH_MAX = 128,
    RESP_REPLY_BULK_MAX = 512 * 1024 * 1024, /* one string; refused as soon as it is announced */
    RESP_REPLY_LINE_MAX = 1024 * 1024,       /* a status, an error or a big number */
};

enum resp_type {
    RESP_SIMPLE,
    RESP_ERROR,
    RESP_INT,
    RESP_BULK,
    RESP_NULL,
    RESP_ARRAY,
    RESP_MAP,
    RESP_SET,
    RESP_PUSH,
    RESP_DOUBLE,
    RESP_BOOL,
    RESP_BIGNUM,
    RESP_VERBATIM,
};

struct resp_reply {
    enum resp_type type;
    int64_t integer;   /* RESP_INT, RESP_BOOL */
    double number;     /* RESP_DOUBLE */
    struct bytes text; /* SIMPLE, ERROR, BULK, VERBATIM (without its type), BIGNUM, DOUBLE;
                          followed by a zero byte */
    size_t count;      /* elements; of a map: 2 * pairs, key and value in turn */
    struct resp_reply *elements;
};

/* A copy of the whole tree in one allocation; the caller frees it by mem_free. */
struct resp_reply *resp_reply_dup(const struct resp_reply *r);

struct resp_reader;
struct resp_reader *resp_reader_new(void);
void resp_reader_free(struct resp_reader *r);
/* Takes a copy of the bytes, nothing more: memory grows with what came, not with what is announced.
 */
void resp_reader_feed(struct resp_reader *r, const void *data, size_t len);
/* 1: *ret_reply is the next one, borrowed until the next call; 0: needs more; -1: protocol error,
 * sticky, resp_reader_error() says what. Nesting is limited to 128 levels. Attributes are skipped.
 * $-1 and *-1 are RESP_NULL, a blob error is RESP_ERROR; streamed strings and aggregates (`$?`),
 * which no server sends, are protocol errors. */
int resp_reader_next(struct resp_reader *r, const struct resp_reply **ret_reply);
/* Forgets everything, the error too: for a new connection. */
void resp_reader_reset(struct resp_reader *r);
/* NULL while there is none. */
const char *resp_reader_error(const struct resp_reader *r);

#endif
