#include "client/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/command.h"
#include "client/lookup.h"
#include "client/url.h"
#include "resp/reply.h"
#include "resp/writer.h"

struct leat_sync {
    int fd;
    int timeout_ms; /* -1: none */
    struct resp_reader *reader;
    char error[256];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t deadline(const struct leat_sync *s)
{
    return s->timeout_ms < 0 ? -1 : now_ms() + s->timeout_ms;
}

static int give_up(struct leat_sync *s, const char *what, int error)
{
    if (s->error[0] == '\0')
        snprintf(s->error, sizeof s->error, "%s%s%s", what, error ? ": " : "",
                 error ? strerror(error) : "");
    return -EPIPE;
}

/* 0 when the socket is ready, else -EPIPE with the error noted. */
static int wait_for(struct leat_sync *s, short events, int64_t until, const char *what)
{
    for (;;) {
        int64_t left = until < 0 ? -1 : until - now_ms();
        if (until >= 0 && left <= 0) return give_up(s, what, ETIMEDOUT);
        struct pollfd p = {s->fd, events, 0};
        int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0) return 0;
        if (n < 0 && errno != EINTR) return give_up(s, what, errno);
    }
}

/* ---- Connecting ---- */

static int try_address(struct leat_sync *s, int family, const struct sockaddr *to, socklen_t len)
{
    if (s->fd >= 0) close(s->fd);
    s->error[0] = '\0';
    s->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return give_up(s, "socket", errno);
    if (connect(s->fd, to, len) == 0) return 0;
    if (errno != EINPROGRESS) return give_up(s, "connect", errno);
    if (wait_for(s, POLLOUT, deadline(s), "connect") != 0) return -EPIPE;
    int error = 0, one = 1;
    socklen_t size = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error != 0) return give_up(s, "connect", error);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return 0;
}

static int connect_tcp(struct leat_sync *s, const struct leat_url *u)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    found = lookup_at_once(u->host, u->port);
    int error = found ? 0 : getaddrinfo(u->host, u->port, &hints, &found);
    if (error != 0) return give_up(s, gai_strerror(error), 0);
    int rc = -EPIPE;
    for (struct addrinfo *a = found; a != NULL && rc != 0; a = a->ai_next)
        rc = try_address(s, a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return rc;
}

static int connect_unix(struct leat_sync *s, const struct leat_url *u)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(u->host) >= sizeof to.sun_path) return give_up(s, "connect", ENAMETOOLONG);
    memcpy(to.sun_path, u->host, strlen(u->host) + 1);
    return try_address(s, AF_UNIX, (struct sockaddr *)&to, sizeof to);
}

/* Takes the reply; it must not be an error. */
static int check(struct leat_sync *s, const char *step, struct leat_reply *reply)
{
    if (reply == NULL) return -EPIPE;
    int rc = 0;
    if (leat_reply_type(reply) == LEAT_ERROR) {
        snprintf(s->error, sizeof s->error, "%s: %.200s", step, leat_reply_text(reply, NULL));
        rc = -EPIPE;
    }
    leat_sync_reply_free(reply);
    return rc;
}

static int greet(struct leat_sync *s, const struct leat_url *u)
{
    if (u->password != NULL) {
        const char *with_user[] = {"AUTH", u->user, u->password};
        const char *without[] = {"AUTH", u->password};
        int rc = check(s, "AUTH",
                       u->user ? leat_sync_command(s, 3, with_user, NULL)
                               : leat_sync_command(s, 2, without, NULL));
        if (rc != 0) return rc;
    }
    if (u->db == 0) return 0;
    return check(s, "SELECT", leat_sync_commandf(s, "SELECT %lld", (long long)u->db));
}

static struct leat_sync *new_sync(int fd, int timeout_ms)
{
    struct leat_sync *s = mem_calloc(sizeof *s);
    s->fd = fd;
    s->reader = resp_reader_new();
    leat_sync_timeout(s, timeout_ms);
    return s;
}

struct leat_sync *leat_sync_open(const char *url, int timeout_ms, char *error, size_t error_size)
{
    struct leat_url u;
    const char *why;
    if (leat_url_parse(url, &u, &why) != 0) {
        snprintf(error, error_size, "%s", why);
        return NULL;
    }
    struct leat_sync *s = new_sync(-1, timeout_ms);
    int rc = u.is_unix ? connect_unix(s, &u) : connect_tcp(s, &u);
    if (rc == 0) rc = greet(s, &u);
    leat_url_fini(&u);
    if (rc == 0) return s;
    snprintf(error, error_size, "%s", s->error);
    leat_sync_close(s);
    return NULL;
}

