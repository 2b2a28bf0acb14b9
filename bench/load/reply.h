/* Walks over RESP2 replies without keeping them: where each ends, whether it is or holds an error,
 * and the ids of the stream entries in it. Each byte is looked at once, however the replies are cut
 * by the socket; what a bulk string holds is stepped over.
 *
 * The ids of entries are the first elements of arrays at one depth:
 *
 *     XRANGE   [ [id, fields] ... ]                  depth 2
 *     XREAD    [ [key, [ [id, fields] ... ] ] ... ]  depth 4 */
#ifndef LEAT_BENCH_LOAD_REPLY_H
#define LEAT_BENCH_LOAD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { REPLY_DEPTH_MAX = 8, REPLY_ID_MAX = 64, REPLY_LINE_MAX = 512 };

enum reply_state {
    REPLY_MORE,   /* give the rest again, with more behind it */
    REPLY_WHOLE,  /* a reply ended; the fields below are about it */
    REPLY_BROKEN, /* that is no RESP2 */
};

struct reply { /* zero, then id_depth set: ready for the first one */
    /* Of the reply that ended, until the next call: */
    bool empty;                 /* nil, or an array of nothing */
    char error[REPLY_LINE_MAX]; /* the first error in it; "" when there is none */
    uint64_t entries;           /* ids met */
    struct buf ids;             /* `$len\r\nid\r\n` of each, as arguments; when want_ids */
    /* The last id met so far, of this reply or one before; zero-terminated. */
    char last_id[REPLY_ID_MAX + 1];
    /* Settings: */
    unsigned id_depth; /* 0: look for none */
    bool want_ids;
    /* Under way: */
    bool ended;
    bool first; /* the next element is the first of its array */
    unsigned depth;
    int64_t left[REPLY_DEPTH_MAX + 1]; /* elements to come, at each depth */
    size_t skip;                       /* bytes of a bulk string to step over */
};

void reply_fini(struct reply *r);
/* Goes on at data, to the end of a reply at most. What is left (n - *ret_used bytes, fewer than
 * REPLY_LINE_MAX of them) must stand at the beginning of the next call's data. */
enum reply_state reply_walk(struct reply *r, const char *data, size_t n, size_t *ret_used);

#endif
