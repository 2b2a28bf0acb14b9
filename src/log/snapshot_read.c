/* Reading snapshots, and what else is done with their files at a start.
 *
 *   a thread:  reads, checks --> [block] [block] [block] --> the caller: on_block()
 *
 * Reading and checking take a fifth of the time that applying does, and are no longer part of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "log/reader.h"
#include "log/segment.h"
#include "log/snapshot.h"

enum {
    PROGRESS_BYTES = 4 << 20,
    BLOCKS_AHEAD = 4,
    AHEAD_BYTES = 4 << 20, /* no further block is handed over above that: some are very large */
    KEPT_BYTES = 1 << 20,
};

/* A block that was read and is whole. */
struct checked {
    struct buf records;
    uint32_t count;
    uint64_t at; /* its offset in the file */
};

/* Between the thread that reads and the caller that applies. */
struct handover {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct checked blocks[BLOCKS_AHEAD];
    unsigned given, taken;  /* counts; at most BLOCKS_AHEAD apart */
    size_t bytes;           /* of those given and not taken */
    bool finished, refused; /* the thread is through; the caller takes no more */
};

/* One being read. */
struct reading {
    const struct snapshot_reading *how;
    struct snapshot_info *info;
    struct journal_error *error;
    char name[SNAPSHOT_NAME_MAX];
    struct reader reader;
    struct buf window;
    uint64_t at, reported;
    struct end_mark counted;
    uint64_t position;
    int fd, result;
    struct handover handover;
};

static const struct file_layer *layer_or_real(const struct file_layer *files)
{
    return files != NULL ? files : &file_layer_real;
}

static int fail(struct reading *s, int code, const char *what)
{
    s->error->code = code;
    snprintf(s->error->text, sizeof s->error->text, "%s/%s, offset %" PRIu64 ": %s", s->how->dir,
             s->name, s->at, what);
    return code;
}

static int fail_reading(struct reading *s, int code)
{
    char what[128];
    snprintf(what, sizeof what, "cannot be read: %s", strerror(-code));
    return fail(s, code, what);
}

static int read_header(struct reading *s, uint64_t position)
{
    int r = 0;
    char what[160];
    if (s->info->size < SNAPSHOT_HEADER) return fail(s, -EBADMSG, "the file has been cut short");
    const char *page = reader_get(&s->reader, 0, SNAPSHOT_HEADER, &r);
    if (page == NULL) return fail_reading(s, r);
    struct snapshot_header *h = &s->info->header;
    switch (snapshot_header_decode(page, h)) {
    case HEADER_VALID:
        break;
    case HEADER_NEWER:
        snprintf(what, sizeof what,
                 "has format version %" PRIu32 ", and this leat reads versions up to %d: start a "
                 "newer leat on this directory",
                 h->version, FORMAT_VERSION);
        return fail(s, -EPROTONOSUPPORT, what);
    case HEADER_BLANK:
    case HEADER_UNUSED: /* of segments alone */
    case HEADER_BAD:
        return fail(s, -EBADMSG, "the header is damaged");
    }
    if (h->position != position)
        return fail(s, -EBADMSG, "the header tells of another position than the file's name");
    s->at = SNAPSHOT_HEADER;
    return s->how->on_header != NULL ? s->how->on_header(s->how->arg, h) : 0;
}

static bool is_full(const struct handover *h)
{
    return h->given - h->taken == BLOCKS_AHEAD || h->bytes > AHEAD_BYTES;
}

