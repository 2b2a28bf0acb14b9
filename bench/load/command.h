/* Commands to send, with places that are filled in anew each time:
 *
 *     __seq__  __seq:N__    12 digits: a counter of the whole run; modulo N
 *     __rand__ __rand:N__   12 digits: random, below N (default: the keys of the options)
 *     __data__ __data:N__   N bytes of random letters, another run of them each time
 *     __conn__              12 digits: the number of the connection
 *     __walk:N__            12 digits: the connection's number, then in steps of the number of
 *                           connections up to N; a step is taken when a reply is empty
 *     __last__              the last stream id in this connection's replies so far; 0-0 before
 *     __ids__               all ids of this connection's last reply; as an argument by itself
 *
 * All but the last two have the same width each time, so a command is encoded once, copied and
 * patched. */
#ifndef LEAT_BENCH_LOAD_COMMAND_H
#define LEAT_BENCH_LOAD_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { COMMAND_PATCHES_MAX = 32, COMMAND_DIGITS = 12 };

enum patch_kind {
    PATCH_SEQ,
    PATCH_RAND,
    PATCH_DATA,
    PATCH_CONN,
    PATCH_WALK,
    PATCH_LAST,
    PATCH_IDS
};

struct patch {
    enum patch_kind kind;
    size_t at; /* in the encoded text */
    uint64_t n;
    unsigned prefix; /* PATCH_LAST: bytes of the argument before it, which stand before `at` */
};

struct command {
    const char *name; /* the command's first word, borrowed */
    struct buf text;  /* the header and all arguments; of __last__ and __ids__ nothing */
    unsigned argc;    /* __ids__ not counted */
    struct patch patches[COMMAND_PATCHES_MAX];
    unsigned patch_count;
    bool dynamic; /* has __last__ or __ids__ */
    bool has_ids;
    uint64_t walk; /* N of __walk:N__; 0: has none */
};

/* What the run and its connections lend to the filling. */
struct filling {
    uint64_t *seq;
    uint64_t random; /* state, never 0 */
    uint64_t conn, walk;
    const char *last_id;
    struct bytes ids; /* as reply.h keeps them */
    uint64_t id_count;
};

/* Defaults of __rand__ and __data__. */
struct command_defaults {
    uint64_t keys, data;
};

/* NULL, or what is wrong with the words (static). The words must stay. */
const char *command_init(struct command *t, char **words, int count,
                         const struct command_defaults *defaults);
void command_fini(struct command *t);
void command_append(const struct command *t, struct filling *f, struct buf *out);

#endif
