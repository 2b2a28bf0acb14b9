/* Subscription on one side, writer on the other; see view.h.
 *
 * A barrier waits beside the batch that holds the last update before it: `with_open` for the one
 * that fills, `with_out` for the one that is being written. There are only these two, and a later
 * barrier of the same feed says more than an earlier one, so two places per feed are enough. */
#include "flow/view.h"

#include <stdio.h>

#include "base/mem.h"
#include "flow/feed.h"
#include "flow/json.h"
#include "flow/malformed.h"
#include "flow/runner.h"
#include "flow/writer.h"
#include "leat/leat.h"

/* A batch of so many different places, and the subscription is not read until it has gone out. */
enum { BATCH_MAX = 16 * 1024, BATCH_BYTES_MAX = 4 << 20 };

struct follow {
    struct view *view;
    struct feed *feed;
    size_t slot; /* the view's with the feed */
    char *channel;
    struct feed_mark with_open, with_out; /* events 0: none waits */
};

struct view {
    struct view_options options;
    const struct view_type *type;
    void *state;
    struct leat_client *subscription;
    struct writer *writer;
    struct follow *follows;
    size_t follow_count;
    size_t confirmed; /* subscriptions of this connection */
    bool ready;
    bool paused;
    bool closing;
    struct malformed malformed;
    uint64_t errors; /* of the subscription; the others are the writer's */
    char last_error[256];
};

/* ---- Barriers ---- */

static void report(struct follow *f, struct feed_mark *mark)
{
    if (mark->events > 0) feed_report(f->feed, f->slot, *mark);
    *mark = (struct feed_mark){0};
}

static void on_barrier(void *arg, const char *pattern, const char *channel, size_t channel_len,
                       const char *message, size_t message_len)
{
    struct follow *f = arg;
    struct view *v = f->view;
    struct feed_mark mark;
    if (v->closing || !feed_mark_parse((struct bytes){message, message_len}, &mark)) return;
    if (writer_open_batch(v->writer)->count > 0) f->with_open = mark;
    else if (writer_busy(v->writer)) f->with_out = mark;
    else report(f, &mark);
}

static void on_begin(void *arg)
{
    struct view *v = arg;
    for (size_t i = 0; i < v->follow_count; i++) {
        v->follows[i].with_out = v->follows[i].with_open;
        v->follows[i].with_open = (struct feed_mark){0};
    }
    if (v->paused) leat_client_resume(v->subscription);
    v->paused = false;
}

static void on_applied(void *arg)
{
    struct view *v = arg;
    for (size_t i = 0; i < v->follow_count; i++) report(&v->follows[i], &v->follows[i].with_out);
}

/* ---- Subscription ---- */

static void on_message(void *arg, const char *pattern, const char *channel, size_t channel_len,
                       const char *message, size_t message_len)
{
    struct view *v = arg;
    if (v->closing) return;
    struct bytes text = {message, message_len};
    struct batch *batch = writer_open_batch(v->writer);
    const char *why = NULL;
    if (v->type->take(v, text, flow_now_ms(v->options.runner) / 1000, batch, &why) != 0) {
        malformed_note(&v->malformed, why, text);
        metric_add(&flow_metrics.view_malformed, 1);
        return;
    }
    batch->events++;
    writer_flush_soon(v->writer);
    bool full = batch->count >= BATCH_MAX || batch->bytes >= BATCH_BYTES_MAX;
    if (!full || v->paused) return;
    v->paused = true;
    leat_client_pause(v->subscription);
}

static void set_ready(struct view *v, bool ready)
{
    if (v->ready == ready) return;
    v->ready = ready;
    for (size_t i = 0; i < v->follow_count; i++)
        feed_view_ready(v->follows[i].feed, v->follows[i].slot, ready);
}

static void on_subscribed(void *arg, const char *channel)
{
    struct view *v = arg;
    if (v->closing) return;
    v->confirmed++;
    if (v->confirmed >= v->follow_count + 1) set_ready(v, true);
}

static void on_barrier_subscribed(void *arg, const char *channel)
{
    on_subscribed(((struct follow *)arg)->view, channel);
}

static void note_subscription_error(struct view *v, const char *text, const char *more)
{
    v->errors++;
    metric_add(&flow_metrics.view_errors, 1);
    snprintf(v->last_error, sizeof(v->last_error), "%s%s", text, more);
}

