/* What both files of list commands use. */
#ifndef LEAT_BROKER_LIST_REPLY_H
#define LEAT_BROKER_LIST_REPLY_H

#include "broker/call.h"
#include "keys/list.h"

/* Names of events. */
static inline const char *list_push_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpush" : "rpush";
}
static inline const char *list_pop_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpop" : "rpop";
}
/* At most `count` >= 0, and no more than there are. */
static inline size_t list_available(const struct key *k, int64_t count)
{
    size_t there = list_count(k);
    return (uint64_t)count < there ? (size_t)count : there;
}
/* Takes n elements from an end, replies them (without a header), then sends the events. */
void list_reply_popped(struct call *c, struct key *k, struct bytes name, enum list_end end,
                       size_t n);

#endif
