/* The known name nearest to one that is not known, for "did you mean". */
#ifndef LEAT_FLOW_NEAREST_H
#define LEAT_FLOW_NEAREST_H

#include "base/bytes.h"

/* Edits between two names: insertions, deletions, replacements and swaps of neighbours, one each.
 * Names longer than 63 bytes count as far from everything. */
size_t nearest_distance(struct bytes a, struct bytes b);

struct nearest {
    struct bytes word;
    struct bytes best; /* empty: nothing is near; borrowed from the candidate */
    size_t distance;
};

/* Starts with nothing near: near is at most a third of the word's length, and at least one edit. */
void nearest_init(struct nearest *n, struct bytes word);
void nearest_try(struct nearest *n, struct bytes candidate);

#endif
