/* The chunk store's threads, and the bytes of its files.
 *
 * The writer takes what is queued and appends it to the newest file in one write; when that fails,
 * the disk full, say, the jobs stay queued and are tried again. What a failed write may have left
 * behind the file's end is overwritten by the next. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"
#include "log/chunks_priv.h"
#include "log/format.h"
#include "log/segment.h"

static const char file_magic[8] = "leat-chk";
static const char chunk_magic[4] = "chnk";

/* ---- Bytes: see docs/format.md ---- */

enum { CRC_FROM = 12 }; /* of the header page: what its checksum covers begins here */

void chunk_file_header_encode(char page[CHUNK_FILE_HEADER], uint64_t number)
{
    memset(page, 0, CHUNK_FILE_HEADER);
    memcpy(page, file_magic, sizeof file_magic);
    store_u32(page + 12, FORMAT_VERSION);
    store_u64(page + 16, number);
    store_u32(page + 8, crc32c(0, page + CRC_FROM, CHUNK_FILE_HEADER - CRC_FROM));
}

int chunk_file_header_check(const char *page, uint64_t number)
{
    if (memcmp(page, file_magic, sizeof file_magic) != 0) return -EBADMSG;
    if (load_u32(page + 8) != crc32c(0, page + CRC_FROM, CHUNK_FILE_HEADER - CRC_FROM))
        return -EBADMSG;
    if (load_u32(page + 12) > FORMAT_VERSION) return -EPROTONOSUPPORT;
    return load_u64(page + 16) == number ? 0 : -EBADMSG;
}

static void chunk_header_encode(char out[CHUNK_HEADER], const struct chunk_ref *ref)
{
    memset(out, 0, CHUNK_HEADER);
    memcpy(out, chunk_magic, sizeof chunk_magic);
    store_u32(out + 8, ref->length);
    store_u32(out + 12, ref->crc);
    store_u64(out + 16, ref->offset);
    store_u32(out + 4, crc32c(0, out + 8, CHUNK_HEADER - 8));
}

bool chunk_header_decode(const char *p, struct chunk_header *ret)
{
    if (memcmp(p, chunk_magic, sizeof chunk_magic) != 0) return false;
    if (load_u32(p + 4) != crc32c(0, p + 8, CHUNK_HEADER - 8)) return false;
    *ret = (struct chunk_header){
        .length = load_u32(p + 8), .crc = load_u32(p + 12), .offset = load_u64(p + 16)};
    return true;
}

void chunks_describe(const struct chunks *c, const struct chunk_ref *ref, int error, char *out,
                     size_t size)
{
    char name[CHUNK_NAME_MAX];
    chunks_name(name, ref->file);
    if (error == -EBADMSG)
        snprintf(out, size, "%s/%s: the chunk at offset %llu (%u bytes) is damaged", c->dir, name,
                 (unsigned long long)ref->offset, ref->length);
    else
        snprintf(out, size, "%s/%s: reading %u bytes at offset %llu failed: %s", c->dir, name,
                 ref->length, (unsigned long long)ref->offset, strerror(-error));
}

/* ---- Reading ---- */

static ssize_t read_fully(const struct chunks *c, int fd, char *into, size_t n, uint64_t offset,
                          bool wait)
{
    if (wait) {
        int r = file_read_all(c->files, fd, into, n, offset);
        return r == -ENODATA ? -EBADMSG : r;
    }
    for (size_t done = 0; done < n;) {
        ssize_t r = c->files->pread_now(c->files->ctx, fd, into + done, n - done, offset + done);
        if (r == 0) return -EBADMSG;
        if (r < 0) return r;
        /* What is not in memory ends a read short of its end: the rest says -EAGAIN. */
        done += (size_t)r;
    }
    return 0;
}

