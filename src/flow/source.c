/* A source: keeps one HTTP stream open for ever, reads events out of it and hands them on.
 *
 *        +--------------- backoff over ----------------+
 *        v                                             |
 *   CONNECTING --head accepted--> CONNECTED --end--> WAITING
 *        |                                             ^
 *        +------------- error, idle, refused ----------+
 *   from any: no event within simulate_after_ms --> SIMULATED, for good
 *
 * Invariants: a `stream` exists in CONNECTING and CONNECTED only. What was read but not handed on
 * because of a pause is in `pending`, a piece of the body or two; as long as anything is in there,
 * nothing more is read and no new connection begins, since the bytes belong to the reader of the
 * old one. (curl lets no paused transfer end, so that this wait is a precaution.) */
#include "flow/source.h"

#include <event2/event.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/must.h"
#include "base/rand.h"
#include "flow/http_stream.h"
#include "flow/lines.h"
#include "flow/simulate.h"
#include "flow/source_answer.h"
#include "flow/sse.h"

#define DEFAULT_USER_AGENT                                                                         \
    "leat/" LEAT_VERSION                                                                           \
    " (durable event pipelines; set user_agent in the flow file to name yourself)"

enum {
    RETRY_AFTER_MAX_S = 3600,
    RESUME_ID_MAX = 8 * 1024, /* of a header line; servers refuse much longer ones */
    BACKOFF_DOUBLINGS_MAX = 20,
};

static struct metric events_total = {.name = "leat_source_events_total",
                                     .help = "Events that sources handed on.",
                                     .kind = METRIC_COUNTER};
static struct metric bytes_total = {.name = "leat_source_read_bytes_total",
                                    .help = "Bytes that sources read, after decompression.",
                                    .kind = METRIC_COUNTER};
static struct metric reconnects_total = {.name = "leat_source_reconnects_total",
                                         .help = "Connections begun after a source's first.",
                                         .kind = METRIC_COUNTER};
static struct metric errors_total = {.name = "leat_source_errors_total",
                                     .help = "Connections of sources that failed or were refused.",
                                     .kind = METRIC_COUNTER};
static struct metric oversized_total = {.name = "leat_source_oversized_total",
                                        .help = "Events dropped because of their size.",
                                        .kind = METRIC_COUNTER};
static struct metric connected_sources = {.name = "leat_source_connected",
                                          .help = "Sources that are connected now.",
                                          .kind = METRIC_GAUGE};

