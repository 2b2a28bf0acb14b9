/* Small and large form behind one interface:
 *
 *     pack:   member score | member score | ...
 *     table:  map    member -> item            one allocation per item: score, length, member
 *             order  (score, member) -> item
 *
 * - The table, once made, stays, however few members are left.
 * - The score in an item is the one under which the item stands in `order`.
 * - A set made by zset_new is empty; the keyspace never holds an empty one. */
#include "keys/zset.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "keys/zset_pack.h"

struct zset_item {
    double score;
    uint32_t len;
    char name[];
};

struct table {
    struct map map; /* owns the items */
    struct order order;
};

struct zset {
    struct table *table; /* NULL: small */
    struct pack pack;    /* empty beside a table */
};

static struct bytes item_name(const void *item)
{
    const struct zset_item *i = item;
    return (struct bytes){i->name, i->len};
}

static const struct map_type item_map_type = {.key = item_name, .free = mem_free};

static struct zset_item *item_new(struct bytes member, double score)
{
    must(member.len <= UINT32_MAX);
    struct zset_item *item = mem_alloc(sizeof *item + member.len);
    item->score = score;
    item->len = (uint32_t)member.len;
    if (member.len > 0) memcpy(item->name, member.data, member.len);
    return item;
}

struct zset_entry zset_item_entry(const struct zset_item *item)
{
    return (struct zset_entry){item_name(item), item->score};
}

/* ---- Making ---- */

static struct table *table_new(void)
{
    struct table *t = mem_alloc(sizeof *t);
    map_init(&t->map, &item_map_type);
    order_init(&t->order, item_name);
    return t;
}

static void table_insert(struct table *t, struct bytes member, uint64_t hash, double score)
{
    struct zset_item *item = item_new(member, score);
    map_insert_hashed(&t->map, item, hash);
    order_insert(&t->order, score, item);
}

struct zset *zset_new(void)
{
    return mem_calloc(sizeof(struct zset));
}

void zset_free(struct zset *z)
{
    if (z == NULL) return;
    if (z->table != NULL) {
        order_clear(&z->table->order);
        map_clear(&z->table->map);
        mem_free(z->table);
    }
    pack_fini(&z->pack);
    mem_free(z);
}

/* Fills a table with all there is, in order. */
static struct table *table_of(const struct zset *z)
{
    struct table *t = table_new();
    struct zset_iter it;
    struct zset_entry e;
    map_reserve(&t->map, zset_count(z));
    zset_iter_init(&it, z, (struct zset_span){0, zset_count(z)}, false);
    while (zset_iter_next(&it, &e)) table_insert(t, e.member, hash_bytes(e.member), e.score);
    return t;
}

struct zset *zset_copy(const struct zset *z)
{
    struct zset *copy = zset_new();
    if (z->table != NULL) copy->table = table_of(z);
    else pack_copy(&copy->pack, &z->pack);
    return copy;
}

static void turn_into_table(struct zset *z)
{
    z->table = table_of(z);
    pack_fini(&z->pack);
}

size_t zset_count(const struct zset *z)
{
    return z->table != NULL ? z->table->order.count : zset_pack_count(&z->pack);
}

enum key_encoding zset_encoding(const struct zset *z)
{
    return z->table != NULL ? ENC_SKIPLIST : ENC_LISTPACK;
}

/* ---- One member ---- */

bool zset_find(struct zset *z, struct bytes member, struct zset_place *ret_place)
{
    struct zset_place p = {.zset = z, .member = member};
    size_t rank;
    if (z != NULL && z->table != NULL) {
        p.hash = hash_bytes(member);
        p.item = map_get_hashed(&z->table->map, member, p.hash);
        p.found = p.item != NULL;
        if (p.found) p.score = p.item->score;
    } else if (z != NULL) {
        p.found = zset_pack_find(&z->pack, member, &p.offset, &rank, &p.score);
    }
    *ret_place = p;
    return p.found;
}

static void move_item(struct table *t, struct zset_item *item, double score)
{
    order_remove(&t->order, item->score, item_name(item));
    item->score = score;
    order_insert(&t->order, score, item);
}

void zset_assign(const struct zset_place *place, double score, const struct zset_limits *limits)
{
    struct zset *z = place->zset;
    if (place->found && place->score == score) return;
    if (z->table == NULL && !place->found &&
        (zset_pack_count(&z->pack) + 1 > limits->entries || place->member.len > limits->value)) {
        turn_into_table(z);
        table_insert(z->table, place->member, hash_bytes(place->member), score);
    } else if (z->table == NULL) {
        if (place->found) zset_pack_remove(&z->pack, place->offset);
        zset_pack_insert(&z->pack, place->member, score);
    } else if (place->found) {
        move_item(z->table, place->item, score);
    } else {
        table_insert(z->table, place->member, place->hash, score);
    }
}

