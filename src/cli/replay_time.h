/* When a recorded event was. */
#ifndef LEAT_CLI_REPLAY_TIME_H
#define LEAT_CLI_REPLAY_TIME_H

#include "flow/json.h"

/* Unix milliseconds, -1 when it does not say. In this order: `timestamp` in the JSON array of an
 * SSE id; of the data the fields `timestamp_ms`, `meta.dt` (ISO 8601, UTC), `timestamp` (seconds,
 * or milliseconds where it must be those). */
int64_t replay_time(struct json_parser *p, struct bytes id, struct bytes data);

#endif
