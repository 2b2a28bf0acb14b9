#include "server/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "server/internal.h"

enum {
    RUNS_MAX = 8,                 /* written at once */
    PUBLISHER_BYTES = 256 * 1024, /* read in one turn from who publishes to many */
    SPREAD_BYTES = 256 * 1024,    /* published in one turn: written at once */
    WORTH_FACTOR = 8,             /* many: so many bytes are to be written for each one read */
};

/* As client-output-buffer-limit orders them. */
enum conn_class { CLASS_NORMAL, CLASS_REPLICA, CLASS_PUBSUB };

/* ---- The port: what the broker asks of a connection ---- */

static void on_dirty(void *owner)
{
    struct conn *c = owner;
    c->next_dirty = c->server->dirty;
    c->server->dirty = c;
}

static void mark_dirty(struct conn *c)
{
    outbox_touch(&c->session->out);
}

static void port_close(void *owner, bool after_output)
{
    struct conn *c = owner;
    if (!after_output) {
        conn_close(c);
        return;
    }
    if (c->state != CONN_OPEN) return;
    c->state = CONN_DRAINING;
    mark_dirty(c);
}

static void port_resume(void *owner)
{
    struct conn *c = owner;
    if (c->resuming) return;
    c->resuming = true;
    c->next_resuming = c->server->resuming;
    c->server->resuming = c;
}

/* Only TCP tells how far the peer has got it; other families: as far as it was sent.
 *
 * What the peer's kernel may hold unread is more than the window it offers at any moment: who keeps
 * up has twice the largest one seen, or so; who ever let us wait for its window may have got a far
 * larger buffer meanwhile, up to what its window scale allows. */
static void port_progress(void *owner, struct session_progress *ret)
{
    enum { WINDOW_MAX = 65535, UNKNOWN_WINDOW = 8 << 20 };
    struct conn *c = owner;
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    int queued = 0;
    *ret = (struct session_progress){.reset = c->broken};
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) return;
    bool known = len >= offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd;
    uint64_t seen = 2 * (uint64_t)(known ? info.tcpi_snd_wnd : UNKNOWN_WINDOW);
    uint64_t most = (uint64_t)WINDOW_MAX << info.tcpi_snd_wscale;
    if (info.tcpi_rwnd_limited > 0 || seen > most) seen = most;
    if (seen > c->peer_window) c->peer_window = seen;
    ret->peer_window = c->peer_window;
    if (ioctl(c->fd, SIOCOUTQ, &queued) == 0 && queued > 0) ret->unacknowledged = (uint64_t)queued;
}

static size_t port_input_bytes(const void *owner)
{
    return ((const struct conn *)owner)->input.len;
}

static const struct session_port port = {.close = port_close,
                                         .resume = port_resume,
                                         .input_bytes = port_input_bytes,
                                         .progress = port_progress};

/* ---- Interest ---- */

static void want(struct conn *c, unsigned interest)
{
    if (interest == c->interest) return;
    c->interest = interest;
    loop_watch_set(c->watch, interest);
}

/* Who waits in a blocking command is read all the same (up to client-query-buffer-limit): its end
 * comes behind what it has sent, and what it waits for must not be handed to a peer that is gone.
 */
static bool may_read(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->held && !c->resuming;
}

static void update_interest(struct conn *c, bool write)
{
    want(c, (may_read(c) ? LOOP_READ : 0u) | (write ? LOOP_WRITE : 0u));
}

/* ---- Input ---- */

