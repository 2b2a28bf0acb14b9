/* A world in memory for the runner's tests: a broker, connections to it whose every step is taken
 * by the test (and which can break at any of them), and sources fed by hand (source_fake.h). It
 * stands in for libleat, so that the order of everything is the test's, by a seeded choice. */
#ifndef LEAT_FLOW_RUNNER_FAKE_H
#define LEAT_FLOW_RUNNER_FAKE_H

#include "base/bytes.h"
#include "base/rand.h"
#include "flow/source_fake.h"

/* Empties the world. */
void fake_init(struct event_base *base, uint64_t seed);
void fake_fini(void);
/* For struct flow_runner_options. */
struct leat_client *fake_connect(void *arg, const char *name, flow_state_fn on_state,
                                 void *state_arg);
int64_t fake_now_ms(void);
void fake_set_now_ms(int64_t now_ms);

/* Which connections may break, by the beginning of their names ("" for all, NULL for none), and how
 * often: one step in `every`. What a broken connection had sent may still be executed later. */
void fake_break(const char *name_prefix, unsigned every);
/* New connections are refused (and nothing moves on them) while this is set. */
void fake_set_down(bool down);
/* Commands of this name are answered with this error; NULL for none. */
void fake_refuse(const char *command, const char *error);
/* Takes up to n random steps: a command arrives, a reply or a message arrives, a connection breaks
 * or is made. Then lets the runner's own events happen. */
void fake_run(size_t steps);
/* Steps until nothing moves any more, or `most` steps are over; true in the first case. */
bool fake_settle(size_t most);

/* ---- The broker's data ---- */

/* Value of a field of a hash, score of a member, 1 for a member of a set; -1: not there. */
int64_t fake_get(const char *key, const char *field);
void fake_put(const char *key, const char *field, int64_t value);
/* The sum of all values under a key, and how many there are. */
int64_t fake_sum(const char *key, size_t *ret_count);
size_t fake_keys(void);
/* Publishes as a stranger; returns how many hear it. */
size_t fake_publish(const char *channel, const char *message);
/* Messages published by anyone on channels beginning with this. */
uint64_t fake_published(const char *channel_prefix);

#endif
