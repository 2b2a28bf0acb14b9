/* `leat replay`: serves a recording as the feed it was recorded from, and misbehaves on demand.
 *
 * Each client has a player: its own place in the recording and its own clock. A player sends what
 * is due as long as its client has room; a timer wakes it when the next event is due, the server
 * when there is room again. */
#include <argp.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "base/rand.h"
#include "cli/cli.h"
#include "cli/feed_server.h"
#include "cli/replay_recording.h"

enum { LOOP_PAUSE_MS = 1000 };

struct replay {
    struct event_base *base;
    struct recording recording;
    struct rng rng;
    /* Options. */
    const char *path, *bind;
    int port, heartbeat_ms;
    enum feed_format format;
    double speed; /* 0: as fast as clients read */
    double duplicate;
    uint64_t drop_after, hang_after, seed; /* 0: never */
    bool loop, close_at_end, split, quiet;
};

struct player {
    struct replay *replay;
    struct feed_client *client;
    struct event *timer;
    size_t at;       /* the next event */
    size_t began_at; /* the event this connection began with */
    uint64_t sent;   /* over this connection */
    double start_ms; /* monotonic; when the event with due_ms 0 was or would have been due */
    bool over;       /* nothing more is to be sent */
};

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void say(const struct player *p, const char *what)
{
    if (p->replay->quiet) return;
    logline(LOG_LEVEL_NOTICE, "replay", "%s at event %zu of %zu, %llu sent over this connection",
            what, p->at, p->replay->recording.count, (unsigned long long)p->sent);
}

/* When the next event is due, for a client that began with it being due at once. */
static double due_in_ms(const struct player *p)
{
    const struct replay *r = p->replay;
    if (r->speed == 0) return 0;
    return p->start_ms + (double)r->recording.events[p->at].due_ms / r->speed - now_ms();
}

/* Makes the next event due in `ms`. */
static void set_clock(struct player *p, double ms)
{
    const struct replay *r = p->replay;
    double due = r->speed > 0 ? (double)r->recording.events[p->at].due_ms / r->speed : 0;
    p->start_ms = now_ms() + ms - due;
}

/* A reader that resumes by id gets all events of that id again. If fewer of them came before the
 * drop it would never get further, so a drop waits for another id than the first. */
static bool may_drop(const struct player *p)
{
    const struct recording *r = &p->replay->recording;
    struct bytes id = recording_id(r, p->at - 1);
    return id.len == 0 || !bytes_eq(id, recording_id(r, p->began_at));
}

static void send_next(struct player *p)
{
    struct replay *r = p->replay;
    struct bytes event = recording_bytes(&r->recording, p->at++);
    feed_client_send(p->client, event);
    p->sent++;
    if (r->duplicate > 0 && rng_unit(&r->rng) < r->duplicate) {
        feed_client_send(p->client, event);
        p->sent++;
    }
    if (r->drop_after > 0 && p->sent >= r->drop_after && may_drop(p)) {
        say(p, "drops the connection");
        feed_client_drop(p->client);
        p->over = true;
    } else if (r->hang_after > 0 && p->sent >= r->hang_after) {
        say(p, "hangs");
        feed_client_hang(p->client);
        p->over = true;
    }
}

/* Behind the last event. The tail, an event cut short, would spoil what comes behind it, so that it
 * is sent only where nothing does. */
static void finish(struct player *p)
{
    struct replay *r = p->replay;
    if (r->loop) {
        p->at = p->began_at = 0;
        set_clock(p, LOOP_PAUSE_MS);
        return;
    }
    feed_client_send(p->client, recording_tail(&r->recording));
    say(p, "the recording is over");
    p->over = true;
    if (r->close_at_end) feed_client_end(p->client);
}