/* A browser that was talked into posting to this port must not get anywhere. */
static bool is_http(struct bytes name)
{
    static const struct bytes words[] = {
        BYTES("post"),  BYTES("put"),     BYTES("head"),    BYTES("options"),
        BYTES("patch"), BYTES("connect"), BYTES("delete:"), BYTES("host:"),
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (name.len == words[i].len && (name.data[0] | ' ') == words[i].data[0] &&
            bytes_eq_nocase(name, words[i]))
            return true;
    return false;
}

/* Runs one parsed command; false when no more may be fed. *ret_taken: its bytes are done with. */
static bool run_command(struct conn *c, size_t argc, const struct bytes *argv, bool *ret_taken)
{
    *ret_taken = true;
    if (argc == 0) return true;
    if (is_http(argv[0])) {
        logline(LOG_LEVEL_WARNING, "server",
                "%s spoke HTTP to the Redis port: closed; the dashboard has a port of its own",
                c->session->address);
        conn_close(c); /* unheard: as Redis, without the answers to what came before */
        return false;
    }
    enum broker_progress progress = broker_exec(c->server->broker, c->session, argc, argv);
    if (progress == BROKER_DONE) return c->state == CONN_OPEN;
    *ret_taken = progress != BROKER_RETRY;
    c->stopped = true;
    return false;
}

/* Runs what could be parsed ahead; *used grows by what is done with. False when no more may be
 * fed. */
static bool feed_ahead(struct conn *c, const char *data, size_t len, size_t *used)
{
    struct ahead *a = &c->server->ahead;
    ahead_parse(a, &c->request, data, len);
    if (a->count > 1) ahead_prefetch(a, c->server->broker, c->session);
    for (size_t i = 0; i < a->count; i++) {
        bool taken;
        bool more = run_command(c, a->commands[i].argc, a->commands[i].argv, &taken);
        if (taken) *used += a->commands[i].used;
        if (!more) {
            resp_request_reset(&c->request);
            return false;
        }
    }
    return true;
}

/* One command at a time: long ones, and whoever has not given the password yet. */
static bool feed_one(struct conn *c, const char *data, size_t len, size_t *used)
{
    bool taken;
    ssize_t n = resp_request_feed(&c->request, data, len);
    if (n == 0) return false;
    if (n < 0) {
        broker_protocol_error(c->server->broker, c->session, c->request.error);
        return false;
    }
    bool more = run_command(c, c->request.argc, c->request.argv, &taken);
    resp_request_reset(&c->request);
    if (taken) *used += (size_t)n;
    return more;
}

/* Feeds commands from data[0..len) until it is used up, incomplete, or the broker takes no more;
 * returns how many bytes are done with. Input that was kept may be a lot: then it goes on in the
 * next turn. */
static size_t feed(struct conn *c, const char *data, size_t len)
{
    size_t used = 0;
    bool more = true;
    while (more && used < len) {
        size_t before = used;
        if (used >= READ_BYTES) {
            port_resume(c);
            break;
        }
        c->request.authenticated = c->session->authenticated;
        if (c->session->authenticated) more = feed_ahead(c, data + used, len - used, &used);
        if (more && used == before) more = feed_one(c, data + used, len - used, &used);
    }
    return c->state == CONN_OPEN ? used : len;
}

static void hold(struct conn *c)
{
    c->held = true;
    c->next_held = c->server->held;
    c->server->held = c;
}

void conn_unhold(struct conn *c)
{
    c->held = false;
    if (c->state != CONN_DEAD) update_interest(c, c->interest & LOOP_WRITE);
}

static void check_query_limit(struct conn *c)
{
    int64_t max = broker_settings(c->server->broker)->client_query_buffer_limit;
    if ((int64_t)(c->input.len + c->session->queue_bytes) <= max) return;
    logline(LOG_LEVEL_WARNING, "server",
            "%s: closed: its input, or what it has queued since MULTI, is over "
            "client-query-buffer-limit (%lld bytes)",
            c->session->address, (long long)max);
    conn_close(c);
}

/* Input that must be kept: it goes on in the connection's own buffer. */
static void take_input(struct conn *c, size_t n)
{
    struct server *s = c->server;
    if (c->input.len == 0 && !c->stopped) {
        size_t used = feed(c, s->input, n);
        if (used < n) buf_append(&c->input, s->input + used, n - used);
        return;
    }
    buf_append(&c->input, s->input, n);
    if (c->stopped) return;
    buf_consume(&c->input, feed(c, c->input.data, c->input.len));
    buf_shrink(&c->input, 16 * 1024);
}

static void close_broken(struct conn *c)
{
    c->broken = true;
    conn_close(c);
}

/* The peer sends no more, but may still read: what it has asked for is answered (the answers may
 * wait for the journal), and nothing more is delivered to it. */
static void on_end(struct conn *c)
{
    broker_session_hangup(c->server->broker, c->session);
    if (subscriber_pending(&c->session->subscriber) == 0) conn_close(c);
    else port_close(c, true);
}

/* Reads what is there, up to READ_BYTES, and runs it; how much it was. */
static size_t read_once(struct conn *c)
{
    struct server *s = c->server;
    ssize_t n = read(c->fd, s->input, READ_BYTES);
    if (n == 0) on_end(c);
    if (n < 0 && errno != EAGAIN && errno != EINTR) close_broken(c);
    if (n <= 0) return 0;
    broker_count_input(s->broker, (size_t)n);
    size_t want_more = resp_request_want(&c->request, c->input.len);
    if (want_more > READ_BYTES) buf_reserve(&c->input, want_more);
    take_input(c, (size_t)n);
    if (c->state == CONN_OPEN) check_query_limit(c);
    return (size_t)n;
}

static bool may_go_on(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->stopped && !c->resuming;
}

/* Whoever publishes a lot to many is read on for a while: the more there is to be written to each
 * subscriber at once, the less a message costs; and reading takes little of the time that the
 * writing will. */
static void on_readable(struct conn *c)
{
    struct server *s = c->server;
    if (c->session->last_write > 0 && broker_is_full(s->broker)) {
        hold(c);
        return;
    }
    size_t all = 0, n;
    uint64_t before;
    do {
        before = broker_delivered_bytes(s->broker);
        n = read_once(c);
        all += n;
    } while (n == READ_BYTES && all < PUBLISHER_BYTES && may_go_on(c) &&
             broker_delivered_bytes(s->broker) - before >= n * WORTH_FACTOR);
}

void conn_resume(struct conn *c)
{
    c->resuming = false;
    if (c->state != CONN_OPEN) return;
    c->stopped = false;
    if (c->input.len > 0) {
        resp_request_reset(&c->request);
        buf_consume(&c->input, feed(c, c->input.data, c->input.len));
    }
    if (c->state == CONN_OPEN) update_interest(c, c->interest & LOOP_WRITE);
}

/* ---- Output ---- */

static enum conn_class class_of(const struct conn *c)
{
    return session_is_subscribed(c->session) ? CLASS_PUBSUB : CLASS_NORMAL;
}

/* NULL, or which of its class's limits its output is over. */
static const char *limit_passed(struct conn *c, size_t pending)
{
    struct broker *b = c->server->broker;
    const struct output_limit *limit = &broker_settings(b)->output_limits[class_of(c)];
    if (limit->hard > 0 && pending > (size_t)limit->hard) return "hard";
    if (limit->soft == 0 || pending <= (size_t)limit->soft) {
        c->over_soft_ms = 0;
        return NULL;
    }
    int64_t now_ms = broker_now_ms(b);
    if (c->over_soft_ms == 0) c->over_soft_ms = now_ms;
    return now_ms - c->over_soft_ms > limit->soft_s * 1000 ? "soft" : NULL;
}

bool conn_check_output(struct conn *c)
{
    static const char *const classes[] = {"normal", "replica", "pubsub"};
    bool full = c->interest & LOOP_WRITE; /* not only that its output waits for the journal */
    size_t unlimited = broker_check_output(c->server->broker, c->session, full);
    if (c->state == CONN_DEAD) return true;
    size_t pending = subscriber_pending(&c->session->subscriber);
    pending = pending > unlimited ? pending - unlimited : 0;
    const char *passed = limit_passed(c, pending);
    if (passed == NULL) return false;
    logline(LOG_LEVEL_WARNING, "server",
            "%s (id %llu, name \"%.*s\"): closed: %zu bytes of output wait for it, over the %s "
            "client-output-buffer-limit of class %s",
            c->session->address, (unsigned long long)c->session->id, (int)c->session->name.len,
            c->session->name.data, pending, passed, classes[class_of(c)]);
    broker_count_output_limit(c->server->broker);
    conn_close(c);
    return true;
}

/* One write of runs that follow each other; one run is the rule. */
static ssize_t send_runs(int fd, const struct bytes *runs, size_t count)
{
    if (count == 1) return send(fd, runs->data, runs->len, MSG_NOSIGNAL);
    struct iovec parts[RUNS_MAX];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct iovec){(void *)(uintptr_t)runs[i].data, runs[i].len};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Writes what may leave. False when the connection is gone. */
static bool write_ready(struct conn *c)
{
    struct subscriber *s = &c->session->subscriber;
    struct bytes runs[RUNS_MAX];
    size_t count = subscriber_ready(s, journal_covered(c->server->journal), runs, RUNS_MAX);
    if (count == 0) return true;
    ssize_t n = send_runs(c->fd, runs, count), all = 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        close_broken(c);
        return false;
    }
    for (size_t i = 0; i < count; i++) all += (ssize_t)runs[i].len;
    if (n > 0) {
        subscriber_sent(s, (size_t)n);
        broker_count_output(c->server->broker, (size_t)n);
    }
    update_interest(c, n < all || count == RUNS_MAX);
    return true;
}

