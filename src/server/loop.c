#include "server/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/mem.h"
#include "base/must.h"

struct loop {
    struct event_base *base;
    struct event *timer;
};

/* Reading and writing are two events, so that turning writing on and off touches nothing else. */
struct loop_watch {
    struct event read, write;
    loop_fn fn;
    void *arg;
    unsigned interest;
};

static void on_timer(evutil_socket_t fd, short what, void *arg) {}

struct loop *loop_new(void)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == NULL) return NULL;
    struct loop *l = mem_alloc(sizeof *l);
    l->base = base;
    l->timer = evtimer_new(base, on_timer, NULL);
    return l;
}

void loop_free(struct loop *l)
{
    if (l == NULL) return;
    event_free(l->timer);
    event_base_free(l->base);
    mem_free(l);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *w = arg;
    w->fn(w->arg, (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u));
}

struct loop_watch *loop_watch_new(struct loop *l, int fd, loop_fn fn, void *arg)
{
    struct loop_watch *w = mem_calloc(sizeof *w);
    w->fn = fn;
    w->arg = arg;
    must(event_assign(&w->read, l->base, fd, EV_READ | EV_PERSIST, on_ready, w) == 0);
    must(event_assign(&w->write, l->base, fd, EV_WRITE | EV_PERSIST, on_ready, w) == 0);
    return w;
}

void loop_watch_free(struct loop_watch *w)
{
    if (w == NULL) return;
    loop_watch_set(w, 0);
    mem_free(w);
}

static void turn_event(struct event *event, unsigned was, unsigned is)
{
    if (is && !was) event_add(event, NULL);
    if (was && !is) event_del(event);
}

void loop_watch_set(struct loop_watch *w, unsigned interest)
{
    turn_event(&w->read, w->interest & LOOP_READ, interest & LOOP_READ);
    turn_event(&w->write, w->interest & LOOP_WRITE, interest & LOOP_WRITE);
    w->interest = interest;
}

void loop_turn(struct loop *l, int64_t timeout_ms)
{
    if (timeout_ms == 0) {
        event_base_loop(l->base, EVLOOP_NONBLOCK);
        return;
    }
    if (timeout_ms > 0) {
        struct timeval tv = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
        evtimer_add(l->timer, &tv);
    }
    event_base_loop(l->base, EVLOOP_ONCE);
}