static void pump(struct player *p)
{
    while (!p->over && feed_client_has_room(p->client)) {
        if (p->at == p->replay->recording.count) {
            finish(p);
            continue;
        }
        double wait_ms = due_in_ms(p);
        if (wait_ms > 0) {
            struct timeval tv = {(time_t)(wait_ms / 1000), 0};
            tv.tv_usec = (suseconds_t)((wait_ms - (double)tv.tv_sec * 1000) * 1000);
            evtimer_add(p->timer, &tv);
            return;
        }
        send_next(p);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    pump(arg);
}

static void *on_open(void *arg, struct feed_client *client, struct bytes last_event_id)
{
    struct replay *r = arg;
    struct player *p = mem_calloc(sizeof *p);
    p->replay = r;
    p->client = client;
    p->timer = evtimer_new(r->base, on_timer, p);
    must(p->timer != NULL);
    p->at = p->began_at = recording_find(&r->recording, last_event_id);
    set_clock(p, 0);
    say(p, last_event_id.len > 0 ? "a client resumes" : "a client begins");
    if (r->format == FEED_SSE && p->at > 0) feed_client_send(client, BYTES(":ok\n\n"));
    pump(p);
    return p;
}

static void on_room(void *state)
{
    pump(state);
}

static void on_close(void *state)
{
    struct player *p = state;
    if (!p->over) say(p, "a client leaves");
    event_free(p->timer);
    mem_free(p);
}

/* -- the command line -------------------------------------------------------------------------- */

enum {
    OPT_AS = 'a',
    OPT_PORT = 'p',
    OPT_BIND = 'b',
    OPT_SPEED = 's',
    OPT_MAX = 'm',
    OPT_LOOP = 'l',
    OPT_QUIET = 'q',
    OPT_DROP_AFTER = 256,
    OPT_HANG_AFTER,
    OPT_DUPLICATE,
    OPT_SPLIT,
    OPT_CLOSE_AT_END,
    OPT_HEARTBEAT,
    OPT_SEED,
};

static const struct argp_option options[] = {
    {0, 0, 0, 0, "What is served, and where:", 1},
    {"as", OPT_AS, "sse|ndjson", 0, "Serve it as Server-Sent Events (default) or as JSON lines", 1},
    {"port", OPT_PORT, "N", 0, "Listen on this port; default 0, any free one", 1},
    {"bind", OPT_BIND, "ADDRESS", 0, "Listen on this IP address; default 127.0.0.1", 1},
    {0, 0, 0, 0, "How fast:", 2},
    {"speed", OPT_SPEED, "X", 0, "X times as fast as it was recorded; default 1", 2},
    {"max", OPT_MAX, 0, 0, "As fast as each client reads", 2},
    {"loop", OPT_LOOP, 0, 0, "Begin again at the end", 2},
    {"close-at-end", OPT_CLOSE_AT_END, 0, 0,
     "End the response at the end; default: stay silent but for heartbeats", 2},
    {"heartbeat", OPT_HEARTBEAT, "SECONDS", 0,
     "A heartbeat after so long without an event; default 5, 0 for none", 2},
    {0, 0, 0, 0, "What goes wrong:", 3},
    {"drop-after", OPT_DROP_AFTER, "N", 0,
     "Drop each connection after N events (not before a second event id)", 3},
    {"hang-after", OPT_HANG_AFTER, "N", 0, "Send nothing more after N events", 3},
    {"duplicate", OPT_DUPLICATE, "P", 0, "Send an event twice, with probability P", 3},
    {"split", OPT_SPLIT, 0, 0, "Send every byte by itself", 3},
    {"seed", OPT_SEED, "N", 0, "For the same chances again; default 1", 3},
    {0, 0, 0, 0, "Else:", 4},
    {"quiet", OPT_QUIET, 0, 0, "Do not log clients on standard error", 4},
    {0},
};

static const char doc[] =
    "Serves a recorded feed over HTTP as the feed it was recorded from: at its own speed, to any "
    "number of clients, each from the beginning or from after its Last-Event-ID. For tests, "
    "demonstrations, and work without a network."
    "\v"
    "FILE holds Server-Sent Events or lines of JSON (which of them is recognised), plain or as "
    ".xz; - is standard input. Any path of the URL serves it. When ready, one line `ready URL` "
    "goes to standard output.\n\n"
    "Events of a Server-Sent Events recording go out byte for byte. Many events may share an id; "
    "a client that resumes gets all events of the id it names again, as from the real feed. The "
    "speed follows the times in the ids, or the fields timestamp_ms, meta.dt or timestamp of the "
    "events; a gap of more than 60 s is cut to that.\n\n"
    "Examples:\n"
    "  leat replay recentchange.sse.xz --port 8001\n"
    "      and in another terminal: curl -N http://127.0.0.1:8001/\n"
    "  leat replay recentchange.sse.xz --port 8001 --speed 10 --loop\n"
    "      LEAT_SOURCE_URL=http://127.0.0.1:8001/ leat run examples/wikipedia.yaml\n"
    "  leat replay tweets.ndjson --as ndjson --port 8002 --max\n"
    "  leat replay recentchange.sse.xz --drop-after 200 --duplicate 0.05\n"
    "      a feed to test a reader with\n";

static uint64_t parse_count(struct argp_state *state, const char *text, const char *name,
                            uint64_t max)
{
    uint64_t n;
    if (!num_parse_u64(bytes_of(text), &n) || n > max) {
        argp_error(state, "--%s takes a whole number up to %llu, not `%s'", name,
                   (unsigned long long)max, text);
    }
    return n;
}

static double parse_number(struct argp_state *state, const char *text, const char *name, double max)
{
    double d;
    if (!num_parse_double(bytes_of(text), &d) || d <= 0 || d > max) {
        argp_error(state, "--%s takes a number above 0 and up to %g, not `%s'", name, max, text);
    }
    return d;
}

static enum feed_format parse_format(struct argp_state *state, const char *text)
{
    bool sse = strcmp(text, "sse") == 0;
    if (!sse && strcmp(text, "ndjson") != 0) {
        argp_error(state, "--as takes sse or ndjson, not `%s'", text);
    }
    return sse ? FEED_SSE : FEED_NDJSON;
}

static error_t parse_misbehaviour(int key, char *arg, struct argp_state *state)
{
    struct replay *r = state->input;
    switch (key) {
    case OPT_DROP_AFTER:
        r->drop_after = parse_count(state, arg, "drop-after", INT64_MAX);
        return 0;
    case OPT_HANG_AFTER:
        r->hang_after = parse_count(state, arg, "hang-after", INT64_MAX);
        return 0;
    case OPT_DUPLICATE:
        r->duplicate = parse_number(state, arg, "duplicate", 1);
        return 0;
    case OPT_SPLIT:
        r->split = true;
        return 0;
    case OPT_SEED:
        r->seed = parse_count(state, arg, "seed", UINT64_MAX);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct replay *r = state->input;
    switch (key) {
    case OPT_AS:
        r->format = parse_format(state, arg);
        return 0;
    case OPT_PORT:
        r->port = (int)parse_count(state, arg, "port", 65535);
        return 0;
    case OPT_BIND:
        r->bind = arg;
        return 0;
    case OPT_SPEED:
        r->speed = parse_number(state, arg, "speed", 1e6);
        return 0;
    case OPT_MAX:
        r->speed = 0;
        return 0;
    case OPT_LOOP:
        r->loop = true;
        return 0;
    case OPT_CLOSE_AT_END:
        r->close_at_end = true;
        return 0;
    case OPT_HEARTBEAT:
        r->heartbeat_ms = 1000 * (int)parse_count(state, arg, "heartbeat", 86400);
        return 0;
    case OPT_QUIET:
        r->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        if (r->path != NULL) argp_error(state, "one FILE at a time, not also `%s'", arg);
        r->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (r->path == NULL) argp_error(state, "which FILE?");
        return 0;
    default:
        return parse_misbehaviour(key, arg, state);
    }
}

static int serve(struct replay *r, struct buf *error)
{
    struct feed_server_options o = {
        .bind = r->bind,
        .port = r->port,
        .format = r->format,
        .heartbeat_ms = r->heartbeat_ms,
        .split = r->split,
        .on_open = on_open,
        .on_room = on_room,
        .on_close = on_close,
        .arg = r,
    };
    r->base = event_base_new();
    must(r->base != NULL);
    struct feed_server *server = feed_server_new(r->base, &o, error);
    int rc = server != NULL ? feed_server_run(server) : -1;
    feed_server_free(server);
    event_base_free(r->base);
    return rc;
}

int cmd_replay(int argc, char **argv)
{
    static const struct argp argp = {options, parse_option, "FILE", doc, 0, 0, 0};
    struct replay r = {.speed = 1, .seed = 1, .heartbeat_ms = 5000};
    struct buf error = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &r);
    rng_seed(&r.rng, r.seed);
    int rc = recording_load(r.path, r.format, &r.recording, &error);
    if (rc == 0) rc = serve(&r, &error);
    if (rc != 0) fprintf(stderr, "leat replay: %.*s\n", (int)error.len, error.data);
    recording_fini(&r.recording);
    buf_fini(&error);
    return rc == 0 ? 0 : 1;
}
