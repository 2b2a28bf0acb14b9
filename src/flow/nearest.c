/* Edit distance by the usual table, three rows at a time; see nearest.h. */
#include "flow/nearest.h"

enum { WORD_MAX = 63 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t nearest_distance(struct bytes a, struct bytes b)
{
    if (a.len > WORD_MAX || b.len > WORD_MAX) return SIZE_MAX;
    /* row[i % 3][j]: edits between the first i bytes of a and the first j of b. */
    size_t row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) row[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = row[i % 3], *before = row[(i - 1) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            now[j] = smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + (same ? 0 : 1));
            bool swapped =
                i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
            if (swapped && earlier[j - 2] + 1 < now[j]) now[j] = earlier[j - 2] + 1;
        }
    }
    return row[a.len % 3][b.len];
}

void nearest_init(struct nearest *n, struct bytes word)
{
    size_t near = word.len / 3 > 1 ? word.len / 3 : 1;
    *n = (struct nearest){.word = word, .distance = near + 1};
}

void nearest_try(struct nearest *n, struct bytes candidate)
{
    size_t distance = nearest_distance(n->word, candidate);
    if (distance >= n->distance || distance >= candidate.len) return;
    n->distance = distance;
    n->best = candidate;
}
