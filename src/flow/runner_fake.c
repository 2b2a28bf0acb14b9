/* The fake world; see runner_fake.h. Everything is in fixed or doubling arrays, found by walking:
 * tests are small.
 *
 * A client has a link while it is connected. Commands wait in link->in until a step executes them;
 * replies and messages wait in link->out until a step hands them over. When a link breaks, `out` is
 * dropped and `in` stays with the link, which goes on executing without a client until empty. */
#include "flow/runner_fake.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "leat/leat.h"

enum { CLIENTS_MAX = 32, LINKS_MAX = 4096, SUBS_MAX = 8, ARGS_MAX = 600, DATA_MAX = 20000 };

/* ---- Values ---- */

struct leat_reply {
    enum leat_type type;
    char *text;
    size_t len;
    int64_t integer;
    struct leat_reply **elements;
    size_t count;
};

enum leat_type leat_reply_type(const struct leat_reply *r)
{
    return r->type;
}

const char *leat_reply_text(const struct leat_reply *r, size_t *ret_len)
{
    *ret_len = r->text == NULL ? 0 : r->len;
    return r->text;
}

int64_t leat_reply_integer(const struct leat_reply *r)
{
    return r->integer;
}

size_t leat_reply_count(const struct leat_reply *r)
{
    return r->count;
}

const struct leat_reply *leat_reply_at(const struct leat_reply *r, size_t index)
{
    return r->elements[index];
}

static struct leat_reply *reply_new(enum leat_type type, const char *text, size_t len)
{
    struct leat_reply *r = mem_calloc(sizeof(*r));
    r->type = type;
    if (text == NULL) return r;
    r->text = mem_calloc(len + 1);
    memcpy(r->text, text, len);
    r->len = len;
    return r;
}

static struct leat_reply *reply_word(enum leat_type type, const char *text)
{
    return reply_new(type, text, strlen(text));
}

static struct leat_reply *reply_integer(int64_t n)
{
    struct leat_reply *r = reply_new(LEAT_INTEGER, NULL, 0);
    r->integer = n;
    return r;
}

static void reply_add(struct leat_reply *array, struct leat_reply *element)
{
    array->elements = mem_realloc(array->elements, (array->count + 1) * sizeof(element));
    array->elements[array->count++] = element;
}

static void reply_free(struct leat_reply *r)
{
    for (size_t i = 0; i < r->count; i++) reply_free(r->elements[i]);
    mem_free(r->elements);
    mem_free(r->text);
    mem_free(r);
}

/* ---- Queues of owned pointers ---- */

struct queue {
    void **items;
    size_t first, count, cap;
};

static void queue_push(struct queue *q, void *item)
{
    if (q->first + q->count == q->cap) {
        q->cap = q->cap * 2 + 16;
        q->items = mem_realloc(q->items, q->cap * sizeof(void *));
    }
    q->items[q->first + q->count++] = item;
}

static void *queue_pop(struct queue *q)
{
    must(q->count > 0);
    void *item = q->items[q->first];
    if (--q->count == 0) q->first = 0;
    else q->first++;
    return item;
}

/* ---- The world ---- */

struct command {
    int argc;
    char *argv[ARGS_MAX];
    size_t lens[ARGS_MAX];
};

struct out { /* a reply, or a message when channel is set */
    struct leat_reply *reply;
    char *channel, *message;
};

struct datum {
    char *key, *field;
    char *text; /* of a string; value otherwise */
    int64_t value;
    uint64_t serial;  /* of its making */
    uint64_t version; /* of a string: how often it was set */
};

struct link {
    struct leat_client *client; /* NULL: broken, and only executing what is left */
    uint64_t asleep_until;      /* broken: not before the broker has executed so much */
    struct queue in, out;       /* struct command, struct out */
    struct queue queued;        /* of MULTI */
    bool multi, failed;
    char *watched;
    uint64_t watched_version;
    char *channels[SUBS_MAX];
    size_t channel_count;
};

