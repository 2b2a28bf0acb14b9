/* The loop: poll, read and run, hand the journal its batch, write. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/must.h"
#include "server/internal.h"

static int64_t clock_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

static int64_t monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static void on_shutdown(void *arg)
{
    server_stop(arg);
}

static void on_setting(void *arg, const char *name)
{
    struct server *s = arg;
    struct settings *settings = broker_settings(s->broker);
    bool sync = strcmp(name, "sync") == 0 || strcmp(name, "appendfsync") == 0;
    if (sync && !broker_is_loading(s->broker)) /* else broker_loaded() does */
        journal_set_sync(s->journal, (enum journal_sync)settings->sync);
    if (strcmp(name, "loglevel") == 0) logline_level((enum log_level)settings->loglevel);
    if (strcmp(name, "proto-max-bulk-len") == 0)
        for (struct conn *c = s->conns; c != NULL; c = c->next)
            c->request.bulk_bytes_max = (size_t)settings->proto_max_bulk_len;
}

/* ---- Waking from other threads ---- */

static void take_in_handed(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    int *fds = s->handed;
    size_t n = s->handed_count;
    s->handed = NULL;
    s->handed_count = s->handed_cap = 0;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++)
        conn_new(s, fds[i], "internal:0", "internal:0", SESSION_INTERNAL);
    mem_free(fds);
}

static void drain_eventfd(int fd)
{
    uint64_t n;
    ssize_t ignored = read(fd, &n, sizeof n);
    (void)ignored;
}

static void on_wake(void *arg, unsigned ready)
{
    struct server *s = arg;
    server_begin_turn(s);
    drain_eventfd(s->wake_fd);
    take_in_handed(s);
}

void server_wake(struct server *s)
{
    uint64_t one = 1;
    ssize_t ignored = write(s->wake_fd, &one, sizeof one);
    (void)ignored;
}

void server_stop(struct server *s)
{
    atomic_store(&s->stop, true);
    server_wake(s);
}

int server_connect(struct server *s)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    pthread_mutex_lock(&s->lock);
    if (s->handed_count == s->handed_cap) {
        s->handed_cap = s->handed_cap ? s->handed_cap * 2 : 8;
        s->handed = mem_realloc(s->handed, s->handed_cap * sizeof *s->handed);
    }
    s->handed[s->handed_count++] = pair[0];
    pthread_mutex_unlock(&s->lock);
    server_wake(s);
    return pair[1];
}

/* ---- One turn ---- */

static void resume_conns(struct server *s)
{
    struct conn *list = s->resuming; /* whoever comes again comes in the next turn */
    s->resuming = NULL;
    while (list != NULL) {
        struct conn *c = list;
        list = c->next_resuming;
        conn_resume(c);
    }
}

/* Who stands in a line is served when it is its turn, unless a lot has gathered for it. */
static bool can_wait(const struct conn *c)
{
    enum { MAY_GATHER_BYTES = 16 * 1024 };
    size_t pending = subscriber_pending(&c->session->subscriber);
    return c->gated && c->state == CONN_OPEN && pending > 0 && pending < MAY_GATHER_BYTES;
}

static void flush_dirty(struct server *s)
{
    while (s->dirty != NULL) {
        struct conn *c = s->dirty;
        s->dirty = c->next_dirty;
        c->session->out.dirty = false;
        if (can_wait(c)) conn_check_output(c);
        else conn_flush(c);
    }
}

/* Answers first: who publishes goes on while its subscribers are served. */
void server_flush(struct server *s)
{
    flush_dirty(s);
    broker_spread(s->broker);
    flush_dirty(s);
}

static void unhold_conns(struct server *s)
{
    if (s->held == NULL || broker_is_full(s->broker)) return;
    while (s->held != NULL) {
        struct conn *c = s->held;
        s->held = c->next_held;
        conn_unhold(c);
    }
}

static void on_covered(void *arg, unsigned ready)
{
    struct server *s = arg;
    drain_eventfd(journal_wake_fd(s->journal));
}

/* A dead connection may still stand on other lists: off them before it is freed. */
static void free_dead(struct server *s)
{
    if (s->dead == NULL) return;
    conn_drop_dead(&s->dirty, offsetof(struct conn, next_dirty));
    conn_drop_dead(&s->resuming, offsetof(struct conn, next_resuming));
    gates_drop_dead(s);
    conn_drop_dead(&s->held, offsetof(struct conn, next_held));
    while (s->dead != NULL) {
        struct conn *c = s->dead;
        s->dead = c->next_dead;
        conn_free(c);
    }
}

static bool is_idle(const struct conn *c, int64_t timeout_s, int64_t now_ms)
{
    return timeout_s > 0 && now_ms - c->session->active_ms > timeout_s * 1000 &&
           !session_is_subscribed(c->session) &&
           !(c->session->flags & (SESSION_BLOCKED | SESSION_INTERNAL));
}

/* Once a second: who has been idle, or over the soft limit of its output, for too long is closed;
 * who rests gives its buffers back. */
