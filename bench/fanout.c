/* How fast a server hands messages on: N subscribers, one publisher that keeps D commands under
 * way, messages of S bytes. Deliveries are counted by bytes (every message has the same known
 * size), with one read buffer, so that the generator costs as little as it can.
 *
 *   fanout --port P [--host 127.0.0.1] [--subscribers 100] [--depth 1024] [--size 64]
 *          [--seconds 3] [--warm-up 0.5] [--resp3] [--pid SERVER]
 *          [--private]          each subscriber has a private channel beside the common one
 *          [--private-every K]  and every K-th message goes to one of those, in turn
 *   fanout --bare --port P [--size 64]
 *          the upper bound: a server that writes the same bytes to the same sockets and does
 *          nothing else. It serves subscribers without --private and --resp3 until it is killed.
 *
 * Prints one line of JSON: what was asked for, deliveries_per_s, publishes_per_s, p50_us and p99_us
 * of a PUBLISH from its write to its reply; and, with --pid, server_ns_per_delivery, the processor
 * time of that process (of all its threads) per message delivered. Exits with 1 when a message did
 * not arrive. The publisher waits when more than 64 MB (at least two windows) are under way to the
 * subscribers in all: the rate is what arrives, not what piles up in the server. */
#include "fanout.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LATENCIES = 1 << 20, IN_FLIGHT_BYTES = 64 << 20 };

static const char common[] = "common00";

struct load {
    struct options o;
    int epoll;
    atomic_uint_fast64_t received; /* bytes, by all subscribers */
    atomic_bool stop;
    size_t message_len;
    /* The commands in the order they are sent, all of one length, again and again. */
    char *commands;
    size_t command_len, command_count;
    /* The publisher */
    int fd;
    uint64_t sent, answered, expected; /* commands, commands, messages */
    uint64_t *sent_ns;                 /* by command % depth */
    uint32_t *latencies;               /* in units of 0.25 us up to 262 ms */
    bool measuring;
};

void die(const char *what, int error)
{
    fprintf(stderr, "fanout: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

char *message_bytes(const struct options *o, const char *channel, size_t *ret_len)
{
    char *text = malloc((size_t)o->size + 128);
    int n = sprintf(text, "%c3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n", o->resp3 ? '>' : '*',
                    NAME_BYTES, channel, o->size);
    memset(text + n, 'x', (size_t)o->size);
    memcpy(text + n + o->size, "\r\n", 2);
    *ret_len = (size_t)(n + o->size + 2);
    return text;
}

/* ---- Connections ---- */

static int dial(const struct options *o)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (inet_pton(AF_INET, o->host, &to.sin_addr) != 1) die("not an address", 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect", errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void put(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);
        if (done < 0) die("write", errno);
        data += done;
        n -= (size_t)done;
    }
}

/* Reads until `last` has come. */
static void expect(int fd, const char *last)
{
    char text[8192];
    size_t n = 0;
    while (memmem(text, n, last, strlen(last)) == NULL) {
        ssize_t got = n < sizeof text ? read(fd, text + n, sizeof text - n) : 0;
        if (got <= 0) die("no confirmation of a subscription", got < 0 ? errno : 0);
        n += (size_t)got;
    }
}

static void subscribe(struct load *l, int i)
{
    char name[32], text[256], last[64];
    int fd = dial(&l->o), n = 0;
    snprintf(name, sizeof name, "p%07d", i % 10000000);
    if (l->o.resp3) n = sprintf(text, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
    n += sprintf(text + n, "*%d\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%s\r\n", 2 + l->o.private_channels,
                 NAME_BYTES, common);
    if (l->o.private_channels) n += sprintf(text + n, "$%d\r\n%s\r\n", NAME_BYTES, name);
    put(fd, text, (size_t)n);
    sprintf(last, "%s\r\n:%d\r\n", l->o.private_channels ? name : common,
            1 + l->o.private_channels);
    expect(fd, last);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0) die("epoll_ctl", errno);
}

/* ---- Subscribers: one thread counts bytes ---- */

static void *receive(void *arg)
{
    struct load *l = arg;
    struct epoll_event events[256];
    char *room = malloc(READ_MAX);
    uint64_t received = 0;
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        int n = epoll_wait(l->epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            ssize_t got = read(events[i].data.fd, room, READ_MAX);
            if (got == 0) die("the server closed a subscriber's connection", 0);
            if (got > 0) received += (uint64_t)got;
        }
        atomic_store_explicit(&l->received, received, memory_order_relaxed);
    }
    free(room);
    return NULL;
}

/* ---- The publisher ---- */

