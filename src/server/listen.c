/* Listening sockets, accepting, and the rule that no default lets a stranger in. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/logline.h"
#include "base/mem.h"
#include "server/internal.h"

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24) == 127;
    if (a->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
    return true;
}

/* What the system writes an address to. */
union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage room;
};

static void describe(const union address *a, char *out, size_t n)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
        snprintf(out, n, "%s:%d", host, ntohs(a->in.sin_port));
    } else {
        inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
        snprintf(out, n, "[%s]:%d", host, ntohs(a->in6.sin6_port));
    }
}

static void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value);
}

static void tune(struct server *s, int fd)
{
    int keepalive = (int)broker_settings(s->broker)->tcp_keepalive;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (keepalive > 0) {
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive);
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive / 3 > 0 ? keepalive / 3 : 1);
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
}

static void take_in(struct listener *l, int fd, const union address *peer)
{
    struct server *s = l->server;
    char address[64] = "unix", local[64] = "unix";
    unsigned flags = SESSION_UNIX;
    if (s->conn_count >= (size_t)broker_settings(s->broker)->maxclients) {
        broker_count_rejected(s->broker);
        conn_refuse(fd, "-ERR max number of clients reached\r\n");
        return;
    }
    if (!l->is_unix) {
        union address own = {.in6 = {0}};
        socklen_t n = sizeof own;
        flags = 0;
        describe(peer, address, sizeof address);
        if (getsockname(fd, &own.any, &n) == 0) describe(&own, local, sizeof local);
        tune(s, fd);
    } else {
        const char *path = broker_settings(s->broker)->unixsocket;
        snprintf(address, sizeof address, "%.60s:0", path);
        snprintf(local, sizeof local, "%.60s:0", path);
    }
    conn_new(s, fd, address, local, flags);
}

/* Out of descriptors: without this the listener would stay readable and spin. */
static void shed(struct server *s, int listener_fd)
{
    logline(
        LOG_LEVEL_WARNING, "server",
        "out of file descriptors: a connection was refused; raise `ulimit -n` or lower maxclients");
    close(s->spare_fd);
    int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) conn_refuse(fd, "-ERR max number of clients reached\r\n");
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_acceptable(void *arg, unsigned ready)
{
    struct listener *l = arg;
    server_begin_turn(l->server);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        union address peer = {.in6 = {0}};
        socklen_t n = sizeof peer;
        int fd = accept4(l->fd, &peer.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_in(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE) {
            shed(l->server, l->fd);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

static void add_listener(struct server *s, int fd, bool is_unix)
{
    struct listener *l = &s->listeners[s->listener_count++];
    *l = (struct listener){.fd = fd, .server = s, .is_unix = is_unix};
    l->watch = loop_watch_new(s->loop, fd, on_acceptable, l);
    loop_watch_set(l->watch, LOOP_READ);
}

static char *format_error(const char *format, const char *where, const char *why)
{
    struct buf text = {0};
    buf_printf(&text, format, where, why);
    buf_putc(&text, '\0');
    return text.data;
}

static int bind_address(struct server *s, const struct addrinfo *a, int backlog)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (a->ai_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    union address own = {.in6 = {0}};
    socklen_t n = sizeof own;
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, &own.any, &n) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    s->port = ntohs(own.any.sa_family == AF_INET6 ? own.in6.sin6_port : own.in.sin_port);
    add_listener(s, fd, false);
    return 0;
}

static int listen_at(struct server *s, const struct settings *settings, const char *host,
                     char **ret_error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char port[16], where[128];
    snprintf(port, sizeof port, "%lld", (long long)settings->port);
    snprintf(where, sizeof where, "%.100s:%s", host ? host : "", port);
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        *ret_error = format_error("cannot listen on %s: %s", where, gai_strerror(error));
        return -1;
    }
    int result = -EADDRNOTAVAIL;
    bool open = !is_loopback(found->ai_addr);
    if (open && settings->requirepass[0] == '\0') {
        *ret_error = format_error("refusing to listen on %s without a password%s", where,
                                  ": set --requirepass (or LEAT_REQUIREPASS), or --bind 127.0.0.1");
        result = -EPERM;
    } else {
        result = bind_address(s, found, (int)settings->tcp_backlog);
        if (open) broker_need_password(s->broker);
        if (result < 0)
            *ret_error = format_error("cannot listen on %s: %s; choose another --port", where,
                                      strerror(-result));
    }
    freeaddrinfo(found);
    return result;
}

static int listen_unix(struct server *s, const char *path, char **ret_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        *ret_error = format_error("cannot listen on %s: %s", path, "the path is too long");
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct stat old;
    if (stat(path, &old) == 0 && S_ISSOCK(old.st_mode)) unlink(path); /* of a server before */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, 0700) < 0 || listen(fd, 511) < 0) {
        *ret_error = format_error("cannot listen on %s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    add_listener(s, fd, true);
    return 0;
}

static int listen_tcp(struct server *s, const struct settings *settings, char **ret_error)
{
    char *hosts = mem_strdup(settings->bind), *rest = NULL;
    int result = 0;
    for (char *host = strtok_r(hosts, " ,", &rest); host != NULL && result == 0;
         host = strtok_r(NULL, " ,", &rest)) {
        if (s->listener_count == LISTENERS_MAX - 1) {
            *ret_error = format_error("cannot listen on %s: %s", host, "too many addresses");
            result = -1;
        } else {
            result = listen_at(s, settings, host, ret_error);
        }
    }
    mem_free(hosts);
    return result;
}

int server_listen(struct server *s, const struct settings *settings, char **ret_error)
{
    int result = 0;
    if (settings->port > 0 || settings->unixsocket[0] == '\0')
        result = listen_tcp(s, settings, ret_error);
    if (result == 0 && settings->unixsocket[0] != '\0')
        result = listen_unix(s, settings->unixsocket, ret_error);
    return result;
}

void server_unlisten(struct server *s)
{
    for (int i = 0; i < s->listener_count; i++) {
        loop_watch_free(s->listeners[i].watch);
        close(s->listeners[i].fd);
        if (s->listeners[i].is_unix) unlink(broker_settings(s->broker)->unixsocket);
    }
    s->listener_count = 0;
}
