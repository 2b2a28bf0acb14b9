/* The query of a URL: name=value pairs, decoded. Bytes from outside: nothing here fails, what is
 * no escape is taken as it stands. */
#ifndef LEAT_HTTP_QUERY_H
#define LEAT_HTTP_QUERY_H

#include "base/arena.h"

enum { QUERY_PARAMS_MAX = 128 }; /* further ones are ignored */

struct query_param {
    const char *name, *value; /* zero-terminated; a %00 ends them early */
};

struct query {
    struct query_param *params;
    size_t count;
};

/* `text` is what stands after the question mark, NULL for nothing. All memory is the arena's. */
void query_parse(struct query *q, struct arena *arena, const char *text);
/* The value of the index-th parameter of this name, or NULL. */
const char *query_get(const struct query *q, const char *name, int index);

#endif
