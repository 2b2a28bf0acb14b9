/* What a power failure may leave follows the promises of POSIX and of disks, no more: a completed
 * fdatasync() keeps the writes that had returned before it began; a completed sync of the directory
 * keeps the names; sectors of 512 bytes are written whole or not; a sector shows its file as it was
 * at some moment since the last sync. */
#include "log/file_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"

enum { SECTOR = 512 };

enum op_kind { OP_CREATE, OP_WRITE, OP_SIZE, OP_SYNC, OP_SYNC_DIR, OP_RENAME, OP_UNLINK, OP_NOTE };

struct fault_op {
    enum op_kind kind;
    uint64_t inode;
    uint64_t offset; /* of a write; the new size; the value of a note */
    size_t len;
    char *data;      /* of a write */
    char *name, *to; /* of names */
    size_t since;    /* a sync covers writes that were done before this operation */
    size_t done;     /* a write had returned before this operation; SIZE_MAX: never */
};

/* --- Faults --- */

/* Counts the call and does what its rule says; 0 or the error to return. */
static int meet(struct file_fault *f, enum fault_call call, bool *ret_shorten)
{
    pthread_mutex_lock(&f->lock);
    uint64_t n = ++f->calls[call];
    struct fault_rule r = f->rules[call];
    pthread_mutex_unlock(&f->lock);
    if (r.nth == 0 || n < r.nth || (n > r.nth && !r.onwards)) return 0;
    if (r.delay_us > 0) usleep(r.delay_us);
    if (ret_shorten != NULL) *ret_shorten = r.shorten;
    return r.error;
}

void file_fault_set(struct file_fault *f, enum fault_call call, struct fault_rule rule)
{
    pthread_mutex_lock(&f->lock);
    f->rules[call] = rule;
    f->calls[call] = 0;
    pthread_mutex_unlock(&f->lock);
}

void file_fault_clear(struct file_fault *f)
{
    for (int i = 0; i < FAULT_CALLS; i++) file_fault_set(f, i, (struct fault_rule){0});
}

void file_fault_give_space(struct file_fault *f, int64_t space)
{
    pthread_mutex_lock(&f->lock);
    f->space = space;
    pthread_mutex_unlock(&f->lock);
}

/* --- Recording --- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* With the lock held; returns the operation's index. */
static size_t add_op(struct file_fault *f, struct fault_op op)
{
    if (f->op_count == f->op_cap) {
        f->op_cap = f->op_cap > 0 ? f->op_cap * 2 : 64;
        f->ops = mem_realloc(f->ops, f->op_cap * sizeof(*f->ops));
    }
    f->ops[f->op_count] = op;
    return f->op_count++;
}

struct survey {
    struct file_fault *f;
    const char *dir;
    bool synced;
};

/* Records a file that is there already, as if it had just been written. */
static int record_file(void *arg, const char *name)
{
    struct survey *s = arg;
    char path[4096];
    uint64_t size, allocated;
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    int fd = open(path, O_RDONLY);
    must(fd >= 0 && file_layer_real.measure(NULL, fd, &size, &allocated) == 0);
    char *data = mem_alloc(size + 1);
    must(file_read_all(&file_layer_real, fd, data, size, 0) == 0);
    close(fd);
    uint64_t inode = ++s->f->inodes;
    size_t at = s->f->op_count;
    struct fault_op write = {
        .kind = OP_WRITE, .inode = inode, .len = size, .data = data, .done = at + 3};
    add_op(s->f, (struct fault_op){.kind = OP_CREATE, .inode = inode, .name = mem_strdup(name)});
    add_op(s->f, (struct fault_op){.kind = OP_SIZE, .inode = inode, .offset = size});
    add_op(s->f, write);
    /* The size is safe in either case: a file has its name only when it is whole. */
    add_op(s->f, (struct fault_op){
                     .kind = OP_SYNC, .inode = inode, .since = s->synced ? at + 3 : at + 2});
    return 0;
}

void file_fault_record(struct file_fault *f, const char *dir, bool synced)
{
    pthread_mutex_lock(&f->lock);
    must(f->op_count == 0);
    must(file_layer_real.list(NULL, dir, record_file, &(struct survey){f, dir, synced}) == 0);
    add_op(f, (struct fault_op){.kind = OP_SYNC_DIR, .since = f->op_count});
    f->base_ops = f->op_count;
    f->recording = true;
    pthread_mutex_unlock(&f->lock);
}

