/* Not for secrets: the state can be told from a few outputs. */
#include "base/rand.h"

#include <sys/random.h>

#include "base/must.h"

/* Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2018); seeded by
 * splitmix64 as they advise. */
void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

void rng_seed_random(struct rng *r)
{
    uint64_t seed;
    must(getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed);
    rng_seed(r, seed);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    must(n > 0);
    uint64_t floor = -n % n; /* reject the short last stripe */
    for (;;) {
        uint64_t x = rng_next(r);
        if (x >= floor) return x % n;
    }
}

double rng_unit(struct rng *r)
{
    return (double)(rng_next(r) >> 11) * 0x1.0p-53;
}
