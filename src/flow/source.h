/* A source: an endless HTTP response read for ever. It connects, reads Server-Sent Events (`sse`)
 * or lines (`lines`), notices a dead or hanging peer, and reconnects with jittered backoff and
 * `Last-Event-ID`. It knows nothing of topics: each event is handed on as it came. One thread: the
 * one that runs the event base. */
#ifndef LEAT_FLOW_SOURCE_H
#define LEAT_FLOW_SOURCE_H

#include "base/bytes.h"

struct event_base;
struct source;

enum source_type { SOURCE_SSE, SOURCE_LINES };
enum source_state { SOURCE_CONNECTING, SOURCE_CONNECTED, SOURCE_WAITING, SOURCE_SIMULATED };

struct source_options {
    enum source_type type;
    const char *url;
    const char *user_agent; /* NULL: one that names leat; Wikimedia asks for it */
    int connect_timeout_ms; /* 0: 10,000 */
    int idle_timeout_ms;    /* nothing received for so long: reconnect. 0: 60,000 */
    int backoff_min_ms;     /* 0: 500; full jitter, doubled up to backoff_max_ms */
    int backoff_max_ms;     /* 0: 30,000 */
    size_t event_bytes_max; /* 0: 1 MB; a larger one is dropped and counted as malformed */
    /* > 0: when no event has come within so many ms of the start, go on with the simulator and
     * stay with it (SOURCE_SIMULATED). */
    int simulate_after_ms;
    int simulate_rate;         /* simulated events per second; 0: 20 */
    const char *last_event_id; /* to resume from; NULL for none */
    /* One event. All bytes are borrowed until the return. `id` and `name` are empty for lines. */
    void (*on_event)(void *arg, struct bytes id, struct bytes name, struct bytes data);
    /* A change of state; `why` NULL or one sentence. May be NULL. */
    void (*on_state)(void *arg, enum source_state state, const char *why);
    void *arg;
};

/* Starts at the next turn of the loop: no callback comes before that. Options are copied. */
struct source *source_new(struct event_base *base, const struct source_options *options);
/* Not from within a callback of the source. */
void source_free(struct source *s);
/* Stops and resumes reading, so that the peer feels the back-pressure; on_event may still be called
 * for what was already read by then (at most 64 KB of it) unless called from within on_event. */
void source_pause(struct source *s);
void source_resume(struct source *s);

struct source_status {
    enum source_state state;
    const char *url;
    int64_t connected_since_ms; /* Unix time; 0 when not connected */
    int64_t last_event_ms;      /* 0: none yet */
    uint64_t events;
    uint64_t oversized;
    uint64_t reconnects;
    uint64_t errors;
    const char *last_error; /* NULL or one sentence; borrowed until the next event loop turn */
};
void source_status(const struct source *s, struct source_status *ret);

#endif
