/* What the files of streams share, and what puts them into snapshots. */
#ifndef LEAT_KEYS_STREAM_PRIV_H
#define LEAT_KEYS_STREAM_PRIV_H

#include "keys/stream.h"
#include "keys/stream_block.h"
#include "keys/stream_store.h"

static inline struct stream_block *block_at(const struct stream *s, size_t i)
{
    return s->blocks[s->first + i];
}
/* The first block whose last id is not below; s->count when there is none. */
size_t stream_find_block(const struct stream *s, struct stream_id id);
/* The data of the i-th block is here: 0 or negative. */
int stream_get_block(struct stream *s, size_t i);
void stream_push_block(struct stream *s, struct stream_block *b);
/* Takes over a block whose entries are behind all others. It is sealed, or its data is here and it
 * is as open as the tail of a stream is. */
void stream_add_block(struct stream *s, struct stream_block *b);

#endif