struct pending {
    leat_reply_fn fn;
    void *arg;
};

struct subscription {
    char *channel;
    leat_message_fn on_message;
    leat_subscribed_fn on_subscribed;
    void *arg;
};

struct leat_client {
    char name[64];
    flow_state_fn on_state;
    void *arg;
    struct link *link;
    struct queue backlog; /* struct command, while there is no link */
    struct queue pending; /* struct pending; those of the backlog at the end */
    struct subscription subs[SUBS_MAX];
    size_t sub_count;
    bool paused;
};

static struct world {
    struct event_base *base;
    struct rng rng;
    int64_t now_ms;
    struct leat_client *clients[CLIENTS_MAX];
    size_t client_count;
    struct link *links[LINKS_MAX];
    size_t link_count;
    struct datum data[DATA_MAX];
    size_t data_count;
    uint64_t serial;
    uint64_t executed; /* commands of unbroken links */
    const char *break_prefix;
    unsigned break_every;
    bool down;
    const char *refused, *refusal;
    char *published[200000]; /* channels */
    size_t published_count;
} world;

/* ---- Data ---- */

static struct datum *find(const char *key, const char *field)
{
    for (size_t i = 0; i < world.data_count; i++)
        if (strcmp(world.data[i].key, key) == 0 && strcmp(world.data[i].field, field) == 0)
            return &world.data[i];
    return NULL;
}

static struct datum *find_or_add(const char *key, const char *field)
{
    struct datum *d = find(key, field);
    if (d != NULL) return d;
    must(world.data_count < DATA_MAX);
    d = &world.data[world.data_count++];
    *d = (struct datum){
        .key = mem_strdup(key), .field = mem_strdup(field), .serial = ++world.serial};
    return d;
}

static bool drop(const char *key, const char *field)
{
    struct datum *d = find(key, field);
    if (d == NULL) return false;
    mem_free(d->key);
    mem_free(d->field);
    mem_free(d->text);
    *d = world.data[--world.data_count];
    return true;
}

int64_t fake_get(const char *key, const char *field)
{
    struct datum *d = find(key, field);
    return d == NULL ? -1 : d->value;
}

void fake_put(const char *key, const char *field, int64_t value)
{
    find_or_add(key, field)->value = value;
}

int64_t fake_sum(const char *key, size_t *ret_count)
{
    int64_t sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < world.data_count; i++) {
        if (strcmp(world.data[i].key, key) != 0) continue;
        sum += world.data[i].value;
        count++;
    }
    if (ret_count != NULL) *ret_count = count;
    return sum;
}

size_t fake_keys(void)
{
    size_t keys = 0;
    for (size_t i = 0; i < world.data_count; i++) {
        size_t j = 0;
        while (strcmp(world.data[j].key, world.data[i].key) != 0) j++;
        keys += j == i;
    }
    return keys;
}

/* ---- Commands ---- */

static void command_free(struct command *c)
{
    for (int i = 0; i < c->argc; i++) mem_free(c->argv[i]);
    mem_free(c);
}

static void push_out(struct link *l, struct leat_reply *reply, const char *channel,
                     const char *message)
{
    struct out *out = mem_calloc(sizeof(*out));
    out->reply = reply;
    if (channel != NULL) {
        out->channel = mem_strdup(channel);
        out->message = mem_strdup(message);
    }
    queue_push(&l->out, out);
}

size_t fake_publish(const char *channel, const char *message)
{
    size_t heard = 0;
    must(world.published_count < sizeof(world.published) / sizeof(world.published[0]));
    world.published[world.published_count++] = mem_strdup(channel);
    for (size_t i = 0; i < world.link_count; i++) {
        struct link *l = world.links[i];
        for (size_t j = 0; l->client != NULL && j < l->channel_count; j++) {
            if (strcmp(l->channels[j], channel) != 0) continue;
            push_out(l, NULL, channel, message);
            heard++;
        }
    }
    return heard;
}

