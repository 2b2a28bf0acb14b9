/* Segments used again: the directory stays small, what is behind the end of a recycled one is never
 * taken for the journal's, and a power failure at any moment costs nothing that was promised. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/must.h"
#include "base/rand.h"
#include "log/inspect.h"
#include "log/journal_testing.h"
#include "log/segment.h"

enum { SEGMENT = 16 << 10, RECORD = 196, FRAMED = RECORD + RECORD_PREFIX };

/* Records are numbered, and all as long, so that a position tells the number. */
struct seen {
    uint64_t next; /* UINT64_MAX: none yet */
    bool wrong;
    unsigned torn;
};

static int replay(void *arg, struct bytes record, uint64_t position)
{
    struct seen *s = arg;
    uint64_t number = strtoull(record.data, NULL, 10);
    if (s->next == UINT64_MAX) s->next = number;
    if (record.len != RECORD || number != s->next++ || position != (number + 1) * FRAMED)
        s->wrong = true;
    return 0;
}

static void torn(void *arg, const char *file, uint64_t offset, uint64_t len, const char *saved_as)
{
    struct seen *s = arg;
    s->torn++;
}

static void append(struct journal *j, unsigned records)
{
    for (; records > 0; records--) {
        must(journal_admit(j, FRAMED, false) == 0);
        struct buf *b = journal_begin(j);
        char *at = buf_reserve(b, RECORD);
        memset(at, '.', RECORD);
        snprintf(at, RECORD, "%llu", (unsigned long long)(journal_head(j) / FRAMED));
        b->len += RECORD;
        journal_end(j);
    }
}

static void append_safely(struct journal *j, unsigned records)
{
    append(j, records);
    must(journal_wait(j, journal_head(j)) == 0);
}

/* Starts behind the position, up to which a snapshot is supposed to tell; NULL when that fails. */
static enum journal_sync policy;

static struct journal *start(const char *dir, const struct file_layer *files, uint64_t history,
                             uint64_t position, struct seen *s, struct journal_error *e)
{
    struct journal *j;
    struct journal_from from = {history, position, position};
    struct journal_options o = {.dir = dir,
                                .sync = policy,
                                .segment_bytes = SEGMENT,
                                .files = files,
                                .replay = replay,
                                .torn = torn,
                                .arg = s};
    *s = (struct seen){.next = UINT64_MAX};
    if (journal_new(&o, e, &j) < 0) return NULL;
    if (journal_start(j, position > 0 ? &from : NULL, e) < 0) {
        journal_close(j);
        return NULL;
    }
    if (s->next == UINT64_MAX) s->next = position / FRAMED;
    return j;
}

static struct journal *start_or_fail(const char *dir, uint64_t history, uint64_t position,
                                     struct seen *s)
{
    struct journal_error e = {0};
    struct journal *j = start(dir, NULL, history, position, s, &e);
    if (j == NULL) fail_msg("%s", e.text);
    assert_false(s->wrong);
    assert_int_equal(s->next * FRAMED, journal_head(j));
    return j;
}

static int count_name(void *arg, const char *name)
{
    uint64_t number;
    *(unsigned *)arg += segment_name_parse(name, &number);
    return 0;
}

static unsigned count_segments(const char *dir)
{
    unsigned n = 0;
    must(file_layer_real.list(NULL, dir, count_name, &n) == 0);
    return n;
}

static void check_whole(const char *dir)
{
    struct inspection in;
    struct journal_error e = {0};
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), 0);
    for (size_t i = 0; i < in.finding_count; i++)
        /* That the beginning is gone is right: there is no snapshot but in this test's mind. */
        if (strstr(in.findings[i].what, "no whole snapshot reaches it") == NULL)
            fail_msg("%s, %llu: %s", in.findings[i].file, (unsigned long long)in.findings[i].offset,
                     in.findings[i].what);
    inspect_fini(&in);
}

/* Waits until what was dropped is used again or gone. */
static struct journal_stats settled(struct journal *j, const char *dir)
{
    struct journal_stats s;
    for (int i = 0; i < 500; i++) {
        journal_stats(j, &s);
        if (count_segments(dir) == s.segments + s.prepared) break;
        usleep(2000);
    }
    return s;
}

static void test_used_again(void **state)
{
    char *dir = scratch_new();
    struct seen seen;
    struct journal *j = start_or_fail(dir, 0, 0, &seen);
    uint64_t history = journal_history(j), dropped = 0;
    for (int cycle = 0; cycle < 12; cycle++) {
        for (int i = 0; i < 40; i++) append_safely(j, 1 + i % 15);
        dropped = journal_head(j);
        journal_drop_before(j, dropped);
        struct journal_stats s = settled(j, dir);
        assert_int_equal(count_segments(dir), s.segments + s.prepared);
        assert_true(s.prepared >= 1 && s.prepared <= 9);
        if (cycle >= 1) assert_true(s.recycled >= 8);
        append_safely(j, 3);
        if (cycle % 3 == 2) { /* a clean stop; the end lies in a recycled segment */
            journal_close(j);
            check_whole(dir);
            j = start_or_fail(dir, history, dropped, &seen);
            assert_int_equal(seen.torn, 0);
        }
    }
    journal_close(j);
    scratch_remove(dir);
}

