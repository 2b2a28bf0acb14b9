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

size_t zset_pack_count_below_name(const struct pack *p, struct bytes name, bool or_equal)
{
    struct zset_entry e;
    size_t at = 0, n = 0;
    for (; zset_pack_next(p, &at, &e); n++)
        if (bytes_cmp(e.member, name) >= (or_equal ? 1 : 0)) break;
    return n;
}