uint64_t fake_published(const char *prefix)
{
    uint64_t n = 0;
    for (size_t i = 0; i < world.published_count; i++)
        n += strncmp(world.published[i], prefix, strlen(prefix)) == 0;
    return n;
}

/* The oldest datum of a key that is younger than `after`. */
static const struct datum *next_of(const char *key, uint64_t after)
{
    const struct datum *next = NULL;
    for (size_t i = 0; i < world.data_count; i++) {
        const struct datum *d = &world.data[i];
        if (strcmp(d->key, key) == 0 && d->serial > after &&
            (next == NULL || d->serial < next->serial))
            next = d;
    }
    return next;
}

/* HSCAN and SSCAN in pages of three; the cursor is the age of the last one given. */
static struct leat_reply *scan(const char *key, uint64_t after, bool with_values)
{
    struct leat_reply *reply = reply_new(LEAT_ARRAY, NULL, 0);
    struct leat_reply *items = reply_new(LEAT_ARRAY, NULL, 0);
    const struct datum *d = next_of(key, after);
    for (int i = 0; i < 3 && d != NULL; i++) {
        reply_add(items, reply_word(LEAT_STRING, d->field));
        if (with_values) reply_add(items, reply_word(LEAT_STRING, "1"));
        after = d->serial;
        d = next_of(key, after);
    }
    char cursor[32];
    snprintf(cursor, sizeof(cursor), "%llu", d == NULL ? 0 : (unsigned long long)after);
    reply_add(reply, reply_word(LEAT_STRING, cursor));
    reply_add(reply, items);
    return reply;
}

static struct leat_reply *add_number(const char *key, const char *field, const char *n)
{
    if (find(key, "") != NULL && find(key, "")->text != NULL)
        return reply_word(LEAT_ERROR, "WRONGTYPE it is a string");
    struct datum *d = find_or_add(key, field);
    d->value += atoll(n);
    return reply_integer(d->value);
}

static struct leat_reply *execute_data(const struct command *c)
{
    const char *name = c->argv[0];
    if (strcmp(name, "HINCRBY") == 0) return add_number(c->argv[1], c->argv[2], c->argv[3]);
    if (strcmp(name, "ZINCRBY") == 0) return add_number(c->argv[1], c->argv[3], c->argv[2]);
    if (strcmp(name, "SADD") == 0) {
        find_or_add(c->argv[1], c->argv[2])->value = 1;
        return reply_integer(1);
    }
    if (strcmp(name, "HDEL") == 0) {
        int64_t n = 0;
        for (int i = 2; i < c->argc; i++) n += drop(c->argv[1], c->argv[i]);
        return reply_integer(n);
    }
    if (strcmp(name, "HSCAN") == 0) return scan(c->argv[1], (uint64_t)atoll(c->argv[2]), true);
    if (strcmp(name, "SSCAN") == 0) return scan(c->argv[1], (uint64_t)atoll(c->argv[2]), false);
    if (strcmp(name, "PUBLISH") == 0)
        return reply_integer((int64_t)fake_publish(c->argv[1], c->argv[2]));
    if (strcmp(name, "SET") == 0) {
        struct datum *d = find_or_add(c->argv[1], "");
        mem_free(d->text);
        d->text = mem_strdup(c->argv[2]);
        d->version++;
        return reply_word(LEAT_STATUS, "OK");
    }
    must(strcmp(name, "GET") == 0);
    struct datum *d = find(c->argv[1], "");
    return d == NULL ? reply_new(LEAT_NULL, NULL, 0) : reply_word(LEAT_STRING, d->text);
}

static void clear_queued(struct link *l)
{
    while (l->queued.count > 0) command_free(queue_pop(&l->queued));
    mem_free(l->watched);
    l->watched = NULL;
    l->multi = l->failed = false;
}

static uint64_t version_of(const char *key)
{
    const struct datum *d = find(key, "");
    return d == NULL ? 0 : d->version;
}

