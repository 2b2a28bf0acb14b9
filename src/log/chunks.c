/* The chunk store: its files, who refers to them, and when they go. The threads and the bytes are
 * in chunks_io.c. */
#include "log/chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "log/chunks_priv.h"
#include "log/format.h"
#include "log/segment.h"

/* ---- Files ---- */

void chunks_name(char out[CHUNK_NAME_MAX], uint64_t number)
{
    snprintf(out, CHUNK_NAME_MAX, "chunks-%012llu.dat", (unsigned long long)number);
}

bool chunks_name_parse(const char *name, uint64_t *ret_number)
{
    char again[CHUNK_NAME_MAX];
    unsigned long long number;
    /* Printed again it has to be the same name. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(name, "chunks-%llu.dat", &number) != 1 || number == 0) return false;
    chunks_name(again, number);
    if (strcmp(again, name) != 0) return false;
    *ret_number = number;
    return true;
}

struct chunk_file *chunks_find(const struct chunks *c, uint64_t number)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->file[middle]->number < number) low = middle + 1;
        else high = middle;
    }
    return low < c->count && c->file[low]->number == number ? c->file[low] : NULL;
}

struct chunk_file *chunks_add_file(struct chunks *c, uint64_t number, uint64_t size)
{
    struct chunk_file *f = mem_alloc(sizeof *f);
    size_t at = c->count;
    *f = (struct chunk_file){.number = number, .size = size, .dead_from = NOT_DEAD, .fd = -1};
    if (c->count == c->cap) {
        c->cap = c->cap > 0 ? c->cap * 2 : 16;
        c->file = mem_realloc(c->file, c->cap * sizeof(struct chunk_file *));
    }
    while (at > 0 && c->file[at - 1]->number > number) at--;
    memmove(c->file + at + 1, c->file + at, (c->count - at) * sizeof(struct chunk_file *));
    c->file[at] = f;
    c->count++;
    if (number >= c->next_number) c->next_number = number + 1;
    return f;
}

static void close_file(struct chunks *c, struct chunk_file *f)
{
    if (f->fd < 0) return;
    c->files->close(c->files->ctx, f->fd);
    f->fd = -1;
    c->open--;
}

/* Closes the one that was not used for longest, of those that nobody needs open. */
static void close_coldest(struct chunks *c)
{
    struct chunk_file *coldest = NULL;
    for (size_t i = 0; i < c->count; i++) {
        struct chunk_file *f = c->file[i];
        bool may = f->fd >= 0 && f->full && !f->dirty && f->users == 0;
        if (may && (coldest == NULL || f->used_at < coldest->used_at)) coldest = f;
    }
    if (coldest != NULL) close_file(c, coldest);
}

void chunks_note_open(struct chunks *c, struct chunk_file *f, int fd)
{
    if (c->open >= CHUNK_FILES_OPEN_MAX) close_coldest(c);
    f->fd = fd;
    c->open++;
}

int chunks_open_file(struct chunks *c, struct chunk_file *f)
{
    char name[CHUNK_NAME_MAX];
    f->used_at = ++c->uses;
    if (f->fd >= 0) return f->fd;
    chunks_name(name, f->number);
    char *path = path_join(c->dir, name);
    int fd = c->files->open(c->files->ctx, path, O_RDWR, 0);
    mem_free(path);
    if (fd >= 0) chunks_note_open(c, f, fd);
    return fd;
}

static void remove_file(struct chunks *c, size_t at)
{
    char name[CHUNK_NAME_MAX];
    struct chunk_file *f = c->file[at];
    chunks_name(name, f->number);
    char *path = path_join(c->dir, name);
    close_file(c, f);
    c->files->unlink(c->files->ctx, path); /* one that stays is found dead at the next start */
    mem_free(path);
    mem_free(f);
    c->count--;
    memmove(c->file + at, c->file + at + 1, (c->count - at) * sizeof(struct chunk_file *));
}

static int note_name(void *arg, const char *name)
{
    uint64_t number;
    if (chunks_name_parse(name, &number)) chunks_add_file(arg, number, 0)->full = true;
    return 0;
}

/* Sizes, and that each is a file of chunks that this version can read. */
static int look_at(struct chunks *c, struct chunk_file *f)
{
    char page[CHUNK_FILE_HEADER];
    uint64_t allocated;
    int fd = chunks_open_file(c, f);
    if (fd < 0) return fd;
    int r = c->files->measure(c->files->ctx, fd, &f->size, &allocated);
    if (r < 0 || f->size < sizeof page) return r;
    /* That the first page is damaged, or cannot be read, says nothing about the chunks: each of
     * them is checked. */
    bool newer = file_read_all(c->files, fd, page, sizeof page, 0) == 0 &&
                 chunk_file_header_check(page, f->number) == -EPROTONOSUPPORT;
    return newer ? -EPROTONOSUPPORT : 0;
}

static int look_around(struct chunks *c)
{
    int r = c->files->list(c->files->ctx, c->dir, note_name, c);
    for (size_t i = 0; r >= 0 && i < c->count; i++) r = look_at(c, c->file[i]);
    return r;
}

/* ---- Beginning and end ---- */

static bool start_threads(struct chunks *c)
{
    if (pthread_create(&c->writer, NULL, chunks_writer_main, c) != 0) return false;
    c->started = pthread_create(&c->reader, NULL, chunks_reader_main, c) == 0;
    if (c->started) return true;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->write_work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->writer, NULL);
    return false;
}

