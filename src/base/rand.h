/* Randomness for picks that need no secrecy (SPOP, RANDOMKEY, jitter): xoshiro256**, one state per
 * owner, so that a test can seed it. */
#ifndef LEAT_BASE_RAND_H
#define LEAT_BASE_RAND_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
/* Seeds from the kernel. */
void rng_seed_random(struct rng *r);
uint64_t rng_next(struct rng *r);
/* Uniform in [0, n), without modulo bias; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1). */
double rng_unit(struct rng *r);

#endif
