/* The chunk store over a disk that damages, fills up, fails, and forgets. */
#include "log/chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "log/format.h"
#include "log/journal_testing.h"

enum { BYTES_MAX = 5000, FILE_BYTES = 32 << 10 };

struct bench {
    struct file_fault fault;
    char *dir;
    struct chunks *c; /* NULL: not open */
};

/* A job with the bytes it writes or reads into. */
struct work {
    struct chunk_job job;
    char bytes[BYTES_MAX];
};

static int bench_try_open(struct bench *b)
{
    struct chunks_options o = {
        .dir = b->dir, .files = &b->fault.layer, .file_bytes = FILE_BYTES, .wake_fd = -1};
    return chunks_new(&o, &b->c);
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){.dir = scratch_new()};
    file_fault_init(&b->fault);
    assert_int_equal(bench_try_open(b), 0);
}

static void bench_close(struct bench *b)
{
    chunks_stop(b->c);
    chunks_free(b->c);
    b->c = NULL;
}

static void bench_reopen(struct bench *b)
{
    bench_close(b);
    assert_int_equal(bench_try_open(b), 0);
}

static void bench_fini(struct bench *b)
{
    if (b->c != NULL) bench_close(b);
    file_fault_fini(&b->fault);
    scratch_remove(b->dir);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* The next that is done; fails when none is within ten seconds. */
static struct work *await(struct bench *b)
{
    for (int i = 0; i < 100000; i++) {
        struct chunk_job *job = chunks_done(b->c);
        if (job != NULL) return job->owner;
        nap();
    }
    fail_msg("a job is never done");
    return NULL;
}

static void fill(char *bytes, uint64_t seed, size_t n)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)rng_below(&rng, 256);
}

static size_t length_of(uint64_t seed)
{
    return 1 + (size_t)(seed * 7919 % (BYTES_MAX - 1));
}

/* The job that writes what belongs to the seed, in two parts. */
static struct work *write_job(uint64_t seed)
{
    struct work *w = mem_calloc(sizeof *w);
    size_t n = length_of(seed), first = n / 3;
    fill(w->bytes, seed, n);
    w->job = (struct chunk_job){.kind = CHUNK_WRITE,
                                .parts = {{w->bytes, first}, {w->bytes + first, n - first}},
                                .owner = w};
    return w;
}

static struct chunk_ref put(struct bench *b, uint64_t seed)
{
    struct work *w = write_job(seed);
    chunks_start(b->c, &w->job);
    assert_ptr_equal(await(b), w);
    assert_int_equal(w->job.result, 0);
    struct chunk_ref ref = w->job.ref;
    mem_free(w);
    return ref;
}

/* By the caller's thread, and by the reader's: the same. */
static int get(struct bench *b, const struct chunk_ref *ref, char *into)
{
    int r = chunks_read(b->c, ref, into, true);
    struct work *w = mem_calloc(sizeof *w);
    w->job = (struct chunk_job){.kind = CHUNK_READ, .into = w->bytes, .ref = *ref, .owner = w};
    chunks_start(b->c, &w->job);
    assert_ptr_equal(await(b), w);
    assert_int_equal(w->job.result, r);
    if (r == 0) assert_memory_equal(into, w->bytes, ref->length);
    mem_free(w);
    return r;
}

static void check(struct bench *b, const struct chunk_ref *ref, uint64_t seed)
{
    char found[BYTES_MAX], expected[BYTES_MAX];
    assert_int_equal(ref->length, length_of(seed));
    fill(expected, seed, ref->length);
    assert_int_equal(get(b, ref, found), 0);
    assert_memory_equal(found, expected, ref->length);
}

static struct chunks_stats stats_of(struct bench *b)
{
    struct chunks_stats s;
    chunks_stats(b->c, &s);
    return s;
}

/* ---- Writing and reading ---- */

