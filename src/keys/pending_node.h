/* One node of a group's pending entries: up to 256 of them, in five columns.
 *
 *     | ms ... | seq ... | time ... | count ... | consumer ... |      each with room for `cap`
 *
 * Entry i stands at start + i of each column, as its distance from the node's base, in as many
 * bytes as the widest needs: 0, 1, 2, 4 or 8. What does not fit, or has no room, makes a new node
 * of all rows. For pending.c alone. */
#ifndef LEAT_KEYS_PENDING_NODE_H
#define LEAT_KEYS_PENDING_NODE_H

#include "keys/pending.h"

enum pending_column {
    PENDING_MS,
    PENDING_SEQ,
    PENDING_TIME,
    PENDING_COUNT,
    PENDING_CONSUMER,
    PENDING_COLUMNS
};

enum {
    PENDING_NODE_MAX = 256, /* entries */
    PENDING_NODE_MIN = 8,   /* room, at least */
};

struct pending_node {
    uint16_t start, count, cap;
    uint8_t width[PENDING_COLUMNS];
    uint64_t base[PENDING_COLUMNS]; /* of the times: none is earlier */
    uint64_t consumers; /* a bit for each number modulo 64; some may be of consumers long gone */
    unsigned char data[];
};

/* One entry as numbers: a time is shifted so that it is ordered as an unsigned number. */
struct pending_row {
    uint64_t v[PENDING_COLUMNS];
};

static const uint64_t PENDING_TIME_SHIFT = UINT64_C(1) << 63;

static inline struct pending_row pending_row_of(const struct pending_entry *e)
{
    return (struct pending_row){
        {e->id.ms, e->id.seq, (uint64_t)e->time_ms ^ PENDING_TIME_SHIFT, e->count, e->consumer}};
}

static inline struct pending_entry pending_entry_of(const struct pending_row *r)
{
    return (struct pending_entry){.id = {r->v[PENDING_MS], r->v[PENDING_SEQ]},
                                  .time_ms = (int64_t)(r->v[PENDING_TIME] ^ PENDING_TIME_SHIFT),
                                  .count = r->v[PENDING_COUNT],
                                  .consumer = (uint32_t)r->v[PENDING_CONSUMER]};
}

static inline uint64_t pending_consumer_bit(uint64_t number)
{
    return UINT64_C(1) << (number & 63);
}

/* A node of these rows, in order, count > 0, with room for `cap` (pending_node_room()). */
struct pending_node *pending_node_new(const struct pending_row *rows, unsigned count, unsigned cap);
/* Room that suits so many entries. */
unsigned pending_node_room(unsigned count);
size_t pending_node_bytes(const struct pending_node *n);

uint64_t pending_node_value(const struct pending_node *n, enum pending_column c, unsigned i);
struct stream_id pending_node_id(const struct pending_node *n, unsigned i);
void pending_node_row(const struct pending_node *n, unsigned i, struct pending_row *ret);
/* All of them. */
void pending_node_rows(const struct pending_node *n, struct pending_row *rows);
/* The first entry whose id is not below; n->count when all are. */
unsigned pending_node_search(const struct pending_node *n, struct stream_id id);

/* Can the columns hold the row? */
bool pending_node_fits(const struct pending_node *n, const struct pending_row *r);
/* The row must fit, and there be room. */
void pending_node_put(struct pending_node *n, unsigned i, const struct pending_row *r);
/* Opens a gap before entry `at` (by > 0), or closes it over entry `at`; n->count is the caller's.
 */
void pending_node_shift(struct pending_node *n, unsigned at, int by);

#endif
