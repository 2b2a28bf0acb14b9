/* Streams in snapshots, beside everything that changes them, with so little memory that most of
 * each is in chunks: a start from what is on disk at any moment gives the streams, groups and
 * pending entries of that moment; and no reference to a chunk is lost or counted twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/must.h"
#include "broker/snapshot_testing.h"
#include "keys/stream.h"
#include "keys/stream_store.h"
#include "log/chunks.h"
#include "log/file.h"

enum { NAMES = 6, DBS = 3, VALUE_MAX = 3000 };

static uint64_t newest; /* ids are numbered through all streams */

static void streams_init(struct world *w, uint64_t seed)
{
    world_init(w, seed);
    w->bench.settings.stream_memory = 100 << 10;
    w->bench.settings.chunk_file_bytes = 200 << 10;
    newest = 1;
    world_open(w);
}

static void streams_fini(struct world *w)
{
    world_close(w);
    world_fini(w);
}

static unsigned long long ull(uint64_t n)
{
    return (unsigned long long)n;
}

/* ---- Commands ---- */

static void add(struct world *w, const char *key, const char *options, unsigned size)
{
    char value[VALUE_MAX + 1];
    memset(value, 'a' + (int)world_below(w, 26), size);
    value[size] = '\0';
    newest++;
    world_run(w, "XADD %s %s %llu-%u n %llu v %s", key, options, ull(newest), world_below(w, 3),
              ull(newest), value);
}

static void add_some(struct world *w, const char *key)
{
    static const char *const options[] = {"", "", "", "", "MAXLEN ~ 200", "MAXLEN 150"};
    unsigned size = 1 + world_below(w, world_below(w, 4) == 0 ? VALUE_MAX : 300);
    for (unsigned n = 1 + world_below(w, 10); n > 0; n--)
        add(w, key, options[world_below(w, 6)], size);
}

static unsigned long long some_id(struct world *w)
{
    uint64_t back = rng_below(&w->rng, world_below(w, 3) == 0 ? newest : 300);
    return (unsigned long long)(back < newest ? newest - back : 1);
}

static void change_entries(struct world *w, const char *key)
{
    unsigned long long id = some_id(w);
    switch (world_below(w, 8)) {
    case 0:
    case 1:
        world_run(w, "XDEL %s %llu-0 %llu-1 %llu-2 %llu-0", key, id, id + 1, id + 2, id + 3);
        break;
    case 2:
        world_run(w, "XTRIM %s MAXLEN %u", key, world_below(w, 400));
        break;
    case 3:
        world_run(w, "XTRIM %s MINID ~ %llu", key, id);
        break;
    case 4:
        world_run(w, "XSETID %s %llu-1", key, id);
        break;
    case 5:
        world_run(w, "XSETID %s %llu-1 ENTRIESADDED %u MAXDELETEDID 5-5", key, id,
                  5000 + world_below(w, 100));
        break;
    case 6: /* the newest goes, and an id below it is the last one then */
        add(w, key, "", 10);
        world_run(w, "XDEL %s %llu-0 %llu-1 %llu-2", key, ull(newest), ull(newest), ull(newest));
        world_run(w, "XSETID %s %llu-9", key, ull(newest) - 1);
        break;
    case 7:
        world_run(w, "XRANGE %s %llu + COUNT 5", key, id);
        break;
    }
}

static void change_group(struct world *w, const char *key)
{
    unsigned g = world_below(w, 3), c = world_below(w, 3), d = world_below(w, 3);
    unsigned long long id = some_id(w);
    switch (world_below(w, 14)) {
    case 0:
        world_run(w, "XGROUP CREATE %s g%u %llu MKSTREAM", key, g, id);
        break;
    case 1:
        world_run(w, "XGROUP CREATE %s g%u 0", key, g);
        break;
    case 2:
        if (world_below(w, 3) == 0) world_run(w, "XGROUP DESTROY %s g%u", key, g);
        break;
    case 3:
        world_run(w, "XGROUP SETID %s g%u %llu", key, g, id);
        break;
    case 4:
        world_run(w, "XGROUP CREATECONSUMER %s g%u c%u", key, g, c);
        break;
    case 5:
        world_run(w, "XGROUP DELCONSUMER %s g%u c%u", key, g, c);
        break;
    case 6:
    case 7:
    case 8:
        world_run(w, "XREADGROUP GROUP g%u c%u COUNT %u STREAMS %s >", g, c, 1 + world_below(w, 60),
                  key);
        break;
    case 9:
        world_run(w, "XREADGROUP GROUP g%u c%u NOACK COUNT %u STREAMS %s >", g, c,
                  1 + world_below(w, 60), key);
        break;
    case 10:
    case 11:
        world_run(w, "XACK %s g%u %llu-0 %llu-1 %llu-2 %llu-0", key, g, id, id, id, id + 1);
        break;
    case 12:
        world_run(w, "XCLAIM %s g%u c%u 0 %llu-0 %llu-1 %llu-2", key, g, d, id, id, id);
        break;
    case 13:
        world_run(w, "XAUTOCLAIM %s g%u c%u 0 0 COUNT 20", key, g, d);
        break;
    }
}

