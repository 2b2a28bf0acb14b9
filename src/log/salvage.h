/* Copying what is whole of an inspected directory into a new one, from which a server starts. The
 * original is only read. */
#ifndef LEAT_LOG_SALVAGE_H
#define LEAT_LOG_SALVAGE_H

#include "log/inspect.h"

struct salvage {
    /* Go on behind gaps, though nobody knows what the missing records changed: later ones are kept
     * as far as they fit. */
    bool past_gaps;

    bool has_snapshot;
    uint64_t snapshot; /* its position */
    bool partial;      /* of it, only so many blocks are whole */
    uint64_t blocks;
    bool inexact;           /* what came out is not a state that ever was */
    uint64_t gaps, missing; /* that were passed, and bytes of records missing in them */
    uint64_t start, end;    /* positions of the journal that was taken */
    uint64_t reach;         /* how far it once went, as far as one can tell */
    uint64_t batches, records;
    uint64_t chunks, chunks_lost; /* that the snapshot refers to; of these, damaged */
    /* What was left, told line by line: whole, but without what comes before it; or not whole. */
    void (*left)(void *arg, const char *what);
    void *arg;
};

/* `out` is made and must not be there, or be empty. 0, or negative with the reason in *ret_error:
 * -ENODATA when nothing can be saved, -EEXIST when `out` is not empty; nothing is left in it then.
 */
int salvage_dir(struct inspection *in, const char *out, struct salvage *s,
                struct journal_error *ret_error);

#endif
