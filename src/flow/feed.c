/* From events to messages, with the books of who is how far; see feed.h. */
#include "flow/feed.h"

#include <stdio.h>

#include "base/logline.h"
#include "base/mem.h"
#include "base/num.h"
#include "flow/dedupe.h"
#include "flow/http_stream.h"
#include "flow/json.h"
#include "flow/malformed.h"
#include "flow/publisher.h"
#include "flow/runner.h"

enum {
    AHEAD_EVENTS_MAX = 10000,
    /* Well below the 8 MB at which a stock Redis would think a subscriber too slow. */
    AHEAD_BYTES_MAX = 4 << 20,
    BARRIERS_PER_BOUND = 4,
    BARRIER_AGAIN_MS = 1000,
};

struct slot {
    bool ready;
    struct feed_mark done;
};

struct feed {
    struct feed_options options;
    struct source *source; /* NULL until the views were ready for the first time */
    struct publisher *publisher;
    struct dedupe *dedupe; /* NULL: none */
    bool parse;            /* some rule, or dedupe, looks inside the events */
    char *barrier_channel;
    char *shown_url; /* without a password */
    struct slot *slots;
    size_t slot_count;
    struct feed_mark sent;
    struct feed_mark barrier; /* the last one published */
    int64_t barrier_ms;
    size_t ahead_max;
    bool started, open, held, halted;
    uint64_t duplicates, skipped;
    struct malformed malformed;
};

/* ---- Barriers ---- */

bool feed_mark_parse(struct bytes text, struct feed_mark *ret)
{
    size_t space = 0;
    while (space < text.len && text.data[space] != ' ') space++;
    if (space == text.len) return false;
    struct bytes events = {text.data, space};
    struct bytes bytes = {text.data + space + 1, text.len - space - 1};
    return num_parse_u64(events, &ret->events) && num_parse_u64(bytes, &ret->bytes) &&
           ret->events > 0;
}

static void send_barrier(struct feed *f)
{
    char text[64];
    if (f->slot_count == 0 || f->sent.events == 0) return;
    int n = snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)f->sent.events,
                     (unsigned long long)f->sent.bytes);
    publisher_send(f->publisher, f->barrier_channel, (struct bytes){text, (size_t)n}, true);
    f->barrier = f->sent;
    f->barrier_ms = flow_now_ms(f->options.runner);
}

static void send_barrier_if_due(struct feed *f)
{
    if (f->sent.events - f->barrier.events >= (f->ahead_max + 3) / BARRIERS_PER_BOUND ||
        f->sent.bytes - f->barrier.bytes >= AHEAD_BYTES_MAX / BARRIERS_PER_BOUND)
        send_barrier(f);
}

/* What the slowest view has done. */
static struct feed_mark slowest(const struct feed *f)
{
    struct feed_mark least = f->sent;
    for (size_t i = 0; i < f->slot_count; i++)
        if (f->slots[i].done.events < least.events) least = f->slots[i].done;
    return least;
}

/* ---- Holding back ---- */

static bool is_ahead(const struct feed *f)
{
    struct feed_mark least = slowest(f);
    struct publisher_status publisher;
    publisher_status(f->publisher, &publisher);
    return f->sent.events - least.events >= f->ahead_max ||
           f->sent.bytes - least.bytes >= AHEAD_BYTES_MAX || publisher.waiting >= f->ahead_max;
}

static void update_hold(struct feed *f)
{
    bool hold = !f->open || f->halted || is_ahead(f);
    if (f->source == NULL || hold == f->held) return;
    f->held = hold;
    if (hold) source_pause(f->source);
    else source_resume(f->source);
}

static void on_progress(void *arg)
{
    struct feed *f = arg;
    if (f->held) update_hold(f);
}

/* ---- Events ---- */

static void note_malformed(struct feed *f, const char *why, struct bytes event)
{
    malformed_note(&f->malformed, why, event);
    metric_add(&flow_metrics.malformed, 1);
}

static void publish(struct feed *f, const struct flow_publish *rule, struct bytes message)
{
    publisher_send(f->publisher, rule->channel, message, false);
    f->sent.bytes += message.len;
}

static bool is_text(const struct json_value *value)
{
    return value->type == JSON_STRING || value->type == JSON_NUMBER || value->type == JSON_BOOL;
}