static void change_key(struct world *w, const char *key, const char *other)
{
    switch (world_below(w, 10)) {
    case 0:
    case 1:
        world_run(w, "RENAME %s %s", key, other);
        break;
    case 2:
    case 3:
        world_run(w, "COPY %s %s REPLACE", key, other);
        break;
    case 4:
        world_run(w, "COPY %s %s DB %u REPLACE", key, other, world_below(w, DBS));
        break;
    case 5:
        world_run(w, "DEL %s", key);
        break;
    case 6:
        world_run(w, "UNLINK %s", key);
        break;
    case 7:
        world_run(w, "MOVE %s %u", key, world_below(w, DBS));
        break;
    case 8:
        world_run(w, "EXPIRE %s %u", key, 100 + world_below(w, 100));
        break;
    case 9:
        world_run(w, "SET %s other", key);
        world_run(w, "DEL %s", key);
        break;
    }
}

static void transaction(struct world *w, const char *key, const char *other)
{
    world_run(w, "MULTI");
    add(w, key, "MAXLEN 100", 50);
    world_run(w, "XDEL %s %llu-1", key, some_id(w));
    add(w, other, "", 50);
    world_run(w, "XREADGROUP GROUP g0 c0 COUNT 3 STREAMS %s >", key);
    world_run(w, "EXEC");
}

static void change(struct world *w)
{
    char key[20], other[20];
    unsigned dice = world_below(w, 1000);
    snprintf(key, sizeof key, "s%u", world_below(w, NAMES));
    snprintf(other, sizeof other, "s%u", world_below(w, NAMES));
    if (dice < 4) world_run(w, "FLUSHDB");
    else if (dice < 16) world_run(w, "SWAPDB %u %u", world_below(w, DBS), world_below(w, DBS));
    else if (dice < 50) change_key(w, key, other);
    else if (dice < 90) world_run(w, "SELECT %u", world_below(w, DBS));
    else if (dice < 120) transaction(w, key, other);
    else if (dice < 450) add_some(w, key);
    else if (dice < 650) change_entries(w, key);
    else change_group(w, key);
}

/* Streams of many blocks, and others of one. */
static void fill(struct world *w, unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        char key[20];
        snprintf(key, sizeof key, "s%u", i % 4 == 0 ? world_below(w, NAMES) : i % 2);
        if (i % 300 == 0) world_run(w, "SELECT %u", world_below(w, DBS));
        if (i % 50 == 0) change_group(w, key);
        add(w, key, "", 800);
        if (i % 20 == 0) world_step(w);
    }
}

/* ---- References ---- */

static struct chunks_stats chunks_of(struct world *w)
{
    struct chunks_stats s;
    chunks_stats(w->bench.broker->chunks, &s);
    return s;
}