struct source {
    struct event_base *base;
    struct source_options o; /* url and user_agent are owned */
    char *shown_url;
    enum source_state state;
    struct http_stream *stream; /* NULL unless connecting or connected */
    struct event *next;         /* the next connection */
    struct event *idle;         /* a peer from which nothing comes */
    struct event *wake;         /* goes on after a pause */
    struct event *deadline;     /* of the first event, before the simulator takes over */
    struct event *tick;         /* the next simulated event */
    struct simulator *simulator;
    struct rng rng;
    struct sse sse;
    struct lines lines;
    struct buf pending;
    bool paused;
    bool inside;       /* in a callback of the user's */
    bool connect_due;  /* as soon as `pending` is empty */
    bool last_due;     /* then the last line counts, though it has no end */
    int failures;      /* connections in a row that were no good */
    int64_t heard_ms;  /* monotonic; when something came last */
    char refusal[512]; /* why the response was refused */
    int64_t refusal_wait_ms;
    struct buf last_error;       /* zero-terminated; empty when there is none */
    struct source_status status; /* counters and times only */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void add_timer(struct event *ev, int64_t ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    evtimer_add(ev, &tv);
}

static void set_state(struct source *s, enum source_state state, const char *why)
{
    if (state == SOURCE_CONNECTED) {
        s->status.connected_since_ms = clock_ms(CLOCK_REALTIME);
        metric_add(&connected_sources, 1);
    } else if (s->state == SOURCE_CONNECTED) {
        s->status.connected_since_ms = 0;
        metric_add(&connected_sources, -1);
    }
    s->state = state;
    if (s->o.on_state == NULL) return;
    bool was_inside = s->inside;
    s->inside = true;
    s->o.on_state(s->o.arg, state, why);
    s->inside = was_inside;
}

/* -- reading ----------------------------------------------------------------------------------- */

static void hand_on(struct source *s, struct bytes id, struct bytes name, struct bytes data)
{
    s->status.events++;
    s->failures = 0;
    metric_add(&events_total, 1);
    s->inside = true;
    s->o.on_event(s->o.arg, id, name, data);
    s->inside = false;
}

/* One event out of `in`; false when there is none. */
static bool read_event(struct source *s, struct bytes *in)
{
    if (s->o.type == SOURCE_LINES) {
        struct bytes line;
        if (!lines_next(&s->lines, in, &line)) return false;
        hand_on(s, (struct bytes){"", 0}, (struct bytes){"", 0}, line);
        return true;
    }
    struct sse_event e;
    if (!sse_next(&s->sse, in, &e)) return false;
    hand_on(s, e.id, e.name, e.data);
    return true;
}

/* Hands on what is in `in` until a pause; returns what is left. */
static struct bytes read_events(struct source *s, struct bytes in)
{
    uint64_t before = s->status.events;
    while (!s->paused && read_event(s, &in)) {
    }
    uint64_t oversized = s->o.type == SOURCE_LINES ? s->lines.oversized : s->sse.oversized;
    metric_add(&oversized_total, (int64_t)(oversized - s->status.oversized));
    s->status.oversized = oversized;
    if (s->status.events != before) s->status.last_event_ms = clock_ms(CLOCK_REALTIME);
    return in;
}

static void on_alive(void *arg)
{
    struct source *s = arg;
    s->heard_ms = clock_ms(CLOCK_MONOTONIC);
}

static void on_body(void *arg, struct bytes in)
{
    struct source *s = arg;
    on_alive(s);
    metric_add(&bytes_total, (int64_t)in.len);
    if (s->pending.len == 0) in = read_events(s, in);
    buf_put(&s->pending, in);
    if (s->paused) http_stream_pause(s->stream);
}

/* A response that ended in good order may lack the end of its last line. */
static void read_last_line(struct source *s)
{
    struct bytes line;
    if (!s->last_due) return;
    s->last_due = false;
    if (s->o.type == SOURCE_SSE || !lines_last(&s->lines, &line)) return;
    s->status.last_event_ms = clock_ms(CLOCK_REALTIME);
    hand_on(s, (struct bytes){"", 0}, (struct bytes){"", 0}, line);
}

/* -- connecting -------------------------------------------------------------------------------- */

static bool on_head(void *arg, const struct http_head *head)
{
    struct source *s = arg;
    if (!source_accepts(s->o.type, head, s->refusal, sizeof s->refusal)) {
        /* The standard lets a server end all reconnection with 204. A pipeline has to outlive such
         * a moment; it asks again, as seldom as it ever does. */
        if (head->status == 204) s->refusal_wait_ms = s->o.backoff_max_ms;
        return false;
    }
    set_state(s, SOURCE_CONNECTED, NULL);
    return true;
}

/* Full jitter: anything from nothing to the bound, which doubles with every failure. */
static int64_t backoff_ms(struct source *s)
{
    int64_t bound = s->o.backoff_min_ms;
    if (s->o.type == SOURCE_SSE && s->sse.retry_ms >= 0) bound = s->sse.retry_ms;
    int doublings = s->failures < BACKOFF_DOUBLINGS_MAX ? s->failures : BACKOFF_DOUBLINGS_MAX;
    if (bound < 1) bound = 1;
    bound <<= doublings;
    /* A peer may ask for more than our own maximum, though not for days. */
    int64_t max = s->o.backoff_max_ms;
    if (s->sse.retry_ms > max) max = s->sse.retry_ms;
    if (max > RETRY_AFTER_MAX_S * 1000LL) max = RETRY_AFTER_MAX_S * 1000LL;
    if (bound > max) bound = max;
    return (int64_t)rng_below(&s->rng, (uint64_t)bound + 1);
}

static void note_error(struct source *s, const char *why)
{
    s->status.errors++;
    metric_add(&errors_total, 1);
    s->last_error.len = 0;
    buf_printf(&s->last_error, "%s: %s", s->shown_url, why);
    buf_putc(&s->last_error, '\0');
}

/* A connection that held for long was good even if it brought nothing. */
static bool was_good(const struct source *s)
{
    if (s->state != SOURCE_CONNECTED) return false;
    return clock_ms(CLOCK_REALTIME) - s->status.connected_since_ms > s->o.backoff_max_ms;
}

/* Takes the connection down and comes back in a while. `why` is a sentence without the URL. */
static void wait_and_reconnect(struct source *s, bool error, const char *why, int64_t wait_min_ms)
{
    struct buf text = {0};
    http_stream_free(s->stream);
    s->stream = NULL;
    evtimer_del(s->idle);
    if (was_good(s)) s->failures = 0;
    int64_t wait_ms = backoff_ms(s) + wait_min_ms;
    s->failures++;
    if (error) note_error(s, why);
    add_timer(s->next, wait_ms);
    buf_printf(&text, "%s: %s (in %.1f s)", s->shown_url, why, (double)wait_ms / 1000);
    buf_putc(&text, '\0');
    set_state(s, SOURCE_WAITING, text.data);
    buf_fini(&text);
}

static void on_end(void *arg, const struct http_end *end)
{
    struct source *s = arg;
    int64_t wait_ms = 0;
    if (end->retry_after_s > 0) {
        bool sane = end->retry_after_s < RETRY_AFTER_MAX_S;
        wait_ms = (sane ? end->retry_after_s : RETRY_AFTER_MAX_S) * 1000;
    }
    if (end->orderly) {
        s->last_due = end->complete;
        if (!s->paused) read_last_line(s);
        wait_and_reconnect(s, false, "the peer ended the response; it is connected to again", 0);
    } else if (end->refused) {
        if (s->refusal_wait_ms > wait_ms) wait_ms = s->refusal_wait_ms;
        wait_and_reconnect(s, true, s->refusal, wait_ms);
    } else {
        wait_and_reconnect(s, true, end->why, 0);
    }
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
    struct source *s = arg;
    int64_t quiet_ms = clock_ms(CLOCK_MONOTONIC) - s->heard_ms;
    if (s->paused || quiet_ms < s->o.idle_timeout_ms) {
        add_timer(s->idle, s->paused ? s->o.idle_timeout_ms : s->o.idle_timeout_ms - quiet_ms);
        return;
    }
    char why[160];
    snprintf(why, sizeof why,
             "nothing has come for %.3g s, not even a heartbeat; raise idle_timeout if the feed is "
             "that quiet",
             s->o.idle_timeout_ms / 1000.0);
    wait_and_reconnect(s, true, why, 0);
}

static const char *resume_id(struct source *s, struct buf *text)
{
    struct buf *id = &s->sse.last_id;
    if (s->o.type != SOURCE_SSE || id->len == 0 || id->len > RESUME_ID_MAX) return NULL;
    buf_put(text, buf_bytes(id));
    buf_putc(text, '\0');
    return text->data;
}

static void connect_now(struct source *s)
{
    struct buf id = {0};
    sse_restart(&s->sse);
    lines_restart(&s->lines);
    s->connect_due = false;
    s->refusal_wait_ms = 0;
    on_alive(s);
    struct http_stream_options options = {
        .url = s->o.url,
        .user_agent = s->o.user_agent,
        .accept = s->o.type == SOURCE_SSE
                      ? "text/event-stream"
                      : "application/x-ndjson, application/json;q=0.9, */*;q=0.5",
        .last_event_id = resume_id(s, &id),
        .connect_timeout_ms = s->o.connect_timeout_ms,
        .on_head = on_head,
        .on_body = on_body,
        .on_alive = on_alive,
        .on_end = on_end,
        .arg = s,
    };
    s->stream = http_stream_new(s->base, &options);
    buf_fini(&id);
    int idle_ms = s->o.idle_timeout_ms, connect_ms = s->o.connect_timeout_ms;
    add_timer(s->idle, idle_ms > connect_ms ? idle_ms : connect_ms);
    set_state(s, SOURCE_CONNECTING, NULL);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
    struct source *s = arg;
    if (s->state == SOURCE_WAITING) {
        s->status.reconnects++;
        metric_add(&reconnects_total, 1);
    }
    s->connect_due = s->pending.len > 0 || s->last_due;
    if (!s->connect_due) connect_now(s);
}

/* -- the simulator ----------------------------------------------------------------------------- */

static void schedule_tick(struct source *s)
{
    int64_t us = simulator_gap_us(s->simulator);
    struct timeval tv = {us / 1000000, us % 1000000};
    evtimer_add(s->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct source *s = arg;
    struct simulator_event e;
    simulator_next(s->simulator, clock_ms(CLOCK_REALTIME), &e);
    s->status.last_event_ms = clock_ms(CLOCK_REALTIME);
    if (s->o.type == SOURCE_SSE) {
        hand_on(s, e.id, BYTES("message"), e.data);
    } else {
        hand_on(s, (struct bytes){"", 0}, (struct bytes){"", 0}, e.data);
    }
    if (!s->paused) schedule_tick(s);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct source *s = arg;
    struct buf why = {0};
    if (s->status.events > 0) return;
    http_stream_free(s->stream);
    s->stream = NULL;
    evtimer_del(s->idle);
    evtimer_del(s->next);
    struct rng rng;
    rng_seed_random(&rng);
    s->simulator = simulator_new(rng_next(&rng), s->o.simulate_rate);
    if (s->last_error.len > 0) {
        buf_printf(&why, "%s", s->last_error.data);
    } else {
        buf_printf(&why, "%s: no event has come within %.3g s", s->shown_url,
                   s->o.simulate_after_ms / 1000.0);
    }
    buf_printf(&why, "; simulated events stand in for it from here on");
    buf_putc(&why, '\0');
    set_state(s, SOURCE_SIMULATED, why.data);
    buf_fini(&why);
    if (!s->paused) schedule_tick(s);
}

/* -- the outside ------------------------------------------------------------------------------- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct source *s = arg;
    if (s->paused) return;
    if (s->pending.len > 0) {
        struct bytes rest = read_events(s, buf_bytes(&s->pending));
        buf_consume(&s->pending, s->pending.len - rest.len);
        if (s->pending.len > 0) return;
        buf_fini(&s->pending);
    }
    read_last_line(s);
    on_alive(s);
    if (s->stream != NULL) http_stream_resume(s->stream);
    if (s->connect_due) connect_now(s);
    if (s->simulator != NULL && !evtimer_pending(s->tick, NULL)) schedule_tick(s);
}

void source_pause(struct source *s)
{
    if (s->paused) return;
    s->paused = true;
    if (s->simulator != NULL) evtimer_del(s->tick);
    if (s->stream != NULL && !s->inside) http_stream_pause(s->stream);
}

/* Goes on from the loop, never from within this call: the caller need not expect events here. */
void source_resume(struct source *s)
{
    if (!s->paused) return;
    s->paused = false;
    event_active(s->wake, 0, 0);
}

static int or_default(int value, int otherwise)
{
    return value > 0 ? value : otherwise;
}

static void set_options(struct source *s, const struct source_options *o)
{
    s->o = *o;
    s->o.url = mem_strdup(o->url);
    s->o.user_agent = mem_strdup(o->user_agent != NULL ? o->user_agent : DEFAULT_USER_AGENT);
    s->o.last_event_id = NULL;
    s->o.connect_timeout_ms = or_default(o->connect_timeout_ms, 10000);
    s->o.idle_timeout_ms = or_default(o->idle_timeout_ms, 60000);
    s->o.backoff_min_ms = or_default(o->backoff_min_ms, 500);
    s->o.backoff_max_ms = or_default(o->backoff_max_ms, 30000);
    s->o.simulate_rate = or_default(o->simulate_rate, 20);
    if (o->event_bytes_max == 0) s->o.event_bytes_max = 1024 * 1024;
    s->shown_url = mem_alloc(strlen(o->url) + 1);
    http_url_redact(o->url, s->shown_url);
}

static struct event *make_event(struct source *s, event_callback_fn fn)
{
    struct event *ev = event_new(s->base, -1, 0, fn, s);
    must(ev != NULL);
    return ev;
}

static void register_metrics(void)
{
    metrics_register(&events_total);
    metrics_register(&bytes_total);
    metrics_register(&reconnects_total);
    metrics_register(&errors_total);
    metrics_register(&oversized_total);
    metrics_register(&connected_sources);
}

struct source *source_new(struct event_base *base, const struct source_options *options)
{
    struct source *s = mem_calloc(sizeof *s);
    register_metrics();
    s->base = base;
    set_options(s, options);
    rng_seed_random(&s->rng);
    sse_init(&s->sse, s->o.event_bytes_max);
    lines_init(&s->lines, s->o.event_bytes_max);
    if (options->last_event_id != NULL) {
        sse_set_last_id(&s->sse, bytes_of(options->last_event_id));
    }
    s->next = make_event(s, on_next);
    s->idle = make_event(s, on_idle);
    s->wake = make_event(s, on_wake);
    s->deadline = make_event(s, on_deadline);
    s->tick = make_event(s, on_tick);
    s->state = SOURCE_CONNECTING;
    add_timer(s->next, 0);
    if (s->o.simulate_after_ms > 0) add_timer(s->deadline, s->o.simulate_after_ms);
    return s;
}

void source_free(struct source *s)
{
    if (s == NULL) return;
    must(!s->inside);
    if (s->state == SOURCE_CONNECTED) metric_add(&connected_sources, -1);
    http_stream_free(s->stream);
    simulator_free(s->simulator);
    event_free(s->next);
    event_free(s->idle);
    event_free(s->wake);
    event_free(s->deadline);
    event_free(s->tick);
    sse_fini(&s->sse);
    lines_fini(&s->lines);
    buf_fini(&s->pending);
    buf_fini(&s->last_error);
    mem_free(s->shown_url);
    mem_free((char *)s->o.url);
    mem_free((char *)s->o.user_agent);
    mem_free(s);
}

void source_status(const struct source *s, struct source_status *ret)
{
    *ret = s->status;
    ret->state = s->state;
    ret->url = s->shown_url;
    ret->last_error = s->last_error.len > 0 ? s->last_error.data : NULL;
}
