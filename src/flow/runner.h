/* What the parts of the runner share. */
#ifndef LEAT_FLOW_RUNNER_H
#define LEAT_FLOW_RUNNER_H

#include "base/metrics.h"
#include "flow/flow.h"

/* Unix time by the runner's clock. */
int64_t flow_now_ms(const struct flow_runner_options *options);

/* Sums over all feeds and views; the gauges are those of the last tick. */
struct flow_metrics {
    struct metric events, skipped, malformed, duplicates, published, republished, publish_errors;
    struct metric view_events, view_malformed, view_errors;
    struct metric ahead, held_back;
};
extern struct flow_metrics flow_metrics;

#endif