/* One snapshot after much was written, and then little: not all is kept. */
static void test_no_more_than_useful(void **state)
{
    char *dir = scratch_new();
    struct seen seen;
    struct journal *j = start_or_fail(dir, 0, 0, &seen);
    for (int i = 0; i < 60; i++) append_safely(j, 40);
    journal_drop_before(j, journal_head(j));
    struct journal_stats s = settled(j, dir);
    assert_in_range(s.prepared, 2, 9);
    assert_in_range(s.recycled, 1, 8);
    uint64_t history = journal_history(j), head = journal_head(j);
    journal_close(j);
    /* A start takes them over under new epochs. */
    j = start_or_fail(dir, history, head, &seen);
    s = settled(j, dir);
    assert_in_range(s.prepared, 2, 9);
    assert_true(s.recycled >= 1);
    for (int i = 0; i < 60; i++) append_safely(j, 40);
    journal_close(j);
    check_whole(dir);
    j = start_or_fail(dir, history, head, &seen);
    journal_close(j);
    scratch_remove(dir);
}

/* Whatever stands behind the end, it is neither read as the journal's, nor cut, nor said to be
 * torn; unless it is of this epoch. */
static void test_stale_batches_at_the_end(void **state)
{
    char *dir = scratch_new(), name[SEGMENT_NAME_MAX];
    struct seen seen;
    struct journal *j = start_or_fail(dir, 0, 0, &seen);
    uint64_t history = journal_history(j), position = 0;
    /* All batches are of one size, so that old ones begin where new ones end. */
    struct journal_stats s = {0};
    for (int i = 0; i < 2000 && s.recycled < 3; i++) {
        append_safely(j, 5);
        if (i % 40 == 39) journal_drop_before(j, position = journal_head(j));
        journal_stats(j, &s);
    }
    assert_true(s.recycled >= 3);
    for (int i = 0; i < 20; i++) append_safely(j, 5); /* into recycled ones */
    journal_close(j);
    check_whole(dir);
    unsigned recycled_ends = 0;
    for (int round = 0; round < 30; round++) {
        j = start_or_fail(dir, history, position, &seen);
        assert_int_equal(seen.torn, 0);
        append_safely(j, 5);
        journal_close(j);
        for (uint64_t number = 1; number < 200; number++) {
            struct segment_header h;
            char path[600];
            segment_name(name, number);
            snprintf(path, sizeof path, "%s/%s", dir, name);
            if (access(path, F_OK) < 0) continue;
            struct buf file = file_load(dir, name);
            if (file.len > 0 && segment_header_decode(file.data, &h) == HEADER_VALID)
                recycled_ends += h.flags & SEGMENT_RECYCLED ? 1 : 0;
            buf_fini(&file);
        }
    }
    assert_true(recycled_ends > 30);
    scratch_remove(dir);
}

/* On a full disk, segments made ahead are given up, but not those in which there is room for what
 * was admitted and is not written yet. */
static void test_what_was_admitted_keeps_its_room(void **state)
{
    char *dir = scratch_new();
    struct file_fault fault;
    struct seen seen;
    struct journal_error e = {0};
    file_fault_init(&fault);
    struct journal *j = start(dir, &fault.layer, 0, 0, &seen, &e);
    assert_non_null(j);
    for (int i = 0; i < 60; i++) append_safely(j, 10);
    uint64_t position = journal_head(j), history = journal_history(j);
    journal_drop_before(j, position);
    struct journal_stats before = settled(j, dir);
    assert_true(before.prepared >= 6);
    file_fault_set(&fault, FAULT_SYNC, (struct fault_rule){.nth = 1, .delay_us = 1000000});
    for (int i = 0; i < 30; i++) { /* some 60 KB, behind the sync of the first */
        append(j, 10);
        journal_flush(j);
        if (i == 0) usleep(100000);
    }
    file_fault_give_space(&fault, 0);
    journal_release_spares(j);
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    struct journal_stats after = settled(j, dir);
    assert_true(after.prepared < before.prepared - 3);
    journal_close(j);
    file_fault_fini(&fault);
    j = start_or_fail(dir, history, position, &seen);
    assert_int_equal(seen.next, position / FRAMED + 300);
    journal_close(j);
    scratch_remove(dir);
}

/* A disk that lost one write: the header page of a recycled segment is the one from before its use.
 * Nothing that was safe may be gone without a word. */
