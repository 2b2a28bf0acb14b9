/* Publish/subscribe: SUBSCRIBE and its kin, PUBLISH, PUBSUB. Channels, patterns and shard channels
 * are three kinds of topic and otherwise handled alike. Without a cluster there is one shard. */
#include "broker/durable.h"
#include "broker/internal.h"
#include "keys/stream_id.h"

/* Shard channels are counted by themselves. */
static int64_t count_for(const struct session *s, enum topic_kind kind)
{
    const struct subscriber *own = &s->subscriber;
    if (kind == TOPIC_SHARD) return (int64_t)subscriber_count(own, TOPIC_SHARD);
    return (int64_t)(subscriber_count(own, TOPIC_CHANNEL) + subscriber_count(own, TOPIC_BEHIND) +
                     subscriber_count(own, TOPIC_PATTERN));
}

/* One confirmation per channel; `text.data` NULL where there was nothing to leave. */
static void confirm(struct call *c, const char *what, enum topic_kind kind, struct bytes text)
{
    struct resp_writer w = call_reply_even_if_off(c);
    resp_push(&w, 3);
    resp_bulk_str(&w, what);
    if (text.data == NULL) resp_null(&w);
    else resp_bulk(&w, text);
    resp_int(&w, count_for(c->session, kind));
}

static void join_all(struct call *c, enum topic_kind kind, const char *what)
{
    for (size_t i = 1; i < c->argc; i++) {
        hub_subscribe(c->broker->hub, &c->session->subscriber, kind, c->argv[i]);
        confirm(c, what, kind, c->argv[i]);
    }
}

static void subscribe(struct call *c)
{
    if (!durable_may_subscribe(c, c->argv + 1, c->argc - 1)) return;
    for (size_t i = 1; i < c->argc; i++) {
        if (!durable_subscribe(c, c->argv[i]))
            hub_subscribe(c->broker->hub, &c->session->subscriber, TOPIC_CHANNEL, c->argv[i]);
        confirm(c, "subscribe", TOPIC_CHANNEL, c->argv[i]);
    }
}

static void psubscribe(struct call *c)
{
    join_all(c, TOPIC_PATTERN, "psubscribe");
}

