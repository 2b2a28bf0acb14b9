/* Figures that INFO shows: samples of rates, errors by code. */
#include "base/mem.h"
#include "broker/error_stats.h"
#include "broker/internal.h"

enum { SAMPLE_MS = 100, SAMPLES = 16, ERROR_KINDS_MAX = 128 };

static struct bytes code_of(const void *item)
{
    const struct error_stat *e = item;
    return (struct bytes){e->code, e->len};
}

static const struct map_type error_type = {.key = code_of, .free = mem_free};

void broker_stats_init(struct broker *b)
{
    map_init(&b->error_stats, &error_type);
    broker_metrics_register();
}

void broker_stats_fini(struct broker *b)
{
    map_clear(&b->error_stats);
}

/* `reply` begins with '-'; the code is its first word. */
void broker_count_error(struct broker *b, struct bytes reply)
{
    struct bytes code = {reply.data + 1, 0};
    while (code.len + 1 < reply.len && code.len < sizeof((struct error_stat *)0)->code &&
           code.data[code.len] != ' ' && code.data[code.len] != '\r')
        code.len++;
    b->errors_replied++;
    struct error_stat *e = map_get(&b->error_stats, code);
    if (e == NULL) {
        if (map_count(&b->error_stats) >= ERROR_KINDS_MAX) return;
        e = mem_calloc(sizeof *e);
        memcpy(e->code, code.data, code.len);
        e->len = code.len;
        map_insert(&b->error_stats, e);
    }
    e->count++;
}

void broker_reset_stats(struct broker *b)
{
    memset(b->stats, 0, command_count() * sizeof *b->stats);
    map_clear(&b->error_stats);
    b->commands_processed = b->connections_received = b->expired_keys = b->keyspace_hits =
        b->keyspace_misses = b->rejected_connections = b->output_limit_closes = b->net_input =
            b->net_output = b->reads = b->writes = b->errors_replied = 0;
    b->ops_last_count = b->net_in_last = b->net_out_last = 0;
}

void broker_sample(struct broker *b)
{
    int64_t now_ms = b->mono_us / 1000;
    int64_t passed_ms = now_ms - b->ops_last_ms;
    if (passed_ms < SAMPLE_MS) return;
    b->ops_samples[b->ops_index] =
        (int64_t)(b->commands_processed - b->ops_last_count) * 1000 / passed_ms;
    b->in_samples[b->ops_index] = (int64_t)(b->net_input - b->net_in_last) * 1000 / passed_ms;
    b->out_samples[b->ops_index] = (int64_t)(b->net_output - b->net_out_last) * 1000 / passed_ms;
    b->ops_index = (b->ops_index + 1) % SAMPLES;
    b->ops_last_ms = now_ms;
    b->ops_last_count = b->commands_processed;
    b->net_in_last = b->net_input;
    b->net_out_last = b->net_output;
    mem_note_peak();
    broker_metrics_update(b);
}

int64_t broker_rate(const int64_t samples[16])
{
    int64_t sum = 0;
    for (int i = 0; i < SAMPLES; i++) sum += samples[i];
    return sum / SAMPLES;
}
