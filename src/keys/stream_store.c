#include "keys/stream_store.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/must.h"
#include "keys/stream_block.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "offsets are written as they are");

/* A closed block on its way into a chunk, or a chunk on its way into another file. */
struct seal {
    struct chunk_job job;
    struct stream_block *block;     /* NULL: gone meanwhile */
    struct stream_block_data *data; /* NULL: it is a move */
};

struct load {
    struct chunk_job job;
    struct stream_block *block; /* NULL: gone meanwhile */
};

void stream_store_init(struct stream_store *store)
{
    *store = (struct stream_store){.memory_max = STREAM_MEMORY_DEFAULT};
    pthread_mutex_init(&store->lock, NULL);
}

void stream_store_fini(struct stream_store *store)
{
    must(store->oldest == NULL && store->first_unsealed == NULL);
    pthread_mutex_destroy(&store->lock);
}

bool stream_store_is_full(const struct stream_store *store)
{
    return store->sealing_bytes > store->memory_max && chunks_write_error(store->chunks) == 0;
}

int stream_store_refusal(const struct stream_store *store)
{
    return store->sealing_bytes > store->memory_max / 2 ? chunks_write_error(store->chunks) : 0;
}

const char *stream_store_error(const struct stream_store *store)
{
    return store->error;
}

void stream_store_stats(const struct stream_store *store, struct stream_store_stats *ret)
{
    *ret = (struct stream_store_stats){.open_bytes = store->open_bytes + store->grown,
                                       .sealing_bytes = store->sealing_bytes,
                                       .cached_bytes = store->cached_bytes,
                                       .loads = store->loads};
}

/* ---- The cache, with `lock` held ---- */

static void link_newest(struct stream_store *store, struct stream_block *b)
{
    b->older = store->newest;
    b->newer = NULL;
    if (store->newest != NULL) store->newest->newer = b;
    else store->oldest = b;
    store->newest = b;
}

static void unlink_cached(struct stream_store *store, struct stream_block *b)
{
    if (b->newer != NULL) b->newer->older = b->older;
    else store->newest = b->older;
    if (b->older != NULL) b->older->newer = b->newer;
    else store->oldest = b->newer;
    b->newer = b->older = NULL;
}

static void cache(struct stream_store *store, struct stream_block *b)
{
    b->cached = true;
    link_newest(store, b);
    store->cached_bytes += stream_block_data_memory(b->data);
}

static void unref(struct stream_block_data *d)
{
    if (--d->refs == 0) stream_block_data_free(d);
}

static void evict(struct stream_store *store, struct stream_block *b)
{
    unlink_cached(store, b);
    store->cached_bytes -= stream_block_data_memory(b->data);
    b->cached = false;
    unref(b->data);
    b->data = NULL;
}

/* ---- Sealing ---- */

static void unlink_unsealed(struct stream_store *store, struct stream *s)
{
    bool linked = s->prev_unsealed != NULL || store->first_unsealed == s;
    if (!linked) return;
    if (s->prev_unsealed != NULL) s->prev_unsealed->next_unsealed = s->next_unsealed;
    else store->first_unsealed = s->next_unsealed;
    if (s->next_unsealed != NULL) s->next_unsealed->prev_unsealed = s->prev_unsealed;
    else store->last_unsealed = s->prev_unsealed;
    s->prev_unsealed = s->next_unsealed = NULL;
}

static void link_unsealed(struct stream_store *store, struct stream *s)
{
    s->prev_unsealed = store->last_unsealed;
    s->next_unsealed = NULL;
    if (store->last_unsealed != NULL) store->last_unsealed->next_unsealed = s;
    else store->first_unsealed = s;
    store->last_unsealed = s;
}

void store_grown(struct stream_store *store, struct stream *s, struct stream_block *tail,
                 size_t bytes)
{
    store->grown += bytes; /* an atomic addition here would be a tenth of what an XADD costs */
    if (store->chunks == NULL || tail->wire_len < STREAM_BLOCK_SEAL_MIN ||
        tail->wire_len - bytes >= STREAM_BLOCK_SEAL_MIN)
        return;
    pthread_mutex_lock(&store->lock);
    link_unsealed(store, s);
    pthread_mutex_unlock(&store->lock);
}

static void start_seal(struct stream_store *store, struct stream_block *b)
{
    struct stream_block_data *d = b->data;
    struct seal *seal = mem_calloc(sizeof *seal);
    seal->block = b;
    seal->data = d;
    seal->job = (struct chunk_job){
        .kind = CHUNK_WRITE,
        .parts = {{(const char *)d->offsets, d->count * sizeof(uint32_t)}, {d->wire, d->wire_len}},
        .owner = seal};
    d->refs++;
    b->seal = seal;
    store->sealing_bytes += b->wire_len;
    store->open_bytes -= b->wire_len;
    chunks_start(store->chunks, &seal->job);
}

/* With `lock` held. */
static void close_tail(struct stream_store *store, struct stream *s, struct stream_block *tail)
{
    must(!tail->closed && tail->count > 0);
    tail->closed = true;
    if (store->chunks == NULL) return;
    unlink_unsealed(store, s);
    start_seal(store, tail);
}