static void test_read_back(void **state)
{
    enum { CHUNKS = 60 };
    struct bench b;
    struct chunk_ref refs[CHUNKS];
    bench_init(&b);
    uint64_t live = 0;
    for (uint64_t i = 0; i < CHUNKS; i++) {
        refs[i] = put(&b, i);
        live += chunk_size(refs[i].length);
    }
    for (uint64_t i = 0; i < CHUNKS; i++) check(&b, &refs[i], i);
    assert_true(refs[CHUNKS - 1].file > 3);
    struct chunks_stats s = stats_of(&b);
    assert_int_equal(s.files, refs[CHUNKS - 1].file);
    assert_int_equal(s.live_bytes, live);
    assert_int_equal(s.bytes, live + s.files * CHUNK_FILE_HEADER);
    assert_int_equal(s.written, CHUNKS);
    assert_int_equal(s.dead_bytes, 0);
    assert_int_equal(chunks_backlog(b.c), 0);
    /* The next start finds them and goes on in a new file. */
    bench_reopen(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        assert_true(chunks_has(b.c, &refs[i]));
        chunks_hold(b.c, &refs[i]);
        check(&b, &refs[i], i);
    }
    assert_int_equal(stats_of(&b).live_bytes, live);
    struct chunk_ref next = put(&b, 1000);
    assert_int_equal(next.file, refs[CHUNKS - 1].file + 1);
    bench_fini(&b);
}

/* What a reference does not fit is not there. */
static void test_has(void **state)
{
    struct bench b;
    bench_init(&b);
    struct chunk_ref ref = put(&b, 5), other = ref;
    assert_true(chunks_has(b.c, &ref));
    other.file++;
    assert_false(chunks_has(b.c, &other));
    other = ref;
    other.offset = UINT64_MAX - 100;
    assert_false(chunks_has(b.c, &other));
    other = ref;
    other.length += 8;
    assert_false(chunks_has(b.c, &other));
    other = ref;
    other.offset = 0;
    assert_false(chunks_has(b.c, &other));
    bench_fini(&b);
}

static void test_names(void **state)
{
    static const char *const foreign[] = {"chunks-1.dat", "chunks-000000000000.dat",
                                          "chunks-000000000001.dat.old", "xchunks-000000000001.dat",
                                          "chunks--00000000001.dat"};
    char name[CHUNK_NAME_MAX];
    uint64_t number = 0;
    chunks_name(name, 1);
    assert_string_equal(name, "chunks-000000000001.dat");
    assert_true(chunks_name_parse(name, &number));
    assert_int_equal(number, 1);
    chunks_name(name, 1234567890123456);
    assert_true(chunks_name_parse(name, &number));
    assert_int_equal(number, 1234567890123456);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_false(chunks_name_parse(foreign[i], &number));
    assert_int_equal(number, 1234567890123456);
}

/* ---- Damage ---- */

static void change_byte(struct bench *b, uint64_t file, uint64_t offset)
{
    char name[CHUNK_NAME_MAX];
    chunks_name(name, file);
    struct buf all = file_load(b->dir, name);
    assert_true(offset < all.len);
    all.data[offset] ^= 0x10;
    file_store(b->dir, name, buf_bytes(&all));
    buf_fini(&all);
}

static void test_wrong_byte(void **state)
{
    struct bench b;
    char into[BYTES_MAX], text[300];
    bench_init(&b);
    struct chunk_ref ref[3] = {put(&b, 1), put(&b, 2), put(&b, 3)};
    for (uint32_t at = 0; at < ref[1].length; at += 97) {
        change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER + at);
        assert_int_equal(get(&b, &ref[1], into), -EBADMSG);
        change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER + at);
    }
    change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER);
    chunks_describe(b.c, &ref[1], get(&b, &ref[1], into), text, sizeof text);
    char expected[300];
    snprintf(expected, sizeof expected,
             "%s/chunks-000000000001.dat: the chunk at offset %llu (%u "
             "bytes) is damaged",
             b.dir, (unsigned long long)ref[1].offset, ref[1].length);
    assert_string_equal(text, expected);
    check(&b, &ref[0], 1);
    check(&b, &ref[2], 3);
    bench_fini(&b);
}

