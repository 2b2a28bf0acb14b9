/* The runner with its real connections on a real server: Debian's redis-server when it is there,
 * and whatever LEAT_TEST_URL names otherwise or besides. What it counts must be what was sent, also
 * when somebody kills its connections all the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rand.h"
#include "client/sync.h"
#include "flow/file.h"
#include "flow/source_fake.h"

#define REDIS_SERVER "/usr/bin/redis-server"

static const char series_file[] =
    "sources: {s: {type: lines, url: http://x, publish: [{topic: wiki}]}}\n"
    "topics: {wiki: {}}\n"
    "views: {v: {type: timeseries, topic: wiki, interval: 10s, history: 60s, total: ev,\n"
    "            by: d, series: 'ev:{value}', members: known}}\n";

static const char *url;
static struct leat_sync *look; /* the test's own connection */
static struct event_base *base;
static struct flow *flow;
static struct flow_runner *runner;

/* ---- The server ---- */

static pid_t start_redis(int port)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", port);
    pid_t pid = fork();
    if (pid != 0) return pid;
    execl(REDIS_SERVER, "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "",
          "--daemonize", "no", "--loglevel", "warning", "--dir", "/tmp", (char *)NULL);
    _exit(127);
}

static bool open_look(void)
{
    char error[256];
    for (int i = 0; i < 100; i++) {
        look = leat_sync_open(url, 5000, error, sizeof(error));
        if (look != NULL) return true;
        usleep(50 * 1000);
    }
    return false;
}

static long long ask_integer(const char *format, const char *argument)
{
    struct leat_reply *reply = leat_sync_commandf(look, format, argument);
    assert_non_null(reply);
    assert_int_equal(leat_reply_type(reply), LEAT_INTEGER);
    long long n = leat_reply_integer(reply);
    leat_sync_reply_free(reply);
    return n;
}

static void do_command(const char *format, const char *argument)
{
    struct leat_reply *reply = leat_sync_commandf(look, format, argument);
    assert_non_null(reply);
    assert_int_not_equal(leat_reply_type(reply), LEAT_ERROR);
    leat_sync_reply_free(reply);
}

static long long hash_sum(const char *key)
{
    struct leat_reply *reply = leat_sync_commandf(look, "HVALS %s", key);
    assert_non_null(reply);
    long long sum = 0;
    for (size_t i = 0; i < leat_reply_count(reply); i++) {
        size_t len;
        sum += atoll(leat_reply_text(leat_reply_at(reply, i), &len));
    }
    leat_sync_reply_free(reply);
    return sum;
}

/* Ends the runner's connections whose name begins so; how many. */
static int kill_connections(const char *name)
{
    char wanted[64], id[32];
    snprintf(wanted, sizeof(wanted), " name=%s", name);
    struct leat_reply *list = leat_sync_commandf(look, "CLIENT LIST");
    assert_non_null(list);
    size_t len;
    int killed = 0;
    for (const char *line = leat_reply_text(list, &len); line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *at = strstr(line, wanted);
        if (at != NULL && end != NULL && at < end && sscanf(line, "id=%31[0-9]", id) == 1) {
            leat_sync_reply_free(leat_sync_commandf(look, "CLIENT KILL ID %s", id));
            killed++;
        }
        line = end == NULL ? NULL : end + 1;
    }
    leat_sync_reply_free(list);
    return killed;
}

/* ---- The runner ---- */

static struct leat_client *make_client(void *arg, const char *name, flow_state_fn on_state,
                                       void *state_arg)
{
    const char *error;
    return leat_client_new(base,
                           &(struct leat_options){.url = url,
                                                  .name = name,
                                                  .backoff_min_ms = 1,
                                                  .backoff_max_ms = 2,
                                                  .on_state = on_state,
                                                  .arg = state_arg},
                           &error);
}

static void start_runner(size_t ahead_max, bool exact)
{
    struct buf errors = {0};
    do_command("FLUSHALL", NULL);
    assert_int_equal(flow_load_text("f", bytes_of(series_file), NULL, &errors, &flow), 0);
    base = event_base_new();
    runner = flow_runner_new(
        flow, &(struct flow_runner_options){
                  .base = base, .connect = make_client, .ahead_max = ahead_max, .exact = exact});
    assert_non_null(runner);
    for (int i = 0; i < 5000 && fake_source(0) == NULL; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        usleep(1000);
    }
    assert_non_null(fake_source(0));
}

static void stop_runner(void)
{
    flow_runner_free(runner);
    fake_sources_fini();
    event_base_free(base);
    flow_free(flow);
}

static struct flow_source_status source_status_now(void)
{
    struct flow_source_status status;
    flow_source_status(runner, 0, &status);
    return status;
}

static struct flow_view_status view_status_now(void)
{
    struct flow_view_status status;
    flow_view_status(runner, 0, &status);
    return status;
}

/* Waits until the views have counted all that was sent; false after 20 seconds. */
static bool wait_for_views(void)
{
    for (int i = 0; i < 20000; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (source_status_now().ahead == 0) return true;
        usleep(1000);
    }
    return false;
}

/* Old buckets are swept beside the counting, so a little later than it perhaps. */
static bool wait_for_sweep(void)
{
    for (int i = 0; i < 10000; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (ask_integer("HEXISTS ev %s", "1000") == 0) return true;
        usleep(1000);
    }
    return false;
}

