/* Which key expires next: a binary heap of keys by time; each key knows its place in it. */
#ifndef LEAT_KEYS_EXPIRY_H
#define LEAT_KEYS_EXPIRY_H

#include "keys/keyspace.h"

struct expiry {
    struct key **heap;
    size_t count;
    size_t cap;
};

void expiry_fini(struct expiry *e); /* leaves it empty and usable */
/* Room for so many keys. */
void expiry_reserve(struct expiry *e, size_t count);
/* k->expire_at_ms is set and k is not in the heap. */
void expiry_add(struct expiry *e, struct key *k);
void expiry_remove(struct expiry *e, struct key *k);
/* k->expire_at_ms of a key in the heap has changed. */
void expiry_moved(struct expiry *e, struct key *k);
/* The key's struct has moved to another address; its slot is still right. */
static inline void expiry_replace(struct expiry *e, struct key *k)
{
    e->heap[k->expire_slot] = k;
}

#endif