size_t file_fault_note(struct file_fault *f, uint64_t value)
{
    pthread_mutex_lock(&f->lock);
    if (f->recording) add_op(f, (struct fault_op){.kind = OP_NOTE, .offset = value});
    size_t ops = f->op_count;
    pthread_mutex_unlock(&f->lock);
    return ops;
}

static uint64_t inode_of(struct file_fault *f, int fd)
{
    return (size_t)fd < f->fd_cap ? f->inode_of_fd[fd] : 0;
}

/* The inode that a name has now, 0 when it has none. With the lock held. */
static uint64_t inode_named(struct file_fault *f, const char *name)
{
    uint64_t inode = 0;
    for (size_t i = 0; i < f->op_count; i++) {
        const struct fault_op *op = &f->ops[i];
        if (op->name == NULL) continue;
        if (op->kind == OP_RENAME && strcmp(op->to, name) == 0) inode = op->inode;
        if (strcmp(op->name, name) == 0) inode = op->kind == OP_CREATE ? op->inode : 0;
    }
    return inode;
}

static void note_opened(struct file_fault *f, int fd, const char *path, int flags)
{
    pthread_mutex_lock(&f->lock);
    if ((size_t)fd >= f->fd_cap) {
        size_t cap = (size_t)fd + 64;
        f->inode_of_fd = mem_realloc(f->inode_of_fd, cap * sizeof(*f->inode_of_fd));
        memset(f->inode_of_fd + f->fd_cap, 0, (cap - f->fd_cap) * sizeof(*f->inode_of_fd));
        f->fd_cap = cap;
    }
    f->inode_of_fd[fd] = 0;
    if (f->recording) {
        uint64_t inode = inode_named(f, base_name(path));
        if (inode == 0 && (flags & O_CREAT) != 0) {
            inode = ++f->inodes;
            char *name = mem_strdup(base_name(path));
            add_op(f, (struct fault_op){.kind = OP_CREATE, .inode = inode, .name = name});
        } else if (inode != 0 && (flags & O_TRUNC) != 0) {
            add_op(f, (struct fault_op){.kind = OP_SIZE, .inode = inode});
        }
        f->inode_of_fd[fd] = inode;
    }
    pthread_mutex_unlock(&f->lock);
}

/* --- The table --- */

static int fault_open(void *ctx, const char *path, int flags, mode_t mode)
{
    struct file_fault *f = ctx;
    bool direct = flags & O_DIRECT;
    if (direct && f->no_direct) return -EINVAL;
    int r = direct ? 0 : meet(f, FAULT_OPEN, NULL);
    if (r < 0) return r;
    r = file_layer_real.open(NULL, path, flags & ~O_DIRECT, mode);
    if (r >= 0) note_opened(f, r, path, flags);
    return r;
}

static void fault_close(void *ctx, int fd)
{
    file_layer_real.close(NULL, fd);
}

static ssize_t fault_pread(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    bool shorten = false;
    int r = meet(ctx, FAULT_READ, &shorten);
    if (r < 0) return r;
    return file_layer_real.pread(NULL, fd, data, shorten && n > 1 ? n / 2 : n, offset);
}