static size_t put_command(struct load *l, char *to, const char *channel)
{
    int n =
        sprintf(to, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n", NAME_BYTES, channel, l->o.size);
    memset(to + n, 'x', (size_t)l->o.size);
    memcpy(to + n + l->o.size, "\r\n", 2);
    return (size_t)n + (size_t)l->o.size + 2;
}

static bool is_private(const struct load *l, uint64_t command)
{
    int every = l->o.private_every;
    return every > 0 && command % (uint64_t)every == (uint64_t)every - 1;
}

static void make_commands(struct load *l)
{
    char name[32];
    size_t every = (size_t)l->o.private_every;
    l->command_count = every > 0 ? every * (size_t)l->o.subscribers : 1;
    size_t count = l->command_count;
    while (l->command_count < (size_t)l->o.depth) l->command_count += count;
    l->commands = malloc(l->command_count * ((size_t)l->o.size + 128));
    for (size_t i = 0; i < l->command_count; i++) {
        size_t owner = every > 0 ? i / every % (size_t)l->o.subscribers : 0;
        snprintf(name, sizeof name, "p%07zu", owner);
        l->command_len =
            put_command(l, l->commands + i * l->command_len, is_private(l, i) ? name : common);
    }
}

/* Room for so many commands under way, for the depth and for what the subscribers have to read. */
static size_t may_send(const struct load *l)
{
    size_t room = (size_t)l->o.depth - (size_t)(l->sent - l->answered);
    uint64_t least = 2 * (uint64_t)l->o.depth * l->message_len * (uint64_t)l->o.subscribers;
    uint64_t bound = least > IN_FLIGHT_BYTES ? least : IN_FLIGHT_BYTES;
    uint64_t under_way = l->expected * l->message_len - atomic_load(&l->received);
    return under_way > bound ? 0 : room;
}

static void send_commands(struct load *l, size_t count)
{
    uint64_t now = now_ns();
    while (count > 0) {
        size_t at = l->sent % l->command_count;
        size_t n = l->command_count - at < count ? l->command_count - at : count;
        for (size_t i = 0; i < n; i++) {
            l->sent_ns[(l->sent + i) % (size_t)l->o.depth] = now;
            l->expected += is_private(l, at + i) ? 1 : (uint64_t)l->o.subscribers;
        }
        put(l->fd, l->commands + at * l->command_len, n * l->command_len);
        l->sent += n;
        count -= n;
    }
}

static void take_answers(struct load *l)
{
    static char text[64 * 1024];
    ssize_t n = read(l->fd, text, sizeof text);
    if (n <= 0) die("the publisher's connection", n < 0 ? errno : 0);
    if (memchr(text, '-', (size_t)n) != NULL) die("an error was the answer to PUBLISH", 0);
    uint64_t now = now_ns();
    const char *at = text, *end = text + n;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        uint64_t took = (now - l->sent_ns[l->answered++ % (size_t)l->o.depth]) / 250;
        if (l->measuring) l->latencies[took < LATENCIES ? took : LATENCIES - 1]++;
    }
}

static void publish_until(struct load *l, uint64_t end)
{
    static const struct timespec moment = {.tv_nsec = 20000};
    while (now_ns() < end) {
        size_t count = may_send(l);
        if (count > 0) send_commands(l, count);
        if (l->sent > l->answered) take_answers(l);
        else nanosleep(&moment, NULL);
    }
}

/* False when what was published has not all arrived. */
static bool wait_for_the_rest(struct load *l)
{
    while (l->sent > l->answered) take_answers(l);
    for (int i = 0; i < 1000; i++) {
        if (atomic_load(&l->received) == l->expected * l->message_len) return true;
        usleep(10000);
    }
    fprintf(stderr, "fanout: %llu bytes came, %llu were to come\n",
            (unsigned long long)atomic_load(&l->received),
            (unsigned long long)(l->expected * l->message_len));
    return false;
}

/* ---- Figures ---- */

/* Nanoseconds on a processor, all threads. */
static double processor_ns(long pid)
{
    char path[64], text[128];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *tasks = opendir(path);
    struct dirent *e;
    while (tasks != NULL && (e = readdir(tasks)) != NULL) {
        char task[400];
        snprintf(task, sizeof task, "%s/%s/schedstat", path, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(task, "r");
        if (f == NULL) continue;
        if (fgets(text, sizeof text, f) != NULL) sum += strtod(text, NULL);
        fclose(f);
    }
    if (tasks != NULL) closedir(tasks);
    return sum;
}

static double quantile_us(const struct load *l, double q)
{
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < LATENCIES; i++) all += l->latencies[i];
    for (size_t i = 0; i < LATENCIES; i++) {
        seen += l->latencies[i];
        if (all > 0 && (double)seen >= q * (double)all) return (double)i * 0.25 + 0.125;
    }
    return 0;
}