void conn_flush(struct conn *c)
{
    if (c->state == CONN_DEAD) return;
    /* A full socket is not tried again before it says so: on_ready() takes the interest away. */
    if (!(c->interest & LOOP_WRITE) && !write_ready(c)) return;
    size_t pending = subscriber_pending(&c->session->subscriber);
    if (pending == 0) {
        if (c->state == CONN_DRAINING) conn_close(c);
        return;
    }
    if (conn_check_output(c)) return;
    if (!(c->interest & LOOP_WRITE)) gates_wait(c->server, c);
}

void conn_trim(struct conn *c)
{
    if (c->input.len == 0) buf_fini(&c->input);
    outbox_trim(&c->session->out);
}

/* ---- Life ---- */

static void on_ready(void *arg, unsigned ready)
{
    struct conn *c = arg;
    server_begin_turn(c->server);
    if (ready & LOOP_READ && c->state == CONN_OPEN) on_readable(c);
    /* Many publishers in one turn must not pile up more than subscribers may be behind. */
    if (broker_unspread_bytes(c->server->broker) >= SPREAD_BYTES) server_flush(c->server);
    if (c->state == CONN_DEAD) return;
    if (ready & LOOP_WRITE) {
        update_interest(c, false);
        conn_flush(c);
    }
    if (c->state != CONN_DEAD) update_interest(c, c->interest & LOOP_WRITE);
}

