/* Salvage: whatever byte is changed, what is salvaged starts, with everything up to the damage; it
 * says what it leaves, and leaves nothing behind where it fails. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "log/inspect_testing.h"
#include "log/salvage.h"

static void salvage_or_fail(const char *dir, const char *out, struct salvage *s)
{
    struct inspection in;
    struct journal_error e = {0};
    inspect_or_fail(&in, dir);
    if (salvage_dir(&in, out, s, &e) < 0) fail_msg("%s", e.text);
    inspect_fini(&in);
}

/* Salvages `dir` into a new directory and starts that; what it holds, or -1. */
static int64_t salvage_and_start(const char *dir, uint64_t snapshot)
{
    struct inspection in;
    struct salvage s = {0};
    struct journal_error e = {0};
    struct seen seen;
    char *out = scratch_new();
    int64_t upto = -1;
    inspect_or_fail(&in, dir);
    int r = salvage_dir(&in, out, &s, &e);
    if (r < 0) {
        assert_true(strlen(e.text) > 10);
    } else {
        check_whole(out);
        assert_int_equal(inspected_start(out, &seen), 0);
        assert_false(seen.wrong);
        assert_int_equal(seen.first, s.has_snapshot ? snapshot : 0);
        upto = (int64_t)seen.next;
    }
    inspect_fini(&in);
    scratch_remove(out);
    return upto;
}

static void restore(const char *dir, const char *const *names, const struct buf *files, size_t n)
{
    scratch_clear(dir);
    for (size_t i = 0; i < n; i++) file_store(dir, names[i], buf_bytes(&files[i]));
}

struct listing {
    char names[16][64];
    size_t n;
};

static int note_name(void *arg, const char *name)
{
    struct listing *l = arg;
    if (strcmp(name, "lock") != 0) snprintf(l->names[l->n++], 64, "%s", name);
    return 0;
}

/* Whatever byte is changed: what a start would refuse, or cut, inspection has found, and nothing is
 * said to be whole whose start differs. */
static void change_every_byte(uint64_t snapshot, size_t stride)
{
    struct listing l = {.n = 0};
    const char *names[16];
    struct buf files[16];
    char *dir = scratch_new();
    inspected_make(dir, snapshot);
    file_layer_real.list(NULL, dir, note_name, &l);
    for (size_t i = 0; i < l.n; i++) {
        names[i] = l.names[i];
        files[i] = file_load(dir, names[i]);
    }
    for (size_t i = 0; i < l.n; i++) {
        for (size_t at = i; at < files[i].len; at += stride) {
            struct inspection in;
            struct seen seen;
            files[i].data[at] ^= (char)(1 << at % 8);
            restore(dir, names, files, l.n);
            inspect_or_fail(&in, dir);
            size_t damages = inspect_count(&in, FINDING_DAMAGE), findings = in.finding_count;
            inspect_fini(&in);
            int64_t saved = salvage_and_start(dir, snapshot);
            int r = inspected_start(dir, &seen);
            files[i].data[at] ^= (char)(1 << at % 8);
            if (findings == 0) fail_msg("%s, byte %zu: not found", names[i], at);
            if (r < 0 && damages == 0) fail_msg("%s, byte %zu: refused", names[i], at);
            if (r == 0 && saved < (int64_t)seen.next)
                fail_msg("%s, byte %zu: less was salvaged than starts", names[i], at);
            /* With a snapshot behind the damage nothing at all is lost. */
            if (snapshot > 0 && saved < (int64_t)snapshot && strncmp(names[i], "snap", 4) != 0)
                fail_msg("%s, byte %zu: %lld salvaged", names[i], at, (long long)saved);
        }
    }
    for (size_t i = 0; i < l.n; i++) buf_fini(&files[i]);
    scratch_remove(dir);
}

static void test_every_byte(void **state)
{
    change_every_byte(0, 29);
    change_every_byte(30, 29);
}

static void note_left(void *arg, const char *what)
{
    ++*(unsigned *)arg;
}

