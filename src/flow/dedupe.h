/* Remembers the last so many ids, so that what was delivered twice is used once. One thread. */
#ifndef LEAT_FLOW_DEDUPE_H
#define LEAT_FLOW_DEDUPE_H

#include "base/bytes.h"

struct dedupe;

/* window >= 1 */
struct dedupe *dedupe_new(size_t window);
void dedupe_free(struct dedupe *d);
/* True when the id is among the last `window` different ones; otherwise it is from now on, in
 * place of the oldest. */
bool dedupe_seen(struct dedupe *d, struct bytes id);

#endif