void zset_take(const struct zset_place *place)
{
    struct zset *z = place->zset;
    must(place->found);
    if (z->table == NULL) {
        zset_pack_remove(&z->pack, place->offset);
        return;
    }
    struct bytes name = item_name(place->item);
    order_remove(&z->table->order, place->item->score, name);
    must(map_take_hashed(&z->table->map, name, place->hash) == place->item);
    mem_free(place->item);
}

bool zset_score(struct zset *z, struct bytes member, double *ret_score)
{
    struct zset_place place;
    if (!zset_find(z, member, &place)) return false;
    *ret_score = place.score;
    return true;
}

bool zset_put(struct zset *z, struct bytes member, double score, const struct zset_limits *limits)
{
    struct zset_place place;
    bool is_new = !zset_find(z, member, &place);
    zset_assign(&place, score, limits);
    return is_new;
}

bool zset_remove(struct zset *z, struct bytes member)
{
    struct zset_place place;
    if (!zset_find(z, member, &place)) return false;
    zset_take(&place);
    return true;
}

bool zset_rank(struct zset *z, struct bytes member, size_t *ret_rank, double *ret_score)
{
    size_t offset;
    if (z->table == NULL) return zset_pack_find(&z->pack, member, &offset, ret_rank, ret_score);
    const struct zset_item *item = map_get(&z->table->map, member);
    if (item == NULL) return false;
    *ret_rank = order_rank(&z->table->order, item->score, item_name(item));
    *ret_score = item->score;
    return true;
}

/* ---- Ranges ---- */

static struct zset_span span_between(size_t start, size_t end)
{
    return (struct zset_span){start, end > start ? end - start : 0};
}

struct zset_span zset_span_of_ranks(const struct zset *z, int64_t start, int64_t stop)
{
    int64_t count = (int64_t)zset_count(z);
    if (start < 0) start = start + count < 0 ? 0 : start + count;
    if (stop < 0) stop += count;
    if (stop >= count) stop = count - 1;
    if (start > stop) return (struct zset_span){0, 0};
    return span_between((size_t)start, (size_t)stop + 1);
}

static size_t count_below(const struct zset *z, double score, bool or_equal)
{
    return z->table != NULL ? order_count_below(&z->table->order, score, or_equal)
                            : zset_pack_count_below(&z->pack, score, or_equal);
}

struct zset_span zset_span_of_scores(const struct zset *z, const struct zset_score_range *range)
{
    return span_between(count_below(z, range->min, range->min_open),
                        count_below(z, range->max, !range->max_open));
}

static size_t count_below_name(const struct zset *z, const struct zset_name_bound *bound,
                               bool or_equal)
{
    if (bound->kind == ZSET_NAME_LEAST) return 0;
    if (bound->kind == ZSET_NAME_GREATEST) return zset_count(z);
    return z->table != NULL ? order_count_below_key(&z->table->order, bound->text, or_equal)
                            : zset_pack_count_below_name(&z->pack, bound->text, or_equal);
}

struct zset_span zset_span_of_names(const struct zset *z, const struct zset_name_range *range)
{
    return span_between(count_below_name(z, &range->min, range->min.kind == ZSET_NAME_OPEN),
                        count_below_name(z, &range->max, range->max.kind == ZSET_NAME_CLOSED));
}

struct zset_span zset_span_limit(struct zset_span span, bool reverse, int64_t offset, int64_t count)
{
    if (offset < 0 || (uint64_t)offset >= span.count) return (struct zset_span){span.start, 0};
    size_t left = span.count - (size_t)offset;
    if (count >= 0 && (uint64_t)count < left) left = (size_t)count;
    size_t skipped = reverse ? span.count - (size_t)offset - left : (size_t)offset;
    return (struct zset_span){span.start + skipped, left};
}

void zset_iter_init(struct zset_iter *it, const struct zset *z, struct zset_span span, bool reverse)
{
    *it = (struct zset_iter){.zset = z, .left = span.count, .reverse = reverse};
    if (span.count == 0) return;
    must(span.start + span.count <= zset_count(z));
    if (z->table != NULL) {
        order_seek(&z->table->order, span.start + (reverse ? span.count - 1 : 0), &it->at);
    } else {
        it->offset = zset_pack_seek(&z->pack, reverse ? span.start + span.count : span.start);
    }
}