static void test_salvage_says_what_it_leaves(void **state)
{
    char *dir = scratch_new(), *out = scratch_new(), name[SEGMENT_NAME_MAX];
    struct inspection in;
    struct journal_error e = {0};
    unsigned lines = 0;
    struct salvage s = {.left = note_left, .arg = &lines};
    inspected_make(dir, 0);
    segment_name(name, 2);
    struct buf before = file_load(dir, name);
    flip(dir, name, SEGMENT_HEADER + 300);
    inspect_or_fail(&in, dir);
    assert_int_equal(salvage_dir(&in, out, &s, &e), 0);
    assert_true(lines >= 2);
    assert_true(s.end > 0 && s.end < position_of(INSPECTED_RECORDS));
    /* Never into what is there, and the original is as it was. */
    assert_int_equal(salvage_dir(&in, out, &s, &e), -EEXIST);
    assert_non_null(strstr(e.text, out));
    flip(dir, name, SEGMENT_HEADER + 300);
    struct buf after = file_load(dir, name);
    assert_true(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
    inspect_fini(&in);
    buf_fini(&before);
    buf_fini(&after);
    scratch_remove(dir);
    scratch_remove(out);
}

static int stop_at_any(void *arg, const char *name)
{
    return 1;
}

/* The journal's beginning is gone as after a drop, and the only snapshot is damaged: the other
 * blocks of it are taken. */
static void test_parts_of_a_snapshot(void **state)
{
    char *dir = scratch_new(), *out = scratch_new(), name[SEGMENT_NAME_MAX];
    char path[600];
    struct inspection in;
    struct journal_error e = {0};
    struct seen seen;
    struct journal *j = inspected_open(dir, &seen);
    inspected_append(j, 0, INSPECTED_RECORDS);
    inspected_snapshot(dir, journal_history(j), position_of(30), position_of(30), 300000);
    journal_close(j);
    segment_name(name, 1);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    must(unlink(path) == 0);
    char snapshot[SNAPSHOT_NAME_MAX];
    snapshot_name(snapshot, position_of(30));
    for (int header = 0; header < 2; header++) {
        struct salvage s = {0};
        struct snapshot_info info;
        struct snapshot_reading how = {.dir = out};
        flip(dir, snapshot, header ? 30 : SNAPSHOT_HEADER + 300000);
        inspect_or_fail(&in, dir);
        uint64_t blocks = in.snapshots[0].whole_blocks;
        assert_true(blocks > 1);
        assert_int_equal(salvage_dir(&in, out, &s, &e), 0);
        assert_true(s.partial);
        assert_int_equal(s.blocks, blocks);
        inspect_fini(&in);
        check_whole(out);
        assert_int_equal(snapshot_read(&how, position_of(30), &info, &e), 0);
        assert_int_equal(info.end.blocks, blocks);
        assert_int_equal(inspected_start(out, &seen), 0);
        scratch_clear(out);
    }
    scratch_remove(dir);
    scratch_remove(out);
}

static void remove_segments(const char *dir, uint64_t upto)
{
    for (uint64_t number = 1; number <= upto; number++) {
        char name[SEGMENT_NAME_MAX];
        segment_name(name, number);
        char *path = path_join(dir, name);
        unlink(path);
        mem_free(path);
    }
}

/* A snapshot that needs no journal is enough, and the older of two that do not is not taken. */
static void test_a_snapshot_alone(void **state)
{
    char *dir = scratch_new(), *out = scratch_new();
    struct salvage s = {0};
    struct seen seen;
    struct journal *j = inspected_open(dir, &seen);
    inspected_append(j, 0, INSPECTED_RECORDS);
    inspected_snapshot(dir, journal_history(j), position_of(20), position_of(20), 0);
    inspected_snapshot(dir, journal_history(j), position_of(30), position_of(30), 0);
    journal_close(j);
    remove_segments(dir, 20);
    salvage_or_fail(dir, out, &s);
    assert_true(s.has_snapshot && !s.partial);
    assert_int_equal(s.snapshot, position_of(30));
    check_whole(out);
    assert_int_equal(inspected_start(out, &seen), 0);
    assert_int_equal(seen.next, 30);
    scratch_remove(dir);
    scratch_remove(out);
}

/* A snapshot is whole, but the journal does not reach as far as it needs: it is better than
 * nothing, and what there is of the journal better than nothing, too. */
static void test_a_snapshot_without_its_journal(void **state)
{
    for (int some = 0; some < 2; some++) {
        char *dir = scratch_new(), *out = scratch_new();
        struct salvage s = {0};
        struct seen seen;
        struct journal *j = inspected_open(dir, &seen);
        inspected_append(j, 0, INSPECTED_RECORDS);
        inspected_snapshot(dir, journal_history(j), position_of(some ? 20 : 32), position_of(60),
                           0);
        journal_close(j);
        char name[SEGMENT_NAME_MAX];
        segment_name(name, 1);
        flip(dir, name, SEGMENT_HEADER + 100); /* and the beginning is of no use */
        segment_name(name, 3);
        flip(dir, name, SEGMENT_HEADER + 100);
        salvage_or_fail(dir, out, &s);
        assert_true(s.has_snapshot && !s.partial && s.inexact);
        assert_int_equal(s.gaps, 0);
        check_whole(out);
        assert_int_equal(inspected_start(out, &seen), 0);
        assert_false(seen.wrong);
        assert_int_equal(seen.count > 0, some);
        assert_int_equal(seen.next, s.end / position_of(1));
        scratch_remove(dir);
        scratch_remove(out);
    }
}

/* All records but those of the batches that are broken, with no gap between their positions. */
static void check_past_gaps(const char *dir, unsigned gaps)
{
    char *out = scratch_new();
    struct journal_error e = {0};
    struct salvage s = {.past_gaps = true};
    struct seen seen;
    salvage_or_fail(dir, out, &s);
    assert_int_equal(s.gaps, gaps);
    assert_int_equal(s.inexact, gaps > 0);
    assert_int_equal(s.end, position_of(INSPECTED_RECORDS));
    uint64_t missing = s.missing / position_of(1);
    assert_int_equal(missing > 0, gaps > 0);
    check_whole(out);
    assert_int_equal(inspected_start(out, &seen), 0);
    uint64_t from = s.has_snapshot ? s.snapshot / position_of(1) : 0;
    assert_int_equal(seen.count, INSPECTED_RECORDS - from - missing);
    assert_int_equal(seen.next, INSPECTED_RECORDS);
    /* What is replayed is, to the last record, from a time when the state need not fit. */
    uint64_t newest;
    struct snapshot_info info;
    struct snapshot_reading how = {.dir = out};
    if (gaps > 0) {
        assert_int_equal(snapshot_list(NULL, out, &newest, 1), 1);
        assert_int_equal(snapshot_read(&how, newest, &info, &e), 0);
        assert_int_equal(info.end.complete, position_of(INSPECTED_RECORDS - missing));
        assert_int_equal(info.header.flags, SNAPSHOT_INEXACT);
    }
    scratch_remove(out);
}

static void test_past_gaps(void **state)
{
    char *dir = scratch_new(), first[SEGMENT_NAME_MAX], third[SEGMENT_NAME_MAX];
    segment_name(first, 1);
    segment_name(third, 3);
    inspected_make(dir, 0);
    check_past_gaps(dir, 0);
    flip(dir, third, SEGMENT_HEADER + 100);
    check_past_gaps(dir, 1);
    flip(dir, first, SEGMENT_HEADER + 100); /* nothing leads from the beginning */
    check_past_gaps(dir, 2);
    scratch_clear(dir);
    inspected_make(dir, 20);
    check_past_gaps(dir, 0);
    flip(dir, first, SEGMENT_HEADER + 100); /* the snapshot makes up for it */
    check_past_gaps(dir, 0);
    flip(dir, third, SEGMENT_HEADER + 100);
    check_past_gaps(dir, 1);
    scratch_remove(dir);
}

static const char *watched;

static int sync_watched(void *ctx, int fd)
{
    char path[300];
    snprintf(path, sizeof path, "%s/" UNFINISHED_NAME, watched);
    assert_int_equal(access(path, F_OK), 0);
    return file_layer_real.fdatasync(NULL, fd);
}

/* Killed in the middle, it leaves something that says so, on which no server starts. */
static void test_unfinished(void **state)
{
    char *dir = scratch_new(), *out = scratch_new();
    struct file_layer layer = file_layer_real;
    struct inspection in;
    struct journal_error e = {0};
    struct salvage s = {0};
    struct seen seen;
    inspected_make(dir, 30);
    layer.fdatasync = sync_watched;
    watched = out;
    inspect_init(&in, &layer, dir);
    assert_int_equal(inspect_dir(&in, &e), 0);
    assert_int_equal(salvage_dir(&in, out, &s, &e), 0);
    inspect_fini(&in);
    check_whole(out);
    file_store(out, UNFINISHED_NAME, (struct bytes){NULL, 0});
    assert_non_null(damage_in(out, NULL));
    assert_int_equal(inspected_start(out, &seen), -EBADMSG);
    scratch_remove(dir);
    scratch_remove(out);
}

/* As if the records of a snapshot all referred to one chunk, which is not there. */
static bool refer_to_one(struct bytes record, struct chunk_ref *ret)
{
    *ret = (struct chunk_ref){.file = 3, .offset = CHUNK_FILE_HEADER, .length = 100, .crc = 1};
    return true;
}

/* Chunks that are lost are as many as are found missing in what was salvaged, be they referred to
 * by several, and be the snapshot whole or not. */
static void test_lost_chunks(void **state)
{
    for (int parts = 0; parts < 2; parts++) {
        char *dir = scratch_new(), *out = scratch_new();
        char name[SEGMENT_NAME_MAX], snapshot[SNAPSHOT_NAME_MAX];
        struct inspection in;
        struct journal_error e = {0};
        struct salvage s = {0};
        struct seen seen;
        struct journal *j = inspected_open(dir, &seen);
        inspected_append(j, 0, INSPECTED_RECORDS);
        inspected_snapshot(dir, journal_history(j), position_of(30), position_of(30), 300000);
        journal_close(j);
        segment_name(name, 1);
        flip(dir, name, SEGMENT_HEADER + 100);
        snapshot_name(snapshot, position_of(30));
        if (parts) flip(dir, snapshot, SNAPSHOT_HEADER + 300000);
        inspect_init(&in, NULL, dir);
        in.chunk_ref = refer_to_one;
        assert_int_equal(inspect_dir(&in, &e), 0);
        if (salvage_dir(&in, out, &s, &e) < 0) fail_msg("%s", e.text);
        inspect_fini(&in);
        assert_int_equal(s.partial, parts);
        assert_int_equal(s.chunks, 1);
        assert_int_equal(s.chunks_lost, 1);
        inspect_init(&in, NULL, out);
        in.chunk_ref = refer_to_one;
        assert_int_equal(inspect_dir(&in, &e), 0);
        assert_int_equal(inspect_count(&in, FINDING_DAMAGE), 1);
        inspect_fini(&in);
        scratch_remove(dir);
        scratch_remove(out);
    }
}

/* A sector behind the batches cannot be read: they are taken all the same. */
static void test_beside_an_unreadable_place(void **state)
{
    char *dir = scratch_new(), *out = scratch_new();
    struct bad_disk d;
    struct inspection in;
    struct journal_error e = {0};
    struct salvage s = {0};
    struct seen seen;
    inspected_make(dir, 0);
    bad_disk_init(&d, INSPECTED_SEGMENT, INSPECTED_SEGMENT - 1);
    inspect_init(&in, &d.layer, dir);
    assert_int_equal(inspect_dir(&in, &e), 0);
    assert_true(inspect_count(&in, FINDING_DAMAGE) > 0);
    if (salvage_dir(&in, out, &s, &e) < 0) fail_msg("%s", e.text);
    assert_int_equal(s.end, position_of(INSPECTED_RECORDS));
    inspect_fini(&in);
    check_whole(out);
    assert_int_equal(inspected_start(out, &seen), 0);
    assert_int_equal(seen.next, INSPECTED_RECORDS);
    scratch_remove(dir);
    scratch_remove(out);
}

/* Space runs out at some call: nothing is left to start from. */
static void test_salvage_fails(void **state)
{
    static const enum fault_call calls[] = {FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_SYNC_DIR};
    char *dir = scratch_new();
    unsigned failed = 0;
    inspected_make(dir, 30);
    for (size_t i = 0; i < 40; i++) {
        char *out = scratch_new();
        struct inspection in;
        struct journal_error e = {0};
        struct salvage s = {0};
        struct file_fault faults;
        file_fault_init(&faults);
        inspect_init(&in, &faults.layer, dir);
        assert_int_equal(inspect_dir(&in, &e), 0);
        file_fault_set(&faults, calls[i % 4],
                       (struct fault_rule){.nth = i / 4 + 1, .error = -ENOSPC});
        int r = salvage_dir(&in, out, &s, &e);
        file_fault_clear(&faults);
        inspect_fini(&in);
        if (r == 0) {
            check_whole(out);
        } else {
            failed++;
            assert_int_equal(r, -ENOSPC);
            assert_int_equal(file_layer_real.list(NULL, out, stop_at_any, NULL), 0);
        }
        file_fault_fini(&faults);
        scratch_remove(out);
    }
    assert_true(failed > 8);
    scratch_remove(dir);
}

static void test_nothing_to_salvage(void **state)
{
    char *dir = scratch_new(), *out = scratch_new();
    struct inspection in;
    struct journal_error e = {0};
    struct salvage s = {0};
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), -ENOENT);
    assert_int_equal(salvage_dir(&in, out, &s, &e), -ENODATA);
    inspect_fini(&in);
    scratch_remove(dir);
    scratch_remove(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salvage_says_what_it_leaves),
        cmocka_unit_test(test_nothing_to_salvage),
        cmocka_unit_test(test_parts_of_a_snapshot),
        cmocka_unit_test(test_a_snapshot_alone),
        cmocka_unit_test(test_a_snapshot_without_its_journal),
        cmocka_unit_test(test_past_gaps),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_lost_chunks),
        cmocka_unit_test(test_beside_an_unreadable_place),
        cmocka_unit_test(test_salvage_fails),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests_name("log/salvage", tests, NULL, NULL);
}
