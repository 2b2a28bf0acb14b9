/* `leat simulate`: the built-in simulator as a feed of its own, or on standard output.
 *
 * One clock makes the events, all clients get the same ones: it is live, as the feed it stands in
 * for. A client that reads too slowly misses events; nothing waits for it. */
#include <argp.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "base/rand.h"
#include "cli/cli.h"
#include "cli/feed_server.h"
#include "flow/simulate.h"

struct simulate {
    struct event_base *base;
    struct simulator *simulator;
    struct event *timer;
    struct viewer *viewers;
    struct buf wire; /* the event just made, as it is sent */
    int64_t next_us; /* monotonic; when the next event is due */
    /* Options. */
    const char *what, *bind;
    int port, rate;
    uint64_t seed, count; /* 0: drawn; endless */
    enum feed_format format;
    bool to_stdout, max;
};

struct viewer {
    struct simulate *simulate;
    struct feed_client *client;
    struct viewer *next, **link;
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void make_event(struct simulate *s)
{
    struct simulator_event e;
    simulator_next(s->simulator, clock_us(CLOCK_REALTIME) / 1000, &e);
    s->wire.len = 0;
    if (s->format == FEED_SSE) {
        buf_printf(&s->wire, "event: message\nid: %.*s\ndata: ", (int)e.id.len, e.id.data);
    }
    buf_put(&s->wire, e.data);
    buf_append(&s->wire, "\n\n", s->format == FEED_SSE ? 2 : 1);
    s->next_us += s->max ? 0 : simulator_gap_us(s->simulator);
}

/* -- serving ----------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    enum { LATE_MAX_US = 1000000 };
    struct simulate *s = arg;
    int64_t now = clock_us(CLOCK_MONOTONIC);
    /* After the machine slept there is nothing to catch up with. */
    if (now - s->next_us > LATE_MAX_US) s->next_us = now;
    while (s->next_us <= now) {
        make_event(s);
        for (struct viewer *v = s->viewers; v != NULL; v = v->next) {
            if (feed_client_has_room(v->client)) feed_client_send(v->client, buf_bytes(&s->wire));
        }
    }
    int64_t wait = s->next_us - now;
    struct timeval tv = {wait / 1000000, wait % 1000000};
    evtimer_add(s->timer, &tv);
}

static void *on_open(void *arg, struct feed_client *client, struct bytes last_event_id)
{
    struct simulate *s = arg;
    struct viewer *v = mem_calloc(sizeof *v);
    *v = (struct viewer){s, client, s->viewers, &s->viewers};
    if (v->next != NULL) v->next->link = &v->next;
    s->viewers = v;
    if (s->format == FEED_SSE) feed_client_send(client, BYTES(":ok\n\n"));
    return v;
}

static void on_room(void *state) {}

static void on_close(void *state)
{
    struct viewer *v = state;
    *v->link = v->next;
    if (v->next != NULL) v->next->link = v->link;
    mem_free(v);
}

static int serve(struct simulate *s)
{
    struct buf error = {0};
    struct feed_server_options o = {
        .bind = s->bind,
        .port = s->port,
        .format = s->format,
        .heartbeat_ms = 5000,
        .on_open = on_open,
        .on_room = on_room,
        .on_close = on_close,
        .arg = s,
    };
    s->base = event_base_new();
    s->timer = evtimer_new(s->base, on_timer, s);
    must(s->base != NULL && s->timer != NULL);
    struct feed_server *server = feed_server_new(s->base, &o, &error);
    int rc = -1;
    if (server != NULL) {
        on_timer(-1, 0, s);
        rc = feed_server_run(server);
    } else {
        fprintf(stderr, "leat simulate: %.*s\n", (int)error.len, error.data);
    }
    feed_server_free(server);
    event_free(s->timer);
    event_base_free(s->base);
    buf_fini(&error);
    return rc;
}

