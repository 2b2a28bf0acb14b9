/* Numbers with units, as people write them in settings. */
#ifndef LEAT_FLOW_UNITS_H
#define LEAT_FLOW_UNITS_H

#include "base/bytes.h"

/* Each: 0, or -1 with *ret_why a static sentence. No sign, no space, no fraction. */
/* `500ms`, `10s`, `30m`, `12h`, `7d`, `1m30s`; the unit is required. At most 10 years. */
int units_duration_ms(struct bytes text, int64_t *ret_ms, const char **ret_why);
/* `100`, `64KB`, `1MB`, `2GB`: powers of 1,024, in any case. */
int units_size(struct bytes text, int64_t *ret_bytes, const char **ret_why);
/* `100000`. */
int units_count(struct bytes text, int64_t *ret_count, const char **ret_why);

#endif
