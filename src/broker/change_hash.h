/* Changes of hash values: mutate, record, mark as changed. See call.h for the rules. */
#ifndef LEAT_BROKER_CHANGE_HASH_H
#define LEAT_BROKER_CHANGE_HASH_H

#include "broker/call.h"
#include "keys/hash.h"

/* A new, empty hash under a name that is free; something must be set in it by the same command. */
struct key *change_hash_new(struct call *c, struct bytes name);
/* True when the field is new. */
bool change_hash_set(struct call *c, struct key *k, struct bytes field, struct bytes value);
/* False when there was no such field. An empty hash stays until change_hash_drop_if_empty. */
bool change_hash_delete(struct call *c, struct key *k, struct bytes field);
/* Deletes the key, with its "del" event, when nothing is left; true when it did. */
bool change_hash_drop_if_empty(struct call *c, struct key *k, struct bytes name);
/* Long texts make a table of it before the first is set, as Redis does. */
void change_hash_make_room(struct call *c, struct key *k, const struct bytes *texts, size_t count);

#endif
