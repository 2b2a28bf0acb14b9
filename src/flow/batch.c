/* Entries in an arena, found by a map; see batch.h. */
#include "flow/batch.h"

#include "base/hash.h"
#include "base/mem.h"

static struct bytes entry_place(const void *item)
{
    return ((const struct batch_entry *)item)->place;
}

static const struct map_type entry_type = {entry_place, NULL};

void batch_init(struct batch *b)
{
    *b = (struct batch){0};
    arena_init(&b->arena);
    map_init(&b->map, &entry_type);
}

void batch_fini(struct batch *b)
{
    map_clear(&b->map);
    arena_fini(&b->arena);
    mem_free(b->entries);
    buf_fini(&b->scratch);
}

void batch_reset(struct batch *b)
{
    map_clear(&b->map);
    arena_reset(&b->arena);
    b->count = 0;
    b->bytes = 0;
    b->events = 0;
}

/* Op, length of the key, key, field: no two different places have the same bytes. */
static struct bytes write_place(struct batch *b, enum batch_op op, struct bytes key,
                                struct bytes field)
{
    b->scratch.len = 0;
    buf_putc(&b->scratch, (char)op);
    buf_append(&b->scratch, &key.len, sizeof(key.len));
    buf_put(&b->scratch, key);
    buf_put(&b->scratch, field);
    return buf_bytes(&b->scratch);
}

void batch_add(struct batch *b, enum batch_op op, struct bytes key, struct bytes field, int64_t n)
{
    struct bytes place = write_place(b, op, key, field);
    uint64_t hash = hash_bytes(place);
    struct batch_entry *entry = map_get_hashed(&b->map, place, hash);
    if (entry != NULL) {
        entry->n += n;
        return;
    }
    entry = arena_alloc(&b->arena, sizeof(*entry));
    *entry = (struct batch_entry){.op = op, .n = n, .place = arena_dup(&b->arena, place)};
    const char *start = entry->place.data + 1 + sizeof(key.len);
    entry->key = (struct bytes){start, key.len};
    entry->field = (struct bytes){start + key.len, field.len};
    if (b->count == b->cap) {
        b->cap = b->cap == 0 ? 64 : b->cap * 2;
        b->entries = mem_realloc(b->entries, b->cap * sizeof(struct batch_entry *));
    }
    b->bytes += place.len;
    b->entries[b->count++] = entry;
    map_insert_hashed(&b->map, entry, hash);
}
