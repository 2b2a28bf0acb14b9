/* The registry of metrics: counters, gauges and histograms that any thread may update without a
 * lock, and one writer of Prometheus' text format (version 0.0.4).
 *
 * A metric is a static struct in the module that owns it; it registers itself on first use of
 * metrics_register() and lives as long as the process. Names are `leat_<module>_<what>_<unit>`,
 * counters end in `_total`, durations are in seconds when exposed. Labels, where there are any, are
 * fixed text (`policy="always"`), or name the one thing that a gauge is about at the moment
 * (metric_set_about): no metric has unbounded labels, or more than one series for each struct. */
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
    char *about;           /* metric_set_about()'s, in place of `labels`; owned */
    struct metric *next;
};

/* To begin one with. */
#define COUNTER(metric_name, text)                                                                 \
    {                                                                                              \
        .name = metric_name, .help = text, .kind = METRIC_COUNTER                                  \
    }
#define GAUGE(metric_name, text)                                                                   \
    {                                                                                              \
        .name = metric_name, .help = text, .kind = METRIC_GAUGE                                    \
    }

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
/* Sets a gauge and what it is about: `labels` as metrics_put_label() makes them; copied; empty:
 * about nothing. One thread at a time; waits for an exposition only when the labels are others. */
void metric_set_about(struct metric *m, struct bytes labels, int64_t n);
/* Appends `key="value"`, behind a comma where something is there already. A value of any bytes:
 * what the format wants escaped is, what is no printable ASCII stands as \xNN, and of a long one
 * only the first METRIC_LABEL_MAX bytes. */
enum { METRIC_LABEL_MAX = 128 };
void metrics_put_label(struct buf *labels, const char *key, struct bytes value);
void metric_observe_us(struct metric *m, int64_t us);
/* The upper bound, in microseconds, of the bucket in which the q-quantile lies (0 when empty). */
int64_t metric_quantile_us(const struct metric *m, double q);

/* Appends all registered metrics, HELP and TYPE once per name. */
void metrics_expose(struct buf *out);

#endif
