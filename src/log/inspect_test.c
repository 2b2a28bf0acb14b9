/* Inspection: a whole directory has no findings; all of several damages are found, and what is
 * behind a place that cannot be read is looked at all the same. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/inspect_testing.h"

static void test_whole(void **state)
{
    char *dir = scratch_new();
    for (uint64_t snapshot = 0; snapshot <= INSPECTED_RECORDS; snapshot += 20) {
        struct inspection in;
        inspected_make(dir, snapshot);
        check_whole(dir);
        inspect_or_fail(&in, dir);
        assert_int_equal(in.records, INSPECTED_RECORDS);
        assert_int_equal(in.end, position_of(INSPECTED_RECORDS));
        assert_int_equal(in.snapshot_count, snapshot > 0);
        assert_true(in.segment_count >= 2);
        assert_int_equal(in.done, in.total);
        inspect_fini(&in);
        scratch_clear(dir);
    }
    scratch_remove(dir);
}

static void test_finds_all(void **state)
{
    struct inspection in;
    char *dir = scratch_new(), first[SEGMENT_NAME_MAX], second[SEGMENT_NAME_MAX];
    inspected_make(dir, 30);
    char snapshot[SNAPSHOT_NAME_MAX];
    snapshot_name(snapshot, position_of(30));
    segment_name(first, 1);
    segment_name(second, 2);
    flip(dir, first, SEGMENT_HEADER + 100);
    flip(dir, second, SEGMENT_HEADER + 70);
    flip(dir, snapshot, SNAPSHOT_HEADER + 50);
    inspect_or_fail(&in, dir);
    unsigned found = 0;
    for (size_t i = 0; i < in.finding_count; i++) {
        if (in.findings[i].kind != FINDING_DAMAGE) continue;
        found |= strcmp(in.findings[i].file, first) == 0 ? 1 : 0;
        found |= strcmp(in.findings[i].file, second) == 0 ? 2 : 0;
        found |= strcmp(in.findings[i].file, snapshot) == 0 ? 4 : 0;
    }
    assert_int_equal(found, 7);
    inspect_fini(&in);
    scratch_remove(dir);
}

static void test_nothing_to_inspect(void **state)
{
    char *dir = scratch_new();
    struct inspection in;
    struct journal_error e = {0};
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), -ENOENT);
    inspect_fini(&in);
    inspect_init(&in, NULL, "/nowhere/at/all");
    assert_int_equal(inspect_dir(&in, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/nowhere/at/all"));
    inspect_fini(&in);
    scratch_remove(dir);
}

static void test_not_beside_a_server(void **state)
{
    char *dir = scratch_new(), pid[40];
    struct journal *j;
    struct journal_error e = {0};
    struct inspection in;
    struct seen seen;
    inspected_make(dir, 0);
    j = inspected_open(dir, &seen);
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), -EBUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(e.text, pid));
    inspect_fini(&in);
    journal_close(j);
    /* And the other way round. */
    inspect_or_fail(&in, dir);
    assert_int_equal(inspected_start(dir, &seen), -EBUSY);
    inspect_fini(&in);
    assert_int_equal(inspected_start(dir, &seen), 0);
    scratch_remove(dir);
}

/* What is before and behind an unreadable sector is read all the same. */
static void test_unreadable(void **state)
{
    static const uint64_t places[] = {100, SEGMENT_HEADER + 10, SEGMENT_HEADER + 2000};
    char *dir = scratch_new();
    inspected_make(dir, 20);
    char name[SNAPSHOT_NAME_MAX];
    snapshot_name(name, position_of(20));
    struct buf file = file_load(dir, name);
    uint64_t sizes[] = {INSPECTED_SEGMENT, file.len};
    buf_fini(&file);
    for (size_t i = 0; i < 6; i++) {
        struct bad_disk d;
        struct inspection in;
        struct journal_error e = {0};
        bad_disk_init(&d, sizes[i / 3], places[i % 3]);
        if (d.at >= d.size) continue;
        inspect_init(&in, &d.layer, dir);
        assert_int_equal(inspect_dir(&in, &e), 0);
        assert_true(inspect_count(&in, FINDING_DAMAGE) > 0);
        assert_int_equal(in.done, in.total);
        bool told = false;
        for (size_t k = 0; k < in.finding_count; k++) {
            const struct finding *f = &in.findings[k];
            told |= f->unreadable && f->offset <= d.at && d.at < f->offset + f->length;
        }
        assert_true(told);
        if (i == 0)
            assert_int_equal(in.records, INSPECTED_RECORDS); /* headers alone cannot be read */
        if (i == 2) assert_in_range(in.records, INSPECTED_RECORDS / 3, INSPECTED_RECORDS - 1);
        inspect_fini(&in);
    }
    scratch_remove(dir);
}

static int open_all_but_one(void *ctx, const char *path, int flags, mode_t mode)
{
    const char *which = ((struct file_layer *)ctx)[1].ctx;
    return strstr(path, which) != NULL ? -EACCES : file_layer_real.open(NULL, path, flags, mode);
}

/* A file that cannot be opened is named, once, and nothing else is wrong for it but what is
 * missing.
 */
static void test_cannot_be_opened(void **state)
{
    char *dir = scratch_new(), name[SEGMENT_NAME_MAX];
    struct file_layer layer[2] = {file_layer_real};
    struct inspection in;
    struct journal_error e = {0};
    inspected_make(dir, 0);
    segment_name(name, 2);
    layer[0].ctx = layer;
    layer[0].open = open_all_but_one;
    layer[1].ctx = name;
    inspect_init(&in, layer, dir);
    assert_int_equal(inspect_dir(&in, &e), 0);
    unsigned named = 0;
    for (size_t i = 0; i < in.finding_count; i++)
        named += strstr(in.findings[i].what, "cannot be opened: Permission denied") != NULL;
    assert_int_equal(named, 1);
    assert_int_equal(in.finding_count, 2); /* and the gap that it leaves */
    assert_int_equal(in.end, position_of(INSPECTED_RECORDS));
    inspect_fini(&in);
    scratch_remove(dir);
}

/* One bit of a block's length says that it is all the rest of a large file: that is not brought
 * into memory for it. */
static void test_a_wrong_length_takes_no_memory(void **state)
{
    enum { LARGE = 40 << 20 };
    char *dir = scratch_new(), name[SNAPSHOT_NAME_MAX];
    struct inspection in;
    inspected_make(dir, 30);
    snapshot_name(name, position_of(30));
    char *path = path_join(dir, name);
    assert_int_equal(truncate(path, LARGE), 0); /* zeros behind what it holds */
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\0\0\0\2", 4, SNAPSHOT_HEADER + 16), 4); /* 32 MB */
    close(fd);
    mem_free(path);
    inspect_or_fail(&in, dir);
    assert_true(inspect_count(&in, FINDING_DAMAGE) > 0);
    assert_true(in.window.cap < 8 << 20);
    inspect_fini(&in);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_finds_all),
        cmocka_unit_test(test_nothing_to_inspect),
        cmocka_unit_test(test_not_beside_a_server),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_cannot_be_opened),
        cmocka_unit_test(test_a_wrong_length_takes_no_memory),
    };
    return cmocka_run_group_tests_name("log/inspect", tests, NULL, NULL);
}
