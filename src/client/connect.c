/* The life of the connection; see private.h for its phases. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "client/lookup.h"
#include "client/private.h"
#include "resp/writer.h"

static void try_next_address(struct leat_client *c, const char *why_not);
static void greet(struct leat_client *c);

static struct leat_client *self(void *arg)
{
    struct leat_client *c = arg;
    must(c->magic == CLIENT_MAGIC && !c->closed);
    return c;
}

static void set_timer(struct leat_client *c, int64_t ms)
{
    struct timeval t = {ms / 1000, ms % 1000 * 1000};
    event_add(c->timer, &t);
}

/* The callback may free the client: the caller holds a reference. */
static void tell(struct leat_client *c, enum leat_state state, const char *why)
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
    if (c->has_url) set_timer(c, backoff_ms(c));
    client_ref(c);
    client_fail_pending(c, lost);
    tell(c, LEAT_WAITING, copy);
    client_unref(c);
}

static void broken_by(struct leat_client *c, const char *what, int error)
{
    char why[WHY_MAX];
    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    client_broken(c, why);
}

/* ---- Writing ---- */

/* False when the connection is broken. */
static bool flush(struct leat_client *c)
{
    struct buf *b = c->phase == PHASE_GREETING ? &c->hello : &c->out;
    while (c->written < b->len) {
        ssize_t n = send(c->fd, b->data + c->written, b->len - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(c->writable, NULL);
            break;
        }
        if (n < 0) {
            broken_by(c, "write", errno);
            return false;
        }
        c->written += (size_t)n;
    }
    if (c->written == b->len || c->written > b->len / 2 + OUT_BYTES_KEPT) {
        buf_consume(b, c->written);
        c->written = 0;
        buf_shrink(b, OUT_BYTES_KEPT);
    }
    return true;
}

/* ---- The greeting ---- */

static void add_step(struct leat_client *c, const char *name, const struct bytes *argv, size_t argc)
{
    struct resp_writer w = {&c->hello, 2};
    c->hello_steps[c->hello_sent++] = name;
    resp_command(&w, argv, argc);
}

static void write_hello(struct leat_client *c)
{
    c->hello.len = 0;
    c->hello_sent = c->hello_answered = 0;
    if (c->has_url && c->url.password != NULL) {
        struct bytes argv[3] = {BYTES("AUTH")};
        size_t argc = 1;
        if (c->url.user != NULL) argv[argc++] = bytes_of(c->url.user);
        argv[argc++] = bytes_of(c->url.password);
        add_step(c, "AUTH", argv, argc);
    }
    if (c->has_url && c->url.db != 0) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", c->url.db);
        add_step(c, "SELECT", (struct bytes[]){BYTES("SELECT"), bytes_of(digits)}, 2);
    }
    if (c->name != NULL) {
        struct bytes argv[] = {BYTES("CLIENT"), BYTES("SETNAME"), bytes_of(c->name)};
        add_step(c, "CLIENT SETNAME", argv, 3);
    }
    /* Asked even where there is nothing else to say: who does not answer it (an idle proxy, a
     * server that still loads its data or wants a password) is no connection. */
    add_step(c, "PING", (struct bytes[]){BYTES("PING")}, 1);
}

static void become_ready(struct leat_client *c)
{
    c->phase = PHASE_READY;
    c->written = 0;
    buf_fini(&c->hello);
    c->ready_since_ms = c->heard_ms = client_now_ms();
    c->asked = false;
    set_timer(c, c->ping_interval_ms);
    if (c->paused) event_del(c->readable);
    pubsub_resubscribe(c);
    client_wake(c);
    tell(c, LEAT_CONNECTED, NULL);
}

static void take_hello(struct leat_client *c, const struct resp_reply *reply)
{
    const char *step = c->hello_steps[c->hello_answered++];
    if (reply->type == RESP_ERROR) {
        char why[WHY_MAX];
        snprintf(why, sizeof why, "%s: %.200s", step, reply->text.data);
        client_broken(c, why);
    } else if (c->hello_answered == c->hello_sent) {
        if (c->hello.len > 0) client_broken(c, "the peer answered before it was asked");
        else become_ready(c);
    }
}

/* ---- Reading ---- */

static bool may_read(const struct leat_client *c)
{
    return !c->closed && (c->phase == PHASE_GREETING || (c->phase == PHASE_READY && !c->paused));
}