int chunks_new(const struct chunks_options *options, struct chunks **ret)
{
    struct chunks *c = mem_calloc(sizeof *c);
    c->files = options->files != NULL ? options->files : &file_layer_real;
    c->dir = mem_strdup(options->dir);
    c->file_bytes = options->file_bytes > 0 ? options->file_bytes : CHUNK_FILE_BYTES_DEFAULT;
    c->wake_fd = options->wake_fd;
    c->next_number = 1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->sync_lock, NULL);
    pthread_cond_init(&c->read_work, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->write_work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int r = look_around(c);
    if (r >= 0 && !start_threads(c)) r = -EAGAIN;
    if (r < 0) {
        chunks_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void cancel_all(struct chunks *c, struct chunk_queue *q)
{
    for (struct chunk_job *job; (job = chunk_queue_pop(q)) != NULL;) {
        if (job->kind == CHUNK_MOVE) mem_free(job->into);
        job->result = -ECANCELED;
        chunk_queue_push(&c->finished, job);
    }
}

void chunks_stop(struct chunks *c)
{
    must(c->started);
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->write_work);
    pthread_cond_broadcast(&c->read_work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->writer, NULL);
    pthread_join(c->reader, NULL);
    c->started = false;
    cancel_all(c, &c->to_write);
    cancel_all(c, &c->to_read);
}

void chunks_free(struct chunks *c)
{
    if (c == NULL) return;
    must(!c->started);
    for (size_t i = 0; i < c->count; i++) {
        close_file(c, c->file[i]);
        mem_free(c->file[i]);
    }
    mem_free(c->file);
    pthread_cond_destroy(&c->write_work);
    pthread_cond_destroy(&c->read_work);
    pthread_mutex_destroy(&c->sync_lock);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->dir);
    mem_free(c);
}

/* ---- Jobs ---- */

void chunk_queue_push(struct chunk_queue *q, struct chunk_job *job)
{
    job->next = NULL;
    if (q->last != NULL) q->last->next = job;
    else q->first = job;
    q->last = job;
}

struct chunk_job *chunk_queue_pop(struct chunk_queue *q)
{
    struct chunk_job *job = q->first;
    if (job == NULL) return NULL;
    q->first = job->next;
    if (q->first == NULL) q->last = NULL;
    return job;
}

void chunks_start(struct chunks *c, struct chunk_job *job)
{
    bool is_read = job->kind == CHUNK_READ;
    pthread_mutex_lock(&c->lock);
    chunk_queue_push(is_read ? &c->to_read : &c->to_write, job);
    if (job->kind == CHUNK_WRITE) c->backlog += job->parts[0].len + job->parts[1].len;
    pthread_cond_signal(is_read ? &c->read_work : &c->write_work);
    pthread_mutex_unlock(&c->lock);
}

struct chunk_job *chunks_done(struct chunks *c)
{
    pthread_mutex_lock(&c->lock);
    struct chunk_job *job = chunk_queue_pop(&c->finished);
    pthread_mutex_unlock(&c->lock);
    return job;
}

uint64_t chunks_backlog(const struct chunks *c)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
    pthread_mutex_lock(lock);
    uint64_t backlog = c->backlog;
    pthread_mutex_unlock(lock);
    return backlog;
}