/* Hands a block to the caller, as soon as there is a place for it. */
static int give_block(struct reading *s, const struct block_header *b, const char *records)
{
    struct handover *h = &s->handover;
    pthread_mutex_lock(&h->lock);
    while (is_full(h) && !h->refused) pthread_cond_wait(&h->moved, &h->lock);
    bool refused = h->refused;
    pthread_mutex_unlock(&h->lock);
    if (refused) return -ECANCELED;
    struct checked *c = &h->blocks[h->given % BLOCKS_AHEAD];
    buf_append(&c->records, records, b->length);
    c->count = b->records;
    c->at = s->at;
    pthread_mutex_lock(&h->lock);
    h->given++;
    h->bytes += b->length;
    pthread_cond_signal(&h->moved);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

static int take_block(struct reading *s, const struct block_header *b, const char *records)
{
    if (!records_fill(records, b->length, b->records))
        return fail(s, -EBADMSG, "the records do not fill their block");
    int r = s->how->on_block == NULL ? 0 : give_block(s, b, records);
    if (r < 0) return r;
    s->counted.blocks++;
    s->counted.records += b->records;
    s->counted.bytes += b->length;
    return 0;
}

static int take_end(struct reading *s, const char *content, uint64_t size)
{
    struct end_mark *m = &s->info->end;
    end_mark_decode(content, m);
    if (m->blocks != s->counted.blocks || m->records != s->counted.records ||
        m->bytes != s->counted.bytes || m->complete < s->info->header.position)
        return fail(s, -EBADMSG, "the end mark does not fit what is before it");
    s->at += size;
    if (s->at != s->info->size) return fail(s, -EBADMSG, "there are bytes behind the end mark");
    return 1;
}

/* 1 behind the end mark. */
static int read_block(struct reading *s)
{
    struct block_header b;
    const char *content;
    if (s->info->size - s->at < BLOCK_HEADER)
        return fail(s, -EBADMSG, "the file ends before its end mark");
    int r = reader_block(&s->reader, s->at, &b, &content);
    if (r < 0) return fail_reading(s, r);
    if (r == 0) return fail(s, -EBADMSG, "what is here is not a whole block");
    uint64_t size = block_size(b.length);
    if (b.number != s->counted.blocks) return fail(s, -EBADMSG, "a block is missing before this");
    if (b.flags & BLOCK_END) return take_end(s, content, size);
    r = take_block(s, &b, content);
    s->at += size;
    return r;
}

static void report(struct reading *s, bool now)
{
    if (s->how->progress == NULL || (!now && s->at - s->reported < PROGRESS_BYTES)) return;
    s->how->progress(s->how->arg, s->at, s->info->size);
    s->reported = s->at;
}

static int read_open(struct reading *s)
{
    const struct file_layer *files = layer_or_real(s->how->files);
    uint64_t allocated;
    int r = files->measure(files->ctx, s->fd, &s->info->size, &allocated);
    if (r < 0) return fail_reading(s, r);
    reader_init(&s->reader, files, s->fd, s->info->size, &s->window);
    r = read_header(s, s->position);
    while (r == 0) {
        r = read_block(s);
        report(s, r > 0);
    }
    return r < 0 ? r : 0;
}

static void *reader_main(void *reading)
{
    struct reading *s = reading;
    struct handover *h = &s->handover;
    int r = read_open(s);
    pthread_mutex_lock(&h->lock);
    s->result = r;
    h->finished = true;
    pthread_cond_signal(&h->moved);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* The next block; NULL when there are no more. */
static struct checked *next_block(struct handover *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->given == h->taken && !h->finished) pthread_cond_wait(&h->moved, &h->lock);
    bool there = h->given != h->taken;
    pthread_mutex_unlock(&h->lock);
    return there ? &h->blocks[h->taken % BLOCKS_AHEAD] : NULL;
}

static void block_taken(struct handover *h, struct checked *c, bool refuse)
{
    size_t bytes = c->records.len;
    c->records.len = 0;
    buf_shrink(&c->records, KEPT_BYTES);
    pthread_mutex_lock(&h->lock);
    h->taken++;
    h->bytes -= bytes;
    h->refused = refuse;
    pthread_cond_signal(&h->moved);
    pthread_mutex_unlock(&h->lock);
}

/* 0, or what on_block() answered, with the place in *ret_at. */
static int apply_blocks(struct reading *s, uint64_t *ret_at)
{
    struct checked *c;
    int r = 0;
    while (r >= 0 && (c = next_block(&s->handover)) != NULL) {
        *ret_at = c->at;
        r = s->how->on_block(s->how->arg, buf_bytes(&c->records), c->count);
        block_taken(&s->handover, c, r < 0);
    }
    return r < 0 ? r : 0;
}

static int read_and_apply(struct reading *s)
{
    struct handover *h = &s->handover;
    pthread_t thread;
    uint64_t at = 0;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->moved, NULL);
    int r = -pthread_create(&thread, NULL, reader_main, s);
    if (r == 0) {
        int refusal = apply_blocks(s, &at);
        pthread_join(thread, NULL);
        r = s->result; /* it has said what is wrong */
        if (refusal < 0) {
            s->at = at;
            r = refusal == -EBADMSG ? fail(s, refusal, "a record in this block makes no sense")
                                    : fail_reading(s, refusal);
        }
    } else {
        r = fail_reading(s, r);
    }
    for (int i = 0; i < BLOCKS_AHEAD; i++) buf_fini(&h->blocks[i].records);
    pthread_cond_destroy(&h->moved);
    pthread_mutex_destroy(&h->lock);
    return r;
}

int snapshot_read(const struct snapshot_reading *how, uint64_t position, struct snapshot_info *ret,
                  struct journal_error *ret_error)
{
    const struct file_layer *files = layer_or_real(how->files);
    struct reading s = {.how = how, .info = ret, .error = ret_error, .position = position};
    *ret = (struct snapshot_info){0};
    snapshot_name(s.name, position);
    char *path = path_join(how->dir, s.name);
    int fd = files->open(files->ctx, path, O_RDONLY, 0);
    mem_free(path);
    if (fd < 0) return fail_reading(&s, fd);
    s.fd = fd;
    int r = read_and_apply(&s);
    files->close(files->ctx, fd);
    buf_fini(&s.window);
    return r;
}

/* ---- The files ---- */

struct listing {
    uint64_t *positions;
    int count, max;
};

/* Keeps the newest, in order. */
static int note(void *arg, const char *name)
{
    struct listing *l = arg;
    uint64_t position;
    if (!snapshot_name_parse(name, &position)) return 0;
    int at = l->count < l->max ? l->count++ : l->max - 1;
    if (at == l->max - 1 && l->count == l->max && l->positions[at] > position) return 0;
    while (at > 0 && l->positions[at - 1] < position) {
        l->positions[at] = l->positions[at - 1];
        at--;
    }
    l->positions[at] = position;
    return 0;
}

int snapshot_list(const struct file_layer *files, const char *dir, uint64_t *ret, int max)
{
    struct listing l = {.positions = ret, .max = max};
    memset(ret, 0, (size_t)max * sizeof *ret);
    files = layer_or_real(files);
    int r = files->list(files->ctx, dir, note, &l);
    return r < 0 ? r : l.count;
}

int snapshot_set_aside(const struct file_layer *files, const char *dir, uint64_t position)
{
    char name[SNAPSHOT_NAME_MAX], aside[SNAPSHOT_NAME_MAX + 8];
    files = layer_or_real(files);
    snapshot_name(name, position);
    snprintf(aside, sizeof aside, "bad-%s", name);
    char *from = path_join(dir, name), *to = path_join(dir, aside);
    int r = files->rename(files->ctx, from, to);
    mem_free(from);
    mem_free(to);
    return r < 0 ? r : files->sync_dir(files->ctx, dir);
}

void snapshot_clean(const struct file_layer *files, const char *dir)
{
    files = layer_or_real(files);
    char *path = path_join(dir, "snapshot.tmp");
    files->unlink(files->ctx, path);
    mem_free(path);
}