static void on_state(void *arg, enum leat_state state, const char *why)
{
    struct view *v = arg;
    if (v->closing || state == LEAT_CONNECTED) return;
    v->confirmed = 0;
    bool was_ready = v->ready;
    set_ready(v, false);
    if (state != LEAT_WAITING) return;
    note_subscription_error(
        v, why == NULL ? "disconnected" : why,
        was_ready ? "; what is published until the subscription is back is lost here" : "");
}

/* ---- For the types ---- */

const struct flow_view *view_spec(const struct view *v)
{
    return v->options.spec;
}

struct leat_client *view_client(struct view *v)
{
    return writer_client(v->writer);
}

void **view_state(struct view *v)
{
    return &v->state;
}

void view_note_error(struct view *v, struct bytes text)
{
    writer_note_error(v->writer, text);
}

int view_field(struct view *v, struct bytes message, const char *path, struct bytes *ret,
               const char **ret_why)
{
    struct json_value value;
    if (json_parse(v->options.json, message, ret_why) != 0) return -1;
    json_get(v->options.json, bytes_of(path), &value);
    if (value.type != JSON_STRING && value.type != JSON_NUMBER && value.type != JSON_BOOL) {
        *ret_why = "without a text in the field to count by";
        return -1;
    }
    *ret = value.text;
    return 0;
}

/* ---- Life ---- */

static const char *connection_name(const struct view *v, const char *what, char *out, size_t size)
{
    snprintf(out, size, "leat-view-%s-%s", v->options.spec->id, what);
    return out;
}

static struct writer *make_writer(struct view *v)
{
    char name[128], marker[128];
    snprintf(marker, sizeof(marker), "leat:applied:%s", v->options.spec->id);
    return writer_new(&(struct writer_options){
        .runner = v->options.runner,
        .name = connection_name(v, "writes", name, sizeof(name)),
        .marker = v->options.runner->exact ? marker : NULL,
        .run = v->options.run,
        .on_begin = on_begin,
        .on_applied = on_applied,
        .arg = v,
    });
}

struct view *view_new(const struct view_options *options)
{
    char name[128];
    struct view *v = mem_calloc(sizeof(*v));
    v->options = *options;
    v->type = options->spec->type == FLOW_VIEW_TIMESERIES ? &view_timeseries : &view_scoreboard;
    v->writer = make_writer(v);
    if (v->writer != NULL)
        v->subscription = options->runner->connect(
            options->runner->arg, connection_name(v, "reads", name, sizeof(name)), on_state, v);
    if (v->subscription != NULL) return v;
    view_free(v);
    return NULL;
}

void view_follow(struct view *v, struct feed *feed)
{
    v->follows = mem_realloc(v->follows, (v->follow_count + 1) * sizeof(struct follow));
    v->follows[v->follow_count++] =
        (struct follow){.view = v,
                        .feed = feed,
                        .channel = mem_strdup(feed_barrier_channel(feed)),
                        .slot = feed_add_view(feed)};
}

void view_start(struct view *v)
{
    if (v->type->start != NULL) v->type->start(v);
    int rc =
        leat_subscribe(v->subscription, v->options.spec->channel, on_message, on_subscribed, v);
    for (size_t i = 0; rc == 0 && i < v->follow_count; i++)
        rc = leat_subscribe(v->subscription, v->follows[i].channel, on_barrier,
                            on_barrier_subscribed, &v->follows[i]);
    if (rc != 0) note_subscription_error(v, "cannot subscribe", "");
}

void view_tick(struct view *v, int64_t now_ms)
{
    if (v->type->tick != NULL) v->type->tick(v, now_ms / 1000);
}

void view_free(struct view *v)
{
    if (v == NULL) return;
    v->closing = true;
    if (v->type->stop != NULL) v->type->stop(v);
    leat_client_free(v->subscription);
    writer_free(v->writer);
    for (size_t i = 0; i < v->follow_count; i++) mem_free(v->follows[i].channel);
    mem_free(v->follows);
    mem_free(v);
}

bool view_is_done(const struct view *v)
{
    return !writer_busy(v->writer) && writer_open_batch(v->writer)->count == 0;
}

void view_get_status(const struct view *v, struct flow_view_status *ret)
{
    struct writer_status writer;
    writer_status(v->writer, &writer);
    *ret = (struct flow_view_status){
        .id = v->options.spec->id,
        .subscribed = v->ready,
        .processed = writer.applied,
        .malformed = v->malformed.count,
        .last_malformed = malformed_last(&v->malformed),
        .errors = v->errors + writer.errors,
        .sent_again = writer.again,
        .last_error = writer.last_error != NULL  ? writer.last_error
                      : v->last_error[0] != '\0' ? v->last_error
                                                 : NULL,
    };
}
