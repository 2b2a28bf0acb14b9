/* Latencies by the place of their highest bit and the seven bits below it. */
#include "load/histogram.h"

static unsigned place(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS) return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 7;
    unsigned at = (shift + 1) * HISTOGRAM_STEPS + (unsigned)(ns >> shift) - HISTOGRAM_STEPS;
    unsigned last = HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS - 1;
    return at < last ? at : last;
}

/* The largest value that has this place. */
static int64_t upper(unsigned at)
{
    if (at < HISTOGRAM_STEPS) return at;
    unsigned shift = at / HISTOGRAM_STEPS - 1;
    uint64_t from = HISTOGRAM_STEPS + at % HISTOGRAM_STEPS;
    return (int64_t)(((from + 1) << shift) - 1);
}

void histogram_add(struct histogram *h, int64_t ns, uint64_t times)
{
    if (ns < 0) ns = 0;
    h->counts[place((uint64_t)ns)] += times;
    h->total += times;
    if (ns > h->max_ns) h->max_ns = ns;
}

double histogram_us(const struct histogram *h, double part)
{
    if (h->total == 0) return 0;
    double wanted = part * (double)h->total;
    uint64_t seen = 0;
    for (unsigned at = 0; at < HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS; at++) {
        seen += h->counts[at];
        if (seen == 0 || (double)seen < wanted) continue;
        int64_t ns = upper(at);
        return (double)(ns < h->max_ns ? ns : h->max_ns) / 1000;
    }
    return (double)h->max_ns / 1000;
}