int chunks_read(struct chunks *c, const struct chunk_ref *ref, char *into, bool wait)
{
    pthread_mutex_lock(&c->lock);
    struct chunk_file *f = chunks_find(c, ref->file);
    int fd = f != NULL ? chunks_open_file(c, f) : -ENOENT;
    if (fd >= 0) f->users++;
    pthread_mutex_unlock(&c->lock);
    if (fd < 0) return fd;
    ssize_t r = read_fully(c, fd, into, ref->length, ref->offset + CHUNK_HEADER, wait);
    pthread_mutex_lock(&c->lock);
    f->users--;
    pthread_mutex_unlock(&c->lock);
    if (r < 0) return (int)r;
    return crc32c(0, into, ref->length) == ref->crc ? 0 : -EBADMSG;
}

static void finish(struct chunks *c, struct chunk_job *job)
{
    static const uint64_t one = 1;
    chunk_queue_push(&c->finished, job);
    if (c->wake_fd >= 0 && write(c->wake_fd, &one, sizeof one) < 0) {
        /* The eventfd is as full as can be: its owner wakes anyway. */
    }
}

void *chunks_reader_main(void *arg)
{
    struct chunks *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        struct chunk_job *job = chunk_queue_pop(&c->to_read);
        if (job == NULL) {
            pthread_cond_wait(&c->read_work, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        job->result = chunks_read(c, &job->ref, job->into, true);
        pthread_mutex_lock(&c->lock);
        c->read++;
        finish(c, job);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ---- Writing ---- */

/* Chunks that go out in one write. */
struct batch {
    struct chunk_job *first, *last;
    unsigned jobs;
    uint64_t bytes;
    char header[CHUNKS_TOGETHER][CHUNK_HEADER];
    struct iovec iov[CHUNKS_TOGETHER * 4];
    int parts;
};

static void add_part(struct batch *b, const void *data, size_t n)
{
    if (n > 0) b->iov[b->parts++] = (struct iovec){(void *)data, n};
}

static void add_chunk(struct batch *b, struct chunk_job *job, const struct chunk_file *f)
{
    static const char padding[8];
    char *header = b->header[b->jobs++];
    uint32_t length = (uint32_t)(job->parts[0].len + job->parts[1].len);
    uint32_t crc = crc32c(0, job->parts[0].data, job->parts[0].len);
    job->ref = (struct chunk_ref){.file = f->number,
                                  .offset = f->size + b->bytes,
                                  .length = length,
                                  .crc = crc32c(crc, job->parts[1].data, job->parts[1].len)};
    chunk_header_encode(header, &job->ref);
    add_part(b, header, CHUNK_HEADER);
    add_part(b, job->parts[0].data, job->parts[0].len);
    add_part(b, job->parts[1].data, job->parts[1].len);
    add_part(b, padding, chunk_size(length) - CHUNK_HEADER - length);
    b->bytes += chunk_size(length);
}

/* Reads what is to be moved into job->into, which the writer frees. */
static int fetch(struct chunks *c, struct chunk_job *job)
{
    char *bytes = mem_alloc(job->ref.length > 0 ? job->ref.length : 1);
    int r = chunks_read(c, &job->ref, bytes, true);
    if (r < 0) {
        mem_free(bytes);
        return r;
    }
    job->into = bytes;
    job->parts[0] = (struct bytes){bytes, job->ref.length};
    job->parts[1] = (struct bytes){NULL, 0};
    return 0;
}

static struct chunk_file *newest(const struct chunks *c)
{
    struct chunk_file *f = c->count > 0 ? c->file[c->count - 1] : NULL;
    return f != NULL && !f->full ? f : NULL;
}

/* With `lock` held, which it lets go of. NULL with *ret_error. */
static struct chunk_file *make_file(struct chunks *c, int *ret_error)
{
    char name[CHUNK_NAME_MAX], page[CHUNK_FILE_HEADER];
    uint64_t number = c->next_number;
    chunks_name(name, number);
    chunk_file_header_encode(page, number);
    char *path = path_join(c->dir, name);
    struct iovec iov = {page, sizeof page};
    pthread_mutex_unlock(&c->lock);
    int fd = c->files->open(c->files->ctx, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int r = fd < 0 ? fd : file_write_all(c->files, fd, &iov, 1, 0);
    if (r < 0 && fd >= 0) {
        c->files->close(c->files->ctx, fd);
        c->files->unlink(c->files->ctx, path);
    }
    mem_free(path);
    pthread_mutex_lock(&c->lock);
    *ret_error = r;
    if (r < 0) return NULL;
    struct chunk_file *f = chunks_add_file(c, number, sizeof page);
    chunks_note_open(c, f, fd);
    f->dirty = true;
    return f;
}

static struct chunk_file *file_to_write(struct chunks *c, int *ret_error)
{
    struct chunk_file *f = newest(c);
    if (f != NULL && f->size < c->file_bytes) return f;
    if (f != NULL) f->full = true;
    return make_file(c, ret_error);
}

/* Takes jobs off the queue, as many as go together. With `lock` held, which it lets go of to read
 * what is to be moved. */
static void gather(struct chunks *c, struct batch *b, const struct chunk_file *f)
{
    struct chunk_queue taken = {0};
    while (b->jobs < CHUNKS_TOGETHER && (b->jobs == 0 || f->size + b->bytes < c->file_bytes)) {
        struct chunk_job *job = chunk_queue_pop(&c->to_write);
        if (job == NULL) break;
        pthread_mutex_unlock(&c->lock);
        job->result = job->kind == CHUNK_MOVE && job->into == NULL ? fetch(c, job) : 0;
        if (job->result == 0) add_chunk(b, job, f);
        pthread_mutex_lock(&c->lock);
        if (job->result == 0) {
            chunk_queue_push(&taken, job);
            continue;
        }
        /* Its owner may be gone, and the file with it. */
        struct chunk_file *from = chunks_find(c, job->ref.file);
        if (from != NULL) from->stuck = true;
        finish(c, job);
    }
    b->first = taken.first;
    b->last = taken.last;
}

static void count_written(struct chunks *c, struct chunk_job *job)
{
    if (job->kind == CHUNK_MOVE) {
        c->moved++;
        mem_free(job->into);
        job->into = NULL;
    } else {
        c->written++;
        c->backlog -= job->parts[0].len + job->parts[1].len;
    }
}

/* Back to the front of the queue, in their order. */
static void put_back(struct chunks *c, struct batch *b)
{
    if (b->first == NULL) return;
    b->last->next = c->to_write.first;
    if (c->to_write.first == NULL) c->to_write.last = b->last;
    c->to_write.first = b->first;
}

static void pause_after_failure(struct chunks *c)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += RETRY_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    while (!c->stopping && pthread_cond_timedwait(&c->write_work, &c->lock, &at) != ETIMEDOUT) {
    }
}

/* One write. With `lock` held, which it lets go of meanwhile. */
static void write_some(struct chunks *c)
{
    int r = 0;
    struct batch b;
    struct chunk_file *f = file_to_write(c, &r);
    b.first = b.last = NULL;
    b.jobs = 0;
    b.bytes = 0;
    b.parts = 0;
    if (f != NULL) {
        gather(c, &b, f);
        uint64_t offset = f->size;
        int fd = f->fd;
        pthread_mutex_unlock(&c->lock);
        r = file_write_all(c->files, fd, b.iov, b.parts, offset);
        pthread_mutex_lock(&c->lock);
    }
    c->write_error = r < 0 ? r : 0;
    if (r < 0) {
        put_back(c, &b);
        pause_after_failure(c);
        return;
    }
    f->size += b.bytes;
    f->dirty = true;
    for (struct chunk_job *job = b.first, *next; job != NULL; job = next) {
        next = job->next;
        /* It is held for its owner, who may not have looked yet when the file becomes full. */
        f->live += chunk_size(job->ref.length);
        count_written(c, job);
        finish(c, job);
    }
}

void *chunks_writer_main(void *arg)
{
    struct chunks *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        if (c->to_write.first != NULL) write_some(c);
        else pthread_cond_wait(&c->write_work, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}
