/* A channel that is a stream: what is published is appended, what is appended is pushed. */
#include "base/logline.h"
#include "base/must.h"
#include "broker/admit.h"
#include "broker/change_stream.h"
#include "broker/durable_priv.h"

enum {
    SAMPLE_BYTES = 16 * 1024, /* pushed bytes between two checkpoints of those who are live */
    SAMPLE_MS = 100,
    ENTRY_BYTES = 256, /* records of one entry and of a stream that is made, beyond their texts */
};

static const struct bytes field_name = BYTES("data");

bool durable_is_channel(struct broker *b, struct bytes channel)
{
    struct durable *d = b->durable;
    if (durable_find_channel(b, channel) != NULL)
        return true; /* to those who are connected it is */
    return d->on && pattern_list_matches(&d->channels, channel);
}

bool durable_appends(struct broker *b, const struct command *cmd, size_t argc,
                     const struct bytes *argv)
{
    return (b->durable->on || map_count(&b->durable->by_name) > 0) && argc == 3 &&
           strcmp(cmd->name, "publish") == 0 && durable_is_channel(b, argv[1]);
}

size_t durable_entry_bytes(struct bytes channel)
{
    return ENTRY_BYTES + 3 * channel.len;
}

/* ---- Checkpoints of those who are live ---- */

/* Where their output ends now, the last push does. */
void durable_sample(struct broker *b, struct durable_channel *ch)
{
    ch->unsampled = 0;
    ch->sampled_ms = b->now_ms;
    for (size_t i = 0; i < ch->count; i++) {
        struct durable_sub *u = ch->subs[i];
        if (u->state != DURABLE_LIVE || u->session->out.closed) continue;
        points_note_sent(&u->points, u->session->subscriber.sent, b->now_ms);
        points_add(&u->points, subscriber_end(&u->session->subscriber), ch->last_id,
                   ch->next_ordinal);
        durable_unsettle(b, u);
    }
}

void durable_sample_active(struct broker *b)
{
    struct durable_channel **at = &b->durable->active;
    while (*at != NULL) {
        struct durable_channel *ch = *at;
        if (b->now_ms - ch->sampled_ms < SAMPLE_MS && b->now_ms >= ch->sampled_ms) {
            at = &ch->next_active;
            continue;
        }
        *at = ch->next_active;
        ch->active = false;
        durable_sample(b, ch);
    }
}

static void activate(struct broker *b, struct durable_channel *ch)
{
    if (ch->active) return;
    ch->active = true;
    ch->next_active = b->durable->active;
    b->durable->active = ch;
}

static void note_push(struct broker *b, struct durable_channel *ch, struct stream_id id,
                      uint64_t ordinal, size_t bytes)
{
    if (ordinal - ch->pushed != ch->base) {
        ch->base = ordinal - ch->pushed;
        ch->base_from = ch->pushed;
    }
    ch->pushed++;
    ch->last_id = id;
    ch->next_ordinal = ordinal + 1;
    ch->unsampled += bytes;
    if (ch->unsampled >= SAMPLE_BYTES) durable_sample(b, ch);
    activate(b, ch);
}

/* ---- Another stream of the same name, or another end of it ---- */

void durable_follow(struct durable_channel *ch, const struct stream *s, struct stream_id live_id,
                    uint64_t live_ordinal)
{
    int way = stream_id_cmp(live_id, ch->last_id); /* in which XSETID has taken the end */
    bool same = ch->serial == s->serial && way >= 0;
    if (same && way == 0) return;
    ch->serial = s->serial;
    ch->last_id = live_id;
    ch->next_ordinal = live_ordinal;
    if (same) return;
    ch->base_from = ch->pushed; /* ordinals of what was pushed before mean nothing now */
    ch->base = live_ordinal - ch->pushed;
    for (size_t i = 0; i < ch->count; i++) {
        struct durable_sub *u = ch->subs[i];
        bool live = u->state == DURABLE_LIVE;
        u->cursor = live ? live_id : STREAM_ID_MIN;
        u->cursor_ordinal = live ? live_ordinal : 0;
        u->from_ordinal = 0;
        points_restart(&u->points, u->cursor, u->cursor_ordinal);
    }
}

/* ---- Pushing ---- */

/* An entry that has just been appended. How many receive it, those behind included. */
static int64_t push(struct broker *b, const struct key *k, struct stream_id id,
                    struct bytes message, uint64_t position)
{
    struct bytes name = key_name(k);
    const struct stream *s = stream_of(k);
    uint64_t ordinal = s->next_ordinal - 1;
    struct durable_channel *ch = durable_find_channel(b, name);
    if (ch != NULL) {
        struct stream_id before = id;
        stream_id_prev(&before);
        durable_follow(ch, s, before, ordinal);
    }
    b->durable->stats.published++;
    int64_t n = hub_publish(b->hub, name, message, broker_uncovered(b, position));
    if (b->durable->stats.behind > 0) n += hub_subscribers(b->hub, TOPIC_BEHIND, name);
    if (ch != NULL) note_push(b, ch, id, ordinal, name.len + message.len);
    return n;
}

