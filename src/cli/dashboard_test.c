/* Tests of the dashboard over HTTP. The client library and the flow are doubles written here: a
 * small keyspace whose replies come when the test says so, and a flow of three views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "cli/dashboard_priv.h"
#include "http/testing.h"

/* ---- A double of the client library ---- */

struct leat_reply {
    enum leat_type type;
    char text[64];
    size_t len;
    int64_t integer;
    struct leat_reply *at;
    size_t count;
};

struct call {
    char line[160]; /* the words, joined by spaces */
    leat_reply_fn fn;
    void *arg;
};

static struct call calls[4096];
static size_t call_count, answered; /* calls[answered .. call_count) wait */
static size_t asked_in_all;
static bool connected, refusing, failing;
static struct leat_reply arena_of_replies[8192];
static size_t replies_used;
static int64_t bucket; /* start of the running bucket, when the test began */

enum leat_type leat_reply_type(const struct leat_reply *r)
{
    return r->type;
}

const char *leat_reply_text(const struct leat_reply *r, size_t *ret_len)
{
    bool text = r->type == LEAT_STRING || r->type == LEAT_ERROR || r->type == LEAT_STATUS;
    if (ret_len) *ret_len = text ? r->len : 0;
    return text ? r->text : NULL;
}

int64_t leat_reply_integer(const struct leat_reply *r)
{
    return r->integer;
}

double leat_reply_double(const struct leat_reply *r)
{
    return (double)r->integer;
}

size_t leat_reply_count(const struct leat_reply *r)
{
    return r->count;
}

const struct leat_reply *leat_reply_at(const struct leat_reply *r, size_t index)
{
    must(index < r->count);
    return &r->at[index];
}

enum leat_state leat_client_state(const struct leat_client *c)
{
    return connected ? LEAT_CONNECTED : LEAT_WAITING;
}

int leat_commandf(struct leat_client *c, leat_reply_fn fn, void *arg, const char *format, ...)
{
    struct call *call = &calls[call_count];
    char *out = call->line;
    va_list ap;
    if (refusing) return -ENOBUFS;
    must(call_count < sizeof(calls) / sizeof(*calls));
    va_start(ap, format);
    for (const char *f = format; *f; f++) {
        if (strncmp(f, "%b", 2) == 0) {
            const char *data = va_arg(ap, const void *);
            size_t len = va_arg(ap, size_t);
            out += sprintf(out, "%.*s", (int)len, data);
            f++;
        } else if (strncmp(f, "%s", 2) == 0) {
            out += sprintf(out, "%s", va_arg(ap, const char *));
            f++;
        } else if (strncmp(f, "%lld", 4) == 0) {
            out += sprintf(out, "%lld", va_arg(ap, long long));
            f += 3;
        } else {
            *out++ = *f;
        }
    }
    *out = 0;
    va_end(ap);
    call->fn = fn;
    call->arg = arg;
    call_count++;
    asked_in_all++;
    return 0;
}

static struct leat_reply *replies(size_t n)
{
    struct leat_reply *r = &arena_of_replies[replies_used];
    replies_used += n;
    must(replies_used <= sizeof(arena_of_replies) / sizeof(*arena_of_replies));
    memset(r, 0, n * sizeof(*r));
    return r;
}

static struct leat_reply string(const char *text)
{
    struct leat_reply r = {.type = LEAT_STRING, .len = strlen(text)};
    memcpy(r.text, text, r.len + 1);
    return r;
}

static struct leat_reply number(int64_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)n);
    return string(text);
}

static struct leat_reply list(enum leat_type type, size_t n, ...)
{
    struct leat_reply r = {.type = type, .at = replies(n), .count = n};
    va_list ap;
    va_start(ap, n);
    for (size_t i = 0; i < n; i++) r.at[i] = va_arg(ap, struct leat_reply);
    va_end(ap);
    return r;
}

