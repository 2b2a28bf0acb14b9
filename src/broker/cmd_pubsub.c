/* Publish/subscribe: SUBSCRIBE and its kin, PUBLISH, PUBSUB. */
#include "broker/internal.h"

typedef bool (*hub_change)(struct hub *h, struct subscriber *s, struct bytes text);

/* One confirmation per channel; `text.data` NULL where there was nothing to leave. */
static void confirm(struct call *c, const char *what, struct bytes text)
{
    struct resp_writer w = call_reply_even_if_off(c);
    resp_push(&w, 3);
    resp_bulk_str(&w, what);
    if (text.data == NULL) resp_null(&w);
    else resp_bulk(&w, text);
    resp_int(&w, (int64_t)subscriber_count(&c->session->subscriber));
}

static void join_all(struct call *c, hub_change change, const char *what)
{
    c->session->subscriber.proto = c->session->proto;
    for (size_t i = 1; i < c->argc; i++) {
        change(c->broker->hub, &c->session->subscriber, c->argv[i]);
        confirm(c, what, c->argv[i]);
    }
}

static void subscribe(struct call *c)
{
    join_all(c, hub_subscribe, "subscribe");
}

static void psubscribe(struct call *c)
{
    join_all(c, hub_psubscribe, "psubscribe");
}

/* Without arguments: from everything, each confirmed, or once with null. */
static void leave_everything(struct call *c, struct map *own, hub_change change, const char *what)
{
    struct subscriber *s = &c->session->subscriber;
    if (map_count(own) == 0) {
        confirm(c, what, (struct bytes){NULL, 0});
        return;
    }
    while (map_count(own) > 0) {
        struct map_iter it;
        map_iter_init(&it, own);
        struct bytes text = arena_dup(c->arena, own->type->key(map_iter_next(&it)));
        map_iter_fini(&it);
        change(c->broker->hub, s, text);
        confirm(c, what, text);
    }
}

static void leave(struct call *c, struct map *own, hub_change change, const char *what)
{
    if (c->argc == 1) {
        leave_everything(c, own, change, what);
        return;
    }
    for (size_t i = 1; i < c->argc; i++) {
        change(c->broker->hub, &c->session->subscriber, c->argv[i]);
        confirm(c, what, c->argv[i]);
    }
}

static void unsubscribe(struct call *c)
{
    leave(c, &c->session->subscriber.channels, hub_unsubscribe, "unsubscribe");
}

static void punsubscribe(struct call *c)
{
    leave(c, &c->session->subscriber.patterns, hub_punsubscribe, "punsubscribe");
}

/* The message carries its publisher's last write: who hears of it finds what was written before. */
static void publish(struct call *c)
{
    uint64_t waits_for = broker_uncovered(c->broker, c->session->last_write);
    int64_t receivers = hub_publish(c->broker->hub, c->argv[1], c->argv[2], waits_for);
    resp_int(c->reply, receivers);
}

struct channel_list {
    struct call *call;
    size_t count;
};

static void list_channel(void *arg, struct bytes channel)
{
    struct channel_list *list = arg;
    resp_bulk(list->call->reply, channel);
    list->count++;
}

static void pubsub_channels(struct call *c)
{
    struct channel_list list = {c, 0};
    size_t place = resp_defer(c->reply);
    struct bytes pattern = c->argc > 2 ? c->argv[2] : (struct bytes){NULL, 0};
    hub_each_channel(c->broker->hub, pattern, list_channel, &list);
    resp_defer_array(c->reply, place, list.count);
}

static void pubsub_numsub(struct call *c)
{
    resp_array(c->reply, (c->argc - 2) * 2);
    for (size_t i = 2; i < c->argc; i++) {
        resp_bulk(c->reply, c->argv[i]);
        resp_int(c->reply, hub_channel_subscribers(c->broker->hub, c->argv[i]));
    }
}

static void pubsub_numpat(struct call *c)
{
    resp_int(c->reply, (int64_t)hub_patterns(c->broker->hub));
}

static void pubsub_help(struct call *c)
{
    static const char *const lines[] = {
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

#define ASK  (CMD_PUBSUB | CMD_LOADING | CMD_STALE)
#define JOIN (CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

/* clang-format off */
static const struct command pubsub_subcommands[] = {
    {.name = "channels", .arity = -2, .flags = ASK, .group = "pubsub", .since = "2.8.0",
     .syntax = "PUBSUB CHANNELS [pattern]", .summary = "Lists the channels that have subscribers.",
     .handler = pubsub_channels, .complexity = "O(N) in active channels"},
    {.name = "numpat", .arity = 2, .flags = ASK, .group = "pubsub", .since = "2.8.0",
     .syntax = "PUBSUB NUMPAT", .summary = "Counts the distinct patterns subscribed to.",
     .handler = pubsub_numpat, .complexity = "O(1)"},
    {.name = "numsub", .arity = -2, .flags = ASK, .group = "pubsub", .since = "2.8.0",
     .syntax = "PUBSUB NUMSUB [channel [channel ...]]",
     .summary = "Counts the subscribers of each channel.", .handler = pubsub_numsub,
     .complexity = "O(N) in channels asked for"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, .group = "pubsub",
     .since = "6.2.0", .syntax = "PUBSUB HELP", .summary = "Explains the subcommands.",
     .handler = pubsub_help, .complexity = "O(1)"},
    {.name = NULL},
};

const struct command cmd_pubsub[] = {
    {.name = "subscribe", .arity = -2, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .since = "2.0.0", .syntax = "SUBSCRIBE channel [channel ...]",
     .summary = "Listens to channels.", .handler = subscribe, .complexity = "O(N) in channels"},
    {.name = "psubscribe", .arity = -2, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .since = "2.0.0", .syntax = "PSUBSCRIBE pattern [pattern ...]",
     .summary = "Listens to all channels that match a pattern.", .handler = psubscribe,
     .complexity = "O(N) in patterns"},
    {.name = "unsubscribe", .arity = -1, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .since = "2.0.0", .syntax = "UNSUBSCRIBE [channel [channel ...]]",
     .summary = "Stops listening to channels; without arguments, to all.",
     .handler = unsubscribe, .complexity = "O(N) in channels"},
    {.name = "punsubscribe", .arity = -1, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .since = "2.0.0", .syntax = "PUNSUBSCRIBE [pattern [pattern ...]]",
     .summary = "Stops listening to patterns; without arguments, to all.",
     .handler = punsubscribe, .complexity = "O(N) in patterns"},
    {.name = "publish", .arity = 3,
     .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE | CMD_SENTINEL,
     .acl = ACL_PUBSUB, .group = "pubsub", .since = "2.0.0", .syntax = "PUBLISH channel message",
     .summary = "Sends a message to all who listen; answers how many they are.",
     .handler = publish, .complexity = "O(N+M) in subscribers and patterns"},
    {.name = "pubsub", .arity = -2, .group = "pubsub", .since = "2.8.0",
     .syntax = "PUBSUB subcommand [argument ...]", .summary = "Asks who listens to what.",
     .subcommands = pubsub_subcommands, .complexity = "Depends on the subcommand"},
    {.name = NULL},
};
/* clang-format on */
