/* How much of the journal a command may take, known before it changes anything: what is admitted is
 * sure to find its place, and what is not is refused with the cause named. */
#ifndef LEAT_BROKER_ADMIT_H
#define LEAT_BROKER_ADMIT_H

#include "broker/call.h"

/* What one item of a record takes beside its bytes, and a score with it. */
enum { ADMIT_ITEM = 18 };

/* The most that the records of a command take, as far as its arguments tell. Where they do not (a
 * result is stored, members are drawn), the handler asks for the rest by call_admit(). */
size_t admit_estimate(const struct command *cmd, size_t argc, const struct bytes *argv);
/* False with the refusal replied. */
bool admit_bytes(struct call *c, size_t bytes, bool shrinking);
/* The same for the memory that entries of streams take until they are in chunk files: refused is
 * what adds some while they cannot be written there. */
bool admit_stream(struct call *c, const struct command *cmd);
/* As that, for what adds an entry though it is no command of streams. */
bool admit_entry(struct call *c);

#endif
