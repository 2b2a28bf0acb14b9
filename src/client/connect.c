/* From nothing to an open socket and back: attempts, addresses, timeouts, backoff. What happens on
 * the open socket is connection.c; the phases are in private.h. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/must.h"
#include "client/lookup.h"
#include "client/private.h"

static void try_next_address(struct leat_client *c, const char *why_not);

struct leat_client *client_self(void *arg)
{
    struct leat_client *c = arg;
    must(c->magic == CLIENT_MAGIC && !c->closed);
    return c;
}

void client_set_timer(struct leat_client *c, int64_t ms)
{
    struct timeval t = {ms / 1000, ms % 1000 * 1000};
    event_add(c->timer, &t);
}

/* The callback may free the client: the caller holds a reference. */
void client_tell(struct leat_client *c, enum leat_state state, const char *why)
{
    if (c->closed || c->state == state) return;
    c->state = state;
    if (c->on_state != NULL) c->on_state(c->arg, state, why);
}

/* ---- The end of a connection ---- */

static void drop_event(struct event **e)
{
    if (*e != NULL) event_free(*e);
    *e = NULL;
}

static void close_socket(struct leat_client *c)
{
    drop_event(&c->readable);
    drop_event(&c->writable);
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

void client_disconnect(struct leat_client *c)
{
    close_socket(c);
    lookup_free(c->lookup);
    c->lookup = NULL;
    if (c->addresses != NULL) freeaddrinfo(c->addresses);
    c->addresses = c->next_address = NULL;
}

/* Full jitter: anything between nothing and a bound that doubles, so that a thousand clients of a
 * server that restarts come back one by one. */
static int64_t backoff_ms(struct leat_client *c)
{
    int64_t bound = c->backoff_min_ms;
    for (unsigned i = 1; i < c->attempts && bound < c->backoff_max_ms; i++) bound *= 2;
    if (bound > c->backoff_max_ms) bound = c->backoff_max_ms;
    return (int64_t)(rng_unit(&c->rng) * (double)bound);
}

/* A connection that lasted ends a row of failures; one that is accepted and dropped does not. */
static void count_attempt(struct leat_client *c)
{
    if (c->phase == PHASE_READY && client_now_ms() - c->ready_since_ms >= c->backoff_max_ms)
        c->attempts = 0;
    if (c->attempts < 1000) c->attempts++;
}

void client_broken(struct leat_client *c, const char *why)
{
    must(!c->closed);
    char copy[WHY_MAX]; /* `why` may lie in what is about to be freed */
    snprintf(copy, sizeof copy, "%s", why);
    bool was_ready = c->phase == PHASE_READY;
    count_attempt(c);
    client_disconnect(c);
    size_t lost = 0;
    if (was_ready || !c->has_url) {
        lost = c->queue.count;
        c->out.len = 0;
        buf_shrink(&c->out, OUT_BYTES_KEPT);
    }
    c->written = 0;
    c->phase = c->has_url ? PHASE_WAITING : PHASE_GONE;
    event_del(c->wake);
    event_del(c->timer);
    if (c->has_url) client_set_timer(c, backoff_ms(c));
    client_ref(c);
    client_fail_pending(c, lost);
    client_tell(c, LEAT_WAITING, copy);
    client_unref(c);
}

void client_broken_by(struct leat_client *c, const char *what, int error)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    client_broken(c, why);
}

/* ---- Connecting ---- */

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = client_self(arg);
    if (c->phase != PHASE_CONNECTING) {
        /* The peer took a bufferful: it lives, though a long upload keeps it from answering. */
        c->heard_ms = client_now_ms();
        c->asked_ms = 0;
        client_flush(c);
        return;
    }
    int error = socket_error(fd);
    if (error != 0) try_next_address(c, strerror(error));
    else client_greet(c);
}

/* The events of a new socket. */
static bool make_events(struct leat_client *c)
{
    c->readable = event_new(c->base, c->fd, EV_READ | EV_PERSIST, client_on_readable, c);
    c->writable = event_new(c->base, c->fd, EV_WRITE, on_writable, c);
    return c->readable != NULL && c->writable != NULL;
}

