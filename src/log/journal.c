/* Opening, closing, and the loop's side of the journal. */
#include "log/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/journal_priv.h"
#include "log/recovery.h"

int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t now_ms(void)
{
    return now_us() / 1000;
}

uint64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- Opening --- */

static int open_fail(struct journal_error *e, int code, const char *doing, const char *what)
{
    e->code = code;
    snprintf(e->text, sizeof(e->text), "%s %s failed: %s", doing, what, strerror(-code));
    return code;
}

/* Says who has it: the process id in the file, as far as one can be read. */
static void name_owner(struct journal *j, int fd, struct journal_error *e)
{
    char pid[24] = {0};
    ssize_t n = j->files->pread(j->files->ctx, fd, pid, sizeof(pid) - 1, 0);
    long owner = n > 0 ? strtol(pid, NULL, 10) : 0;
    char who[40] = "";
    if (owner > 0) snprintf(who, sizeof(who), " (process %ld)", owner);
    e->code = -EBUSY;
    snprintf(
        e->text, sizeof(e->text),
        "%.300s is in use by another leat%s: one server per directory, stop it or name another "
        "directory",
        j->dir, who);
}

static int lock_dir(struct journal *j, struct journal_error *e)
{
    char *path = path_join(j->dir, "lock");
    int fd = j->files->open(j->files->ctx, path, O_RDWR | O_CREAT, 0600);
    int r = fd < 0 ? fd : j->files->lock(j->files->ctx, fd);
    if (r == -EBUSY) {
        name_owner(j, fd, e);
    } else if (r < 0) {
        open_fail(e, r, "locking", path);
    } else {
        char pid[24];
        struct iovec iov = {pid, (size_t)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid())};
        r = j->files->truncate(j->files->ctx, fd, 0);
        if (r == 0) r = file_write_all(j->files, fd, &iov, 1, 0);
        if (r == -ENOSPC || r == -EDQUOT) r = 0; /* the number is a courtesy */
        if (r < 0) open_fail(e, r, "writing", path);
        j->lock_fd = fd;
        fd = -1;
    }
    if (fd >= 0) j->files->close(j->files->ctx, fd);
    mem_free(path);
    return r;
}

/* What salvage has not copied yet would be missing without a word. */
static int refuse_unfinished(struct journal *j, struct journal_error *e)
{
    char *path = path_join(j->dir, UNFINISHED_NAME);
    int fd = j->files->open(j->files->ctx, path, O_RDONLY, 0);
    mem_free(path);
    if (fd == -ENOENT) return 0;
    if (fd < 0) return open_fail(e, fd, "starting the journal in", j->dir);
    j->files->close(j->files->ctx, fd);
    snprintf(
        e->text, sizeof(e->text),
        "%.300s is what a `leat salvage` that was ended has made so far: remove it, and let it "
        "run once more",
        j->dir);
    return e->code = -EBADMSG;
}

static void delete_segment(struct journal *j, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(name, number);
    char *path = path_join(j->dir, name);
    j->files->unlink(j->files->ctx, path); /* blank: were it to stay, it would do no harm */
    mem_free(path);
}

/* A blank file that an earlier run prepared; used again when all its space is really set aside. */
static int adopt_prepared(struct journal *j, const struct found *f)
{
    struct segment *s;
    uint64_t size = 0, allocated = 0;
    int r = segment_open(j->files, j->dir, f->number, &s);
    if (r < 0) return r;
    r = j->files->measure(j->files->ctx, s->fd, &size, &allocated);
    if (r == 0 && size >= SEGMENT_BYTES_MIN && size % SEGMENT_HEADER == 0 && allocated >= size) {
        segment_list_push(&j->prepared, s);
    } else {
        segment_free(j->files, s);
        delete_segment(j, f->number);
    }
    return 0;
}

static int adopt_current(struct journal *j, const struct found *f)
{
    int r = segment_open(j->files, j->dir, f->number, &j->current);
    if (r < 0) return r;
    struct segment *s = j->current;
    s->size = f->header.size;
    s->first_position = f->header.first_position;
    s->used = f->end;
    s->recycled = f->header.flags & SEGMENT_RECYCLED;
    /* A copied directory may have holes where there was space set aside. */
    if (s->used < s->size &&
        j->files->allocate(j->files->ctx, s->fd, s->used, s->size - s->used) == -ENOSPC)
        s->size = s->used;
    return 0;
}

/* A recycled one that is not in use: under this epoch it may hold torn batches, under another one
 * it may be used. */
