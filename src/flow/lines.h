/* The reader of lines, for endless responses of one JSON text per line (NDJSON). It does no I/O:
 * feed it bytes as they come, take lines out. One thread. */
#ifndef LEAT_FLOW_LINES_H
#define LEAT_FLOW_LINES_H

#include "base/buf.h"

struct lines {
    struct buf partial; /* a line of which the end has not come yet */
    size_t bytes_max;
    uint64_t oversized; /* lines dropped because they were larger than bytes_max */
    bool skipping;      /* inside such a line */
    bool taken;         /* what is in `partial` has been handed out */
};

void lines_init(struct lines *l, size_t bytes_max);
void lines_fini(struct lines *l);
/* A new stream begins: forgets the unfinished line. */
void lines_restart(struct lines *l);

/* Reads on in `in`, moving it past what was used. True with one line without its end (LF or CRLF),
 * borrowed until the next call on `l` or the end of `in`'s bytes; lines that are empty are
 * heartbeats and skipped. False when all of `in` is used and no line is complete. */
bool lines_next(struct lines *l, struct bytes *in, struct bytes *ret_line);
/* The stream has ended in good order: true with the last line when it lacked its end. */
bool lines_last(struct lines *l, struct bytes *ret_line);

#endif
