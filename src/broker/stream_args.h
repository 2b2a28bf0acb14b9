/* What stream commands share: ids and trims as arguments, replies of entries, and what is on disk
 * only. Each function that takes an argument replies the error and returns false when it does not
 * fit. */
#ifndef LEAT_BROKER_STREAM_ARGS_H
#define LEAT_BROKER_STREAM_ARGS_H

#include "broker/call.h"
#include "keys/stream.h"

/* ---- Ids ---- */

/* "ms-seq", or "ms" with the sequence number `missing_seq`. */
bool stream_arg_id(struct call *c, struct bytes arg, uint64_t missing_seq, struct stream_id *ret);
/* Both ends of a range, as XRANGE and XPENDING take them: "-", "+", "(" before an id that is not
 * part of it. What is left may be empty. */
bool stream_arg_range(struct call *c, struct bytes from, struct bytes to,
                      struct stream_id *ret_from, struct stream_id *ret_to);

/* BLOCK's milliseconds. */
bool stream_arg_block(struct call *c, struct bytes arg, int64_t *ret_ms);

/* ---- Trims ---- */

/* What happens to the groups' references to entries that go. */
enum stream_refs { STREAM_KEEPREF, STREAM_DELREF, STREAM_ACKED };
/* False, without a reply, when it is none of these words. */
bool stream_arg_refs(struct bytes arg, enum stream_refs *ret);

struct stream_trim_args {
    bool given;
    struct stream_trim trim;
    enum stream_refs refs;
    bool limited; /* LIMIT was given */
};
/* Takes the option at argv[*i], if it is one of those of a trim, and moves *i behind it. 1; 0 when
 * it is none of them; -1 with the error replied. */
int stream_arg_trim(struct call *c, size_t *i, struct stream_trim_args *a);
/* After the last of them: do they make sense together? */
bool stream_arg_trim_end(struct call *c, const struct stream_trim_args *a);

/* ---- Reading ---- */

/* Is what a function of keys/stream.h answered good? Else the handler returns: either the error has
 * been replied, or the command waits for what is read from disk and will run again. So it must be
 * asked before anything is changed or replied. */
bool stream_is_there(struct call *c, int64_t result);
/* Makes sure that at most `max` entries of from..to can be replied, or the first megabytes of them.
 * Their number, or negative. */
int64_t stream_prepare_reply(struct stream *s, struct stream_id from, struct stream_id to,
                             bool reverse, uint64_t max);
/* Replies an array of `n` of them: as many as stream_prepare_reply() found. False when some could
 * not be read: as with stream_is_there(), and nothing of the command's reply is left. */
bool stream_reply_entries(struct call *c, struct stream *s, struct stream_id from,
                          struct stream_id to, bool reverse, uint64_t n);
void stream_reply_id(struct call *c, struct stream_id id);

#endif