bool zset_iter_next(struct zset_iter *it, struct zset_entry *ret)
{
    if (it->left == 0) return false;
    it->left--;
    if (it->zset->table == NULL)
        return it->reverse ? zset_pack_prev(&it->zset->pack, &it->offset, ret)
                           : zset_pack_next(&it->zset->pack, &it->offset, ret);
    *ret = zset_item_entry(order_at(&it->at, NULL));
    if (it->reverse) order_prev(&it->at);
    else order_next(&it->at);
    return true;
}

struct zset_entry zset_at(const struct zset *z, size_t rank)
{
    struct zset_iter it;
    struct zset_entry e;
    zset_iter_init(&it, z, (struct zset_span){rank, 1}, false);
    must(zset_iter_next(&it, &e));
    return e;
}

struct map *zset_map(struct zset *z)
{
    return z->table != NULL ? &z->table->map : NULL;
}

/* ---- Size ---- */

static size_t items_memory(const struct table *t, size_t samples)
{
    size_t count = t->order.count, looked_at = 0, bytes = 0;
    struct order_iter it;
    if (count == 0) return 0;
    if (samples == 0 || samples > count) samples = count;
    for (order_seek(&t->order, 0, &it); looked_at < samples; looked_at++, order_next(&it))
        bytes += mem_size(order_at(&it, NULL));
    return (size_t)((double)bytes / (double)samples * (double)count);
}

size_t zset_memory(const struct zset *z, size_t samples)
{
    size_t bytes = mem_size(z);
    if (z->table == NULL)
        return z->pack.bytes.data == NULL ? bytes : bytes + mem_size(z->pack.bytes.data);
    return bytes + mem_size(z->table) + map_memory(&z->table->map) +
           order_memory(&z->table->order) + items_memory(z->table, samples);
}

/* ---- Drafts ---- */

void zset_draft_init(struct zset_draft *d)
{
    *d = (struct zset_draft){0};
    map_init(&d->items, &item_map_type);
}

void zset_draft_fini(struct zset_draft *d)
{
    map_clear(&d->items);
}

double *zset_draft_slot(struct zset_draft *d, struct bytes member, bool *ret_new)
{
    uint64_t hash = hash_bytes(member);
    struct zset_item *item = map_get_hashed(&d->items, member, hash);
    *ret_new = item == NULL;
    if (item == NULL) {
        item = item_new(member, 0);
        map_insert_hashed(&d->items, item, hash);
    }
    return &item->score;
}

void zset_draft_remove(struct zset_draft *d, struct bytes member)
{
    map_delete(&d->items, member);
}

static int compare_items(const void *a, const void *b)
{
    const struct zset_item *x = *(struct zset_item *const *)a, *y = *(struct zset_item *const *)b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return bytes_cmp(item_name(x), item_name(y));
}

/* The items in order, `count` of them; the caller frees the array. */
static struct zset_item **sorted_items(struct zset_draft *d, size_t count)
{
    struct zset_item **items = mem_alloc((count + 1) * sizeof *items);
    struct map_iter it;
    map_iter_init(&it, &d->items);
    for (size_t i = 0; i < count; i++) items[i] = map_iter_next(&it);
    map_iter_fini(&it);
    if (count > 1) qsort(items, count, sizeof *items, compare_items);
    return items;
}

static bool fits_pack(struct zset_item *const *items, size_t count,
                      const struct zset_limits *limits)
{
    if (count > limits->entries) return false;
    for (size_t i = 0; i < count; i++)
        if (items[i]->len > limits->value) return false;
    return true;
}

struct zset *zset_draft_finish(struct zset_draft *d, const struct zset_limits *limits)
{
    struct zset *z = zset_new();
    size_t count = map_count(&d->items);
    struct zset_item **items = sorted_items(d, count);
    if (fits_pack(items, count, limits)) {
        for (size_t i = 0; i < count; i++)
            zset_pack_insert(&z->pack, item_name(items[i]), items[i]->score);
        map_clear(&d->items);
    } else {
        z->table = table_new();
        z->table->map = d->items; /* items and all */
        for (size_t i = 0; i < count; i++)
            order_insert(&z->table->order, items[i]->score, items[i]);
    }
    mem_free(items);
    zset_draft_init(d);
    return z;
}

/* ---- As a value of a key ---- */

static void free_value(struct key *k)
{
    zset_free(k->value.zset);
}

static void copy_value(struct key *to, const struct key *from)
{
    to->value.zset = zset_copy(from->value.zset);
    to->encoding = from->encoding;
}

static size_t value_memory(const struct key *k, size_t samples)
{
    return zset_memory(k->value.zset, samples);
}

static size_t value_weight(const struct key *k)
{
    return k->value.zset == NULL ? 0 : zset_count(k->value.zset);
}

const struct key_ops zset_ops = {.name = "zset",
                                 .free = free_value,
                                 .copy = copy_value,
                                 .memory = value_memory,
                                 .weight = value_weight};
