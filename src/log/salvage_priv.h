/* The inside of salvage, for salvage.c (which way, and what is told) and salvage_copy.c. */
#ifndef LEAT_LOG_SALVAGE_PRIV_H
#define LEAT_LOG_SALVAGE_PRIV_H

#include "log/reader.h"
#include "log/salvage.h"

/* What is taken: a snapshot, and batches behind it. */
struct way {
    const struct seen_snapshot *snapshot; /* NULL: from the beginning */
    size_t first, count;                  /* in `order` */
    uint64_t start, end;                  /* positions, of what is made */
    uint64_t reached;                     /* the same as `end`, of what there was */
    uint64_t chunks_lost;                 /* of those that the snapshot refers to */
    bool inexact;                         /* what comes out is not a state that ever was */
};

struct copying {
    struct inspection *in;
    struct salvage *s;
    const char *out;
    struct journal_error *error;
    size_t *order; /* batches by position */
    struct way best;
    uint64_t made;     /* segments */
    uint64_t position; /* where the next batch comes to lie */
    int from_fd;       /* of the segment last read; -1 */
    size_t from_segment;
    struct reader from;
};

/* The batch at this place in `order`. */
static inline const struct seen_batch *salvage_batch(const struct copying *c, size_t i)
{
    return &c->in->batches[c->order[i]];
}

int salvage_fail(struct copying *c, int code, const char *doing, const char *name);
/* Makes `out`, and there what `best` says; what was made is taken back on failure. */
int salvage_copy(struct copying *c);

#endif