static void test_a_header_is_lost(void **state)
{
    char *dir = scratch_new(), name[SEGMENT_NAME_MAX];
    struct seen seen;
    struct journal_error e = {0};
    struct inspection in;
    struct journal *j = start_or_fail(dir, 0, 0, &seen);
    for (int i = 0; i < 40; i++) append_safely(j, 10);
    uint64_t position = journal_head(j), history = journal_history(j);
    journal_drop_before(j, position);
    settled(j, dir);
    for (int i = 0; i < 20; i++) append_safely(j, 10);
    journal_close(j);
    uint64_t lost = 0;
    inspect_init(&in, NULL, dir);
    assert_int_equal(inspect_dir(&in, &e), 0);
    for (size_t i = 0; i < in.segment_count; i++)
        if (in.segments[i].end > SEGMENT_HEADER) lost = in.segments[i].number; /* the last in use */
    inspect_fini(&in);
    segment_name(name, lost);
    struct buf file = file_load(dir, name);
    struct segment_header h;
    assert_int_equal(segment_header_decode(file.data, &h), HEADER_VALID);
    assert_true(h.flags & SEGMENT_RECYCLED);
    h.flags |= SEGMENT_UNUSED;
    h.first_position = 0;
    segment_header_encode(file.data, &h);
    file_store(dir, name, buf_bytes(&file));
    buf_fini(&file);
    assert_null(start(dir, NULL, history, position, &seen, &e));
    assert_int_equal(e.code, -EBADMSG);
    assert_non_null(strstr(e.text, name));
    assert_non_null(damage_in(dir, NULL));
    scratch_remove(dir);
}

/* --- Power failure --- */

struct life {
    struct file_fault fault;
    char *dir;
    uint64_t history;
    size_t drop_ops[64];
    uint64_t drop_position[64];
    unsigned drops;
    uint64_t turn_ends[1024];
    unsigned turns;
};

static void drop(struct life *l, struct journal *j, uint64_t position)
{
    must(l->drops < 64);
    l->drop_position[l->drops] = position;
    l->drop_ops[l->drops++] = file_fault_note(&l->fault, 0);
    journal_drop_before(j, position);
}

static unsigned turn_records(unsigned turn)
{
    return 1 + turn % 5 * 3;
}

static void live(struct life *l, unsigned turns, enum journal_sync sync, bool no_direct)
{
    struct seen seen;
    struct journal_error e;
    *l = (struct life){.turns = 0};
    policy = sync;
    file_fault_init(&l->fault);
    l->fault.no_direct = no_direct;
    l->dir = scratch_new();
    file_fault_record(&l->fault, l->dir, true);
    struct journal *j = start(l->dir, &l->fault.layer, 0, 0, &seen, &e);
    must(j != NULL);
    policy = JOURNAL_SYNC_ALWAYS;
    l->history = journal_history(j);
    for (unsigned i = 0; i < turns; i++) {
        append(j, turn_records(i));
        journal_flush(j);
        l->turn_ends[l->turns++] = journal_head(j);
        if (sync == JOURNAL_SYNC_ALWAYS && i % 3 == 0) must(journal_wait(j, journal_head(j)) == 0);
        if (sync == JOURNAL_SYNC_NO && i % 10 == 0) journal_want_sync(j, journal_head(j));
        if (i % 25 == 24) drop(l, j, journal_synced(j));
        file_fault_note(&l->fault, journal_synced(j));
    }
    journal_close(j);
    file_fault_note(&l->fault, l->turn_ends[l->turns - 1]);
}

static uint64_t dropped_at(const struct life *l, size_t ops)
{
    uint64_t position = 0;
    for (unsigned i = 0; i < l->drops && l->drop_ops[i] <= ops; i++) position = l->drop_position[i];
    return position;
}

/* The turn behind this position; -1 when it is no turn's end. */
static int turn_behind(const struct life *l, uint64_t position)
{
    for (unsigned i = 0; i < l->turns; i++)
        if (l->turn_ends[i] == position) return (int)i + 1;
    return position == 0 ? 0 : -1;
}

static int copy_one(void *arg, const char *name)
{
    const char *const *dirs = arg;
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dirs[0], name);
    if (strncmp(name, "journal-", 8) != 0 || access(path, F_OK) < 0) return 0;
    struct buf file = file_load(dirs[0], name);
    file_store(dirs[1], name, buf_bytes(&file));
    buf_fini(&file);
    return 0;
}

/* One turn is written again as it was the first time, and then the server is killed: what was
 * behind that turn then, and was cut, must not come back, though it would fit to the byte. */
