/* The upper bound of fanout.c: counts the PUBLISH commands that come by their bytes, answers them,
 * and writes as many copies of the message, one `write` of contiguous bytes each, to every
 * connection that has subscribed. A subscriber that reads slowly is owed bytes, which is one
 * number, since all messages are the same. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fanout.h"

enum { PEERS_MAX = 20000, PAGE_BYTES = 4 << 20 };

struct peer {
    int fd;
    bool subscribed, waits; /* waits: for room in its socket */
    uint64_t owed;          /* bytes */
    size_t phase;           /* of the message in which the next byte lies */
    size_t rest;            /* bytes of a command that has not come whole */
};

struct bare {
    const struct options *o;
    int epoll, listener;
    struct peer *by_fd[PEERS_MAX];
    struct peer *subscribers[PEERS_MAX];
    size_t count;
    char *page; /* the message, again and again */
    size_t page_len, message_len, command_len;
    char input[READ_MAX];
};

static void watch(struct bare *b, struct peer *p, int op, unsigned events)
{
    struct epoll_event e = {.events = events, .data.fd = p->fd};
    if (epoll_ctl(b->epoll, op, p->fd, &e) < 0) die("epoll_ctl", errno);
}

static void pay(struct bare *b, struct peer *p)
{
    while (p->owed > 0) {
        size_t n = b->page_len - p->phase;
        if (n > p->owed) n = (size_t)p->owed;
        ssize_t done = send(p->fd, b->page + p->phase, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0) break;
        p->owed -= (uint64_t)done;
        p->phase = (p->phase + (size_t)done) % b->message_len;
    }
    if (p->owed > 0 && !p->waits) watch(b, p, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    if (p->owed == 0 && p->waits) watch(b, p, EPOLL_CTL_MOD, EPOLLIN);
    p->waits = p->owed > 0;
}

static void on_publish(struct bare *b, struct peer *p, size_t n)
{
    static char answers[READ_MAX];
    char one[32];
    size_t count = (p->rest + n) / b->command_len, used = 0;
    p->rest = (p->rest + n) % b->command_len;
    size_t len = (size_t)sprintf(one, ":%zu\r\n", b->count);
    for (size_t i = 0; i < count; i++, used += len) memcpy(answers + used, one, len);
    if (used > 0 && send(p->fd, answers, used, MSG_NOSIGNAL) < 0) return;
    for (size_t i = 0; i < b->count; i++) {
        b->subscribers[i]->owed += count * b->message_len;
        if (!b->subscribers[i]->waits) pay(b, b->subscribers[i]);
    }
}

static void on_subscribe(struct bare *b, struct peer *p)
{
    static const char text[] = "*3\r\n$9\r\nsubscribe\r\n$8\r\ncommon00\r\n:1\r\n";
    p->subscribed = true;
    b->subscribers[b->count++] = p;
    if (write(p->fd, text, sizeof text - 1) < 0) die("write", errno);
}

static void forget(struct bare *b, struct peer *p)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->subscribers[i] == p) b->subscribers[i--] = b->subscribers[--b->count];
    b->by_fd[p->fd] = NULL;
    close(p->fd);
    free(p);
}

static void on_ready(struct bare *b, struct peer *p, unsigned events)
{
    if (events & EPOLLOUT) pay(b, p);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = read(p->fd, b->input, sizeof b->input);
    bool is_publish = n > 8 && memcmp(b->input, "*3\r\n$7\r\n", 8) == 0;
    if (n <= 0) forget(b, p);
    else if (!is_publish && p->rest == 0) on_subscribe(b, p);
    else on_publish(b, p, (size_t)n);
}

static void on_connect(struct bare *b)
{
    int one = 1, fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || fd >= PEERS_MAX) die("accept", errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct peer *p = b->by_fd[fd] = calloc(1, sizeof *p);
    p->fd = fd;
    watch(b, p, EPOLL_CTL_ADD, EPOLLIN);
}

static void begin(struct bare *b)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)b->o->port)};
    int one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(b->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(b->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(b->listener, 4096) < 0)
        die("listen", errno);
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = b->listener};
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->listener, &e) < 0) die("epoll_ctl", errno);
    char *message = message_bytes(b->o, "common00", &b->message_len);
    size_t copies = PAGE_BYTES / b->message_len + 2;
    b->page = malloc(copies * b->message_len);
    for (size_t i = 0; i < copies; i++)
        memcpy(b->page + i * b->message_len, message, b->message_len);
    b->page_len = copies * b->message_len;
    /* PUBLISH is as long as "message", and what is around them is the same. */
    b->command_len = b->message_len;
    free(message);
    printf("ready\n");
    fflush(stdout);
}

int run_bare(const struct options *o)
{
    static struct bare bare;
    struct epoll_event events[256];
    bare.o = o;
    begin(&bare);
    for (;;) {
        int n = epoll_wait(bare.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == bare.listener) on_connect(&bare);
            else if (bare.by_fd[fd] != NULL) on_ready(&bare, bare.by_fd[fd], events[i].events);
        }
    }
}
