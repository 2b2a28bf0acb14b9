/* `leat replay` and `leat simulate` end to end: each runs as a child process, and a source of the
 * flows' reads from it, well behaved or not. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/feed_server.h"
#include "flow/source.h"

enum { EVENTS = 1000, PER_ID = 7 };

struct fixture {
    char path[64], url[128];
    FILE *ready;
    pid_t child;
    struct event_base *base;
    struct source *source;
    struct source_status status;
    uint8_t seen[EVENTS];
    int distinct, events;
    bool in_order;
    struct buf log;
};

/* Events that carry their number; PER_ID of them share an id; the last one is cut short. */
static void write_recording(const char *path)
{
    FILE *file = fopen(path, "wb");
    fprintf(file, ":ok\n\n");
    for (int i = 0; i < EVENTS; i++) {
        fprintf(file, "id: [{\"timestamp\":%d}]\ndata: %d \xc3\xa9\n\n", 1000 + i / PER_ID, i);
    }
    fprintf(file, "id: x\ndata: 0\n");
    fclose(file);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/leat-replay-XXXXXX");
    close(mkstemp(f->path));
    write_recording(f->path);
    f->base = event_base_new();
    f->in_order = true;
    *state = f;
    return 0;
}

static void stop_child(struct fixture *f, int signal)
{
    int status;
    kill(f->child, signal);
    assert_int_equal(waitpid(f->child, &status, 0), f->child);
    f->child = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    source_free(f->source);
    if (f->child > 0) stop_child(f, SIGTERM);
    if (f->ready != NULL) fclose(f->ready);
    event_base_free(f->base);
    unlink(f->path);
    buf_fini(&f->log);
    free(f);
    return 0;
}

/* Runs a subcommand in a child and waits for its `ready` line. `options` ends with NULL. */
static void start(struct fixture *f, int (*command)(int, char **), const char *const *options)
{
    char *argv[16] = {"leat test"};
    int argc = 1, out[2];
    for (; *options != NULL; options++) argv[argc++] = (char *)*options;
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    f->child = fork();
    if (f->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        exit(command(argc, argv));
    }
    close(out[1]);
    f->ready = fdopen(out[0], "r");
    assert_int_equal(fscanf(f->ready, "ready %100s", f->url), 1);
}

#define START(f, command, ...) start(f, command, (const char *const[]){__VA_ARGS__, NULL})

static void on_event(void *arg, struct bytes id, struct bytes name, struct bytes data)
{
    struct fixture *f = arg;
    int number = atoi(data.data);
    if (f->log.len < 100000) buf_printf(&f->log, "%.*s\n", (int)data.len, data.data);
    if (number != f->events++) f->in_order = false;
    if (number < 0 || number >= EVENTS) return;
    f->distinct += f->seen[number] == 0;
    f->seen[number] = 1;
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void turn(struct fixture *f)
{
    struct timeval tv = {0, 5000};
    event_base_loopexit(f->base, &tv);
    event_base_loop(f->base, EVLOOP_ONCE);
    source_status(f->source, &f->status);
}

static void run_for(struct fixture *f, int ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end;) turn(f);
}

static void read_from(struct fixture *f, enum source_type type)
{
    struct source_options o = {
        .type = type, .url = f->url, .backoff_min_ms = 10, .on_event = on_event, .arg = f};
    f->source = source_new(f->base, &o);
}

#define wait_for(condition)                                                                        \
    do {                                                                                           \
        int64_t until_ = now_ms() + 20000;                                                         \
        while (!(condition)) {                                                                     \
            if (now_ms() > until_)                                                                 \
                fail_msg("not in 20 s: %s; %d events, %d distinct, last error: %s", #condition,    \
                         f->events, f->distinct,                                                   \
                         f->status.last_error != NULL ? f->status.last_error : "none");            \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

static void test_each_event_once_and_not_the_cut_one(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--heartbeat", "1");
    read_from(f, SOURCE_SSE);
    wait_for(f->events == EVENTS);
    run_for(f, 1500); /* a heartbeat must not bring the cut one to life */
    assert_int_equal(f->events, EVENTS);
    assert_true(f->in_order);
    assert_int_equal(f->status.reconnects, 0);
}

static void test_several_clients_at_once(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet");
    read_from(f, SOURCE_SSE);
    struct source *first = f->source;
    read_from(f, SOURCE_SSE);
    wait_for(f->events == 2 * EVENTS);
    assert_int_equal(f->distinct, EVENTS);
    source_free(first);
}

static void test_as_lines(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--as", "ndjson");
    read_from(f, SOURCE_LINES);
    wait_for(f->events == EVENTS);
    assert_true(f->in_order);
}

static void test_dropped_connections_lose_nothing(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--drop-after", "100");
    read_from(f, SOURCE_SSE);
    wait_for(f->distinct == EVENTS);
    assert_in_range(f->status.reconnects, 9, 11);
    assert_in_range(f->events, EVENTS, EVENTS + 11 * PER_ID);
}

static void test_drops_within_one_id_still_get_on(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--drop-after", "2", "--split");
    read_from(f, SOURCE_SSE);
    wait_for(f->distinct > 20 * PER_ID);
}

static void test_duplicates(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--duplicate", "0.2");
    read_from(f, SOURCE_SSE);
    wait_for(f->distinct == EVENTS);
    run_for(f, 50);
    assert_in_range(f->events, EVENTS * 11 / 10, EVENTS * 13 / 10);
}

static void test_hangs(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--hang-after", "10");
    read_from(f, SOURCE_SSE);
    wait_for(f->events == 10);
    run_for(f, 200);
    assert_int_equal(f->events, 10);
    assert_int_equal(f->status.state, SOURCE_CONNECTED);
}

static void test_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--split");
    read_from(f, SOURCE_SSE);
    wait_for(f->events >= 50);
    assert_true(f->in_order);
}

static void test_loops_without_the_cut_event(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_replay, f->path, "--max", "--quiet", "--loop");
    read_from(f, SOURCE_SSE);
    wait_for(f->events >= EVENTS + 10);
    assert_int_equal(f->distinct, EVENTS);
}

