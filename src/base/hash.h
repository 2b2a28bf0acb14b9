/* The hash of byte strings: XXH3 under a secret drawn anew in each process, so that nobody outside
 * can choose keys that collide. Not stable between processes: never written to disk. */
#ifndef LEAT_BASE_HASH_H
#define LEAT_BASE_HASH_H

#include "base/bytes.h"

/* Draws the secret from the kernel. Called once, before any table is filled; tests may skip it. */
void hash_seed(void);
uint64_t hash_bytes(struct bytes key);

#endif
