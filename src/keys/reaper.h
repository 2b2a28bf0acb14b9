/* Frees large values and whole tables on a thread of its own, so that FLUSHALL, or deleting a set
 * of millions, takes the loop no longer than deleting a short string.
 *
 * What is handed over must be reachable from nowhere else. The thread is started by the first
 * hand-over. All functions are for the owner's thread. */
#ifndef LEAT_KEYS_REAPER_H
#define LEAT_KEYS_REAPER_H

#include <stddef.h>

struct reaper;

struct reaper *reaper_new(void);
/* Waits until everything is freed. NULL is fine. */
void reaper_free(struct reaper *r);
/* `free_item(item)` is called on the thread, or here when there can be none. */
void reaper_take(struct reaper *r, void (*free_item)(void *item), void *item);
/* How many have been handed over and are not freed yet. */
size_t reaper_pending(const struct reaper *r);

#endif
