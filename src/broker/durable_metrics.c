/* Figures about durable channels, for /metrics. */
#include "base/metrics.h"
#include "broker/durable_priv.h"

enum figure {
    LIVE,
    BEHIND,
    ABSENT,
    PUBLISHED,
    SPILLED,
    DROPPED,
    DISCONNECTED,
    REDELIVERED,
    MISSED,
    SKIPPED,
    EXPIRED,
    POSITIONS,
    REFUSED_EVENTS,
    OVER_LIMIT,
    FIGURES,
};

/* clang-format off */
static struct metric figures[FIGURES] = {
    [LIVE] = GAUGE("leat_durable_live", "Durable subscriptions that are served live."),
    [BEHIND] = GAUGE("leat_durable_behind", "Durable subscriptions that are fed from their stream."),
    [ABSENT] = GAUGE("leat_durable_absent", "Durable subscribers that are remembered and not connected."),
    [PUBLISHED] = COUNTER("leat_durable_published_total", "Messages published on durable channels."),
    [SPILLED] = COUNTER("leat_durable_spilled_total", "Times that a slow subscriber went back to its stream."),
    [DROPPED] = COUNTER("leat_durable_dropped_total", "Messages dropped by on-slow drop-oldest."),
    [DISCONNECTED] = COUNTER("leat_durable_disconnected_total", "Connections closed by on-slow disconnect."),
    [REDELIVERED] = COUNTER("leat_durable_redelivered_total", "Messages sent that the subscriber will be sent again."),
    [MISSED] = COUNTER("leat_durable_missed_total", "Messages deleted or trimmed before a subscriber got them."),
    [SKIPPED] = COUNTER("leat_durable_skipped_total", "Entries added to durable channels that are no messages."),
    [EXPIRED] = COUNTER("leat_durable_expired_total", "Subscribers forgotten as they did not come back."),
    [POSITIONS] = COUNTER("leat_durable_positions_total", "Positions written to the journal."),
    [REFUSED_EVENTS] = COUNTER("leat_durable_refused_events_total", "Keyspace events that the journal had no room for."),
    [OVER_LIMIT] = COUNTER("leat_durable_over_limit_total", "Subscribers that were ordinary ones, as durable-subscribers-max were remembered."),
};
/* clang-format on */

void durable_metrics_register(void)
{
    for (int i = 0; i < FIGURES; i++) metrics_register(&figures[i]);
}

void durable_stats(const struct broker *b, struct durable_stats *ret)
{
    *ret = b->durable->stats;
}

void durable_metrics_update(const struct broker *b)
{
    const struct durable_stats *s = &b->durable->stats;
    const uint64_t now[FIGURES] = {
        [LIVE] = s->live,
        [BEHIND] = s->behind,
        [ABSENT] = s->absent,
        [PUBLISHED] = s->published,
        [SPILLED] = s->spilled,
        [DROPPED] = s->dropped,
        [DISCONNECTED] = s->disconnected,
        [REDELIVERED] = s->redelivered,
        [MISSED] = s->missed,
        [SKIPPED] = s->skipped,
        [EXPIRED] = s->expired,
        [POSITIONS] = s->positions,
        [REFUSED_EVENTS] = s->refused_events,
        [OVER_LIMIT] = s->over_limit,
    };
    for (int i = 0; i < FIGURES; i++) metric_set(&figures[i], (int64_t)now[i]);
}
