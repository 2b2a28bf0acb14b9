/* Snapshots: written and read back; over a disk that fails at every call; after a loss of power at
 * every moment; and with every byte changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/rand.h"
#include "log/journal_testing.h"
#include "log/segment.h"
#include "log/snapshot.h"

/* The records of a snapshot that begins at `position`: 0, 1, 2 ... of different lengths. */
static void put_record(struct buf *out, uint64_t position, uint32_t i, size_t length_max)
{
    size_t n = length_max == 0 ? 0 : (i * 7919u + position) % length_max;
    buf_printf(out, "%llu/%u ", (unsigned long long)position, i);
    char *at = buf_reserve(out, n);
    memset(at, 'a' + (int)(i % 26), n);
    out->len += n;
}

struct plan {
    uint64_t position, complete;
    uint32_t records;
    size_t length_max;
};

static struct snapshot_options options_for(const char *dir, const struct file_layer *files,
                                           const struct plan *p)
{
    struct snapshot_options o = {.dir = dir, .files = files};
    o.header.history = 77;
    o.header.position = p->position;
    o.header.keys[3] = p->records;
    o.header.expiring[15] = 2;
    return o;
}

static void give_records(struct snapshot_writer *w, const struct plan *p)
{
    for (uint32_t i = 0; i < p->records; i++) {
        put_record(snapshot_record(w), p->position, i, p->length_max);
        snapshot_record_end(w);
    }
    snapshot_complete(w, p->complete);
}

static void wait_for_end(struct snapshot_writer *w)
{
    while (snapshot_state(w) == SNAPSHOT_WRITING)
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static struct snapshot_result write_one(const char *dir, const struct file_layer *files,
                                        struct plan p)
{
    struct snapshot_options o = options_for(dir, files, &p);
    struct snapshot_writer *w;
    struct snapshot_result result;
    assert_int_equal(snapshot_begin(&o, &w), 0);
    give_records(w, &p);
    wait_for_end(w);
    snapshot_end(w, &result);
    return result;
}

struct check {
    struct plan plan;
    uint32_t seen;
    bool wrong;
    bool header;
};

static int on_header(void *arg, const struct snapshot_header *h)
{
    struct check *c = arg;
    c->header = h->history == 77 && h->keys[3] == c->plan.records && h->expiring[15] == 2 &&
                h->keys[0] == 0;
    return 0;
}

static int on_block(void *arg, struct bytes records, uint32_t count)
{
    struct check *c = arg;
    uint64_t at = 0;
    struct bytes record;
    struct buf expected = {0};
    while (record_next(records.data, records.len, &at, &record)) {
        expected.len = 0;
        put_record(&expected, c->plan.position, c->seen++, c->plan.length_max);
        if (!bytes_eq(buf_bytes(&expected), record)) c->wrong = true;
    }
    buf_fini(&expected);
    return 0;
}

/* Reads it; the content must be right whenever the reading succeeds. */
static int read_one(const char *dir, struct plan p, struct journal_error *e)
{
    struct check c = {.plan = p};
    struct snapshot_info info;
    struct snapshot_reading how = {
        .dir = dir, .on_header = on_header, .on_block = on_block, .arg = &c};
    int r = snapshot_read(&how, p.position, &info, e);
    if (r < 0) return r;
    assert_true(c.header);
    assert_false(c.wrong);
    assert_int_equal(c.seen, p.records);
    assert_int_equal(info.end.complete, p.complete);
    assert_int_equal(info.end.records, p.records);
    assert_true(info.header.time_us > 0);
    return 0;
}

static int list_of(const char *dir, uint64_t *ret)
{
    return snapshot_list(NULL, dir, ret, 16);
}

static bool exists(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool there = access(path, F_OK) == 0;
    mem_free(path);
    return there;
}

static void test_round_trip(void **state)
{
    static const struct plan plans[] = {
        {0, 0, 0, 0}, {5, 9, 1, 10}, {1000, 1000, 5000, 300}, {2000, 2001, 7, 900000}};
    char *dir = scratch_new();
    struct journal_error e;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct snapshot_result r = write_one(dir, NULL, plans[i]);
        assert_int_equal(r.state, SNAPSHOT_DONE);
        assert_int_equal(r.records, plans[i].records);
        if (read_one(dir, plans[i], &e) < 0) fail_msg("%s", e.text);
        char name[SNAPSHOT_NAME_MAX];
        snapshot_name(name, plans[i].position);
        struct buf file = file_load(dir, name);
        assert_int_equal(file.len, r.size);
        buf_fini(&file);
    }
    assert_false(exists(dir, "snapshot.tmp"));
    scratch_remove(dir);
}

