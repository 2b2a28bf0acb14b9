/* The broker's figures for /metrics. The loop thread copies them into atomics ten times a second:
 * whoever exposes them runs on another thread. */
#include "base/mem.h"
#include "base/metrics.h"
#include "broker/durable.h"
#include "broker/internal.h"

enum figure {
    CLIENTS,
    CLIENTS_MAX,
    CLIENTS_REFUSED,
    BLOCKED,
    SUBSCRIBED_CHANNELS,
    SUBSCRIBED_PATTERNS,
    SUBSCRIBED_SHARDS,
    AUDIENCES,
    DELIVERIES,
    DELIVERED_BYTES,
    OUTPUT_CLOSED,
    COMMANDS,
    ERRORS,
    CONNECTIONS,
    KEYS,
    EXPIRING,
    EXPIRED,
    HITS,
    MISSES,
    INPUT,
    OUTPUT,
    MEMORY,
    MEMORY_MAX,
    SLOW,
    FIGURES,
};

static struct metric figures[FIGURES] = {
    [CLIENTS] = GAUGE("leat_broker_clients", "Connections now."),
    [CLIENTS_MAX] = GAUGE("leat_broker_clients_max", "Connections at most (maxclients)."),
    [CLIENTS_REFUSED] =
        COUNTER("leat_broker_clients_refused_total", "Connections refused at maxclients."),
    [BLOCKED] = GAUGE("leat_broker_clients_blocked", "Clients that wait in a blocking command."),
    [SUBSCRIBED_CHANNELS] = GAUGE("leat_broker_channels", "Channels with a subscriber."),
    [SUBSCRIBED_PATTERNS] = GAUGE("leat_broker_patterns", "Patterns with a subscriber."),
    [SUBSCRIBED_SHARDS] = GAUGE("leat_broker_shard_channels", "Shard channels with a subscriber."),
    [AUDIENCES] =
        GAUGE("leat_broker_audiences",
              "Sets of subscriptions that differ: connections of the same set share one output."),
    [DELIVERIES] =
        COUNTER("leat_broker_deliveries_total", "Published messages, once per receiver."),
    [DELIVERED_BYTES] =
        COUNTER("leat_broker_delivered_bytes_total", "The same in bytes, as encoded."),
    [OUTPUT_CLOSED] = COUNTER("leat_broker_clients_closed_output_limit_total",
                              "Connections closed at client-output-buffer-limit."),
    [COMMANDS] = COUNTER("leat_broker_commands_total", "Commands run."),
    [ERRORS] = COUNTER("leat_broker_error_replies_total", "Error replies."),
    [CONNECTIONS] = COUNTER("leat_broker_connections_total", "Connections taken in."),
    [KEYS] = GAUGE("leat_broker_keys", "Keys in all databases."),
    [EXPIRING] = GAUGE("leat_broker_keys_expiring", "Keys that have an expiry."),
    [EXPIRED] = COUNTER("leat_broker_keys_expired_total", "Keys deleted as their time had come."),
    [HITS] = COUNTER("leat_broker_key_hits_total", "Reads that found their key."),
    [MISSES] = COUNTER("leat_broker_key_misses_total", "Reads that did not."),
    [INPUT] = COUNTER("leat_broker_input_bytes_total", "Bytes read from clients."),
    [OUTPUT] = COUNTER("leat_broker_output_bytes_total", "Bytes written to clients."),
    [MEMORY] = GAUGE("leat_broker_memory_bytes", "Memory in use, as the allocator rounds it."),
    [MEMORY_MAX] = GAUGE("leat_broker_memory_max_bytes",
                         "Where growing writes are refused (maxmemory); 0: nowhere."),
    [SLOW] = GAUGE("leat_broker_slowlog_entries", "Entries of the slow log."),
};

void broker_metrics_register(void)
{
    for (int i = 0; i < FIGURES; i++) metrics_register(&figures[i]);
    durable_metrics_register();
    stream_metrics_register();
}

void broker_metrics_update(const struct broker *b)
{
    size_t keys = 0, expiring = 0;
    for (int db = 0; db < KEYSPACE_DBS && !b->loading; db++) {
        keys += keyspace_count(b->ks, db);
        expiring += keyspace_count_expiring(b->ks, db);
    }
    const int64_t now[FIGURES] = {
        [CLIENTS] = (int64_t)b->session_count,
        [CLIENTS_MAX] = b->settings.maxclients,
        [CLIENTS_REFUSED] = (int64_t)b->rejected_connections,
        [BLOCKED] = (int64_t)b->blocked_count,
        [SUBSCRIBED_CHANNELS] = (int64_t)hub_channels(b->hub),
        [SUBSCRIBED_PATTERNS] = (int64_t)hub_topics(b->hub, TOPIC_PATTERN),
        [SUBSCRIBED_SHARDS] = (int64_t)hub_topics(b->hub, TOPIC_SHARD),
        [AUDIENCES] = (int64_t)hub_audiences(b->hub),
        [DELIVERIES] = (int64_t)hub_deliveries(b->hub),
        [DELIVERED_BYTES] = (int64_t)hub_delivered_bytes(b->hub),
        [OUTPUT_CLOSED] = (int64_t)b->output_limit_closes,
        [COMMANDS] = (int64_t)b->commands_processed,
        [ERRORS] = (int64_t)b->errors_replied,
        [CONNECTIONS] = (int64_t)b->connections_received,
        [KEYS] = (int64_t)keys,
        [EXPIRING] = (int64_t)expiring,
        [EXPIRED] = (int64_t)b->expired_keys,
        [HITS] = (int64_t)b->keyspace_hits,
        [MISSES] = (int64_t)b->keyspace_misses,
        [INPUT] = (int64_t)b->net_input,
        [OUTPUT] = (int64_t)b->net_output,
        [MEMORY] = (int64_t)mem_used(),
        [MEMORY_MAX] = b->settings.maxmemory,
        [SLOW] = (int64_t)b->slowlog.count,
    };
    for (int i = 0; i < FIGURES; i++) metric_set(&figures[i], now[i]);
    durable_metrics_update(b);
    stream_metrics_update(b);
}