/* Once all is gone, nothing is referred to, nothing counted, and no file is left but the last. */
static void check_nothing_is_left(struct world *w)
{
    struct stream_store_stats s;
    world_run(w, "FLUSHALL");
    for (int i = 0; i < 20000; i++) {
        world_step(w);
        stream_store_stats(w->bench.broker->streams, &s);
        if (chunks_of(w).live_bytes + s.open_bytes + s.sealing_bytes + s.cached_bytes == 0) break;
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    assert_int_equal(chunks_of(w).live_bytes, 0);
    assert_int_equal(s.open_bytes, 0);
    assert_int_equal(s.sealing_bytes, 0);
    assert_int_equal(s.cached_bytes, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(snapshots_request(w->bench.broker, false));
        world_finish_snapshot(w);
    }
    assert_true(chunks_of(w).files <= 1);
    world_check_crash(w);
}

/* ---- The tests ---- */

static void change_beside(uint64_t seed)
{
    struct world w;
    streams_init(&w, seed);
    fill(&w, 600);
    for (int i = 0; i < 200; i++) change(&w);
    for (int snapshot = 0; snapshot < 4; snapshot++) {
        unsigned steps = 0;
        assert_true(snapshots_request(w.bench.broker, false));
        unsigned crash_at = world_below(&w, 10);
        while (snapshots_in_progress(w.bench.broker) && steps < 100000) {
            for (unsigned n = world_below(&w, 8); n > 0; n--) change(&w);
            world_step(&w);
            if (steps++ == crash_at) world_check_crash(&w);
        }
        world_finish_snapshot(&w);
        if (snapshot % 2 == 1) world_check_crash(&w);
        for (unsigned n = world_below(&w, 100); n > 0; n--) change(&w);
    }
    world_check_crash(&w);
    assert_true(chunks_of(&w).written > 10);
    world_check_restart(&w);
    for (unsigned n = world_below(&w, 200); n > 0; n--) change(&w);
    world_check_crash(&w);
    check_nothing_is_left(&w);
    streams_fini(&w);
}

static void test_changes_beside_the_walk(void **state)
{
    const char *given = getenv("LEAT_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;
    uint64_t rounds = given != NULL ? 1 : getenv("LEAT_TORTURE") ? 200 : 8;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        change_beside(seed);
    }
}

static struct key *key_of(struct world *w, const char *name)
{
    struct bytes b = bytes_of(name);
    return keyspace_find(w->bench.broker->ks, 0, b, hash_bytes(b));
}

/* A stream of which a part is taken is copied and renamed: its blocks are in the snapshot once. */
static void test_in_parts(void **state)
{
    static const char *const commands[] = {"COPY s t", "RENAME s t", "XSETID s 999999-0"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct world w;
        streams_init(&w, i);
        char path[128]; /* nothing can be sealed: so it is larger in a snapshot */
        snprintf(path, sizeof path, "%s/chunks-000000000001.dat", w.bench.dir);
        must(file_layer_real.mkdir(NULL, path, 0700) == 0);
        w.bench.broker->settings.stream_memory = 100 << 20;
        world_step(&w);
        for (int n = 0; n < 4000; n++) add(&w, "s", "", 1000);
        world_run(&w, "XGROUP CREATE s g 0");
        world_run(&w, "XREADGROUP GROUP g c COUNT 100 STREAMS s >");
        assert_true(snapshots_request(w.bench.broker, false));
        uint16_t before = key_of(&w, "s")->mark;
        while (key_of(&w, "s")->mark == before) world_step(&w);
        uint16_t in_part = key_of(&w, "s")->mark;
        world_run(&w, "%s", commands[i]);
        struct key *k = key_of(&w, i == 1 ? "t" : "s");
        assert_true(k->mark != in_part); /* or it was not in parts at all */
        world_finish_snapshot(&w);
        world_check_crash(&w);
        must(rmdir(path) == 0);
        streams_fini(&w);
    }
}

/* An id below that of a deleted entry becomes the last one; what is added comes behind it. */
static void test_last_id_below_the_deleted(void **state)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        struct world w;
        streams_init(&w, 7);
        for (int n = 0; n < (sealed ? 300 : 2); n++) add(&w, "s", "", 1000);
        world_step(&w);
        world_run(&w, "XADD s 5000-0 a b");
        world_run(&w, "XADD s 10000-0 a b");
        world_run(&w, "XDEL s 10000-0");
        assert_true(bytes_eq(world_run(&w, "XSETID s 9000-0"), BYTES("+OK\r\n")));
        assert_true(bytes_eq(world_run(&w, "XADD s 9500-0 a b"), BYTES("$6\r\n9500-0\r\n")));
        assert_true(bytes_eq(world_run(&w, "XADD s 10000-0 c d"), BYTES("$7\r\n10000-0\r\n")));
        assert_true(bytes_eq(world_run(&w, "XRANGE s 5001 +"),
                             BYTES("*2\r\n*2\r\n$6\r\n9500-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
                                   "*2\r\n$7\r\n10000-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n")));
        assert_true(bytes_eq(world_run(&w, "XDEL s 10000-0 9500-0 5000-0"), BYTES(":3\r\n")));
        world_check_crash(&w);
        assert_true(snapshots_request(w.bench.broker, false));
        world_finish_snapshot(&w);
        world_check_crash(&w);
        streams_fini(&w);
    }
}

static void no_sealing(struct world *w, char path[static 128])
{
    snprintf(path, 128, "%s/chunks-000000000001.dat", w->bench.dir);
    must(file_layer_real.mkdir(NULL, path, 0700) == 0);
    w->bench.broker->settings.stream_memory = 100 << 20;
    world_step(w);
}