/* -- printing ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a sleep has to end */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static void sleep_until(int64_t us)
{
    struct timespec ts = {us / 1000000, us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int print(struct simulate *s)
{
    catch_signals();
    for (uint64_t i = 0; !stopped && (s->count == 0 || i < s->count); i++) {
        if (!s->max && s->next_us > clock_us(CLOCK_MONOTONIC)) {
            fflush(stdout);
            sleep_until(s->next_us);
            if (stopped) break;
        }
        make_event(s);
        if (fwrite(s->wire.data, 1, s->wire.len, stdout) != s->wire.len) break;
    }
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    if (errno != EPIPE && errno != EINTR) {
        fprintf(stderr, "leat simulate: cannot write: %s\n", strerror(errno));
    }
    return -1;
}

/* -- the command line -------------------------------------------------------------------------- */

enum {
    OPT_AS = 'a',
    OPT_BIND = 'b',
    OPT_COUNT = 'n',
    OPT_MAX = 'm',
    OPT_PORT = 'p',
    OPT_RATE = 'r',
    OPT_SEED = 's',
    OPT_STDOUT = 'o',
};

static const struct argp_option options[] = {
    {"as", OPT_AS, "sse|ndjson", 0, "Server-Sent Events (default) or JSON lines", 1},
    {"rate", OPT_RATE, "R", 0, "Events per second on average, 1 to 100000; default 20", 1},
    {"seed", OPT_SEED, "N", 0, "For the same events again; default: others each time", 1},
    {"port", OPT_PORT, "N", 0, "Listen on this port; default 0, any free one", 2},
    {"bind", OPT_BIND, "ADDRESS", 0, "Listen on this IP address; default 127.0.0.1", 2},
    {"stdout", OPT_STDOUT, 0, 0, "Print the events instead of serving them", 3},
    {"count", OPT_COUNT, "N", 0, "With --stdout: end after N events", 3},
    {"max", OPT_MAX, 0, 0, "With --stdout: without pauses", 3},
    {0},
};

static const char doc[] =
    "Serves simulated events over HTTP, for whoever cannot reach the real feed: `wiki` has the "
    "shape of Wikimedia's recent changes. Every event says that it is simulated."
    "\v"
    "When ready, one line `ready URL` goes to standard output. Any path of the URL serves the "
    "feed. It is live: a client gets what happens from now on.\n\n"
    "Examples:\n"
    "  leat simulate wiki --port 8001\n"
    "      and in another terminal: curl -N http://127.0.0.1:8001/\n"
    "  LEAT_SOURCE_URL=http://127.0.0.1:8001/ leat run examples/wikipedia.yaml\n"
    "  leat simulate wiki --stdout --max --count 100000 --seed 1 --as ndjson\n"
    "      a hundred thousand events, the same each time but for their times\n";

static uint64_t parse_count(struct argp_state *state, const char *text, const char *name,
                            uint64_t min, uint64_t max)
{
    uint64_t n;
    if (!num_parse_u64(bytes_of(text), &n) || n < min || n > max) {
        argp_error(state, "--%s takes a whole number from %llu to %llu, not `%s'", name,
                   (unsigned long long)min, (unsigned long long)max, text);
    }
    return n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct simulate *s = state->input;
    switch (key) {
    case OPT_AS:
        if (strcmp(arg, "sse") != 0 && strcmp(arg, "ndjson") != 0) {
            argp_error(state, "--as takes sse or ndjson, not `%s'", arg);
        }
        s->format = strcmp(arg, "sse") == 0 ? FEED_SSE : FEED_NDJSON;
        return 0;
    case OPT_RATE:
        s->rate = (int)parse_count(state, arg, "rate", 1, 100000);
        return 0;
    case OPT_SEED:
        s->seed = parse_count(state, arg, "seed", 1, UINT64_MAX);
        return 0;
    case OPT_PORT:
        s->port = (int)parse_count(state, arg, "port", 0, 65535);
        return 0;
    case OPT_BIND:
        s->bind = arg;
        return 0;
    case OPT_STDOUT:
        s->to_stdout = true;
        return 0;
    case OPT_COUNT:
        s->count = parse_count(state, arg, "count", 1, INT64_MAX);
        return 0;
    case OPT_MAX:
        s->max = true;
        return 0;
    case ARGP_KEY_ARG:
        if (s->what != NULL || strcmp(arg, "wiki") != 0) {
            argp_error(state, "`wiki' is what can be simulated, not `%s'", arg);
        }
        s->what = arg;
        return 0;
    case ARGP_KEY_END:
        if (s->what == NULL) argp_error(state, "simulate what? Say `wiki'");
        if (!s->to_stdout && (s->max || s->count > 0)) {
            argp_error(state, "--max and --count go with --stdout");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cmd_simulate(int argc, char **argv)
{
    static const struct argp argp = {options, parse_option, "wiki", doc, 0, 0, 0};
    struct simulate s = {.rate = 20};
    argp_parse(&argp, argc, argv, 0, NULL, &s);
    if (s.seed == 0) {
        struct rng rng;
        rng_seed_random(&rng);
        s.seed = rng_next(&rng);
    }
    s.simulator = simulator_new(s.seed, s.rate);
    s.next_us = clock_us(CLOCK_MONOTONIC);
    int rc = s.to_stdout ? print(&s) : serve(&s);
    simulator_free(s.simulator);
    buf_fini(&s.wire);
    return rc == 0 ? 0 : 1;
}
