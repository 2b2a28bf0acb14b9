/* Commands and their replies: what is sent is queued with its callback, and replies come in that
 * order. The connection itself is connect.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "client/command.h"
#include "client/private.h"
#include "resp/writer.h"

int64_t client_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Life ---- */

void client_ref(struct leat_client *c)
{
    c->owners++;
}

void client_unref(struct leat_client *c)
{
    if (--c->owners > 0) return;
    if (c->timer != NULL) event_free(c->timer);
    if (c->wake != NULL) event_free(c->wake);
    resp_reader_free(c->reader);
    buf_fini(&c->hello);
    buf_fini(&c->out);
    mem_free(c->queue.items);
    mem_free(c->name);
    if (c->has_url) leat_url_fini(&c->url);
    c->magic = 0;
    mem_free(c);
}

static int or_default(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

static struct leat_client *new_client(struct event_base *base, const struct leat_options *o)
{
    struct leat_client *c = mem_calloc(sizeof *c);
    c->magic = CLIENT_MAGIC;
    c->owners = 1;
    c->base = base;
    c->name = o->name ? mem_strdup(o->name) : NULL;
    c->connect_timeout_ms = or_default(o->connect_timeout_ms, 5000);
    c->ping_interval_ms = or_default(o->ping_interval_ms, 15000);
    c->backoff_min_ms = or_default(o->backoff_min_ms, 100);
    c->backoff_max_ms = or_default(o->backoff_max_ms, 10000);
    c->pending_max = o->pending_max ? o->pending_max : (size_t)1024 * 1024;
    c->on_state = o->on_state;
    c->arg = o->arg;
    c->fd = -1;
    c->reader = resp_reader_new();
    rng_seed_random(&c->rng);
    pubsub_init(c);
    return c;
}

struct leat_client *leat_client_new(struct event_base *base, const struct leat_options *options,
                                    const char **ret_error)
{
    struct leat_url url = {0};
    if (options->url != NULL) {
        if (leat_url_parse(options->url, &url, ret_error) != 0) return NULL;
    } else if (options->fd < 0) {
        *ret_error = "neither a URL nor a socket is given";
        return NULL;
    }
    struct leat_client *c = new_client(base, options);
    if (options->url != NULL) {
        c->has_url = true;
        c->url = url;
    } else {
        c->fd = options->fd;
    }
    if (client_start(c) == 0) return c;
    *ret_error = "the event loop takes no more events";
    leat_client_free(c);
    return NULL;
}

void leat_client_free(struct leat_client *c)
{
    if (c == NULL) return;
    must(c->magic == CLIENT_MAGIC && !c->closed);
    c->closed = true;
    client_disconnect(c);
    if (c->timer != NULL) event_del(c->timer);
    if (c->wake != NULL) event_del(c->wake);
    client_fail_pending(c, c->queue.count);
    pubsub_fini(c);
    client_unref(c);
}

enum leat_state leat_client_state(const struct leat_client *c)
{
    return c->state;
}

size_t leat_client_pending(const struct leat_client *c)
{
    return c->queue.count - c->pings;
}

/* ---- The queue ---- */

static void push_pending(struct leat_client *c, struct pending p)
{
    struct pending_queue *q = &c->queue;
    if (q->count == q->cap) {
        struct pending *items = mem_alloc((q->cap ? q->cap * 2 : 16) * sizeof *items);
        for (size_t i = 0; i < q->count; i++) items[i] = q->items[(q->head + i) & (q->cap - 1)];
        mem_free(q->items);
        q->items = items;
        q->head = 0;
        q->cap = q->cap ? q->cap * 2 : 16;
    }
    q->items[(q->head + q->count++) & (q->cap - 1)] = p;
    c->pings += p.ping;
    if (p.patience_ms == PATIENCE_FOREVER) c->forever++;
    else c->patience_ms += p.patience_ms;
}

static struct pending pop_pending(struct leat_client *c)
{
    struct pending_queue *q = &c->queue;
    must(q->count > 0);
    struct pending p = q->items[q->head];
    q->head = (q->head + 1) & (q->cap - 1);
    q->count--;
    c->pings -= p.ping;
    if (p.patience_ms == PATIENCE_FOREVER) c->forever--;
    else c->patience_ms -= p.patience_ms;
    return p;
}

void client_fail_pending(struct leat_client *c, size_t count)
{
    client_ref(c);
    /* A callback may free the client, and with it what is pending. */
    while (count-- > 0 && c->queue.count > 0) {
        struct pending p = pop_pending(c);
        if (p.fn != NULL) p.fn(p.arg, NULL);
    }
    client_unref(c);
}

bool client_take_pong(struct leat_client *c)
{
    if (c->pings == 0) return false;
    must(pop_pending(c).ping);
    return true;
}

/* A reply nobody asked for is a server's last word ("ERR max number of clients reached"), or a push
 * of RESP3, which has no command to go with. */
void client_take_reply(struct leat_client *c, const struct resp_reply *reply)
{
    char why[WHY_MAX];
    if (c->subscriber) {
        const char *unusable = pubsub_take_reply(c, reply, why);
        if (unusable != NULL) client_broken(c, unusable);
    } else if (reply->type == RESP_PUSH) {
        return;
    } else if (c->queue.count > 0) {
        struct pending p = pop_pending(c);
        if (p.fn != NULL) p.fn(p.arg, (const struct leat_reply *)reply);
    } else {
        bool error = reply->type == RESP_ERROR;
        snprintf(why, sizeof why, "an unexpected reply%s%.200s", error ? ": " : "",
                 error ? reply->text.data : "");
        client_broken(c, why);
    }
}

/* ---- Sending ---- */

static void append(struct leat_client *c, const struct bytes *argv, size_t argc, struct pending p)
{
    struct resp_writer w = {&c->out, 2};
    resp_command(&w, argv, argc);
    push_pending(c, p);
    if (c->phase == PHASE_READY) client_wake(c);
}

void client_send_ping(struct leat_client *c)
{
    append(c, (struct bytes[]){BYTES("PING")}, 1, (struct pending){.ping = true});
}

static int command(struct leat_client *c, const struct bytes *argv, size_t argc, leat_reply_fn fn,
                   void *arg)
{
    if (c->subscriber) return -EINVAL;
    if (c->closed || c->phase == PHASE_GONE) return -ENOTCONN;
    if (leat_client_pending(c) >= c->pending_max) return -ENOBUFS;
    if (c->out.len - c->written >= OUT_BYTES_MAX) return -ENOBUFS;
    /* What went before is no sign of anything: only now has the peer something to answer. */
    if (c->queue.count == 0) c->heard_ms = client_now_ms();
    append(c, argv, argc, (struct pending){fn, arg, command_patience_ms(argv, argc), false});
    return 0;
}

int leat_command(struct leat_client *c, int argc, const char *const *argv, const size_t *lens,
                 leat_reply_fn fn, void *arg)
{
    if (argc < 1) return -EINVAL;
    struct bytes few[16], *words = few;
    if ((size_t)argc > sizeof few / sizeof *few) words = mem_alloc((size_t)argc * sizeof *words);
    for (int i = 0; i < argc; i++)
        words[i] = lens ? (struct bytes){argv[i], lens[i]} : bytes_of(argv[i]);
    int rc = command(c, words, (size_t)argc, fn, arg);
    if (words != few) mem_free(words);
    return rc;
}

int leat_commandf(struct leat_client *c, leat_reply_fn fn, void *arg, const char *format, ...)
{
    struct words w = {0};
    va_list args;
    va_start(args, format);
    int rc = words_format(&w, format, args);
    va_end(args);
    if (rc == 0) rc = command(c, w.argv, w.argc, fn, arg);
    words_fini(&w);
    return rc;
}
