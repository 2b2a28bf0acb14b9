/* Idempotent production: which messages were added to a stream of late, so that one that is sent
 * again is not added again. A message is named by its producer (pid) and, among that producer's, by
 * an idempotent id (iid).
 *
 * Of each producer the newest `maxsize` are known, and of those the ones of the last `duration_s`
 * seconds. What has run out is forgotten when somebody looks: that is no change of state. One
 * thread, but for idmp_free(), which may run on any. */
#ifndef LEAT_KEYS_STREAM_IDMP_H
#define LEAT_KEYS_STREAM_IDMP_H

#include "base/map.h"
#include "keys/stream_id.h"

enum {
    IDMP_DURATION_DEFAULT = 100,
    IDMP_DURATION_MAX = 86400,
    IDMP_MAXSIZE_DEFAULT = 100,
    IDMP_MAXSIZE_MAX = 10000,
};

struct stream_idmp {
    uint32_t duration_s, maxsize;
    uint64_t added, duplicates; /* ever */
    uint64_t tracked;           /* iids known now */
    struct map producers;
};

/* One message; what it points to lives until the next change. */
struct idmp_message {
    struct bytes pid, iid;
    struct stream_id id; /* of its entry */
    int64_t added_ms;    /* Unix time */
};

struct stream_idmp *idmp_new(void);
void idmp_free(struct stream_idmp *m);                /* may be NULL */
struct stream_idmp *idmp_copy(struct stream_idmp *m); /* NULL of NULL */
size_t idmp_memory(struct stream_idmp *m);

/* Was it added lately? Then under which id. */
bool idmp_find(struct stream_idmp *m, struct bytes pid, struct bytes iid, int64_t now_ms,
               struct stream_id *ret);
/* Notes a message as the newest of its producer, in place of an older one of the same name. */
void idmp_add(struct stream_idmp *m, const struct idmp_message *message);
/* Forgets what has run out. */
void idmp_expire(struct stream_idmp *m, int64_t now_ms);
/* Forgets all messages. */
void idmp_clear(struct stream_idmp *m);
/* All that is known, each producer's from the oldest on. */
void idmp_walk(struct stream_idmp *m, void (*fn)(const struct idmp_message *message, void *arg),
               void *arg);

#endif