/* 0: under way or done; else an errno. */
static int open_socket(struct leat_client *c, int family, const struct sockaddr *to, socklen_t len)
{
    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return errno;
    if (connect(c->fd, to, len) < 0 && errno != EINPROGRESS) return errno;
    if (!make_events(c) || event_add(c->writable, NULL) != 0) return ENOMEM;
    return 0;
}

static void failed_to_connect(struct leat_client *c, const char *why)
{
    char text[WHY_MAX];
    snprintf(text, sizeof text, "connect to %.120s%s%s: %.80s", c->url.host,
             c->url.is_unix ? "" : ":", c->url.port, why);
    client_broken(c, text);
}

/* Each address gets the whole timeout, as the first may lead nowhere. */
static void try_next_address(struct leat_client *c, const char *why_not)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "%s", why_not);
    c->phase = PHASE_CONNECTING;
    for (;;) {
        close_socket(c);
        struct addrinfo *a = c->next_address;
        if (a == NULL) {
            failed_to_connect(c, why);
            return;
        }
        c->next_address = a->ai_next;
        int error = open_socket(c, a->ai_family, a->ai_addr, a->ai_addrlen);
        if (error == 0) break;
        snprintf(why, sizeof why, "%s", strerror(error));
    }
    client_set_timer(c, c->connect_timeout_ms);
}

static void use_addresses(struct leat_client *c, struct addrinfo *found)
{
    c->addresses = c->next_address = found;
    try_next_address(c, "no address");
}

static void on_found(void *arg, struct addrinfo *found, const char *why)
{
    struct leat_client *c = client_self(arg);
    c->lookup = NULL;
    if (found != NULL) use_addresses(c, found);
    else failed_to_connect(c, why);
}

static void resolve(struct leat_client *c)
{
    struct addrinfo *found = lookup_at_once(c->url.host, c->url.port);
    if (found != NULL) {
        use_addresses(c, found);
        return;
    }
    c->phase = PHASE_RESOLVING;
    client_set_timer(c, c->connect_timeout_ms);
    c->lookup = lookup_new(c->base, c->url.host, c->url.port, on_found, c);
    if (c->lookup == NULL) failed_to_connect(c, "no thread to look the name up");
}

static void connect_unix(struct leat_client *c)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    c->phase = PHASE_CONNECTING;
    if (strlen(c->url.host) >= sizeof to.sun_path) {
        failed_to_connect(c, strerror(ENAMETOOLONG));
        return;
    }
    memcpy(to.sun_path, c->url.host, strlen(c->url.host) + 1);
    int error = open_socket(c, AF_UNIX, (struct sockaddr *)&to, sizeof to);
    if (error != 0) failed_to_connect(c, strerror(error));
    else client_set_timer(c, c->connect_timeout_ms);
}

static void use_fd(struct leat_client *c)
{
    int flags = fcntl(c->fd, F_GETFL);
    if (flags < 0 || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        client_broken_by(c, "socket", errno);
        return;
    }
    if (make_events(c)) client_greet(c);
    else client_broken(c, "the event loop takes no more events");
}

static void begin_attempt(struct leat_client *c)
{
    client_ref(c);
    client_tell(c, LEAT_CONNECTING, NULL);
    bool closed = c->closed;
    client_unref(c);
    if (closed) return;
    if (!c->has_url) use_fd(c);
    else if (c->url.is_unix) connect_unix(c);
    else resolve(c);
}

/* ---- Time ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = client_self(arg);
    switch (c->phase) {
    case PHASE_WAITING:
        begin_attempt(c);
        break;
    case PHASE_RESOLVING:
        failed_to_connect(c, "the name was not resolved in time");
        break;
    case PHASE_CONNECTING:
        try_next_address(c, strerror(ETIMEDOUT));
        break;
    case PHASE_GREETING:
        client_broken(c, "the peer did not answer the greeting in time");
        break;
    case PHASE_READY:
        client_check_silence(c);
        break;
    case PHASE_GONE:
        break;
    }
}

int client_start(struct leat_client *c)
{
    c->timer = evtimer_new(c->base, on_timer, c);
    c->wake = event_new(c->base, -1, 0, client_on_wake, c);
    if (c->timer == NULL || c->wake == NULL) return -ENOMEM;
    client_set_timer(c, 0);
    return 0;
}