static void check_again(const struct life *l, struct journal *j, int turn, uint64_t from,
                        const char *dir, const char *copy)
{
    struct seen seen;
    struct journal_error e = {0};
    const char *dirs[] = {dir, copy};
    append_safely(j, turn_records((unsigned)turn));
    settled(j, dir); /* files keep their names while they are copied */
    scratch_clear(copy);
    must(file_layer_real.list(NULL, dir, copy_one, dirs) == 0);
    uint64_t head = journal_head(j);
    struct journal *k = start(copy, NULL, l->history, from, &seen, &e);
    if (k == NULL || seen.wrong || journal_head(k) != head)
        fail_msg("turn %d again: %zu instead of %zu, %s", turn,
                 (size_t)(k == NULL ? 0 : journal_head(k)), (size_t)head, e.text);
    journal_close(k);
}

static void check_crash(const struct life *l, size_t ops, enum fault_loss loss, uint64_t seed,
                        const char *into, const char *copy)
{
    struct seen seen;
    struct journal_error e = {0};
    scratch_clear(into);
    uint64_t promised = file_fault_crash((struct file_fault *)&l->fault, ops, loss, seed, into);
    uint64_t from = dropped_at(l, ops);
    const char *damage = damage_in(into, NULL);
    if (damage != NULL) fail_msg("ops %zu, loss %d, seed %zu: %s", ops, loss, (size_t)seed, damage);
    /* `always` writes whole blocks: what lies behind a batch in its block does not show then. */
    policy = seed % 2 == 0 ? JOURNAL_SYNC_ALWAYS : JOURNAL_SYNC_NO;
    struct journal *j = start(into, NULL, l->history, from, &seen, &e);
    if (j == NULL) fail_msg("ops %zu, loss %d, seed %zu: %s", ops, loss, (size_t)seed, e.text);
    uint64_t back = journal_head(j);
    int turn = turn_behind(l, back);
    if (seen.wrong || back < promised || turn < 0)
        fail_msg("ops %zu, loss %d, seed %zu: %zu came back of %zu promised%s", ops, loss,
                 (size_t)seed, (size_t)back, (size_t)promised, seen.wrong ? ", wrong" : "");
    check_again(l, j, turn, from, into, copy);
    journal_close(j);
}

static void test_power_loss(void **state)
{
    static struct life l;
    char *into = scratch_new(), *copy = scratch_new();
    size_t step = getenv("LEAT_TORTURE") ? 1 : 5;
    for (int way = 0; way < 4; way++) { /* the three policies, and `always` by the page cache */
        live(&l, 150, (enum journal_sync)(way % 3), way == 3);
        size_t all = l.fault.op_count - l.fault.base_ops;
        assert_true(l.drops > 4 && all > 150);
        for (size_t i = 0; i <= all; i += step) {
            size_t ops = l.fault.base_ops + i;
            check_crash(&l, ops, (enum fault_loss)(i / step % LOSS_KINDS), i + 1, into, copy);
            for (int loss = 0; loss < LOSS_KINDS && step == 1; loss++)
                check_crash(&l, ops, (enum fault_loss)loss, i + 7, into, copy);
        }
        file_fault_fini(&l.fault);
        scratch_remove(l.dir);
    }
    scratch_remove(into);
    scratch_remove(copy);
}

/* A recycled segment cannot be had for some reason: it is deleted, and the journal goes on. */
static void test_failures(void **state)
{
    static const enum fault_call calls[] = {FAULT_RENAME, FAULT_OPEN, FAULT_SYNC_DIR};
    for (size_t i = 0; i < 3; i++) {
        char *dir = scratch_new();
        struct file_fault fault;
        struct seen seen;
        struct journal_error e = {0};
        file_fault_init(&fault);
        struct journal *j = start(dir, &fault.layer, 0, 0, &seen, &e);
        assert_non_null(j);
        for (int k = 0; k < 40; k++) append_safely(j, 10);
        uint64_t head = journal_head(j), history = journal_history(j);
        usleep(20000);
        file_fault_set(&fault, calls[i], (struct fault_rule){.nth = 1, .error = -EIO});
        journal_drop_before(j, head);
        struct journal_stats s = settled(j, dir);
        assert_int_equal(count_segments(dir), s.segments + s.prepared);
        file_fault_clear(&fault);
        for (int k = 0; k < 40; k++) append_safely(j, 10);
        journal_close(j);
        file_fault_fini(&fault);
        j = start_or_fail(dir, history, head, &seen);
        journal_close(j);
        check_whole(dir);
        scratch_remove(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_again),
        cmocka_unit_test(test_no_more_than_useful),
        cmocka_unit_test(test_stale_batches_at_the_end),
        cmocka_unit_test(test_what_was_admitted_keeps_its_room),
        cmocka_unit_test(test_a_header_is_lost),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_power_loss),
    };
    return cmocka_run_group_tests_name("log/recycle", tests, NULL, NULL);
}
