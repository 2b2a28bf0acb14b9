/* Comparisons without regard to case, and Redis's globs. */
#include "base/bytes.h"

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool bytes_eq_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.data[i]) != lower((unsigned char)b.data[i])) return false;
    }
    return true;
}

bool bytes_is_word(struct bytes b, const char *word)
{
    return bytes_eq_nocase(b, bytes_of(word));
}

/* A glob is a row of elements: a '*', or one that takes exactly one byte of text. */
struct glob {
    const unsigned char *at, *end;
    bool nocase;
};

static unsigned char fold(const struct glob *g, unsigned char c)
{
    return g->nocase ? lower(c) : c;
}

/* As in Redis, the ends may be in either order, and bytes of 128 and more come before the others:
 * they are compared as signed. */
static bool in_range(const struct glob *g, unsigned char c, unsigned char from, unsigned char to)
{
    signed char low = (signed char)from, high = (signed char)to, x = (signed char)c;
    if (low > high) low = (signed char)to, high = (signed char)from;
    return x >= (signed char)fold(g, (unsigned char)low) &&
           x <= (signed char)fold(g, (unsigned char)high);
}

/* At the byte after '['. Moves past the closing bracket, or to the end where there is none. */
static bool take_class(struct glob *g, unsigned char c)
{
    bool negated = g->at < g->end && *g->at == '^';
    if (negated) g->at++;
    bool found = false;
    c = fold(g, c);
    while (g->at < g->end && *g->at != ']') {
        if (*g->at == '\\' && g->end - g->at >= 2) {
            found |= *++g->at == c;
            g->at++;
        } else if (g->end - g->at >= 3 && g->at[1] == '-') {
            found |= in_range(g, c, g->at[0], g->at[2]);
            g->at += 3;
        } else {
            found |= fold(g, *g->at++) == c;
        }
    }
    if (g->at < g->end) g->at++;
    return found != negated;
}

/* Takes one element that is not '*'; true when it admits `c`. */
static bool take_one(struct glob *g, unsigned char c)
{
    unsigned char p = *g->at++;
    if (p == '?') return true;
    if (p == '[') return take_class(g, c);
    if (p == '\\' && g->at < g->end) p = *g->at++;
    return fold(g, p) == fold(g, c);
}

/* Where a match fails, only the last '*' seen needs to take one byte more: what stands before it
 * has been matched as early as possible. So the time is at most |pattern| * |text|. */
bool bytes_match_glob(struct bytes pattern, struct bytes text, bool nocase)
{
    if (text.len == 0) return pattern.len == 0; /* not even by '*': so it is in Redis */
    const unsigned char *start = (const unsigned char *)pattern.data;
    struct glob g = {start, start + pattern.len, nocase};
    const unsigned char *star = NULL; /* after the last '*' */
    size_t i = 0, star_i = 0;
    while (i < text.len) {
        if (g.at < g.end && *g.at == '*') {
            star = ++g.at;
            star_i = i;
            if (star == g.end) return true;
        } else if (g.at < g.end && take_one(&g, (unsigned char)text.data[i])) {
            i++;
        } else if (star != NULL) {
            g.at = star;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (g.at < g.end && *g.at == '*') g.at++;
    return g.at == g.end;
}