static void test_two_are_kept(void **state)
{
    char *dir = scratch_new();
    uint64_t found[16];
    uint64_t older[] = {0, 10, 20, 30};
    for (int i = 0; i < 4; i++) {
        struct plan p = {10 * (uint64_t)(i + 1), 50, 20, 40};
        assert_int_equal(write_one(dir, NULL, p).older, older[i]);
    }
    assert_int_equal(list_of(dir, found), 2);
    assert_int_equal(found[0], 40);
    assert_int_equal(found[1], 30);
    /* The same position again is the same content: it takes the place of the first. */
    assert_int_equal(write_one(dir, NULL, (struct plan){40, 50, 20, 40}).older, 30);
    assert_int_equal(snapshot_set_aside(NULL, dir, 40), 0);
    assert_int_equal(list_of(dir, found), 1);
    assert_int_equal(found[0], 30);
    scratch_remove(dir);
}

/* ---- Given up, and waiting for the journal ---- */

/* As the writer's thread sees it. */
struct seen_journal {
    _Atomic uint64_t synced;
    atomic_bool failed;
};

static uint64_t synced_so_far(void *arg)
{
    return atomic_load(&((struct seen_journal *)arg)->synced);
}

static bool has_failed(void *arg)
{
    return atomic_load(&((struct seen_journal *)arg)->failed);
}

static void test_waits_for_the_journal(void **state)
{
    char *dir = scratch_new();
    uint64_t found[16];
    struct seen_journal journal = {99, false};
    struct plan p = {10, 100, 20, 40};
    struct snapshot_options o = options_for(dir, NULL, &p);
    struct snapshot_result result;
    o.synced = synced_so_far;
    o.failed = has_failed;
    o.arg = &journal;
    for (int i = 0; i < 3; i++) {
        struct snapshot_writer *w;
        atomic_store(&journal.synced, 99);
        atomic_store(&journal.failed, false);
        assert_int_equal(snapshot_begin(&o, &w), 0);
        give_records(w, &p);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        assert_int_equal(snapshot_state(w), SNAPSHOT_WRITING);
        assert_int_equal(list_of(dir, found), 0);
        if (i == 1) atomic_store(&journal.failed, true);
        if (i == 2) atomic_store(&journal.synced, 100);
        if (i > 0) wait_for_end(w);
        snapshot_end(w, &result);
        assert_int_equal(result.state, i == 2 ? SNAPSHOT_DONE : SNAPSHOT_FAILED);
        assert_int_equal(strlen(result.error) > 0, i != 2);
        assert_false(exists(dir, "snapshot.tmp"));
    }
    assert_int_equal(list_of(dir, found), 1);
    scratch_remove(dir);
}

static void test_given_up(void **state)
{
    char *dir = scratch_new();
    uint64_t found[16];
    struct plan p = {10, 100, 20000, 400};
    struct snapshot_options o = options_for(dir, NULL, &p);
    struct snapshot_writer *w;
    struct snapshot_result result;
    assert_int_equal(snapshot_begin(&o, &w), 0);
    for (uint32_t i = 0; i < p.records; i++) {
        put_record(snapshot_record(w), 10, i, 400);
        snapshot_record_end(w);
    }
    snapshot_end(w, &result);
    assert_int_equal(result.state, SNAPSHOT_FAILED);
    assert_int_equal(list_of(dir, found), 0);
    assert_false(exists(dir, "snapshot.tmp"));
    scratch_remove(dir);
}

/* ---- A call fails ---- */

