/* One transaction at a time; see writer.h.
 *
 * Replies come in the order of the commands, and when a connection breaks all that are missing come
 * as NULL; so whatever the EXEC's callback gets settles the batch. */
#include "flow/writer.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"
#include "flow/runner.h"
#include "leat/leat.h"

enum writer_state {
    WRITER_IDLE,    /* nothing is out */
    WRITER_LOOKING, /* the marker is asked for: before the first batch of a connection, and after a
                       broken one */
    WRITER_SENT,    /* a transaction is out */
    WRITER_PAUSING, /* before the same batch is sent again */
};

enum { PAUSE_MIN_MS = 20, PAUSE_MAX_MS = 5000 };

struct writer {
    struct writer_options options;
    char *marker, *run;
    struct leat_client *client;
    struct event *flush; /* made active: at the end of this turn */
    struct event *again; /* timer of WRITER_PAUSING */
    enum writer_state state;
    struct batch batches[2];
    struct batch *open, *out;
    uint64_t number; /* of the batch that is out, or went out last */
    size_t answered; /* commands of the transaction that have a reply */
    bool sent;       /* the batch that is out was sent at least once */
    bool watching;   /* on this connection the marker is watched since it was last ours */
    bool closing;
    int pause_ms;
    struct writer_status status;
    char last_error[256];
};

static void send_batch(struct writer *w);
static void look_for_marker(struct writer *w);

/* ---- Errors ---- */

void writer_note_error(struct writer *w, struct bytes text)
{
    w->status.errors++;
    metric_add(&flow_metrics.view_errors, 1);
    snprintf(w->last_error, sizeof(w->last_error), "%.*s", (int)text.len, text.data);
    w->status.last_error = w->last_error;
}

static void note_reply(struct writer *w, const struct leat_reply *reply)
{
    size_t len;
    const char *text = leat_reply_text(reply, &len);
    writer_note_error(w, (struct bytes){text, len});
}

static bool is_error(const struct leat_reply *reply)
{
    return reply != NULL && leat_reply_type(reply) == LEAT_ERROR;
}

/* ---- Outcomes ---- */

static void settle(struct writer *w)
{
    w->state = WRITER_IDLE;
    w->pause_ms = 0;
    w->status.applied += w->out->events;
    metric_add(&flow_metrics.view_events, (int64_t)w->out->events);
    batch_reset(w->out);
    w->options.on_applied(w->options.arg);
    if (w->open->count > 0) writer_flush_soon(w);
}

/* Refused, or the connection broke: the same batch again after a little while. What the marker says
 * is asked for before, as what a broken connection left behind may come through until then. */
static void try_later(struct writer *w, bool refused)
{
    w->state = WRITER_PAUSING;
    w->watching = false;
    /* After a broken connection it is the client that waits longer and longer. */
    w->pause_ms = refused ? w->pause_ms * 2 : 0;
    if (w->pause_ms < PAUSE_MIN_MS) w->pause_ms = PAUSE_MIN_MS;
    if (w->pause_ms > PAUSE_MAX_MS) w->pause_ms = PAUSE_MAX_MS;
    struct timeval delay = {w->pause_ms / 1000, w->pause_ms % 1000 * 1000};
    evtimer_add(w->again, &delay);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct writer *w = arg;
    if (w->marker != NULL) {
        look_for_marker(w);
    } else {
        w->status.again++;
        send_batch(w);
    }
}

/* ---- The transaction ---- */

static void write_number(const struct writer *w, char *out, size_t size)
{
    snprintf(out, size, "%s:%llu", w->run, (unsigned long long)w->number);
}

static void on_multi(void *arg, const struct leat_reply *reply)
{
    struct writer *w = arg;
    if (!w->closing && is_error(reply)) note_reply(w, reply);
}

/* QUEUED, or why not. If MULTI itself was refused (a server that loads its data, say) and this
 * command was not, it was applied there and then, and must not be once more. */
