/* What `leat serve` and `leat run` both are: a broker (embedded, on a thread of its own) or the URL
 * of another one, flows, and the HTTP gateway with the dashboard on this thread. */
#ifndef LEAT_CLI_APP_H
#define LEAT_CLI_APP_H

#include "broker/settings.h"

struct app_options {
    const struct settings *settings;
    const char *flow_file; /* NULL: no flows */
    const char *url;       /* NULL: the embedded broker */
    int simulate_after_ms; /* 0: never */
};

/* Runs until SIGTERM or SIGINT; the exit status. Errors are on standard error. */
int app_run(const struct app_options *options);

#endif
