/* The kinds of journal records, written once. Each kind says what a command *did*, not which
 * command it was; replay calls its effect handler and nothing else. The numbers are on disk: never
 * reuse one. docs/format.md lists the items of each.
 *
 * A record is: kind (u8), database (u8), key (varint length, bytes), then its items to the end:
 * byte strings as varint length and bytes, times and integers as 8 bytes, scores as 8 bytes of
 * IEEE 754, all little-endian. */
#ifndef LEAT_BROKER_RECORDS_H
#define LEAT_BROKER_RECORDS_H

#include "base/buf.h"

/*       number, NAME,        effect handler          items                                      */
/* clang-format off */
#define RECORDS(X)                                                                                 \
    X(1, DELETE, replay_delete)           /* none                                              */  \
    X(2, EXPIRE_AT, replay_expire_at)     /* time ms; INT64_MAX takes the expiry away           */ \
    X(3, RENAME, replay_rename)           /* new database (int), new key; target was deleted    */ \
    X(4, COPY, replay_copy)               /* new database (int), new key; target was deleted    */ \
    X(5, FLUSH, replay_flush)             /* none; the key is empty                             */ \
    X(6, SWAP, replay_swap)               /* other database (int); the key is empty             */ \
    X(7, NOTHING, replay_nothing)         /* none; so that the next snapshot has a new position */ \
    X(10, STRING_SET, replay_string_set)  /* value; expiry is taken away                        */ \
    X(11, STRING_KEEP, replay_string_keep)   /* value; expiry stays                             */ \
    X(12, STRING_WRITE, replay_string_write) /* offset (int), bytes                             */ \
    X(20, HASH_SET, replay_hash_set)      /* (field, value) ...                                 */ \
    X(21, HASH_DELETE, replay_hash_delete) /* field ...                                         */ \
    X(30, SET_ADD, replay_set_add)        /* member ...                                         */ \
    X(31, SET_REMOVE, replay_set_remove)  /* member ...                                         */ \
    X(40, ZSET_ADD, replay_zset_add)      /* (score, member) ...                                */ \
    X(41, ZSET_REMOVE, replay_zset_remove) /* member ...                                        */ \
    X(50, LIST_PUSH_HEAD, replay_list_push_head) /* value ..., one after the other              */ \
    X(51, LIST_PUSH_TAIL, replay_list_push_tail) /* value ...                                   */ \
    X(52, LIST_DROP_HEAD, replay_list_drop_head) /* how many (int), fewer than there are        */ \
    X(53, LIST_DROP_TAIL, replay_list_drop_tail) /* how many (int), fewer than there are        */ \
    X(54, LIST_SET, replay_list_set)      /* index (int), value                                 */ \
    X(55, LIST_INSERT, replay_list_insert) /* index (int) of the one it comes before, value     */ \
    X(56, LIST_REMOVE, replay_list_remove) /* how many (int; negative: from the tail), value    */ \
    X(57, LIST_MOVE, replay_list_move)    /* ends (int; 1: from the tail, 2: to the tail), new key */ \
    X(60, STREAM_ADD, replay_stream_add)  /* id (two ints), (field, value) ...                  */ \
    X(61, STREAM_DELETE, replay_stream_delete) /* greatest deleted id, runs of ids (varints)    */ \
    X(62, STREAM_TRIM, replay_stream_trim) /* smallest id that is kept                          */ \
    X(63, STREAM_SET, replay_stream_set)  /* last id, entries added (int), greatest deleted id  */ \
    X(64, STREAM_RETENTION, replay_stream_retention) /* age ms, bytes, acknowledged (ints)      */ \
    X(65, STREAM_BLOCK, replay_stream_block) /* a block (docs/format.md) with its bytes             */ \
    X(66, STREAM_CHUNK, replay_stream_chunk) /* a block whose bytes are in a chunk                  */ \
    X(68, STREAM_IDMP_ADD, replay_stream_idmp_add) /* pid, iid, id, time ms, counts (varints)   */ \
    X(69, STREAM_IDMP_SET, replay_stream_idmp_set) /* seconds, size, forget, counts (varints)   */ \
    X(67, STREAM_META, replay_stream_meta) /* last id, largest deleted, counts, retention           */ \
    X(70, GROUP_SET, replay_group_set)    /* group, last id, ordinal (varints)                  */ \
    X(71, GROUP_DESTROY, replay_group_destroy) /* group                                         */ \
    X(72, CONSUMER_SET, replay_consumer_set) /* group, consumer, seen ms, active ms             */ \
    X(73, CONSUMER_DELETE, replay_consumer_delete) /* group, consumer; its pending go with it   */ \
    X(74, PENDING_SET, replay_pending_set) /* group, consumer, time ms, count (varint), runs    */ \
    X(75, PENDING_DROP, replay_pending_drop) /* group, runs                                     */ \
    X(76, PENDING_GIVE, replay_pending_give) /* group, consumer, its heir, time ms or -1        */  \
    X(77, PENDING_DROP_BELOW, replay_pending_drop_below) /* group, id (varints)                 */
/* clang-format on */

enum record_kind {
#define X(number, name, handler) REC_##name = number,
    RECORDS(X)
#undef X
};

struct keyspace;

/* Items of one record, read in order. After a failed read `bad` is set and stays. */
struct record {
    enum record_kind kind;
    int db;
    struct bytes key;
    struct bytes rest;
    bool bad;
    bool lenient;  /* the state may be ahead of the record, see replay_record_lenient() */
    bool salvaged; /* or anything else, see replay_record_salvaged() */
};

/* Reads kind, database and key; false when that makes no sense. */
bool record_open(struct record *ret, struct bytes record);
struct bytes record_bytes(struct record *r);
int64_t record_int(struct record *r);
uint64_t record_varint(struct record *r);
double record_score(struct record *r);
static inline bool record_more(const struct record *r)
{
    return !r->bad && r->rest.len > 0;
}

void record_put_bytes(struct buf *out, struct bytes b);
void record_put_int(struct buf *out, int64_t n);
void record_put_varint(struct buf *out, uint64_t n); /* as the length of a text: small is short */
void record_put_score(struct buf *out, double d);
/* Kind, database and key. */
void record_put_head(struct buf *out, enum record_kind kind, int db, struct bytes key);

/* Applies one record to the keyspace; 0, or -EBADMSG when it makes no sense there. */
int replay_record(struct keyspace *ks, struct bytes record);
/* The same for a record of a snapshot, or of the time in which the snapshot was made: what it is
 * about may be there in a later state already, or be gone, and a handler (r->lenient) leaves alone
 * what it finds so. That this ends in the right state once all records of that time are applied
 * rests on every kind being *absolute*: applied to a value in any state, it leads to the same for
 * what it names (a field, a member, a range of bytes) and touches nothing else. Where a type has
 * other records, its values are taken into a snapshot before they first change
 * (snapshot_values.c). */
int replay_record_lenient(struct keyspace *ks, struct bytes record);
/* And for one of a salvaged journal from which records before it are missing: whatever does not fit
 * is left alone. Keys may end up with nothing in them. */
int replay_record_salvaged(struct keyspace *ks, struct bytes record);

/* The effect handlers; each lives beside the change_* functions of its family. */
#define X(number, name, handler) int handler(struct keyspace *ks, struct record *r);
RECORDS(X)
#undef X

/* For effect handlers: the key of the record, NULL when it is absent or of another type. */
struct key;
struct key *replay_find(struct keyspace *ks, const struct record *r, int type);
/* What they answer to a record that makes no sense in the state: fine where that may be ahead. */
int replay_nonsense(const struct record *r);

#endif
