/* Entries go, and the groups' references to them: KEEPREF, DELREF and ACKED of trims. */
#ifndef LEAT_BROKER_STREAM_REFS_H
#define LEAT_BROKER_STREAM_REFS_H

#include "broker/stream_args.h"

/* What goes: all entries before keep_from, and some single ones behind. */
struct stream_cut {
    struct stream_id keep_from;
    uint64_t gone; /* before keep_from; 0: none */
    struct stream_id *ids;
    size_t id_count;
    bool drop_refs;
};

/* What becomes of a plan (stream_trim_plan()) where references count: with ACKED only what every
 * group has acknowledged goes, the oldest of that. Before anything is changed. 0, or negative, see
 * keys/stream.h. */
int stream_cut_plan(struct call *c, struct stream *s, const struct stream_trim_args *a,
                    struct stream_id keep_from, uint64_t gone, struct stream_cut *ret);
static inline uint64_t stream_cut_count(const struct stream_cut *cut)
{
    return cut->gone + cut->id_count;
}
/* What of the journal it takes for call_admit(), beyond the record of a trim. */
size_t stream_cut_bytes(const struct key *k, const struct stream_cut *cut);
void stream_cut_do(struct call *c, struct key *k, const struct stream_cut *cut);

#endif
