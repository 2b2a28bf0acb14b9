/* The figures of the gateway; those of connections are in conns.c. */
#include "http/gateway_priv.h"

static struct metric answers[] = {
    {.name = "leat_http_answers_total", .labels = "code=\"2xx\""},
    {.name = "leat_http_answers_total", .labels = "code=\"3xx\""},
    {.name = "leat_http_answers_total", .labels = "code=\"4xx\""},
    {.name = "leat_http_answers_total", .labels = "code=\"5xx\""},
};

struct metric http_metric_streams = {
    .name = "leat_http_streams", .help = "Open event streams.", .kind = METRIC_GAUGE};
struct metric http_metric_streams_max = {.name = "leat_http_streams_max",
                                         .help = "The bound on open event streams.",
                                         .kind = METRIC_GAUGE};
struct metric http_metric_slow_readers = {.name = "leat_http_slow_readers_total",
                                          .help =
                                              "Event streams closed because too much was unsent.",
                                          .kind = METRIC_COUNTER};
struct metric http_metric_stream_events = {.name = "leat_http_stream_events_total",
                                           .help = "Events written to event streams.",
                                           .kind = METRIC_COUNTER};
struct metric http_metric_refused_streams = {.name = "leat_http_refused_total",
                                             .labels = "reason=\"streams\"",
                                             .help = "Requests refused, by reason.",
                                             .kind = METRIC_COUNTER};
struct metric http_metric_refused_host = {.name = "leat_http_refused_total",
                                          .labels = "reason=\"host\"",
                                          .help = "Requests refused, by reason.",
                                          .kind = METRIC_COUNTER};
struct metric http_metric_refused_origin = {.name = "leat_http_refused_total",
                                            .labels = "reason=\"origin\"",
                                            .help = "Requests refused, by reason.",
                                            .kind = METRIC_COUNTER};

void http_metrics_register(void)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        answers[i].help = "Answers of the HTTP gateway, by class of status.";
        answers[i].kind = METRIC_COUNTER;
        metrics_register(&answers[i]);
    }
    metrics_register(&http_metric_streams);
    metrics_register(&http_metric_streams_max);
    metrics_register(&http_metric_slow_readers);
    metrics_register(&http_metric_stream_events);
    metrics_register(&http_metric_refused_streams);
    metrics_register(&http_metric_refused_host);
    metrics_register(&http_metric_refused_origin);
}

void http_metric_count_answer(int status)
{
    int class = status / 100;
    if (class >= 2 && class <= 5) metric_add(&answers[class - 2], 1);
}