static void adopt_unused(struct journal *j, const struct found *f)
{
    struct segment *s = mem_calloc(sizeof(*s));
    *s = (struct segment){.number = f->number, .size = f->size, .fd = -1};
    segment_list_push(&j->unused, s);
}

static void adopt_kept(struct journal *j, const struct found *f)
{
    struct segment *s = mem_calloc(sizeof(*s));
    *s = (struct segment){.number = f->number,
                          .first_position = f->header.first_position,
                          .size = f->size,
                          .used = f->size,
                          .fd = -1};
    keep_segment(j, s);
}

/* Takes over the files that recovery found. */
static int adopt(struct journal *j, const struct recovery *rec)
{
    int r = 0;
    bool fresh = rec->last == rec->count;
    for (size_t i = 0; i < rec->count && r == 0; i++) {
        const struct found *f = &rec->found[i];
        j->next_number = f->number + 1;
        if (f->state == HEADER_VALID && i < rec->last) {
            adopt_kept(j, f);
        } else if (i == rec->last) {
            r = adopt_current(j, f);
        } else if (f->state == HEADER_UNUSED) {
            if (fresh) delete_segment(j, f->number);
            else adopt_unused(j, f);
        } else if (f->state == HEADER_BLANK && f->remains_end == 0) {
            if (fresh || i < rec->last) delete_segment(j, f->number);
            else r = adopt_prepared(j, f);
        }
    }
    return r;
}

static void take_position(struct journal *j, const struct recovery *rec)
{
    j->head = j->written = rec->position;
    atomic_store(&j->covered, rec->position);
    atomic_store(&j->synced, rec->position);
    j->marked = rec->marked;
    j->replayed = rec->records;
    j->last_write_ms = j->last_sync_ms = now_ms();
}

static int draw_history(struct journal *j)
{
    while (j->history == 0) {
        ssize_t n = getrandom(&j->history, sizeof(j->history), 0);
        if (n < 0 && errno != EINTR) return -errno;
    }
    return 0;
}

static int recover(struct journal *j, const struct journal_from *from, struct journal_error *e)
{
    struct recovery rec;
    int64_t began = now_us();
    recovery_init(&rec, &j->options, j->files, e);
    if (from != NULL) recovery_from(&rec, from);
    int r = recovery_read(&rec);
    if (r == 0) r = recovery_repair(&rec);
    if (r < 0) goto out;

    j->history = rec.history;
    take_position(j, &rec);
    r = adopt(j, &rec);
    if (r == 0) r = draw_history(j);
    if (r == 0 && j->current == NULL) r = prepare_first(j, &j->current);
    if (r < 0) open_fail(e, r, "preparing the journal in", j->dir);
    j->replay_us = now_us() - began;
out:
    recovery_fini(&rec);
    return r;
}

static struct journal *allocate_journal(const struct journal_options *o)
{
    struct journal *j = mem_calloc(sizeof(*j));
    j->files = o->files != NULL ? o->files : &file_layer_real;
    j->dir = mem_strdup(o->dir);
    j->options = *o;
    j->options.dir = j->dir;
    size_t bytes = o->segment_bytes != 0 ? o->segment_bytes : SEGMENT_BYTES_DEFAULT;
    if (bytes < SEGMENT_BYTES_MIN) bytes = SEGMENT_BYTES_MIN;
    j->segment_bytes = bytes / SEGMENT_HEADER * SEGMENT_HEADER;
    j->reserve_bytes = bytes / 8 < RESERVE_BYTES_MAX ? bytes / 8 : RESERVE_BYTES_MAX;
    j->unsynced_bytes_max =
        o->unsynced_bytes_max != 0 ? o->unsynced_bytes_max : UNSYNCED_BYTES_DEFAULT;
    j->sync = o->sync;
    j->next_number = 1;
    j->recycle_max = RECYCLED_MAX;
    j->lock_fd = j->wake_fd = j->direct.fd = -1;
    j->gather = mem_calloc(sizeof(*j->gather));
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->work, &attr);
    pthread_cond_init(&j->want, &attr);
    pthread_cond_init(&j->progress, &attr);
    pthread_condattr_destroy(&attr);
    return j;
}

static void free_units(struct unit *u)
{
    while (u != NULL) {
        struct unit *next = u->next;
        buf_fini(&u->bytes);
        mem_free(u);
        u = next;
    }
}

