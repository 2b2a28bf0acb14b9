/* What one command did. Handlers fill it through the change_* functions; after the handler the
 * broker drains it in one fixed order (exec.c): records go to the journal, changed keys get their
 * position and break WATCHes, events are published, blocked clients are woken. Journaling, WATCH,
 * notifications and wake-ups feed on this and on nothing else. One per broker; reused. */
#ifndef LEAT_BROKER_EFFECTS_H
#define LEAT_BROKER_EFFECTS_H

#include "base/arena.h"
#include "broker/notify.h"
#include "broker/records.h"
#include "keys/keyspace.h"

struct effect_key { /* name is a copy: the key it was may be gone by the time of the drain */
    int db;
    struct bytes name;
    uint64_t hash;
    bool quiet; /* breaks no WATCH */
};

struct effect_event {
    enum notify_class class;
    const char *event; /* static */
    int db;
    struct bytes name; /* the handler's: argv or arena, never a key's own */
};

/* Takes records one at a time: begin answers the buffer to append one to, end its position. */
struct record_sink {
    struct buf *(*begin)(void *arg);
    uint64_t (*end)(void *arg);
    void *arg;
};

struct effects {
    struct record_sink sink; /* where records are written, without a copy in between */
    struct buf *record;      /* the one that may still take items; NULL: none */
    size_t record_start;     /* of its content, in *record */
    uint64_t position;       /* of the last finished record of this command; 0: none */
    uint64_t depends;        /* the position the reply waits for */
    struct arena *arena;     /* for names, until the drain */
    size_t changed_count, changed_cap;
    struct effect_key *changed;
    size_t event_count, event_cap;
    struct effect_event *events;
    bool all_changed; /* FLUSHALL, SWAPDB: `changed` does not list the keys */
    bool ready;       /* something a blocked client may wait for was added */
};

/* The sink may be set later, before the first record. */
void effects_init(struct effects *fx, struct arena *arena);
void effects_fini(struct effects *fx);
void effects_reset(struct effects *fx);

/* A record to add items to with record_put_*; items of the same kind and key go on in one record.
 */
struct buf *effects_record(struct effects *fx, enum record_kind kind, int db, struct bytes key);
/* Always a record of its own: for kinds whose items are not a list. */
struct buf *effects_new_record(struct effects *fx, enum record_kind kind, int db, struct bytes key);
/* Finishes the open record; the position of the last one since effects_reset, 0 when there is none.
 */
uint64_t effects_finish(struct effects *fx);
void effects_changed(struct effects *fx, int db, struct bytes name, uint64_t hash);
/* The same for a change that breaks no WATCH. */
void effects_noted(struct effects *fx, int db, struct bytes name, uint64_t hash);
void effects_event(struct effects *fx, enum notify_class class, const char *event, int db,
                   struct bytes name);

#endif
