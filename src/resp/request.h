/* Reads what clients send: arrays of bulk strings, and inline commands. Feed bytes, take commands;
 * no I/O, no copy of the arguments.
 *
 * Feeding: the caller keeps the bytes of an unfinished command contiguous and at the same start,
 * and calls again with more of them behind; the parser remembers how far it was, so a command of a
 * million arguments is parsed once, however it was split. Limits and error texts are Redis's. */
#ifndef LEAT_RESP_REQUEST_H
#define LEAT_RESP_REQUEST_H

#include "base/buf.h"
#include "base/bytes.h"

enum {
    RESP_INLINE_MAX = 64 * 1024, /* also of a header line */
    RESP_ARGS_MAX = INT32_MAX,   /* room is made as arguments come, not as they are announced */
    RESP_ARGS_MAX_UNAUTHENTICATED = 10,
    RESP_BULK_MAX_UNAUTHENTICATED = 16384,
};

struct resp_request {
    /* Set by the owner; may change between commands. */
    size_t bulk_bytes_max; /* proto-max-bulk-len, default 512 MB */
    bool authenticated;

    /* The command just parsed, valid until the next call: argv points into the data fed, or, for
     * an inline command with quotes, into `inline_text`. */
    size_t argc;
    struct bytes *argv;

    /* Why resp_request_feed returned -1, without the leading "ERR ". */
    char error[128];

    /* Private. */
    size_t argv_cap;
    size_t pos;        /* bytes of this command understood so far */
    size_t scanned;    /* bytes up to here hold no end of the line that begins at pos */
    int64_t args_left; /* 0: at the start of a command */
    int64_t bulk_len;  /* -1: no header read yet */
    struct buf inline_text;
};

void resp_request_init(struct resp_request *r);
void resp_request_fini(struct resp_request *r);
/* Back to the start of a command; gives memory of a very long one back. Not needed between
 * commands: after a complete one the next feed begins anew. */
void resp_request_reset(struct resp_request *r);

/* > 0: a command is complete and took that many bytes (argc may be 0: an empty line or array,
 * nothing to do); 0: needs more bytes; -1: protocol error, see `error`; the connection is to be
 * closed after the error reply. */
ssize_t resp_request_feed(struct resp_request *r, const char *data, size_t len);

/* When `len` bytes ended inside an argument: how many are missing to its end; else 0. */
size_t resp_request_want(const struct resp_request *r, size_t len);

/* Splits a line as redis-cli and inline commands do ("a b" 'c\'d' "\x00\n"). Returns the number of
 * words, -1 for unbalanced quotes. Words are appended to `text`; *ret_words (the caller frees it by
 * mem_free) point into it, until more is appended. */
ssize_t resp_split_line(struct bytes line, struct buf *text, struct bytes **ret_words);

#endif
