#include "broker/durable_points.h"

#include <string.h>

#include "base/must.h"

void points_fini(struct points *p)
{
    mem_free(p->at);
    *p = (struct points){0};
}

void points_restart(struct points *p, struct stream_id id, uint64_t ordinal)
{
    p->count = 0;
    points_add(p, 0, id, ordinal);
}

/* Every second one goes, but for the oldest and the newest ones: those of the last bytes decide
 * nearly always. */
static void thin_out(struct points *p)
{
    enum { UNTOUCHED = POINTS_MAX / 3 };
    uint32_t kept = 1;
    for (uint32_t i = 1; i < p->count; i++)
        if (i % 2 == 0 || i >= p->count - UNTOUCHED) p->at[kept++] = p->at[i];
    p->count = kept;
}

void points_add(struct points *p, uint64_t end, struct stream_id id, uint64_t ordinal)
{
    struct point next = {end, id, ordinal, 0};
    if (p->count > 0) {
        struct point *last = &p->at[p->count - 1];
        must(end >= last->end && stream_id_cmp(id, last->id) >= 0);
        if (stream_id_cmp(id, last->id) == 0) return;
    }
    if (p->count == POINTS_MAX) thin_out(p);
    if (p->count == p->cap) {
        p->cap = p->cap > 0 ? p->cap * 2 : 2;
        p->at = mem_realloc(p->at, p->cap * sizeof *p->at);
    }
    p->at[p->count++] = next;
}

void points_note_sent(struct points *p, uint64_t sent, int64_t now_ms)
{
    for (uint32_t i = p->count; i-- > 0 && p->at[i].sent_ms == 0;)
        if (p->at[i].end <= sent) p->at[i].sent_ms = now_ms;
}

void points_cut(struct points *p, uint64_t end)
{
    while (p->count > 1 && p->at[p->count - 1].end > end) p->count--;
}

static bool holds(const struct point *p, const struct points_view *v)
{
    if (p->end > v->acknowledged) return false;
    if (v->acknowledged - p->end >= v->window_bytes) return true;
    return v->window_ms >= 0 && p->sent_ms != 0 && v->now_ms - p->sent_ms >= v->window_ms;
}

uint32_t points_position(const struct points *p, const struct points_view *v)
{
    uint32_t i = p->count - 1;
    while (i > 0 && !holds(&p->at[i], v)) i--;
    return i;
}

void points_forget(struct points *p, uint32_t i)
{
    must(i < p->count);
    p->count -= i;
    memmove(p->at, p->at + i, p->count * sizeof *p->at);
}

const struct point *points_before(const struct points *p, uint64_t end)
{
    uint32_t i = p->count - 1;
    while (i > 0 && p->at[i].end > end) i--;
    return &p->at[i];
}