static char *flatten(const struct iovec *iov, int count, size_t *ret_len)
{
    size_t n = 0;
    for (int i = 0; i < count; i++) n += iov[i].iov_len;
    char *data = mem_alloc(n + 1), *at = data;
    for (int i = 0; i < count; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    *ret_len = n;
    return data;
}

static ssize_t fault_pwritev(void *ctx, int fd, const struct iovec *iov, int count, uint64_t offset)
{
    struct file_fault *f = ctx;
    bool shorten = false;
    size_t n, index = SIZE_MAX;
    int error = meet(f, FAULT_WRITE, &shorten);
    if (error < 0) return error;
    char *data = flatten(iov, count, &n);
    if (shorten && n > 1) n /= 2;

    pthread_mutex_lock(&f->lock);
    uint64_t inode = inode_of(f, fd);
    if (f->recording && inode != 0)
        index = add_op(f, (struct fault_op){.kind = OP_WRITE,
                                            .inode = inode,
                                            .offset = offset,
                                            .len = n,
                                            .data = data,
                                            .done = SIZE_MAX});
    pthread_mutex_unlock(&f->lock);

    struct iovec part = {data, n};
    ssize_t r = file_layer_real.pwritev(NULL, fd, &part, 1, offset);
    pthread_mutex_lock(&f->lock);
    if (index == SIZE_MAX) mem_free(data);
    else if (r == (ssize_t)n) f->ops[index].done = f->op_count;
    pthread_mutex_unlock(&f->lock);
    return r;
}

/* A sync of a file or of the directory: it covers what was done when it began. */
static void record_sync(struct file_fault *f, enum op_kind kind, int fd, size_t since)
{
    pthread_mutex_lock(&f->lock);
    struct fault_op op = {.kind = kind, .since = since};
    if (kind == OP_SYNC) op.inode = inode_of(f, fd);
    if (f->recording) add_op(f, op);
    pthread_mutex_unlock(&f->lock);
}

static size_t op_count(struct file_fault *f)
{
    pthread_mutex_lock(&f->lock);
    size_t n = f->op_count;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static int fault_fdatasync(void *ctx, int fd)
{
    struct file_fault *f = ctx;
    size_t since = op_count(f);
    int r = meet(f, FAULT_SYNC, NULL);
    if (r == 0) r = file_layer_real.fdatasync(NULL, fd);
    if (r == 0) record_sync(f, OP_SYNC, fd, since);
    return r;
}

/* Both that a write and that a sync may meet. */
static ssize_t fault_pwrite_durable(void *ctx, int fd, const void *data, size_t n, uint64_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)data, n};
    must((uintptr_t)data % FILE_BLOCK == 0 && n % FILE_BLOCK == 0 && offset % FILE_BLOCK == 0);
    ssize_t r = fault_pwritev(ctx, fd, &iov, 1, offset);
    int synced = r > 0 ? fault_fdatasync(ctx, fd) : 0;
    return synced < 0 ? synced : r;
}

static int fault_sync_dir(void *ctx, const char *dir)
{
    struct file_fault *f = ctx;
    size_t since = op_count(f);
    int r = meet(f, FAULT_SYNC_DIR, NULL);
    if (r == 0) r = file_layer_real.sync_dir(NULL, dir);
    if (r == 0) record_sync(f, OP_SYNC_DIR, -1, since);
    return r;
}

static void record_size(struct file_fault *f, int fd, uint64_t size)
{
    pthread_mutex_lock(&f->lock);
    if (f->recording)
        add_op(f, (struct fault_op){.kind = OP_SIZE, .inode = inode_of(f, fd), .offset = size});
    pthread_mutex_unlock(&f->lock);
}

static int fault_allocate(void *ctx, int fd, uint64_t offset, uint64_t n)
{
    struct file_fault *f = ctx;
    uint64_t size = 0, allocated = 0;
    int r = meet(f, FAULT_ALLOCATE, NULL);
    if (r < 0) return r;
    file_layer_real.measure(NULL, fd, &size, &allocated);
    if (offset + n > size) { /* space inside the file was paid for before */
        pthread_mutex_lock(&f->lock);
        bool enough = f->space < 0 || (uint64_t)f->space >= offset + n - size;
        if (enough && f->space >= 0) f->space -= (int64_t)(offset + n - size);
        pthread_mutex_unlock(&f->lock);
        if (!enough) return -ENOSPC;
    }
    r = file_layer_real.allocate(NULL, fd, offset, n);
    if (r == 0 && offset + n > size) record_size(f, fd, offset + n);
    return r;
}

static int fault_measure(void *ctx, int fd, uint64_t *ret_size, uint64_t *ret_allocated)
{
    int r = meet(ctx, FAULT_MEASURE, NULL);
    return r < 0 ? r : file_layer_real.measure(NULL, fd, ret_size, ret_allocated);
}

static int fault_truncate(void *ctx, int fd, uint64_t size)
{
    int r = meet(ctx, FAULT_TRUNCATE, NULL);
    if (r == 0) r = file_layer_real.truncate(NULL, fd, size);
    if (r == 0) record_size(ctx, fd, size);
    return r;
}

