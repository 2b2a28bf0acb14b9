/* See malformed.h. Bytes that a terminal or a page might act on are shown as dots. */
#include "flow/malformed.h"

#include <stdio.h>

enum { SHOWN_MAX = 80 };

void malformed_note(struct malformed *m, const char *why, struct bytes what)
{
    m->count++;
    int n = snprintf(m->last, sizeof(m->last), "%.150s: ", why);
    size_t at = (size_t)n;
    size_t shown = what.len < SHOWN_MAX ? what.len : SHOWN_MAX;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)what.data[i];
        m->last[at++] = c >= 0x20 && c < 0x7f ? (char)c : '.';
    }
    m->last[at] = '\0';
    if (shown < what.len) snprintf(m->last + at, sizeof(m->last) - at, "...");
}

const char *malformed_last(const struct malformed *m)
{
    return m->count == 0 ? NULL : m->last;
}
