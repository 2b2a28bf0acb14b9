/* Latencies in 128 steps per doubling: any value from a nanosecond to hours is kept to 0.8 %, in a
 * fixed 40 KB. */
#ifndef LEAT_BENCH_LOAD_HISTOGRAM_H
#define LEAT_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 128, HISTOGRAM_DOUBLINGS = 40 };

struct histogram { /* all zero: empty */
    uint64_t counts[HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS];
    uint64_t total;
    int64_t max_ns;
};

/* `times` values of ns; a negative one counts as zero. */
void histogram_add(struct histogram *h, int64_t ns, uint64_t times);
/* The smallest value that is not below the share `part` (0 to 1) of all, in microseconds; 0 when
 * empty. Never above the largest value seen. */
double histogram_us(const struct histogram *h, double part);

#endif
