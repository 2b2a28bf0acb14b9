/* From where one gets furthest: from each whole snapshot, and from the beginning, batches are
 * followed by their positions as long as one begins where the one before ended. The way that ends
 * last is copied: its snapshot as it is, its batches into new segments. What comes out is a state
 * that really was.
 *
 * What lies behind a gap is left, since a record says what changed, and nobody knows what it would
 * have changed without the missing ones. Who would rather have it asks for it (`past_gaps`). Where
 * there is no way at all, the newest snapshot is better than nothing, be it without the journal
 * that it needs, or only in parts, which stand for themselves. In all these cases what comes out is
 * *inexact*: then the snapshot in it says that it is complete only at the journal's end, so that a
 * start takes all records as it takes those from the time of a snapshot, leaving alone what does
 * not fit. */
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
    while (w.first < n &&
           salvage_batch(c, w.first)->position + salvage_batch(c, w.first)->length <= from)
        w.first++;
    w.start = w.end = from;
    if (w.first < n && salvage_batch(c, w.first)->position <= from)
        w.start = w.end = salvage_batch(c, w.first)->position;
    while (w.first + w.count < n && salvage_batch(c, w.first + w.count)->position == w.end) {
        w.end += salvage_batch(c, w.first + w.count)->length;
        w.count++;
    }
    if (w.end < from) w.end = from;
    w.reached = w.end;
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

/* Where there is no journal, nobody knows better. */
static bool is_of_journal(const struct copying *c, const struct seen_snapshot *s)
{
    return c->in->history == 0 || s->header.history == c->in->history;
}

/* The way to a state that was. */
static bool choose_exact(struct copying *c)
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
    return any;
}

/* The newest snapshot that is whole, or else has whole parts. */
static const struct seen_snapshot *newest_snapshot(const struct copying *c)
{
    const struct seen_snapshot *parts = NULL;
    for (size_t i = 0; i < c->in->snapshot_count; i++) {
        const struct seen_snapshot *s = &c->in->snapshots[i];
        if (s->whole && is_of_journal(c, s)) return s;
        bool fits = !c->s->past_gaps || s->state != HEADER_VALID || is_of_journal(c, s);
        if (!s->whole && fits && s->whole_blocks > 0 && parts == NULL) parts = s;
    }
    return parts;
}

/* Parts of a snapshot alone are better without the journal: what it changes may be in the others.
 */
static void begin_at(struct copying *c, const struct seen_snapshot *s)
{
    c->best = follow(c, s);
    c->best.inexact = !s->whole || c->best.end < s->end.complete;
    c->best.chunks_lost = count_chunks(c, s, true);
    if (s->whole || c->s->past_gaps) return;
    c->best.start = c->best.end = c->best.reached = s->position;
    c->best.count = 0;
}

/* Takes what lies behind the way as well. */
static void go_on(struct copying *c)
{
    struct way *w = &c->best;
    size_t n = w->first + w->count;
    for (size_t i = n; i < c->in->batch_count; i++) {
        const struct seen_batch *b = salvage_batch(c, i);
        if (b->records == 0 || b->position < w->reached) continue; /* nothing new */
        if (b->position > w->reached) {
            c->s->gaps++;
            c->s->missing += b->position - w->reached;
            w->inexact = true;
        }
        c->order[n++] = c->order[i];
        w->reached = b->position + b->length;
        w->end += b->length;
    }
    w->count = n - w->first;
}

/* Are there records behind the way? */
static bool is_more(const struct copying *c)
{
    for (size_t i = c->best.first + c->best.count; i < c->in->batch_count; i++) {
        const struct seen_batch *b = salvage_batch(c, i);
        if (b->records > 0 && b->position >= c->best.end) return true;
    }
    return false;
}

static bool choose(struct copying *c)
{
    const struct seen_snapshot *newest = newest_snapshot(c);
    bool any = choose_exact(c);
    if (any && !(c->s->past_gaps && is_more(c))) return true;
    /* Nothing that is missing from before it matters. */
    if (newest != NULL && (newest->whole || !any)) begin_at(c, newest);
    if (c->s->past_gaps) go_on(c);
    return any || newest != NULL || c->best.count > 0;
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

/* Batches that are whole, behind the way. */
static void tell_batches(struct copying *c)
{
    uint64_t batches = 0, records = 0, from = UINT64_MAX, to = 0;
    size_t end = c->best.first + c->best.count;
    for (size_t i = end; i < c->in->batch_count && !c->s->past_gaps; i++) {
        const struct seen_batch *b = salvage_batch(c, i);
        if (b->records == 0 || b->position < c->best.end) continue;
        batches++;
        records += b->records;
        if (b->position < from) from = b->position;
        if (b->position + b->length > to) to = b->position + b->length;
    }
    if (batches > 0)
        tell_left(c,
                  "%" PRIu64 " batches of %" PRIu64 " records, positions %" PRIu64 " to %" PRIu64
                  ": whole, but what comes before them is missing",
                  batches, records, from, to);
}

static void tell_what_is_left(struct copying *c)
{
    char name[SNAPSHOT_NAME_MAX];
    if (c->best.snapshot != NULL && !c->best.snapshot->whole)
        tell_left(c,
                  "what is not in the %" PRIu64 " whole blocks of the snapshot of position %" PRIu64
                  "%s: no whole snapshot and no journal leads further",
                  c->s->blocks, c->best.snapshot->position,
                  c->s->past_gaps ? "" : ", and all that came after it");
    for (size_t i = 0; i < c->in->finding_count; i++) {
        const struct finding *f = &c->in->findings[i];
        tell_left(c, "%s, offset %" PRIu64 ": %s", f->file, f->offset, f->what);
    }
    tell_batches(c);
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
    c->s->inexact = c->best.inexact;
    c->s->start = c->best.start;
    c->s->end = c->best.reached;
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
                 "journal from its beginning on%s",
                 in->dir,
                 in->records > 0 ? "; --past-gaps takes what there is of the journal" : "");
    }
    mem_free(c.order);
    return r;
}
