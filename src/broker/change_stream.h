/* Changes of streams, recorded: the only way handlers change one. Events are the handler's, but for
 * "new". What a change needs from disk is asked for before (keys/stream.h): none of these can fail.
 * A stream may be empty: only DEL and its like delete the key. */
#ifndef LEAT_BROKER_CHANGE_STREAM_H
#define LEAT_BROKER_CHANGE_STREAM_H

#include "broker/call.h"
#include "keys/stream.h"

/* Adds an entry behind all others. A key that is NULL is created under `name`. Groups that stood
 * ahead of the stream may take records of their own: change_stream_add_bytes(), for call_admit().
 */
struct key *change_stream_add(struct call *c, struct key *k, struct bytes name, struct stream_id id,
                              const struct bytes *fields, size_t n);
/* Mostly 0. */
size_t change_stream_add_bytes(const struct key *k, struct stream_id id);
/* Deletes entries that are all there, each named once; n > 0. */
void change_stream_delete(struct call *c, struct key *k, const struct stream_id *ids, size_t n);
/* As stream_trim_plan() has it: removes all entries with smaller ids, `gone` > 0 of them. */
void change_stream_trim(struct call *c, struct key *k, struct stream_id keep_from, uint64_t gone);
/* The figures that XSETID sets; a key that is NULL is created under `name`, without entries. */
struct key *change_stream_set(struct call *c, struct key *k, struct bytes name,
                              struct stream_id last_id, uint64_t entries_added,
                              struct stream_id max_deleted_id);
void change_stream_retention(struct call *c, struct key *k, struct stream_retention retention);

/* ---- What records of streams share ---- */

void record_put_id(struct buf *out, struct stream_id id);
struct stream_id record_id(struct record *r);
/* The stream of the record; NULL when the key is absent or of another type. */
struct stream *replay_find_stream(struct keyspace *ks, const struct record *r);
/* The same, but made if it is absent. */
struct stream *replay_need_stream(struct keyspace *ks, const struct record *r);

#endif