/* Sends events as fast as the source may, at most `burst` a turn; with `kill` set ends connections
 * of that name every so often. False when it took over a minute. */
static bool send_events(int events, int burst, const char *kill)
{
    time_t end = time(NULL) + 60;
    int sent = 0, turns = 0;
    while (sent < events && time(NULL) < end) {
        for (int i = 0; i < burst && sent < events && !fake_source_paused(fake_source(0)); i++)
            fake_source_event(fake_source(0), sent++ % 3 == 0 ? "{\"d\":\"a\"}" : "{\"d\":\"b\"}");
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (kill != NULL && turns++ % 5 == 0) kill_connections(kill);
    }
    return sent == events;
}

/* ---- Tests ---- */

static void test_counts(void **state)
{
    start_runner(500, false);
    do_command("HSET ev 1000 1 note 1", NULL);
    assert_true(send_events(50000, 1000, NULL));
    assert_true(wait_for_views());
    assert_true(wait_for_sweep());
    /* `note` is no bucket and stays; 1000 is an old one. */
    assert_int_equal(hash_sum("ev"), 50000 + 1);
    assert_int_equal(hash_sum("ev:a"), 16667);
    assert_int_equal(hash_sum("ev:b"), 33333);
    assert_int_equal(ask_integer("SCARD %s", "known"), 2);
    assert_int_equal(ask_integer("DBSIZE", NULL), 4);
    assert_int_equal(source_status_now().published, 50000);
    assert_int_equal(view_status_now().processed, 50000);
    assert_int_equal(view_status_now().errors, 0);
    stop_runner();
}

static void test_exact(void **state)
{
    start_runner(200, true);
    assert_true(send_events(20000, 20, "leat-view-v-writes"));
    assert_true(wait_for_views());
    assert_int_equal(hash_sum("ev"), 20000);
    assert_int_equal(hash_sum("ev:a"), 6667);
    assert_true(view_status_now().errors > 0);
    print_message("batches sent again: %llu\n", (unsigned long long)view_status_now().sent_again);
    stop_runner();
}

/* Messages in flight are published again, and counted once more if they had arrived. */
static void test_republish(void **state)
{
    start_runner(200, true);
    assert_true(send_events(5000, 20, "leat-source-s"));
    assert_true(wait_for_views());
    assert_true(hash_sum("ev") >= 5000);
    assert_true(hash_sum("ev") <= 5000 + (long long)source_status_now().republished);
    assert_int_equal(source_status_now().published, 5000);
    print_message("messages published again: %llu\n",
                  (unsigned long long)source_status_now().republished);
    stop_runner();
}

/* A subscription that breaks loses what is published until it is back, and nothing gets stuck. */
static void test_subscription(void **state)
{
    start_runner(100, true);
    assert_true(send_events(3000, 20, "leat-view-v-reads"));
    assert_true(wait_for_views());
    assert_true(hash_sum("ev") <= 3000);
    assert_true(hash_sum("ev") > 0);
    stop_runner();
}

static void test_wrong_type(void **state)
{
    start_runner(100, false);
    do_command("SET ev x", NULL);
    assert_true(send_events(10, 10, NULL));
    assert_true(wait_for_views());
    assert_int_equal(hash_sum("ev:a"), 4); /* the others go on */
    assert_non_null(strstr(view_status_now().last_error, "WRONGTYPE"));
    stop_runner();
}

static void test_drain(void **state)
{
    start_runner(100000, false);
    for (int i = 0; i < 5000; i++) fake_source_event(fake_source(0), "{\"d\":\"a\"}");
    assert_true(flow_runner_drain(runner, 20000));
    assert_true(fake_source_paused(fake_source(0)));
    assert_int_equal(hash_sum("ev"), 5000);
    /* Nothing more can be counted, and it gives up. */
    do_command("CLIENT PAUSE 300 ALL", NULL);
    fake_source_event(fake_source(0), "{\"d\":\"a\"}");
    assert_false(flow_runner_drain(runner, 50));
    assert_true(flow_runner_drain(runner, 20000));
    assert_int_equal(hash_sum("ev"), 5001);
    stop_runner();
}

static int run_all(const char *which)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),     cmocka_unit_test(test_exact),
        cmocka_unit_test(test_republish),  cmocka_unit_test(test_subscription),
        cmocka_unit_test(test_wrong_type), cmocka_unit_test(test_drain),
    };
    if (!open_look()) {
        print_error("no connection to %s\n", which);
        return 1;
    }
    int failed = cmocka_run_group_tests_name(which, tests, NULL, NULL);
    leat_sync_close(look);
    return failed;
}

int main(void)
{
    int failed = 0;
    signal(SIGPIPE, SIG_IGN);
    if (access(REDIS_SERVER, X_OK) == 0) {
        char address[64];
        struct rng rng;
        rng_seed_random(&rng);
        /* Below the ports of outgoing connections, one of which may have taken it. */
        int port = 15000 + (int)rng_below(&rng, 17000);
        snprintf(address, sizeof(address), "redis://127.0.0.1:%d", port);
        url = address;
        pid_t pid = start_redis(port);
        failed += run_all("redis-server");
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    } else {
        print_message("skipped on redis-server: no " REDIS_SERVER "\n");
    }
    url = getenv("LEAT_TEST_URL");
    if (url != NULL) failed += run_all("LEAT_TEST_URL");
    return failed;
}
