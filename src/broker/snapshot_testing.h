/* For tests of snapshots: a bench and a peer whose clock ticks whenever it is looked at, so that a
 * walk takes many slices; and starts from what is on disk at any moment. What differs is shown with
 * the commands that led there, and fails the test. */
#ifndef LEAT_BROKER_SNAPSHOT_TESTING_H
#define LEAT_BROKER_SNAPSHOT_TESTING_H

#include "base/rand.h"
#include "broker/testing.h"

struct world {
    struct bench bench;
    struct peer peer;
    struct rng rng;
    struct buf log; /* the commands */
};

/* What each look at the clock takes: the more, the fewer keys are put in a slice. */
extern int64_t world_tick_us;

/* Its settings may be changed before it is opened: no snapshot begins by itself. */
void world_init(struct world *w, uint64_t seed);
void world_open(struct world *w);
void world_close(struct world *w);
void world_fini(struct world *w); /* once it is closed: the directory goes */

/* A number below n, from the seed. */
unsigned world_below(struct world *w, unsigned n);
/* Runs a command, and waits for the disk if it does. */
__attribute__((format(printf, 2, 3))) struct bytes world_run(struct world *w, const char *format,
                                                             ...);
/* One turn, and what is done in the background behind it. */
void world_step(struct world *w);
/* Until no snapshot is under way; the last one must be good. */
void world_finish_snapshot(struct world *w);

/* As after kill -9 at this moment: a copy of the directory is opened, its newest snapshot whole.
 * The same must be in it. */
void world_check_crash(struct world *w);
/* Closes and opens it; the same must be in it. */
void world_check_restart(struct world *w);
/* Spoils a snapshot's file. */
void world_damage_snapshot(struct world *w, uint64_t position);

#endif