static void report(const struct load *l, double seconds, double messages, double published,
                   double cpu_ns)
{
    printf("{\"subscribers\": %d, \"depth\": %d, \"size\": %d, \"private\": %s, \"seconds\": %.3f, "
           "\"deliveries_per_s\": %.0f, \"publishes_per_s\": %.0f, \"p50_us\": %.2f, "
           "\"p99_us\": %.2f",
           l->o.subscribers, l->o.depth, l->o.size, l->o.private_channels ? "true" : "false",
           seconds, messages / seconds, published / seconds, quantile_us(l, 0.5),
           quantile_us(l, 0.99));
    if (l->o.pid > 0 && messages > 0)
        printf(", \"server_ns_per_delivery\": %.2f", cpu_ns / messages);
    printf("}\n");
}

static int run_load(struct load *l)
{
    pthread_t receiver;
    free(message_bytes(&l->o, common, &l->message_len));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->sent_ns = calloc((size_t)l->o.depth, sizeof *l->sent_ns);
    l->latencies = calloc(LATENCIES, sizeof *l->latencies);
    make_commands(l);
    for (int i = 0; i < l->o.subscribers; i++) subscribe(l, i);
    l->fd = dial(&l->o);
    if (pthread_create(&receiver, NULL, receive, l) != 0) die("no thread", errno);
    publish_until(l, now_ns() + (uint64_t)(l->o.warm_up * 1e9));
    l->measuring = true;
    uint64_t began = now_ns(), received = atomic_load(&l->received), answered = l->answered;
    double cpu = l->o.pid > 0 ? processor_ns(l->o.pid) : 0;
    publish_until(l, began + (uint64_t)(l->o.seconds * 1e9));
    double seconds = (double)(now_ns() - began) / 1e9;
    double messages = (double)(atomic_load(&l->received) - received) / (double)l->message_len;
    cpu = l->o.pid > 0 ? processor_ns(l->o.pid) - cpu : 0;
    report(l, seconds, messages, (double)(l->answered - answered), cpu);
    bool whole = wait_for_the_rest(l);
    atomic_store(&l->stop, true);
    pthread_join(receiver, NULL);
    free(l->commands);
    free(l->sent_ns);
    free(l->latencies);
    return whole ? 0 : 1;
}

/* ---- Command line ---- */

static double number(const char *text, double min)
{
    char *end;
    double n = strtod(text, &end);
    if (*end != '\0' || end == text || n < min) die("an option's number makes no sense", 0);
    return n;
}

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, NULL, 'h'},
        {"port", 1, NULL, 'p'},
        {"subscribers", 1, NULL, 'n'},
        {"depth", 1, NULL, 'd'},
        {"size", 1, NULL, 's'},
        {"seconds", 1, NULL, 't'},
        {"warm-up", 1, NULL, 'w'},
        {"private", 0, NULL, 'v'},
        {"resp3", 0, NULL, '3'},
        {"private-every", 1, NULL, 'e'},
        {"pid", 1, NULL, 'i'},
        {"bare", 0, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.host = "127.0.0.1",
                        .subscribers = 100,
                        .depth = 1024,
                        .size = 64,
                        .seconds = 3,
                        .warm_up = 0.5};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
        if (c == 'h') o.host = optarg;
        else if (c == 'p') o.port = (int)number(optarg, 1);
        else if (c == 'n') o.subscribers = (int)number(optarg, 1);
        else if (c == 'd') o.depth = (int)number(optarg, 1);
        else if (c == 's') o.size = (int)number(optarg, 0);
        else if (c == 't') o.seconds = number(optarg, 0.01);
        else if (c == 'w') o.warm_up = number(optarg, 0);
        else if (c == 'v') o.private_channels = true;
        else if (c == 'e') o.private_every = (int)number(optarg, 2);
        else if (c == 'i') o.pid = (long)number(optarg, 1);
        else if (c == '3') o.resp3 = true;
        else if (c == 'b') o.bare = true;
        else die("see the comment at the top of bench/fanout.c for the options", 0);
    }
    if (o.port == 0 || optind < argc) die("--port is missing, or there is one word too many", 0);
    if (o.private_every > 0) o.private_channels = true;
    return o;
}

int main(int argc, char **argv)
{
    static struct load load;
    load.o = parse(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return load.o.bare ? run_bare(&load.o) : run_load(&load);
}
