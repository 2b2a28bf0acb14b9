#include "hub/patterns.h"

#include <string.h>

#include "base/mem.h"

enum kind { BEGINS, ENDS, INSIDE, KINDS };

enum {
    LITERAL_MAX = 24, /* of a beginning or an end, so much is looked at */
    INSIDE_MAX = 4,
    INSIDE_MIN = 2,
    CROWD = 8,     /* so many may stand under a literal before another is preferred */
    TEXT_MAX = 256 /* of a longer pattern only the beginning is looked at for literals */
};

/* The patterns under one literal; an item of the index's map. */
struct pattern_bucket {
    struct pattern **patterns;
    uint32_t count, cap;
    uint8_t kind, len;      /* these and what follows are the key, */
    char text[LITERAL_MAX]; /* `len` bytes of it */
};

struct pattern_index {
    struct map literals;                   /* of buckets */
    size_t in_use[KINDS][LITERAL_MAX + 1]; /* buckets, by kind and length */
    struct map exact;                      /* of patterns without a wildcard, by text */
    struct pattern_bucket always;          /* those without a literal */
    struct pattern **found;
    size_t found_count, found_cap, tried;
    uint64_t question;
};

static struct bytes bucket_key(const void *item)
{
    const struct pattern_bucket *b = item;
    return (struct bytes){(const char *)&b->kind, (size_t)b->len + 2};
}

static void bucket_free(void *item)
{
    mem_free(((struct pattern_bucket *)item)->patterns);
    mem_free(item);
}

static struct bytes pattern_text(const void *item)
{
    return ((const struct pattern *)item)->text;
}

static const struct map_type bucket_type = {.key = bucket_key, .free = bucket_free};
static const struct map_type exact_type = {.key = pattern_text};

struct pattern_index *pattern_index_new(void)
{
    struct pattern_index *ix = mem_calloc(sizeof *ix);
    map_init(&ix->literals, &bucket_type);
    map_init(&ix->exact, &exact_type);
    return ix;
}

void pattern_index_free(struct pattern_index *ix)
{
    map_clear(&ix->literals);
    map_clear(&ix->exact);
    mem_free(ix->always.patterns);
    mem_free(ix->found);
    mem_free(ix);
}

/* ---- Reading a pattern ---- */

/* What a pattern says of each byte: one that must be there, or a wildcard (-1). `whole`: the
 * pattern was read to its end. */
struct outline {
    int16_t bytes[TEXT_MAX];
    size_t len;
    bool whole, wild, escaped;
};

/* Behind the class that begins here, as bytes_match_glob() reads it. */
static size_t skip_class(struct bytes p, size_t i)
{
    if (i < p.len && p.data[i] == '^') i++;
    while (i < p.len && p.data[i] != ']') {
        if (p.data[i] == '\\' && p.len - i >= 2) i += 2;
        else if (p.len - i >= 3 && p.data[i + 1] == '-') i += 3;
        else i++;
    }
    return i < p.len ? i + 1 : i;
}

static void read_outline(struct bytes p, struct outline *o)
{
    size_t i = 0;
    *o = (struct outline){.len = 0};
    while (i < p.len && o->len < TEXT_MAX) {
        char c = p.data[i++];
        int16_t byte = (unsigned char)c;
        if (c == '[') i = skip_class(p, i);
        if (c == '*' || c == '?' || c == '[') byte = -1;
        if (c == '\\' && i < p.len) byte = (unsigned char)p.data[i++];
        o->wild |= byte < 0;
        o->escaped |= c == '\\';
        o->bytes[o->len++] = byte;
    }
    o->whole = i == p.len;
}

/* ---- Choosing a literal ---- */

static void set_literal(struct pattern_bucket *key, enum kind kind, const int16_t *bytes,
                        size_t len)
{
    key->kind = (uint8_t)kind;
    key->len = (uint8_t)len;
    for (size_t i = 0; i < len; i++) key->text[i] = (char)bytes[i];
}

struct choice {
    struct pattern_bucket key;
    size_t crowd; /* how full it is, coarsely */
    bool any;
};

static void consider(struct pattern_index *ix, struct choice *c, enum kind kind,
                     const int16_t *bytes, size_t len)
{
    struct pattern_bucket key;
    set_literal(&key, kind, bytes, len);
    const struct pattern_bucket *b = map_get(&ix->literals, bucket_key(&key));
    size_t crowd = b == NULL ? 0 : b->count / CROWD;
    if (c->any && crowd >= c->crowd) return;
    *c = (struct choice){key, crowd, true};
}

