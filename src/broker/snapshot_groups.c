/* The groups of a stream as records of a snapshot, some at a time: of each group its place, then
 * what is pending, then its consumers, whose own times outdo those of their entries.
 *
 * Between two calls groups, consumers and entries may come and go: where to go on is remembered in
 * the groups themselves, by name and id, so that what nobody changes is neither skipped nor
 * repeated. */
#include "base/mem.h"
#include "broker/change_group.h"
#include "broker/snapshot.h"

enum {
    PUT_BYTES = 32 << 10, /* in one call, or so */
    PAGE = 512,           /* pending entries that are looked at together */
};

struct put {
    struct snapshot_writer *writer;
    int db;
    const struct key *key;
    size_t bytes; /* put so far */
    size_t start; /* of the record under way, in its buffer */
    struct buf *out;
};

static struct buf *begin(struct put *p, enum record_kind kind)
{
    p->out = snapshot_record(p->writer);
    p->start = p->out->len;
    record_put_head(p->out, kind, p->db, key_name(p->key));
    return p->out;
}

static void end(struct put *p)
{
    p->bytes += p->out->len - p->start;
    snapshot_record_end(p->writer);
}

static void set_name(char **to, size_t *ret_len, struct bytes name)
{
    mem_free(*to);
    *to = mem_dup(name.data, name.len);
    *ret_len = name.len;
}

/* True when all consumers are put. */
static bool put_consumers(struct put *p, struct groups_place *at, const struct group *g)
{
    size_t i = 0;
    if (at->consumer != NULL)
        i = group_seek_consumer(g, (struct bytes){at->consumer, at->consumer_len});
    for (; i < g->consumer_count; i++) {
        if (p->bytes >= PUT_BYTES) {
            set_name(&at->consumer, &at->consumer_len, consumer_name(g->consumers[i]));
            return false;
        }
        consumer_put_record(begin(p, REC_CONSUMER_SET), g, g->consumers[i]);
        end(p);
    }
    return true;
}

/* Of some entries those of one consumer, from the i-th on, which has some; they are marked. */
static void put_owner(struct put *p, const struct group *g, const struct pending_entry *page,
                      bool *done, size_t i, size_t n)
{
    struct pending_runs runs;
    uint32_t owner = page[i].consumer;
    pending_runs_begin(&runs, begin(p, REC_PENDING_SET), group_name(g),
                       consumer_name(g->by_number[owner]), &page[i]);
    for (; i < n; i++) {
        if (page[i].consumer != owner) continue;
        pending_runs_add(&runs, &page[i]);
        done[i] = true;
    }
    pending_runs_end(&runs);
    end(p);
}

static bool put_pending(struct put *p, struct groups_place *at, const struct group *g)
{
    struct pending_iter it;
    struct pending_entry page[PAGE];
    size_t n = PAGE;
    pending_iter_init(&it, &g->pending, at->next, PENDING_ANY, INT64_MAX);
    while (n == PAGE) {
        if (p->bytes >= PUT_BYTES) return false;
        bool done[PAGE] = {false};
        for (n = 0; n < PAGE && pending_iter_next(&it, &page[n]); n++) {
        }
        for (size_t i = 0; i < n; i++)
            if (!done[i]) put_owner(p, g, page, done, i, n);
        if (n == 0) return true;
        at->next = page[n - 1].id;
        if (!stream_id_next(&at->next)) return true;
    }
    return true;
}

/* True when the group is put; else *at says where to go on in it. */
static bool put_group(struct put *p, struct groups_place *at, const struct group *g)
{
    if (at->stage == GROUPS_AT_GROUP) {
        group_put_record(begin(p, REC_GROUP_SET), g);
        end(p);
        at->stage = GROUPS_AT_PENDING;
    }
    if (at->stage == GROUPS_AT_PENDING) {
        if (!put_pending(p, at, g)) return false;
        at->stage = GROUPS_AT_CONSUMERS;
    }
    return put_consumers(p, at, g);
}

bool groups_put(struct snapshot_writer *w, int db, const struct key *k, uint64_t *cursor)
{
    struct groups *g = stream_of(k)->groups;
    struct put p = {.writer = w, .db = db, .key = k};
    if (g == NULL) return true;
    struct groups_place *at = &g->place;
    if (*cursor == 0) groups_place_reset(at);
    size_t i = at->group == NULL ? 0 : groups_seek(g, (struct bytes){at->group, at->group_len});
    for (; i < g->count; i++) {
        struct bytes name = group_name(g->list[i]);
        if (at->group == NULL || !bytes_eq(name, (struct bytes){at->group, at->group_len})) {
            groups_place_reset(at);
            set_name(&at->group, &at->group_len, name);
        }
        if (p.bytes < PUT_BYTES && put_group(&p, at, g->list[i])) continue;
        *cursor = 1;
        return false;
    }
    groups_place_reset(at);
    return true;
}
