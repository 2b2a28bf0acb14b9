#include "cli/inspecting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/snapshot.h"

enum { BAR_WIDTH = 30, DRAW_EVERY_US = 100000 };

static int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

const char *inspecting_size(char *out, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double n = (double)bytes;
    int unit = 0;
    for (; n >= 1024 && unit < 4; unit++) n /= 1024;
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", n, units[unit]);
    return out;
}

void bar_init(struct bar *b, const char *doing)
{
    *b = (struct bar){
        .doing = doing, .on_terminal = isatty(STDERR_FILENO) == 1, .began_us = clock_us()};
}

void bar_draw(void *bar, uint64_t done, uint64_t total)
{
    struct bar *b = bar;
    char full[BAR_WIDTH + 1], of[32], so_far[32];
    int64_t now_us = clock_us();
    if (!b->on_terminal || total == 0 || now_us - b->drawn_us < DRAW_EVERY_US) return;
    int n = (int)((double)done / (double)total * BAR_WIDTH);
    memset(full, '.', BAR_WIDTH);
    memset(full, '#', (size_t)(n < BAR_WIDTH ? n : BAR_WIDTH));
    full[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d %%  %s of %s\033[K", b->doing, full,
            (int)((double)done * 100 / (double)total), inspecting_size(so_far, done),
            inspecting_size(of, total));
    fflush(stderr);
    b->shown = true;
    b->drawn_us = now_us;
}

void bar_end(struct bar *b)
{
    if (b->shown) fprintf(stderr, "\r\033[K");
    b->shown = false;
}

double bar_seconds(const struct bar *b)
{
    return (double)(clock_us() - b->began_us) / 1e6;
}

int inspecting(struct inspection *in, const char *dir, struct bar *b)
{
    struct journal_error error = {0};
    inspect_init(in, NULL, dir);
    in->chunk_ref = snapshot_chunk_ref;
    in->progress = bar_draw;
    in->arg = b;
    int r = inspect_dir(in, &error);
    bar_end(b);
    if (r < 0) fprintf(stderr, "leat %s: %s\n", b->doing, error.text);
    return r;
}

void inspecting_print(const struct finding *f)
{
    printf("%-7s %s, offset %" PRIu64, finding_kind_name(f->kind), f->file, f->offset);
    if (f->length > 0) printf(" (%" PRIu64 " bytes)", f->length);
    printf(": %s\n", f->what);
}