static void free_segments(struct journal *j, struct segment_list *list)
{
    struct segment *s;
    while ((s = segment_list_pop(list)) != NULL) segment_free(j->files, s);
}

/* Without threads running. */
static void journal_free(struct journal *j)
{
    free_units(j->gather);
    free_units(j->pending_first);
    free_units(j->spare);
    direct_fini(&j->direct, j->files);
    segment_free(j->files, j->current);
    free_segments(j, &j->prepared);
    free_segments(j, &j->retired);
    free_segments(j, &j->kept);
    free_segments(j, &j->unused);
    if (j->lock_fd >= 0) j->files->close(j->files->ctx, j->lock_fd);
    if (j->wake_fd >= 0) close(j->wake_fd);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->want);
    pthread_cond_destroy(&j->progress);
    pthread_mutex_destroy(&j->lock);
    mem_free(j->dir);
    mem_free(j);
}

static void stop_preparer(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->stop_preparing, true);
    pthread_cond_broadcast(&j->want);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->preparer, NULL);
}

static int start_threads(struct journal *j)
{
    int r = -pthread_create(&j->preparer, NULL, preparer_main, j);
    if (r < 0) return r;
    r = -pthread_create(&j->syncer, NULL, syncer_main, j);
    if (r < 0) stop_preparer(j);
    return r;
}

int journal_new(const struct journal_options *options, struct journal_error *ret_error,
                struct journal **ret_j)
{
    struct journal *j = allocate_journal(options);
    int r = file_make_dir(j->files, j->dir, 0700);
    if (r < 0) open_fail(ret_error, r, "making the directory", j->dir);
    if (r == 0) r = lock_dir(j, ret_error);
    if (r == 0) r = refuse_unfinished(j, ret_error);
    if (r == 0) {
        j->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (j->wake_fd < 0) r = open_fail(ret_error, -errno, "starting the journal in", j->dir);
    }
    if (r < 0) journal_free(j);
    else *ret_j = j;
    return r;
}

int journal_start(struct journal *j, const struct journal_from *from,
                  struct journal_error *ret_error)
{
    int r = recover(j, from, ret_error);
    if (r < 0) return r;
    writer_register_metrics();
    note_size(j);
    r = start_threads(j);
    if (r < 0) return open_fail(ret_error, r, "starting the journal in", j->dir);
    j->started = true;
    return 0;
}

int journal_open(const struct journal_options *options, struct journal_error *ret_error,
                 struct journal **ret_j)
{
    struct journal *j;
    int r = journal_new(options, ret_error, &j);
    if (r < 0) return r;
    r = journal_start(j, NULL, ret_error);
    if (r < 0) journal_close(j);
    else *ret_j = j;
    return r;
}

void journal_close(struct journal *j)
{
    if (j == NULL) return;
    if (!j->started) {
        journal_free(j);
        return;
    }
    journal_flush(j);
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_broadcast(&j->work);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->syncer, NULL);
    stop_preparer(j); /* after the syncer, which may still want a segment */
    journal_free(j);
}

/* --- The loop's side --- */

struct buf *journal_begin(struct journal *j)
{
    struct buf *b = &j->gather->bytes;
    j->record_start = b->len;
    buf_reserve(b, RECORD_PREFIX);
    b->len += RECORD_PREFIX;
    return b;
}

uint64_t journal_end(struct journal *j)
{
    struct buf *b = &j->gather->bytes;
    size_t framed = b->len - j->record_start;
    must(framed >= RECORD_PREFIX && framed - RECORD_PREFIX <= UINT32_MAX);
    store_u32(b->data + j->record_start, (uint32_t)(framed - RECORD_PREFIX));
    j->gather->records++;
    j->records++;
    j->admit_left -= (int64_t)framed;
    return j->head += framed;
}

uint64_t journal_history(const struct journal *j)
{
    return j->history;
}

/* The position behind the oldest of `kept`. */
static uint64_t end_of_oldest(const struct journal *j)
{
    if (j->kept.first->next != NULL) return j->kept.first->next->first_position;
    if (j->retired.first != NULL) return j->retired.first->first_position;
    return j->current->first_position;
}

void journal_release_spares(struct journal *j)
{
    struct segment *s;
    struct segment_list kept = {0};
    pthread_mutex_lock(&j->lock);
    const struct segment *last = room_last_promised(j);
    bool promised = last != j->current; /* up to `last` */
    while ((s = segment_list_pop(&j->prepared)) != NULL) {
        segment_list_push(promised || kept.first == NULL ? &kept : &j->unused, s);
        if (s == last) promised = false;
    }
    j->prepared = kept;
    j->recycle_max = 0; /* until the next snapshot tells how many are useful */
    pthread_cond_signal(&j->want);
    pthread_mutex_unlock(&j->lock);
    j->admit_left = 0;
}

