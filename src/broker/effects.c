#include "broker/effects.h"

#include "base/mem.h"
#include "base/must.h"

void effects_init(struct effects *fx, struct arena *arena)
{
    *fx = (struct effects){.arena = arena};
}

void effects_fini(struct effects *fx)
{
    mem_free(fx->changed);
    mem_free(fx->events);
    *fx = (struct effects){0};
}

void effects_reset(struct effects *fx)
{
    must(fx->record == NULL);
    fx->position = fx->depends = 0;
    fx->changed_count = fx->event_count = 0;
    fx->all_changed = fx->ready = false;
}

uint64_t effects_finish(struct effects *fx)
{
    if (fx->record != NULL) {
        fx->position = fx->sink.end(fx->sink.arg);
        fx->record = NULL;
    }
    return fx->position;
}

struct buf *effects_new_record(struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    effects_finish(fx);
    fx->record = fx->sink.begin(fx->sink.arg);
    fx->record_start = fx->record->len;
    record_put_head(fx->record, kind, db, key);
    return fx->record;
}

static bool goes_on(const struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    enum { RECORD_BYTES_MAX = 1 << 20, HEAD_BYTES = 2 }; /* a very long list becomes several */
    if (fx->record == NULL || fx->record->len - fx->record_start > RECORD_BYTES_MAX) return false;
    const char *head = fx->record->data + fx->record_start;
    struct record open = {
        .rest = {head + HEAD_BYTES, fx->record->len - fx->record_start - HEAD_BYTES}};
    return (uint8_t)head[0] == kind && (uint8_t)head[1] == db && bytes_eq(record_bytes(&open), key);
}

struct buf *effects_record(struct effects *fx, enum record_kind kind, int db, struct bytes key)
{
    if (goes_on(fx, kind, db, key)) return fx->record;
    return effects_new_record(fx, kind, db, key);
}

static void add_changed(struct effects *fx, int db, struct bytes name, uint64_t hash, bool quiet)
{
    if (fx->changed_count > 0) {
        struct effect_key *last = &fx->changed[fx->changed_count - 1];
        if (last->hash == hash && last->db == db && bytes_eq(last->name, name)) {
            last->quiet = last->quiet && quiet;
            return;
        }
    }
    if (fx->changed_count == fx->changed_cap) {
        fx->changed_cap = fx->changed_cap ? fx->changed_cap * 2 : 16;
        fx->changed = mem_realloc(fx->changed, fx->changed_cap * sizeof *fx->changed);
    }
    fx->changed[fx->changed_count++] =
        (struct effect_key){db, arena_dup(fx->arena, name), hash, quiet};
}

void effects_changed(struct effects *fx, int db, struct bytes name, uint64_t hash)
{
    add_changed(fx, db, name, hash, false);
}

void effects_noted(struct effects *fx, int db, struct bytes name, uint64_t hash)
{
    add_changed(fx, db, name, hash, true);
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
