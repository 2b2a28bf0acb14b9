/* What verify and salvage share: reading a data directory with a bar on the terminal, and words for
 * what was found. */
#ifndef LEAT_CLI_INSPECTING_H
#define LEAT_CLI_INSPECTING_H

#include "log/inspect.h"

enum { INSPECTING_WHOLE = 0, INSPECTING_DAMAGED = 1, INSPECTING_FAILED = 2 };

/* A bar on standard error while bytes are read, where that is a terminal. */
struct bar {
    const char *doing; /* "verify" */
    bool shown, on_terminal;
    int64_t began_us, drawn_us;
};

void bar_init(struct bar *b, const char *doing);
/* As an inspection's progress; the argument is the bar. */
void bar_draw(void *bar, uint64_t done, uint64_t total);
/* Wipes it from the terminal. */
void bar_end(struct bar *b);
double bar_seconds(const struct bar *b);

/* inspect_dir() with a bar. On failure it is said on standard error, and only inspect_fini() is
 * left. */
int inspecting(struct inspection *in, const char *dir, struct bar *b);
/* "1.5 GB"; out holds 32. */
const char *inspecting_size(char *out, uint64_t bytes);
/* One line of a finding: file, place, what. */
void inspecting_print(const struct finding *f);

#endif
