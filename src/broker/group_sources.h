/* What XREADGROUP is to read: its arguments, and what there is for each of its streams. */
#ifndef LEAT_BROKER_GROUP_SOURCES_H
#define LEAT_BROKER_GROUP_SOURCES_H

#include "broker/group_args.h"

/* One mention of a stream. */
struct source {
    struct bytes name;
    struct key *key;
    struct group *group;
    struct consumer *consumer;
    size_t before;             /* how often the same stream is named before */
    bool is_new;               /* the id is ">" */
    struct stream_id from;     /* else: behind this one */
    uint64_t news;             /* entries that nobody got yet, to be replied */
    struct pending_entry *old; /* pending ones to be replied */
    bool *old_there;           /* in the stream */
    size_t old_count;
    struct stream_id *ids; /* of the new ones that were replied; NOACK needs only the last */
    struct stream_id last;
    uint64_t last_ordinal;
    bool is_replied;
};

struct reading {
    struct bytes group, consumer;
    uint64_t count; /* of each stream; UINT64_MAX: all */
    bool block, noack, claim;
    int64_t block_ms, min_idle_ms;
    size_t streams; /* where the keys begin in argv */
    size_t n;       /* of them */
    struct source *sources;
    bool names_twice; /* one of the streams */
};

/* The arguments, with keys and groups, in the arena. False with the error replied. */
bool reading_parse(struct call *c, struct reading *o);
/* Finds what there is for a source now, and brings it into memory: news, old. 0, or negative: see
 * keys/stream.h. */
int reading_find(struct call *c, const struct reading *o, struct source *s);

#endif
