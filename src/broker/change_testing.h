/* For tests of what changes record: a call without server, journal or session, enough for what
 * changes the keyspace, and the records it makes, kept. */
#ifndef LEAT_BROKER_CHANGE_TESTING_H
#define LEAT_BROKER_CHANGE_TESTING_H

#include "broker/internal.h"

struct changes {
    struct broker *broker; /* its settings may be changed */
    struct call call;
    struct buf records; /* one behind the other */
    size_t *ends, count, cap;
};

void changes_init(struct changes *ch);
void changes_fini(struct changes *ch);
/* The end of a command: all of it is recorded then. */
void changes_end(struct changes *ch);
struct bytes changes_record(const struct changes *ch, size_t i);
void changes_forget(struct changes *ch); /* the records so far */

#endif
