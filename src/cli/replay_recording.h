/* A recording of a feed, loaded whole and cut into the pieces that are sent: one per event. */
#ifndef LEAT_CLI_REPLAY_RECORDING_H
#define LEAT_CLI_REPLAY_RECORDING_H

#include "base/buf.h"
#include "cli/feed_server.h"

struct recording_event {
    size_t at, len;       /* in `wire`: the bytes to send */
    size_t id_at, id_len; /* in `ids`; equal ids in a row are stored once */
    int64_t due_ms;       /* after the first event; never less than its predecessor's */
};

struct recording {
    struct buf wire, ids;
    struct recording_event *events;
    size_t count, cap;
    size_t tail_at; /* in `wire`: the bytes behind the last event, which never became one */
    bool was_sse;   /* what the file holds, whatever it is served as */
    bool timed;     /* the events say when they were */
};

/* Reads `path` ("-": standard input), through xz if it is compressed so, and makes of it what is
 * sent as `format`. -1 with a sentence in `error`. `ret` is to be given to recording_fini even so.
 *
 * Events of an SSE recording served as SSE go out byte for byte, comments included, and what stands
 * behind the last blank line is kept as the tail. Served as lines, an event is its data (line ends
 * within become spaces). A line served as SSE is an event whose id is its number. */
int recording_load(const char *path, enum feed_format format, struct recording *ret,
                   struct buf *error);
void recording_fini(struct recording *r);

struct bytes recording_bytes(const struct recording *r, size_t index);
struct bytes recording_id(const struct recording *r, size_t index);
struct bytes recording_tail(const struct recording *r);
/* The first event that has this id: many may share one, and the feed then sends all of them again.
 * 0, the beginning, when there is none. */
size_t recording_find(const struct recording *r, struct bytes id);

#endif