static void test_keeps_the_recorded_time(void **state)
{
    struct fixture *f = *state;
    /* 143 ids of one millisecond each: at a tenth of the speed 1.4 s. */
    START(f, cmd_replay, f->path, "--speed", "0.1", "--quiet", "--close-at-end");
    int64_t begin = now_ms();
    read_from(f, SOURCE_SSE);
    wait_for(f->events == EVENTS);
    assert_in_range(now_ms() - begin, 1300, 5000);
    wait_for(f->status.state == SOURCE_WAITING);
    assert_int_equal(f->status.errors, 0); /* it ended in good order */
}

static void test_simulates(void **state)
{
    struct fixture *f = *state;
    START(f, cmd_simulate, "wiki", "--rate", "500", "--seed", "3");
    read_from(f, SOURCE_SSE);
    wait_for(f->events >= 100);
    assert_non_null(memmem(f->log.data, f->log.len, "\"simulated\":true}\n", 18));
    source_free(f->source);
    f->source = NULL;
    stop_child(f, SIGINT);
}

/* -- real recordings, where they are ----------------------------------------------------------- */

static void replay_real(struct fixture *f, const char *name, const char *as, int want)
{
    const char *folder = getenv("LEAT_TEST_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : ".", name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: there is no %s in LEAT_TEST_DATA\n", name);
        skip();
    }
    START(f, cmd_replay, path, "--max", "--quiet", "--as", as);
    read_from(f, strcmp(as, "sse") == 0 ? SOURCE_SSE : SOURCE_LINES);
    wait_for(f->events >= want);
    run_for(f, 200);
    assert_int_equal(f->events, want);
}

static void test_the_recording_of_2021(void **state)
{
    replay_real(*state, "recentchange-2021-08-27.raw.sse.xz", "sse", 1949);
}

static void test_the_recording_of_2023(void **state)
{
    replay_real(*state, "recentchange-2023-01-25.sse.xz", "sse", 11967);
}

static void test_the_recording_of_tweets(void **state)
{
    replay_real(*state, "tweets-2015-08-16.ndjson", "ndjson", 5830);
}

/* ---------------------------------------------------------------------------------------------- */

static void test_request_heads(void **state)
{
    static const struct {
        const char *head;
        int status;
        bool http_1_0;
        const char *id;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 200, false, ""},
        {"GET /v2/stream/x?y=1 HTTP/1.0\r\n\r\n", 200, true, ""},
        {"GET / HTTP/1.1\r\nHost: a\r\nlast-event-ID:  [{\"a\": 1}] \r\n\r\n", 200, false,
         "[{\"a\": 1}]"},
        {"GET / HTTP/1.1\r\nLast-Event-ID:\r\nX-Last-Event-ID: no\r\n\r\n", 200, false, ""},
        {"POST / HTTP/1.1\r\n\r\n", 405, false, ""},
        {"GET / HTTP/2\r\n\r\n", 400, false, ""},
        {"GET\r\n\r\n", 400, false, ""},
        {"\r\n\r\n", 400, false, ""},
        {"", 400, false, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feed_request r;
        feed_request_parse(bytes_of(cases[i].head), &r);
        assert_int_equal(r.status, cases[i].status);
        if (r.status == 200) assert_int_equal(r.http_1_0, cases[i].http_1_0);
        assert_true(bytes_eq(r.last_event_id, bytes_of(cases[i].id)));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_heads),
        T(test_each_event_once_and_not_the_cut_one),
        T(test_several_clients_at_once),
        T(test_as_lines),
        T(test_dropped_connections_lose_nothing),
        T(test_drops_within_one_id_still_get_on),
        T(test_duplicates),
        T(test_hangs),
        T(test_byte_by_byte),
        T(test_loops_without_the_cut_event),
        T(test_keeps_the_recorded_time),
        T(test_simulates),
        T(test_the_recording_of_2021),
        T(test_the_recording_of_2023),
        T(test_the_recording_of_tweets),
    };
    unsetenv("http_proxy"); /* the feed is here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
