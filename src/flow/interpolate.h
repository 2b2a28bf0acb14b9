/* Text from the environment in a file's values: ${NAME}, ${NAME:-default}, ${NAME:?message}, $$. */
#ifndef LEAT_FLOW_INTERPOLATE_H
#define LEAT_FLOW_INTERPOLATE_H

#include "base/buf.h"

typedef const char *(*interpolate_getenv)(const char *name);

/* Appends `text` with its variables replaced to `out`. 0, or -1 with one sentence in `why` (and
 * `out` in any state). What a variable holds is not looked at again. */
int interpolate(struct bytes text, interpolate_getenv getenv_fn, struct buf *out, struct buf *why);

#endif