static int fault_rename(void *ctx, const char *from, const char *to)
{
    struct file_fault *f = ctx;
    int r = meet(f, FAULT_RENAME, NULL);
    if (r == 0) r = file_layer_real.rename(NULL, from, to);
    if (r < 0) return r;
    pthread_mutex_lock(&f->lock);
    if (f->recording)
        add_op(f, (struct fault_op){.kind = OP_RENAME,
                                    .inode = inode_named(f, base_name(from)),
                                    .name = mem_strdup(base_name(from)),
                                    .to = mem_strdup(base_name(to))});
    pthread_mutex_unlock(&f->lock);
    return 0;
}

static int fault_unlink(void *ctx, const char *path)
{
    struct file_fault *f = ctx;
    int r = meet(f, FAULT_UNLINK, NULL);
    if (r == 0) r = file_layer_real.unlink(NULL, path);
    if (r < 0) return r;
    pthread_mutex_lock(&f->lock);
    if (f->recording)
        add_op(f, (struct fault_op){.kind = OP_UNLINK, .name = mem_strdup(base_name(path))});
    pthread_mutex_unlock(&f->lock);
    return 0;
}

static int fault_mkdir(void *ctx, const char *path, mode_t mode)
{
    int r = meet(ctx, FAULT_MKDIR, NULL);
    return r < 0 ? r : file_layer_real.mkdir(NULL, path, mode);
}

static int fault_list(void *ctx, const char *dir, int (*fn)(void *arg, const char *name), void *arg)
{
    int r = meet(ctx, FAULT_LIST, NULL);
    return r < 0 ? r : file_layer_real.list(NULL, dir, fn, arg);
}

static int fault_lock(void *ctx, int fd)
{
    int r = meet(ctx, FAULT_LOCK, NULL);
    return r < 0 ? r : file_layer_real.lock(NULL, fd);
}

void file_fault_init(struct file_fault *f)
{
    *f = (struct file_fault){.space = -1};
    pthread_mutex_init(&f->lock, NULL);
    f->layer = (struct file_layer){
        .ctx = f,
        .open = fault_open,
        .close = fault_close,
        .pread = fault_pread,
        .pread_now = fault_pread, /* counts as a read, and waits */
        .pwritev = fault_pwritev,
        .pwrite_durable = fault_pwrite_durable,
        .fdatasync = fault_fdatasync,
        .sync_dir = fault_sync_dir,
        .allocate = fault_allocate,
        .measure = fault_measure,
        .truncate = fault_truncate,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .list = fault_list,
        .lock = fault_lock,
    };
}

void file_fault_fini(struct file_fault *f)
{
    for (size_t i = 0; i < f->op_count; i++) {
        mem_free(f->ops[i].data);
        mem_free(f->ops[i].name);
        mem_free(f->ops[i].to);
    }
    mem_free(f->ops);
    mem_free(f->inode_of_fd);
    pthread_mutex_destroy(&f->lock);
}

/* --- Power failure --- */

struct crash {
    const struct file_fault *f;
    size_t ops;
    enum fault_loss loss;
    uint64_t seed;
    size_t cut; /* of LOSS_TAIL: the operation that is torn */
};

/* A number that is the same for the same question of one crash. */
static uint64_t draw(const struct crash *c, uint64_t a, uint64_t b)
{
    struct rng r;
    rng_seed(&r, c->seed ^ (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu));
    return rng_next(&r);
}

/* Writes and sizes of the inode that had returned before this operation are safe. */
static size_t synced_before(const struct crash *c, uint64_t inode)
{
    size_t before = 0;
    for (size_t i = 0; i < c->ops; i++) {
        const struct fault_op *op = &c->f->ops[i];
        if (op->kind == OP_SYNC && op->inode == inode && op->since > before) before = op->since;
    }
    return before;
}

/* Does this write, not synced, reach this sector as far as it alone decides? */
static bool reaches(const struct crash *c, size_t index, uint64_t inode, uint64_t sector)
{
    switch (c->loss) {
    case LOSS_NONE:
        return true;
    case LOSS_TAIL:
        return index < c->cut || (index == c->cut && draw(c, index, sector) % 2 == 0);
    case LOSS_WRITES:
        return draw(c, index, 0) % 2 == 0;
    case LOSS_SECTORS:
        return draw(c, inode, sector) % (c->ops + 1) > index;
    default:
        return false;
    }
}

struct image {
    char *data;
    uint64_t size, cap;
};

