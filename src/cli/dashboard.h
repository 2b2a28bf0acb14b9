/* The dashboard: a flow's sources and views as HTTP routes. It reads the views' keys from the
 * broker as any client would; sources and counters come from the runner of this process.
 *
 *   /                      the page, and its files
 *   /api/status            sources, views, rate
 *   /api/members?view=     [{"key","count"}] of a time series' keys, busiest first
 *   /api/series?view=&key= bars of the total and of each key
 *   /api/scoreboard?view=&top=
 *   /api/events?view=&key= all of these as one event stream
 *   the `serve` path of each scoreboard: [{"member","score"}]
 *   /metrics /healthz /readyz
 *
 * One thread: the one that runs the event base. */
#ifndef LEAT_CLI_DASHBOARD_H
#define LEAT_CLI_DASHBOARD_H

struct dashboard;
struct event_base;
struct flow;
struct flow_runner;
struct gateway;
struct leat_client;

struct dashboard_options {
    struct event_base *base;
    const struct flow *flow; /* NULL: no flow; outlives the dashboard */
    const struct flow_runner
        *runner;                /* NULL: none here; until dashboard_set_runner says otherwise */
    struct leat_client *client; /* for queries; not owned */
    const char *version;        /* borrowed */
    const char *engine_url;     /* NULL: embedded; a password in it is not shown */
};

/* Adds its routes to `g`. */
struct dashboard *dashboard_new(struct gateway *g, const struct dashboard_options *options);
/* The runner came later, or goes (NULL) before the dashboard does. */
void dashboard_set_runner(struct dashboard *d, const struct flow_runner *runner);
/* After gateway_free, as the gateway's routes point here. The client may be freed before or after:
 * replies that are still to come find nobody and are dropped. NULL is fine. */
void dashboard_free(struct dashboard *d);

#endif
