/* Snapshots of streams whose groups change all the time: after a start from one everything in them
 * is as it was. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "broker/snapshot_testing.h"
#include "keys/stream.h"
#include "keys/stream_group.h"
#include "log/file.h"

enum { ENTRIES = 9000, STREAMS = 3, GROUPS = 4, CONSUMERS = 40 };

static void read_some(struct world *w, unsigned count)
{
    world_run(w, "XREADGROUP GROUP g%u c%u COUNT %u STREAMS s%u >", world_below(w, GROUPS),
              world_below(w, CONSUMERS), count, world_below(w, STREAMS));
}

static void fill(struct world *w)
{
    for (unsigned s = 0; s < STREAMS; s++) {
        for (unsigned i = 1; i <= ENTRIES; i++)
            world_run(w, "XADD s%u %u-%u n %u", s, i / 3, i % 3, i);
        for (unsigned g = 0; g < GROUPS; g++) {
            world_run(w, "XGROUP CREATE s%u g%u 0", s, g);
            for (unsigned c = 0; c < CONSUMERS; c++)
                world_run(w, "XGROUP CREATECONSUMER s%u g%u c%u", s, g, c);
        }
    }
    for (unsigned i = 0; i < 200; i++) {
        read_some(w, 1 + world_below(w, 200));
        if (i % 20 == 0) world_step(w);
    }
}

/* Groups come and go while they are put, and what is pending in them does. */
static void change(struct world *w)
{
    unsigned s = world_below(w, STREAMS), g = world_below(w, GROUPS), c = world_below(w, CONSUMERS),
             id = world_below(w, ENTRIES);
    unsigned ms = id / 3, seq = id % 3;
    switch (world_below(w, 16)) {
    case 0:
        world_run(w, "XGROUP DESTROY s%u g%u", s, g);
        break;
    case 1:
    case 2:
        world_run(w, "XGROUP CREATE s%u g%u %u", s, g, world_below(w, 2) * ms);
        break;
    case 3:
        world_run(w, "XGROUP SETID s%u g%u %u", s, g, world_below(w, ms + 1));
        break;
    case 4:
        world_run(w, "XGROUP DELCONSUMER s%u g%u c%u", s, g, c);
        break;
    case 5:
        world_run(w, "XGROUP REPLACECONSUMER s%u g%u c%u TO c%u", s, g, c,
                  world_below(w, CONSUMERS));
        break;
    case 6:
    case 7:
        for (unsigned i = 0; i < 60; i++)
            world_run(w, "XACK s%u g%u %u-%u", s, g, (id + i) / 3, (id + i) % 3);
        break;
    case 8:
        world_run(w, "XCLAIM s%u g%u c%u 0 %u-%u %u-%u", s, g, c, ms, seq, ms + 1, seq);
        break;
    case 9:
        world_run(w, "XAUTOCLAIM s%u g%u c%u 0 %u COUNT 50", s, g, c, ms);
        break;
    case 10:
        world_run(w, "XDEL s%u %u-%u", s, ms, seq);
        break;
    case 11:
        world_run(w, "XADD s%u * new one", s);
        break;
    default:
        read_some(w, 1 + world_below(w, 300));
    }
}

static void test_changes_beside_the_walk(void **state)
{
    unsigned rounds = getenv("LEAT_TORTURE") ? 60 : 8;
    for (unsigned seed = 1; seed <= rounds; seed++) {
        struct world w;
        unsigned steps = 0;
        world_init(&w, seed);
        world_open(&w);
        fill(&w);
        assert_true(snapshots_request(w.bench.broker, false));
        for (; snapshots_in_progress(w.bench.broker); steps++) {
            for (unsigned n = world_below(&w, 8); n > 0; n--) change(&w);
            world_step(&w);
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
        }
        assert_true(steps > 10); /* or nothing changed beside it */
        for (unsigned n = world_below(&w, 60); n > 0; n--) change(&w);
        world_check_restart(&w);
        assert_true(w.bench.broker->load.has_snapshot);
        world_close(&w);
        world_fini(&w);
    }
}

/* Nothing changes: all is in the snapshot. */
static void test_all_is_in_it(void **state)
{
    struct world w;
    world_init(&w, 99);
    world_open(&w);
    fill(&w);
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    world_check_restart(&w);
    assert_true(w.bench.broker->load.has_snapshot);
    assert_int_equal(w.bench.broker->load.journal_records, 0);
    world_close(&w);
    world_fini(&w);
}

/* ---- One that fails ---- */

/* What becomes of writes to a snapshot's file. */
enum disk { DISK_GOOD, DISK_SLOW, DISK_BAD };
static atomic_int disk = DISK_GOOD;
static atomic_int snapshot_fd = -1;

static int open_noting(void *ctx, const char *path, int flags, mode_t mode)
{
    int fd = file_layer_real.open(ctx, path, flags, mode);
    if (strstr(path, "snapshot.tmp") != NULL) snapshot_fd = fd;
    return fd;
}

static ssize_t pwritev_as_told(void *ctx, int fd, const struct iovec *iov, int count,
                               uint64_t offset)
{
    while (fd == snapshot_fd && disk == DISK_SLOW)
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    if (fd == snapshot_fd && disk == DISK_BAD) return -EIO;
    return file_layer_real.pwritev(ctx, fd, iov, count, offset);
}

/* Does the walk stand among the groups of some stream? */
static bool is_among_groups(struct world *w)
{
    for (unsigned s = 0; s < STREAMS; s++) {
        char text[16];
        struct bytes name = {text, (size_t)snprintf(text, sizeof text, "s%u", s)};
        struct key *k = keyspace_find(w->bench.broker->ks, 0, name, hash_bytes(name));
        if (stream_of(k)->groups->place.group != NULL) return true;
    }
    return false;
}

/* The next snapshot begins at the beginning, not where one that failed stood. */
static void test_after_one_that_failed(void **state)
{
    struct file_layer files = file_layer_real;
    struct world w;
    files.open = open_noting;
    files.pwritev = pwritev_as_told;
    world_init(&w, 7);
    w.bench.files = &files;
    world_open(&w);
    fill(&w);
    for (unsigned c = 0; c < 1000; c++) world_run(&w, "XGROUP CREATECONSUMER s0 g1 more%u", c);
    disk = DISK_SLOW;
    assert_true(snapshots_request(w.bench.broker, false));
    for (unsigned i = 0; !is_among_groups(&w); i++) {
        assert_true(i < 100000);
        world_step(&w);
    }
    disk = DISK_BAD;
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* the writer has met it */
    while (snapshots_in_progress(w.bench.broker)) world_step(&w);
    assert_true(is_among_groups(&w)); /* or it has come to its end first */
    disk = DISK_GOOD;
    assert_true(snapshots_request(w.bench.broker, false));
    world_finish_snapshot(&w);
    world_check_restart(&w);
    assert_true(w.bench.broker->load.has_snapshot);
    world_close(&w);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_beside_the_walk),
        cmocka_unit_test(test_all_is_in_it),
        cmocka_unit_test(test_after_one_that_failed),
    };
    world_tick_us = 400;
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
