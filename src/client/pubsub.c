/* Subscriptions: a table of what the user wants, told to the server again on every connection. What
 * the server confirms or sends is looked up in it, so a message that was under way when its channel
 * was given up finds nobody. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "client/private.h"
#include "resp/writer.h"

struct subscription {
    leat_message_fn on_message;
    leat_subscribed_fn on_subscribed;
    void *arg;
    size_t name_len;
    char name[]; /* zero-terminated */
};

static struct bytes subscription_key(const void *item)
{
    const struct subscription *s = item;
    return (struct bytes){s->name, s->name_len};
}

static const struct map_type subscriptions = {subscription_key, mem_free};

void pubsub_init(struct leat_client *c)
{
    map_init(&c->channels, &subscriptions);
    map_init(&c->patterns, &subscriptions);
}

void pubsub_fini(struct leat_client *c)
{
    map_clear(&c->channels);
    map_clear(&c->patterns);
}

/* ---- Asking ---- */

static void tell_server(struct leat_client *c, const char *command, struct bytes name)
{
    struct resp_writer w = {&c->out, 2};
    resp_command(&w, (struct bytes[]){bytes_of(command), name}, 2);
    client_wake(c);
}

static void send_all(struct leat_client *c, const char *command, struct map *m)
{
    struct map_iter it;
    map_iter_init(&it, m);
    for (void *item; (item = map_iter_next(&it)) != NULL;)
        tell_server(c, command, subscription_key(item));
    map_iter_fini(&it);
}

void pubsub_resubscribe(struct leat_client *c)
{
    send_all(c, "SUBSCRIBE", &c->channels);
    send_all(c, "PSUBSCRIBE", &c->patterns);
}

static int subscribe(struct leat_client *c, struct map *m, const char *command,
                     const struct subscription *model, struct bytes name)
{
    if (c->closed || c->phase == PHASE_GONE) return -ENOTCONN;
    if (leat_client_pending(c) > 0) return -EBUSY;
    if (map_get(m, name) != NULL) return -EEXIST;
    struct subscription *s = mem_alloc(sizeof *s + name.len + 1);
    *s = *model;
    s->name_len = name.len;
    memcpy(s->name, name.data, name.len + 1);
    map_insert(m, s);
    c->subscriber = true;
    if (c->phase == PHASE_READY) tell_server(c, command, name);
    return 0;
}

static int unsubscribe(struct leat_client *c, struct map *m, const char *command, struct bytes name)
{
    if (c->closed || !map_delete(m, name)) return -ENOENT;
    if (c->phase == PHASE_READY) tell_server(c, command, name);
    return 0;
}

int leat_subscribe(struct leat_client *c, const char *channel, leat_message_fn on_message,
                   leat_subscribed_fn on_subscribed, void *arg)
{
    struct subscription s = {on_message, on_subscribed, arg, 0};
    return subscribe(c, &c->channels, "SUBSCRIBE", &s, bytes_of(channel));
}

int leat_psubscribe(struct leat_client *c, const char *pattern, leat_message_fn on_message,
                    leat_subscribed_fn on_subscribed, void *arg)
{
    struct subscription s = {on_message, on_subscribed, arg, 0};
    return subscribe(c, &c->patterns, "PSUBSCRIBE", &s, bytes_of(pattern));
}

int leat_unsubscribe(struct leat_client *c, const char *channel)
{
    return unsubscribe(c, &c->channels, "UNSUBSCRIBE", bytes_of(channel));
}

int leat_punsubscribe(struct leat_client *c, const char *pattern)
{
    return unsubscribe(c, &c->patterns, "PUNSUBSCRIBE", bytes_of(pattern));
}

/* ---- Hearing ---- */

static void deliver(struct leat_client *c, struct map *m, const struct resp_reply *name,
                    const struct resp_reply *channel, const struct resp_reply *message)
{
    struct subscription *s = map_get(m, name->text);
    if (s == NULL || s->on_message == NULL) return;
    const char *pattern = name == channel ? NULL : name->text.data;
    s->on_message(s->arg, pattern, channel->text.data, channel->text.len, message->text.data,
                  message->text.len);
}

static void confirm(struct map *m, const struct resp_reply *name)
{
    struct subscription *s = map_get(m, name->text);
    if (s != NULL && s->on_subscribed != NULL) s->on_subscribed(s->arg, name->text.data);
}

/* A kind, and bulk strings behind it in the first `strings` elements. */
static bool is_push(const struct resp_reply *r, const char *kind, size_t count, size_t strings)
{
    if (r->count != count || !bytes_eq(r->elements[0].text, bytes_of(kind))) return false;
    for (size_t i = 0; i < strings; i++)
        if (r->elements[i].type != RESP_BULK) return false;
    return true;
}

static bool take_push(struct leat_client *c, const struct resp_reply *r)
{
    const struct resp_reply *e = r->elements;
    if (is_push(r, "message", 3, 3)) deliver(c, &c->channels, &e[1], &e[1], &e[2]);
    else if (is_push(r, "pmessage", 4, 4)) deliver(c, &c->patterns, &e[1], &e[2], &e[3]);
    else if (is_push(r, "subscribe", 3, 2)) confirm(&c->channels, &e[1]);
    else if (is_push(r, "psubscribe", 3, 2)) confirm(&c->patterns, &e[1]);
    else if (is_push(r, "pong", 2, 2)) return client_take_pong(c);
    else return is_push(r, "unsubscribe", 3, 1) || is_push(r, "punsubscribe", 3, 1);
    return true;
}

/* A refused SUBSCRIBE ("NOPERM ...") does not say which one it was; going on without it would be
 * deaf on that channel, so the connection is given up and the owner hears why. */
const char *pubsub_take_reply(struct leat_client *c, const struct resp_reply *reply, char *why)
{
    bool known = false;
    if (reply->type == RESP_ERROR) {
        snprintf(why, WHY_MAX, "SUBSCRIBE: %.200s", reply->text.data);
        return why;
    }
    if (reply->type == RESP_SIMPLE) known = client_take_pong(c);
    else if ((reply->type == RESP_ARRAY || reply->type == RESP_PUSH) && reply->count > 0)
        known = take_push(c, reply);
    return known ? NULL : "an unexpected reply on a subscriber's connection";
}
