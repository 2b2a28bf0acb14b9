#include "broker/stream_refs.h"

#include "broker/change_group.h"
#include "broker/change_stream.h"

/* Behind this id no entry has been delivered to every group. */
static struct stream_id delivered_to_all(const struct groups *g)
{
    struct stream_id last = STREAM_ID_MAX;
    for (size_t i = 0; i < groups_count(g); i++)
        if (stream_id_cmp(g->list[i]->last_id, last) < 0) last = g->list[i]->last_id;
    return last;
}

/* Entries of from..to that every group has acknowledged, at most `max`. 0, or negative. */
static int find_acknowledged(struct call *c, struct stream *s, struct stream_id from,
                             struct stream_id to, uint64_t max, struct stream_cut *cut)
{
    struct stream_iter it;
    struct stream_entry e;
    uint64_t there = s->length < max ? s->length : max;
    int more = 1;
    cut->ids = arena_alloc(c->arena, there * sizeof *cut->ids);
    stream_iter_init(&it, s, from, to, false);
    while (cut->id_count < there && (more = stream_iter_next(&it, &e)) == 1)
        if (groups_have_acknowledged(s->groups, e.id)) cut->ids[cut->id_count++] = e.id;
    return more < 0 ? more : 0;
}

static int plan_acknowledged(struct call *c, struct stream *s, const struct stream_trim_args *a,
                             struct stream_cut *cut)
{
    struct stream_id floor, last, to = delivered_to_all(s->groups);
    uint64_t all = cut->gone;
    if (all == 0 || !groups_floor(s, &floor) || stream_id_cmp(cut->keep_from, floor) <= 0) return 0;
    cut->keep_from = last = floor;
    int64_t before = stream_id_prev(&last) ? stream_count(s, STREAM_ID_MIN, last, all) : 0;
    if (before < 0) return (int)before;
    cut->gone = (uint64_t)before;
    if (a->trim.approximately) return 0;
    last = a->trim.min_id;
    if (a->trim.by_id && stream_id_prev(&last) && stream_id_cmp(last, to) < 0) to = last;
    return find_acknowledged(c, s, floor, to, all - cut->gone, cut);
}

int stream_cut_plan(struct call *c, struct stream *s, const struct stream_trim_args *a,
                    struct stream_id keep_from, uint64_t gone, struct stream_cut *ret)
{
    *ret = (struct stream_cut){
        .keep_from = keep_from, .gone = gone, .drop_refs = a->refs == STREAM_DELREF};
    bool counts = s != NULL && a->refs == STREAM_ACKED && groups_count(s->groups) > 0;
    return counts ? plan_acknowledged(c, s, a, ret) : 0;
}

size_t stream_cut_bytes(const struct key *k, const struct stream_cut *cut)
{
    enum { RECORD_BYTES = 64, ID_BYTES = 21 };
    size_t record = RECORD_BYTES + (k != NULL ? k->name_len : 0);
    size_t bytes = cut->id_count > 0 ? record + cut->id_count * ID_BYTES : 0;
    if (k == NULL || !cut->drop_refs || cut->gone == 0) return bytes;
    const struct groups *g = stream_of(k)->groups;
    for (size_t i = 0; i < groups_count(g); i++) bytes += record + g->list[i]->name_len;
    return bytes;
}

void stream_cut_do(struct call *c, struct key *k, const struct stream_cut *cut)
{
    const struct groups *g = stream_of(k)->groups;
    if (cut->gone > 0) change_stream_trim(c, k, cut->keep_from, cut->gone);
    if (cut->id_count > 0) change_stream_delete(c, k, cut->ids, cut->id_count);
    for (size_t i = 0; cut->drop_refs && cut->gone > 0 && i < groups_count(g); i++)
        change_pending_drop_below(c, k, g->list[i], cut->keep_from);
}
