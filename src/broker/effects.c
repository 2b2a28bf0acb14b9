#include "broker/effects.h"

#include "base/mem.h"

void effects_init(struct effects *fx, struct arena *arena)
{
    *fx = (struct effects){.open = SIZE_MAX, .arena = arena};
}

void effects_fini(struct effects *fx)
{
    buf_fini(&fx->records);
    mem_free(fx->changed);
    mem_free(fx->events);
    *fx = (struct effects){.open = SIZE_MAX};
}

void effects_reset(struct effects *fx)
{
    fx->records.len = 0;
    buf_shrink(&fx->records, 1u << 20);
    fx->open = SIZE_MAX;
    fx->depends = 0;
    fx->changed_count = fx->event_count = 0;
    fx->all_changed = fx->ready = false;
}

/* Writes the length of the record under construction into its frame. */
static void close_record(struct effects *fx)
{
    if (fx->open == SIZE_MAX) return;
    uint32_t len = (uint32_t)(fx->records.len - fx->open - sizeof len);
    memcpy(fx->records.data + fx->open, &len, sizeof len);
    fx->open = SIZE_MAX;
}

struct buf *effects_new_record(struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    static const uint32_t no_length = 0;
    close_record(fx);
    fx->open = fx->records.len;
    buf_append(&fx->records, &no_length, sizeof no_length);
    record_put_head(&fx->records, kind, db, key);
    return &fx->records;
}

static bool goes_on(const struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    enum { RECORD_BYTES_MAX = 1 << 20 }; /* a very long list becomes several records */
    if (fx->open == SIZE_MAX || fx->records.len - fx->open > RECORD_BYTES_MAX) return false;
    struct record open = {.rest = {fx->records.data + fx->open + sizeof(uint32_t) + 2,
                                   fx->records.len - fx->open - sizeof(uint32_t) - 2}};
    const char *head = open.rest.data - 2;
    return (uint8_t)head[0] == kind && (uint8_t)head[1] == db && bytes_eq(record_bytes(&open), key);
}

struct buf *effects_record(struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    if (goes_on(fx, kind, db, key)) return &fx->records;
    return effects_new_record(fx, kind, db, key);
}

bool effects_next_record(struct effects *fx, size_t *at, struct bytes *ret)
{
    close_record(fx);
    if (*at >= fx->records.len) return false;
    uint32_t len;
    memcpy(&len, fx->records.data + *at, sizeof len);
    *ret = (struct bytes){fx->records.data + *at + sizeof len, len};
    *at += sizeof len + len;
    return true;
}

void effects_changed(struct effects *fx, int db, struct bytes name, uint64_t hash)
{
    if (fx->changed_count > 0) {
        const struct effect_key *last = &fx->changed[fx->changed_count - 1];
        if (last->hash == hash && last->db == db && bytes_eq(last->name, name)) return;
    }
    if (fx->changed_count == fx->changed_cap) {
        fx->changed_cap = fx->changed_cap ? fx->changed_cap * 2 : 16;
        fx->changed = mem_realloc(fx->changed, fx->changed_cap * sizeof *fx->changed);
    }
    fx->changed[fx->changed_count++] = (struct effect_key){db, arena_dup(fx->arena, name), hash};
}

void effects_event(struct effects *fx, enum notify_class class, const char *event, int db,
                   struct bytes name)
{
    if (fx->event_count == fx->event_cap) {
        fx->event_cap = fx->event_cap ? fx->event_cap * 2 : 16;
        fx->events = mem_realloc(fx->events, fx->event_cap * sizeof *fx->events);
    }
    fx->events[fx->event_count++] = (struct effect_event){class, event, db, name};
}
