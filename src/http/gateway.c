/* The gateway itself: it listens, checks each request (method, Host, Origin, path) and hands it to
 * its route. */
#include "http/gateway.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "http/gateway_priv.h"
#include "http/request.h"

/* ---- Routes ---- */

static struct bytes route_key(const void *item)
{
    return bytes_of(((const struct route *)item)->path);
}

static void route_free(void *item)
{
    struct route *route = item;
    mem_free(route->path);
    mem_free(route);
}

static const struct map_type route_type = {route_key, route_free};

static struct route *add_route(struct gateway *g, const char *path)
{
    struct route *route = mem_calloc(sizeof(*route));
    route->path = mem_strdup(path);
    map_delete(&g->routes, bytes_of(path));
    map_insert(&g->routes, route);
    return route;
}

void gateway_route(struct gateway *g, const char *path, http_handler handler, void *arg)
{
    struct route *route = add_route(g, path);
    route->handler = handler;
    route->arg = arg;
}

void gateway_file(struct gateway *g, const char *path, const char *content_type,
                  struct bytes content)
{
    struct route *route = add_route(g, path);
    route->content_type = content_type;
    route->content = content;
    snprintf(route->etag, sizeof(route->etag), "\"%08x-%zx\"",
             (unsigned)crc32c(0, content.data, content.len), content.len);
}

/* ---- One request ---- */

/* The address a connection came in at, as text; false when there is none (it has just gone). */
static bool local_address(struct evhttp_request *ev, char *out, size_t out_size)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(ev);
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(conn));
    return getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
           getnameinfo((struct sockaddr *)&addr, len, out, (socklen_t)out_size, NULL, 0,
                       NI_NUMERICHOST) == 0;
}

/* The value of a header that may stand there only once; *ret_count says how often it does. */
static const char *single_header(struct evhttp_request *ev, const char *name, int *ret_count)
{
    const char *value = NULL;
    struct evkeyval *header = NULL;
    *ret_count = 0;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(ev), next)
    {
        if (strcasecmp(header->key, name) != 0) continue;
        value = header->value;
        ++*ret_count;
    }
    return value;
}

/* 0, or the status to refuse it by. */
static int check_sender(struct gateway *g, struct evhttp_request *ev, const char **ret_why)
{
    char local[NI_MAXHOST];
    const char *here = local_address(ev, local, sizeof(local)) ? local : NULL;
    const char *in_line = evhttp_uri_get_host(evhttp_request_get_evhttp_uri(ev));
    int count = 0;
    const char *host = single_header(ev, "Host", &count);
    const char *origin = NULL;
    if (count != 1) {
        *ret_why = "a request needs exactly one Host header";
        return 400;
    }
    if (!guard_host(&g->guard, bytes_of(host), here) ||
        (in_line && !guard_host(&g->guard, bytes_of(in_line), here))) {
        metric_add(&http_metric_refused_host, 1);
        *ret_why = "this server does not answer to that host name";
        return 421;
    }
    origin = single_header(ev, "Origin", &count);
    if (count > 1 || (origin && !guard_origin(bytes_of(origin), bytes_of(host)))) {
        metric_add(&http_metric_refused_origin, 1);
        *ret_why = "requests of other origins are refused";
        return 403;
    }
    return 0;
}

static struct route *find_route(struct gateway *g, struct evhttp_request *ev)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(ev));
    size_t len = 0;
    char *decoded = evhttp_uridecode(path && *path ? path : "/", 0, &len);
    struct route *route = decoded ? map_get(&g->routes, (struct bytes){decoded, len}) : NULL;
    free(decoded);
    return route;
}

static void on_request(struct evhttp_request *ev, void *arg)
{
    struct gateway *g = arg;
    enum evhttp_cmd_type method = evhttp_request_get_command(ev);
    const char *why = NULL;
    struct route *route = NULL;
    int refused = check_sender(g, ev, &why);
    if (refused) {
        reply_error(ev, refused, why);
        return;
    }
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        reply_error(ev, 405, "only GET and HEAD are answered");
        return;
    }
    route = find_route(g, ev);
    if (!route) {
        reply_error(ev, 404, "there is nothing at this path");
    } else if (route->handler) {
        route->handler(request_new(g, ev), route->arg);
    } else {
        reply_file(ev, route);
    }
}

