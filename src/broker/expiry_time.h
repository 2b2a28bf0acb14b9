/* Times that commands take: EX, PX, EXAT, PXAT and the EXPIRE family, with Redis's checks. */
#ifndef LEAT_BROKER_EXPIRY_TIME_H
#define LEAT_BROKER_EXPIRY_TIME_H

#include "broker/call.h"

enum time_unit { UNIT_SECONDS, UNIT_MS };

/* Turns `text` into Unix milliseconds. `positive`: zero and less are an error (SET, GETEX). False
 * with the error replied; `command` is the name in it. */
bool expiry_time(struct call *c, struct bytes text, enum time_unit unit, bool absolute,
                 bool positive, const char *command, int64_t *ret_at_ms);

#endif