/* The keyspace. */
static struct leat_reply answer_to(const char *line)
{
    struct leat_reply error = {.type = LEAT_ERROR, .text = "WRONGTYPE so \"it\" is", .len = 20};
    if (failing) return error;
    if (strcmp(line, "PING") == 0) return string("PONG");
    if (strcmp(line, "HGETALL ev") == 0) {
        return list(LEAT_MAP, 8, number(bucket), number(7), number(bucket - 20), number(5),
                    number(bucket - 100000), number(99), string("junk"), string("junk"));
    }
    if (strcmp(line, "HGETALL ev:a.org") == 0) {
        return list(LEAT_ARRAY, 4, number(bucket), number(3), number(bucket - 20), number(1));
    }
    if (strcmp(line, "HGETALL ev:b \"x\"") == 0) {
        return list(LEAT_ARRAY, 2, number(bucket - 10), number(9));
    }
    if (strncmp(line, "HGETALL ", 8) == 0) return list(LEAT_ARRAY, 0);
    if (strcmp(line, "SSCAN known 0 COUNT 1000") == 0) {
        return list(LEAT_ARRAY, 2, string("17"), list(LEAT_ARRAY, 2, string("a.org"), string("z")));
    }
    if (strcmp(line, "SSCAN known 17 COUNT 1000") == 0) {
        return list(LEAT_ARRAY, 2, string("0"),
                    list(LEAT_ARRAY, 3, string("b \"x\""), string("a.org"), string("\xff")));
    }
    if (strcmp(line, "ZREVRANGE board 0 9 WITHSCORES") == 0) {
        return list(LEAT_ARRAY, 4, string("x\n"), string("12"), string("y"), string("1.5"));
    }
    if (strcmp(line, "ZREVRANGE board 0 0 WITHSCORES") == 0) {
        return list(LEAT_ARRAY, 1, list(LEAT_ARRAY, 2, string("x"), number(12)));
    }
    fail_msg("unexpected command: %s", line);
    return error;
}

/* Replies to everything asked so far, and to what is asked meanwhile. NULL replies when broken. */
static void pump(bool broken)
{
    while (answered < call_count) {
        struct call call = calls[answered++];
        struct leat_reply r;
        if (answered == call_count) answered = call_count = 0;
        if (!broken) r = answer_to(call.line);
        call.fn(call.arg, broken ? NULL : &r);
    }
    replies_used = 0;
}

/* ---- A double of the flow ---- */

static const struct flow_view views[] = {
    {.id = "changes",
     .type = FLOW_VIEW_TIMESERIES,
     .topic = "wiki",
     .total = "ev",
     .by = "meta.domain",
     .series = "ev:{value}",
     .members = "known",
     .interval_s = 10,
     .history_s = 60},
    {.id = "scores",
     .type = FLOW_VIEW_SCOREBOARD,
     .topic = "names",
     .key = "board",
     .top = 10,
     .serve = "/names"},
    {.id = "plain",
     .type = FLOW_VIEW_TIMESERIES,
     .topic = "wiki",
     .total = "ev",
     .interval_s = 30,
     .history_s = 60},
};

static uint64_t source_events;
static enum source_state state_of_source;

size_t flow_view_count(const struct flow *f)
{
    return 3;
}

const struct flow_view *flow_view_at(const struct flow *f, size_t index)
{
    return &views[index];
}

size_t flow_source_count(const struct flow_runner *r)
{
    return 1;
}

void flow_source_status(const struct flow_runner *r, size_t index, struct flow_source_status *ret)
{
    *ret = (struct flow_source_status){
        .id = "wikimedia",
        .source = {.state = state_of_source,
                   .url = "https://me:secret@feed.example/x",
                   .connected_since_ms = 1000,
                   .last_event_ms = 2000,
                   .events = source_events,
                   .reconnects = 2,
                   .errors = 1,
                   .last_error = "it \"broke\""},
        .published = 4,
        .duplicates = 5,
        .malformed = 6,
        .last_malformed = "no JSON: {\xff",
    };
}