static void on_queued(void *arg, const struct leat_reply *reply)
{
    struct writer *w = arg;
    if (w->closing) return;
    size_t index = w->answered++;
    if (reply == NULL) return;
    if (is_error(reply)) {
        note_reply(w, reply);
        return;
    }
    size_t len;
    const char *text = leat_reply_text(reply, &len);
    bool queued =
        leat_reply_type(reply) == LEAT_STATUS && len == 6 && memcmp(text, "QUEUED", 6) == 0;
    if (!queued && index < w->out->count) w->out->entries[index]->done = true;
}

static void note_failed_elements(struct writer *w, const struct leat_reply *reply)
{
    for (size_t i = 0; i < leat_reply_count(reply); i++) {
        const struct leat_reply *element = leat_reply_at(reply, i);
        if (is_error(element)) note_reply(w, element);
    }
}

/* Answered, so nothing of this try can come through any more; the next one has another number, as
 * the marker was set if only MULTI was refused. */
static void note_refusal(struct writer *w, const struct leat_reply *reply)
{
    note_reply(w, reply);
    w->number++;
}

static void on_exec(void *arg, const struct leat_reply *reply)
{
    struct writer *w = arg;
    if (w->closing) return;
    must(w->state == WRITER_SENT);
    if (reply != NULL && leat_reply_type(reply) == LEAT_ARRAY) {
        note_failed_elements(w, reply);
        settle(w);
        return;
    }
    /* A null array: the marker was changed under us, by another run or by our own past. */
    if (reply == NULL)
        writer_note_error(w, BYTES("the connection broke before a transaction was answered"));
    else if (is_error(reply)) note_refusal(w, reply);
    try_later(w, reply != NULL);
}

static void on_watch(void *arg, const struct leat_reply *reply)
{
    struct writer *w = arg;
    if (w->closing) return;
    if (reply == NULL || is_error(reply)) w->watching = false;
}

/* 0, or negative when the connection is gone for good. Otherwise never refused: what it has under
 * way is one batch, which is bounded, and a sweep's command. */
static int try_command(struct writer *w, leat_reply_fn fn, int argc, const struct bytes *args)
{
    const char *argv[5];
    size_t lens[5];
    for (int i = 0; i < argc; i++) {
        argv[i] = args[i].data;
        lens[i] = args[i].len;
    }
    return leat_command(w->client, argc, argv, lens, fn, w);
}

/* For all but the first of a row: the connection is still what it was. */
static void command(struct writer *w, leat_reply_fn fn, int argc, const struct bytes *args)
{
    must(try_command(w, fn, argc, args) == 0);
}

static void send_entry(struct writer *w, const struct batch_entry *entry)
{
    char digits[NUM_I64_MAX];
    struct bytes n = {digits, num_format_i64(digits, entry->n)};
    switch (entry->op) {
    case BATCH_HINCRBY:
        command(w, on_queued, 4, (struct bytes[]){BYTES("HINCRBY"), entry->key, entry->field, n});
        break;
    case BATCH_ZINCRBY:
        command(w, on_queued, 4, (struct bytes[]){BYTES("ZINCRBY"), entry->key, n, entry->field});
        break;
    case BATCH_SADD:
        command(w, on_queued, 3, (struct bytes[]){BYTES("SADD"), entry->key, entry->field});
        break;
    }
}

/* What is already applied is left out, so that an entry's index is that of its reply. */
static void drop_done(struct batch *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++)
        if (!b->entries[i]->done) b->entries[kept++] = b->entries[i];
    b->count = kept;
}

