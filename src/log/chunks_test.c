/* The chunk store: what is written is read back or known to be damaged, and files come and go as
 * they are referred to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc.h"
#include "log/chunks_testing.h"
#include "log/format.h"

/* ---- Writing and reading ---- */

static void test_read_back(void **state)
{
    enum { CHUNKS = 60 };
    struct chunk_bench b;
    struct chunk_ref refs[CHUNKS];
    chunk_bench_init(&b);
    uint64_t live = 0;
    for (uint64_t i = 0; i < CHUNKS; i++) {
        refs[i] = chunk_put(&b, i);
        live += chunk_size(refs[i].length);
    }
    for (uint64_t i = 0; i < CHUNKS; i++) chunk_check(&b, &refs[i], i);
    assert_true(refs[CHUNKS - 1].file > 3);
    struct chunks_stats s = chunk_stats_of(&b);
    assert_int_equal(s.files, refs[CHUNKS - 1].file);
    assert_int_equal(s.live_bytes, live);
    assert_int_equal(s.bytes, live + s.files * CHUNK_FILE_HEADER);
    assert_int_equal(s.written, CHUNKS);
    assert_int_equal(s.dead_bytes, 0);
    assert_int_equal(chunks_backlog(b.c), 0);
    /* The next start finds them and goes on in a new file. */
    chunk_bench_reopen(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        assert_true(chunks_has(b.c, &refs[i]));
        chunks_hold(b.c, &refs[i]);
        chunk_check(&b, &refs[i], i);
    }
    assert_int_equal(chunk_stats_of(&b).live_bytes, live);
    struct chunk_ref next = chunk_put(&b, 1000);
    assert_int_equal(next.file, refs[CHUNKS - 1].file + 1);
    chunk_bench_fini(&b);
}

/* What a reference does not fit is not there. */
static void test_has(void **state)
{
    struct chunk_bench b;
    chunk_bench_init(&b);
    struct chunk_ref ref = chunk_put(&b, 5), other = ref;
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
    chunk_bench_fini(&b);
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

/* ---- Damage ---- */

static void test_wrong_byte(void **state)
{
    struct chunk_bench b;
    char into[CHUNK_TEST_MAX], text[300];
    chunk_bench_init(&b);
    struct chunk_ref ref[3] = {chunk_put(&b, 1), chunk_put(&b, 2), chunk_put(&b, 3)};
    for (uint32_t at = 0; at < ref[1].length; at += 97) {
        chunk_change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER + at);
        assert_int_equal(chunk_get(&b, &ref[1], into), -EBADMSG);
        chunk_change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER + at);
    }
    chunk_change_byte(&b, ref[1].file, ref[1].offset + CHUNK_HEADER);
    chunks_describe(b.c, &ref[1], chunk_get(&b, &ref[1], into), text, sizeof text);
    char expected[300];
    snprintf(expected, sizeof expected,
             "%s/chunks-000000000001.dat: the chunk at offset %llu (%u "
             "bytes) is damaged",
             b.dir, (unsigned long long)ref[1].offset, ref[1].length);
    assert_string_equal(text, expected);
    chunk_check(&b, &ref[0], 1);
    chunk_check(&b, &ref[2], 3);
    chunk_bench_fini(&b);
}

/* A whole chunk, but not the one that the reference is of. */
static void test_foreign_chunk(void **state)
{
    struct chunk_bench b;
    char into[CHUNK_TEST_MAX];
    chunk_bench_init(&b);
    struct chunk_ref mine = chunk_put(&b, 7);
    chunk_bench_close(&b);
    scratch_clear(b.dir);
    assert_int_equal(chunk_bench_try_open(&b), 0);
    struct chunk_ref theirs =
        chunk_put(&b, 7 + CHUNK_TEST_MAX - 1); /* as long, at the same place */
    assert_int_equal(theirs.length, mine.length);
    assert_int_equal(theirs.offset, mine.offset);
    assert_int_equal(theirs.file, mine.file);
    assert_int_equal(chunk_get(&b, &mine, into), -EBADMSG);
    chunk_check(&b, &theirs, 7 + CHUNK_TEST_MAX - 1);
    chunk_bench_fini(&b);
}

