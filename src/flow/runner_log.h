/* What a runner says in the log of what goes wrong: news only, and of each source and view at most
 * one line of a kind in ten seconds, however much it is. */
#ifndef LEAT_FLOW_RUNNER_LOG_H
#define LEAT_FLOW_RUNNER_LOG_H

#include "flow/flow.h"

/* What was last said of one source or view. */
struct runner_log {
    int64_t said_ms;
    uint64_t malformed, errors;
    bool away; /* a view not subscribed, a source without its views */
    bool begun;
};

void runner_log_source(struct runner_log *log, const struct flow_source_status *s, int64_t now_ms);
void runner_log_view(struct runner_log *log, const struct flow_view_status *v, int64_t now_ms);

#endif
