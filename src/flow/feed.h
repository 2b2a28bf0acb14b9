/* A source at work: reads events, drops the doubled ones, publishes what the file says of each, and
 * stops reading when it gets too far ahead of the views that count its events.
 *
 * How far ahead it is, it knows from barriers: small messages on a channel of its own, published
 * behind the events over the same connection. One publisher's messages keep their order across
 * channels, so a view that has seen a barrier has seen all events before it, and says so once it
 * has written them. (Counting a view's messages would not do, as others may publish as well.)
 *
 *   source --> publisher ==events, barrier==> broker ==> view --> writer
 *     ^ pause when ahead                                              |
 *     +----------------------- feed_report(mark) <--------------------+
 *
 * One thread. */
#ifndef LEAT_FLOW_FEED_H
#define LEAT_FLOW_FEED_H

#include "flow/file.h"

struct feed;
struct json_parser;

/* A place in what a feed has published since its start. */
struct feed_mark {
    uint64_t events, bytes;
};

struct feed_options {
    const struct flow_source *spec;
    const struct flow_runner_options *runner;
    struct json_parser *json; /* shared */
    const char *run;          /* of this runner, unlike any other's */
};

/* Everything in the options outlives the feed. NULL when no connection can be begun. */
struct feed *feed_new(const struct feed_options *options);
void feed_free(struct feed *f);
const char *feed_barrier_channel(const struct feed *f);
/* The slot of one more view to wait for. Before feed_start. */
size_t feed_add_view(struct feed *f);
/* The source connects as soon as all views are ready; is held while one is not. */
void feed_start(struct feed *f);
void feed_view_ready(struct feed *f, size_t slot, bool ready);
/* A view has written all events up to the mark. Marks that were never published are ignored. */
void feed_report(struct feed *f, size_t slot, struct feed_mark mark);
bool feed_mark_parse(struct bytes text, struct feed_mark *ret);
/* Once in a while (100 ms): barriers behind the last events, and again when one was lost. */
void feed_tick(struct feed *f, int64_t now_ms);
/* Reads no more from its source. */
void feed_halt(struct feed *f);
/* All that was published is acknowledged, and written by all views. */
bool feed_is_done(const struct feed *f);
void feed_get_status(const struct feed *f, struct flow_source_status *ret);

#endif
