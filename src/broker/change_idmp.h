/* Changes of what streams know of their producers, recorded: the only way handlers change that. */
#ifndef LEAT_BROKER_CHANGE_IDMP_H
#define LEAT_BROKER_CHANGE_IDMP_H

#include "broker/call.h"
#include "keys/stream_idmp.h"

struct snapshot_writer;

/* Notes the message whose entry was just added to the stream, at the time of the call. */
void change_idmp_add(struct call *c, struct key *k, struct bytes pid, struct bytes iid,
                     struct stream_id id);
/* Sets the limits; all messages are forgotten when they are others than before. */
void change_idmp_limits(struct call *c, struct key *k, uint32_t duration_s, uint32_t maxsize);

/* For snapshots: all of it as records, behind those of the stream itself. */
void idmp_put(struct snapshot_writer *w, int db, const struct key *k);

#endif
