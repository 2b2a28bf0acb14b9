/* Audiences: sets of topics and who has exactly that set. See hub_priv.h. */
#include "base/must.h"
#include "hub/hub_priv.h"

enum {
    SMALL_SET = 8, /* so many topics are compared, copied and searched without a thought */
};

/* ---- Seats ---- */

static struct bytes seat_key(const void *item)
{
    return (struct bytes){(const char *)&((const struct seat *)item)->topic,
                          sizeof(struct topic *)};
}

static const struct map_type seat_type = {.key = seat_key};

static struct seat *find_seat(struct audience *a, const struct topic *t)
{
    if (t == NULL) return NULL;
    if (a->by_topic != NULL)
        return map_get(a->by_topic, (struct bytes){(const char *)&t, sizeof t});
    for (size_t i = 0; i < a->seat_count; i++)
        if (a->seats[i]->topic == t) return a->seats[i];
    return NULL;
}

static void index_seats(struct audience *a)
{
    a->by_topic = mem_alloc(sizeof *a->by_topic);
    map_init(a->by_topic, &seat_type);
    for (size_t i = 0; i < a->seat_count; i++) map_insert(a->by_topic, a->seats[i]);
}

static void add_entry(struct topic *t, struct audience *a, struct seat *seat)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 1;
        t->entries = mem_realloc(t->entries, t->cap * sizeof *t->entries);
    }
    seat->entry = t->count;
    t->entries[t->count++] = (struct topic_entry){a, seat};
}

static void remove_entry(struct hub *h, struct seat *seat)
{
    struct topic *t = seat->topic;
    t->entries[seat->entry] = t->entries[--t->count];
    t->entries[seat->entry].seat->entry = seat->entry;
    if (t->count > 0) {
        if (t->count < t->cap / 4)
            t->entries = mem_realloc(t->entries, (t->cap /= 2) * sizeof *t->entries);
        return;
    }
    hub_drop_topic(h, t);
}

static void add_seat(struct audience *a, struct topic *t)
{
    struct seat *seat = mem_alloc(sizeof *seat);
    *seat = (struct seat){.topic = t, .place = a->seat_count};
    if (a->seat_count == a->seat_cap) {
        a->seat_cap = a->seat_cap ? a->seat_cap * 2 : 1;
        a->seats = mem_realloc(a->seats, a->seat_cap * sizeof *a->seats);
    }
    a->seats[a->seat_count++] = seat;
    a->kind_count[t->kind]++;
    a->identity += t->hash;
    add_entry(t, a, seat);
    if (a->by_topic != NULL) map_insert(a->by_topic, seat);
    else if (a->seat_count > SMALL_SET) index_seats(a);
}

static void remove_seat(struct hub *h, struct audience *a, struct seat *seat)
{
    if (a->by_topic != NULL) must(map_take(a->by_topic, seat_key(seat)) == seat);
    a->kind_count[seat->topic->kind]--;
    a->identity -= seat->topic->hash;
    a->seats[seat->place] = a->seats[--a->seat_count];
    a->seats[seat->place]->place = seat->place;
    remove_entry(h, seat);
    mem_free(seat);
}

/* ---- Audiences ---- */

static uint64_t proto_hash(int proto)
{
    return (uint64_t)proto * 0x9e3779b97f4a7c15u;
}

static struct audience *audience_new(struct hub *h, int proto)
{
    struct audience *a = mem_calloc(sizeof *a);
    a->proto = proto;
    a->identity = proto_hash(proto);
    h->audiences++;
    return a;
}

void audience_free(struct audience *a)
{
    must(a->member_count == 0 && a->seat_count == 0);
    broadcast_fini(&a->output);
    if (a->by_topic != NULL) map_clear(a->by_topic);
    mem_free(a->by_topic);
    mem_free(a->members);
    mem_free(a->seats);
    mem_free(a);
}

void audience_activate(struct hub *h, struct audience *a)
{
    if (a->active) return;
    a->active = true;
    a->next_active = h->active;
    h->active = a;
}

static struct bytes identity_key(const uint64_t *identity)
{
    return (struct bytes){(const char *)identity, sizeof *identity};
}

static void unsettle(struct hub *h, struct audience *a)
{
    if (a->settled) must(map_take(&h->settled, identity_key(&a->identity)) == a);
    a->settled = a->alone = false;
    a->credit = 0;
}

/* Nobody is in it any more. */
static void disband(struct hub *h, struct audience *a)
{
    unsettle(h, a);
    while (a->seat_count > 0) remove_seat(h, a, a->seats[a->seat_count - 1]);
    h->audiences--;
    a->dead = true;
    audience_activate(h, a); /* freed at the turn's end: it may stand on the list already */
}

/* ---- Members ---- */

static void enter(struct audience *a, struct subscriber *s)
{
    if (a->member_count == a->member_cap) {
        a->member_cap = a->member_cap ? a->member_cap * 2 : 1;
        a->members = mem_realloc(a->members, a->member_cap * sizeof *a->members);
    }
    s->audience = a;
    s->place = a->member_count;
    a->members[a->member_count++] = s;
    broadcast_join(&a->output, &s->reader);
    s->from_message = a->output.messages;
}

