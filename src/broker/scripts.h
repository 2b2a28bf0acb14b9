/* leat runs no Lua. It knows a few scripts by sight, those by which client libraries release and
 * extend locks (redis-py's Lock, and with it Celery; the one of the Redis documentation on
 * distributed locks), and does what they do. A script is known by the SHA-1 of its words, comments
 * and spacing aside, so that another edition of a library changes nothing. */
#ifndef LEAT_BROKER_SCRIPTS_H
#define LEAT_BROKER_SCRIPTS_H

#include "base/bytes.h"

struct call;

/* What EVAL hands to a script: keys, then the other arguments. */
struct script_call {
    const struct bytes *keys, *args;
    size_t key_count, arg_count;
};
typedef void (*script_handler)(struct call *c, const struct script_call *s);

enum { SCRIPT_SHA_LEN = 40 };

/* Hexadecimal SHA-1 of the text as it is, in lower case, without a terminator. */
void script_sha(struct bytes text, char ret[SCRIPT_SHA_LEN]);
/* NULL when it is none of those. A known text can then be found by its SHA-1, too; that is kept per
 * thread, and says nothing that the text would not say again. */
script_handler script_by_text(struct bytes text);
/* By the SHA-1 of the text, in any case: of the usual editions always, of others once seen. */
script_handler script_by_sha(struct bytes sha);

#endif
