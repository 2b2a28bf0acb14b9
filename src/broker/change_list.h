/* Changes of lists, recorded: the only way handlers change one. Events are the handler's, but for
 * "new". A list that would become empty is deleted: functions that take something away then return
 * NULL for the key, and send no event for that either. */
#ifndef LEAT_BROKER_CHANGE_LIST_H
#define LEAT_BROKER_CHANGE_LIST_H

#include "broker/call.h"
#include "keys/list.h"

/* Pushes one after the other. A key that is NULL is created under `name`. */
struct key *change_list_push(struct call *c, struct key *k, struct bytes name, enum list_end end,
                             const struct bytes *values, size_t count);
/* Drops n <= count elements from an end. */
struct key *change_list_drop(struct call *c, struct key *k, enum list_end end, size_t n);
/* Moves the element at an end of one list to an end of another, or of the same; `to` is NULL when
 * `to_name` is absent. Returns the list moved from. */
struct key *change_list_move(struct call *c, struct key *from, enum list_end from_end,
                             struct key *to, struct bytes to_name, enum list_end to_end);
/* index < count. */
void change_list_set(struct call *c, struct key *k, size_t index, struct bytes value);
/* Before the element that has the index now; index <= count. */
void change_list_insert(struct call *c, struct key *k, size_t index, struct bytes value);
/* Removes at most `max` elements equal to the value, seen from an end. */
struct key *change_list_remove(struct call *c, struct key *k, enum list_end from,
                               struct bytes value, size_t max, size_t *ret_removed);

#endif