static struct leat_reply *execute_exec(struct link *l)
{
    struct leat_reply *reply;
    if (!l->multi) {
        reply = reply_word(LEAT_ERROR, "ERR EXEC without MULTI");
    } else if (l->failed) {
        reply = reply_word(LEAT_ERROR, "EXECABORT a command was refused");
    } else if (l->watched != NULL && l->watched_version != version_of(l->watched)) {
        reply = reply_new(LEAT_NULL, NULL, 0);
    } else {
        reply = reply_new(LEAT_ARRAY, NULL, 0);
        for (size_t i = 0; i < l->queued.count; i++)
            reply_add(reply, execute_data(l->queued.items[l->queued.first + i]));
    }
    clear_queued(l);
    return reply;
}

/* Takes the command over. */
static struct leat_reply *execute(struct link *l, struct command *c)
{
    const char *name = c->argv[0];
    struct leat_reply *reply;
    if (world.refused != NULL && strcmp(name, world.refused) == 0) {
        l->failed = true;
        reply = reply_word(LEAT_ERROR, world.refusal);
    } else if (strcmp(name, "MULTI") == 0) {
        l->multi = true;
        l->failed = false;
        reply = reply_word(LEAT_STATUS, "OK");
    } else if (strcmp(name, "EXEC") == 0) {
        reply = execute_exec(l);
    } else if (strcmp(name, "WATCH") == 0) {
        mem_free(l->watched);
        l->watched = mem_strdup(c->argv[1]);
        l->watched_version = version_of(c->argv[1]);
        reply = reply_word(LEAT_STATUS, "OK");
    } else if (l->multi) {
        queue_push(&l->queued, c);
        return reply_word(LEAT_STATUS, "QUEUED");
    } else {
        reply = execute_data(c);
    }
    command_free(c);
    return reply;
}

static void execute_next(struct link *l)
{
    struct command *c = queue_pop(&l->in);
    if (strcmp(c->argv[0], "SUBSCRIBE") == 0) {
        must(l->channel_count < SUBS_MAX);
        l->channels[l->channel_count++] = mem_strdup(c->argv[1]);
        push_out(l, reply_word(LEAT_PUSH, c->argv[1]), NULL, NULL);
        command_free(c);
        return;
    }
    struct leat_reply *reply = execute(l, c);
    if (l->client == NULL) reply_free(reply);
    else push_out(l, reply, NULL, NULL);
}

/* ---- Links ---- */

static void out_free(struct out *out)
{
    if (out->reply != NULL) reply_free(out->reply);
    mem_free(out->channel);
    mem_free(out->message);
    mem_free(out);
}

static void drop_out(struct link *l)
{
    while (l->out.count > 0) out_free(queue_pop(&l->out));
}

static void send_subscribe(struct link *l, const char *channel)
{
    struct command *c = mem_calloc(sizeof(*c));
    c->argc = 2;
    c->argv[0] = mem_strdup("SUBSCRIBE");
    c->argv[1] = mem_strdup(channel);
    queue_push(&l->in, c);
}

static void link_free(struct link *l)
{
    while (l->in.count > 0) command_free(queue_pop(&l->in));
    drop_out(l);
    clear_queued(l);
    for (size_t i = 0; i < l->channel_count; i++) mem_free(l->channels[i]);
    mem_free(l->in.items);
    mem_free(l->out.items);
    mem_free(l->queued.items);
    mem_free(l);
}

/* In the place of a link that is broken and done, if there is one. */
static struct link *link_new(struct leat_client *c)
{
    size_t at = 0;
    while (at < world.link_count &&
           (world.links[at]->client != NULL || world.links[at]->in.count > 0))
        at++;
    must(at < LINKS_MAX);
    if (at < world.link_count) link_free(world.links[at]);
    else world.link_count++;
    struct link *l = world.links[at] = mem_calloc(sizeof(*l));
    l->client = c;
    return l;
}

