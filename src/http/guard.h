/* Whom the gateway answers: the checks against DNS rebinding. A page of a stranger can make a
 * browser ask any address, this gateway's included, but it cannot forge what the browser writes
 * into Host and Origin. Pure functions on bytes from the socket. */
#ifndef LEAT_HTTP_GUARD_H
#define LEAT_HTTP_GUARD_H

#include "base/bytes.h"

struct guard {
    const char *bind;         /* the address listened on, as text; borrowed */
    const char *const *hosts; /* further names, NULL-terminated; may be NULL; borrowed */
};

/* True when `host` (the value of Host: a name or address, with or without a port) is a loopback
 * name, the address bound, `local` (the address the connection came in at, as text; NULL for none)
 * or one of the names given. */
bool guard_host(const struct guard *g, struct bytes host, const char *local);

/* True when `origin` (the value of Origin) names the same host and port as `host` does. */
bool guard_origin(struct bytes origin, struct bytes host);

#endif
