/* The reader of Server-Sent Events, after the WHATWG HTML standard, section 9.2.6 ("Interpreting an
 * event stream"). It does no I/O: feed it bytes as they come, take events out.
 *
 *     struct bytes in = ...;            // any piece of the stream, cut anywhere
 *     while (sse_next(&sse, &in, &event)) use(event);
 *
 * Bytes are handed on as they are: the standard decodes them as UTF-8 with replacement, here
 * whoever reads the data judges it. One thread. */
#ifndef LEAT_FLOW_SSE_H
#define LEAT_FLOW_SSE_H

#include "base/buf.h"

struct sse_event {
    struct bytes id;   /* the last event id: an event without one has its predecessor's */
    struct bytes name; /* "message" when the stream names none */
    struct bytes data; /* lines joined by LF; may be empty */
};

struct sse {
    struct buf line; /* a line of which the end has not come yet */
    struct buf data; /* each data line with an LF behind it */
    struct buf name;
    struct buf id;      /* what `id:` said last, dispatched or not */
    struct buf last_id; /* as of the last blank line: what to resume from */
    size_t bytes_max;
    size_t event_bytes; /* of the event being read: its lines without comments */
    uint64_t oversized; /* events dropped because they were larger than bytes_max */
    int64_t retry_ms;   /* what `retry:` said last, -1 when nothing yet */
    uint8_t bom_seen;   /* bytes of a byte order mark seen at the start; BOM_DONE when past it */
    bool after_cr;      /* an LF that comes now belongs to the line just ended */
    bool in_comment;    /* inside a comment that is not worth keeping */
    bool dropping;      /* the event being read is oversized */
    bool dispatched;    /* the event in the buffers has been handed out */
};

/* Events of more than `bytes_max` bytes are dropped and counted; their id counts nevertheless. */
void sse_init(struct sse *s, size_t bytes_max);
void sse_fini(struct sse *s);
/* A new stream begins: forgets the unfinished event, keeps the id to resume from and `retry`. */
void sse_restart(struct sse *s);
/* Sets the id to resume from. */
void sse_set_last_id(struct sse *s, struct bytes id);

/* Reads on in `in`, moving it past what was used. True with one event, borrowed until the next call
 * on `s`; false when all of `in` is used and no event is complete. */
bool sse_next(struct sse *s, struct bytes *in, struct sse_event *ret_event);

#endif