void journal_drop_before(struct journal *j, uint64_t position)
{
    unsigned dropped = 0;
    pthread_mutex_lock(&j->lock);
    for (; j->kept.first != NULL && end_of_oldest(j) <= position; dropped++) {
        struct segment *s = segment_list_pop(&j->kept);
        j->kept_bytes -= s->size;
        j->kept_segments--;
        segment_list_push(&j->unused, s);
    }
    if (dropped > 0) {
        /* As many as were used up since the last time are likely to be used again until the next.
         */
        j->recycle_max = j->begun < RECYCLED_MAX ? j->begun : RECYCLED_MAX;
        if (j->recycle_max == 0) j->recycle_max = 1;
        j->begun = 0;
        note_size(j);
    }
    pthread_cond_signal(&j->want);
    pthread_mutex_unlock(&j->lock);
}

uint64_t journal_head(const struct journal *j)
{
    return j->head;
}

/* Queues the turn's unit and puts an empty one in its place. */
static void hand_over(struct journal *j)
{
    struct unit *u = j->gather;
    u->next = NULL;
    if (j->pending_last != NULL) j->pending_last->next = u;
    else j->pending_first = u;
    j->pending_last = u;
    j->gather = j->spare;
    if (j->gather != NULL) {
        j->spare = j->gather->next;
        j->spares--;
    } else {
        j->gather = mem_calloc(sizeof(*j->gather));
        buf_reserve(&j->gather->bytes, u->bytes.len < SPARE_UNIT_BYTES ? u->bytes.len : 64);
    }
    j->gather->next = NULL;
}

void journal_flush(struct journal *j)
{
    if (j->gather->bytes.len == 0) return;
    j->admit_left -= UNIT_OVERHEAD;
    pthread_mutex_lock(&j->lock);
    hand_over(j);
    /* Without a sync to wait for, waking a thread costs more than the write. */
    if (j->sync != JOURNAL_SYNC_ALWAYS && !j->writing && !atomic_load(&j->failed)) writer_write(j);
    bool wake = syncer_should_wake(j);
    pthread_mutex_unlock(&j->lock);
    if (wake) pthread_cond_signal(&j->work);
}

uint64_t journal_covered(const struct journal *j)
{
    return atomic_load(&j->covered);
}

uint64_t journal_synced(const struct journal *j)
{
    return atomic_load(&j->synced);
}

int journal_wait(struct journal *j, uint64_t position)
{
    must(position <= j->head);
    journal_flush(j);
    pthread_mutex_lock(&j->lock);
    while (atomic_load(&j->covered) < position && !atomic_load(&j->failed))
        pthread_cond_wait(&j->progress, &j->lock);
    pthread_mutex_unlock(&j->lock);
    return atomic_load(&j->covered) >= position ? 0 : -EIO;
}

int journal_wake_fd(const struct journal *j)
{
    return j->wake_fd;
}

bool journal_is_full(struct journal *j)
{
    if (j->head - atomic_load(&j->synced) <= j->unsynced_bytes_max) return false;
    /* Told before it is looked at once more, so that no sync in between goes unheard. */
    atomic_store(&j->waited_for, true);
    return j->head - atomic_load(&j->synced) > j->unsynced_bytes_max;
}

const char *journal_failure(const struct journal *j)
{
    return atomic_load(&j->failed) ? j->failure : NULL;
}

void journal_want_sync(struct journal *j, uint64_t position)
{
    pthread_mutex_lock(&j->lock);
    if (position > j->wanted) j->wanted = position;
    pthread_cond_broadcast(&j->work);
    pthread_mutex_unlock(&j->lock);
}

void journal_set_sync(struct journal *j, enum journal_sync sync)
{
    pthread_mutex_lock(&j->lock);
    j->sync = sync;
    /* What waits for a sync that is no longer asked for is covered already. */
    if (sync != JOURNAL_SYNC_ALWAYS && !atomic_load(&j->failed))
        atomic_store(&j->covered, j->written);
    pthread_cond_broadcast(&j->work);
    pthread_cond_broadcast(&j->progress);
    pthread_mutex_unlock(&j->lock);
    journal_wake(j);
}
