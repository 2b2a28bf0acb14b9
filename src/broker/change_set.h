/* Changes of set values: mutate, record, mark as changed. See call.h for the rules. */
#ifndef LEAT_BROKER_CHANGE_SET_H
#define LEAT_BROKER_CHANGE_SET_H

#include "broker/call.h"
#include "keys/set.h"

/* A new, empty set under a name that is free, in the form that suits `first`; something must be
 * added to it by the same command. change_set_new() also sends the event "new". */
struct key *change_set_make(struct call *c, struct bytes name, struct bytes first);
struct key *change_set_new(struct call *c, struct bytes name, struct bytes first);
/* False when the member was there. */
bool change_set_add(struct call *c, struct key *k, struct bytes member);
/* False when it was not. An empty set stays until change_set_drop_if_empty. */
bool change_set_remove(struct call *c, struct key *k, struct bytes member);
/* Deletes the key, with its "del" event, when nothing is left; true when it did. */
bool change_set_drop_if_empty(struct call *c, struct key *k, struct bytes name);

#endif