static void make_link(struct leat_client *c)
{
    struct link *l = link_new(c);
    c->link = l;
    c->on_state(c->arg, LEAT_CONNECTED, NULL);
    for (size_t i = 0; i < c->sub_count; i++) send_subscribe(l, c->subs[i].channel);
    while (c->backlog.count > 0) queue_push(&l->in, queue_pop(&c->backlog));
}

static void unlink_client(struct leat_client *c)
{
    if (c->link == NULL) return;
    drop_out(c->link);
    c->link->asleep_until = world.executed + rng_below(&world.rng, 60);
    c->link->client = NULL;
    c->link = NULL;
}

static void break_link(struct leat_client *c)
{
    size_t sent = c->pending.count;
    unlink_client(c);
    c->on_state(c->arg, LEAT_WAITING, "the test broke it");
    for (size_t i = 0; i < sent; i++) {
        struct pending *p = queue_pop(&c->pending);
        p->fn(p->arg, NULL);
        mem_free(p);
    }
}

static void hand_message(struct leat_client *c, const struct out *out)
{
    for (size_t i = 0; i < c->sub_count; i++) {
        struct subscription *s = &c->subs[i];
        if (strcmp(s->channel, out->channel) == 0)
            s->on_message(s->arg, NULL, out->channel, strlen(out->channel), out->message,
                          strlen(out->message));
    }
}

static void hand_over(struct leat_client *c)
{
    struct out *out = queue_pop(&c->link->out);
    if (out->channel != NULL) {
        hand_message(c, out);
    } else if (out->reply->type == LEAT_PUSH) {
        for (size_t i = 0; i < c->sub_count; i++)
            if (strcmp(c->subs[i].channel, out->reply->text) == 0)
                c->subs[i].on_subscribed(c->subs[i].arg, out->reply->text);
    } else {
        struct pending *p = queue_pop(&c->pending);
        p->fn(p->arg, out->reply);
        mem_free(p);
    }
    out_free(out);
}

/* ---- Steps ---- */

static bool may_break(const struct leat_client *c)
{
    return world.break_prefix != NULL &&
           strncmp(c->name, world.break_prefix, strlen(world.break_prefix)) == 0 &&
           rng_below(&world.rng, world.break_every) == 0;
}

/* True when something moved. */
static bool step_client(struct leat_client *c)
{
    if (c->link == NULL) {
        if (world.down) return false;
        make_link(c);
        return true;
    }
    if (world.down || may_break(c)) {
        break_link(c);
        return true;
    }
    bool can_execute = c->link->in.count > 0, can_hand = c->link->out.count > 0 && !c->paused;
    if (can_execute && (!can_hand || rng_below(&world.rng, 2) == 0)) {
        world.executed++;
        execute_next(c->link);
        return true;
    }
    if (can_hand) hand_over(c);
    return can_hand;
}

/* What a broken link had been sent arrives late, even after what its client has sent since over
 * another link; or not at all. */
static bool step_broken(struct link *l)
{
    if (l->client != NULL || l->in.count == 0 || l->asleep_until > world.executed) return false;
    if (rng_below(&world.rng, 8) == 0)
        while (l->in.count > 0) command_free(queue_pop(&l->in));
    else execute_next(l);
    return true;
}

static bool step(void)
{
    size_t from = (size_t)rng_below(&world.rng, world.client_count + world.link_count + 1);
    for (size_t i = 0; i < world.client_count + world.link_count; i++) {
        size_t n = (from + i) % (world.client_count + world.link_count);
        bool moved = n < world.client_count
                         ? world.clients[n] != NULL && step_client(world.clients[n])
                         : step_broken(world.links[n - world.client_count]);
        if (moved) return true;
    }
    return false;
}

