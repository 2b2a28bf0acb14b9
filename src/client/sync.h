/* A blocking client for command line tools: one command, one reply. No event loop, no reconnection;
 * a broken connection stays broken. Replies are read by the functions of leat/leat.h. One thread.
 */
#ifndef LEAT_CLIENT_SYNC_H
#define LEAT_CLIENT_SYNC_H

#include <stddef.h>

#include "leat/leat.h"

struct leat_sync;

/* Connects (looking names up may take as long as the resolver takes), and sends AUTH and SELECT as
 * the URL says. `timeout_ms` holds for connecting and for each reply; 0: 5,000, -1: none. NULL on
 * failure, with a sentence in `error` of `error_size` bytes. */
struct leat_sync *leat_sync_open(const char *url, int timeout_ms, char *error, size_t error_size);
/* The same for a connected stream socket, which is owned from here on. */
struct leat_sync *leat_sync_open_fd(int fd, int timeout_ms);
void leat_sync_close(struct leat_sync *s);

/* For the replies from now on: before a command that blocks, say. */
void leat_sync_timeout(struct leat_sync *s, int timeout_ms);
/* Sends a command (`lens` may be NULL: zero-terminated) and waits for its reply. The caller frees
 * it by leat_sync_reply_free. NULL when the connection is broken: see leat_sync_error. */
struct leat_reply *leat_sync_command(struct leat_sync *s, int argc, const char *const *argv,
                                     const size_t *lens);
/* As leat_commandf. */
struct leat_reply *leat_sync_commandf(struct leat_sync *s, const char *format, ...);
/* Only sends, and only receives: for pipelines, SUBSCRIBE and MONITOR. 0, or -EPIPE. */
int leat_sync_send(struct leat_sync *s, int argc, const char *const *argv, const size_t *lens);
struct leat_reply *leat_sync_receive(struct leat_sync *s);
/* As leat_sync_receive, but that nothing came within `wait_ms` (0: only what is there already) is
 * no failure: 1 with *ret_reply for the caller to free; 0: nothing whole yet, or a signal was
 * caught; -EPIPE: the connection is broken. */
int leat_sync_try_receive(struct leat_sync *s, int wait_ms, struct leat_reply **ret_reply);
void leat_sync_reply_free(struct leat_reply *r); /* NULL is fine */

/* A sentence; NULL while all is well. It stays after the first failure. */
const char *leat_sync_error(const struct leat_sync *s);
/* The socket, for poll(). */
int leat_sync_fd(const struct leat_sync *s);

#endif
