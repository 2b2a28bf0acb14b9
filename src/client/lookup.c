/* A lookup has two owners, the loop's side and the thread; who leaves last frees it. The thread
 * touches nothing else, so a client may be gone long before a slow resolver answers. */
#include "client/lookup.h"

#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"

struct lookup {
    atomic_int owners;
    char *host, *port;
    int done_fd; /* eventfd, written by the thread */
    struct event *done;
    lookup_fn fn;
    void *arg;
    struct addrinfo *found; /* the thread's until it is answered, as is the next */
    int error;              /* of getaddrinfo */
    atomic_bool answered;
};

static const struct addrinfo any_stream = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

struct addrinfo *lookup_at_once(const char *host, const char *port)
{
    struct addrinfo hints = any_stream, *found = NULL;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (strcasecmp(host, "localhost") == 0) host = NULL; /* loopback, without any lookup */
    return getaddrinfo(host, port, &hints, &found) == 0 ? found : NULL;
}

static void leave(struct lookup *l)
{
    if (atomic_fetch_sub(&l->owners, 1) > 1) return;
    if (l->found != NULL) freeaddrinfo(l->found);
    close(l->done_fd);
    mem_free(l->host);
    mem_free(l->port);
    mem_free(l);
}

static void *look_up(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo hints = any_stream;
    l->error = getaddrinfo(l->host, l->port, &hints, &l->found);
    if (l->error != 0) l->found = NULL;
    atomic_store(&l->answered, true);
    uint64_t one = 1;
    while (write(l->done_fd, &one, sizeof one) < 0) {
    }
    leave(l);
    return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct lookup *l = arg;
    must(atomic_load(&l->answered));
    struct addrinfo *found = l->found;
    lookup_fn fn = l->fn;
    void *fn_arg = l->arg;
    const char *why = found ? NULL : gai_strerror(l->error);
    l->found = NULL;
    lookup_free(l);
    fn(fn_arg, found, why);
}

/* Signals are for the program's own threads. */
static int start_thread(struct lookup *l)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, look_up, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

struct lookup *lookup_new(struct event_base *base, const char *host, const char *port, lookup_fn fn,
                          void *arg)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return NULL;
    struct lookup *l = mem_calloc(sizeof *l);
    l->done_fd = fd;
    l->host = mem_strdup(host);
    l->port = mem_strdup(port);
    l->fn = fn;
    l->arg = arg;
    atomic_init(&l->owners, 2);
    l->done = event_new(base, fd, EV_READ, on_done, l);
    event_add(l->done, NULL);
    if (start_thread(l) == 0) return l;
    leave(l); /* for the thread that is not there */
    lookup_free(l);
    return NULL;
}

void lookup_free(struct lookup *l)
{
    if (l == NULL) return;
    event_free(l->done);
    leave(l);
}
