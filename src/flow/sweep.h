/* Removes a time series' old buckets: from the hash of the total, and from that of each member.
 * One command at a time, a few hundred fields each, so it never stalls the connection it shares;
 * what a broken connection interrupts the next round finds again. One thread. */
#ifndef LEAT_FLOW_SWEEP_H
#define LEAT_FLOW_SWEEP_H

#include "base/buf.h"

struct flow_view;
struct leat_client;
struct sweep;

/* on_error is told each error reply. All of it outlives the sweep. */
struct sweep *sweep_new(const struct flow_view *view, struct leat_client *client,
                        void (*on_error)(void *arg, struct bytes text), void *arg);
void sweep_free(struct sweep *s);
/* Starts a round that removes the fields that are numbers below `cutoff`; when one is under way it
 * goes on instead, and false is returned. */
bool sweep_start(struct sweep *s, int64_t cutoff);
/* Fields removed so far. */
uint64_t sweep_removed(const struct sweep *s);

#endif
