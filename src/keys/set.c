#include "keys/set.h"

#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"

static struct bytes member_text(const void *item)
{
    const struct set_member *m = item;
    return (struct bytes){m->data, m->len};
}

static const struct map_type member_type = {.key = member_text, .free = mem_free};

static struct set_member *new_member(struct bytes text)
{
    struct set_member *m = mem_alloc(sizeof *m + text.len);
    m->len = (uint32_t)text.len;
    if (text.len > 0) memcpy(m->data, text.data, text.len);
    return m;
}

/* ---- The integer form ---- */

/* Where `n` is, or belongs. */
static size_t integer_place(const struct set *s, int64_t n)
{
    size_t low = 0, high = s->integer_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->integers[middle] < n) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool has_integer(const struct set *s, int64_t n)
{
    size_t at = integer_place(s, n);
    return at < s->integer_count && s->integers[at] == n;
}

static void insert_integer(struct set *s, int64_t n)
{
    size_t at = integer_place(s, n);
    if (s->integer_count == s->integer_cap) {
        s->integer_cap = s->integer_cap ? s->integer_cap * 2 : 4;
        s->integers = mem_realloc(s->integers, s->integer_cap * sizeof *s->integers);
    }
    memmove(s->integers + at + 1, s->integers + at, (s->integer_count - at) * sizeof *s->integers);
    s->integers[at] = n;
    s->integer_count++;
}

static void remove_integer(struct set *s, int64_t n)
{
    size_t at = integer_place(s, n);
    s->integer_count--;
    memmove(s->integers + at, s->integers + at + 1, (s->integer_count - at) * sizeof *s->integers);
}

static struct bytes integer_text(int64_t n, char *scratch)
{
    return (struct bytes){scratch, num_format_i64(scratch, n)};
}

/* ---- Life ---- */

void set_init(struct key *k, struct bytes first, const struct set_limits *limits)
{
    struct set *s = mem_calloc(sizeof *s);
    int64_t n;
    map_init(&s->table, &member_type);
    k->value.set = s;
    if (num_parse_i64(first, &n) && limits->intset_entries > 0) k->encoding = ENC_INTSET;
    else if ((int64_t)first.len <= limits->listpack_value && limits->listpack_entries > 0)
        k->encoding = ENC_LISTPACK;
    else k->encoding = ENC_HASHTABLE;
}

static void clear(struct set *s)
{
    mem_free(s->integers);
    pack_fini(&s->pack);
    map_clear(&s->table);
}

static void free_value(struct key *k)
{
    if (k->value.set == NULL) return;
    clear(k->value.set);
    mem_free(k->value.set);
}

static void copy_value(struct key *to, const struct key *from)
{
    struct set_iter it;
    struct bytes member;
    const struct set *old = from->value.set;
    struct set *s = mem_calloc(sizeof *s);
    map_init(&s->table, &member_type);
    to->value.set = s;
    to->encoding = from->encoding;
    if (from->encoding == ENC_INTSET) {
        s->integer_count = s->integer_cap = old->integer_count;
        s->integers = mem_dup(old->integers, old->integer_count * sizeof *s->integers);
    } else if (from->encoding == ENC_LISTPACK) {
        pack_copy(&s->pack, &old->pack);
    } else {
        set_iter_init(&it, from);
        while (set_iter_next(&it, &member)) map_insert(&s->table, new_member(member));
        set_iter_fini(&it);
    }
}

static size_t memory_of(const struct key *k, size_t samples)
{
    const struct set *s = k->value.set;
    size_t sum = 0, seen = 0;
    struct map_iter it;
    const struct set_member *m;
    if (k->encoding != ENC_HASHTABLE)
        return mem_size(s) + mem_size(s->integers) + s->pack.bytes.cap;
    map_iter_init(&it, (struct map *)&s->table);
    while ((samples == 0 || seen < samples) && (m = map_iter_next(&it)) != NULL) {
        sum += mem_size(m);
        seen++;
    }
    map_iter_fini(&it);
    return mem_size(s) + map_memory(&s->table) + (seen ? sum * map_count(&s->table) / seen : 0);
}

static size_t weight_of(const struct key *k)
{
    return k->value.set == NULL ? 0 : map_count(&k->value.set->table);
}

const struct key_ops set_ops = {.name = "set",
                                .free = free_value,
                                .copy = copy_value,
                                .memory = memory_of,
                                .weight = weight_of};

/* ---- Changing form ---- */