void store_close(struct stream_store *store, struct stream *s, struct stream_block *tail)
{
    pthread_mutex_lock(&store->lock);
    close_tail(store, s, tail);
    pthread_mutex_unlock(&store->lock);
}

/* A write or move is over. With `lock` held. */
static void finish_seal(struct stream_store *store, struct seal *seal)
{
    struct stream_block *b = seal->block;
    bool was_move = seal->data == NULL;
    if (!was_move) store->sealing_bytes -= seal->data->wire_len;
    if (seal->job.result < 0) { /* a move that failed, its source damaged; or it is the end */
        if (!was_move && b != NULL) store->open_bytes += b->wire_len;
    } else if (b == NULL) {
        chunks_release(store->chunks, &seal->job.ref);
    } else {
        if (b->ref.file != 0) chunks_release(store->chunks, &b->ref);
        b->ref = seal->job.ref;
        if (!was_move) cache(store, b);
    }
    if (b != NULL) b->seal = NULL;
    if (!was_move) unref(seal->data);
    mem_free(seal);
}

void store_tidy(struct stream_store *store, struct stream_block *b)
{
    if (b->ref.file == 0 || b->seal != NULL || !chunks_is_sparse(store->chunks, b->ref.file))
        return;
    struct seal *seal = mem_calloc(sizeof *seal);
    seal->block = b;
    seal->job = (struct chunk_job){.kind = CHUNK_MOVE, .ref = b->ref, .owner = seal};
    pthread_mutex_lock(&store->lock);
    b->seal = seal;
    pthread_mutex_unlock(&store->lock);
    chunks_start(store->chunks, &seal->job);
}

/* ---- Loading ---- */

static char *room_for(const struct stream_block *b)
{
    return mem_alloc(b->ref.length);
}

/* The bytes have come: 0 or -EBADMSG. With `lock` held. */
static int attach(struct stream_store *store, struct stream_block *b, char *raw)
{
    struct stream_block_data *d = stream_block_data_of_chunk(raw, b->count, b->wire_len);
    if (!stream_block_data_is_sound(d)) {
        stream_block_data_free(d);
        return -EBADMSG;
    }
    b->data = d;
    cache(store, b);
    return 0;
}

static void describe(struct stream_store *store, const struct stream_block *b, int error)
{
    chunks_describe(store->chunks, &b->ref, error, store->error, sizeof store->error);
}

/* With `lock` held. */
static void start_load(struct stream_store *store, struct stream_block *b)
{
    struct load *load = mem_calloc(sizeof *load);
    load->block = b;
    load->job =
        (struct chunk_job){.kind = CHUNK_READ, .into = room_for(b), .ref = b->ref, .owner = load};
    b->load = load;
    chunks_start(store->chunks, &load->job);
}

static void finish_load(struct stream_store *store, struct load *load)
{
    struct stream_block *b = load->block;
    int r = load->job.result;
    store->loads++;
    if (b != NULL) b->load = NULL;
    /* Moved meanwhile, and where it was may be gone: it is asked for again. */
    if (b != NULL && r < 0 && b->ref.file != load->job.ref.file) b = NULL;
    if (b == NULL || b->data != NULL || r < 0) {
        mem_free(load->job.into);
    } else {
        r = attach(store, b, load->job.into);
    }
    if (b != NULL && r < 0) {
        b->error = r;
        describe(store, b, r);
    }
    mem_free(load);
}

static int read_now(struct stream_store *store, struct stream_block *b)
{
    char *raw = room_for(b);
    int r = chunks_read(store->chunks, &b->ref, raw, store->wait);
    if (r < 0) {
        mem_free(raw);
        return r;
    }
    pthread_mutex_lock(&store->lock);
    r = attach(store, b, raw);
    pthread_mutex_unlock(&store->lock);
    return r;
}

static void touch(struct stream_store *store, struct stream_block *b)
{
    if (!b->cached) return;
    pthread_mutex_lock(&store->lock);
    if (store->newest != b) {
        unlink_cached(store, b);
        link_newest(store, b);
    }
    pthread_mutex_unlock(&store->lock);
}

void store_fetch(struct stream_store *store, struct stream_block *b)
{
    pthread_mutex_lock(&store->lock);
    if (b->data == NULL && b->load == NULL) start_load(store, b);
    pthread_mutex_unlock(&store->lock);
}

int store_get(struct stream_store *store, struct stream_block *b)
{
    if (b->data != NULL) {
        touch(store, b);
        return 0;
    }
    int r = b->error;
    b->error = 0;
    if (r == 0) r = read_now(store, b);
    if (r == -EAGAIN) store_fetch(store, b);
    else if (r < 0) describe(store, b, r);
    return r;
}

void store_passed(struct stream_store *store, struct stream_block *b)
{
    if (!b->cached || store->cached_bytes + store->open_bytes <= store->memory_max) return;
    pthread_mutex_lock(&store->lock);
    evict(store, b);
    pthread_mutex_unlock(&store->lock);
}