/* Each returns the number of messages, or -1 with *ret_why. */
static int publish_field(struct feed *f, const struct flow_publish *rule, const char **ret_why)
{
    struct json_value value;
    json_get(f->options.json, bytes_of(rule->field), &value);
    if (value.type == JSON_ABSENT || value.type == JSON_NULL) return 0;
    if (!is_text(&value)) {
        *ret_why = "a list or an object where `field` expects a text";
        return -1;
    }
    publish(f, rule, value.text);
    return 1;
}

static int publish_each(struct feed *f, const struct flow_publish *rule, const char **ret_why)
{
    struct json_value list, value;
    json_get(f->options.json, bytes_of(rule->each), &list);
    if (list.type == JSON_ABSENT || list.type == JSON_NULL) return 0;
    if (list.type != JSON_ARRAY) {
        *ret_why = "no list where `each` expects one";
        return -1;
    }
    int messages = 0;
    for (size_t i = 0; i < json_count(&list); i++) {
        json_element(f->options.json, &list, i, &value);
        if (!is_text(&value)) {
            *ret_why = "a list or an object among the elements of `each`";
            return -1;
        }
        publish(f, rule, value.text);
        messages++;
    }
    return messages;
}

static int publish_rule(struct feed *f, const struct flow_publish *rule, struct bytes event,
                        const char **ret_why)
{
    if (rule->field != NULL) return publish_field(f, rule, ret_why);
    if (rule->each != NULL) return publish_each(f, rule, ret_why);
    publish(f, rule, event);
    return 1;
}

static bool is_duplicate(struct feed *f)
{
    if (f->dedupe == NULL) return false;
    struct json_value id;
    json_get(f->options.json, bytes_of(f->options.spec->dedupe), &id);
    if (!is_text(&id) || !dedupe_seen(f->dedupe, id.text)) return false;
    f->duplicates++;
    metric_add(&flow_metrics.duplicates, 1);
    return true;
}

/* False when the event is malformed in all that matters. */
static bool publish_event(struct feed *f, struct bytes event)
{
    const struct schema_items *rules = &f->options.spec->publish;
    const char *why = NULL;
    int messages = 0;
    bool failed = false;
    for (size_t i = 0; i < rules->count; i++) {
        int n = publish_rule(f, (const struct flow_publish *)rules->items + i, event, &why);
        failed |= n < 0;
        messages += n > 0 ? n : 0;
    }
    if (failed) note_malformed(f, why, event);
    if (messages == 0 && !failed) {
        f->skipped++;
        metric_add(&flow_metrics.skipped, 1);
    }
    return messages > 0;
}

static void on_event(void *arg, struct bytes id, struct bytes name, struct bytes data)
{
    struct feed *f = arg;
    const char *why = NULL;
    metric_add(&flow_metrics.events, 1);
    if (f->parse && json_parse(f->options.json, data, &why) != 0) {
        note_malformed(f, why, data);
        return;
    }
    if (is_duplicate(f) || !publish_event(f, data)) return;
    f->sent.events++;
    send_barrier_if_due(f);
    update_hold(f);
}

/* ---- Views ---- */

const char *feed_barrier_channel(const struct feed *f)
{
    return f->barrier_channel;
}

size_t feed_add_view(struct feed *f)
{
    f->slots = mem_realloc(f->slots, (f->slot_count + 1) * sizeof(struct slot));
    f->slots[f->slot_count] = (struct slot){0};
    return f->slot_count++;
}

/* What the terminal shows of a feed; the dashboard shows the same. */
static void on_state(void *arg, enum source_state state, const char *why)
{
    const struct feed *f = arg;
    const char *id = f->options.spec->item.id;
    struct source_status status;
    source_status(f->source, &status); /* its URL is without a password */
    switch (state) {
    case SOURCE_CONNECTING:
        break;
    case SOURCE_CONNECTED:
        logline(LOG_LEVEL_NOTICE, "flow", "source %s: connected to %s", id, status.url);
        break;
    case SOURCE_WAITING:
        logline(LOG_LEVEL_WARNING, "flow", "source %s: %s; trying again", id,
                why != NULL ? why : "the connection ended");
        break;
    case SOURCE_SIMULATED:
        logline(LOG_LEVEL_WARNING, "flow",
                "source %s: the feed cannot be reached (%s): going on with SIMULATED events; start "
                "again to try the feed again",
                id, why != NULL ? why : "nothing came from it");
        break;
    }
}

