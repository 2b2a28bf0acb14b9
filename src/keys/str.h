/* String values: an integer inside the key where the text is one, else an owned run of bytes that
 * can grow in place. */
#ifndef LEAT_KEYS_STR_H
#define LEAT_KEYS_STR_H

#include "keys/keyspace.h"

/* STR_BYTES_MAX bounds proto-max-bulk-len: a longer value would not fit a journal record. */
enum { STR_EMBSTR_MAX = 44, STR_INT_TEXT_MAX = 20, STR_BYTES_MAX = 1 << 30 };

struct str {
    size_t len;
    char data[];
};

/* Sets the value of a key whose value is zero or a string; picks the encoding as Redis does. */
void str_set(struct key *k, struct bytes value);
void str_set_integer(struct key *k, int64_t n);
/* The same as text, even where the text is that of an integer: INCRBYFLOAT's results. */
void str_set_text(struct key *k, struct bytes value);
/* The value as text. Integers are written into `scratch`, which holds STR_INT_TEXT_MAX + 1.
 * Borrowed until the next change. */
struct bytes str_get(const struct key *k, char *scratch);
/* The value if it is an integer in Redis's sense. */
bool str_get_integer(const struct key *k, int64_t *ret);
size_t str_len(const struct key *k);
/* Writes `value` at `offset`, zero-filling a gap; ENC_RAW from then on. */
void str_write(struct key *k, size_t offset, struct bytes value);

#endif
