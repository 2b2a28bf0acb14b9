/* Groups, consumers and pending entries as XINFO tells of them. */
#ifndef LEAT_BROKER_GROUP_REPLY_H
#define LEAT_BROKER_GROUP_REPLY_H

#include "broker/group_args.h"

/* Before all groups of a stream are replied: the handler returns when it is false, see
 * stream_is_there(). */
bool group_reply_prepare(struct call *c, struct stream *s);
/* XINFO GROUPS and XINFO CONSUMERS: an array of maps. */
void group_reply_all(struct call *c, const struct stream *s);
void group_reply_consumers(struct call *c, const struct group *g);
/* XINFO STREAM FULL: all of them, with at most `max` pending entries of each group and consumer. */
void group_reply_full(struct call *c, const struct stream *s, uint64_t max);

#endif