struct conn *conn_new(struct server *server, int fd, const char *address, const char *local,
                      unsigned session_flags)
{
    struct conn *c = mem_calloc(sizeof *c);
    c->server = server;
    c->fd = fd;
    c->watch = loop_watch_new(server->loop, fd, on_ready, c);
    c->session =
        broker_session_open(server->broker, &port, c, on_dirty, fd, address, local, session_flags);
    resp_request_init(&c->request);
    c->request.bulk_bytes_max = (size_t)broker_settings(server->broker)->proto_max_bulk_len;
    c->next = server->conns;
    if (server->conns != NULL) server->conns->prev = c;
    server->conns = c;
    server->conn_count++;
    update_interest(c, false);
    return c;
}

void conn_refuse(int fd, const char *reply)
{
    ssize_t ignored = send(fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
    close(fd);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_DEAD) return;
    c->state = CONN_DEAD;
    broker_session_hangup(c->server->broker, c->session);
    want(c, 0);
    /* The descriptor is closed at the end of the turn; the peer hears of it before anybody is told,
     * as CLIENT KILL's answer does, that the connection is gone. */
    shutdown(c->fd, SHUT_RDWR);
    c->next_dead = c->server->dead;
    c->server->dead = c;
}

void conn_drop_dead(struct conn **at, size_t next)
{
    while (*at != NULL) {
        struct conn **behind = (struct conn **)((char *)*at + next);
        if ((*at)->state == CONN_DEAD) *at = *behind;
        else at = behind;
    }
}

void conn_free(struct conn *c)
{
    struct server *s = c->server;
    if (c->prev != NULL) c->prev->next = c->next;
    else s->conns = c->next;
    if (c->next != NULL) c->next->prev = c->prev;
    s->conn_count--;
    loop_watch_free(c->watch);
    broker_session_close(s->broker, c->session);
    resp_request_fini(&c->request);
    buf_fini(&c->input);
    close(c->fd);
    mem_free(c);
}