static void to_pack(struct key *k)
{
    struct set *s = k->value.set;
    char scratch[SET_SCRATCH];
    for (size_t i = 0; i < s->integer_count; i++)
        pack_append(&s->pack, integer_text(s->integers[i], scratch));
    mem_free(s->integers);
    s->integers = NULL;
    s->integer_count = s->integer_cap = 0;
    k->encoding = ENC_LISTPACK;
}

static void to_table(struct key *k)
{
    struct set *s = k->value.set;
    struct set_iter it;
    struct bytes member;
    map_reserve(&s->table, set_count(k) + 1);
    set_iter_init(&it, k);
    while (set_iter_next(&it, &member)) map_insert(&s->table, new_member(member));
    set_iter_fini(&it);
    mem_free(s->integers);
    s->integers = NULL;
    s->integer_count = s->integer_cap = 0;
    pack_fini(&s->pack);
    k->encoding = ENC_HASHTABLE;
}

/* An intset that gets a member of another kind becomes a pack when that fits, else a table. */
static void make_room_for(struct key *k, struct bytes member, const struct set_limits *limits)
{
    int64_t n, count = (int64_t)set_count(k);
    bool small = (int64_t)member.len <= limits->listpack_value && count < limits->listpack_entries;
    if (k->encoding == ENC_INTSET) {
        if (num_parse_i64(member, &n)) {
            if (count >= limits->intset_entries) to_table(k);
        } else if (small) {
            to_pack(k);
        } else {
            to_table(k);
        }
    } else if (k->encoding == ENC_LISTPACK && !small) {
        to_table(k);
    }
}

/* ---- Members ---- */

size_t set_count(const struct key *k)
{
    const struct set *s = k->value.set;
    if (k->encoding == ENC_INTSET) return s->integer_count;
    return k->encoding == ENC_LISTPACK ? s->pack.count : map_count(&s->table);
}

bool set_contains(const struct key *k, struct bytes member)
{
    struct set *s = k->value.set;
    int64_t n;
    if (k->encoding == ENC_INTSET) return num_parse_i64(member, &n) && has_integer(s, n);
    if (k->encoding == ENC_LISTPACK) return pack_find(&s->pack, member, 1) >= 0;
    return map_get(&s->table, member) != NULL;
}

bool set_add(struct key *k, struct bytes member, const struct set_limits *limits)
{
    struct set *s = k->value.set;
    int64_t n;
    if (set_contains(k, member)) return false;
    make_room_for(k, member, limits);
    if (k->encoding == ENC_INTSET) {
        must(num_parse_i64(member, &n));
        insert_integer(s, n);
    } else if (k->encoding == ENC_LISTPACK) {
        pack_append(&s->pack, member);
    } else {
        map_insert(&s->table, new_member(member));
    }
    return true;
}

bool set_remove(struct key *k, struct bytes member)
{
    struct set *s = k->value.set;
    int64_t n;
    if (k->encoding == ENC_HASHTABLE) return map_delete(&s->table, member);
    if (k->encoding == ENC_INTSET) {
        if (!num_parse_i64(member, &n) || !has_integer(s, n)) return false;
        remove_integer(s, n);
        return true;
    }
    ssize_t at = pack_find(&s->pack, member, 1);
    if (at >= 0) pack_remove(&s->pack, (size_t)at, 1);
    return at >= 0;
}

struct bytes set_random(const struct key *k, struct rng *rng, char *scratch)
{
    struct set *s = k->value.set;
    struct bytes member;
    if (k->encoding == ENC_INTSET)
        return integer_text(s->integers[rng_below(rng, s->integer_count)], scratch);
    if (k->encoding == ENC_HASHTABLE) return member_text(map_random(&s->table, rng));
    size_t at = pack_offset(&s->pack, (uint32_t)rng_below(rng, s->pack.count));
    pack_next(&s->pack, &at, &member);
    return member;
}

void set_iter_init(struct set_iter *it, const struct key *k)
{
    it->key = k;
    it->at = 0;
    if (k->encoding == ENC_HASHTABLE) map_iter_init(&it->table, &k->value.set->table);
}

bool set_iter_next(struct set_iter *it, struct bytes *ret)
{
    const struct set *s = it->key->value.set;
    if (it->key->encoding == ENC_INTSET) {
        if (it->at == s->integer_count) return false;
        *ret = integer_text(s->integers[it->at++], it->scratch);
        return true;
    }
    if (it->key->encoding == ENC_LISTPACK) return pack_next(&s->pack, &it->at, ret);
    const struct set_member *m = map_iter_next(&it->table);
    if (m != NULL) *ret = member_text(m);
    return m != NULL;
}

void set_iter_fini(struct set_iter *it)
{
    if (it->key->encoding == ENC_HASHTABLE) map_iter_fini(&it->table);
}
