/* An open connection: the greeting, writing, reading, and what silence means. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "client/private.h"
#include "resp/writer.h"

/* ---- Writing ---- */

/* False when the connection is broken. */
bool client_flush(struct leat_client *c)
{
    struct buf *b = c->phase == PHASE_GREETING ? &c->hello : &c->out;
    while (c->written < b->len) {
        ssize_t n = send(c->fd, b->data + c->written, b->len - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(c->writable, NULL);
            break;
        }
        /* Replies may still be there to be read, and then the end. */
        if (n < 0 && errno == EPIPE && !c->paused) break;
        if (n < 0) {
            client_broken_by(c, "write", errno);
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
    c->asked_ms = 0;
    client_set_timer(c, c->ping_interval_ms);
    if (c->paused) event_del(c->readable);
    pubsub_resubscribe(c);
    client_wake(c);
    client_tell(c, LEAT_CONNECTED, NULL);
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

void client_greet(struct leat_client *c)
{
    if (!c->has_url || !c->url.is_unix) keep_alive(c);
    c->phase = PHASE_GREETING;
    c->written = 0;
    resp_reader_reset(c->reader);
    write_hello(c);
    client_set_timer(c, c->connect_timeout_ms);
    if (event_add(c->readable, NULL) != 0) client_broken(c, "the event loop takes no more events");
    else client_wake(c);
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

void client_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = client_self(arg);
    char data[READ_MAX];
    ssize_t n = recv(fd, data, sizeof data, 0);
    if (n > 0) {
        c->heard_ms = client_now_ms();
        c->asked_ms = 0;
        resp_reader_feed(c->reader, data, (size_t)n);
        dispatch(c);
    } else if (n == 0) {
        client_broken(c, "the peer closed the connection");
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        client_broken_by(c, "read", errno);
    }
}

void client_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct leat_client *c = client_self(arg);
    if (c->phase != PHASE_GREETING && c->phase != PHASE_READY) return;
    if (client_flush(c)) dispatch(c);
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
    c->asked_ms = 0;
    event_add(c->readable, NULL);
    client_wake(c);
}

/* ---- Silence ---- */

/* Asked by a PING, or by the commands that are pending anyway. While these wait for what may come,
 * silence is no bad sign. */
void client_check_silence(struct leat_client *c)
{
    int64_t now = client_now_ms(), due = c->heard_ms + c->ping_interval_ms;
    if (c->asked_ms != 0) due = c->asked_ms + c->ping_interval_ms + c->patience_ms;
    if (c->paused || (c->asked_ms != 0 && c->forever > 0)) due = now + c->ping_interval_ms;
    if (due > now) {
        client_set_timer(c, due - now);
        return;
    }
    if (c->asked_ms != 0) {
        char why[WHY_MAX];
        snprintf(why, sizeof why, "the peer was silent for %lld ms",
                 (long long)(now - c->heard_ms));
        client_broken(c, why);
        return;
    }
    if (c->queue.count == 0) client_send_ping(c);
    c->asked_ms = now;
    client_set_timer(c, c->ping_interval_ms);
}
