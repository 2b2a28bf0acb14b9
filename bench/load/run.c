/* The loop of the load generator. One buffer for all input: what a connection keeps between reads
 * is the part of a line that was cut. */
#include "load/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { INPUT = 256 * 1024, EVENTS = 256, WAIT_MS = 100 };

struct sent { /* one command without a reply */
    int64_t at_ns;
    unsigned command;
};

struct conn {
    int fd;
    bool done; /* sends nothing more */
    bool want_write;
    unsigned next; /* which command is next */
    uint64_t entries;
    struct buf out;
    size_t written;    /* of out */
    struct sent *owed; /* a ring of `pipeline` */
    uint64_t owed_from, owed_to;
    char rest[REPLY_LINE_MAX]; /* input not yet walked over */
    size_t rest_len;
    struct reply reply;
    struct filling filling;
};

struct loop {
    const struct run_options *o;
    struct run_result *result;
    struct conn *conns;
    int epoll;
    unsigned open; /* connections that still send or wait */
    char *input;
    uint64_t seq, budget; /* commands still to be sent, when counted */
    int64_t began_ns, first_reply_ns, last_reply_ns, heard_ns;
    uint64_t scheduled; /* commands of an open loop that were sent */
    bool held;          /* the next of them found no room when it was due */
    bool stopping;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(struct loop *l, const char *what, const char *why)
{
    if (l->result->error[0] == '\0')
        snprintf(l->result->error, sizeof(l->result->error), "%s%s%s", what, why[0] ? ": " : "",
                 why);
}

static bool failed(const struct loop *l)
{
    return l->result->error[0] != '\0';
}

/* ---- Connections ---- */

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    int r = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : -errno;
    if (r < 0) close(fd);
    return r < 0 ? r : fd;
}

/* How deep the ids stand in the replies of the first command that has any. */
static unsigned id_depth(const struct run_options *o)
{
    for (unsigned i = 0; i < o->command_count; i++) {
        const char *name = o->commands[i].name;
        if (strcasecmp(name, "XRANGE") == 0 || strcasecmp(name, "XREVRANGE") == 0) return 2;
        if (strcasecmp(name, "XREAD") == 0 || strcasecmp(name, "XREADGROUP") == 0) return 4;
    }
    return 0;
}

static bool wants_ids(const struct run_options *o)
{
    for (unsigned i = 0; i < o->command_count; i++)
        if (o->commands[i].has_ids) return true;
    return false;
}

static bool conn_open(struct loop *l, unsigned number)
{
    struct conn *c = &l->conns[number];
    c->fd = connect_to(l->o->port);
    if (c->fd < 0) {
        fail(l, "connect", strerror(-c->fd));
        return false;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e);
    c->owed = mem_calloc(sizeof(*c->owed) * l->o->pipeline);
    c->reply.id_depth = id_depth(l->o);
    c->reply.want_ids = wants_ids(l->o);
    strcpy(c->reply.last_id, "0-0");
    c->filling = (struct filling){.seq = &l->seq,
                                  .random = 0x9e3779b97f4a7c15ULL * (number + 1),
                                  .conn = number,
                                  .walk = number,
                                  .last_id = c->reply.last_id};
    l->open++;
    return true;
}

static void conn_close(struct conn *c)
{
    if (c->fd >= 0) close(c->fd);
    mem_free(c->owed);
    buf_fini(&c->out);
    reply_fini(&c->reply);
}

static void want_write(struct loop *l, struct conn *c, bool want)
{
    if (c->want_write == want) return;
    c->want_write = want;
    struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

/* ---- Sending ---- */

static void conn_write(struct loop *l, struct conn *c)
{
    while (c->written < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->written, c->out.len - c->written,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) fail(l, "send", strerror(errno));
        if (n < 0) break;
        c->written += (size_t)n;
    }
    bool all = c->written == c->out.len;
    if (all) c->out.len = c->written = 0;
    want_write(l, c, !all);
}

