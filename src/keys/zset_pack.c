#include "keys/zset_pack.h"

#include "base/must.h"

enum { SCORE_BYTES = sizeof(double), BACK_BYTES = sizeof(uint32_t) };

bool zset_pack_next(const struct pack *p, size_t *at, struct zset_entry *ret)
{
    struct bytes tail;
    if (!pack_next(p, at, &ret->member)) return false;
    must(pack_next(p, at, &tail) && tail.len == SCORE_BYTES + BACK_BYTES);
    memcpy(&ret->score, tail.data, SCORE_BYTES);
    return true;
}

bool zset_pack_prev(const struct pack *p, size_t *at, struct zset_entry *ret)
{
    if (*at == 0) return false;
    uint32_t back;
    memcpy(&back, p->bytes.data + *at - BACK_BYTES, BACK_BYTES);
    must(back + BACK_BYTES <= *at);
    *at -= back + BACK_BYTES;
    size_t behind = *at;
    return zset_pack_next(p, &behind, ret);
}

size_t zset_pack_seek(const struct pack *p, size_t rank)
{
    size_t count = zset_pack_count(p), at = 0;
    struct zset_entry skipped;
    must(rank <= count);
    if (rank <= count / 2) {
        while (rank-- > 0) zset_pack_next(p, &at, &skipped);
    } else {
        at = p->bytes.len;
        for (rank = count - rank; rank > 0; rank--) zset_pack_prev(p, &at, &skipped);
    }
    return at;
}

bool zset_pack_find(const struct pack *p, struct bytes member, size_t *ret_at, size_t *ret_rank,
                    double *ret_score)
{
    struct zset_entry e;
    size_t at = 0;
    for (size_t rank = 0, here = 0; zset_pack_next(p, &at, &e); rank++, here = at) {
        if (!bytes_eq(e.member, member)) continue;
        *ret_at = here;
        *ret_rank = rank;
        *ret_score = e.score;
        return true;
    }
    return false;
}

static int compare(const struct zset_entry *e, double score, struct bytes member)
{
    if (e->score != score) return e->score < score ? -1 : 1;
    return bytes_cmp(e->member, member);
}

/* The place before the first pair that is greater; the end is tried first. */
static size_t place_for(const struct pack *p, struct bytes member, double score)
{
    struct zset_entry e;
    size_t at = p->bytes.len, here = 0;
    if (zset_pack_prev(p, &at, &e) && compare(&e, score, member) < 0) return p->bytes.len;
    for (at = 0; zset_pack_next(p, &at, &e); here = at)
        if (compare(&e, score, member) > 0) break;
    return here;
}

void zset_pack_insert(struct pack *p, struct bytes member, double score)
{
    char tail[SCORE_BYTES + BACK_BYTES];
    size_t at = place_for(p, member, score), before = p->bytes.len;
    score += 0.0; /* -0 becomes 0 */
    pack_insert(p, at, member);
    size_t size = p->bytes.len - before;
    uint32_t back = (uint32_t)(size + 1 + SCORE_BYTES);
    memcpy(tail, &score, SCORE_BYTES);
    memcpy(tail + SCORE_BYTES, &back, BACK_BYTES);
    pack_insert(p, at + size, (struct bytes){tail, sizeof tail});
}

void zset_pack_remove(struct pack *p, size_t at)
{
    pack_remove(p, at, 2);
}

size_t zset_pack_count_below(const struct pack *p, double score, bool or_equal)
{
    struct zset_entry e;
    size_t at = 0, n = 0;
    for (; zset_pack_next(p, &at, &e); n++)
        if (or_equal ? e.score > score : e.score >= score) break;
    return n;
}

/* ---- Names ---- */

static bool above_min(struct bytes name, const struct zset_name_bound *min)
{
    if (min->kind == ZSET_NAME_LEAST) return true;
    if (min->kind == ZSET_NAME_GREATEST) return false;
    int order = bytes_cmp(name, min->text);
    return min->kind == ZSET_NAME_OPEN ? order > 0 : order >= 0;
}

static bool below_max(struct bytes name, const struct zset_name_bound *max)
{
    if (max->kind == ZSET_NAME_GREATEST) return true;
    if (max->kind == ZSET_NAME_LEAST) return false;
    int order = bytes_cmp(name, max->text);
    return max->kind == ZSET_NAME_OPEN ? order < 0 : order <= 0;
}

/* A look at the bounds and the two ends that finds most empty ranges. */
static bool may_hold(const struct pack *p, const struct zset_name_range *range)
{
    const struct zset_name_bound *min = &range->min, *max = &range->max;
    struct zset_entry first, last;
    size_t start = 0, end = p->bytes.len;
    if (min->kind >= ZSET_NAME_CLOSED && max->kind >= ZSET_NAME_CLOSED &&
        (!below_max(min->text, max) || !above_min(max->text, min)))
        return false;
    return zset_pack_next(p, &start, &first) && zset_pack_prev(p, &end, &last) &&
           below_max(first.member, max) && above_min(last.member, min);
}

static struct zset_span forward_span(const struct pack *p, const struct zset_name_range *range)
{
    struct zset_span span = {0, 0};
    struct zset_entry e;
    size_t at = 0;
    bool inside = zset_pack_next(p, &at, &e);
    for (; inside && !above_min(e.member, &range->min); span.start++)
        inside = zset_pack_next(p, &at, &e);
    for (; inside && below_max(e.member, &range->max); span.count++)
        inside = zset_pack_next(p, &at, &e);
    return span;
}

static struct zset_span reverse_span(const struct pack *p, const struct zset_name_range *range)
{
    size_t at = p->bytes.len, end = zset_pack_count(p), count = 0;
    struct zset_entry e;
    bool inside = zset_pack_prev(p, &at, &e);
    for (; inside && !below_max(e.member, &range->max); end--) inside = zset_pack_prev(p, &at, &e);
    for (; inside && above_min(e.member, &range->min); count++) inside = zset_pack_prev(p, &at, &e);
    return (struct zset_span){end - count, count};
}

struct zset_span zset_pack_span_of_names(const struct pack *p, const struct zset_name_range *range,
                                         bool reverse)
{
    if (!may_hold(p, range)) return (struct zset_span){0, 0};
    return reverse ? reverse_span(p, range) : forward_span(p, range);
}
