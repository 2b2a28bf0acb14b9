/* The data is loaded on a thread of its own, so that the loop can already say that it is. */
#include <signal.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "server/internal.h"

static void *load(void *arg)
{
    struct server *s = arg;
    s->load_result = broker_load(s->broker, &s->load_error);
    atomic_store(&s->load_over, true);
    server_wake(s);
    return NULL;
}

/* Signals are the other threads' business. */
void server_begin_loading(struct server *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    must(pthread_create(&s->loader, NULL, load, s) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->loading = true;
}

static void join(struct server *s)
{
    must(pthread_join(s->loader, NULL) == 0);
    s->loading = false;
}

void server_look_at_loading(struct server *s)
{
    if (!s->loading || !atomic_load(&s->load_over)) return;
    join(s);
    if (s->load_result < 0) {
        s->failed = true;
        atomic_store(&s->stop, true);
        return;
    }
    broker_loaded(s->broker);
    atomic_store(&s->state, SERVER_READY);
}

void server_end_loading(struct server *s)
{
    if (!s->loading) return;
    broker_load_stop(s->broker);
    join(s);
}

const char *server_load_error(const struct server *s)
{
    return s->load_error;
}
