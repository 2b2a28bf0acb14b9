/* Publishing: a message is encoded once per protocol version, on a tape, and each audience takes
 * note of where. The tape begins anew with each turn, unless somebody still reads from it. */
#include "hub/hub_priv.h"
#include "resp/writer.h"

enum {
    TAPE_BYTES_MAX = 1 << 20, /* then another one */
    TAPE_BYTES_KEPT = 1 << 20,
};

struct bytes message_channel(struct bytes message)
{
    static const char head[] = "3\r\n$7\r\nmessage\r\n$";
    size_t at = 1 + sizeof head - 1, len = 0;
    if (message.len < at || memcmp(message.data + 1, head, sizeof head - 1) != 0)
        return (struct bytes){NULL, 0};
    for (; message.data[at] != '\r'; at++) len = len * 10 + (size_t)(message.data[at] - '0');
    return (struct bytes){message.data + at + 2, len};
}

/* What is being published, and where it stands encoded. */
struct message {
    const char *word;
    const struct topic *pattern; /* NULL: none */
    struct bytes channel, data;
    uint64_t position;
    bool encoded[2];
    size_t from[2], len[2];
};

static struct buf *tape(struct hub *h, int version)
{
    struct shared *b = h->tape[version];
    if (b != NULL && b->bytes.len >= TAPE_BYTES_MAX) {
        shared_unref(b);
        b = NULL;
    }
    if (b == NULL) h->tape[version] = b = shared_new();
    if (b->refs == 1) b->bytes.len = 0; /* everybody has what is on it */
    return &b->bytes;
}

static void encode(struct hub *h, struct message *m, int version)
{
    struct buf *out = tape(h, version);
    struct resp_writer w = {out, version == 1 ? 3 : 2};
    m->encoded[version] = true;
    m->from[version] = out->len;
    resp_push(&w, m->pattern ? 4 : 3);
    resp_bulk_str(&w, m->word);
    if (m->pattern != NULL) resp_bulk(&w, topic_text(m->pattern));
    resp_bulk(&w, m->channel);
    resp_bulk(&w, m->data);
    m->len[version] = out->len - m->from[version];
    h->unspread_bytes += m->len[version];
}

static int64_t deliver(struct hub *h, const struct topic *t, struct message *m)
{
    int64_t receivers = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct audience *a = t->entries[i].audience;
        int version = a->proto == 3;
        if (!m->encoded[version]) encode(h, m, version);
        broadcast_append(&a->output, h->tape[version], m->from[version], m->len[version],
                         m->position, h->now_ms);
        a->dirty = true;
        a->credit++;
        audience_activate(h, a);
        receivers += a->member_count;
        h->delivered_bytes += m->len[version] * a->member_count;
    }
    h->deliveries += (uint64_t)receivers;
    return receivers;
}

int64_t hub_publish(struct hub *h, struct bytes channel, struct bytes message, uint64_t position)
{
    int64_t receivers = 0;
    const struct topic *t = hub_find_topic(h, TOPIC_CHANNEL, channel);
    if (t != NULL) {
        struct message m = {"message", NULL, channel, message, position, {0}, {0}, {0}};
        receivers += deliver(h, t, &m);
    }
    if (map_count(&h->topics[TOPIC_PATTERN]) == 0) return receivers;
    struct pattern **found;
    size_t n = pattern_match(h->patterns, channel, &found);
    for (size_t i = 0; i < n; i++) {
        t = hub_topic_of(found, i);
        struct message m = {"pmessage", t, channel, message, position, {0}, {0}, {0}};
        receivers += deliver(h, t, &m);
    }
    return receivers;
}

int64_t hub_publish_shard(struct hub *h, struct bytes channel, struct bytes message,
                          uint64_t position)
{
    const struct topic *t = hub_find_topic(h, TOPIC_SHARD, channel);
    struct message m = {"smessage", NULL, channel, message, position, {0}, {0}, {0}};
    return t == NULL ? 0 : deliver(h, t, &m);
}

void hub_spread(struct hub *h)
{
    if (h->unspread_bytes == 0) return;
    h->unspread_bytes = 0;
    for (struct audience *a = h->active; a != NULL; a = a->next_active) {
        if (!a->dirty) continue;
        a->dirty = false;
        for (size_t i = 0; i < a->member_count; i++) outbox_touch(a->members[i]->out);
    }
}

size_t hub_unspread_bytes(const struct hub *h)
{
    return h->unspread_bytes;
}

uint64_t hub_deliveries(const struct hub *h)
{
    return h->deliveries;
}

uint64_t hub_delivered_bytes(const struct hub *h)
{
    return h->delivered_bytes;
}

static void rewind_tape(struct hub *h, int version)
{
    struct shared *b = h->tape[version];
    if (b == NULL) return;
    if (b->refs > 1 || b->bytes.cap > TAPE_BYTES_KEPT) {
        shared_unref(b);
        h->tape[version] = NULL;
    } else {
        b->bytes.len = 0;
    }
}

void hub_turn_end(struct hub *h)
{
    while (h->active != NULL) {
        struct audience *a = h->active;
        h->active = a->next_active;
        a->active = false;
        if (!a->dead) audience_settle(h, a);
        if (!a->dead) broadcast_compact(&a->output);
        else if (!a->active) audience_free(a);
    }
    rewind_tape(h, 0);
    rewind_tape(h, 1);
}