static void delete_step(struct world *w, uint64_t n)
{
    world_run(w, "XDEL s %llu-0 %llu-1 %llu-2", ull(n), ull(n), ull(n));
}

/* A block that was closed, but not sealed yet, is as good as closed after a start: what is added
 * then begins a new one, as it did. Else ordinals, or the order of ids in it, would be others. */
static void test_closed_but_not_sealed(void **state)
{
    for (int end_deleted = 0; end_deleted < 2; end_deleted++) {
        struct world w;
        char path[128];
        streams_init(&w, 5);
        no_sealing(&w, path);
        if (end_deleted) { /* ids return to among those that are gone from the block */
            for (int i = 0; i < 30; i++) add(&w, "s", "", 1000);
            for (uint64_t n = newest - 9; n <= newest; n++) delete_step(&w, n);
            struct bytes ok = world_run(&w, "XSETID s %llu-5", ull(newest - 10));
            assert_true(bytes_eq(ok, BYTES("+OK\r\n")));
            newest -= 10;
        } else { /* the entry that began the second block goes, and that block with it */
            do add(&w, "s", "", 1000);
            while (stream_blocks(stream_of(key_of(&w, "s"))) < 2);
            delete_step(&w, newest);
        }
        assert_int_equal(stream_blocks(stream_of(key_of(&w, "s"))), 1);
        world_run(&w, "XGROUP CREATE s g $");
        assert_true(snapshots_request(w.bench.broker, false));
        world_finish_snapshot(&w);
        world_check_crash(&w);
        for (uint64_t i = 0; i < 8; i++) world_run(&w, "XADD s %llu-9 a b", ull(newest + i));
        world_check_crash(&w);
        must(rmdir(path) == 0);
        streams_fini(&w);
    }
}

/* What XRETAIN has set is in a snapshot as in the journal. */
static void test_retention(void **state)
{
    static const char *const options[] = {"AGE 520w", "BYTES 1gb", "UNTIL-ACKED",
                                          "AGE 520w BYTES 1gb UNTIL-ACKED"};
    struct world w;
    streams_init(&w, 9);
    for (int i = 0; i < 4; i++) {
        world_run(&w, "XADD r%d * a b", i);
        struct bytes ok = world_run(&w, "XRETAIN r%d %s", i, options[i]);
        assert_true(bytes_eq(ok, BYTES("+OK\r\n")));
    }
    world_check_crash(&w);
    assert_true(snapshots_request(w.bench.broker, false));
    world_finish_snapshot(&w);
    world_check_crash(&w);
    streams_fini(&w);
}

/* Whatever of a stream its copies keep alive, each file goes when the last of them is gone. */
static void test_copies(void **state)
{
    struct world w;
    streams_init(&w, 8);
    for (int n = 0; n < 500; n++) {
        add(&w, "s", "", 1000);
        if (n % 100 == 99) world_run(&w, "COPY s c%d", n);
    }
    world_run(&w, "DEL s");
    world_step(&w);
    world_check_crash(&w);
    for (int n = 99; n < 400; n += 100) world_run(&w, "DEL c%d", n);
    assert_true(snapshots_request(w.bench.broker, false));
    world_finish_snapshot(&w);
    world_check_restart(&w);
    assert_true(chunks_of(&w).live_bytes > 300 * 1000);
    check_nothing_is_left(&w);
    streams_fini(&w);
}

/* The newest snapshot is damaged: the one before finds all the chunks that it needs. */
static void test_falls_back(void **state)
{
    struct world w;
    uint64_t positions[8];
    for (uint64_t seed = 20; seed < 24; seed++) {
        streams_init(&w, seed);
        fill(&w, 500);
        for (int i = 0; i < 3; i++) {
            for (int n = 0; n < 150; n++) change(&w);
            world_run(&w, "XTRIM s0 MAXLEN 10");
            world_run(&w, "DEL s1");
            assert_true(snapshots_request(w.bench.broker, false));
            world_finish_snapshot(&w);
        }
        for (int n = 0; n < 50; n++) change(&w);
        bench_turn(&w.bench);
        assert_int_equal(snapshot_list(NULL, w.bench.dir, positions, 8), 2);
        world_damage_snapshot(&w, positions[0]);
        world_check_restart(&w);
        assert_int_equal(w.bench.broker->load.fallbacks, 1);
        check_nothing_is_left(&w);
        streams_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_id_below_the_deleted),
        cmocka_unit_test(test_in_parts),
        cmocka_unit_test(test_closed_but_not_sealed),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_changes_beside_the_walk),
        cmocka_unit_test(test_falls_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
