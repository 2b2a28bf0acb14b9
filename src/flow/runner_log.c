/* Compares what is with what was last said; see runner_log.h. */
#include "flow/runner_log.h"

#include "base/logline.h"

enum { PAUSE_MS = 10 * 1000 };

/* True when it is time to look again. The first look is ten seconds after the start, so that what
 * is put right by then (a broker that is just starting) is not talked about. */
static bool is_due(struct runner_log *log, int64_t now_ms)
{
    if (!log->begun) log->said_ms = now_ms;
    log->begun = true;
    if (now_ms - log->said_ms < PAUSE_MS) return false;
    log->said_ms = now_ms;
    return true;
}

static void say_news(const char *what, const char *id, const char *kind, uint64_t *said,
                     uint64_t now, const char *last)
{
    if (now > *said)
        logline(LOG_LEVEL_WARNING, "flow", "%s %s: %llu more %s, the last: %s", what, id,
                (unsigned long long)(now - *said), kind, last == NULL ? "?" : last);
    *said = now;
}

void runner_log_source(struct runner_log *log, const struct flow_source_status *s, int64_t now_ms)
{
    if (!is_due(log, now_ms)) return;
    say_news("source", s->id, "malformed events", &log->malformed, s->malformed, s->last_malformed);
    say_news("source", s->id, "errors of publishing", &log->errors, s->publish_errors,
             s->last_publish_error);
    if (s->waiting_for_views != log->away)
        logline(LOG_LEVEL_NOTICE, "flow", "source %s: %s", s->id,
                s->waiting_for_views ? "held until its views are subscribed" : "its views listen");
    log->away = s->waiting_for_views;
}

void runner_log_view(struct runner_log *log, const struct flow_view_status *v, int64_t now_ms)
{
    if (!is_due(log, now_ms)) return;
    say_news("view", v->id, "malformed messages", &log->malformed, v->malformed, v->last_malformed);
    say_news("view", v->id, "errors", &log->errors, v->errors, v->last_error);
    if (!v->subscribed != log->away)
        logline(LOG_LEVEL_NOTICE, "flow", "view %s: %s", v->id,
                v->subscribed ? "subscribed" : "not subscribed");
    log->away = !v->subscribed;
}