static void ssubscribe(struct call *c)
{
    if (c->in_exec) {
        resp_error(c->reply, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
        return;
    }
    join_all(c, TOPIC_SHARD, "ssubscribe");
}

struct text_list { /* on the arena */
    struct arena *arena;
    struct bytes *texts;
    size_t count;
};

static void list_text(void *arg, struct bytes text)
{
    struct text_list *list = arg;
    list->texts[list->count++] = arena_dup(list->arena, text);
}

static void leave_one(struct call *c, enum topic_kind kind, struct bytes text)
{
    if (kind == TOPIC_CHANNEL && durable_unsubscribe(c->broker, c->session, text)) return;
    hub_unsubscribe(c->broker->hub, &c->session->subscriber, kind, text);
}

/* Without arguments: from everything, each confirmed, or once with null. */
static void leave_everything(struct call *c, enum topic_kind kind, const char *what)
{
    struct subscriber *s = &c->session->subscriber;
    bool channels = kind == TOPIC_CHANNEL;
    size_t count = subscriber_count(s, kind) + (channels ? subscriber_count(s, TOPIC_BEHIND) : 0);
    if (count == 0) {
        confirm(c, what, kind, (struct bytes){NULL, 0});
        return;
    }
    struct text_list list = {c->arena, arena_alloc(c->arena, count * sizeof(struct bytes)), 0};
    subscriber_each(s, kind, list_text, &list);
    if (channels) subscriber_each(s, TOPIC_BEHIND, list_text, &list);
    for (size_t i = 0; i < list.count; i++) {
        leave_one(c, kind, list.texts[i]);
        confirm(c, what, kind, list.texts[i]);
    }
}

static void leave(struct call *c, enum topic_kind kind, const char *what)
{
    if (c->argc == 1) {
        leave_everything(c, kind, what);
        return;
    }
    for (size_t i = 1; i < c->argc; i++) {
        leave_one(c, kind, c->argv[i]);
        confirm(c, what, kind, c->argv[i]);
    }
}

static void unsubscribe(struct call *c)
{
    leave(c, TOPIC_CHANNEL, "unsubscribe");
}

static void punsubscribe(struct call *c)
{
    leave(c, TOPIC_PATTERN, "punsubscribe");
}

static void sunsubscribe(struct call *c)
{
    leave(c, TOPIC_SHARD, "sunsubscribe");
}

/* The message carries its publisher's last write: who hears of it finds what was written before. */
static uint64_t waits_for(const struct call *c)
{
    return broker_uncovered(c->broker, c->session->last_write);
}

static void publish(struct call *c)
{
    int64_t receivers;
    if (!durable_appends(c->broker, c->cmd, c->argc, c->argv))
        resp_int(c->reply, hub_publish(c->broker->hub, c->argv[1], c->argv[2], waits_for(c)));
    else if (durable_publish(c, c->argv[1], c->argv[2], &receivers)) resp_int(c->reply, receivers);
}

static void spublish(struct call *c)
{
    resp_int(c->reply, hub_publish_shard(c->broker->hub, c->argv[1], c->argv[2], waits_for(c)));
}

struct channel_list {
    struct call *call;
    bool behind; /* those with no other subscribers */
    size_t count;
};

static void list_channel(void *arg, struct bytes channel)
{
    struct channel_list *list = arg;
    if (list->behind && hub_subscribers(list->call->broker->hub, TOPIC_CHANNEL, channel) > 0)
        return;
    resp_bulk(list->call->reply, channel);
    list->count++;
}

static void list_channels(struct call *c, enum topic_kind kind)
{
    if (c->argc > 3) {
        resp_error(c->reply,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. "
                   "Try PUBSUB HELP.",
                   (int)c->argv[1].len, c->argv[1].data);
        return;
    }
    struct channel_list list = {.call = c};
    size_t place = resp_defer(c->reply);
    struct bytes pattern = c->argc > 2 ? c->argv[2] : (struct bytes){NULL, 0};
    hub_each_channel(c->broker->hub, kind, pattern, list_channel, &list);
    list.behind = true;
    if (kind == TOPIC_CHANNEL)
        hub_each_channel(c->broker->hub, TOPIC_BEHIND, pattern, list_channel, &list);
    resp_defer_array(c->reply, place, list.count);
}

static void count_subscribers(struct call *c, enum topic_kind kind)
{
    resp_array(c->reply, (c->argc - 2) * 2);
    for (size_t i = 2; i < c->argc; i++) {
        resp_bulk(c->reply, c->argv[i]);
        int64_t n = hub_subscribers(c->broker->hub, kind, c->argv[i]);
        if (kind == TOPIC_CHANNEL) n += hub_subscribers(c->broker->hub, TOPIC_BEHIND, c->argv[i]);
        resp_int(c->reply, n);
    }
}

static void pubsub_channels(struct call *c)
{
    list_channels(c, TOPIC_CHANNEL);
}

static void pubsub_numsub(struct call *c)
{
    count_subscribers(c, TOPIC_CHANNEL);
}

static void pubsub_shardchannels(struct call *c)
{
    list_channels(c, TOPIC_SHARD);
}

static void pubsub_shardnumsub(struct call *c)
{
    count_subscribers(c, TOPIC_SHARD);
}

static void pubsub_numpat(struct call *c)
{
    resp_int(c->reply, (int64_t)hub_topics(c->broker->hub, TOPIC_PATTERN));
}

struct subscriber_list {
    struct call *call;
    struct bytes channel;
    size_t count;
};

/* For how long the older of the two has waited; 0: none does. */
static int64_t waited_ms(int64_t now_ms, int64_t output_since_ms, uint64_t entry_ms)
{
    bool is_entry = entry_ms > 0 && entry_ms < (uint64_t)now_ms;
    int64_t since_ms = output_since_ms > 0 ? output_since_ms : now_ms;
    if (is_entry && (int64_t)entry_ms < since_ms) since_ms = (int64_t)entry_ms;
    return since_ms < now_ms ? now_ms - since_ms : 0;
}

static void put_progress(struct resp_writer *w, const struct subscriber_state *state,
                         const struct durable_look *look, int64_t now_ms)
{
    char upto[STREAM_ID_TEXT_MAX];
    resp_field_int(w, "delivered", (int64_t)state->delivered);
    resp_bulk_str(w, "delivered-id");
    if (look->is_durable) resp_bulk(w, (struct bytes){upto, stream_id_format(upto, look->upto)});
    else resp_null(w);
    resp_field_int(w, "lag-messages", (int64_t)(state->lag_messages + look->rest.count));
    resp_field_int(w, "lag-bytes", (int64_t)(state->lag_bytes + look->rest.bytes));
    resp_field_int(w, "lag-ms", waited_ms(now_ms, state->lag_since_ms, look->rest.since_ms));
}

static void list_subscriber(void *arg, const struct subscriber_state *state)
{
    struct subscriber_list *list = arg;
    struct resp_writer *w = list->call->reply;
    const struct session *s = session_of_subscriber(state->subscriber);
    struct durable_look look = durable_look(list->call->broker, s, list->channel, state);
    list->count++;
    resp_map(w, 11);
    resp_field(w, "state", bytes_of(look.state));
    resp_field_int(w, "id", (int64_t)s->id);
    resp_field(w, "name", s->name.data == NULL ? BYTES("") : buf_bytes(&s->name));
    resp_field(w, "addr", bytes_of(s->address));
    resp_bulk_str(w, "pattern");
    if (state->pattern.data == NULL) resp_null(w);
    else resp_bulk(w, state->pattern);
    resp_field_int(w, "since-ms", state->since_ms);
    put_progress(w, state, &look, list->call->now_ms);
}

static void pubsub_subscribers(struct call *c)
{
    resp_map(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        struct subscriber_list list = {c, c->argv[i], 0};
        resp_bulk(c->reply, c->argv[i]);
        size_t place = resp_defer(c->reply);
        hub_each_subscriber(c->broker->hub, c->argv[i], list_subscriber, &list);
        resp_defer_array(c->reply, place, list.count);
        if (call_reply_is_full(c)) return;
    }
}

static void pubsub_help(struct call *c)
{
    static const char *const lines[] = {
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "DURABLE LIST [<channel>]",
        "    Who is remembered on durable channels: state, position, lag.",
        "DURABLE RESET <channel> <name> <id|unix-time-ms|0|$>",
        "    Set behind which entry, or from which time on, a subscriber is served.",
        "DURABLE FORGET <channel> <name>",
        "    Forget a subscriber that is not connected.",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
        "SUBSCRIBERS <channel> [<channel> ...]",
        "    Who would get a message on each channel: id, name, address, the pattern by which it",
        "    hears of it, since when, messages delivered to it, and what it has still to get.",
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
    {.name = "shardchannels", .arity = -2, .flags = ASK, .group = "pubsub", .since = "7.0.0",
     .syntax = "PUBSUB SHARDCHANNELS [pattern]",
     .summary = "Lists the shard channels that have subscribers.",
     .handler = pubsub_shardchannels, .complexity = "O(N) in active shard channels"},
    {.name = "shardnumsub", .arity = -2, .flags = ASK, .group = "pubsub", .since = "7.0.0",
     .syntax = "PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]",
     .summary = "Counts the subscribers of each shard channel.", .handler = pubsub_shardnumsub,
     .complexity = "O(N) in channels asked for"},
    {.name = "subscribers", .arity = -3, .flags = ASK, .group = "pubsub", .since = "0.1.0",
     .syntax = "PUBSUB SUBSCRIBERS channel [channel ...]",
     .summary = "Tells who listens to each channel, since when, and how far behind each is.",
     .handler = pubsub_subscribers, .complexity = "O(N) in subscribers of the channels"},
    {.name = "durable", .arity = -3, .flags = CMD_PUBSUB | CMD_WRITE | CMD_SHRINKS,
     .group = "pubsub", .since = "0.1.0",
     .syntax = "PUBSUB DURABLE <LIST [channel] | RESET channel name <id | unix-time-ms | 0 | $> | "
               "FORGET channel name>",
     .summary = "Tells who is remembered on durable channels, sets from where a subscriber is "
                "served, or forgets it.",
     .handler = cmd_pubsub_durable,
     .complexity = "O(N) in subscribers; LIST without a channel O(N) in keys"},
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
    {.name = "ssubscribe", .arity = -2, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .first_key = 1, .last_key = -1, .key_step = 1, .key_positions = KEYS_CHANNELS,
     .since = "7.0.0", .syntax = "SSUBSCRIBE shardchannel [shardchannel ...]",
     .summary = "Listens to shard channels.", .handler = ssubscribe,
     .complexity = "O(N) in channels"},
    {.name = "sunsubscribe", .arity = -1, .flags = JOIN, .acl = ACL_PUBSUB, .group = "pubsub",
     .first_key = 1, .last_key = -1, .key_step = 1, .key_positions = KEYS_CHANNELS,
     .since = "7.0.0", .syntax = "SUNSUBSCRIBE [shardchannel [shardchannel ...]]",
     .summary = "Stops listening to shard channels; without arguments, to all.",
     .handler = sunsubscribe, .complexity = "O(N) in channels"},
    {.name = "spublish", .arity = 3,
     .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE,
     .first_key = 1, .last_key = 1, .key_step = 1, .key_positions = KEYS_CHANNELS,
     .acl = ACL_PUBSUB, .group = "pubsub", .since = "7.0.0",
     .syntax = "SPUBLISH shardchannel message",
     .summary = "Sends a message to all who listen to a shard channel; answers how many they are.",
     .handler = spublish, .complexity = "O(N) in subscribers"},
    {.name = "pubsub", .arity = -2, .group = "pubsub", .since = "2.8.0",
     .syntax = "PUBSUB subcommand [argument ...]", .summary = "Asks who listens to what.",
     .subcommands = pubsub_subcommands, .complexity = "Depends on the subcommand"},
    {.name = NULL},
};
/* clang-format on */
