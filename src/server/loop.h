/* The polling interface: small and ours, whatever library stands behind it (libevent today), so
 * that a completion-based backend can follow. One thread per loop. */
#ifndef LEAT_SERVER_LOOP_H
#define LEAT_SERVER_LOOP_H

#include <stdint.h>

struct loop;
struct loop_watch;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_fn)(void *arg, unsigned ready);

/* NULL when the machine refuses (out of descriptors). */
struct loop *loop_new(void);
void loop_free(struct loop *l); /* all watches are freed before */

/* Watches a non-blocking descriptor, for nothing at first. Freeing inside its own fn is allowed. */
struct loop_watch *loop_watch_new(struct loop *l, int fd, loop_fn fn, void *arg);
void loop_watch_free(struct loop_watch *w); /* does not close; NULL is fine */
void loop_watch_set(struct loop_watch *w, unsigned interest);

/* One turn: waits at most timeout_ms (-1: for ever) and calls the fn of every descriptor that is
 * ready. */
void loop_turn(struct loop *l, int64_t timeout_ms);

#endif
