/* Inspection and salvage: a whole directory has no findings; whatever byte is changed is found, all
 * of several damages are; and what is salvaged starts, with everything up to the damage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "log/journal_testing.h"
#include "log/salvage.h"

enum { SEGMENT = 8 << 10, RECORD = 200, RECORDS = 60 };

static uint64_t position_of(uint64_t records)
{
    return records * (RECORD_PREFIX + RECORD);
}

/* What a replay saw: numbers in a row, from `first` on. */
struct seen {
    uint64_t first, next;
    bool wrong;
};

static int replay(void *arg, struct bytes record, uint64_t position)
{
    struct seen *s = arg;
    uint64_t number = strtoull(record.data, NULL, 10);
    if (s->next == UINT64_MAX) s->first = s->next = number;
    if (number != s->next++ || position != position_of(number + 1)) s->wrong = true;
    return 0;
}

static void append(struct journal *j, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct buf *b = journal_begin(j);
        char *at = buf_reserve(b, RECORD);
        memset(at, '.', RECORD);
        snprintf(at, RECORD, "%llu", (unsigned long long)i);
        b->len += RECORD;
        journal_end(j);
        if (i % 4 == 3) must(journal_wait(j, journal_head(j)) == 0);
    }
    must(journal_wait(j, journal_head(j)) == 0);
}

/* Of five records, which are in several blocks when they are long. */
static void write_snapshot(const char *dir, uint64_t history, uint64_t position, size_t length)
{
    struct snapshot_options o = {.dir = dir};
    struct snapshot_writer *w;
    struct snapshot_result result;
    o.header.history = history;
    o.header.position = position;
    must(snapshot_begin(&o, &w) == 0);
    for (int i = 0; i < 5; i++) {
        struct buf *b = snapshot_record(w);
        buf_printf(b, "record %d", i);
        memset(buf_reserve(b, length), 'x', length);
        b->len += length;
        snapshot_record_end(w);
    }
    snapshot_complete(w, position);
    while (snapshot_state(w) == SNAPSHOT_WRITING) {
    }
    snapshot_end(w, &result);
    must(result.state == SNAPSHOT_DONE);
}

/* A journal in several segments, cleanly closed; with a snapshot after record `snapshot`, if any.
 */
static void make(const char *dir, uint64_t snapshot)
{
    struct journal *j;
    struct journal_error e;
    struct seen s = {.next = UINT64_MAX};
    struct journal_options o = {.dir = dir, .segment_bytes = SEGMENT, .replay = replay, .arg = &s};
    must(journal_open(&o, &e, &j) == 0);
    append(j, 0, RECORDS);
    if (snapshot > 0) write_snapshot(dir, journal_history(j), position_of(snapshot), 0);
    journal_close(j);
}

static void clear(const char *dir)
{
    scratch_clear(dir);
}

/* Starts as a server does: the newest whole snapshot, then the journal. */
static int start(const char *dir, struct seen *s)
{
    struct journal *j = NULL;
    struct journal_error e = {0};
    struct journal_from from = {0};
    uint64_t positions[4];
    *s = (struct seen){.next = UINT64_MAX};
    struct journal_options o = {.dir = dir, .segment_bytes = SEGMENT, .replay = replay, .arg = s};
    int n = snapshot_list(NULL, dir, positions, 4);
    for (int i = 0; i < n && from.history == 0; i++) {
        struct snapshot_info info;
        struct snapshot_reading how = {.dir = dir};
        if (snapshot_read(&how, positions[i], &info, &e) == 0)
            from = (struct journal_from){info.header.history, positions[i], info.end.complete};
    }
    int r = journal_new(&o, &e, &j);
    if (r == 0) r = journal_start(j, from.history != 0 ? &from : NULL, &e);
    if (r == 0 && s->next == UINT64_MAX) s->first = s->next = journal_head(j) / position_of(1);
    journal_close(j);
    return r;
}

static void inspect(struct inspection *in, const char *dir)
{
    struct journal_error e = {0};
    inspect_init(in, NULL, dir);
    if (inspect_dir(in, &e) < 0) fail_msg("%s", e.text);
}

static void check_whole(const char *dir)
{
    struct inspection in;
    inspect(&in, dir);
    if (in.finding_count > 0)
        fail_msg("%s, %llu: %s", in.findings[0].file, (unsigned long long)in.findings[0].offset,
                 in.findings[0].what);
    inspect_fini(&in);
}

