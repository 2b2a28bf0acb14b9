#include "client/testpeer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- The loop ---- */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

static bool run(struct event_base *base, const int *flag, int value, int ms)
{
    bool late = false;
    struct event *timer = evtimer_new(base, on_deadline, &late);
    struct timeval t = {ms / 1000, ms % 1000 * 1000};
    evtimer_add(timer, &t);
    while (!late && (flag == NULL || *flag < value)) event_base_loop(base, EVLOOP_ONCE);
    event_free(timer);
    return !late;
}

void run_until(struct event_base *base, const int *flag, int value)
{
    if (!run(base, flag, value, 5000)) fail_msg("waited in vain for %d, have %d", value, *flag);
}

void run_for(struct event_base *base, int ms)
{
    run(base, NULL, 0, ms);
}

/* ---- Answers ---- */

static void on_slow(evutil_socket_t fd, short what, void *arg)
{
    struct testpeer *p = arg;
    struct timeval soon = {0, 100};
    if (p->slow.len == 0 || p->fd < 0) return;
    assert_int_equal(write(p->fd, p->slow.data, 1), 1);
    buf_consume(&p->slow, 1);
    evtimer_add(p->slow_timer, &soon);
}

static void put(struct testpeer *p, struct bytes text)
{
    if (p->fd < 0) return;
    if (p->one_by_one) {
        buf_put(&p->slow, text);
        event_active(p->slow_timer, EV_TIMEOUT, 0);
    } else {
        assert_int_equal(write(p->fd, text.data, text.len), text.len);
    }
}

void testpeer_send(struct testpeer *p, const char *text)
{
    put(p, bytes_of(text));
}

static void note(struct testpeer *p, const struct bytes *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++) {
        if (i > 0) buf_putc(&p->seen, ' ');
        buf_put(&p->seen, argv[i]);
    }
    buf_append(&p->seen, "; ", 2);
}

static void answer(struct testpeer *p, struct resp_writer *w, const struct bytes *argv, size_t argc)
{
    if (p->refuse != NULL && bytes_is_word(argv[0], p->refuse)) {
        resp_error(w, "%s", p->refusal);
    } else if (bytes_is_word(argv[0], "ping") && p->subscribed > 0) {
        resp_array(w, 2);
        resp_bulk_str(w, "pong");
        resp_bulk_str(w, "");
    } else if (bytes_is_word(argv[0], "ping")) {
        resp_simple(w, "PONG");
    } else if (bytes_is_word(argv[0], "subscribe") || bytes_is_word(argv[0], "psubscribe") ||
               bytes_is_word(argv[0], "unsubscribe")) {
        p->subscribed += argv[0].data[0] == 'U' ? -1 : 1;
        char name[16] = {0};
        for (size_t i = 0; i < argv[0].len; i++) name[i] = (char)(argv[0].data[i] | 0x20);
        resp_array(w, 3);
        resp_bulk_str(w, name);
        resp_bulk(w, argv[1]);
        resp_int(w, p->subscribed);
    } else if (bytes_is_word(argv[0], "echo")) {
        resp_bulk(w, argv[1]);
    } else if (!bytes_is_word(argv[0], "silence") && !bytes_is_word(argv[0], "blpop")) {
        resp_simple(w, "OK");
    }
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct testpeer *p = arg;
    ssize_t n = read(fd, buf_reserve(&p->in, 16384), 16384);
    if (n <= 0) {
        testpeer_drop(p);
        return;
    }
    p->in.len += (size_t)n;
    struct buf out = {0};
    struct resp_writer w = {&out, 2};
    ssize_t used;
    while ((used = resp_request_feed(&p->request, p->in.data, p->in.len)) > 0) {
        note(p, p->request.argv, p->request.argc);
        if (!p->mute) answer(p, &w, p->request.argv, p->request.argc);
        if (p->mute_later && bytes_is_word(p->request.argv[0], "ping")) p->mute = true;
        buf_consume(&p->in, (size_t)used);
    }
    assert_int_equal(used, 0);
    if (out.len > 0) put(p, buf_bytes(&out));
    buf_fini(&out);
}

/* ---- Connections ---- */

void testpeer_drop(struct testpeer *p)
{
    if (p->fd < 0) return;
    event_free(p->reading);
    close(p->fd);
    p->fd = -1;
    p->subscribed = 0;
    p->in.len = p->slow.len = 0;
    resp_request_reset(&p->request);
}

void testpeer_adopt(struct testpeer *p, int fd)
{
    testpeer_drop(p);
    p->connections++;
    p->fd = fd;
    if (p->mute_later) p->mute = false;
    p->reading = event_new(p->base, fd, EV_READ | EV_PERSIST, on_read, p);
    event_add(p->reading, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    testpeer_adopt(arg, accept(fd, NULL, NULL));
}

void testpeer_close(struct testpeer *p)
{
    testpeer_drop(p);
    if (p->listener < 0) return;
    event_free(p->accepting);
    close(p->listener);
    p->listener = -1;
}

void testpeer_reopen(struct testpeer *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)p->port)};
    socklen_t len = sizeof at;
    int one = 1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    p->port = ntohs(at.sin_port);
    p->accepting = event_new(p->base, p->listener, EV_READ | EV_PERSIST, on_accept, p);
    event_add(p->accepting, NULL);
}

void testpeer_init(struct testpeer *p, struct event_base *base)
{
    *p = (struct testpeer){.base = base, .fd = -1, .listener = -1};
    resp_request_init(&p->request);
    p->request.authenticated = true;
    p->slow_timer = evtimer_new(base, on_slow, p);
    testpeer_reopen(p);
    snprintf(p->url, sizeof p->url, "redis://127.0.0.1:%d", p->port);
}

void testpeer_fini(struct testpeer *p)
{
    testpeer_close(p);
    event_free(p->slow_timer);
    resp_request_fini(&p->request);
    buf_fini(&p->in);
    buf_fini(&p->seen);
    buf_fini(&p->slow);
}

void testpeer_expect(struct testpeer *p, const char *seen)
{
    buf_putc(&p->seen, '\0');
    assert_string_equal(p->seen.data, seen);
    p->seen.len = 0;
}
