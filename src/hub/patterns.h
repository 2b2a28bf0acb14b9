/* Which patterns match a channel, without trying them all.
 *
 * Each pattern stands under one literal that a channel must have for it to match: what it begins
 * with, what it ends with, or a few bytes from its inside, whichever fewest others stand under. A
 * channel asks for its own beginnings, ends and insides of the lengths that occur, and tries what
 * stands there. A pattern without a wildcard is found by its text; one without a literal ("*",
 * "[ab]*") is tried always. The fewer patterns share their literals, the fewer are tried. */
#ifndef LEAT_HUB_PATTERNS_H
#define LEAT_HUB_PATTERNS_H

#include "base/map.h"

struct pattern_index;

/* Embedded in whatever has a pattern; text is set before it is added, and lives as long. */
struct pattern {
    struct bytes text;
    struct pattern_bucket *bucket; /* the index's */
    uint32_t slot;
    uint64_t asked; /* number of the last question it was tried for */
};

struct pattern_index *pattern_index_new(void);
void pattern_index_free(struct pattern_index *ix); /* patterns are gone, or forgotten */
/* No other of the same text may be there. */
void pattern_add(struct pattern_index *ix, struct pattern *p);
void pattern_remove(struct pattern_index *ix, struct pattern *p);
/* All that match, in no order; *ret is the index's, until the next call. */
size_t pattern_match(struct pattern_index *ix, struct bytes channel, struct pattern ***ret);
/* How many were tried for the last question. */
size_t pattern_tried(const struct pattern_index *ix);

#endif
