/* Replies of sorted-set entries: with scores they are flat in RESP2, pairs in RESP3. */
#ifndef LEAT_BROKER_ZSET_REPLY_H
#define LEAT_BROKER_ZSET_REPLY_H

#include "broker/call.h"
#include "keys/zset.h"

/* The array's header for `n` entries. */
static inline void zset_reply_head(struct call *c, size_t n, bool with_scores)
{
    resp_array(c->reply, with_scores && c->reply->proto == 2 ? 2 * n : n);
}

static inline void zset_reply_entry(struct call *c, const struct zset_entry *e, bool with_score)
{
    if (with_score && c->reply->proto > 2) resp_array(c->reply, 2);
    resp_bulk(c->reply, e->member);
    if (with_score) resp_double(c->reply, e->score);
}

static inline void zset_reply_span(struct call *c, const struct zset *z, struct zset_span span,
                                   bool reverse, bool with_scores)
{
    struct zset_iter it;
    struct zset_entry e;
    zset_reply_head(c, span.count, with_scores);
    zset_iter_init(&it, z, span, reverse);
    while (zset_iter_next(&it, &e)) zset_reply_entry(c, &e, with_scores);
}

#endif
