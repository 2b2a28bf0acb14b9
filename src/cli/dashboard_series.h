/* Where the bars of a time series lie: in time, and in the broker's keys. */
#ifndef LEAT_CLI_DASHBOARD_SERIES_H
#define LEAT_CLI_DASHBOARD_SERIES_H

#include "base/buf.h"

struct flow_view;

struct series_span {
    int64_t from, to; /* start of the first and of the last (still running) bucket, Unix seconds */
    int64_t interval;
    size_t buckets;
};

void series_span(const struct flow_view *view, int64_t now_s, struct series_span *ret);
/* Appends the key of one value's hash. */
void series_key(const struct flow_view *view, struct bytes value, struct buf *out);

#endif
