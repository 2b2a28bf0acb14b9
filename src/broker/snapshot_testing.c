#include "broker/snapshot_testing.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/must.h"
#include "log/file.h"

int64_t world_tick_us = 90;
static int64_t ticked_us;

static int64_t ticking_us(void)
{
    ticked_us += world_tick_us;
    return bench_now_us + ticked_us;
}

void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){0};
    rng_seed(&w->rng, seed);
    bench_init(&w->bench);
    w->bench.settings.snapshot_growth_percent = 0;
}

void world_open(struct world *w)
{
    bench_open(&w->bench);
    w->bench.broker->options.monotonic_us = ticking_us;
    peer_open(&w->peer, &w->bench);
}

void world_close(struct world *w)
{
    peer_close(&w->peer);
    bench_close(&w->bench);
}

void world_fini(struct world *w)
{
    bench_remove(&w->bench);
    buf_fini(&w->log);
}

unsigned world_below(struct world *w, unsigned n)
{
    return (unsigned)rng_below(&w->rng, n);
}

struct bytes world_run(struct world *w, const char *format, ...)
{
    char line[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buf_printf(&w->log, "%.200s\n", line);
    return peer_run_to_end(&w->peer, line);
}

void world_step(struct world *w)
{
    bench_turn(&w->bench);
    bench_now_us += 1000;
    broker_background(w->bench.broker, world_below(w, 2) == 0);
}

void world_finish_snapshot(struct world *w)
{
    struct snapshots_stats stats;
    while (snapshots_in_progress(w->bench.broker)) {
        world_step(w);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    snapshots_stats(w->bench.broker, &stats);
    if (!stats.last_ok) fprintf(stderr, "%s\n", stats.error);
    must(stats.last_ok);
}

/* ---- Starts ---- */

static void show(const char *what, const struct buf *text, size_t from, size_t len)
{
    fprintf(stderr, "%s", what);
    for (size_t i = from; i < text->len && i < from + len; i++)
        fputc(text->data[i] < ' ' && text->data[i] != '\n' ? '~' : text->data[i], stderr);
    fputc('\n', stderr);
}

static void check_equal(struct world *w, const struct buf *expected, struct bench *other)
{
    enum { BEFORE = 100, SHOWN = 400, LOG = 6000 };
    struct buf found = {0};
    size_t at = 0;
    bench_dump(other, &found);
    while (at < expected->len && at < found.len && expected->data[at] == found.data[at]) at++;
    bool same = at == expected->len && at == found.len;
    if (!same) {
        size_t from = at > BEFORE ? at - BEFORE : 0;
        show("", &w->log, w->log.len > LOG ? w->log.len - LOG : 0, LOG);
        show("expected ...", expected, from, SHOWN);
        show("found    ...", &found, from, SHOWN);
    }
    must(same);
    buf_fini(&found);
}

static int copy_file(void *arg, const char *name)
{
    const char *const *dirs = arg;
    char from[512], to[512], data[65536];
    size_t n;
    snprintf(from, sizeof from, "%s/%s", dirs[0], name);
    snprintf(to, sizeof to, "%s/%s", dirs[1], name);
    FILE *in = fopen(from, "r");
    if (in == NULL) return 0; /* removed meanwhile */
    FILE *out = fopen(to, "w");
    must(out != NULL);
    while ((n = fread(data, 1, sizeof data, in)) > 0) must(fwrite(data, 1, n, out) == n);
    fclose(in);
    fclose(out);
    return 0;
}

void world_check_crash(struct world *w)
{
    struct bench other;
    struct buf expected = {0};
    bench_turn(&w->bench);
    bench_dump(&w->bench, &expected);
    bench_init(&other);
    other.settings.stream_memory = w->bench.settings.stream_memory;
    other.settings.chunk_file_bytes = w->bench.settings.chunk_file_bytes;
    const char *dirs[] = {w->bench.dir, other.dir};
    must(file_layer_real.list(NULL, w->bench.dir, copy_file, dirs) == 0);
    bench_open(&other);
    must(other.broker->load.fallbacks == 0);
    check_equal(w, &expected, &other);
    bench_close(&other);
    bench_remove(&other);
    buf_fini(&expected);
}

void world_check_restart(struct world *w)
{
    struct buf expected = {0};
    bench_dump(&w->bench, &expected);
    world_close(w);
    world_open(w);
    check_equal(w, &expected, &w->bench);
    buf_fini(&expected);
}

void world_damage_snapshot(struct world *w, uint64_t position)
{
    char name[SNAPSHOT_NAME_MAX], path[512];
    snapshot_name(name, position);
    snprintf(path, sizeof path, "%s/%s", w->bench.dir, name);
    FILE *f = fopen(path, "r+");
    must(f != NULL && fseek(f, 4200, SEEK_SET) == 0);
    int c = fgetc(f);
    must(fseek(f, 4200, SEEK_SET) == 0);
    fputc(c ^ 1, f);
    fclose(f);
}
