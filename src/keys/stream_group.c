#include "keys/stream_group.h"

#include "base/mem.h"
#include "base/must.h"
#include "keys/stream.h"

/* ---- Sorted arrays of pointers ---- */

/* Room for one more at index i of an array of pointers. */
static void *open_gap(void *array, size_t count, size_t *cap, size_t i)
{
    void **items = array;
    if (count == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 4;
        items = mem_realloc(items, *cap * sizeof *items);
    }
    memmove(items + i + 1, items + i, (count - i) * sizeof *items);
    return items;
}

static void close_gap(void *array, size_t count, size_t i)
{
    void **items = array;
    memmove(items + i, items + i + 1, (count - i - 1) * sizeof *items);
}

/* ---- Consumers ---- */

size_t group_seek_consumer(const struct group *g, struct bytes name)
{
    size_t low = 0, high = g->consumer_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (bytes_cmp(consumer_name(g->consumers[mid]), name) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

struct consumer *group_consumer(const struct group *g, struct bytes name)
{
    size_t i = group_seek_consumer(g, name);
    bool found = i < g->consumer_count && bytes_eq(consumer_name(g->consumers[i]), name);
    return found ? g->consumers[i] : NULL;
}

/* The lowest that is free: a group of few consumers has small numbers, and nodes with narrow
 * columns. */
static uint32_t take_number(struct group *g)
{
    size_t i = 0;
    while (i < g->number_cap && g->by_number[i] != NULL) i++;
    if (i < g->number_cap) return (uint32_t)i;
    size_t cap = g->number_cap > 0 ? g->number_cap * 2 : 4;
    g->by_number = mem_realloc(g->by_number, cap * sizeof *g->by_number);
    memset(g->by_number + g->number_cap, 0, (cap - g->number_cap) * sizeof *g->by_number);
    g->number_cap = cap;
    return (uint32_t)i;
}

struct consumer *group_add_consumer(struct group *g, struct bytes name, int64_t now_ms)
{
    size_t i = group_seek_consumer(g, name);
    must(name.len <= UINT32_MAX);
    struct consumer *c = mem_alloc(sizeof *c + name.len);
    *c = (struct consumer){.seen_ms = now_ms,
                           .active_ms = -1,
                           .number = take_number(g),
                           .name_len = (uint32_t)name.len};
    if (name.len > 0) memcpy(c->name, name.data, name.len);
    g->consumers = open_gap(g->consumers, g->consumer_count++, &g->consumer_cap, i);
    g->consumers[i] = c;
    g->by_number[c->number] = c;
    return c;
}

void group_remove_consumer(struct group *g, struct consumer *c)
{
    size_t i = group_seek_consumer(g, consumer_name(c));
    must(g->consumers[i] == c);
    if (c->pending > 0) pending_remove_consumer(&g->pending, c->number);
    close_gap(g->consumers, g->consumer_count--, i);
    g->by_number[c->number] = NULL;
    mem_free(c);
}

/* ---- Pending ---- */

void group_set_pending(struct group *g, const struct pending_entry *e)
{
    struct pending_entry old;
    if (pending_set(&g->pending, e, &old)) group_owner(g, &old)->pending--;
    group_owner(g, e)->pending++;
}

bool group_drop_pending(struct group *g, struct stream_id id)
{
    struct pending_entry old;
    if (!pending_remove(&g->pending, id, &old)) return false;
    group_owner(g, &old)->pending--;
    return true;
}

void group_give_pending(struct group *g, struct consumer *from, struct consumer *to,
                        int64_t time_ms)
{
    if (from == to || from->pending == 0) return;
    to->pending += pending_give(&g->pending, from->number, to->number, time_ms);
    from->pending = 0;
}

/* ---- Where it stands ---- */

static void note_ahead(struct groups *all, const struct group *g)
{
    if (g->ordinal == GROUP_AHEAD && stream_id_cmp(g->last_id, all->ahead) < 0)
        all->ahead = g->last_id;
}

void group_set_place(struct groups *all, struct group *g, struct stream_id last_id,
                     uint64_t ordinal)
{
    g->last_id = last_id;
    g->ordinal = ordinal;
    note_ahead(all, g);
}

static bool is_ahead(const struct group *g, const struct stream *s)
{
    return g->ordinal == GROUP_AHEAD && stream_id_cmp(g->last_id, s->last_id) >= 0;
}

struct group *groups_next_passed(const struct stream *s, struct stream_id id)
{
    struct groups *all = s->groups;
    if (all == NULL || stream_id_cmp(all->ahead, id) >= 0) return NULL;
    all->ahead = STREAM_ID_MAX;
    for (size_t i = 0; i < all->count; i++) {
        struct group *g = all->list[i];
        if (!is_ahead(g, s)) continue;
        note_ahead(all, g);
        if (stream_id_cmp(g->last_id, id) < 0) return g;
    }
    return NULL;
}

int group_settle(struct group *g, struct stream *s)
{
    if (g->ordinal != GROUP_AHEAD || is_ahead(g, s)) return 0;
    return stream_ordinal_after(s, g->last_id, &g->ordinal);
}

uint64_t group_entries_read(const struct group *g, const struct stream *s)
{
    uint64_t behind = s->next_ordinal > g->ordinal ? s->next_ordinal - g->ordinal : 0;
    return s->entries_added > behind ? s->entries_added - behind : 0;
}

uint64_t group_lag(const struct group *g, const struct stream *s)
{
    return g->ordinal == GROUP_AHEAD ? 0 : stream_count_from_ordinal(s, g->ordinal);
}

void groups_note_end(const struct stream *s, struct stream_id last_id)
{
    for (size_t i = 0; i < groups_count(s->groups); i++) {
        struct group *g = s->groups->list[i];
        if (stream_id_cmp(g->last_id, last_id) > 0) g->ordinal = GROUP_AHEAD;
        else if (is_ahead(g, s)) g->ordinal = s->next_ordinal;
        note_ahead(s->groups, g);
    }
}

/* ---- Groups ---- */

static void group_free(struct group *g)
{
    pending_fini(&g->pending);
    for (size_t i = 0; i < g->consumer_count; i++) mem_free(g->consumers[i]);
    mem_free(g->consumers);
    mem_free(g->by_number);
    mem_free(g);
}

void groups_place_reset(struct groups_place *at)
{
    mem_free(at->group);
    mem_free(at->consumer);
    *at = (struct groups_place){0};
}

void groups_free(struct groups *g)
{
    if (g == NULL) return;
    groups_place_reset(&g->place);
    for (size_t i = 0; i < g->count; i++) group_free(g->list[i]);
    mem_free(g->list);
    mem_free(g);
}

static size_t consumer_bytes(const struct consumer *c)
{
    return sizeof *c + c->name_len;
}

static struct group *group_copy(const struct group *from)
{
    struct group *to = mem_dup(from, sizeof *from + from->name_len);
    pending_copy(&to->pending, &from->pending);
    if (from->consumer_cap == 0) return to;
    to->consumers = mem_calloc(from->consumer_cap * sizeof *to->consumers);
    to->by_number = mem_calloc(from->number_cap * sizeof *to->by_number);
    for (size_t i = 0; i < from->consumer_count; i++) {
        struct consumer *c = mem_dup(from->consumers[i], consumer_bytes(from->consumers[i]));
        to->consumers[i] = to->by_number[c->number] = c;
    }
    return to;
}

struct groups *groups_copy(const struct groups *g)
{
    if (g == NULL) return NULL;
    struct groups *to = mem_alloc(sizeof *to);
    *to = (struct groups){.count = g->count, .cap = g->cap, .ahead = g->ahead};
    to->list = mem_alloc(g->cap * sizeof(struct group *));
    for (size_t i = 0; i < g->count; i++) to->list[i] = group_copy(g->list[i]);
    return to;
}

static size_t group_memory(const struct group *g)
{
    size_t sum = mem_size(g) + pending_memory(&g->pending);
    if (g->consumers != NULL) sum += mem_size(g->consumers);
    if (g->by_number != NULL) sum += mem_size(g->by_number);
    for (size_t i = 0; i < g->consumer_count; i++) sum += mem_size(g->consumers[i]);
    return sum;
}

size_t groups_memory(const struct groups *g)
{
    if (g == NULL) return 0;
    size_t sum = mem_size(g) + mem_size(g->list);
    for (size_t i = 0; i < g->count; i++) sum += group_memory(g->list[i]);
    return sum;
}

size_t groups_weight(const struct groups *g)
{
    size_t sum = 0;
    for (size_t i = 0; i < groups_count(g); i++)
        sum += 1 + g->list[i]->consumer_count + g->list[i]->pending.nodes;
    return sum;
}

size_t groups_seek(const struct groups *g, struct bytes name)
{
    size_t low = 0, high = groups_count(g);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (bytes_cmp(group_name(g->list[mid]), name) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

struct group *groups_find(const struct groups *g, struct bytes name)
{
    size_t i = groups_seek(g, name);
    bool found = i < groups_count(g) && bytes_eq(group_name(g->list[i]), name);
    return found ? g->list[i] : NULL;
}

struct group *groups_add(struct groups **g, struct bytes name)
{
    if (*g == NULL) {
        *g = mem_calloc(sizeof **g);
        (*g)->ahead = STREAM_ID_MAX;
    }
    size_t i = groups_seek(*g, name);
    must(name.len <= UINT32_MAX);
    struct group *added = mem_calloc(sizeof *added + name.len);
    added->name_len = (uint32_t)name.len;
    if (name.len > 0) memcpy(added->name, name.data, name.len);
    (*g)->list = open_gap((*g)->list, (*g)->count++, &(*g)->cap, i);
    (*g)->list[i] = added;
    return added;
}

void groups_remove(struct groups **g, struct group *group)
{
    size_t i = groups_seek(*g, group_name(group));
    must((*g)->list[i] == group);
    close_gap((*g)->list, (*g)->count--, i);
    group_free(group);
    if ((*g)->count > 0) return;
    groups_free(*g);
    *g = NULL;
}

/* ---- Acknowledged by all ---- */

static struct stream_id floor_of(const struct group *g)
{
    struct stream_id pending, next = g->last_id;
    stream_id_next(&next);
    bool has_pending = pending_first(&g->pending, &pending);
    return has_pending && stream_id_cmp(pending, next) < 0 ? pending : next;
}

const struct group *groups_slowest(const struct stream *s)
{
    const struct groups *g = s->groups;
    const struct group *slowest = NULL;
    for (size_t i = 0; i < groups_count(g); i++)
        if (slowest == NULL || stream_id_cmp(floor_of(g->list[i]), floor_of(slowest)) < 0)
            slowest = g->list[i];
    return slowest;
}

bool groups_floor(const struct stream *s, struct stream_id *ret)
{
    const struct group *slowest = groups_slowest(s);
    if (slowest != NULL) *ret = floor_of(slowest);
    return slowest != NULL;
}

bool groups_have_acknowledged(const struct groups *g, struct stream_id id)
{
    struct pending_entry e;
    for (size_t i = 0; i < groups_count(g); i++)
        if (stream_id_cmp(g->list[i]->last_id, id) < 0 || pending_get(&g->list[i]->pending, id, &e))
            return false;
    return true;
}