static void close_late(struct server *s)
{
    int64_t timeout_s = broker_settings(s->broker)->timeout;
    int64_t now_ms = broker_now_ms(s->broker);
    if (now_ms - s->idle_check_ms < 1000) return;
    s->idle_check_ms = now_ms;
    for (struct conn *c = s->conns; c != NULL; c = c->next) {
        if (c->state == CONN_DEAD) continue;
        if (is_idle(c, timeout_s, now_ms)) conn_close(c);
        else if (c->over_soft_ms != 0) conn_check_output(c);
        else if (now_ms - c->session->active_ms > 2000) conn_trim(c);
    }
}

static bool journal_is_well(struct server *s)
{
    const char *why = journal_failure(s->journal);
    if (why == NULL) return true;
    logline(LOG_LEVEL_WARNING, "journal",
            "%s: stopping, nothing more is acknowledged; what was acknowledged is safe", why);
    atomic_store(&s->well, false);
    s->failed = true;
    return false;
}

/* The time of a turn is taken after the wait and before the first command. */
void server_begin_turn(struct server *s)
{
    if (s->began) return;
    s->began = true;
    broker_turn_begin(s->broker);
}

static void turn(struct server *s)
{
    int64_t wait_ms = s->resuming != NULL || gates_are_due(s) ? 0 : broker_next_due_ms(s->broker);
    s->began = false;
    loop_turn(s->loop, wait_ms);
    bool idle = !s->began;
    server_begin_turn(s);
    server_look_at_loading(s);
    resume_conns(s);
    broker_turn_end(s->broker);
    server_flush(s);
    gates_flush(s);
    unhold_conns(s);
    close_late(s);
    free_dead(s);
    broker_background(s->broker, idle);
}

int server_run(struct server *s)
{
    atomic_store(&s->well, true);
    while (!atomic_load(&s->stop) && journal_is_well(s)) {
        turn(s);
    }
    atomic_store(&s->well, false);
    atomic_store(&s->state, SERVER_ENDED);
    return s->failed ? 1 : 0;
}

bool server_is_well(const struct server *s)
{
    return atomic_load(&s->well) && atomic_load(&s->state) == SERVER_READY;
}

enum server_state server_state(const struct server *s)
{
    return (enum server_state)atomic_load(&s->state);
}

/* ---- Life ---- */

static void raise_descriptor_limit(int64_t maxclients)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)maxclients + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need) return;
    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < need)
        logline(LOG_LEVEL_WARNING, "server",
                "only %llu file descriptors are allowed: fewer than maxclients connections fit; "
                "raise `ulimit -n`",
                (unsigned long long)limit.rlim_cur);
}

static void watch_wakes(struct server *s)
{
    s->wake_watch = loop_watch_new(s->loop, s->wake_fd, on_wake, s);
    loop_watch_set(s->wake_watch, LOOP_READ);
    s->journal_watch = loop_watch_new(s->loop, journal_wake_fd(s->journal), on_covered, s);
    loop_watch_set(s->journal_watch, LOOP_READ);
}

struct server *server_new(const struct settings *settings, char **ret_error)
{
    struct server *s = mem_calloc(sizeof *s);
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s->loop = loop_new();
    s->input = mem_alloc(READ_BYTES);
    pthread_mutex_init(&s->lock, NULL);
    must(s->loop != NULL && s->wake_fd >= 0);
    raise_descriptor_limit(settings->maxclients);
    struct broker_options options = {.settings = settings,
                                     .now_us = now_us,
                                     .monotonic_us = monotonic_us,
                                     .on_setting = on_setting,
                                     .on_shutdown = on_shutdown,
                                     .arg = s};
    s->broker = broker_new(&options, ret_error);
    if (s->broker == NULL) {
        server_free(s);
        return NULL;
    }
    s->journal = broker_journal(s->broker);
    watch_wakes(s);
    if (server_listen(s, settings, ret_error) < 0) {
        server_free(s);
        return NULL;
    }
    server_begin_loading(s);
    return s;
}

/* What was executed is made durable and its replies leave, so that a clean stop loses no answer. */
static void finish_output(struct server *s)
{
    broker_turn_end(s->broker);
    if (!s->failed) journal_wait(s->journal, journal_head(s->journal));
    for (struct conn *c = s->conns; c != NULL; c = c->next) conn_flush(c);
    for (struct conn *c = s->conns; c != NULL; c = c->next) conn_close(c);
    free_dead(s);
}

void server_free(struct server *s)
{
    if (s == NULL) return;
    if (s->broker != NULL) {
        server_end_loading(s);
        server_unlisten(s);
        if (s->journal != NULL) finish_output(s);
    }
    loop_watch_free(s->wake_watch);
    loop_watch_free(s->journal_watch);
    broker_free(s->broker);
    loop_free(s->loop);
    for (size_t i = 0; i < s->handed_count; i++) close(s->handed[i]);
    mem_free(s->handed);
    mem_free(s->input);
    mem_free(s->load_error);
    pthread_mutex_destroy(&s->lock);
    close(s->wake_fd);
    close(s->spare_fd);
    mem_free(s);
}

int server_port(const struct server *s)
{
    return s->port;
}