static void rest(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

void fake_run(size_t steps)
{
    bool moved = false;
    for (size_t i = 0; i < steps; i++) {
        moved |= step();
        if (i % 4 == 0) event_base_loop(world.base, EVLOOP_NONBLOCK);
    }
    event_base_loop(world.base, EVLOOP_NONBLOCK);
    if (!moved) rest(); /* only the runner's timers can go on */
}

bool fake_settle(size_t most)
{
    /* Long enough for the runner's timers to start something. */
    for (size_t still = 0, i = 0; i < most; i++) {
        still = step() ? 0 : still + 1;
        event_base_loop(world.base, EVLOOP_NONBLOCK);
        if (still > 250) return true;
        if (still > 0) rest();
    }
    return false;
}

/* ---- libleat ---- */

struct leat_client *fake_connect(void *arg, const char *name, flow_state_fn on_state,
                                 void *state_arg)
{
    must(world.client_count < CLIENTS_MAX);
    struct leat_client *c = mem_calloc(sizeof(*c));
    snprintf(c->name, sizeof(c->name), "%s", name);
    c->on_state = on_state;
    c->arg = state_arg;
    world.clients[world.client_count++] = c;
    return c;
}

void leat_client_free(struct leat_client *c)
{
    if (c == NULL) return;
    unlink_client(c);
    while (c->pending.count > 0) {
        struct pending *p = queue_pop(&c->pending);
        p->fn(p->arg, NULL);
        mem_free(p);
    }
    while (c->backlog.count > 0) command_free(queue_pop(&c->backlog));
    for (size_t i = 0; i < c->sub_count; i++) mem_free(c->subs[i].channel);
    for (size_t i = 0; i < world.client_count; i++)
        if (world.clients[i] == c) world.clients[i] = NULL;
    mem_free(c->pending.items);
    mem_free(c->backlog.items);
    mem_free(c);
}

int leat_command(struct leat_client *c, int argc, const char *const *argv, const size_t *lens,
                 leat_reply_fn fn, void *arg)
{
    struct command *command = mem_calloc(sizeof(*command));
    must(argc <= ARGS_MAX && fn != NULL);
    command->argc = argc;
    for (int i = 0; i < argc; i++) {
        command->argv[i] = mem_calloc(lens[i] + 1);
        memcpy(command->argv[i], argv[i], lens[i]);
    }
    struct pending *p = mem_alloc(sizeof(*p));
    *p = (struct pending){fn, arg};
    queue_push(&c->pending, p);
    queue_push(c->link != NULL ? &c->link->in : &c->backlog, command);
    return 0;
}

int leat_subscribe(struct leat_client *c, const char *channel, leat_message_fn on_message,
                   leat_subscribed_fn on_subscribed, void *arg)
{
    must(c->sub_count < SUBS_MAX);
    c->subs[c->sub_count++] =
        (struct subscription){mem_strdup(channel), on_message, on_subscribed, arg};
    if (c->link != NULL) send_subscribe(c->link, channel);
    return 0;
}

void leat_client_pause(struct leat_client *c)
{
    c->paused = true;
}

void leat_client_resume(struct leat_client *c)
{
    c->paused = false;
}

/* ---- Settings and life ---- */

int64_t fake_now_ms(void)
{
    return world.now_ms;
}

void fake_set_now_ms(int64_t now_ms)
{
    world.now_ms = now_ms;
}

void fake_break(const char *name_prefix, unsigned every)
{
    world.break_prefix = name_prefix;
    world.break_every = every;
}

void fake_set_down(bool down)
{
    world.down = down;
}

void fake_refuse(const char *command, const char *error)
{
    world.refused = command;
    world.refusal = error;
}

void fake_init(struct event_base *base, uint64_t seed)
{
    memset(&world, 0, sizeof(world));
    world.base = base;
    world.now_ms = INT64_C(1700000000000);
    rng_seed(&world.rng, seed);
}

void fake_fini(void)
{
    for (size_t i = 0; i < world.client_count; i++) must(world.clients[i] == NULL);
    for (size_t i = 0; i < world.link_count; i++) link_free(world.links[i]);
    while (world.data_count > 0) drop(world.data[0].key, world.data[0].field);
    fake_sources_fini();
    for (size_t i = 0; i < world.published_count; i++) mem_free(world.published[i]);
}
