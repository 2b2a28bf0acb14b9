/* For tests only: a client of the gateway in the same process and thread. It sends, lets the event
 * loop turn, and takes what came back. Include after cmocka. */
#ifndef LEAT_HTTP_TESTING_H
#define LEAT_HTTP_TESTING_H

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct test_client {
    struct event_base *base;
    int port;
    double patience_s; /* how long hear() waits */
};

static inline double test_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void test_turn_for(const struct test_client *c, double seconds)
{
    for (double end = test_now_s() + seconds; test_now_s() < end; usleep(500)) {
        event_base_loop(c->base, EVLOOP_NONBLOCK);
    }
}

static inline int test_dial(const struct test_client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void test_say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until `until` stands in what came, the peer closed, or patience ends. The text is
 * valid until the next call. */
static inline char *test_hear(const struct test_client *c, int fd, const char *until,
                              bool *ret_closed)
{
    static char text[512 * 1024];
    size_t len = 0;
    double end = test_now_s() + c->patience_s;
    bool gone = false;
    text[0] = 0;
    while (test_now_s() < end && !gone && !(until && strstr(text, until))) {
        ssize_t n = 0;
        event_base_loop(c->base, EVLOOP_NONBLOCK);
        n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
        if (n > 0) len += (size_t)n;
        gone = n == 0 || (n < 0 && errno != EAGAIN);
        text[len] = 0;
        if (n < 0) usleep(500);
    }
    if (ret_closed) *ret_closed = gone;
    return text;
}

/* A whole exchange; the request has to say Connection: close. */
static inline char *test_ask(const struct test_client *c, const char *request)
{
    int fd = test_dial(c);
    char *text = NULL;
    test_say(fd, request);
    text = test_hear(c, fd, NULL, NULL);
    close(fd);
    return text;
}

static inline char *test_get(const struct test_client *c, const char *target, const char *headers)
{
    char request[2048];
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", target, headers);
    return test_ask(c, request);
}

#define expect_in(text, part)                                                                      \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (!strstr(text_, part)) fail_msg("no %s in:\n%s", part, text_);                          \
    } while (0)
#define expect_not_in(text, part) assert_null(strstr(text, part))

#endif