static void test_each_call_fails(void **state)
{
    static const enum fault_call calls[] = {FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_SYNC_DIR,
                                            FAULT_RENAME};
    static const struct plan before = {10, 20, 30, 50}, plan = {100, 200, 9000, 1000};
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        for (uint64_t nth = 1;; nth++) {
            struct file_fault fault;
            struct journal_error e;
            char *dir = scratch_new();
            file_fault_init(&fault);
            assert_int_equal(write_one(dir, &fault.layer, before).state, SNAPSHOT_DONE);
            struct fault_rule rule = {.nth = nth, .error = nth % 2 ? -EIO : -ENOSPC};
            file_fault_set(&fault, calls[c], rule);
            struct snapshot_result r = write_one(dir, &fault.layer, plan);
            bool reached = fault.calls[calls[c]] >= nth;
            assert_int_equal(r.state, reached ? SNAPSHOT_FAILED : SNAPSHOT_DONE);
            if (reached) assert_non_null(strstr(r.error, nth % 2 ? "Input/output" : "No space"));
            assert_false(exists(dir, "snapshot.tmp"));
            /* The one before is untouched, and what has a name is whole. */
            uint64_t found[16];
            int n = list_of(dir, found);
            assert_int_equal(found[n - 1], before.position);
            if (n == 2 && read_one(dir, plan, &e) < 0) fail_msg("%s", e.text);
            if (read_one(dir, before, &e) < 0) fail_msg("%s", e.text);
            /* And the next attempt is not the worse for it. */
            file_fault_clear(&fault);
            assert_int_equal(write_one(dir, &fault.layer, plan).state, SNAPSHOT_DONE);
            if (read_one(dir, plan, &e) < 0) fail_msg("%s", e.text);
            file_fault_fini(&fault);
            scratch_remove(dir);
            if (!reached) break;
        }
    }
}

/* When a larger one cannot be had, the room that is set aside already stays. */
static void test_reserve(void **state)
{
    enum { MB = 1 << 20 };
    struct file_fault fault;
    char *dir = scratch_new();
    file_fault_init(&fault);
    file_fault_give_space(&fault, MB / 2);
    assert_false(snapshot_make_reserve(&fault.layer, dir, 0));
    assert_false(exists(dir, "reserve.bin"));
    file_fault_give_space(&fault, MB);
    assert_true(snapshot_make_reserve(&fault.layer, dir, 0));
    assert_false(snapshot_make_reserve(&fault.layer, dir, 4 * MB));
    assert_true(exists(dir, "reserve.bin"));
    file_fault_give_space(&fault, 8 * MB);
    assert_true(snapshot_make_reserve(&fault.layer, dir, 4 * MB));
    file_fault_fini(&fault);
    scratch_remove(dir);
}

static void test_short_writes(void **state)
{
    struct file_fault fault;
    struct journal_error e;
    struct plan p = {1, 2, 2000, 700};
    char *dir = scratch_new();
    file_fault_init(&fault);
    file_fault_set(&fault, FAULT_WRITE,
                   (struct fault_rule){.nth = 1, .onwards = true, .shorten = true});
    assert_int_equal(write_one(dir, &fault.layer, p).state, SNAPSHOT_DONE);
    if (read_one(dir, p, &e) < 0) fail_msg("%s", e.text);
    file_fault_fini(&fault);
    scratch_remove(dir);
}

/* Whatever a loss of power leaves: what has a snapshot's name is whole, and there is always one,
 * since there was one before. */
static void test_power_loss(void **state)
{
    static const struct plan plans[] = {{10, 20, 40, 90}, {100, 200, 300, 90}, {300, 300, 20, 90}};
    struct file_fault fault;
    char *dir = scratch_new(), *after = scratch_new();
    file_fault_init(&fault);
    assert_int_equal(write_one(dir, &fault.layer, plans[0]).state, SNAPSHOT_DONE);
    file_fault_record(&fault, dir, true);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(write_one(dir, &fault.layer, plans[i]).state, SNAPSHOT_DONE);
        file_fault_note(&fault, plans[i].position);
    }
    for (size_t ops = fault.base_ops; ops <= fault.op_count; ops++) {
        for (int loss = 0; loss < LOSS_KINDS; loss++) {
            uint64_t found[16];
            uint64_t noted = file_fault_crash(&fault, ops, loss, ops * 31 + (uint64_t)loss, after);
            int n = list_of(after, found);
            assert_true(n >= 1);
            assert_true(found[0] >= noted);
            for (int i = 0; i < n; i++) {
                struct journal_error e;
                int p = found[i] == 10 ? 0 : found[i] == 100 ? 1 : 2;
                if (read_one(after, plans[p], &e) < 0)
                    fail_msg("after %zu operations, loss %d: %s", ops, loss, e.text);
            }
            scratch_clear(after);
        }
    }
    file_fault_fini(&fault);
    scratch_remove(dir);
    scratch_remove(after);
}