/* A whole chunk, but not the one that the reference is of. */
static void test_foreign_chunk(void **state)
{
    struct bench b;
    char into[BYTES_MAX];
    bench_init(&b);
    struct chunk_ref mine = put(&b, 7);
    bench_close(&b);
    scratch_clear(b.dir);
    assert_int_equal(bench_try_open(&b), 0);
    struct chunk_ref theirs = put(&b, 7 + BYTES_MAX - 1); /* as long, at the same place */
    assert_int_equal(theirs.length, mine.length);
    assert_int_equal(theirs.offset, mine.offset);
    assert_int_equal(theirs.file, mine.file);
    assert_int_equal(get(&b, &mine, into), -EBADMSG);
    check(&b, &theirs, 7 + BYTES_MAX - 1);
    bench_fini(&b);
}

static void test_truncated(void **state)
{
    struct bench b;
    char path[300], name[CHUNK_NAME_MAX], into[BYTES_MAX];
    bench_init(&b);
    struct chunk_ref first = put(&b, 11), last = put(&b, 12);
    chunks_name(name, last.file);
    snprintf(path, sizeof path, "%s/%s", b.dir, name);
    assert_int_equal(truncate(path, (off_t)last.offset + CHUNK_HEADER + 10), 0);
    assert_int_equal(get(&b, &last, into), -EBADMSG); /* while it is open */
    check(&b, &first, 11);
    bench_reopen(&b);
    assert_true(chunks_has(b.c, &first));
    assert_false(chunks_has(b.c, &last));
    /* Not even a header page: what a crash leaves of a file that was just begun. */
    assert_int_equal(truncate(path, 100), 0);
    bench_reopen(&b);
    assert_false(chunks_has(b.c, &first));
    assert_true(put(&b, 13).file > first.file);
    bench_fini(&b);
}

static void test_missing_file(void **state)
{
    struct bench b;
    char path[300], name[CHUNK_NAME_MAX], into[BYTES_MAX], text[300];
    bench_init(&b);
    struct chunk_ref ref = put(&b, 11);
    bench_close(&b);
    chunks_name(name, ref.file);
    snprintf(path, sizeof path, "%s/%s", b.dir, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bench_try_open(&b), 0);
    assert_false(chunks_has(b.c, &ref));
    assert_int_equal(get(&b, &ref, into), -ENOENT);
    chunks_describe(b.c, &ref, -ENOENT, text, sizeof text);
    assert_non_null(strstr(text, path));
    assert_non_null(strstr(text, "No such file"));
    bench_fini(&b);
}

static void test_later_version(void **state)
{
    struct bench b;
    bench_init(&b);
    put(&b, 1);
    bench_close(&b);
    struct buf all = file_load(b.dir, "chunks-000000000001.dat");
    assert_int_equal(chunk_file_header_check(all.data, 1), 0);
    assert_int_equal(chunk_file_header_check(all.data, 2), -EBADMSG);
    store_u32(all.data + 12, FORMAT_VERSION + 1);
    assert_int_equal(chunk_file_header_check(all.data, 1), -EBADMSG);
    store_u32(all.data + 8, crc32c(0, all.data + 12, CHUNK_FILE_HEADER - 12));
    assert_int_equal(chunk_file_header_check(all.data, 1), -EPROTONOSUPPORT);
    file_store(b.dir, "chunks-000000000001.dat", buf_bytes(&all));
    buf_fini(&all);
    assert_int_equal(bench_try_open(&b), -EPROTONOSUPPORT);
    bench_fini(&b);
}