static bool may_send(const struct loop *l, const struct conn *c)
{
    return !c->done && !l->stopping && (l->o->count == 0 || l->budget > 0);
}

static void add_command(struct loop *l, struct conn *c, int64_t at_ns)
{
    const struct command *command = &l->o->commands[c->next];
    c->filling.ids = buf_bytes(&c->reply.ids);
    c->filling.id_count = c->reply.entries;
    command_append(command, &c->filling, &c->out);
    c->owed[c->owed_to++ % l->o->pipeline] = (struct sent){at_ns, c->next};
    c->next = (c->next + 1) % l->o->command_count;
    l->result->sent++;
    if (l->o->count > 0) l->budget--;
}

static void finish_if_idle(struct loop *l, struct conn *c)
{
    if (c->fd < 0 || c->owed_from != c->owed_to || may_send(l, c)) return;
    close(c->fd);
    c->fd = -1;
    l->open--;
}

/* Closed loop: the next batch once the last is answered. */
static void send_batch(struct loop *l, struct conn *c, int64_t at_ns)
{
    if (c->owed_from == c->owed_to)
        for (unsigned i = 0; i < l->o->pipeline && may_send(l, c); i++) add_command(l, c, at_ns);
    conn_write(l, c);
    finish_if_idle(l, c);
}

static int64_t due_ns(const struct loop *l, uint64_t number)
{
    return l->began_ns + (int64_t)((double)number / l->o->rate * 1e9);
}

/* Open loop: all that is due, each by the next connection. One that has no room holds its command,
 * and those behind it, back: they count from when they were due. */
static void send_due(struct loop *l)
{
    int64_t now = now_ns();
    bool were_held = l->held;
    l->held = false;
    while (!l->stopping && (l->o->count == 0 || l->budget > 0) && due_ns(l, l->scheduled) <= now) {
        struct conn *c = &l->conns[l->scheduled % l->o->connections];
        l->held = c->owed_to - c->owed_from == l->o->pipeline;
        if (l->held) break;
        int64_t due = due_ns(l, l->scheduled++);
        if (!were_held) histogram_add(&l->result->late, now - due, 1);
        add_command(l, c, were_held ? due : now);
        conn_write(l, c);
    }
}

/* ---- Receiving ---- */

static void after_empty(struct loop *l, struct conn *c)
{
    uint64_t walk = l->o->commands[0].walk;
    c->next = 0;
    c->filling.walk += l->o->connections;
    strcpy(c->reply.last_id, "0-0");
    if (walk == 0 || c->filling.walk >= walk) c->done = true;
}

static void take_reply(struct loop *l, struct conn *c, int64_t now)
{
    if (c->reply.error[0] != '\0') {
        fail(l, "error reply", c->reply.error);
        return;
    }
    if (c->owed_from == c->owed_to) {
        fail(l, "a reply to nothing", "");
        return;
    }
    const struct sent *s = &c->owed[c->owed_from++ % l->o->pipeline];
    histogram_add(&l->result->latency[s->command], now - s->at_ns, 1);
    l->result->replies++;
    l->result->entries += c->reply.entries;
    c->entries += c->reply.entries;
    if (l->o->entries > 0 && c->entries >= l->o->entries) c->done = true;
    if (l->o->until_empty && s->command == 0 && c->reply.empty) after_empty(l, c);
    if (l->first_reply_ns == 0) l->first_reply_ns = now;
    l->last_reply_ns = now;
}

/* All replies in `n` bytes of the input; keeps what is left. */
static void take_input(struct loop *l, struct conn *c, size_t n, int64_t now)
{
    size_t at = 0, used;
    while (at < n && !failed(l)) {
        enum reply_state state = reply_walk(&c->reply, l->input + at, n - at, &used);
        at += used;
        if (state == REPLY_BROKEN) fail(l, "no RESP2", "");
        if (state == REPLY_MORE) break;
        take_reply(l, c, now);
    }
    c->rest_len = n - at;
    if (c->rest_len > sizeof(c->rest)) fail(l, "a line without an end", "");
    else memcpy(c->rest, l->input + at, c->rest_len);
}

