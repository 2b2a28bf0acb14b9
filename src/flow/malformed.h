/* The last thing that was not what it should be: why, and its first bytes, fit to be shown. */
#ifndef LEAT_FLOW_MALFORMED_H
#define LEAT_FLOW_MALFORMED_H

#include "base/bytes.h"

struct malformed {
    uint64_t count;
    char last[256]; /* empty: none yet */
};

void malformed_note(struct malformed *m, const char *why, struct bytes what);
/* NULL for none yet. */
const char *malformed_last(const struct malformed *m);

#endif
