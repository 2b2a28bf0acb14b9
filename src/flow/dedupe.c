/* A map from ids to themselves, and a ring that knows which is the oldest. The ring grows up to the
 * window, so that a large window costs nothing before it is filled. */
#include "flow/dedupe.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

struct remembered {
    size_t len;
    char id[];
};

struct dedupe {
    size_t window;
    struct map map;           /* owns the items */
    struct remembered **ring; /* in the order they came */
    size_t cap;               /* of the ring, <= window */
    size_t oldest;            /* where the next one goes once the ring is full */
};

static struct bytes remembered_key(const void *item)
{
    const struct remembered *r = item;
    return (struct bytes){r->id, r->len};
}

static const struct map_type remembered_type = {remembered_key, mem_free};

struct dedupe *dedupe_new(size_t window)
{
    must(window > 0);
    struct dedupe *d = mem_calloc(sizeof(*d));
    d->window = window;
    map_init(&d->map, &remembered_type);
    return d;
}

void dedupe_free(struct dedupe *d)
{
    if (d == NULL) return;
    map_clear(&d->map);
    mem_free(d->ring);
    mem_free(d);
}

/* The place in the ring for one more: a new one, or that of the oldest, which is forgotten. */
static struct remembered **take_place(struct dedupe *d)
{
    size_t count = map_count(&d->map);
    if (count < d->window) {
        if (count == d->cap) {
            size_t grown = d->cap == 0 ? 256 : d->cap * 2;
            d->cap = grown < d->window ? grown : d->window;
            d->ring = mem_realloc(d->ring, d->cap * sizeof(struct remembered *));
        }
        return &d->ring[count];
    }
    struct remembered **place = &d->ring[d->oldest];
    map_delete(&d->map, remembered_key(*place));
    d->oldest = (d->oldest + 1) % d->window;
    return place;
}

bool dedupe_seen(struct dedupe *d, struct bytes id)
{
    if (map_get(&d->map, id) != NULL) return true;
    struct remembered **place = take_place(d);
    struct remembered *r = mem_alloc(sizeof(*r) + id.len);
    r->len = id.len;
    if (id.len > 0) memcpy(r->id, id.data, id.len);
    *place = r;
    map_insert(&d->map, r);
    return false;
}