static void send_batch(struct writer *w)
{
    drop_done(w->out);
    w->state = WRITER_SENT;
    w->sent = true;
    w->answered = 0;
    if (try_command(w, on_multi, 1, (struct bytes[]){BYTES("MULTI")}) != 0) {
        try_later(w, true);
        return;
    }
    for (size_t i = 0; i < w->out->count; i++) send_entry(w, w->out->entries[i]);
    if (w->marker != NULL) {
        char number[64];
        write_number(w, number, sizeof(number));
        /* It outlives the run by a day and is then gone. */
        command(w, on_queued, 5,
                (struct bytes[]){BYTES("SET"), bytes_of(w->marker), bytes_of(number), BYTES("EX"),
                                 BYTES("86400")});
    }
    command(w, on_exec, 1, (struct bytes[]){BYTES("EXEC")});
    if (w->marker != NULL)
        command(w, on_watch, 2, (struct bytes[]){BYTES("WATCH"), bytes_of(w->marker)});
}

/* ---- The marker ---- */

static void on_marker(void *arg, const struct leat_reply *reply)
{
    struct writer *w = arg;
    if (w->closing) return;
    if (reply == NULL || is_error(reply)) {
        if (reply != NULL) note_reply(w, reply);
        try_later(w, reply != NULL);
        return;
    }
    char number[64];
    size_t len = 0;
    const char *text = leat_reply_text(reply, &len);
    write_number(w, number, sizeof(number));
    w->watching = true;
    if (text != NULL && bytes_eq((struct bytes){text, len}, bytes_of(number))) {
        settle(w);
        return;
    }
    if (w->sent) w->status.again++;
    send_batch(w);
}

static void look_for_marker(struct writer *w)
{
    w->state = WRITER_LOOKING;
    if (try_command(w, on_watch, 2, (struct bytes[]){BYTES("WATCH"), bytes_of(w->marker)}) != 0) {
        try_later(w, true);
        return;
    }
    command(w, on_marker, 2, (struct bytes[]){BYTES("GET"), bytes_of(w->marker)});
}

/* ---- Flushing ---- */

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct writer *w = arg;
    if (w->state != WRITER_IDLE || w->open->count == 0) return;
    struct batch *full = w->open;
    w->open = w->out;
    w->out = full;
    w->number++;
    w->sent = false;
    w->options.on_begin(w->options.arg);
    if (w->marker != NULL && !w->watching) look_for_marker(w);
    else send_batch(w);
}

void writer_flush_soon(struct writer *w)
{
    if (w->state == WRITER_IDLE) event_active(w->flush, EV_TIMEOUT, 0);
}

struct batch *writer_open_batch(struct writer *w)
{
    return w->open;
}

bool writer_busy(const struct writer *w)
{
    return w->state != WRITER_IDLE;
}

struct leat_client *writer_client(struct writer *w)
{
    return w->client;
}

void writer_status(const struct writer *w, struct writer_status *ret)
{
    *ret = w->status;
}

/* ---- Life ---- */

static void on_state(void *arg, enum leat_state state, const char *why)
{
    struct writer *w = arg;
    if (w->closing) return;
    /* A watch ends with its connection. Commands queued until the next one would go unwatched. */
    w->watching = false;
    if (state == LEAT_WAITING && why != NULL) writer_note_error(w, bytes_of(why));
}

struct writer *writer_new(const struct writer_options *options)
{
    struct writer *w = mem_calloc(sizeof(*w));
    w->options = *options;
    w->marker = options->marker == NULL ? NULL : mem_strdup(options->marker);
    w->run = mem_strdup(options->run);
    for (int i = 0; i < 2; i++) batch_init(&w->batches[i]);
    w->open = &w->batches[0];
    w->out = &w->batches[1];
    w->flush = event_new(options->runner->base, -1, 0, on_flush, w);
    w->again = evtimer_new(options->runner->base, on_again, w);
    w->client = options->runner->connect(options->runner->arg, options->name, on_state, w);
    if (w->client != NULL) return w;
    writer_free(w);
    return NULL;
}

void writer_free(struct writer *w)
{
    if (w == NULL) return;
    w->closing = true;
    leat_client_free(w->client);
    event_free(w->flush);
    event_free(w->again);
    for (int i = 0; i < 2; i++) batch_fini(&w->batches[i]);
    mem_free(w->marker);
    mem_free(w->run);
    mem_free(w);
}