/* A first page that cannot be read, or is not as it was, keeps no server from its start. */
static void test_bad_first_page(void **state)
{
    struct bench b;
    bench_init(&b);
    struct chunk_ref ref = put(&b, 1);
    bench_close(&b);
    file_fault_set(&b.fault, FAULT_READ, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(bench_try_open(&b), 0);
    assert_int_equal(b.fault.calls[FAULT_READ], 1);
    check(&b, &ref, 1);
    change_byte(&b, ref.file, 20);
    bench_reopen(&b);
    check(&b, &ref, 1);
    bench_fini(&b);
}

/* ---- Failures ---- */

static void test_disk_full(void **state)
{
    enum { JOBS = 40 };
    struct bench b;
    struct work *all[JOBS];
    uint64_t bytes = 0;
    bench_init(&b);
    struct chunk_ref before = put(&b, 99);
    file_fault_set(&b.fault, FAULT_WRITE,
                   (struct fault_rule){.nth = 1, .onwards = true, .error = -ENOSPC});
    for (uint64_t i = 0; i < JOBS; i++) {
        all[i] = write_job(i);
        bytes += length_of(i);
        chunks_start(b.c, &all[i]->job);
    }
    for (int i = 0; i < 10000 && chunks_write_error(b.c) == 0; i++) nap();
    assert_int_equal(chunks_write_error(b.c), -ENOSPC);
    assert_int_equal(chunks_backlog(b.c), bytes);
    assert_null(chunks_done(b.c));
    check(&b, &before, 99); /* reading goes on */
    /* It ends; the first write after it is short, too. */
    file_fault_clear(&b.fault);
    file_fault_set(&b.fault, FAULT_WRITE, (struct fault_rule){.nth = 1, .shorten = true});
    uint64_t last_file = 0, last_offset = 0;
    for (uint64_t i = 0; i < JOBS; i++) {
        struct work *w = await(&b);
        assert_ptr_equal(w, all[i]); /* in their order */
        assert_int_equal(w->job.result, 0);
        assert_true(w->job.ref.file > last_file || w->job.ref.offset > last_offset);
        last_file = w->job.ref.file;
        last_offset = w->job.ref.offset;
    }
    for (uint64_t i = 0; i < JOBS; i++) {
        check(&b, &all[i]->job.ref, i);
        mem_free(all[i]);
    }
    assert_int_equal(chunks_write_error(b.c), 0);
    assert_int_equal(chunks_backlog(b.c), 0);
    bench_fini(&b);
}

/* A new file that cannot be made, and then can. */
static void test_open_fails(void **state)
{
    struct bench b;
    bench_init(&b);
    file_fault_set(&b.fault, FAULT_OPEN, (struct fault_rule){.nth = 1, .error = -EMFILE});
    struct work *w = write_job(3);
    chunks_start(b.c, &w->job);
    for (int i = 0; i < 10000 && chunks_write_error(b.c) == 0; i++) nap();
    assert_int_equal(chunks_write_error(b.c), -EMFILE);
    assert_ptr_equal(await(&b), w);
    assert_int_equal(w->job.result, 0);
    check(&b, &w->job.ref, 3);
    mem_free(w);
    bench_fini(&b);
}

static void test_read_fails(void **state)
{
    struct bench b;
    char into[BYTES_MAX], text[300];
    bench_init(&b);
    struct chunk_ref ref = put(&b, 4);
    file_fault_set(&b.fault, FAULT_READ,
                   (struct fault_rule){.nth = 1, .onwards = true, .error = -EIO});
    assert_int_equal(get(&b, &ref, into), -EIO);
    chunks_describe(b.c, &ref, -EIO, text, sizeof text);
    assert_non_null(strstr(text, "chunks-000000000001.dat"));
    assert_non_null(strstr(text, "4096"));
    assert_non_null(strstr(text, "Input/output error"));
    file_fault_set(&b.fault, FAULT_READ,
                   (struct fault_rule){.nth = 1, .onwards = true, .shorten = true});
    check(&b, &ref, 4);
    bench_fini(&b);
}

static void test_sync(void **state)
{
    struct bench b;
    bench_init(&b);
    assert_int_equal(chunks_sync(b.c), 0);
    put(&b, 1);
    uint64_t before = b.fault.calls[FAULT_SYNC];
    assert_int_equal(chunks_sync(b.c), 0);
    assert_int_equal(b.fault.calls[FAULT_SYNC], before + 1);
    assert_int_equal(chunks_sync(b.c), 0); /* nothing is new */
    assert_int_equal(b.fault.calls[FAULT_SYNC], before + 1);
    put(&b, 2);
    file_fault_set(&b.fault, FAULT_SYNC, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(chunks_sync(b.c), -EIO);
    assert_int_equal(chunks_sync(b.c), -EIO); /* though the disk would say yes now */
    bench_reopen(&b);
    put(&b, 3);
    file_fault_set(&b.fault, FAULT_SYNC_DIR, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(chunks_sync(b.c), -EIO);
    assert_int_equal(chunks_sync(b.c), -EIO);
    bench_fini(&b);
}

/* Power fails after a sync: what was synced is there, whatever became of the rest. */
static void test_power_loss(void **state)
{
    enum { SYNCED = 20, MORE = 15 };
    struct bench b;
    struct chunk_ref refs[SYNCED + MORE];
    bench_init(&b);
    file_fault_record(&b.fault, b.dir, true);
    for (uint64_t i = 0; i < SYNCED; i++) refs[i] = put(&b, i);
    assert_int_equal(chunks_sync(b.c), 0);
    for (uint64_t i = SYNCED; i < SYNCED + MORE; i++) refs[i] = put(&b, i);
    size_t ops = file_fault_note(&b.fault, 1);
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (int loss = 0; loss < LOSS_KINDS; loss++) {
            char into[BYTES_MAX];
            struct bench after = {.dir = scratch_new()};
            file_fault_init(&after.fault);
            file_fault_crash(&b.fault, ops, (enum fault_loss)loss, seed, after.dir);
            assert_int_equal(bench_try_open(&after), 0);
            for (uint64_t i = 0; i < SYNCED; i++) {
                assert_true(chunks_has(after.c, &refs[i]));
                check(&after, &refs[i], i);
            }
            for (uint64_t i = SYNCED; i < SYNCED + MORE; i++) /* right, or known to be wrong */
                if (chunks_has(after.c, &refs[i]) &&
                    chunks_read(after.c, &refs[i], into, true) == 0)
                    check(&after, &refs[i], i);
            assert_true(put(&after, 500).file > 0);
            bench_fini(&after);
        }
    }
    bench_fini(&b);
}

/* ---- Files that come to their end ---- */

static bool is_there(struct bench *b, uint64_t file)
{
    char path[300], name[CHUNK_NAME_MAX];
    chunks_name(name, file);
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    return access(path, F_OK) == 0;
}

static void test_files_die(void **state)
{
    enum { CHUNKS = 60 };
    struct bench b;
    struct chunk_ref refs[CHUNKS];
    bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = put(&b, i);
    uint64_t newest = refs[CHUNKS - 1].file;
    assert_true(newest >= 3);
    chunks_note(b.c, 100);
    for (int i = 0; i < CHUNKS; i++)
        if (refs[i].file == 1) chunks_release(b.c, &refs[i]);
    chunks_drop_before(b.c, 1000); /* not known to be dead yet */
    assert_true(is_there(&b, 1));
    chunks_note(b.c, 200);
    assert_true(stats_of(&b).dead_bytes > FILE_BYTES / 2);
    chunks_drop_before(b.c, 199); /* a snapshot of that time may refer to it */
    assert_true(is_there(&b, 1));
    chunks_note(b.c, 300); /* it stays dead since 200 */
    chunks_drop_before(b.c, 200);
    assert_false(is_there(&b, 1));
    assert_true(is_there(&b, 2));
    assert_false(chunks_has(b.c, &refs[0]));
    /* Two hold a chunk: it lives until both have let go. */
    for (int i = 0; i < CHUNKS; i++) {
        if (refs[i].file != 2) continue;
        chunks_hold(b.c, &refs[i]);
        chunks_release(b.c, &refs[i]);
    }
    chunks_note(b.c, 400);
    chunks_drop_before(b.c, 1000);
    assert_true(is_there(&b, 2));
    for (int i = 0; i < CHUNKS; i++)
        if (refs[i].file == 2) chunks_release(b.c, &refs[i]);
    chunks_note(b.c, 500);
    chunks_drop_before(b.c, 1000);
    assert_false(is_there(&b, 2));
    /* The one that is written to never goes. */
    for (int i = 0; i < CHUNKS; i++)
        if (refs[i].file == newest) chunks_release(b.c, &refs[i]);
    chunks_note(b.c, 600);
    chunks_drop_before(b.c, 1000);
    assert_true(is_there(&b, newest));
    /* After a start nobody refers to it: it goes like any other, but not at once. */
    bench_reopen(&b);
    assert_true(is_there(&b, newest));
    chunks_note(b.c, 700);
    chunks_drop_before(b.c, 699);
    assert_true(is_there(&b, newest));
    chunks_drop_before(b.c, 700);
    assert_false(is_there(&b, newest));
    bench_fini(&b);
}

static void test_moves(void **state)
{
    enum { CHUNKS = 30 };
    struct bench b;
    struct chunk_ref refs[CHUNKS];
    bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = put(&b, i);
    assert_false(chunks_is_sparse(b.c, 1));
    unsigned left = 0;
    for (int i = 0; i < CHUNKS; i++)
        if (refs[i].file == 1 && i % 4 != 0) chunks_release(b.c, &refs[i]);
        else left += refs[i].file == 1;
    assert_true(left > 1);
    assert_true(chunks_is_sparse(b.c, 1));
    assert_false(chunks_is_sparse(b.c, 2));
    assert_false(chunks_is_sparse(b.c, 77));
    for (uint64_t i = 0; i < CHUNKS; i += 4) {
        if (refs[i].file != 1) continue;
        struct work w = {.job = {.kind = CHUNK_MOVE, .ref = refs[i], .owner = &w}};
        chunks_start(b.c, &w.job);
        assert_ptr_equal(await(&b), &w);
        assert_int_equal(w.job.result, 0);
        assert_true(w.job.ref.file > 1);
        chunks_release(b.c, &refs[i]);
        refs[i] = w.job.ref;
        check(&b, &refs[i], i);
    }
    assert_int_equal(stats_of(&b).moved, left);
    chunks_note(b.c, 10);
    chunks_drop_before(b.c, 10);
    assert_false(is_there(&b, 1));
    for (uint64_t i = 0; i < CHUNKS; i += 4) check(&b, &refs[i], i);
    bench_fini(&b);
}

/* A damaged chunk stays where it is, and its file is asked to be emptied no more: or snapshots
 * would be made for it without end. */
static void test_move_of_damage(void **state)
{
    enum { CHUNKS = 20 };
    struct bench b;
    struct chunk_ref refs[CHUNKS];
    bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = put(&b, i);
    for (int i = 1; i < CHUNKS; i++)
        if (refs[i].file == 1) chunks_release(b.c, &refs[i]);
    assert_true(chunks_is_sparse(b.c, 1));
    assert_true(stats_of(&b).dead_bytes > 0);
    change_byte(&b, 1, refs[0].offset + CHUNK_HEADER);
    struct work w = {.job = {.kind = CHUNK_MOVE, .ref = refs[0], .owner = &w}};
    chunks_start(b.c, &w.job);
    assert_ptr_equal(await(&b), &w);
    assert_int_equal(w.job.result, -EBADMSG);
    assert_false(chunks_is_sparse(b.c, 1));
    assert_int_equal(stats_of(&b).dead_bytes, 0);
    chunks_release(b.c, &refs[0]);
    chunks_note(b.c, 10);
    chunks_drop_before(b.c, 10);
    assert_false(is_there(&b, 1));
    bench_fini(&b);
}

/* ---- Descriptors ---- */

struct counted {
    struct file_layer layer;
    atomic_int open, most;
};

static int open_counted(void *ctx, const char *path, int flags, mode_t mode)
{
    struct counted *n = ctx;
    int fd = file_layer_real.open(NULL, path, flags, mode);
    if (fd >= 0 && atomic_fetch_add(&n->open, 1) + 1 > atomic_load(&n->most))
        atomic_store(&n->most, atomic_load(&n->open));
    return fd;
}

static void close_counted(void *ctx, int fd)
{
    atomic_fetch_sub(&((struct counted *)ctx)->open, 1);
    file_layer_real.close(NULL, fd);
}

/* However many files there are, few are open: descriptors are there for clients. */
static void test_few_are_open(void **state)
{
    enum { CHUNKS = 500 };
    static struct chunk_ref refs[CHUNKS];
    struct counted n = {.layer = file_layer_real};
    struct bench b = {.dir = scratch_new()};
    n.layer.ctx = &n;
    n.layer.open = open_counted;
    n.layer.close = close_counted;
    struct chunks_options o = {
        .dir = b.dir, .files = &n.layer, .file_bytes = 8 << 10, .wake_fd = -1};
    for (int start = 0; start < 3; start++) {
        assert_int_equal(chunks_new(&o, &b.c), 0);
        for (uint64_t i = 0; i < CHUNKS && start == 0; i++) {
            refs[i] = put(&b, i);
            if (i % 10 == 9) assert_int_equal(chunks_sync(b.c), 0);
        }
        assert_true(stats_of(&b).files > 100);
        for (uint64_t i = 0; i < CHUNKS; i++) check(&b, &refs[i * 7 % CHUNKS], i * 7 % CHUNKS);
        bench_close(&b);
        assert_int_equal(atomic_load(&n.open), 0);
        assert_in_range(atomic_load(&n.most), 2, 48); /* 32, and those not synced */
    }
    scratch_remove(b.dir);
}

/* ---- Threads ---- */

/* Stopped in the middle: every job comes back, done or cancelled, and what is done is there. */
static void test_stop_in_the_middle(void **state)
{
    enum { JOBS = 120 };
    for (unsigned round = 0; round < 20; round++) {
        struct bench b;
        struct work *all[JOBS];
        char into[BYTES_MAX];
        unsigned done = 0;
        bench_init(&b);
        struct chunk_ref there = put(&b, 1);
        if (round % 2 == 0)
            file_fault_set(&b.fault, FAULT_WRITE,
                           (struct fault_rule){.nth = 2, .onwards = true, .error = -ENOSPC});
        for (uint64_t i = 0; i < JOBS; i++) {
            all[i] = write_job(i);
            if (i % 3 == 1) {
                all[i]->job.kind = CHUNK_READ;
                all[i]->job.into = all[i]->bytes;
                all[i]->job.ref = there;
            } else if (i % 3 == 2) {
                all[i]->job.kind = CHUNK_MOVE;
                all[i]->job.ref = there;
            }
            chunks_start(b.c, &all[i]->job);
        }
        for (unsigned i = 0; i < round; i++) nap();
        chunks_stop(b.c);
        for (struct chunk_job *job; (job = chunks_done(b.c)) != NULL; done++) {
            struct work *w = job->owner;
            if (job->result != 0) {
                assert_int_equal(job->result, -ECANCELED);
            } else if (job->kind != CHUNK_READ) {
                assert_int_equal(chunks_read(b.c, &job->ref, into, true), 0);
            }
            job->owner = NULL;
            mem_free(w);
        }
        assert_int_equal(done, JOBS);
        chunks_free(b.c);
        b.c = NULL;
        bench_fini(&b);
    }
}

/* Writing, reading, syncing and removing at once. */
static void *sync_often(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < 200; i++) must(chunks_sync(b->c) == 0);
    return NULL;
}

static void test_at_once(void **state)
{
    enum { ROUNDS = 300, KEPT = 16 };
    struct bench b;
    pthread_t syncer;
    struct chunk_ref kept[KEPT] = {{0}};
    bench_init(&b);
    must(pthread_create(&syncer, NULL, sync_often, &b) == 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct chunk_ref *old = &kept[i % KEPT];
        if (old->file != 0) {
            check(&b, old, i - KEPT);
            chunks_release(b.c, old);
        }
        *old = put(&b, i);
        chunks_note(b.c, i);
        chunks_drop_before(b.c, i);
    }
    pthread_join(syncer, NULL);
    assert_true(stats_of(&b).files < 5);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_has),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_byte),
        cmocka_unit_test(test_foreign_chunk),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_bad_first_page),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_open_fails),
        cmocka_unit_test(test_read_fails),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_files_die),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_move_of_damage),
        cmocka_unit_test(test_few_are_open),
        cmocka_unit_test(test_stop_in_the_middle),
        cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
