/* The options IDMP and IDMPAUTO of XADD: a message that is sent again is not added again. */
#ifndef LEAT_BROKER_CMD_STREAM_IDMP_H
#define LEAT_BROKER_CMD_STREAM_IDMP_H

#include "broker/call.h"
#include "keys/stream.h"

struct idmp_args {
    bool given, automatic;
    struct bytes pid, iid;
};

/* Takes the option at argv[*i], if it is one of the two, and moves *i behind it. 1; 0 when it is
 * neither; -1 with the error replied. */
int idmp_parse(struct call *c, size_t *i, struct idmp_args *a);
/* After the last option: do they go with the id? Also gives an automatic message its iid. False
 * with the error replied. */
bool idmp_parse_end(struct call *c, struct idmp_args *a, bool id_is_given,
                    const struct bytes *fields, size_t n);
/* Is it a duplicate? Then the id of its entry is replied. The stream may be NULL. */
bool idmp_reply_duplicate(struct call *c, struct stream *s, const struct idmp_args *a);

#endif
