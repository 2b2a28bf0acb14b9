/* Room for what is accepted: admission, and the next segment when the writer needs it.
 *
 * A change is admitted when, placed behind everything that waits already, it fits into prepared
 * segments. Where things will lie is worked out as if each unit became a batch of its own, with a
 * marker behind it; the writer puts several units into one batch and never needs more than that
 * (placing smaller pieces in the same order never ends further on). So what was admitted always
 * finds its place, and a failure to make a segment shows before a change is accepted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "log/journal_priv.h"

/* Framing and unforeseen small change on top of what a caller names. */
enum { ADMIT_MARGIN = 64 };
static const uint64_t change_bytes_max = (uint64_t)2 << 30;

/* A place behind all that waits. */
struct place {
    const struct segment *segment; /* NULL: beyond what is prepared */
    uint64_t offset;
};

static void place_unit(const struct journal *j, struct place *p, uint64_t length)
{
    uint64_t size = length + UNIT_OVERHEAD;
    if (p->segment == NULL) return;
    if (p->offset + size > p->segment->size) {
        const struct segment *s = p->segment == j->current ? j->prepared.first : p->segment->next;
        while (s != NULL && SEGMENT_HEADER + BATCH_HEADER + size > s->size) s = s->next;
        p->segment = s;
        p->offset = SEGMENT_HEADER + BATCH_HEADER;
    }
    p->offset += size;
}

/* Bytes behind the place, all in all. */
static uint64_t room_behind(const struct journal *j, const struct place *p)
{
    uint64_t room = p->segment->size - p->offset;
    const struct segment *s = p->segment == j->current ? j->prepared.first : p->segment->next;
    for (; s != NULL; s = s->next) room += s->size - SEGMENT_HEADER;
    return room;
}

/* Behind all that waits, and `bytes` more in this turn. */
static struct place place_of(const struct journal *j, uint64_t bytes)
{
    struct place p = {j->current, j->current->used + BATCH_HEADER};
    for (const struct unit *u = j->pending_first; u != NULL; u = u->next)
        place_unit(j, &p, u->bytes.len);
    place_unit(j, &p, j->gather->bytes.len + bytes);
    return p;
}

const struct segment *room_last_promised(const struct journal *j)
{
    return place_of(j, 0).segment;
}

/* Sets admit_left; true when `bytes` more fit into the turn's unit. */
static bool look(struct journal *j, uint64_t bytes, bool shrinking)
{
    struct place p = place_of(j, bytes);
    j->admit_left = 0;
    if (p.segment == NULL) return false;

    uint64_t behind = room_behind(j, &p);
    if (behind < j->reserve_bytes) return shrinking;
    uint64_t contiguous = p.segment->size - p.offset;
    uint64_t spare = behind - j->reserve_bytes;
    j->admit_left = (int64_t)(bytes + (contiguous < spare ? contiguous : spare));
    return true;
}

/* Asks for a segment with so much room behind its header, and waits for the next attempt's end. */
static void ask_and_wait(struct journal *j, uint64_t room)
{
    uint64_t tries = j->prepare_tries;
    if (room > j->need_bytes) j->need_bytes = room;
    atomic_store(&j->hurry, true);
    pthread_cond_signal(&j->want);
    while (j->prepare_tries == tries && !atomic_load(&j->failed))
        pthread_cond_wait(&j->progress, &j->lock);
}

/* Why there is no room, as the last attempt to make some left it. */
static int note_refusal(struct journal *j)
{
    snprintf(j->refusal, sizeof(j->refusal), "%s", j->prepare_text);
    return j->prepare_error;
}

static int admit_slowly(struct journal *j, uint64_t bytes, bool shrinking)
{
    int r = -ENOSPC;
    uint64_t room = j->gather->bytes.len + bytes + UNIT_OVERHEAD + BATCH_HEADER;
    if (!shrinking) room += j->reserve_bytes;
    snprintf(j->refusal, sizeof(j->refusal), "the journal has no room ready");

    pthread_mutex_lock(&j->lock);
    for (int round = 0; round < 4 && !atomic_load(&j->failed); round++) {
        if (look(j, bytes, shrinking)) {
            r = 0;
            break;
        }
        bool hopeless = prepare_is_hopeless(j, room);
        if (!hopeless) ask_and_wait(j, room);
        if (j->prepare_error != 0) r = note_refusal(j);
        if (hopeless) break;
    }
    pthread_mutex_unlock(&j->lock);
    return r;
}

int journal_admit(struct journal *j, size_t bytes, bool shrinking)
{
    uint64_t with_margin = (uint64_t)bytes + ADMIT_MARGIN;
    if (j->admit_left >= 0 && with_margin <= (uint64_t)j->admit_left) return 0;
    if (bytes > change_bytes_max || j->gather->bytes.len > change_bytes_max) {
        snprintf(j->refusal, sizeof(j->refusal), "one change may take at most 2 GB of the journal");
        return -E2BIG;
    }
    return admit_slowly(j, with_margin, shrinking);
}

const char *journal_refusal(const struct journal *j)
{
    return j->refusal;
}

struct segment *room_take_segment(struct journal *j, uint64_t room)
{
    for (bool asked = false;; asked = true) {
        struct segment *s;
        while ((s = segment_list_pop(&j->prepared)) != NULL) {
            if (SEGMENT_HEADER + room <= s->size) return s;
            segment_list_push(&j->unused, s);
        }
        if (atomic_load(&j->failed) || (asked && j->prepare_error != 0)) return NULL;
        /* Only what was not admitted comes here: the room of the rest was seen to. */
        j->prepare_retry_ms = 0;
        ask_and_wait(j, room);
    }
}