/* Behind everything that is there; false when there is no such id. */
static bool next_id(const struct broker *b, const struct stream *s, struct stream_id *ret)
{
    *ret = (struct stream_id){(uint64_t)b->now_ms, 0};
    if (s == NULL || stream_id_cmp(*ret, s->last_id) > 0) return true;
    *ret = s->last_id;
    return stream_id_next(ret);
}

/* Is its first entry the one that has just been added? */
static bool is_new(const struct key *k)
{
    return stream_of(k)->next_ordinal == 1;
}

static int64_t append(struct call *c, struct key *k, struct bytes channel, struct stream_id id,
                      struct bytes message)
{
    struct bytes fields[] = {field_name, message};
    if (k == NULL) k = durable_make_stream(c, channel);
    change_stream_add(c, k, channel, id, fields, 2);
    if (is_new(k)) durable_bound(c, k);
    return push(c->broker, k, id, message, effects_finish(c->fx));
}

/* ---- PUBLISH ---- */

static bool may_publish(struct call *c, struct bytes channel)
{
    struct broker *b = c->broker;
    if (b->loading) {
        call_error_loading(c);
        return false;
    }
    if (b->settings.maxmemory > 0 && mem_used() > (size_t)b->settings.maxmemory) {
        resp_error(c->reply, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    return admit_entry(c) && call_admit(c, durable_entry_bytes(channel));
}

static bool publish(struct call *c, struct bytes channel, struct bytes message,
                    int64_t *ret_receivers)
{
    struct key *k;
    struct stream_id id;
    if (!may_publish(c, channel) || !call_write_typed(c, channel, KEY_STREAM, &k)) return false;
    if (!next_id(c->broker, k != NULL ? stream_of(k) : NULL, &id)) {
        resp_error(c->reply, "ERR The stream has exhausted the last possible ID, unable to add "
                             "more items");
        return false;
    }
    size_t more = change_stream_add_bytes(k, id);
    if (more > 0 && !call_admit(c, ENTRY_BYTES + 3 * channel.len + more)) return false;
    *ret_receivers = append(c, k, channel, id, message);
    return true;
}

bool durable_publish(struct call *c, struct bytes channel, struct bytes message,
                     int64_t *ret_receivers)
{
    int db = c->db;
    c->db = 0;
    bool done = publish(c, channel, message, ret_receivers);
    c->db = db;
    return done;
}

/* ---- XADD ---- */

/* Who is live has nothing to wait for in it. */
static void skip(struct broker *b, const struct key *k, struct stream_id id)
{
    const struct stream *s = stream_of(k);
    struct durable_channel *ch = durable_find_channel(b, key_name(k));
    b->durable->stats.skipped++;
    if (ch == NULL) return;
    ch->skipped++;
    durable_follow(ch, s, id, s->next_ordinal);
    activate(b, ch);
}

void durable_added(struct call *c, struct key *k, struct stream_id id, const struct bytes *fields,
                   size_t n)
{
    struct broker *b = c->broker;
    if (c->db != 0 || (!b->durable->on && map_count(&b->durable->by_name) == 0)) return;
    if (!durable_is_channel(b, key_name(k))) return;
    if (is_new(k)) durable_bound(c, k);
    if (n != 2 || !bytes_eq(fields[0], field_name)) {
        skip(b, k, id);
        return;
    }
    push(b, k, id, fields[1], effects_finish(c->fx));
}

/* ---- Keyspace events ---- */

/* Not admitted with its command, which does not know who wants to hear of it: it may use the
 * reserve, and when that is gone, too, it is only published. */
static bool is_admitted(struct broker *b, struct bytes channel, struct bytes message)
{
    size_t bytes = durable_entry_bytes(channel) + message.len;
    bool journal = journal_admit(b->journal, bytes, true) == 0;
    if (journal && stream_store_refusal(b->streams) == 0) return true;
    if (b->durable->stats.refused_events++ == 0)
        logline(LOG_LEVEL_WARNING, "durable", "a keyspace event was not kept: %s",
                journal ? "the chunk files cannot be written to" : journal_refusal(b->journal));
    return false;
}

bool durable_event(struct broker *b, struct bytes channel, struct bytes message)
{
    struct stream_id id;
    if ((!b->durable->on && map_count(&b->durable->by_name) == 0) || b->loading) return false;
    if (!durable_is_channel(b, channel) || !is_admitted(b, channel, message)) return false;
    struct call c = durable_call(b);
    struct key *k = keyspace_find(b->ks, 0, channel, call_hash(&c, channel));
    if (k != NULL && (k->type != KEY_STREAM || key_is_expired(k, b->now_ms))) return false;
    if (!next_id(b, k != NULL ? stream_of(k) : NULL, &id)) return false;
    append(&c, k, channel, id, message);
    return true;
}
