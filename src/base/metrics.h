/* The registry of metrics: counters, gauges and histograms that any thread may update without a
 * lock, and one writer of Prometheus' text format (version 0.0.4).
 *
 * A metric is a static struct in the module that owns it; it registers itself on first use of
 * metrics_register() and lives as long as the process. Names are `leat_<module>_<what>_<unit>`,
 * counters end in `_total`, durations are in seconds when exposed. Labels, where there are any, are
 * fixed text (`policy="always"`): no metric has unbounded labels. */
#ifndef LEAT_BASE_METRICS_H
#define LEAT_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM_US };

enum { METRIC_BUCKETS = 24 }; /* powers of two of microseconds: 1 us .. 8 s, then +Inf */

struct metric {
    const char *name;
    const char *labels; /* NULL, or `key="value",...` */
    const char *help;
    enum metric_kind kind;
    atomic_int_fast64_t value; /* counter, gauge; a histogram's sum in microseconds */
    atomic_int_fast64_t buckets[METRIC_BUCKETS + 1]; /* the last: what is above all bounds */
    int64_t (*read)(void); /* when not NULL, the value at exposition; registers nothing */
    struct metric *next;
};

/* Adds `m` to what is exposed; a second call for the same metric does nothing. */
void metrics_register(struct metric *m);

static inline void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}
static inline void metric_set(struct metric *m, int64_t n)
{
    atomic_store_explicit(&m->value, n, memory_order_relaxed);
}
static inline int64_t metric_get(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}
void metric_observe_us(struct metric *m, int64_t us);
/* The upper bound, in microseconds, of the bucket in which the q-quantile lies (0 when empty). */
int64_t metric_quantile_us(const struct metric *m, double q);

/* Appends all registered metrics, HELP and TYPE once per name. */
void metrics_expose(struct buf *out);

#endif
