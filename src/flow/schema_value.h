/* What one scalar of a settings file may be; between schema.c and the tables. */
#ifndef LEAT_FLOW_SCHEMA_VALUE_H
#define LEAT_FLOW_SCHEMA_VALUE_H

#include "flow/schema.h"

/* Reads `text` as the key's type wants it; numbers and choices go to *ret_number (NULL for texts).
 * 0, or -1 with one sentence in `why`. */
int schema_value_check(const struct schema_key *key, struct bytes text, int64_t *ret_number,
                       struct buf *why);
/* What the reference calls the values of this key: "duration". */
const char *schema_value_kind(const struct schema_key *key);

#endif