static struct source *make_source(struct feed *f)
{
    const struct flow_source *spec = f->options.spec;
    bool simulate = spec->simulate == FLOW_SIMULATE_WIKI;
    return source_new(f->options.runner->base,
                      &(struct source_options){
                          .type = (enum source_type)spec->type,
                          .url = spec->url,
                          .user_agent = spec->user_agent,
                          .idle_timeout_ms = (int)spec->idle_timeout_ms,
                          .event_bytes_max = (size_t)spec->event_bytes_max,
                          .simulate_after_ms = simulate ? f->options.runner->simulate_after_ms : 0,
                          .on_event = on_event,
                          .on_state = on_state,
                          .arg = f,
                      });
}

static void update_open(struct feed *f)
{
    bool open = f->started;
    for (size_t i = 0; i < f->slot_count; i++) open &= f->slots[i].ready;
    f->open = open;
    publisher_set_open(f->publisher, open);
    if (open && f->source == NULL && !f->halted) f->source = make_source(f);
    update_hold(f);
}

void feed_start(struct feed *f)
{
    f->started = true;
    update_open(f);
}

void feed_view_ready(struct feed *f, size_t slot, bool ready)
{
    f->slots[slot].ready = ready;
    update_open(f);
    /* A barrier may have been among what the view missed. */
    if (ready) send_barrier(f);
}

void feed_report(struct feed *f, size_t slot, struct feed_mark mark)
{
    struct feed_mark *done = &f->slots[slot].done;
    if (mark.events > f->sent.events || mark.bytes > f->sent.bytes) return;
    if (mark.events > done->events) *done = mark;
    update_hold(f);
}

void feed_tick(struct feed *f, int64_t now_ms)
{
    bool unmarked = f->sent.events > f->barrier.events;
    bool lost = slowest(f).events < f->sent.events && now_ms - f->barrier_ms >= BARRIER_AGAIN_MS;
    if (f->open && (unmarked || lost)) send_barrier(f);
    update_hold(f);
}

void feed_halt(struct feed *f)
{
    f->halted = true;
    update_hold(f);
    send_barrier(f);
}

bool feed_is_done(const struct feed *f)
{
    struct publisher_status publisher;
    publisher_status(f->publisher, &publisher);
    return publisher.waiting == 0 && slowest(f).events == f->sent.events;
}

/* ---- Life ---- */

static bool looks_inside(const struct flow_source *spec)
{
    const struct flow_publish *rules = spec->publish.items;
    bool inside = spec->dedupe != NULL;
    for (size_t i = 0; i < spec->publish.count; i++)
        inside |= rules[i].field != NULL || rules[i].each != NULL;
    return inside;
}

struct feed *feed_new(const struct feed_options *options)
{
    struct feed *f = mem_calloc(sizeof(*f));
    const char *id = options->spec->item.id;
    size_t max = options->runner->ahead_max;
    char name[128], channel[256];
    f->options = *options;
    f->parse = looks_inside(options->spec);
    f->ahead_max = max == 0 ? AHEAD_EVENTS_MAX : max;
    snprintf(channel, sizeof(channel), "leat:barrier:%s:%s", options->run, id);
    f->barrier_channel = mem_strdup(channel);
    f->shown_url = mem_strdup(options->spec->url);
    http_url_redact(options->spec->url, f->shown_url);
    if (options->spec->dedupe != NULL) f->dedupe = dedupe_new((size_t)options->spec->dedupe_window);
    snprintf(name, sizeof(name), "leat-source-%s", id);
    f->publisher = publisher_new(options->runner, name, on_progress, f);
    if (f->publisher != NULL) return f;
    feed_free(f);
    return NULL;
}

void feed_free(struct feed *f)
{
    if (f == NULL) return;
    source_free(f->source);
    publisher_free(f->publisher);
    dedupe_free(f->dedupe);
    mem_free(f->barrier_channel);
    mem_free(f->shown_url);
    mem_free(f->slots);
    mem_free(f);
}

void feed_get_status(const struct feed *f, struct flow_source_status *ret)
{
    struct publisher_status publisher;
    publisher_status(f->publisher, &publisher);
    *ret = (struct flow_source_status){
        .id = f->options.spec->item.id,
        .source = {.state = SOURCE_CONNECTING, .url = f->shown_url},
        .published = publisher.published,
        .republished = publisher.republished,
        .publish_errors = publisher.errors,
        .last_publish_error = publisher.last_error,
        .duplicates = f->duplicates,
        .skipped = f->skipped,
        .malformed = f->malformed.count,
        .last_malformed = malformed_last(&f->malformed),
        .ahead = f->sent.events - slowest(f).events,
        .waiting_for_views = !f->open,
        .held_back = f->held && f->open && !f->halted,
    };
    if (f->source != NULL) source_status(f->source, &ret->source);
}