static void test_truncated(void **state)
{
    struct chunk_bench b;
    char path[300], name[CHUNK_NAME_MAX], into[CHUNK_TEST_MAX];
    chunk_bench_init(&b);
    struct chunk_ref first = chunk_put(&b, 11), last = chunk_put(&b, 12);
    chunks_name(name, last.file);
    snprintf(path, sizeof path, "%s/%s", b.dir, name);
    assert_int_equal(truncate(path, (off_t)last.offset + CHUNK_HEADER + 10), 0);
    assert_int_equal(chunk_get(&b, &last, into), -EBADMSG); /* while it is open */
    chunk_check(&b, &first, 11);
    chunk_bench_reopen(&b);
    assert_true(chunks_has(b.c, &first));
    assert_false(chunks_has(b.c, &last));
    /* Not even a header page: what a crash leaves of a file that was just begun. */
    assert_int_equal(truncate(path, 100), 0);
    chunk_bench_reopen(&b);
    assert_false(chunks_has(b.c, &first));
    assert_true(chunk_put(&b, 13).file > first.file);
    chunk_bench_fini(&b);
}

static void test_missing_file(void **state)
{
    struct chunk_bench b;
    char path[300], name[CHUNK_NAME_MAX], into[CHUNK_TEST_MAX], text[300];
    chunk_bench_init(&b);
    struct chunk_ref ref = chunk_put(&b, 11);
    chunk_bench_close(&b);
    chunks_name(name, ref.file);
    snprintf(path, sizeof path, "%s/%s", b.dir, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(chunk_bench_try_open(&b), 0);
    assert_false(chunks_has(b.c, &ref));
    assert_int_equal(chunk_get(&b, &ref, into), -ENOENT);
    chunks_describe(b.c, &ref, -ENOENT, text, sizeof text);
    assert_non_null(strstr(text, path));
    assert_non_null(strstr(text, "No such file"));
    chunk_bench_fini(&b);
}

static void test_later_version(void **state)
{
    struct chunk_bench b;
    chunk_bench_init(&b);
    chunk_put(&b, 1);
    chunk_bench_close(&b);
    struct buf all = file_load(b.dir, "chunks-000000000001.dat");
    assert_int_equal(chunk_file_header_check(all.data, 1), 0);
    assert_int_equal(chunk_file_header_check(all.data, 2), -EBADMSG);
    store_u32(all.data + 12, FORMAT_VERSION + 1);
    assert_int_equal(chunk_file_header_check(all.data, 1), -EBADMSG);
    store_u32(all.data + 8, crc32c(0, all.data + 12, CHUNK_FILE_HEADER - 12));
    assert_int_equal(chunk_file_header_check(all.data, 1), -EPROTONOSUPPORT);
    file_store(b.dir, "chunks-000000000001.dat", buf_bytes(&all));
    buf_fini(&all);
    assert_int_equal(chunk_bench_try_open(&b), -EPROTONOSUPPORT);
    chunk_bench_fini(&b);
}

/* A first page that cannot be read, or is not as it was, keeps no server from its start. */
static void test_bad_first_page(void **state)
{
    struct chunk_bench b;
    chunk_bench_init(&b);
    struct chunk_ref ref = chunk_put(&b, 1);
    chunk_bench_close(&b);
    file_fault_set(&b.fault, FAULT_READ, (struct fault_rule){.nth = 1, .error = -EIO});
    assert_int_equal(chunk_bench_try_open(&b), 0);
    assert_int_equal(b.fault.calls[FAULT_READ], 1);
    chunk_check(&b, &ref, 1);
    chunk_change_byte(&b, ref.file, 20);
    chunk_bench_reopen(&b);
    chunk_check(&b, &ref, 1);
    chunk_bench_fini(&b);
}

/* ---- Files that come to their end ---- */

static bool is_there(struct chunk_bench *b, uint64_t file)
{
    char path[300], name[CHUNK_NAME_MAX];
    chunks_name(name, file);
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    return access(path, F_OK) == 0;
}

static void test_files_die(void **state)
{
    enum { CHUNKS = 60 };
    struct chunk_bench b;
    struct chunk_ref refs[CHUNKS];
    chunk_bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = chunk_put(&b, i);
    uint64_t newest = refs[CHUNKS - 1].file;
    assert_true(newest >= 3);
    chunks_note(b.c, 100);
    for (int i = 0; i < CHUNKS; i++)
        if (refs[i].file == 1) chunks_release(b.c, &refs[i]);
    chunks_drop_before(b.c, 1000); /* not known to be dead yet */
    assert_true(is_there(&b, 1));
    chunks_note(b.c, 200);
    assert_true(chunk_stats_of(&b).dead_bytes > CHUNK_TEST_FILE / 2);
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
    chunk_bench_reopen(&b);
    assert_true(is_there(&b, newest));
    chunks_note(b.c, 700);
    chunks_drop_before(b.c, 699);
    assert_true(is_there(&b, newest));
    chunks_drop_before(b.c, 700);
    assert_false(is_there(&b, newest));
    chunk_bench_fini(&b);
}

static void test_moves(void **state)
{
    enum { CHUNKS = 30 };
    struct chunk_bench b;
    struct chunk_ref refs[CHUNKS];
    chunk_bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = chunk_put(&b, i);
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
        struct chunk_work w = {.job = {.kind = CHUNK_MOVE, .ref = refs[i], .owner = &w}};
        chunks_start(b.c, &w.job);
        assert_ptr_equal(chunk_await(&b), &w);
        assert_int_equal(w.job.result, 0);
        assert_true(w.job.ref.file > 1);
        chunks_release(b.c, &refs[i]);
        refs[i] = w.job.ref;
        chunk_check(&b, &refs[i], i);
    }
    assert_int_equal(chunk_stats_of(&b).moved, left);
    chunks_note(b.c, 10);
    chunks_drop_before(b.c, 10);
    assert_false(is_there(&b, 1));
    for (uint64_t i = 0; i < CHUNKS; i += 4) chunk_check(&b, &refs[i], i);
    chunk_bench_fini(&b);
}

