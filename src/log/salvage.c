/* From where one gets furthest: from each whole snapshot, and from the beginning, batches are
 * followed by their positions as long as one begins where the one before ended. The way that ends
 * last is copied: its snapshot as it is, its batches into new segments.
 *
 * What lies behind a gap is left, since a record says what changed, and nobody knows what it would
 * have changed without the missing ones. Where there is no way at all, what is whole of the newest
 * snapshot is better than nothing: its blocks stand for themselves. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "log/salvage_priv.h"

/* ---- The way ---- */

static int by_position(const void *a, const void *b, void *batches)
{
    const struct seen_batch *x = (const struct seen_batch *)batches + *(const size_t *)a;
    const struct seen_batch *y = (const struct seen_batch *)batches + *(const size_t *)b;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length; /* a marker first */
}

static void sort_batches(struct copying *c)
{
    c->order = mem_alloc((c->in->batch_count + 1) * sizeof *c->order);
    for (size_t i = 0; i < c->in->batch_count; i++) c->order[i] = i;
    qsort_r(c->order, c->in->batch_count, sizeof *c->order, by_position, c->in->batches);
}

static struct way follow(struct copying *c, const struct seen_snapshot *snapshot)
{
    struct way w = {.snapshot = snapshot};
    uint64_t from = snapshot != NULL ? snapshot->position : 0;
    size_t n = c->in->batch_count;
    while (w.first < n && salvage_batch(c, w.first)->position + salvage_batch(c, w.first)->length <= from) w.first++;
    w.start = w.end = from;
    if (w.first < n && salvage_batch(c, w.first)->position <= from)
        w.start = w.end = salvage_batch(c, w.first)->position;
    while (w.first + w.count < n && salvage_batch(c, w.first + w.count)->position == w.end) {
        w.end += salvage_batch(c, w.first + w.count)->length;
        w.count++;
    }
    if (w.end < from) w.end = from;
    return w;
}

/* Chunks that the snapshot refers to; one that several of its streams share counts once. */
static uint64_t count_chunks(const struct copying *c, const struct seen_snapshot *s, bool lost)
{
    uint64_t n = 0;
    const struct seen_ref *last = NULL;
    for (size_t i = 0; i < c->in->ref_count; i++) {
        const struct seen_ref *r = &c->in->refs[i];
        if (&c->in->snapshots[r->snapshot] != s || (lost && r->whole)) continue;
        n += last == NULL || !chunk_ref_eq(&last->ref, &r->ref);
        last = r;
    }
    return n;
}

/* Where no way leads from a whole snapshot or from the beginning. */
static bool choose_parts(struct copying *c)
{
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s->whole || s->whole_blocks == 0) continue;
        c->best = (struct way){.snapshot = s,
                               .start = s->position,
                               .end = s->position,
                               .chunks_lost = count_chunks(c, s, true)};
        return true;
    }
    return false;
}

/* Where there is no journal, nobody knows better. */
static bool is_of_journal(const struct copying *c, const struct seen_snapshot *s)
{
    return c->in->history == 0 || s->header.history == c->in->history;
}

static bool choose(struct copying *c)
{
    bool any = false;
    for (size_t i = 0; i <= c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = i < c->in->snapshot_count ? &c->in->snapshots[i] : NULL;
        if (s != NULL && (!s->whole || !is_of_journal(c, s))) continue;
        struct way w = follow(c, s);
        if (s != NULL) w.chunks_lost = count_chunks(c, s, true);
        if (s != NULL && w.end < s->end.complete) continue;
        if (s == NULL && w.count == 0) continue;
        /* As far as possible, and then with as little missing as possible. */
        bool better =
            w.end > c->best.end || (w.end == c->best.end && w.chunks_lost < c->best.chunks_lost);
        if (any && !better) continue;
        c->best = w;
        any = true;
    }
    return any || choose_parts(c);
}

/* ---- What is left ---- */

static void __attribute__((format(printf, 2, 3)))
tell_left(struct copying *c, const char *format, ...)
{
    char line[400];
    va_list args;
    if (c->s->left == NULL) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->s->left(c->s->arg, line);
}

static void tell_what_is_left(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    uint64_t batches = 0, records = 0, from = UINT64_MAX, to = 0;
    for (size_t i = c->best.first + c->best.count; i < c->in->batch_count; i++) {
        const struct seen_batch *b = salvage_batch(c, i);
        if (b->records == 0 || b->position < c->best.end) continue;
        batches++;
        records += b->records;
        if (b->position < from) from = b->position;
        if (b->position + b->length > to) to = b->position + b->length;
    }
    if (c->best.snapshot != NULL && !c->best.snapshot->whole)
        tell_left(c,
                  "what is not in the %" PRIu64 " whole blocks of the snapshot of position %" PRIu64
                  ", and all that came after it: no whole snapshot and no journal leads further",
                  c->s->blocks, c->best.snapshot->position);
    for (size_t i = 0; i < c->in->finding_count; i++) {
        const struct finding *f = &c->in->findings[i];
        tell_left(c, "%s, offset %" PRIu64 ": %s", f->file, f->offset, f->what);
    }
    if (batches > 0)
        tell_left(c,
                  "%" PRIu64 " batches of %" PRIu64 " records, positions %" PRIu64 " to %" PRIu64
                  ": whole, but what comes before them is missing",
                  batches, records, from, to);
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s == c->best.snapshot) continue;
        snapshot_name(name, s->position);
        tell_left(c, "%s: %s", name,
                  s->whole ? "whole, but not needed" : "not whole, and nothing of it is needed");
    }
}

/* ---- All of it ---- */

static void tell(struct copying *c)
{
    c->s->has_snapshot = c->best.snapshot != NULL;
    c->s->snapshot = c->s->has_snapshot ? c->best.snapshot->position : 0;
    c->s->partial = c->s->has_snapshot && !c->best.snapshot->whole;
    c->s->start = c->best.start;
    c->s->end = c->best.end;
    c->s->chunks_lost = c->best.chunks_lost;
    if (c->best.snapshot != NULL) c->s->chunks = count_chunks(c, c->best.snapshot, false);
    c->s->reach = c->in->end;
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s->whole && s->end.complete > c->s->reach) c->s->reach = s->end.complete;
    }
    tell_what_is_left(c);
}

int salvage_dir(struct inspection *in, const char *out, struct salvage *s,
                struct journal_error *ret_error)
{
    struct copying c = {.in = in, .s = s, .out = out, .error = ret_error, .from_fd = -1};
    int r = -ENODATA;
    sort_batches(&c);
    if (choose(&c)) {
        r = salvage_copy(&c);
        if (r == 0) tell(&c);
    } else {
        ret_error->code = r;
        snprintf(ret_error->text, sizeof ret_error->text,
                 "%.300s: nothing can be saved: there is no snapshot with a whole part, and no "
                 "journal from its beginning on",
                 in->dir);
    }
    mem_free(c.order);
    return r;
}
