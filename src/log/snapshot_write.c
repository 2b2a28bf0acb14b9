/* Writing a snapshot: blocks are filled on the loop's thread, checked, written and synced on one of
 * the writer's own.
 *
 *   loop:  fill --full--> queue ---> thread: checksum, write, sync now and then
 *                                    ... end mark, sync, journal synced, rename, sync directory,
 *                                        remove the third
 *
 * Synced every few megabytes, so that the journal's own small syncs never wait behind much. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/segment.h"
#include "log/snapshot.h"

enum {
    BLOCK_BYTES = 256 << 10, /* handed over when as full */
    SYNC_BYTES = 8 << 20,
    SPARES_MAX = 8,
    NICE = 10,   /* nobody waits for it */
    POLL_MS = 2, /* while it waits for the journal */
};

static const char temporary_name[] = "snapshot.tmp";

struct block {
    struct block *next;
    struct buf bytes;
    uint32_t records;
};

struct snapshot_writer {
    const struct file_layer *files;
    struct snapshot_options options;
    char *dir, *temporary, *path;
    pthread_t thread;

    /* The owner's. */
    struct block *fill;
    size_t record_start;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct block *first, *last, *spare; /* under the lock, as are the next two */
    int spares;
    bool all_given; /* after `complete` */
    uint64_t complete;
    atomic_bool cancelled;
    atomic_size_t backlog;
    atomic_int state;

    /* The thread's, until it has ended. */
    int fd;
    uint64_t at, unsynced;
    struct end_mark mark;
    uint64_t older;
    int code;
    char error[256];
};

void snapshot_name(char out[SNAPSHOT_NAME_MAX], uint64_t position)
{
    snprintf(out, SNAPSHOT_NAME_MAX, "snapshot-%020" PRIu64 ".snap", position);
}

bool snapshot_name_parse(const char *name, uint64_t *ret_position)
{
    uint64_t position;
    char again[SNAPSHOT_NAME_MAX];
    /* Printed again it has to be the same name. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(name, "snapshot-%20" SCNu64 ".snap", &position) != 1) return false;
    snapshot_name(again, position);
    if (strcmp(name, again) != 0) return false;
    *ret_position = position;
    return true;
}

static struct block *block_new(void)
{
    struct block *b = mem_calloc(sizeof *b);
    buf_reserve(&b->bytes, BLOCK_BYTES);
    return b;
}

static void block_free(struct block *b)
{
    if (b == NULL) return;
    buf_fini(&b->bytes);
    mem_free(b);
}

static void blocks_free(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;
        block_free(b);
        b = next;
    }
}

/* ---- The thread ---- */

static int fail(struct snapshot_writer *w, int error, const char *doing, const char *path)
{
    snprintf(w->error, sizeof w->error, "%s %.150s failed: %s", doing, path, strerror(-error));
    w->code = error;
    return error;
}

static int sync_now(struct snapshot_writer *w)
{
    w->unsynced = 0;
    int r = w->files->fdatasync(w->files->ctx, w->fd);
    return r < 0 ? fail(w, r, "syncing", w->temporary) : 0;
}

static int append(struct snapshot_writer *w, struct iovec *iov, int count, uint64_t n)
{
    int r = file_write_all(w->files, w->fd, iov, count, w->at);
    if (r < 0) return fail(w, r, "writing to", w->temporary);
    w->at += n;
    w->unsynced += n;
    return w->unsynced >= SYNC_BYTES ? sync_now(w) : 0;
}

static int write_header(struct snapshot_writer *w)
{
    char page[SNAPSHOT_HEADER];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    w->options.header.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snapshot_header_encode(page, &w->options.header);
    struct iovec iov = {page, sizeof page};
    return append(w, &iov, 1, sizeof page);
}

static int write_block(struct snapshot_writer *w, struct bytes content, uint32_t records,
                       uint32_t flags)
{
    static const char zeros[BATCH_ALIGN];
    char head[BLOCK_HEADER];
    struct block_header h = {
        .number = w->mark.blocks, .length = content.len, .records = records, .flags = flags};
    uint64_t size = block_size(content.len);
    struct bytes padding = {zeros, (size_t)(size - BLOCK_HEADER - content.len)};
    block_header_encode(head, &h, content, padding);
    struct iovec iov[] = {{head, sizeof head},
                          {(void *)content.data, content.len},
                          {(void *)padding.data, padding.len}};
    int r = append(w, iov, 3, size);
    if (r < 0 || (flags & BLOCK_END)) return r;
    w->mark.blocks++;
    w->mark.records += records;
    w->mark.bytes += content.len;
    return 0;
}

/* NULL when there are no more, or it was given up. */
static struct block *next_block(struct snapshot_writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->all_given && !atomic_load(&w->cancelled))
        pthread_cond_wait(&w->work, &w->lock);
    struct block *b = atomic_load(&w->cancelled) ? NULL : w->first;
    if (b != NULL) w->first = b->next;
    if (w->first == NULL) w->last = NULL;
    pthread_mutex_unlock(&w->lock);
    return b;
}

