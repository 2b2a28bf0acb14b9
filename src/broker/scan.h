/* What SCAN, HSCAN, SSCAN and ZSCAN share: their arguments, and collecting while walking a table.
 */
#ifndef LEAT_BROKER_SCAN_H
#define LEAT_BROKER_SCAN_H

#include "broker/call.h"

struct scan {
    uint64_t cursor;
    int64_t count;        /* COUNT, default 10 */
    struct bytes pattern; /* MATCH; data NULL: none (or "*") */
    struct bytes type;    /* TYPE; data NULL: none */

    /* Filled by scan_table: items in the order found; freed by scan_fini. */
    void **items;
    size_t item_count, item_cap;
};

/* Parses the cursor at argv[at] and the options behind it; false with the error replied. TYPE is
 * taken only when `with_type`. */
bool scan_parse(struct call *c, size_t at, bool with_type, struct scan *ret);
/* The same for the key argv[1] with the cursor behind it. Redis looks at the key before it looks at
 * the options, so this does too: false, with the reply written, when the key is absent as well. */
bool scan_parse_key(struct call *c, enum key_type type, struct scan *ret, struct key **ret_key);
/* Walks the table until about `count` items were found or its end; s->cursor is the next one. */
void scan_table(struct scan *s, struct map *table);
static inline bool scan_matches(const struct scan *s, struct bytes text)
{
    return s->pattern.data == NULL || bytes_match_glob(s->pattern, text, false);
}
/* The head of the reply: the two-element array and the cursor; the items' array follows. */
void scan_reply_head(struct call *c, const struct scan *s);
void scan_fini(struct scan *s);

#endif