static void test_whole(void **state)
{
    char *dir = scratch_new();
    for (uint64_t snapshot = 0; snapshot <= RECORDS; snapshot += 20) {
        struct inspection in;
        make(dir, snapshot);
        check_whole(dir);
        inspect(&in, dir);
        assert_int_equal(in.records, RECORDS);
        assert_int_equal(in.end, position_of(RECORDS));
        assert_int_equal(in.snapshot_count, snapshot > 0);
        assert_true(in.segment_count >= 2);
        assert_int_equal(in.done, in.total);
        inspect_fini(&in);
        clear(dir);
    }
    scratch_remove(dir);
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
    inspect(&in, dir);
    int r = salvage_dir(&in, out, &s, &e);
    if (r < 0) {
        assert_true(strlen(e.text) > 10);
    } else {
        check_whole(out);
        assert_int_equal(start(out, &seen), 0);
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
    clear(dir);
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
    make(dir, snapshot);
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
            inspect(&in, dir);
            size_t damages = inspect_count(&in, FINDING_DAMAGE), findings = in.finding_count;
            inspect_fini(&in);
            int64_t saved = salvage_and_start(dir, snapshot);
            int r = start(dir, &seen);
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

static void flip(const char *dir, const char *name, size_t at)
{
    struct buf file = file_load(dir, name);
    file.data[at] ^= 4;
    file_store(dir, name, buf_bytes(&file));
    buf_fini(&file);
}

static void test_finds_all(void **state)
{
    struct inspection in;
    char *dir = scratch_new(), first[SEGMENT_NAME_MAX], second[SEGMENT_NAME_MAX];
    make(dir, 30);
    char snapshot[SNAPSHOT_NAME_MAX];
    snapshot_name(snapshot, position_of(30));
    segment_name(first, 1);
    segment_name(second, 2);
    flip(dir, first, SEGMENT_HEADER + 100);
    flip(dir, second, SEGMENT_HEADER + 70);
    flip(dir, snapshot, SNAPSHOT_HEADER + 50);
    inspect(&in, dir);
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
    make(dir, 0);
    segment_name(name, 2);
    struct buf before = file_load(dir, name);
    flip(dir, name, SEGMENT_HEADER + 300);
    inspect(&in, dir);
    assert_int_equal(salvage_dir(&in, out, &s, &e), 0);
    assert_true(lines >= 2);
    assert_true(s.end > 0 && s.end < position_of(RECORDS));
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
    struct journal *j;
    struct journal_error e = {0};
    struct seen seen = {.next = UINT64_MAX};
    struct journal_options o = {
        .dir = dir, .segment_bytes = SEGMENT, .replay = replay, .arg = &seen};
    must(journal_open(&o, &e, &j) == 0);
    append(j, 0, RECORDS);
    write_snapshot(dir, journal_history(j), position_of(30), 300000);
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
        inspect(&in, dir);
        uint64_t blocks = in.snapshots[0].whole_blocks;
        assert_true(blocks > 1);
        assert_int_equal(salvage_dir(&in, out, &s, &e), 0);
        assert_true(s.partial);
        assert_int_equal(s.blocks, blocks);
        inspect_fini(&in);
        check_whole(out);
        assert_int_equal(snapshot_read(&how, position_of(30), &info, &e), 0);
        assert_int_equal(info.end.blocks, blocks);
        assert_int_equal(start(out, &seen), 0);
        scratch_clear(out);
    }
    scratch_remove(dir);
    scratch_remove(out);
}

/* Space runs out at some call: nothing is left to start from. */
static void test_salvage_fails(void **state)
{
    static const enum fault_call calls[] = {FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_SYNC_DIR};
    char *dir = scratch_new();
    unsigned failed = 0;
    make(dir, 30);
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
    inspect_init(&in, NULL, "/nowhere/at/all");
    assert_int_equal(inspect_dir(&in, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/nowhere/at/all"));
    inspect_fini(&in);
    scratch_remove(dir);
    scratch_remove(out);
}

static void test_not_beside_a_server(void **state)
{
    char *dir = scratch_new(), pid[40];
    struct journal *j;
    struct journal_error e = {0};
    struct inspection in;
    struct seen seen = {.next = UINT64_MAX};
    struct journal_options o = {
        .dir = dir, .segment_bytes = SEGMENT, .replay = replay, .arg = &seen};
    make(dir, 0);
    must(journal_open(&o, &e, &j) == 0);
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), -EBUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(e.text, pid));
    inspect_fini(&in);
    journal_close(j);
    /* And the other way round. */
    inspect(&in, dir);
    assert_int_equal(start(dir, &seen), -EBUSY);
    inspect_fini(&in);
    assert_int_equal(start(dir, &seen), 0);
    scratch_remove(dir);
}

/* ---- A disk that cannot be read at some place ---- */

struct bad_disk {
    struct file_layer layer;
    uint64_t size; /* of the file that is meant */
    uint64_t at;
};

static ssize_t read_bad(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    struct bad_disk *d = ctx;
    uint64_t size, allocated;
    must(file_layer_real.measure(NULL, fd, &size, &allocated) == 0);
    if (size == d->size && offset <= d->at && d->at < offset + n) return -EIO;
    return file_layer_real.pread(NULL, fd, data, n, offset);
}

/* What is before and behind an unreadable sector is read all the same. */
static void test_unreadable(void **state)
{
    static const uint64_t places[] = {100, SEGMENT_HEADER + 10, SEGMENT_HEADER + 2000};
    char *dir = scratch_new();
    make(dir, 20);
    char name[SNAPSHOT_NAME_MAX];
    snapshot_name(name, position_of(20));
    struct buf file = file_load(dir, name);
    uint64_t sizes[] = {SEGMENT, file.len};
    buf_fini(&file);
    for (size_t i = 0; i < 6; i++) {
        struct bad_disk d = {.layer = file_layer_real, .size = sizes[i / 3], .at = places[i % 3]};
        struct inspection in;
        struct journal_error e = {0};
        d.layer.ctx = &d;
        d.layer.pread = read_bad;
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
        if (i == 0) assert_int_equal(in.records, RECORDS); /* headers alone cannot be read */
        if (i == 2) assert_in_range(in.records, RECORDS / 3, RECORDS - 1);
        inspect_fini(&in);
    }
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_finds_all),
        cmocka_unit_test(test_salvage_says_what_it_leaves),
        cmocka_unit_test(test_nothing_to_salvage),
        cmocka_unit_test(test_parts_of_a_snapshot),
        cmocka_unit_test(test_salvage_fails),
        cmocka_unit_test(test_not_beside_a_server),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
