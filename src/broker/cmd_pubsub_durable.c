/* PUBSUB DURABLE: who is remembered on durable channels, from where on each is served, and
 * forgetting. */
#include "base/num.h"
#include "broker/change_group.h"
#include "broker/durable_priv.h"
#include "broker/stream_args.h"

/* argv: PUBSUB DURABLE word channel name position */
enum { ARG_WORD = 2, ARG_CHANNEL, ARG_NAME, ARG_POSITION };

/* ---- LIST ---- */

static struct bytes state_of(const struct durable_sub *u)
{
    if (u == NULL) return BYTES("absent");
    return u->state == DURABLE_LIVE ? BYTES("live") : BYTES("behind");
}

static void put_lag(struct call *c, struct group *g, struct stream *s)
{
    struct resp_writer *w = c->reply;
    struct stream_rest rest = {0};
    resp_bulk_str(w, "lag");
    if (group_settle(g, s) < 0) {
        resp_null(w);
    } else {
        resp_int(w, (int64_t)group_lag(g, s));
        stream_rest(s, g->ordinal, &rest);
    }
    uint64_t now_ms = (uint64_t)c->now_ms;
    bool waits = rest.count > 0 && rest.since_ms < now_ms;
    resp_field_int(w, "lag-bytes", (int64_t)rest.bytes);
    resp_field_int(w, "lag-ms", waits ? (int64_t)(now_ms - rest.since_ms) : 0);
}

static void put_subscriber(struct call *c, struct key *k, struct group *g, struct bytes name)
{
    struct resp_writer *w = c->reply;
    const struct durable_sub *u = durable_find_sub(c->broker, key_name(k), name);
    const struct consumer *of = group_consumer(g, name);
    resp_map(w, 13);
    resp_field(w, "channel", key_name(k));
    resp_field(w, "name", name);
    resp_field(w, "state", state_of(u));
    resp_field_int(w, "id", u != NULL ? (int64_t)u->session->id : 0);
    resp_bulk_str(w, "position");
    stream_reply_id(c, g->last_id);
    put_lag(c, g, stream_of(k));
    resp_field_int(w, "seen-ms", of != NULL ? of->seen_ms : 0);
    resp_field_int(w, "spilled", u != NULL ? (int64_t)u->spilled : 0);
    resp_field_int(w, "dropped", u != NULL ? (int64_t)u->dropped : 0);
    resp_field_int(w, "missed", u != NULL ? (int64_t)u->missed : 0);
    resp_field_int(w, "skipped", u != NULL ? (int64_t)u->channel->skipped : 0);
}

static size_t list_channel(struct call *c, struct key *k)
{
    size_t n = 0;
    if (k->type != KEY_STREAM || key_is_expired(k, c->now_ms)) return 0;
    const struct groups *all = stream_of(k)->groups;
    for (size_t i = 0; i < groups_count(all); i++) {
        struct bytes name = durable_group_subscriber(all->list[i]);
        if (name.data == NULL) continue;
        put_subscriber(c, k, all->list[i], name);
        n++;
    }
    return n;
}

static size_t list_all(struct call *c)
{
    struct map_iter it;
    struct key *k;
    size_t n = 0;
    map_iter_init(&it, keyspace_map(c->ks, 0));
    while ((k = map_iter_next(&it)) != NULL && !call_reply_is_full(c)) n += list_channel(c, k);
    map_iter_fini(&it);
    return n;
}

static void list(struct call *c)
{
    size_t place = resp_defer(c->reply), n;
    if (c->argc > ARG_CHANNEL) {
        struct key *k = call_read_in(c, 0, c->argv[ARG_CHANNEL]);
        n = k != NULL ? list_channel(c, k) : 0;
    } else {
        call_depends_on_all(c);
        n = list_all(c);
    }
    resp_defer_array(c->reply, place, n);
}

/* ---- RESET ---- */

/* The entry behind which it goes on: "$" the last one, "0" none, an id, or a time in milliseconds:
 * what came then is not behind it. */
static bool parse_position(struct call *c, const struct stream *s, struct stream_id *ret)
{
    struct bytes arg = c->argv[ARG_POSITION];
    int64_t ms;
    *ret = s->last_id;
    if (arg.len == 1 && arg.data[0] == '$') return true;
    if (!num_parse_i64(arg, &ms)) return stream_arg_id(c, arg, 0, ret);
    if (!stream_arg_id(c, arg, 0, ret)) return false;
    stream_id_prev(ret);
    return true;
}

static void reset(struct call *c)
{
    struct key *k = call_write_in(c, 0, c->argv[ARG_CHANNEL]);
    struct bytes name = c->argv[ARG_NAME];
    struct stream_id id;
    uint64_t ordinal;
    if (k == NULL || k->type != KEY_STREAM) {
        resp_error(c->reply, "ERR no such durable channel");
        return;
    }
    struct stream *s = stream_of(k);
    if (!parse_position(c, s, &id)) return;
    if (stream_id_cmp(id, s->last_id) > 0) id = s->last_id;
    if (!stream_is_there(c, stream_ordinal_after(s, id, &ordinal))) return;
    struct bytes group = durable_group_name(c->arena, name);
    struct group *g = groups_find(s->groups, group);
    if (g == NULL && !durable_has_room(c->broker, s)) {
        resp_error(c->reply, "ERR durable-subscribers-max are remembered on this channel already");
        return;
    }
    g = change_group_set(c, k, g, group, id, ordinal);
    if (group_consumer(g, name) == NULL) change_consumer_add(c, k, g, name);
    struct durable_sub *u = durable_find_sub(c->broker, key_name(k), name);
    if (u != NULL) {
        durable_follow(u->channel, s, s->last_id, s->next_ordinal);
        durable_reposition(c->broker, u, id, ordinal);
    }
    resp_simple(c->reply, "OK");
}

/* ---- FORGET ---- */

static void forget(struct call *c)
{
    struct key *k = call_write_in(c, 0, c->argv[ARG_CHANNEL]);
    struct bytes name = c->argv[ARG_NAME];
    if (durable_find_sub(c->broker, c->argv[ARG_CHANNEL], name) != NULL) {
        resp_error(c->reply, "ERR '%.*s' is connected; it can be forgotten when it has gone",
                   (int)name.len, name.data);
        return;
    }
    struct bytes group = durable_group_name(c->arena, name);
    struct group *g =
        k != NULL && k->type == KEY_STREAM ? groups_find(stream_of(k)->groups, group) : NULL;
    if (g != NULL) change_group_destroy(c, k, g);
    resp_int(c->reply, g != NULL);
}

void cmd_pubsub_durable(struct call *c)
{
    struct bytes word = c->argv[ARG_WORD];
    int db = c->db;
    c->db = 0;
    if (bytes_is_word(word, "list") && c->argc <= ARG_CHANNEL + 1) list(c);
    else if (bytes_is_word(word, "reset") && c->argc == ARG_POSITION + 1) reset(c);
    else if (bytes_is_word(word, "forget") && c->argc == ARG_NAME + 1) forget(c);
    else
        resp_error(c->reply,
                   "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB "
                   "HELP.",
                   (int)(word.len < 128 ? word.len : 128), word.data);
    c->db = db;
}