void flow_view_status(const struct flow_runner *r, size_t index, struct flow_view_status *ret)
{
    *ret = (struct flow_view_status){.processed = 100 + index};
}

/* ---- The tests' ground ---- */

static struct event_base *base;
static struct gateway *gateway;
static struct dashboard *dash;
static struct test_client client;
static struct event *pumper;
static bool auto_pump;
static int a_flow, a_runner, a_client; /* addresses only */

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    if (auto_pump) pump(false);
}

static void start(bool with_flow)
{
    struct gateway_options options = {0};
    struct timeval often = {0, 2000};
    struct dashboard_options dash_options = {
        .version = "1.2.3",
        .client = (struct leat_client *)&a_client,
        .engine_url = "redis://user:hush@host:6379/2",
    };
    char *error = NULL;
    base = event_base_new();
    gateway = gateway_new(base, &options, &error);
    dash_options.base = base;
    if (with_flow) {
        dash_options.flow = (struct flow *)&a_flow;
        dash_options.runner = (struct flow_runner *)&a_runner;
    }
    dash = dashboard_new(gateway, &dash_options);
    client = (struct test_client){base, gateway_port(gateway), 2.5};
    pumper = event_new(base, -1, EV_PERSIST, on_pump, NULL);
    event_add(pumper, &often);
    call_count = answered = asked_in_all = 0;
    connected = auto_pump = true;
    refusing = failing = false;
    source_events = 0;
    state_of_source = SOURCE_CONNECTED;
    bucket = time(NULL) / 10 * 10;
}

static void stop(void)
{
    gateway_free(gateway);
    dashboard_free(dash);
    pump(true);
    event_free(pumper);
    event_base_free(base);
}

static int setup(void **state)
{
    start(true);
    return 0;
}

static int setup_bare(void **state)
{
    start(false);
    return 0;
}

static int teardown(void **state)
{
    stop();
    return 0;
}

static char *get(const char *target)
{
    return test_get(&client, target, "");
}

static void expect_body(char *answer, const char *body)
{
    char *at = strstr(answer, "\r\n\r\n");
    assert_non_null(at);
    assert_string_equal(at + 4, body);
}

/* ---- Status ---- */

static void test_status(void **state)
{
    char *text = get("/api/status");
    expect_in(text, "Content-Type: application/json\r\n");
    expect_in(text, "{\"version\":\"1.2.3\",\"now_ms\":");
    expect_in(text, "\"engine\":\"redis://user@host:6379/2\",\"broker\":\"connected\"");
    expect_in(text,
              "\"state\":\"connected\",\"simulated\":false,\"url\":\"https://me@feed.example/x\"");
    expect_in(text, "\"connected_since_ms\":1000,\"last_event_ms\":2000,");
    expect_in(text, "\"published\":4,\"duplicates\":5,\"malformed\":6,"
                    "\"last_malformed\":\"no JSON: {\xef\xbf\xbd\"");
    expect_in(text, "\"reconnects\":2,\"errors\":1,\"last_error\":\"it \\\"broke\\\"\"");
    expect_in(text, "{\"id\":\"changes\",\"type\":\"timeseries\",\"topic\":\"wiki\",\"by\":"
                    "\"meta.domain\",\"interval_s\":10,\"history_s\":60,\"processed\":100,");
    expect_in(text, "\"id\":\"scores\",\"type\":\"scoreboard\",\"topic\":\"names\",\"by\":null,"
                    "\"top\":10,\"serve\":\"/names\",\"processed\":101,");
    expect_not_in(text, "hush");
    expect_not_in(text, "secret");
    state_of_source = SOURCE_SIMULATED;
    expect_in(get("/api/status"), "\"state\":\"simulated\",\"simulated\":true");
}

