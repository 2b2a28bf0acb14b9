/* The text format line by line, quantiles, and updates from several threads. */
#include "base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct metric syncs = {.name = "leat_test_syncs_total",
                              .help = "Syncs\\ by\nkind",
                              .kind = METRIC_COUNTER,
                              .labels = "policy=\"always\""};
static struct metric syncs_none = {.name = "leat_test_syncs_total",
                                   .help = "Syncs\\ by\nkind",
                                   .kind = METRIC_COUNTER,
                                   .labels = "policy=\"no\""};
static struct metric clients = {
    .name = "leat_test_clients", .help = "Clients", .kind = METRIC_GAUGE};
static struct metric wait_time = {
    .name = "leat_test_wait_seconds", .help = "Waiting", .kind = METRIC_HISTOGRAM_US};
static struct metric wait_labelled = {.name = "leat_test_wait_seconds",
                                      .help = "Waiting",
                                      .kind = METRIC_HISTOGRAM_US,
                                      .labels = "who=\"me\""};

static int64_t read_clients(void)
{
    return 42;
}

static void has(const struct buf *b, const char *text)
{
    if (memmem(b->data, b->len, text, strlen(text)) == NULL)
        fail_msg("missing: %s\nin:\n%.*s", text, (int)b->len, b->data);
}

static void exposition(void **state)
{
    struct buf b = {0};
    metrics_register(&syncs);
    metrics_register(&clients);
    metrics_register(&syncs_none);
    metrics_register(&clients);
    metric_add(&syncs, 3);
    metric_add(&syncs_none, 4);
    clients.read = read_clients;
    metrics_expose(&b);
    has(&b, "# HELP leat_test_clients Clients\n# TYPE leat_test_clients gauge\n"
            "leat_test_clients 42\n"
            "# HELP leat_test_syncs_total Syncs\\\\ by\\nkind\n"
            "# TYPE leat_test_syncs_total counter\n"
            "leat_test_syncs_total{policy=\"always\"} 3\n"
            "leat_test_syncs_total{policy=\"no\"} 4\n");
    clients.read = NULL;
    metric_set(&clients, -1);
    b.len = 0;
    metrics_expose(&b);
    has(&b, "\nleat_test_clients -1\n");
    char *once = memmem(b.data, b.len, "leat_test_clients -1", 20);
    assert_null(memmem(once + 1, b.len - (size_t)(once + 1 - b.data), "leat_test_clients -1", 20));
    buf_fini(&b);
}

static struct metric held = {.name = "leat_test_held_bytes", .help = "Held", .kind = METRIC_GAUGE};

/* One series, whatever it was about before. */
static void about_something(void **state)
{
    struct buf b = {0}, labels = {0};
    metrics_register(&held);
    metrics_put_label(&labels, "stream", BYTES("orders"));
    metrics_put_label(&labels, "group", BYTES("a\"b\\c\nd\xff"));
    metric_set_about(&held, buf_bytes(&labels), 7);
    metrics_expose(&b);
    has(&b, "leat_test_held_bytes{stream=\"orders\",group=\"a\\\"b\\\\c\\\\x0ad\\\\xff\"} 7\n");
    metric_set_about(&held, buf_bytes(&labels), 8);
    b.len = labels.len = 0;
    char many[METRIC_LABEL_MAX + 1];
    memset(many, 'x', sizeof many);
    metrics_put_label(&labels, "stream", (struct bytes){many, sizeof many});
    assert_int_equal(labels.len, strlen("stream=\"...\"") + METRIC_LABEL_MAX);
    metrics_expose(&b);
    has(&b, "} 8\n");
    metric_set_about(&held, BYTES("group=\"other\""), 9);
    b.len = 0;
    metrics_expose(&b);
    has(&b, "# TYPE leat_test_held_bytes gauge\nleat_test_held_bytes{group=\"other\"} 9\n");
    assert_null(memmem(b.data, b.len, "orders", 6));
    metric_set_about(&held, BYTES(""), 0);
    b.len = 0;
    metrics_expose(&b);
    has(&b, "\nleat_test_held_bytes 0\n");
    buf_fini(&labels);
    buf_fini(&b);
}

static void histogram(void **state)
{
    struct buf b = {0};
    metrics_register(&wait_time);
    metrics_register(&wait_labelled);
    assert_int_equal(metric_quantile_us(&wait_time, 0.5), 0);
    metric_observe_us(&wait_time, -5);
    metric_observe_us(&wait_time, 1);
    metric_observe_us(&wait_time, 2);
    metric_observe_us(&wait_time, 3);
    metric_observe_us(&wait_time, 4);
    metric_observe_us(&wait_time, 5);
    metric_observe_us(&wait_time, 8388608);
    metric_observe_us(&wait_time, 8388609);
    metrics_expose(&b);
    has(&b, "# TYPE leat_test_wait_seconds histogram\n"
            "leat_test_wait_seconds_bucket{le=\"0.000001\"} 2\n"
            "leat_test_wait_seconds_bucket{le=\"0.000002\"} 3\n"
            "leat_test_wait_seconds_bucket{le=\"0.000004\"} 5\n"
            "leat_test_wait_seconds_bucket{le=\"0.000008\"} 6\n");
    has(&b, "leat_test_wait_seconds_bucket{le=\"4.194304\"} 6\n"
            "leat_test_wait_seconds_bucket{le=\"8.388608\"} 7\n"
            "leat_test_wait_seconds_bucket{le=\"+Inf\"} 8\n"
            "leat_test_wait_seconds_sum 16.777232\n"
            "leat_test_wait_seconds_count 8\n"
            "leat_test_wait_seconds_bucket{who=\"me\",le=\"0.000001\"} 0\n");
    has(&b, "leat_test_wait_seconds_count{who=\"me\"} 0\n");
    assert_int_equal(metric_quantile_us(&wait_time, 0), 1);
    assert_int_equal(metric_quantile_us(&wait_time, 0.5), 4);
    assert_int_equal(metric_quantile_us(&wait_time, 0.75), 8);
    assert_int_equal(metric_quantile_us(&wait_time, 1), (int64_t)1 << METRIC_BUCKETS);
    buf_fini(&b);
}

static void *observe(void *arg)
{
    struct metric *own = arg;
    for (int i = 0; i < 20000; i++) {
        metric_add(&clients, 1);
        metric_observe_us(&wait_labelled, i);
        if (i % 1000 == 0) metrics_register(own);
    }
    return NULL;
}

static void threads(void **state)
{
    static struct metric own[4];
    static const char *const names[] = {"leat_test_d", "leat_test_c", "leat_test_b", "leat_test_a"};
    pthread_t thread[4];
    struct buf b = {0};
    metric_set(&clients, 0);
    for (int i = 0; i < 4; i++) {
        own[i] = (struct metric){.name = names[i], .help = "h", .kind = METRIC_GAUGE};
        assert_int_equal(pthread_create(&thread[i], NULL, observe, &own[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    assert_int_equal(metric_get(&clients), 80000);
    metrics_expose(&b);
    has(&b, "leat_test_wait_seconds_count{who=\"me\"} 80000\n");
    has(&b, "leat_test_a 0\n");
    has(&b, "leat_test_d 0\n");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition),
        cmocka_unit_test(about_something),
        cmocka_unit_test(histogram),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
