/* XXH3 inlined, with a secret in place of its own. Until hash_seed() the secret is a fixed one. */
#define XXH_INLINE_ALL
#include "base/hash.h"

#include <sys/random.h>
#include <xxhash.h>

#include "base/must.h"

static unsigned char secret[XXH3_SECRET_DEFAULT_SIZE] = {1, 2, 3};

void hash_seed(void)
{
    must(getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret);
}

uint64_t hash_bytes(struct bytes key)
{
    return XXH3_64bits_withSecret(key.data, key.len, secret, sizeof secret);
}
