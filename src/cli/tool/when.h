/* Ids of stream entries, points in time and spans of time, as people write and read them. */
#ifndef LEAT_CLI_TOOL_WHEN_H
#define LEAT_CLI_TOOL_WHEN_H

#include "base/buf.h"
#include "keys/stream_id.h"

enum { STREAM_ID_TEXT = STREAM_ID_TEXT_MAX + 1 }; /* with a terminator */

/* `out` holds STREAM_ID_TEXT; returns it. */
const char *stream_id_text(struct stream_id id, char *out);
/* The largest id below; 0-0 stays. The smallest above; the largest stays. */
struct stream_id stream_id_before(struct stream_id id);
struct stream_id stream_id_after(struct stream_id id);
/* Whether the first number can be taken for a time: between the years 2001 and 2100. */
bool stream_id_is_time(struct stream_id id);

/* A place in a stream: START, END, an id, `(` and an id (right behind it), or a time. */
struct position {
    enum { POSITION_START, POSITION_END, POSITION_ID } kind;
    struct stream_id id; /* of POSITION_ID: entries from this one on */
};

/* A time is `2h-ago` (a duration and -ago), `2026-11-21`, `2026-11-21 17:00[:30[.250]]` with a T or
 * a space and perhaps a zone (Z, +01:00; none: the local one), `17:00[:30]` of today, `today`,
 * `yesterday` or `now`. False with *ret_why a static sentence. */
bool position_parse(const char *text, int64_t now_ms, struct position *ret, const char **ret_why);
#define POSITION_HELP                                                                              \
    "START, END, an id, (ID for right behind it, 2h-ago, 17:00 or 2026-11-21T17:00"

int64_t when_now_ms(void);
/* 2026-11-21T17:16:01.250Z */
void when_put_iso(struct buf *out, int64_t ms);
/* The same day: 17:16:01; less than half a year away: Nov 21 17:16; else 2026-11-21. Local time. */
void when_put_short(struct buf *out, int64_t ms, int64_t now_ms);
/* A span in its two largest units: 250ms, 3.2s, 5m12s, 2h03m, 4d01h. Below 0 counts as 0. */
void when_put_span(struct buf *out, int64_t ms);

#endif