static void recycle(struct snapshot_writer *w, struct block *b)
{
    atomic_fetch_sub(&w->backlog, b->bytes.len);
    b->bytes.len = 0;
    b->records = 0;
    buf_shrink(&b->bytes, 2 * BLOCK_BYTES);
    pthread_mutex_lock(&w->lock);
    bool keep = w->spares < SPARES_MAX;
    if (keep) {
        b->next = w->spare;
        w->spare = b;
        w->spares++;
    }
    pthread_mutex_unlock(&w->lock);
    if (!keep) block_free(b);
}

static int write_blocks(struct snapshot_writer *w)
{
    struct block *b;
    int r = 0;
    while (r == 0 && (b = next_block(w)) != NULL) {
        r = write_block(w, buf_bytes(&b->bytes), b->records, 0);
        recycle(w, b);
    }
    if (r == 0 && atomic_load(&w->cancelled)) {
        snprintf(w->error, sizeof w->error, "the snapshot was given up");
        r = -ECANCELED;
    }
    return r;
}

static int write_end(struct snapshot_writer *w)
{
    char mark[END_MARK];
    w->mark.complete = w->complete;
    end_mark_encode(mark, &w->mark);
    int r = write_block(w, (struct bytes){mark, sizeof mark}, 0, BLOCK_END);
    if (r == 0 && w->options.in_reserve) r = w->files->truncate(w->files->ctx, w->fd, w->at);
    return r < 0 ? r : sync_now(w);
}

