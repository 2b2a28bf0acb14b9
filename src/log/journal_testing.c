#include "log/journal_testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "log/inspect.h"

char *scratch_new(void)
{
    char path[] = "/dev/shm/leat-test-XXXXXX", elsewhere[] = "/tmp/leat-test-XXXXXX";
    char *made = mkdtemp(path);
    if (made == NULL) made = mkdtemp(elsewhere);
    must(made != NULL);
    return mem_strdup(made);
}

void scratch_clear(const char *dir)
{
    DIR *d = opendir(dir);
    must(d != NULL);
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') must(unlinkat(dirfd(d), e->d_name, 0) == 0);
    }
    closedir(d);
}

void scratch_remove(char *dir)
{
    scratch_clear(dir);
    must(rmdir(dir) == 0);
    mem_free(dir);
}

void tale_init(struct tale *t, uint64_t seed, size_t length_max)
{
    *t = (struct tale){.seed = seed, .length_max = length_max};
}

void tale_fini(struct tale *t)
{
    buf_fini(&t->record);
}

/* Record number t->told, in t->record. */
static struct bytes tell(struct tale *t)
{
    struct rng r;
    rng_seed(&r, t->seed * 1000003 + t->told);
    size_t n = rng_below(&r, t->length_max + 1);
    t->record.len = 0;
    buf_reserve(&t->record, n + 8);
    for (; t->record.len < n; t->record.len += 8) {
        uint64_t word = rng_next(&r);
        memcpy(t->record.data + t->record.len, &word, 8);
    }
    t->record.len = n;
    return buf_bytes(&t->record);
}

void tale_append(struct tale *t, struct journal *j, unsigned records)
{
    for (; records > 0; records--) {
        struct bytes record = tell(t);
        buf_put(journal_begin(j), record);
        t->told++;
        t->position += 4 + record.len;
        must(journal_end(j) == t->position);
    }
}

static int replay(void *arg, struct bytes record, uint64_t position)
{
    struct tale *t = arg;
    struct bytes expected = tell(t);
    t->told++;
    t->position += 4 + expected.len;
    if (!bytes_eq(record, expected) || position != t->position) t->wrong = true;
    return 0;
}

static void torn(void *arg, const char *file, uint64_t offset, uint64_t len, const char *saved_as)
{
    struct tale *t = arg;
    t->torn++;
    t->torn_bytes += len;
}

int tale_open(struct tale *t, struct journal_options o, struct journal_error *ret_error,
              struct journal **ret_j)
{
    o.replay = replay;
    o.torn = torn;
    o.arg = t;
    int r = journal_open(&o, ret_error, ret_j);
    must(r < 0 || t->wrong || journal_head(*ret_j) == t->position);
    return r;
}

int64_t tale_count(const struct tale *like, struct journal_options o, struct journal_error *e,
                   unsigned *ret_torn)
{
    struct tale t;
    struct journal *j = NULL;
    tale_init(&t, like->seed, like->length_max);
    int64_t n = tale_open(&t, o, e, &j) < 0 ? -1 : t.wrong ? -2 : (int64_t)t.told;
    journal_close(j);
    if (ret_torn != NULL) *ret_torn = t.torn;
    tale_fini(&t);
    return n;
}

const char *damage_in(const char *dir, bool (*chunk_ref)(struct bytes, struct chunk_ref *))
{
    static char text[300];
    struct inspection in;
    struct journal_error e = {0};
    bool found = false;
    inspect_init(&in, NULL, dir);
    in.chunk_ref = chunk_ref;
    if (inspect_dir(&in, &e) < 0) must(e.code == -ENOENT); /* nothing has a name yet */
    for (size_t i = 0; i < in.finding_count && !found; i++) {
        const struct finding *f = &in.findings[i];
        bool is_known =
            chunk_ref == NULL && strstr(f->what, "no whole snapshot reaches it") != NULL;
        found = f->kind == FINDING_DAMAGE && !is_known;
        snprintf(text, sizeof text, "%s, %llu: %s", f->file, (unsigned long long)f->offset,
                 f->what);
    }
    inspect_fini(&in);
    return found ? text : NULL;
}

struct buf file_load(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    struct buf content = {0};
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDONLY);
    must(fd >= 0 && fstat(fd, &st) == 0);
    buf_reserve(&content, (size_t)st.st_size);
    must(file_read_all(&file_layer_real, fd, content.data, (size_t)st.st_size, 0) == 0);
    content.len = (size_t)st.st_size;
    close(fd);
    return content;
}

void file_store(const char *dir, const char *name, struct bytes content)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0);
    struct iovec iov = {(void *)content.data, content.len};
    must(file_write_all(&file_layer_real, fd, &iov, 1, 0) == 0);
    close(fd);
}
