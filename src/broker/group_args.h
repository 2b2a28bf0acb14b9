/* What the commands on consumer groups share: finding key, group and consumer, and ids. Each
 * function that finds or takes something replies the error and returns false when it does not fit.
 */
#ifndef LEAT_BROKER_GROUP_ARGS_H
#define LEAT_BROKER_GROUP_ARGS_H

#include "broker/change_group.h"

/* Which of Redis's error texts says that there is no such key or group. */
enum group_missing {
    GROUP_OF_COMMAND, /* "No such key 'k' or consumer group 'g'" */
    GROUP_OF_READ,    /* "... in XREADGROUP with GROUP option" */
    GROUP_OF_KEY,     /* "No such consumer group 'g' for key name 'k'": the key is there */
};
void group_error_missing(struct call *c, enum group_missing text, struct bytes key,
                         struct bytes group);
/* The key and its group, to be changed. */
bool group_find(struct call *c, struct bytes key, struct bytes group, struct key **ret_key,
                struct group **ret_group);

/* The consumer; created, with its event, where there is none. It has been seen now. */
struct consumer *group_need_consumer(struct call *c, struct key *k, struct group *g,
                                     struct bytes name);
/* It has been seen now, and got something: what PENDING_SET records do not tell is recorded. */
void group_note_active(struct call *c, struct key *k, struct group *g, struct consumer *of);

/* argv[from .. from + n) as ids, in the arena; NULL with the error replied. */
struct stream_id *group_arg_ids(struct call *c, size_t from, size_t n);

/* The ordinal of a group that stands, or is to stand, at an id. */
bool group_ordinal_at(struct call *c, struct stream *s, struct stream_id id, uint64_t *ret);
/* Milliseconds since a delivery. */
int64_t group_idle_ms(const struct call *c, const struct pending_entry *e);
/* The latest delivery that has been idle for so long. */
int64_t group_idle_since(const struct call *c, int64_t min_idle_ms);

#endif