/* ---- Damage ---- */

static void test_every_byte_counts(void **state)
{
    static const struct plan p = {10, 20, 40, 90};
    char name[SNAPSHOT_NAME_MAX];
    char *dir = scratch_new();
    write_one(dir, NULL, p);
    snapshot_name(name, p.position);
    struct buf file = file_load(dir, name);
    for (size_t i = 0; i < file.len; i++) {
        struct journal_error e = {0};
        file.data[i] ^= (char)(1 << i % 8);
        file_store(dir, name, buf_bytes(&file));
        int r = read_one(dir, p, &e);
        if (r >= 0) fail_msg("the change of byte %zu was not noticed", i);
        assert_non_null(strstr(e.text, name));
        assert_true(r == -EBADMSG || r == -EPROTONOSUPPORT);
        file.data[i] ^= (char)(1 << i % 8);
    }
    for (size_t n = 0; n < file.len; n++) {
        struct journal_error e = {0};
        file_store(dir, name, (struct bytes){file.data, n});
        assert_int_equal(read_one(dir, p, &e), -EBADMSG);
    }
    buf_putc(&file, 0);
    file_store(dir, name, buf_bytes(&file));
    assert_int_equal(read_one(dir, p, &(struct journal_error){0}), -EBADMSG);
    buf_fini(&file);
    scratch_remove(dir);
}

/* The first time it waits until the reader gets no further. */
static int note_memory(void *arg, struct bytes records, uint32_t count)
{
    size_t *most = arg;
    bool first = *most == 0;
    for (int still = 0; first && still < 100; still++) {
        if (mem_used() > *most) still = 0;
        if (mem_used() > *most) *most = mem_used();
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    if (mem_used() > *most) *most = mem_used();
    return 0;
}

/* Blocks are as large as their largest record: not many of these are read ahead. */
static void test_large_blocks_take_little_memory(void **state)
{
    enum { LARGE = 24 << 20 };
    static const struct plan p = {10, 20, 8, LARGE};
    char *dir = scratch_new();
    struct snapshot_options o = options_for(dir, NULL, &p);
    struct snapshot_writer *w;
    struct snapshot_result result;
    struct snapshot_info info;
    struct journal_error e;
    assert_int_equal(snapshot_begin(&o, &w), 0);
    for (uint32_t i = 0; i < p.records; i++) {
        struct buf *b = snapshot_record(w);
        memset(buf_reserve(b, LARGE), 'x', LARGE);
        b->len += LARGE;
        snapshot_record_end(w);
    }
    snapshot_complete(w, p.complete);
    wait_for_end(w);
    snapshot_end(w, &result);
    assert_int_equal(result.state, SNAPSHOT_DONE);
    size_t before = mem_used(), most = 0;
    struct snapshot_reading how = {.dir = dir, .on_block = note_memory, .arg = &most};
    assert_int_equal(snapshot_read(&how, p.position, &info, &e), 0);
    assert_in_range(most - before, 2 * (size_t)LARGE, 4 * (size_t)LARGE);
    scratch_remove(dir);
}

static int refuse_block(void *arg, struct bytes records, uint32_t count)
{
    return -EBADMSG;
}

static void test_refusals(void **state)
{
    static const struct plan p = {10, 20, 40, 90};
    struct journal_error e;
    struct snapshot_info info;
    char *dir = scratch_new();
    write_one(dir, NULL, p);
    struct snapshot_reading how = {.dir = dir, .on_block = refuse_block};
    assert_int_equal(snapshot_read(&how, 10, &info, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "offset 4096"));
    assert_int_equal(snapshot_read(&how, 11, &info, &e), -ENOENT);

    /* A later version is refused with both named. */
    char name[SNAPSHOT_NAME_MAX], page[SNAPSHOT_HEADER];
    struct snapshot_header h = {.position = 10};
    snapshot_name(name, 10);
    snapshot_header_encode(page, &h);
    assert_int_equal(snapshot_header_decode(page, &h), HEADER_VALID);
    assert_int_equal(h.version, FORMAT_VERSION);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_two_are_kept),
        cmocka_unit_test(test_waits_for_the_journal),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_large_blocks_take_little_memory),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
