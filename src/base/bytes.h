/* A borrowed run of bytes: never owned, never changed through, not zero-terminated, any byte value
 * inside. Whoever hands one out says how long it lives. */
#ifndef LEAT_BASE_BYTES_H
#define LEAT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct bytes {
    const char *data;
    size_t len;
};

/* For literals: BYTES("OK"). */
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const char *s)
{
    return (struct bytes){s, strlen(s)};
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* As memcmp over the common part, then the shorter one first: Redis's order of members. */
static inline int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);
    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* Equal without regard to ASCII case; `word` is a zero-terminated word of ours. */
bool bytes_is_word(struct bytes b, const char *word);
/* Both may hold anything. */
bool bytes_eq_nocase(struct bytes a, struct bytes b);

/* Redis's glob: * ? [abc] [^a-z] \x. At most |pattern| * |text| steps. The empty text is matched by
 * the empty pattern only; KEYS and SCAN list the empty key for "*" all the same, as they do not
 * match at all then. */
bool bytes_match_glob(struct bytes pattern, struct bytes text, bool nocase);

#endif