static void conn_read(struct loop *l, struct conn *c)
{
    memcpy(l->input, c->rest, c->rest_len);
    ssize_t n = recv(c->fd, l->input + c->rest_len, INPUT - c->rest_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) fail(l, "receive", strerror(errno));
    else if (n == 0) fail(l, "the server closed a connection", "");
    if (n <= 0) return;
    l->heard_ns = now_ns();
    l->result->bytes_in += (uint64_t)n;
    take_input(l, c, c->rest_len + (size_t)n, l->heard_ns);
    if (failed(l)) return;
    if (l->o->rate > 0) finish_if_idle(l, c);
    else send_batch(l, c, l->heard_ns);
}

/* ---- The loop ---- */

static void look_at_clock(struct loop *l)
{
    int64_t now = now_ns();
    bool over = l->o->seconds > 0 && (double)(now - l->began_ns) >= l->o->seconds * 1e9;
    bool spent = l->o->count > 0 && l->budget == 0;
    if (!l->stopping && (over || *l->o->stop)) l->stopping = true;
    if (l->stopping || spent)
        for (unsigned i = 0; i < l->o->connections; i++) finish_if_idle(l, &l->conns[i]);
    if (l->open > 0 && (double)(now - l->heard_ns) > l->o->timeout_s * 1e9)
        fail(l, "the server", "no reply for too long");
}

/* Until something comes, the next command is due, or the clock wants a look. */
static int wait_events(struct loop *l, struct epoll_event *events)
{
    int64_t ns = (int64_t)WAIT_MS * 1000000;
    if (l->o->rate > 0 && !l->stopping) {
        int64_t due = due_ns(l, l->scheduled) - now_ns();
        if (!l->held && due < ns) ns = due > 0 ? due : 0;
    }
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    return epoll_pwait2(l->epoll, events, EVENTS, &t, NULL);
}

static void turn(struct loop *l, struct epoll_event *events)
{
    int n = wait_events(l, events);
    for (int i = 0; i < n && !failed(l); i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd < 0) continue;
        if (events[i].events & EPOLLOUT) conn_write(l, c);
        if (events[i].events & ~(uint32_t)EPOLLOUT) conn_read(l, c);
    }
    if (l->o->rate > 0) send_due(l);
}

static void loop_run(struct loop *l)
{
    struct epoll_event events[EVENTS];
    int64_t looked = 0;
    l->began_ns = l->heard_ns = l->last_reply_ns = now_ns();
    for (unsigned i = 0; i < l->o->connections && l->o->rate == 0 && !failed(l); i++)
        send_batch(l, &l->conns[i], now_ns());
    while (l->open > 0 && !failed(l)) {
        turn(l, events);
        int64_t now = now_ns();
        if (now - looked < 1000000) continue;
        looked = now;
        look_at_clock(l);
    }
    l->result->seconds = (double)(l->last_reply_ns - l->began_ns) / 1e9;
    if (l->first_reply_ns > 0)
        l->result->busy_seconds = (double)(l->last_reply_ns - l->first_reply_ns) / 1e9;
    if (!failed(l) && l->result->replies != l->result->sent) fail(l, "replies are missing", "");
}

bool run(const struct run_options *o, struct run_result *ret)
{
    struct loop l = {.o = o, .result = ret, .budget = o->count};
    *ret = (struct run_result){0};
    l.conns = mem_calloc(sizeof(*l.conns) * o->connections);
    l.input = mem_alloc(INPUT);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    bool good = true;
    for (unsigned i = 0; i < o->connections; i++) l.conns[i].fd = -1;
    for (unsigned i = 0; i < o->connections && good; i++) good = conn_open(&l, i);
    if (good) loop_run(&l);
    for (unsigned i = 0; i < o->connections; i++) conn_close(&l.conns[i]);
    close(l.epoll);
    mem_free(l.conns);
    mem_free(l.input);
    return !failed(&l);
}