/* What it has not got comes along in its outbox. */
static void part(struct audience *a, struct subscriber *s)
{
    subscriber_move(s);
    s->before += a->output.messages - s->from_message;
    broadcast_leave(&a->output, &s->reader);
    a->members[s->place] = a->members[--a->member_count];
    a->members[s->place]->place = s->place;
    s->audience = NULL;
}

/* The audience of this subscriber alone, to be changed: its own, or a copy of the set it shares. */
static struct audience *own_audience(struct hub *h, struct subscriber *s)
{
    struct audience *a = s->audience;
    if (a != NULL && a->member_count == 1) {
        unsettle(h, a);
        audience_activate(h, a);
        return a;
    }
    struct audience *own = audience_new(h, s->proto);
    if (a != NULL) {
        for (size_t i = 0; i < a->seat_count; i++) add_seat(own, a->seats[i]->topic);
        part(a, s);
    }
    enter(own, s);
    audience_activate(h, own);
    return own;
}

bool hub_subscribe(struct hub *h, struct subscriber *s, enum topic_kind kind, struct bytes text)
{
    if (s->audience != NULL && find_seat(s->audience, hub_find_topic(h, kind, text)) != NULL)
        return false;
    struct audience *a = own_audience(h, s);
    add_seat(a, hub_get_topic(h, kind, text));
    s->since_ms = mem_realloc(s->since_ms, a->seat_cap * sizeof *s->since_ms);
    s->since_ms[a->seat_count - 1] = h->now_ms;
    return true;
}

bool subscriber_has(struct hub *h, const struct subscriber *s, enum topic_kind kind,
                    struct bytes text)
{
    return s->audience != NULL && find_seat(s->audience, hub_find_topic(h, kind, text)) != NULL;
}

/* The end of the subscriber's time in its audience, whatever else it may be for. */
static void leave_audience(struct hub *h, struct subscriber *s)
{
    struct audience *a = s->audience;
    part(a, s);
    if (a->member_count == 0) disband(h, a);
}

bool hub_unsubscribe(struct hub *h, struct subscriber *s, enum topic_kind kind, struct bytes text)
{
    struct topic *t = hub_find_topic(h, kind, text);
    if (s->audience == NULL || find_seat(s->audience, t) == NULL) return false;
    if (s->audience->seat_count == 1) {
        hub_leave(h, s);
        return true;
    }
    struct audience *a = own_audience(h, s);
    struct seat *seat = find_seat(a, t);
    s->since_ms[seat->place] = s->since_ms[a->seat_count - 1];
    remove_seat(h, a, seat);
    return true;
}

void hub_change_kind(struct hub *h, struct subscriber *s, enum topic_kind from, enum topic_kind to,
                     struct bytes text)
{
    struct audience *a = own_audience(h, s);
    struct seat *seat = find_seat(a, hub_find_topic(h, from, text));
    uint32_t last = a->seat_count - 1;
    int64_t since_ms = s->since_ms[seat->place];
    s->since_ms[seat->place] = s->since_ms[last];
    remove_seat(h, a, seat);
    add_seat(a, hub_get_topic(h, to, text));
    s->since_ms[last] = since_ms;
}

void hub_leave(struct hub *h, struct subscriber *s)
{
    if (s->audience == NULL) return;
    leave_audience(h, s);
    mem_free(s->since_ms);
    s->since_ms = NULL;
}

void hub_set_proto(struct hub *h, struct subscriber *s, int proto)
{
    if (s->proto == proto) return;
    s->proto = proto;
    if (s->audience == NULL) return;
    /* In place it could not be: what the broadcast holds is encoded for the other version, and what
     * comes is put on the tape of this one. */
    struct audience *a = s->audience, *own = audience_new(h, proto);
    for (size_t i = 0; i < a->seat_count; i++) add_seat(own, a->seats[i]->topic);
    leave_audience(h, s);
    enter(own, s);
    audience_activate(h, own);
}

/* ---- Settling ---- */

static bool is_same_set(struct audience *a, struct audience *b)
{
    if (a->seat_count != b->seat_count || a->proto != b->proto) return false;
    for (size_t i = 0; i < a->seat_count; i++)
        if (find_seat(b, a->seats[i]->topic) == NULL) return false;
    return true;
}

/* The dates of its subscriptions, put into the order of another audience of the same set. */
static void sort_dates(struct subscriber *s, struct audience *from, struct audience *to)
{
    int64_t *sorted = mem_alloc(to->seat_cap * sizeof *sorted);
    for (size_t i = 0; i < from->seat_count; i++)
        sorted[find_seat(to, from->seats[i]->topic)->place] = s->since_ms[i];
    mem_free(s->since_ms);
    s->since_ms = sorted;
}

void audience_settle(struct hub *h, struct audience *a)
{
    if (a->settled || a->alone || a->dead) return;
    if (a->seat_count > SMALL_SET && a->credit < a->seat_count) return;
    struct audience *other = map_get(&h->settled, identity_key(&a->identity));
    if (other == NULL) {
        map_insert(&h->settled, a);
        a->settled = true;
    } else if (!is_same_set(a, other)) {
        a->alone = true;
    } else {
        must(a->member_count == 1);
        struct subscriber *s = a->members[0];
        if (a->seat_count > 1) sort_dates(s, a, other);
        leave_audience(h, s);
        enter(other, s);
    }
}