static void dispatch(struct leat_client *c)
{
    client_ref(c);
    while (may_read(c)) {
        const struct resp_reply *reply;
        int got = resp_reader_next(c->reader, &reply);
        if (got == 0) break;
        if (got < 0) client_broken(c, resp_reader_error(c->reader));
        else if (c->phase == PHASE_GREETING) take_hello(c, reply);
        else client_take_reply(c, reply);
    }
    client_unref(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = self(arg);
    char data[READ_MAX];
    ssize_t n = recv(fd, data, sizeof data, 0);
    if (n > 0) {
        c->heard_ms = client_now_ms();
        c->asked = false;
        resp_reader_feed(c->reader, data, (size_t)n);
        dispatch(c);
    } else if (n == 0) {
        client_broken(c, "the peer closed the connection");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        broken_by(c, "read", errno);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = self(arg);
    if (c->phase != PHASE_GREETING && c->phase != PHASE_READY) return;
    if (flush(c)) dispatch(c);
}

void client_wake(struct leat_client *c)
{
    event_active(c->wake, EV_TIMEOUT, 0);
}

void leat_client_pause(struct leat_client *c)
{
    if (c->paused || c->closed) return;
    c->paused = true;
    if (c->phase == PHASE_READY) event_del(c->readable);
}

void leat_client_resume(struct leat_client *c)
{
    if (!c->paused || c->closed) return;
    c->paused = false;
    if (c->phase != PHASE_READY) return;
    c->heard_ms = client_now_ms();
    c->asked = false;
    event_add(c->readable, NULL);
    client_wake(c);
}

/* ---- Connecting ---- */

static void keep_alive(struct leat_client *c)
{
    int one = 1, seconds = c->ping_interval_ms / 1000 > 0 ? c->ping_interval_ms / 1000 : 1;
    int gap = seconds / 3 > 0 ? seconds / 3 : 1, count = 3;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* While a command waits for ever (BLPOP key 0) no PING can be answered: the kernel asks. */
    setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap, sizeof gap);
    setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = self(arg);
    if (c->phase != PHASE_CONNECTING) {
        flush(c);
        return;
    }
    int error = socket_error(fd);
    if (error != 0) try_next_address(c, strerror(error));
    else greet(c);
}

/* The events of a new socket. */
static bool make_events(struct leat_client *c)
{
    c->readable = event_new(c->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(c->base, c->fd, EV_WRITE, on_writable, c);
    return c->readable != NULL && c->writable != NULL;
}

static void greet(struct leat_client *c)
{
    if (c->addresses != NULL) freeaddrinfo(c->addresses);
    c->addresses = c->next_address = NULL;
    if (!c->has_url || !c->url.is_unix) keep_alive(c);
    c->phase = PHASE_GREETING;
    c->written = 0;
    resp_reader_reset(c->reader);
    write_hello(c);
    set_timer(c, c->connect_timeout_ms);
    if (event_add(c->readable, NULL) != 0) client_broken(c, "the event loop takes no more events");
    else client_wake(c);
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
    set_timer(c, c->connect_timeout_ms);
}

static void use_addresses(struct leat_client *c, struct addrinfo *found)
{
    c->addresses = c->next_address = found;
    try_next_address(c, "no address");
}

static void on_found(void *arg, struct addrinfo *found, const char *why)
{
    struct leat_client *c = self(arg);
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
    set_timer(c, c->connect_timeout_ms);
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
    strcpy(to.sun_path, c->url.host);
    int error = open_socket(c, AF_UNIX, (struct sockaddr *)&to, sizeof to);
    if (error != 0) failed_to_connect(c, strerror(error));
    else set_timer(c, c->connect_timeout_ms);
}

static void use_fd(struct leat_client *c)
{
    int flags = fcntl(c->fd, F_GETFL);
    if (flags < 0 || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        broken_by(c, "socket", errno);
        return;
    }
    if (make_events(c)) greet(c);
    else client_broken(c, "the event loop takes no more events");
}

static void begin_attempt(struct leat_client *c)
{
    client_ref(c);
    tell(c, LEAT_CONNECTING, NULL);
    bool closed = c->closed;
    client_unref(c);
    if (closed) return;
    if (!c->has_url) use_fd(c);
    else if (c->url.is_unix) connect_unix(c);
    else resolve(c);
}

/* ---- Time ---- */

/* While commands wait for what may come, silence is no bad sign. */
static void check_silence(struct leat_client *c)
{
    if (c->paused) {
        set_timer(c, c->ping_interval_ms);
        return;
    }
    int64_t silent = client_now_ms() - c->heard_ms, left = c->ping_interval_ms - silent;
    if (c->asked) left += c->ping_interval_ms + c->patience_ms;
    if (c->asked && c->forever > 0) left = c->ping_interval_ms;
    if (left > 0) {
        set_timer(c, left);
        return;
    }
    if (c->asked) {
        char why[WHY_MAX];
        snprintf(why, sizeof why, "the peer was silent for %lld ms", (long long)silent);
        client_broken(c, why);
        return;
    }
    if (c->queue.count == 0) client_send_ping(c);
    c->asked = true;
    c->heard_ms = client_now_ms() - c->ping_interval_ms;
    set_timer(c, c->ping_interval_ms);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = self(arg);
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
        check_silence(c);
        break;
    case PHASE_GONE:
        break;
    }
}

int client_start(struct leat_client *c)
{
    c->timer = evtimer_new(c->base, on_timer, c);
    c->wake = event_new(c->base, -1, 0, on_wake, c);
    if (c->timer == NULL || c->wake == NULL) return -ENOMEM;
    set_timer(c, 0);
    return 0;
}