/* ---- Listening ---- */

static int open_socket(const struct addrinfo *ai)
{
    int one = 1, saved = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* Accepted sockets inherit it: the small writes of event streams do not wait for each other. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, 512) == 0) return fd;
    saved = errno;
    close(fd);
    return -saved;
}

/* A listening socket, or -1 with *ret_why. */
static int listen_at(const char *host, int port, const char **ret_why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[16];
    int fd = -1, failed = 0;
    snprintf(service, sizeof(service), "%d", port);
    failed = getaddrinfo(host, service, &hints, &found);
    if (failed) {
        *ret_why = gai_strerror(failed);
        return -1;
    }
    fd = open_socket(found);
    freeaddrinfo(found);
    if (fd >= 0) return fd;
    *ret_why = strerror(-fd);
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0) return 0;
    if (addr.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
    return ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

static void start_http(struct gateway *g, int fd)
{
    struct evconnlistener *listener = evconnlistener_new(
        g->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    g->http = evhttp_new(g->base);
    must(listener && g->http);
    evhttp_set_max_headers_size(g->http, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(g->http, HTTP_BODY_MAX);
    evhttp_set_timeout(g->http, HTTP_IDLE_S);
    /* All methods reach us, so that what is not answered is refused in our words. */
    evhttp_set_allowed_methods(g->http, 0xffff);
    evhttp_set_gencb(g->http, on_request, g);
    conns_init(&g->conns, g->base, g->http, g->streams_max + HTTP_CONNECTIONS_SPARE);
    must(evhttp_bind_listener(g->http, listener) != NULL);
}

static void start_timers(struct gateway *g)
{
    struct timeval period = {HTTP_HEARTBEAT_S, 0};
    g->heartbeat = event_new(g->base, -1, EV_PERSIST, streams_heartbeat, g);
    g->reaper = event_new(g->base, -1, 0, streams_reap, g);
    must(g->heartbeat && g->reaper);
    event_add(g->heartbeat, &period);
}

static char **copy_names(const char *const *names)
{
    size_t n = 0;
    char **copy = NULL;
    while (names && names[n]) n++;
    copy = mem_calloc((n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++) copy[i] = mem_strdup(names[i]);
    return copy;
}

static void free_names(char **names)
{
    for (size_t i = 0; names[i]; i++) mem_free(names[i]);
    mem_free(names);
}

static char *listen_error(const char *host, int port, const char *why)
{
    struct buf text = {0};
    char *copy = NULL;
    buf_printf(&text, "cannot listen for HTTP at %s port %d: %s", host, port, why);
    buf_putc(&text, 0);
    copy = mem_strdup(text.data);
    buf_fini(&text);
    return copy;
}

struct gateway *gateway_new(struct event_base *base, const struct gateway_options *options,
                            char **ret_error)
{
    const char *host = options->bind ? options->bind : "127.0.0.1";
    const char *why = NULL;
    struct gateway *g = NULL;
    int fd = listen_at(host, options->port, &why);
    if (fd < 0) {
        *ret_error = listen_error(host, options->port, why);
        return NULL;
    }
    http_metrics_register();
    g = mem_calloc(sizeof(*g));
    g->base = base;
    g->port = port_of(fd);
    g->bind = mem_strdup(host);
    g->hosts = copy_names(options->hosts);
    g->guard = (struct guard){g->bind, (const char *const *)g->hosts};
    g->streams_max = options->streams_max ? options->streams_max : HTTP_STREAMS_MAX;
    metric_set(&http_metric_streams_max, (int64_t)g->streams_max);
    map_init(&g->routes, &route_type);
    start_http(g, fd);
    start_timers(g);
    return g;
}

void gateway_free(struct gateway *g)
{
    if (!g) return;
    streams_close_all(g);
    requests_orphan(g);
    evhttp_free(g->http);
    conns_fini(&g->conns);
    event_free(g->heartbeat);
    event_free(g->reaper);
    map_clear(&g->routes);
    free_names(g->hosts);
    mem_free(g->bind);
    mem_free(g);
}

int gateway_port(const struct gateway *g)
{
    return g->port;
}
