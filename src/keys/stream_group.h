/* Consumer groups of a stream: by name, each with the place where it stands, its consumers and what
 * is pending.
 *
 * A group stands at `last_id`, and at the `ordinal` that the next entry behind it has or would
 * have: its lag is stream_count_from_ordinal(), exact whatever was deleted or trimmed. Pending
 * entries name their consumer by its number in the group. Groups and consumers are in the order of
 * their names, which is the order in which Redis lists them.
 *
 * A group may stand ahead of the stream's end, where entries to come may be before it or behind:
 * then it has no ordinal (GROUP_AHEAD) until the first that comes behind it is about to be added.
 *
 * State only: nothing here journals. One thread, but for groups_free(), which may run on any. */
#ifndef LEAT_KEYS_STREAM_GROUP_H
#define LEAT_KEYS_STREAM_GROUP_H

#include "keys/pending.h"

struct stream;

struct consumer {
    int64_t seen_ms;   /* when it last asked for something */
    int64_t active_ms; /* when it last got something; -1: never */
    uint64_t pending;  /* entries it has */
    uint32_t number;   /* in the group, of no other while it is there */
    uint32_t name_len;
    char name[];
};

#define GROUP_AHEAD UINT64_MAX

struct group {
    struct stream_id last_id;
    uint64_t ordinal; /* or GROUP_AHEAD */
    struct pending pending;
    struct consumer **consumers; /* by name */
    size_t consumer_count, consumer_cap;
    struct consumer **by_number; /* NULL where a number is free */
    size_t number_cap;
    uint32_t name_len;
    char name[];
};

/* Where a snapshot goes on that takes the groups piece by piece. */
struct groups_place {
    char *group, *consumer; /* names; NULL: from the first on */
    size_t group_len, consumer_len;
    enum { GROUPS_AT_GROUP, GROUPS_AT_PENDING, GROUPS_AT_CONSUMERS } stage;
    struct stream_id next; /* pending entry */
};

struct groups {
    size_t count, cap;
    struct group **list;    /* by name */
    struct stream_id ahead; /* none with a smaller last_id stands ahead of the stream's end */
    struct groups_place place;
};

/* ---- All of a stream's groups; NULL stands for none ---- */

void groups_free(struct groups *g);
struct groups *groups_copy(const struct groups *g);
/* Bytes allocated. */
size_t groups_memory(const struct groups *g);
/* Allocations there are to free, or so. */
size_t groups_weight(const struct groups *g);
/* The smallest id that some group has not acknowledged yet, pending or not delivered: what is below
 * every group is done with. False when there are no groups. */
bool groups_floor(const struct stream *s, struct stream_id *ret);
/* The group whose smallest unacknowledged id that is; NULL when there are none. */
const struct group *groups_slowest(const struct stream *s);
/* Has every group got the entry, and has none it pending? True when there are no groups. */
bool groups_have_acknowledged(const struct groups *g, struct stream_id id);

/* To be told before the stream's last_id is set: some groups may stand ahead of it then, others no
 * longer. */
void groups_note_end(const struct stream *s, struct stream_id last_id);
/* Before an entry of this id is added: is there a group that stands ahead of the stream's end and
 * will not stand ahead of that entry? Its place must be set then, by its ordinal, which is that of
 * the entry. Several: one after the other; NULL when there is none, mostly at once. */
struct group *groups_next_passed(const struct stream *s, struct stream_id id);

static inline size_t groups_count(const struct groups *g)
{
    return g != NULL ? g->count : 0;
}
/* NULL when there is none of this name. */
struct group *groups_find(const struct groups *g, struct bytes name);
/* The first group of this name or a later one; groups->count at the end. */
size_t groups_seek(const struct groups *g, struct bytes name);
void groups_place_reset(struct groups_place *at); /* to the beginning */
/* There must be none of this name. *g may be NULL. */
struct group *groups_add(struct groups **g, struct bytes name);
/* Removes and frees. *g becomes NULL with the last one. */
void groups_remove(struct groups **g, struct group *group);

/* ---- One group ---- */

static inline struct bytes group_name(const struct group *g)
{
    return (struct bytes){g->name, g->name_len};
}
static inline struct bytes consumer_name(const struct consumer *c)
{
    return (struct bytes){c->name, c->name_len};
}
struct consumer *group_consumer(const struct group *g, struct bytes name);
/* The first consumer of this name or a later one. */
size_t group_seek_consumer(const struct group *g, struct bytes name);
/* There must be none of this name. Seen now, never active. */
struct consumer *group_add_consumer(struct group *g, struct bytes name, int64_t now_ms);
/* Its pending entries go with it. */
void group_remove_consumer(struct group *g, struct consumer *c);
/* Whose a pending entry is. */
static inline struct consumer *group_owner(const struct group *g, const struct pending_entry *e)
{
    return g->by_number[e->consumer];
}

/* `all`: the groups that it is one of. */
void group_set_place(struct groups *all, struct group *g, struct stream_id last_id,
                     uint64_t ordinal);
/* Of a group that stood ahead of a stream which has grown since, as journals did not tell once:
 * finds the ordinal. 0, or negative: see keys/stream.h. */
int group_settle(struct group *g, struct stream *s);
/* How many entries were ever added up to where the group stands, XSETID's adjustments included, and
 * how many there are behind it: after group_settle(). */
uint64_t group_entries_read(const struct group *g, const struct stream *s);
uint64_t group_lag(const struct group *g, const struct stream *s);

/* Makes the entry pending as e says, whatever it was. */
void group_set_pending(struct group *g, const struct pending_entry *e);
/* False when it was not pending. */
bool group_drop_pending(struct group *g, struct stream_id id);
/* All that is pending with one consumer becomes another's; time_ms as for pending_give(). */
void group_give_pending(struct group *g, struct consumer *from, struct consumer *to,
                        int64_t time_ms);

#endif
