/* What commands that pop from the first of several keys share, and those that wait for one. */
#ifndef LEAT_BROKER_POP_H
#define LEAT_BROKER_POP_H

#include "broker/call.h"

enum pop_found { POP_FOUND, POP_NONE, POP_FAILED };

/* The first of the keys that is there (in Redis none of these is ever empty); POP_FAILED, with
 * WRONGTYPE replied, when one before it is of another type. */
enum pop_found pop_find(struct call *c, const struct bytes *names, size_t count, enum key_type type,
                        struct key **ret_key, struct bytes *ret_name);
/* A timeout: seconds with a fraction, rounded up to milliseconds, so that nobody waits less than
 * asked for. False with the error replied. */
bool pop_timeout(struct call *c, struct bytes arg, int64_t *ret_ms);

/* Waits for one of the keys, or replies nothing where it may not wait. */
void pop_wait(struct call *c, const struct bytes *names, size_t count, enum key_type type,
              int64_t timeout_ms);
/* BLPOP, BZPOPMIN and the like: key ... timeout. As pop_find(); where it answers POP_NONE, the
 * command waits. */
enum pop_found pop_find_or_wait(struct call *c, enum key_type type, struct key **ret_key,
                                struct bytes *ret_name);

/* ---- LMPOP, ZMPOP and the like: numkeys key ... <first | last> [COUNT count] ---- */

struct pop_many {
    const struct bytes *keys;
    size_t key_count;
    bool last; /* from the end named second: MAX, RIGHT */
    int64_t count;
};
/* From argv[at] on; false with the error replied. */
bool pop_many_parse(struct call *c, size_t at, const char *first, const char *last,
                    struct pop_many *ret);

#endif
