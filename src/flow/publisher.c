/* A list of messages in their order, those that were sent before those that were not. A reply takes
 * the first off; a NULL for a reply makes its message unsent again. */
#include "flow/publisher.h"

#include <event2/event.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/must.h"
#include "flow/runner.h"
#include "leat/leat.h"

enum { RESEND_MS = 20 };

struct message {
    struct publisher *publisher;
    struct message *next;
    const char *channel;
    bool control, sent, again;
    size_t len;
    char data[];
};

struct publisher {
    const struct flow_runner_options *runner;
    void (*on_progress)(void *arg);
    void *arg;
    struct leat_client *client;
    struct event *resend;
    struct message *first, *last;
    struct message *unsent; /* the first that is not sent; all behind it are neither */
    bool open, closing;
    struct publisher_status status;
    char last_error[256];
};

static void note_error(struct publisher *p, struct bytes text)
{
    p->status.errors++;
    metric_add(&flow_metrics.publish_errors, 1);
    snprintf(p->last_error, sizeof(p->last_error), "%.*s", (int)text.len, text.data);
    p->status.last_error = p->last_error;
}

/* ---- Answers ---- */

static void resend_soon(struct publisher *p)
{
    struct timeval delay = {0, RESEND_MS * 1000};
    if (!evtimer_pending(p->resend, NULL)) evtimer_add(p->resend, &delay);
}

/* The connection broke: this one and all behind it have to be sent again. */
static void take_back(struct publisher *p, struct message *m)
{
    m->sent = false;
    m->again = true;
    /* The replies come as NULL from the front, so the first one decides where sending goes on. */
    if (m == p->first) p->unsent = m;
    resend_soon(p);
}

static void on_answer(void *arg, const struct leat_reply *reply)
{
    struct message *m = arg;
    struct publisher *p = m->publisher;
    if (p->closing) return;
    if (reply == NULL) {
        take_back(p, m);
        return;
    }
    must(m == p->first && m->sent);
    p->first = m->next;
    if (p->first == NULL) p->last = NULL;
    p->status.waiting--;
    if (leat_reply_type(reply) == LEAT_ERROR) {
        size_t len;
        const char *text = leat_reply_text(reply, &len);
        note_error(p, (struct bytes){text, len});
    } else if (!m->control) {
        p->status.published++;
        metric_add(&flow_metrics.published, 1);
    }
    mem_free(m);
    p->on_progress(p->arg);
}

/* ---- Sending ---- */

static int send_message(struct publisher *p, struct message *m)
{
    const char *argv[] = {"PUBLISH", m->channel, m->data};
    size_t lens[] = {7, strlen(m->channel), m->len};
    if (leat_command(p->client, 3, argv, lens, on_answer, m) != 0) return -1;
    m->sent = true;
    if (m->again && !m->control) {
        p->status.republished++;
        metric_add(&flow_metrics.republished, 1);
    }
    m->again = false;
    return 0;
}

/* Sends what is unsent, as far as the client takes it. */
static void send_all(struct publisher *p)
{
    while (p->open && p->unsent != NULL) {
        if (send_message(p, p->unsent) != 0) {
            resend_soon(p);
            return;
        }
        p->unsent = p->unsent->next;
    }
}

static void on_resend(evutil_socket_t fd, short what, void *arg)
{
    send_all(arg);
}

void publisher_send(struct publisher *p, const char *channel, struct bytes message, bool control)
{
    struct message *m = mem_alloc(sizeof(*m) + message.len);
    *m = (struct message){
        .publisher = p, .channel = channel, .control = control, .len = message.len};
    if (message.len > 0) memcpy(m->data, message.data, message.len);
    if (p->last == NULL) p->first = m;
    else p->last->next = m;
    p->last = m;
    p->status.waiting++;
    if (p->unsent != NULL) return; /* behind those that wait already */
    p->unsent = m;
    send_all(p);
}

void publisher_set_open(struct publisher *p, bool open)
{
    p->open = open;
    send_all(p);
}

void publisher_status(const struct publisher *p, struct publisher_status *ret)
{
    *ret = p->status;
}

/* ---- Life ---- */

static void on_state(void *arg, enum leat_state state, const char *why)
{
    struct publisher *p = arg;
    if (!p->closing && state == LEAT_WAITING)
        note_error(p, why == NULL ? BYTES("disconnected") : bytes_of(why));
}

struct publisher *publisher_new(const struct flow_runner_options *runner, const char *name,
                                void (*on_progress)(void *arg), void *arg)
{
    struct publisher *p = mem_calloc(sizeof(*p));
    p->runner = runner;
    p->on_progress = on_progress;
    p->arg = arg;
    p->resend = evtimer_new(runner->base, on_resend, p);
    p->client = runner->connect(runner->arg, name, on_state, p);
    if (p->client != NULL) return p;
    publisher_free(p);
    return NULL;
}

void publisher_free(struct publisher *p)
{
    if (p == NULL) return;
    p->closing = true;
    leat_client_free(p->client);
    event_free(p->resend);
    while (p->first != NULL) {
        struct message *m = p->first;
        p->first = m->next;
        mem_free(m);
    }
    mem_free(p);
}