int chunks_write_error(const struct chunks *c)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
    pthread_mutex_lock(lock);
    int error = c->write_error;
    pthread_mutex_unlock(lock);
    return error;
}

/* ---- References ---- */

void chunks_hold(struct chunks *c, const struct chunk_ref *ref)
{
    pthread_mutex_lock(&c->lock);
    struct chunk_file *f = chunks_find(c, ref->file);
    must(f != NULL);
    f->live += chunk_size(ref->length);
    f->dead_from = NOT_DEAD;
    pthread_mutex_unlock(&c->lock);
}

void chunks_release(struct chunks *c, const struct chunk_ref *ref)
{
    pthread_mutex_lock(&c->lock);
    struct chunk_file *f = chunks_find(c, ref->file);
    must(f != NULL && f->live >= chunk_size(ref->length));
    f->live -= chunk_size(ref->length);
    pthread_mutex_unlock(&c->lock);
}

bool chunks_has(struct chunks *c, const struct chunk_ref *ref)
{
    pthread_mutex_lock(&c->lock);
    const struct chunk_file *f = chunks_find(c, ref->file);
    bool has = f != NULL && ref->offset >= CHUNK_FILE_HEADER && ref->offset <= f->size &&
               chunk_size(ref->length) <= f->size - ref->offset;
    pthread_mutex_unlock(&c->lock);
    return has;
}

void chunks_note(struct chunks *c, uint64_t position)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->count; i++) {
        struct chunk_file *f = c->file[i];
        if (f->live == 0 && f->full && f->dead_from == NOT_DEAD) f->dead_from = position;
    }
    pthread_mutex_unlock(&c->lock);
}

void chunks_drop_before(struct chunks *c, uint64_t position)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->count;) {
        const struct chunk_file *f = c->file[i];
        bool gone =
            f->live == 0 && f->users == 0 && f->dead_from != NOT_DEAD && f->dead_from <= position;
        if (gone) remove_file(c, i);
        else i++;
    }
    pthread_mutex_unlock(&c->lock);
}

static bool is_sparse(const struct chunk_file *f)
{
    return f->full && !f->stuck && f->live > 0 && f->live < f->size / 2;
}

bool chunks_is_sparse(const struct chunks *c, uint64_t file)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
    pthread_mutex_lock(lock);
    const struct chunk_file *f = chunks_find(c, file);
    bool sparse = f != NULL && is_sparse(f);
    pthread_mutex_unlock(lock);
    return sparse;
}

void chunks_stats(const struct chunks *c, struct chunks_stats *ret)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&c->lock;
    pthread_mutex_lock(lock);
    *ret = (struct chunks_stats){.files = c->count,
                                 .written = c->written,
                                 .read = c->read,
                                 .moved = c->moved,
                                 .write_error = c->write_error};
    for (size_t i = 0; i < c->count; i++) {
        const struct chunk_file *f = c->file[i];
        ret->bytes += f->size;
        ret->live_bytes += f->live;
        if (f->full && (f->live == 0 || is_sparse(f))) ret->dead_bytes += f->size - f->live;
    }
    pthread_mutex_unlock(lock);
}

/* ---- Sync ---- */

/* The next file that needs a sync. It counts as clean from now on: what is written meanwhile makes
 * it dirty again. */
static struct chunk_file *take_dirty(struct chunks *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct chunk_file *f = c->file[i];
        if (!f->dirty) continue;
        f->dirty = false;
        return f;
    }
    return NULL;
}

/* With `lock` held, which it lets go of meanwhile. */
static void sync_dirty(struct chunks *c)
{
    struct chunk_file *f;
    while (c->sync_error == 0 && (f = take_dirty(c)) != NULL) {
        f->users++;
        pthread_mutex_unlock(&c->lock);
        int r = c->files->fdatasync(c->files->ctx, f->fd);
        pthread_mutex_lock(&c->lock);
        f->users--;
        if (r < 0) c->sync_error = r;
    }
}

int chunks_sync(struct chunks *c)
{
    pthread_mutex_lock(&c->sync_lock);
    pthread_mutex_lock(&c->lock);
    sync_dirty(c);
    int r = c->sync_error;
    pthread_mutex_unlock(&c->lock);
    if (r == 0) r = c->files->sync_dir(c->files->ctx, c->dir);
    pthread_mutex_lock(&c->lock);
    if (r < 0) c->sync_error = r;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_unlock(&c->sync_lock);
    return r;
}