static void test_status_without_a_flow(void **state)
{
    char *text = get("/api/status");
    expect_in(text, "\"sources\":[],\"views\":[],\"rate_per_s\":0}");
    expect_in(get("/api/series"), "HTTP/1.1 404 ");
    expect_in(get("/api/members"), "HTTP/1.1 404 ");
    expect_in(get("/api/scoreboard"), "HTTP/1.1 404 ");
    expect_in(get("/names"), "HTTP/1.1 404 ");
    expect_in(get("/"), "<!doctype html>");
}

static void test_rate(void **state)
{
    double began = test_now_s();
    char *at = NULL;
    double rate = 0;
    status_sample(dash);
    test_turn_for(&client, 0.3);
    source_events = 30;
    status_sample(dash);
    at = strstr(get("/api/status"), "\"rate_per_s\":");
    rate = strtod(at + 13, NULL);
    assert_true(rate > 30 / (test_now_s() - began) * 0.5 && rate < 30 / 0.3 * 1.05);
}

static void test_plain_url(void **state)
{
    static const char *const cases[][2] = {
        {"redis://h:1/2", "redis://h:1/2"},   {"redis://:p@h:1", "redis://h:1"},
        {"redis://u:p@h:1", "redis://u@h:1"}, {"redis://u@h", "redis://u@h"},
        {"redis://u:p@p@h", "redis://u@h"},   {"unix:///a?x=b:c@d", "unix:///a?x=b:c@d"},
        {"http://h/a:b@c", "http://h/a:b@c"}, {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *plain = status_plain_url(cases[i][0]);
        assert_string_equal(plain, cases[i][1]);
        mem_free(plain);
    }
}

/* ---- Questions ---- */

static void test_series(void **state)
{
    char want[512], *text = get("/api/series?view=changes&key=a.org&key=b+%22x%22&key=none");
    snprintf(want, sizeof(want),
             "{\"view\":\"changes\",\"interval_s\":10,\"from\":%lld,\"to\":%lld,"
             "\"total\":[0,0,0,5,0,7],\"series\":["
             "{\"key\":\"a.org\",\"values\":[0,0,0,1,0,3]},"
             "{\"key\":\"b \\\"x\\\"\",\"values\":[0,0,0,0,9,0]},"
             "{\"key\":\"none\",\"values\":[0,0,0,0,0,0]}]}",
             (long long)bucket - 50, (long long)bucket);
    if (time(NULL) / 10 * 10 != bucket) return; /* an interval ended under our feet */
    expect_body(text, want);
    expect_in(get("/api/series?view=plain"), "\"series\":[]}");
    expect_in(get("/api/series?view=plain&key=a"), "{\"key\":\"a\",\"values\":[0,0]}");
    expect_in(get("/api/series"), "\"view\":\"changes\"");
    expect_in(get("/api/series?view=scores"), "HTTP/1.1 404 ");
}

static void test_too_many_keys(void **state)
{
    char target[400] = "/api/series?";
    for (int i = 0; i <= DASH_KEYS_MAX; i++) strcat(target, "key=k&");
    expect_in(get(target), "HTTP/1.1 400 ");
    memcpy(target, "/api/events?", 12);
    expect_in(get(target), "HTTP/1.1 400 ");
}

static void test_members(void **state)
{
    expect_body(get("/api/members?view=changes"),
                "[{\"key\":\"b \\\"x\\\"\",\"count\":9},{\"key\":\"a.org\",\"count\":4},"
                "{\"key\":\"z\",\"count\":0},{\"key\":\"\xef\xbf\xbd\",\"count\":0}]");
    expect_body(get("/api/members?view=plain"), "[]");
    asked_in_all = 0;
    get("/api/members");
    assert_int_equal(asked_in_all, 0); /* fresh enough */
}

static void test_scores(void **state)
{
    expect_body(get("/api/scoreboard?view=scores"),
                "{\"view\":\"scores\",\"top\":[{\"member\":\"x\\n\",\"score\":12},"
                "{\"member\":\"y\",\"score\":1.5}]}");
    expect_body(get("/api/scoreboard?top=1"),
                "{\"view\":\"scores\",\"top\":[{\"member\":\"x\",\"score\":12}]}");
    expect_body(get("/names"),
                "[{\"member\":\"x\\n\",\"score\":12},{\"member\":\"y\",\"score\":1.5}]");
    expect_in(get("/api/scoreboard?top=0"), "HTTP/1.1 400 ");
    expect_in(get("/api/scoreboard?top=many"), "HTTP/1.1 400 ");
}

static void test_health_and_metrics(void **state)
{
    expect_body(get("/healthz"), "ok\n");
    expect_body(get("/readyz"), "ready\n");
    expect_in(get("/metrics"), "Content-Type: text/plain; version=0.0.4");
    expect_in(get("/metrics"), "\nleat_http_answers_total{code=\"2xx\"} ");
    expect_in(get("/app.js"), "Content-Type: text/javascript");
    expect_in(get("/uplot.js"), "HTTP/1.1 200 OK");
    expect_in(get("/licenses.txt"), "Copyright");
}

/* ---- Trouble ---- */

static void test_not_connected(void **state)
{
    connected = false;
    expect_in(get("/readyz"), "HTTP/1.1 503 ");
    expect_in(get("/api/series"), "the broker is not connected");
    expect_in(get("/api/members"), "HTTP/1.1 503 ");
    expect_in(get("/names"), "HTTP/1.1 503 ");
    expect_in(get("/api/status"), "\"broker\":\"waiting\"");
    expect_body(get("/healthz"), "ok\n");
}

static void test_errors_of_the_broker(void **state)
{
    failing = true;
    expect_in(get("/api/series?key=a"), "HTTP/1.1 502 ");
    expect_in(get("/api/members"), "{\"error\":\"WRONGTYPE so \\\"it\\\" is\"}");
    expect_in(get("/names"), "HTTP/1.1 502 ");
    expect_in(get("/readyz"), "HTTP/1.1 503 ");
    failing = false;
    expect_in(get("/names"), "HTTP/1.1 200 ");
}

static void test_refused_by_the_client(void **state)
{
    refusing = true;
    expect_in(get("/api/series?key=a"), "HTTP/1.1 502 ");
    expect_in(get("/api/members"), "HTTP/1.1 502 ");
    expect_in(get("/names"), "HTTP/1.1 503 ");
    expect_in(get("/readyz"), "HTTP/1.1 503 ");
}

static void ask_and_break(const char *target, const char *status)
{
    char request[256];
    int fd = test_dial(&client);
    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    test_say(fd, request);
    test_turn_for(&client, 0.05);
    pump(true);
    expect_in(test_hear(&client, fd, NULL, NULL), status);
    close(fd);
}

static void test_connection_breaks(void **state)
{
    auto_pump = false;
    ask_and_break("/api/series?key=a", "HTTP/1.1 502 ");
    ask_and_break("/api/members", "HTTP/1.1 502 ");
    ask_and_break("/names", "HTTP/1.1 502 ");
    ask_and_break("/readyz", "HTTP/1.1 503 ");
}

/* Gateway and dashboard go while questions are under way; their replies come after (teardown). */
static void test_freed_under_way(void **state)
{
    static const char *const targets[] = {"/api/series?key=a", "/api/members", "/names", "/readyz"};
    int fds[4];
    auto_pump = false;
    for (int i = 0; i < 4; i++) {
        char request[256];
        fds[i] = test_dial(&client);
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 targets[i]);
        test_say(fds[i], request);
    }
    test_turn_for(&client, 0.05);
    assert_int_equal(call_count, 5);
    gateway_free(gateway);
    dashboard_free(dash);
    pump(false);
    for (int i = 0; i < 4; i++) close(fds[i]);
    event_free(pumper);
    event_base_free(base);
    start(true);
}

