/* Ids of stream entries: milliseconds and a sequence number, ordered by both. */
#ifndef LEAT_KEYS_STREAM_ID_H
#define LEAT_KEYS_STREAM_ID_H

#include "base/bytes.h"

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

enum { STREAM_ID_TEXT_MAX = 41 }; /* two numbers of twenty digits and the dash */

static inline int stream_id_cmp(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

/* The next and the previous id; false at the end of all ids, *id is then as it was. */
bool stream_id_next(struct stream_id *id);
bool stream_id_prev(struct stream_id *id);

/* "ms-seq"; returns its length, no zero behind it. */
size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], struct stream_id id);
/* "ms" (then the sequence number is `missing_seq`) or "ms-seq"; unsigned decimals; blanks,
 * a plus and zeros before the digits are passed over, as Redis does. False when it is anything
 * else; *ret is untouched then. */
bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *ret);

#endif