/* A snapshot must never know more than the journal: nobody could tell later what is missing. */
static int wait_for_journal(struct snapshot_writer *w)
{
    const struct snapshot_options *o = &w->options;
    while (o->synced != NULL && o->synced(o->arg) < w->complete) {
        if (atomic_load(&w->cancelled) || (o->failed != NULL && o->failed(o->arg))) {
            snprintf(w->error, sizeof w->error,
                     "the snapshot was given up before the journal was "
                     "synced as far as it");
            return -ECANCELED;
        }
        struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int sync_others(struct snapshot_writer *w)
{
    int r = w->options.sync != NULL ? w->options.sync(w->options.arg) : 0;
    return r < 0 ? fail(w, r, "syncing what is referred to from", w->temporary) : 0;
}

static int give_name(struct snapshot_writer *w)
{
    int r = w->files->rename(w->files->ctx, w->temporary, w->path);
    if (r < 0) return fail(w, r, "renaming", w->temporary);
    r = w->files->sync_dir(w->files->ctx, w->dir);
    return r < 0 ? fail(w, r, "syncing", w->dir) : 0;
}

/* All but the two newest go. One that cannot be removed is tried again the next time. */
static void prune(struct snapshot_writer *w)
{
    uint64_t positions[64];
    int n = snapshot_list(w->files, w->dir, positions, 64);
    w->older = n >= SNAPSHOTS_KEPT ? positions[SNAPSHOTS_KEPT - 1] : 0;
    for (int i = SNAPSHOTS_KEPT; i < n; i++) {
        char name[SNAPSHOT_NAME_MAX];
        snapshot_name(name, positions[i]);
        char *path = path_join(w->dir, name);
        w->files->unlink(w->files->ctx, path);
        mem_free(path);
    }
}

static int make(struct snapshot_writer *w)
{
    struct snapshot_options *o = &w->options;
    if (o->in_reserve && snapshot_take_reserve(w->files, w->dir, w->temporary) < 0)
        o->in_reserve = false;
    int flags = O_RDWR | O_CREAT | (o->in_reserve ? 0 : O_TRUNC);
    int r = w->files->open(w->files->ctx, w->temporary, flags, 0600);
    if (r < 0) return fail(w, r, "making", w->temporary);
    w->fd = r;
    r = write_header(w);
    if (r == 0) r = write_blocks(w);
    if (r == 0) r = write_end(w);
    w->files->close(w->files->ctx, w->fd);
    if (r == 0) r = sync_others(w);
    if (r == 0) r = wait_for_journal(w);
    if (r == 0) r = give_name(w);
    if (r < 0) w->files->unlink(w->files->ctx, w->temporary);
    else prune(w);
    if (o->keep_reserve && (r == 0 || o->in_reserve))
        snapshot_make_reserve(w->files, w->dir, w->at);
    return r;
}

static void *writer_main(void *arg)
{
    struct snapshot_writer *w = arg;
    setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone, on Linux */
    int r = make(w);
    atomic_store(&w->state, r < 0 ? SNAPSHOT_FAILED : SNAPSHOT_DONE);
    return NULL;
}

/* ---- The owner's side ---- */

/* Signals are the other threads' business. */
static int start(struct snapshot_writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int r = -pthread_create(&w->thread, NULL, writer_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void writer_free(struct snapshot_writer *w)
{
    block_free(w->fill);
    blocks_free(w->first);
    blocks_free(w->spare);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    mem_free(w->dir);
    mem_free(w->temporary);
    mem_free(w->path);
    mem_free(w);
}

int snapshot_begin(const struct snapshot_options *options, struct snapshot_writer **ret)
{
    char name[SNAPSHOT_NAME_MAX];
    struct snapshot_writer *w = mem_calloc(sizeof *w);
    w->options = *options;
    w->files = options->files != NULL ? options->files : &file_layer_real;
    w->dir = mem_strdup(options->dir);
    w->temporary = path_join(options->dir, temporary_name);
    snapshot_name(name, options->header.position);
    w->path = path_join(options->dir, name);
    w->fill = block_new();
    must(pthread_mutex_init(&w->lock, NULL) == 0);
    must(pthread_cond_init(&w->work, NULL) == 0);
    int r = start(w);
    if (r < 0) writer_free(w);
    else *ret = w;
    return r;
}

static void hand_over(struct snapshot_writer *w)
{
    struct block *b = w->fill;
    b->next = NULL;
    atomic_fetch_add(&w->backlog, b->bytes.len);
    pthread_mutex_lock(&w->lock);
    if (w->last != NULL) w->last->next = b;
    else w->first = b;
    w->last = b;
    w->fill = w->spare;
    if (w->fill != NULL) {
        w->spare = w->fill->next;
        w->spares--;
    }
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    if (w->fill == NULL) w->fill = block_new();
}

struct buf *snapshot_record(struct snapshot_writer *w)
{
    struct buf *b = &w->fill->bytes;
    w->record_start = b->len;
    buf_reserve(b, RECORD_PREFIX);
    b->len += RECORD_PREFIX;
    return b;
}

void snapshot_record_end(struct snapshot_writer *w)
{
    struct buf *b = &w->fill->bytes;
    size_t framed = b->len - w->record_start;
    must(framed >= RECORD_PREFIX && framed - RECORD_PREFIX <= UINT32_MAX);
    store_u32(b->data + w->record_start, (uint32_t)(framed - RECORD_PREFIX));
    w->fill->records++;
    if (b->len >= BLOCK_BYTES) hand_over(w);
}

void snapshot_record_drop(struct snapshot_writer *w)
{
    w->fill->bytes.len = w->record_start;
}

size_t snapshot_backlog(const struct snapshot_writer *w)
{
    return atomic_load(&w->backlog);
}

void snapshot_complete(struct snapshot_writer *w, uint64_t complete)
{
    if (w->fill->records > 0) hand_over(w);
    pthread_mutex_lock(&w->lock);
    w->all_given = true;
    w->complete = complete;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

enum snapshot_state snapshot_state(const struct snapshot_writer *w)
{
    return (enum snapshot_state)atomic_load(&w->state);
}

void snapshot_end(struct snapshot_writer *w, struct snapshot_result *ret)
{
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->cancelled, true);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    must(pthread_join(w->thread, NULL) == 0);
    *ret = (struct snapshot_result){.state = snapshot_state(w),
                                    .position = w->options.header.position,
                                    .complete = w->complete,
                                    .size = w->at,
                                    .records = w->mark.records,
                                    .older = w->older,
                                    .code = w->code};
    memcpy(ret->error, w->error, sizeof ret->error);
    writer_free(w);
}