/* Beginnings first, then ends, then insides: in that order they are cheap to ask for. */
static struct choice choose(struct pattern_index *ix, const struct outline *o)
{
    struct choice c = {.any = false};
    size_t begins = 0, ends = 0, run = 0;
    while (begins < o->len && o->bytes[begins] >= 0) begins++;
    if (o->whole)
        while (ends < o->len && o->bytes[o->len - 1 - ends] >= 0) ends++;
    if (begins > 0) consider(ix, &c, BEGINS, o->bytes, begins < LITERAL_MAX ? begins : LITERAL_MAX);
    if (ends > LITERAL_MAX) ends = LITERAL_MAX;
    if (ends > 0) consider(ix, &c, ENDS, o->bytes + o->len - ends, ends);
    for (size_t i = 0; i < o->len && (!c.any || c.crowd > 0); i++) {
        run = o->bytes[i] >= 0 ? run + 1 : 0;
        bool run_ends = i + 1 == o->len || o->bytes[i + 1] < 0;
        if (run >= INSIDE_MAX) consider(ix, &c, INSIDE, o->bytes + i + 1 - INSIDE_MAX, INSIDE_MAX);
        else if (run >= INSIDE_MIN && run_ends)
            consider(ix, &c, INSIDE, o->bytes + i + 1 - run, run);
    }
    return c;
}

static struct pattern_bucket *get_bucket(struct pattern_index *ix, const struct choice *c)
{
    if (!c->any) return &ix->always;
    struct pattern_bucket *b = map_get(&ix->literals, bucket_key(&c->key));
    if (b != NULL) return b;
    b = mem_calloc(sizeof *b);
    b->kind = c->key.kind;
    b->len = c->key.len;
    memcpy(b->text, c->key.text, b->len);
    map_insert(&ix->literals, b);
    ix->in_use[b->kind][b->len]++;
    return b;
}

void pattern_add(struct pattern_index *ix, struct pattern *p)
{
    struct outline o;
    read_outline(p->text, &o);
    p->asked = 0;
    p->bucket = NULL;
    if (o.whole && !o.wild && !o.escaped) {
        map_insert(&ix->exact, p);
        return;
    }
    struct choice c = choose(ix, &o);
    struct pattern_bucket *b = get_bucket(ix, &c);
    if (b->count == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 1;
        b->patterns = mem_realloc(b->patterns, b->cap * sizeof(struct pattern *));
    }
    p->bucket = b;
    p->slot = b->count;
    b->patterns[b->count++] = p;
}

void pattern_remove(struct pattern_index *ix, struct pattern *p)
{
    struct pattern_bucket *b = p->bucket;
    if (b == NULL) {
        map_take(&ix->exact, p->text);
        return;
    }
    b->patterns[p->slot] = b->patterns[--b->count];
    b->patterns[p->slot]->slot = p->slot;
    if (b->count > 0 || b == &ix->always) return;
    ix->in_use[b->kind][b->len]--;
    map_delete(&ix->literals, bucket_key(b));
}

/* ---- Asking ---- */

static void found(struct pattern_index *ix, struct pattern *p)
{
    if (ix->found_count == ix->found_cap) {
        ix->found_cap = ix->found_cap ? ix->found_cap * 2 : 16;
        ix->found = mem_realloc(ix->found, ix->found_cap * sizeof(struct pattern *));
    }
    ix->found[ix->found_count++] = p;
}

static void try_bucket(struct pattern_index *ix, const struct pattern_bucket *b,
                       struct bytes channel)
{
    for (size_t i = 0; b != NULL && i < b->count; i++) {
        struct pattern *p = b->patterns[i];
        if (p->asked == ix->question) continue; /* its literal is in the channel twice */
        p->asked = ix->question;
        ix->tried++;
        if (bytes_match_glob(p->text, channel, false)) found(ix, p);
    }
}

static void ask(struct pattern_index *ix, enum kind kind, const char *at, size_t len,
                struct bytes channel)
{
    struct pattern_bucket key = {.kind = (uint8_t)kind, .len = (uint8_t)len};
    memcpy(key.text, at, len);
    try_bucket(ix, map_get(&ix->literals, bucket_key(&key)), channel);
}

static void ask_ends(struct pattern_index *ix, struct bytes channel)
{
    for (size_t len = 1; len <= LITERAL_MAX && len <= channel.len; len++) {
        if (ix->in_use[BEGINS][len] > 0) ask(ix, BEGINS, channel.data, len, channel);
        if (ix->in_use[ENDS][len] > 0)
            ask(ix, ENDS, channel.data + channel.len - len, len, channel);
    }
}

static void ask_insides(struct pattern_index *ix, struct bytes channel)
{
    for (size_t len = INSIDE_MIN; len <= INSIDE_MAX; len++)
        for (size_t i = 0; ix->in_use[INSIDE][len] > 0 && i + len <= channel.len; i++)
            ask(ix, INSIDE, channel.data + i, len, channel);
}

size_t pattern_match(struct pattern_index *ix, struct bytes channel, struct pattern ***ret)
{
    ix->question++;
    ix->found_count = ix->tried = 0;
    struct pattern *exact = map_get(&ix->exact, channel);
    if (exact != NULL) found(ix, exact);
    try_bucket(ix, &ix->always, channel);
    ask_ends(ix, channel);
    ask_insides(ix, channel);
    *ret = ix->found;
    return ix->found_count;
}

size_t pattern_tried(const struct pattern_index *ix)
{
    return ix->tried;
}
