/* Counts gathered before they are written: updates of the same place are added up, so that a batch
 * is as large as what changed and not as the number of events. One thread. */
#ifndef LEAT_FLOW_BATCH_H
#define LEAT_FLOW_BATCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

enum batch_op {
    BATCH_HINCRBY, /* key field n */
    BATCH_ZINCRBY, /* key n field */
    BATCH_SADD,    /* key field */
};

struct batch_entry {
    enum batch_op op;
    struct bytes key, field; /* live as long as the batch */
    int64_t n;
    bool done;          /* for the writer: was applied, must not be sent again */
    struct bytes place; /* what makes it one entry: op, key and field */
};

struct batch {
    struct arena arena;
    struct map map;
    struct batch_entry **entries; /* in the order of their first update */
    size_t count, cap;
    size_t bytes;    /* of keys and fields */
    uint64_t events; /* how many events are in here; the caller's to count */
    struct buf scratch;
};

void batch_init(struct batch *b);
void batch_fini(struct batch *b);
/* Adds n to what the batch has for this place (SADD: n is not used). Copies key and field. */
void batch_add(struct batch *b, enum batch_op op, struct bytes key, struct bytes field, int64_t n);
/* Empties it for the next round. */
void batch_reset(struct batch *b);

#endif