struct leat_sync *leat_sync_open_fd(int fd, int timeout_ms)
{
    int flags = fcntl(fd, F_GETFL);
    struct leat_sync *s = new_sync(fd, timeout_ms);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) give_up(s, "socket", errno);
    return s;
}

void leat_sync_close(struct leat_sync *s)
{
    if (s == NULL) return;
    if (s->fd >= 0) close(s->fd);
    resp_reader_free(s->reader);
    mem_free(s);
}

void leat_sync_timeout(struct leat_sync *s, int timeout_ms)
{
    s->timeout_ms = timeout_ms == 0 ? 5000 : timeout_ms;
}

/* ---- Commands ---- */

static int write_all(struct leat_sync *s, struct bytes data)
{
    int64_t until = deadline(s);
    while (data.len > 0) {
        ssize_t n = send(s->fd, data.data, data.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return give_up(s, "write", errno);
        if (n < 0 && wait_for(s, POLLOUT, until, "write") != 0) return -EPIPE;
        if (n > 0) data = (struct bytes){data.data + n, data.len - (size_t)n};
    }
    return 0;
}

static int send_words(struct leat_sync *s, const struct bytes *argv, size_t argc)
{
    if (s->error[0] != '\0') return -EPIPE;
    struct buf out = {0};
    struct resp_writer w = {&out, 2};
    resp_command(&w, argv, argc);
    int rc = write_all(s, buf_bytes(&out));
    buf_fini(&out);
    return rc;
}

int leat_sync_send(struct leat_sync *s, int argc, const char *const *argv, const size_t *lens)
{
    struct bytes *words = mem_alloc((size_t)argc * sizeof *words);
    for (int i = 0; i < argc; i++)
        words[i] = lens ? (struct bytes){argv[i], lens[i]} : bytes_of(argv[i]);
    int rc = send_words(s, words, (size_t)argc);
    mem_free(words);
    return rc;
}

static int read_more(struct leat_sync *s, int64_t until)
{
    char data[16 * 1024];
    ssize_t n = recv(s->fd, data, sizeof data, 0);
    if (n > 0) resp_reader_feed(s->reader, data, (size_t)n);
    if (n > 0) return 0;
    if (n == 0) return give_up(s, "the peer closed the connection", 0);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return wait_for(s, POLLIN, until, "read");
    return give_up(s, "read", errno);
}

struct leat_reply *leat_sync_receive(struct leat_sync *s)
{
    int64_t until = deadline(s);
    while (s->error[0] == '\0') {
        const struct resp_reply *reply;
        int got = resp_reader_next(s->reader, &reply);
        if (got > 0) return (struct leat_reply *)resp_reply_dup(reply);
        if (got < 0) give_up(s, resp_reader_error(s->reader), 0);
        else read_more(s, until);
    }
    return NULL;
}

int leat_sync_try_receive(struct leat_sync *s, int wait_ms, struct leat_reply **ret_reply)
{
    int64_t until = now_ms() + wait_ms;
    while (s->error[0] == '\0') {
        const struct resp_reply *reply;
        int got = resp_reader_next(s->reader, &reply);
        if (got > 0) *ret_reply = (struct leat_reply *)resp_reply_dup(reply);
        if (got > 0) return 1;
        if (got < 0) return give_up(s, resp_reader_error(s->reader), 0);
        int64_t left = until - now_ms();
        struct pollfd p = {s->fd, POLLIN, 0};
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n == 0 || (n < 0 && errno == EINTR)) return 0;
        if (n < 0) return give_up(s, "read", errno);
        read_more(s, until);
    }
    return -EPIPE;
}

struct leat_reply *leat_sync_command(struct leat_sync *s, int argc, const char *const *argv,
                                     const size_t *lens)
{
    return leat_sync_send(s, argc, argv, lens) == 0 ? leat_sync_receive(s) : NULL;
}

struct leat_reply *leat_sync_commandf(struct leat_sync *s, const char *format, ...)
{
    struct words w = {0};
    va_list args;
    va_start(args, format);
    int rc = words_format(&w, format, args);
    va_end(args);
    if (rc != 0) give_up(s, "a wrong format", 0);
    else rc = send_words(s, w.argv, w.argc);
    words_fini(&w);
    return rc == 0 ? leat_sync_receive(s) : NULL;
}

void leat_sync_reply_free(struct leat_reply *r)
{
    mem_free(r);
}

const char *leat_sync_error(const struct leat_sync *s)
{
    return s->error[0] ? s->error : NULL;
}

int leat_sync_fd(const struct leat_sync *s)
{
    return s->fd;
}
