/* Puts the parts of one process together: the broker on a thread of its own, flows and gateway on
 * this one. Everything here reaches the broker as a client does. */
#include "cli/app.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "cli/dashboard.h"
#include "flow/flow.h"
#include "http/gateway.h"
#include "leat/leat.h"
#include "server/server.h"

enum { DRAIN_MS = 2000 }; /* at a clean stop: for the views to count what was published */

struct app {
    const struct app_options *options;
    struct event_base *base;
    struct server *server; /* NULL with --url */
    pthread_t server_thread;
    bool server_runs;
    struct flow *flow;
    struct flow_runner *runner;
    struct leat_client *queries; /* the dashboard's */
    struct gateway *gateway;
    struct dashboard *dashboard;
    struct event *on_int, *on_term;
    bool told_to_stop; /* by a signal */
    int status;
};

/* ---- Broker ---- */

static void *run_server(void *arg)
{
    struct app *a = arg;
    if (server_run(a->server) != 0) a->status = 1;
    event_base_loopbreak(a->base);
    return NULL;
}

static int start_server(struct app *a)
{
    char *why = NULL;
    if (a->options->url != NULL) return 0;
    a->server = server_new(a->options->settings, &why);
    if (a->server == NULL) {
        fprintf(stderr, "leat: %s\n", why);
        mem_free(why);
        return -1;
    }
    must(pthread_create(&a->server_thread, NULL, run_server, a) == 0);
    a->server_runs = true;
    return 0;
}

/* It listens already, but nothing else of ours begins before the data is there. False when that
 * will not be. */
static bool wait_for_data(struct app *a)
{
    static const struct timeval pause = {.tv_usec = 5000};
    if (a->server == NULL) return true;
    while (server_state(a->server) == SERVER_LOADING && !a->told_to_stop) {
        event_base_loopexit(a->base, &pause);
        event_base_dispatch(a->base);
    }
    if (server_state(a->server) == SERVER_READY) return true;
    const char *why = server_state(a->server) == SERVER_ENDED ? server_load_error(a->server) : NULL;
    if (why != NULL) fprintf(stderr, "leat: %s\n", why);
    return false;
}

/* One more connection, to the embedded broker or to the URL. */
static struct leat_client *connect_client(void *arg, const char *name, flow_state_fn on_state,
                                          void *state_arg)
{
    struct app *a = arg;
    const char *why = NULL;
    struct leat_options options = {
        .url = a->options->url, .name = name, .on_state = on_state, .arg = state_arg};
    if (a->server != NULL) {
        options.fd = server_connect(a->server);
        if (options.fd < 0) {
            logline(LOG_LEVEL_WARNING, "leat", "no connection to the broker: %s",
                    strerror(-options.fd));
            return NULL;
        }
    }
    struct leat_client *c = leat_client_new(a->base, &options, &why);
    if (c == NULL) logline(LOG_LEVEL_WARNING, "leat", "%s", why);
    return c;
}

/* ---- Flows ---- */

static int load_flow(struct app *a)
{
    struct buf errors = {0};
    if (a->options->flow_file == NULL) return 0;
    int result = flow_load(a->options->flow_file, NULL, &errors, &a->flow);
    if (result < 0) fprintf(stderr, "%.*s", (int)errors.len, errors.data);
    buf_fini(&errors);
    return result;
}

static int start_flow(struct app *a)
{
    if (a->flow == NULL) return 0;
    struct flow_runner_options options = {
        .base = a->base,
        .connect = connect_client,
        .arg = a,
        .simulate_after_ms = a->options->simulate_after_ms,
        .exact = a->options->url != NULL,
    };
    a->runner = flow_runner_new(a->flow, &options);
    return a->runner == NULL ? -1 : 0;
}

/* ---- Gateway ---- */

static int start_gateway(struct app *a)
{
    const struct settings *s = a->options->settings;
    char *why = NULL;
    if (s->http == 0) return 0;
    struct gateway_options options = {.bind = "127.0.0.1", .port = (int)s->http};
    a->gateway = gateway_new(a->base, &options, &why);
    if (a->gateway == NULL) {
        fprintf(stderr, "leat: %s\n", why);
        mem_free(why);
        return -1;
    }
    a->queries = connect_client(a, "leat-dashboard", NULL, NULL);
    if (a->queries == NULL) return -1;
    struct dashboard_options dashboard = {
        .base = a->base,
        .flow = a->flow,
        .runner = a->runner,
        .client = a->queries,
        .version = LEAT_VERSION,
        .engine_url = a->options->url,
    };
    a->dashboard = dashboard_new(a->gateway, &dashboard);
    return 0;
}

/* ---- Life ---- */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct app *a = arg;
    logline(LOG_LEVEL_NOTICE, "leat", "%s: stopping",
            number == SIGINT ? "interrupted" : "told to stop");
    a->told_to_stop = true;
    event_base_loopbreak(a->base);
}

static void watch_signals(struct app *a)
{
    signal(SIGPIPE, SIG_IGN);
    a->on_int = evsignal_new(a->base, SIGINT, on_signal, a);
    a->on_term = evsignal_new(a->base, SIGTERM, on_signal, a);
    event_add(a->on_int, NULL);
    event_add(a->on_term, NULL);
}

/* One line on standard output, once everything listens. */
static void announce(const struct app *a)
{
    const struct settings *s = a->options->settings;
    printf("ready");
    if (a->server != NULL && server_port(a->server) > 0)
        printf(" redis://%s:%d", s->bind, server_port(a->server));
    if (a->options->url != NULL) printf(" on %s", a->options->url);
    if (a->gateway != NULL) printf(" http://127.0.0.1:%d/", gateway_port(a->gateway));
    if (a->server != NULL)
        printf(" dir=%s sync=%s", s->dir, (const char *[]){"always", "everysec", "no"}[s->sync]);
    printf("\n");
    fflush(stdout);
}

static void stop(struct app *a)
{
    if (a->runner != NULL && a->status == 0) flow_runner_drain(a->runner, DRAIN_MS);
    flow_runner_free(a->runner);
    gateway_free(a->gateway);
    dashboard_free(a->dashboard);
    leat_client_free(a->queries);
    if (a->server_runs) {
        server_stop(a->server);
        pthread_join(a->server_thread, NULL);
    }
    server_free(a->server);
    flow_free(a->flow);
    if (a->on_int != NULL) event_free(a->on_int);
    if (a->on_term != NULL) event_free(a->on_term);
    event_base_free(a->base);
}

int app_run(const struct app_options *options)
{
    struct app a = {.options = options, .status = 0};
    logline_level((enum log_level)options->settings->loglevel);
    evthread_use_pthreads(); /* the broker's thread breaks this loop when it ends */
    a.base = event_base_new();
    must(a.base != NULL);
    watch_signals(&a);
    if (load_flow(&a) < 0 || start_server(&a) < 0) {
        a.status = 1;
    } else if (wait_for_data(&a)) {
        if (start_flow(&a) == 0 && start_gateway(&a) == 0) {
            announce(&a);
            event_base_dispatch(a.base);
        } else {
            a.status = 1;
        }
    }
    stop(&a);
    return a.status;
}
