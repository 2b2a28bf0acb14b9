/* The built-in simulator: events of the shape of Wikimedia's recent changes, for whoever cannot
 * reach the real feed. Every one says so: the field `simulated` is true, and titles and users are
 * named "Simulated ...". The same seed, rate and times give the same events. One thread. */
#ifndef LEAT_FLOW_SIMULATE_H
#define LEAT_FLOW_SIMULATE_H

#include "base/bytes.h"

struct simulator;

/* `rate`: events per second on average, 1 to 100,000 (outside it is brought inside). */
struct simulator *simulator_new(uint64_t seed, int rate);
void simulator_free(struct simulator *s);

/* How long after the event before it the next one comes, in microseconds: arrivals are random, and
 * the rate itself drifts slowly between a half and one and a half of the average. */
int64_t simulator_gap_us(struct simulator *s);

struct simulator_event {
    struct bytes id;   /* as the feed's SSE ids: a JSON array of topics and times */
    struct bytes data; /* one JSON object without line ends */
};
/* The next event, as of `now_ms` (Unix time). Borrowed until the next call. */
void simulator_next(struct simulator *s, int64_t now_ms, struct simulator_event *ret);

/* The domains the events are of, for lists: NULL past the end. */
const char *simulator_domain(size_t index);

#endif