/* ---- Blocks that come and go ---- */

bool store_adopt(struct stream_store *store, struct stream_block *b, const struct chunk_ref *ref)
{
    if (store->chunks == NULL) return false;
    if (!chunks_has(store->chunks, ref)) {
        chunks_describe(store->chunks, ref, -ENOENT, store->error, sizeof store->error);
        return false;
    }
    chunks_hold(store->chunks, ref);
    b->ref = *ref;
    b->closed = true;
    return true;
}

struct stream_block *store_share(struct stream_store *store, struct stream_block *b)
{
    must(b->closed);
    struct stream_block *copy = mem_alloc(sizeof *copy);
    *copy = *b;
    copy->seal = NULL;
    copy->load = NULL;
    copy->cached = false;
    copy->newer = copy->older = NULL;
    if (b->deleted != NULL) copy->deleted = mem_dup(b->deleted, stream_block_deleted_bytes(b));
    pthread_mutex_lock(&store->lock);
    if (b->ref.file != 0) {
        chunks_hold(store->chunks, &b->ref);
        copy->data = NULL; /* it comes from the chunk when it is asked for */
    } else if (store->chunks != NULL) {
        copy->data->refs++;
        store->open_bytes += copy->wire_len;
        start_seal(store, copy);
    } else {
        copy->data->refs++;
        store->open_bytes += copy->wire_len;
    }
    pthread_mutex_unlock(&store->lock);
    return copy;
}

static void forget_bytes(struct stream_store *store, struct stream_block *b)
{
    if (b->cached) {
        evict(store, b);
    } else if (b->data != NULL) {
        bool sealing = b->seal != NULL; /* then the bytes count until that is done */
        if (!sealing) store->open_bytes -= b->wire_len;
        unref(b->data);
    }
    b->data = NULL;
}

void store_forget(struct stream_store *store, struct stream_block *b)
{
    if (b == NULL) return;
    pthread_mutex_lock(&store->lock);
    forget_bytes(store, b);
    if (b->seal != NULL) b->seal->block = NULL;
    if (b->load != NULL) b->load->block = NULL;
    if (b->ref.file != 0) chunks_release(store->chunks, &b->ref);
    pthread_mutex_unlock(&store->lock);
    stream_block_free(b);
}

void store_forget_tail(struct stream_store *store, struct stream *s)
{
    pthread_mutex_lock(&store->lock);
    unlink_unsealed(store, s);
    pthread_mutex_unlock(&store->lock);
}

/* ---- Turns ---- */

static void finish(struct stream_store *store, struct chunk_job *job)
{
    pthread_mutex_lock(&store->lock);
    if (job->kind == CHUNK_READ) finish_load(store, job->owner);
    else finish_seal(store, job->owner);
    pthread_mutex_unlock(&store->lock);
}

/* What was written is taken note of; what was read is returned, one job linked to the next. */
static struct chunk_job *take_finished(struct stream_store *store)
{
    struct chunk_job *job, *loads = NULL;
    while ((job = chunks_done(store->chunks)) != NULL) {
        if (job->kind != CHUNK_READ) {
            finish(store, job);
            continue;
        }
        job->next = loads;
        loads = job;
    }
    return loads;
}

static void finish_all(struct stream_store *store, struct chunk_job *jobs)
{
    for (struct chunk_job *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        finish(store, job);
    }
}

/* Under the lock from the first look to the last: a stream that is being freed by another thread
 * takes itself off the list before anything of it goes. */
static void seal_some(struct stream_store *store)
{
    struct stream *s;
    if (store->open_bytes <= store->memory_max / 2) return;
    pthread_mutex_lock(&store->lock);
    while (store->open_bytes > store->memory_max / 2 && (s = store->first_unsealed) != NULL)
        close_tail(store, s, s->blocks[s->first + s->count - 1]);
    pthread_mutex_unlock(&store->lock);
}

static void evict_some(struct stream_store *store)
{
    if (store->cached_bytes == 0) return;
    pthread_mutex_lock(&store->lock);
    while (store->oldest != NULL && store->cached_bytes + store->open_bytes > store->memory_max)
        evict(store, store->oldest);
    pthread_mutex_unlock(&store->lock);
}

void stream_store_end(struct stream_store *store)
{
    if (store->chunks != NULL) finish_all(store, take_finished(store));
}

static void count_grown(struct stream_store *store)
{
    if (store->grown > 0) store->open_bytes += store->grown;
    store->grown = 0;
}

void stream_store_turn(struct stream_store *store)
{
    static const struct timespec pause = {.tv_nsec = 500000};
    count_grown(store);
    if (store->chunks == NULL) return;
    struct chunk_job *loads = take_finished(store);
    seal_some(store);
    evict_some(store);
    finish_all(store, loads); /* behind that: who waits for them has to find them */
    /* While a start replays, nobody else holds the writer of entries back. */
    while (store->wait && stream_store_is_full(store)) {
        nanosleep(&pause, NULL);
        finish_all(store, take_finished(store));
    }
}