static void image_resize(struct image *m, uint64_t size)
{
    if (size > m->cap) {
        m->data = mem_realloc(m->data, size);
        m->cap = size;
    }
    if (size > m->size) memset(m->data + m->size, 0, size - m->size);
    m->size = size;
}

/* Applies the part of a write that lies in one sector. */
static void apply_sector(struct image *m, const struct fault_op *op, uint64_t sector)
{
    uint64_t from = sector * SECTOR, to = from + SECTOR;
    if (from < op->offset) from = op->offset;
    if (to > op->offset + op->len) to = op->offset + op->len;
    if (to > m->size) image_resize(m, to);
    memcpy(m->data + from, op->data + (from - op->offset), to - from);
}

/* A sector that a later write reaches shows the earlier ones too. */
static bool is_shown(const struct crash *c, size_t index, uint64_t sector)
{
    const struct fault_op *op = &c->f->ops[index];
    for (size_t i = index; i < c->ops; i++) {
        const struct fault_op *later = &c->f->ops[i];
        if (later->kind == OP_WRITE && later->inode == op->inode &&
            later->offset < (sector + 1) * SECTOR && later->offset + later->len > sector * SECTOR &&
            reaches(c, i, op->inode, sector))
            return true;
    }
    return false;
}

static void apply(const struct crash *c, struct image *m, size_t index, bool safe)
{
    const struct fault_op *op = &c->f->ops[index];
    if (op->kind == OP_SIZE) {
        if (safe || reaches(c, index, op->inode, 0)) image_resize(m, op->offset);
        return;
    }
    for (uint64_t s = op->offset / SECTOR; s * SECTOR < op->offset + op->len; s++)
        if (safe || is_shown(c, index, s)) apply_sector(m, op, s);
}

static void build_file(const struct crash *c, uint64_t inode, const char *dir, const char *name)
{
    struct image m = {0};
    size_t safe_before = synced_before(c, inode);
    for (size_t i = 0; i < c->ops; i++) {
        const struct fault_op *op = &c->f->ops[i];
        if (op->inode != inode || (op->kind != OP_WRITE && op->kind != OP_SIZE)) continue;
        size_t done = op->kind == OP_WRITE ? op->done : i + 1;
        apply(c, &m, i, done <= safe_before);
    }
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0);
    struct iovec iov = {m.data, m.size};
    must(file_write_all(&file_layer_real, fd, &iov, 1, 0) == 0);
    close(fd);
    mem_free(m.data);
}

/* Names changed since the last sync of the directory are lost from some moment on. */
static size_t names_upto(const struct crash *c)
{
    size_t safe = 0;
    for (size_t i = 0; i < c->ops; i++) {
        const struct fault_op *op = &c->f->ops[i];
        if (op->kind == OP_SYNC_DIR && op->since > safe) safe = op->since;
    }
    if (c->loss == LOSS_ALL) return safe;
    if (c->loss == LOSS_NONE) return c->ops;
    return safe + draw(c, 1, 1) % (c->ops - safe + 1);
}

/* Is this operation the last one, before `upto`, that gives the inode a name and takes none away?
 */
static bool name_holds(const struct crash *c, size_t index, const char *name, size_t upto)
{
    for (size_t i = index + 1; i < upto; i++) {
        const struct fault_op *op = &c->f->ops[i];
        if (op->name != NULL && strcmp(op->name, name) == 0) return false;
        if (op->to != NULL && strcmp(op->to, name) == 0) return false;
    }
    return true;
}

uint64_t file_fault_crash(struct file_fault *f, size_t ops, enum fault_loss loss, uint64_t seed,
                          const char *into_dir)
{
    must(ops <= f->op_count);
    struct crash c = {.f = f, .ops = ops, .loss = loss, .seed = seed};
    c.cut = draw(&c, 2, 2) % (ops + 1);
    size_t upto = names_upto(&c);
    uint64_t promised = 0;
    for (size_t i = 0; i < ops; i++) {
        const struct fault_op *op = &f->ops[i];
        const char *name = op->kind == OP_RENAME ? op->to : op->name;
        if (op->kind == OP_NOTE && op->offset > promised) promised = op->offset;
        if (i < upto && (op->kind == OP_CREATE || op->kind == OP_RENAME) && op->inode != 0 &&
            name_holds(&c, i, name, upto))
            build_file(&c, op->inode, into_dir, name);
    }
    return promised;
}