static void test_one_question_for_many(void **state)
{
    int fds[5];
    auto_pump = false;
    for (int i = 0; i < 5; i++) {
        fds[i] = test_dial(&client);
        test_say(fds[i], "GET /names HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    test_turn_for(&client, 0.05);
    assert_int_equal(call_count, 1);
    auto_pump = true;
    for (int i = 0; i < 5; i++) {
        expect_in(test_hear(&client, fds[i], NULL, NULL), "\"score\":12");
        close(fds[i]);
    }
}

/* ---- Event streams ---- */

static int open_events(const char *query)
{
    char request[256];
    int fd = test_dial(&client);
    snprintf(request, sizeof(request), "GET /api/events?%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             query);
    test_say(fd, request);
    return fd;
}

static int times(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

static void test_events(void **state)
{
    int fd = open_events("view=changes&key=a.org");
    char *text = test_hear(&client, fd, "event: members", NULL);
    expect_in(text, "event: status\ndata: {\"version\":");
    expect_in(text, "event: series\ndata: {\"view\":\"changes\",");
    expect_in(text, "{\"key\":\"a.org\",\"values\":[");
    expect_in(text, "event: scoreboard\ndata: {\"view\":\"scores\",");
    text = test_hear(&client, fd, NULL, NULL); /* two ticks or three */
    assert_in_range(times(text, "event: status"), 2, 3);
    assert_int_equal(times(text, "event: scoreboard"), 0); /* it did not change */
    assert_int_equal(times(text, "event: members"), 0);
    close(fd);
    test_turn_for(&client, 0.05);
    assert_null(dash->viewers);
}

static void test_viewers_share(void **state)
{
    int fds[4];
    size_t alone = 0;
    fds[0] = open_events("key=a.org");
    test_hear(&client, fds[0], "event: members", NULL);
    alone = map_count(&dash->panels);
    for (int i = 1; i < 4; i++) {
        fds[i] = open_events("key=a.org");
        expect_in(test_hear(&client, fds[i], "event: members", NULL), "event: series");
    }
    assert_int_equal(map_count(&dash->panels), alone);
    asked_in_all = 0;
    test_turn_for(&client, 2.05);
    assert_in_range(asked_in_all, 3, 9); /* 3 a second, whoever looks */
    for (int i = 0; i < 4; i++) close(fds[i]);
    test_turn_for(&client, 0.05);
    asked_in_all = 0;
    test_turn_for(&client, 1.1);
    assert_int_equal(asked_in_all, 0); /* nobody looks, nothing is asked */
}

static void test_events_while_the_broker_is_away(void **state)
{
    int fd = -1;
    char *text = NULL;
    connected = false;
    fd = open_events("view=gone");
    text = test_hear(&client, fd, "event: status", NULL);
    expect_in(text, "\"broker\":\"waiting\"");
    expect_not_in(text, "event: series");
    connected = true;
    expect_in(test_hear(&client, fd, "event: series", NULL), "\"view\":\"changes\"");
    close(fd);
}

static void test_head_of_events(void **state)
{
    char *text = test_ask(&client, "HEAD /api/events HTTP/1.1\r\nHost: localhost\r\n"
                                   "Connection: close\r\n\r\n");
    expect_in(text, "text/event-stream");
    assert_null(dash->viewers);
}

#define with_flow(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_flow(test_status),
        cmocka_unit_test_setup_teardown(test_status_without_a_flow, setup_bare, teardown),
        with_flow(test_rate),
        cmocka_unit_test(test_plain_url),
        with_flow(test_series),
        with_flow(test_too_many_keys),
        with_flow(test_members),
        with_flow(test_scores),
        with_flow(test_health_and_metrics),
        with_flow(test_not_connected),
        with_flow(test_errors_of_the_broker),
        with_flow(test_refused_by_the_client),
        with_flow(test_connection_breaks),
        with_flow(test_freed_under_way),
        with_flow(test_one_question_for_many),
        with_flow(test_events),
        with_flow(test_viewers_share),
        with_flow(test_events_while_the_broker_is_away),
        with_flow(test_head_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
