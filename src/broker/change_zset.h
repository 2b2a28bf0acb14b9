/* Changes of sorted sets, recorded: the only way handlers change one. Events are the handler's,
 * but for "new" and those of change_zset_store. */
#ifndef LEAT_BROKER_CHANGE_ZSET_H
#define LEAT_BROKER_CHANGE_ZSET_H

#include "broker/call.h"
#include "keys/zset.h"

/* The limits of the small form, from the settings. */
struct zset_limits call_zset_limits(const struct call *c);

/* Gives a member a score. `place` is what zset_find says of the key's set; the key is NULL when it
 * is absent, and then it is created. The score is another than the member
 * has. `name` lives until the effects are drained. */
struct key *change_zset_assign(struct call *c, struct key *k, struct bytes name,
                               const struct zset_place *place, double score);
/* Removes a member, by a place that was found. With its last member the key goes too: NULL then. */
struct key *change_zset_take(struct call *c, struct key *k, struct bytes name,
                             const struct zset_place *place);
/* Removes a span; returns as change_zset_take does. An empty span changes nothing. */
struct key *change_zset_take_span(struct call *c, struct key *k, struct bytes name,
                                  struct zset_span span);
/* Journal space for the removal of a span, and for storing a whole set: see call_admit(). */
bool change_zset_admit_span(struct call *c, const struct zset *z, struct zset_span span);
bool change_zset_admit_store(struct call *c, const struct zset *z);
/* The key becomes this set, whatever it was before, and loses its expiry; an empty set deletes it.
 * Sends `event`, or "del" where there was something to delete. Takes `z` over. */
void change_zset_store(struct call *c, struct bytes name, struct zset *z, const char *event);

#endif
