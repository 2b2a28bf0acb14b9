/* All blocks of one snapshot, past those that are damaged. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "log/inspect.h"
#include "log/reader.h"

struct walk {
    struct inspection *in;
    struct seen_snapshot *s;
    char name[SNAPSHOT_NAME_MAX];
    struct reader reader;
    uint64_t at;
    uint64_t number; /* of the block expected */
    struct end_mark counted;
    bool damaged, ended;
};

static void damage(struct walk *w, uint64_t offset, uint64_t length, const char *what)
{
    w->damaged = true;
    inspect_note(w->in, FINDING_DAMAGE, w->name, offset, length, "%s", what);
}

/* False when the records do not fill the block. */
static bool take_records(struct walk *w, const struct block_header *b, const char *records)
{
    uint64_t at = 0, n = 0;
    struct bytes record;
    while (record_next(records, b->length, &at, &record)) {
        inspect_note_ref(w->in, w->s, record);
        n++;
    }
    return at == b->length && n == b->records;
}

static void take(struct walk *w, const struct block_header *b, const char *content)
{
    if (b->number != w->number) damage(w, w->at, 0, "blocks are missing before this one");
    w->number = b->number + 1;
    if (b->flags & BLOCK_END) {
        end_mark_decode(content, &w->s->end);
        w->ended = true;
    } else {
        if (!take_records(w, b, content))
            damage(w, w->at, block_size(b->length), "the records do not fill their block");
        else w->s->whole_blocks++;
        w->counted.blocks++;
        w->counted.records += b->records;
        w->counted.bytes += b->length;
    }
    w->at += block_size(b->length);
    inspect_tell(w->in, block_size(b->length));
}

/* From a place that holds no whole block to the next that does. */
static void skip_damage(struct walk *w)
{
    struct block_header b;
    const char *content;
    uint64_t from = w->at, at = w->at + BATCH_ALIGN;
    int r = 0;
    while (at < w->s->size && (r = reader_block(&w->reader, at, &b, &content)) == 0)
        at += BATCH_ALIGN;
    if (at > w->s->size) at = w->s->size;
    damage(w, from, at - from, "what is here is not a whole block");
    if (r > 0) w->number = b.number;
    inspect_tell(w->in, at - from);
    w->at = at;
}

static void skip_unreadable(struct walk *w, int error)
{
    uint64_t from = w->at;
    w->at = inspect_note_unreadable(w->in, w->name, w->at, error);
    if (w->at > w->s->size) w->at = w->s->size;
    inspect_tell(w->in, w->at - from);
    w->damaged = true;
}

static void walk_blocks(struct walk *w)
{
    struct block_header b;
    const char *content;
    while (w->at < w->s->size && !w->ended) {
        int r = reader_block(&w->reader, w->at, &b, &content);
        if (r > 0) take(w, &b, content);
        else if (r == 0) skip_damage(w);
        else skip_unreadable(w, r);
    }
}

static void check_end(struct walk *w)
{
    const struct end_mark *m = &w->s->end;
    if (!w->ended) {
        damage(w, w->at, 0, "the file ends before its end mark");
    } else if (w->at != w->s->size) {
        damage(w, w->at, w->s->size - w->at, "there are bytes behind the end mark");
    } else if (!w->damaged && (m->blocks != w->counted.blocks || m->records != w->counted.records ||
                               m->bytes != w->counted.bytes || m->complete < w->s->position)) {
        damage(w, w->at, 0, "the end mark does not fit what is before it");
    }
}

static int check_header(struct walk *w)
{
    int r = 0;
    w->s->state = HEADER_BAD;
    if (w->s->size < SNAPSHOT_HEADER) {
        damage(w, w->s->size, 0, "the file has been cut short");
        w->at = w->s->size;
        return 0;
    }
    const char *page = reader_get(&w->reader, 0, SNAPSHOT_HEADER, &r);
    if (page == NULL) return r;
    w->at = SNAPSHOT_HEADER;
    inspect_tell(w->in, SNAPSHOT_HEADER);
    enum header_state state = w->s->state = snapshot_header_decode(page, &w->s->header);
    if (state == HEADER_NEWER) damage(w, 12, 4, "the format version is newer than this leat reads");
    else if (state != HEADER_VALID) damage(w, 0, SNAPSHOT_HEADER, "the header is damaged");
    else if (w->s->header.position != w->s->position)
        damage(w, 24, 8, "the header tells of another position than the file's name");
    return 0;
}

void inspect_snapshot(struct inspection *in, struct seen_snapshot *s)
{
    struct walk w = {.in = in, .s = s};
    snapshot_name(w.name, s->position);
    int fd = inspect_open(in, w.name);
    if (fd < 0) return;
    reader_init(&w.reader, in->files, fd, s->size, &in->window);
    w.reader.patient = true;
    int r = check_header(&w);
    if (r < 0) skip_unreadable(&w, r);
    walk_blocks(&w);
    check_end(&w);
    in->files->close(in->files->ctx, fd);
    s->whole = !w.damaged;
}