/* A damaged chunk stays where it is, and its file is asked to be emptied no more: or snapshots
 * would be made for it without end. */
static void test_move_of_damage(void **state)
{
    enum { CHUNKS = 20 };
    struct chunk_bench b;
    struct chunk_ref refs[CHUNKS];
    chunk_bench_init(&b);
    for (uint64_t i = 0; i < CHUNKS; i++) refs[i] = chunk_put(&b, i);
    for (int i = 1; i < CHUNKS; i++)
        if (refs[i].file == 1) chunks_release(b.c, &refs[i]);
    assert_true(chunks_is_sparse(b.c, 1));
    assert_true(chunk_stats_of(&b).dead_bytes > 0);
    chunk_change_byte(&b, 1, refs[0].offset + CHUNK_HEADER);
    struct chunk_work w = {.job = {.kind = CHUNK_MOVE, .ref = refs[0], .owner = &w}};
    chunks_start(b.c, &w.job);
    assert_ptr_equal(chunk_await(&b), &w);
    assert_int_equal(w.job.result, -EBADMSG);
    assert_false(chunks_is_sparse(b.c, 1));
    assert_int_equal(chunk_stats_of(&b).dead_bytes, 0);
    chunks_release(b.c, &refs[0]);
    chunks_note(b.c, 10);
    chunks_drop_before(b.c, 10);
    assert_false(is_there(&b, 1));
    chunk_bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back),      cmocka_unit_test(test_has),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_wrong_byte),
        cmocka_unit_test(test_foreign_chunk),  cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_missing_file),   cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_bad_first_page), cmocka_unit_test(test_files_die),
        cmocka_unit_test(test_moves),          cmocka_unit_test(test_move_of_damage),
    };
    return cmocka_run_group_tests_name("log/chunks", tests, NULL, NULL);
}
