/* Snapshots made while everything changes: random commands between the steps of a walk, and a start
 * from what is on disk at any moment gives the keyspace of that moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/snapshot_testing.h"

/* ---- Commands ---- */

/* Keys that are left alone, in several databases and of all types: what a walk takes time for. */
static void fill(struct world *w, unsigned keys)
{
    for (unsigned i = 0; i < keys; i++) {
        if (i % 97 == 0) world_run(w, "SELECT %u", world_below(w, 4));
        world_run(w, "SET still:%u %u", i, world_below(w, 1000000));
        if (i % 5 == 0) world_run(w, "HSET still:h%u a %u b long-enough-a-value c 3", i, i);
        if (i % 6 == 0) world_run(w, "SADD still:s%u %u 5 7", i, i);
        if (i % 7 == 0) world_run(w, "SADD still:t%u m%u x y", i, i);
        if (i % 8 == 0) world_run(w, "ZADD still:z%u %u.5 a 2 b -inf c", i, i);
        if (i % 9 == 0) world_run(w, "RPUSH still:l%u a b %u", i, i);
        if (i % 10 == 0) world_run(w, "PEXPIREAT still:%u 17000000%05u000", i, i + 10000);
        if (i % 50 == 0) world_step(w);
    }
}

/* Values that are taken in several parts. */
static void fill_large(struct world *w)
{
    world_run(w, "SELECT 0");
    for (unsigned i = 0; i < 6000; i++) {
        world_run(w, "HSET large:h field-of-the-hash-%u value-number-%u", i, i);
        world_run(w, "SADD large:s member-of-the-set-%u", i);
        world_run(w, "ZADD large:z %u.25 member-of-the-sorted-set-%u", world_below(w, 1000), i);
        if (i % 3 == 0) world_run(w, "RPUSH large:l element-%u", i);
    }
    world_run(w, "SETRANGE large:str 2000000 end");
    world_run(w, "EXPIRE large:z 5000");
    world_run(w, "EXPIRE large:l 6000");
}

static void change_large(struct world *w)
{
    unsigned i = world_below(w, 7000);
    switch (world_below(w, 14)) {
    case 0:
        world_run(w, "HDEL large:h field-of-the-hash-%u", i);
        break;
    case 1:
        world_run(w, "HSET large:h field-of-the-hash-%u other", i);
        break;
    case 2:
        world_run(w, "SREM large:s member-of-the-set-%u", i);
        break;
    case 3:
        world_run(w, "SADD large:s member-of-the-set-%u", i);
        break;
    case 4:
        world_run(w, "ZINCRBY large:z 1 member-of-the-sorted-set-%u", i);
        break;
    case 5:
        world_run(w, "ZREM large:z member-of-the-sorted-set-%u", i);
        break;
    case 6:
        world_run(w, "LPUSH large:l pushed-%u", i);
        break;
    case 7:
        world_run(w, "RPOP large:l 3");
        break;
    case 8:
        world_run(w, "LSET large:l %u set", i % 100);
        break;
    case 9:
        world_run(w, "SETRANGE large:str %u inside", i * 300);
        break;
    case 10:
        world_run(w, "APPEND large:str more");
        break;
    case 11:
        world_run(w, "SPOP large:s 2");
        break;
    case 12:
        world_run(w, "ZPOPMIN large:z 2");
        break;
    case 13:
        world_run(w, "LINSERT large:l BEFORE pushed-%u between", i);
        break;
    }
}

/* Large values as a whole. */
static void move_large(struct world *w)
{
    static const char *const names[] = {"large:h", "large:s", "large:z", "large:l", "large:str"};
    const char *name = names[world_below(w, 5)], *other = names[world_below(w, 5)];
    switch (world_below(w, 6)) {
    case 0:
        world_run(w, "RENAME %s %s", name, other);
        break;
    case 1:
        world_run(w, "COPY %s %s REPLACE", name, other);
        break;
    case 2:
        world_run(w, "COPY %s copy:%u REPLACE", name, world_below(w, 3));
        break;
    case 3:
        world_run(w, "DEL %s", name);
        break;
    case 4:
        world_run(w, "SET %s small", name);
        break;
    case 5:
        world_run(w, "RENAME %s moved:%u", name, world_below(w, 3));
        break;
    }
}

/* Few keys, so that they change type, go and come back. */
static void change_hot(struct world *w)
{
    unsigned k = world_below(w, 24), o = world_below(w, 24), x = world_below(w, 6),
             n = world_below(w, 100);
    switch (world_below(w, 34)) {
    case 0:
        world_run(w, "SET hot:%u %u", k, n);
        break;
    case 1:
        world_run(w, "SET hot:%u text KEEPTTL", k);
        break;
    case 2:
        world_run(w, "SET hot:%u %u EX 1000", k, n);
        break;
    case 3:
        world_run(w, "DEL hot:%u hot:%u", k, o);
        break;
    case 4:
        world_run(w, "HSET hot:%u f%u %u", k, x, n);
        break;
    case 5:
        world_run(w, "HSET hot:%u f%u %u f%u x", k, x, n, n % 6);
        break;
    case 6:
        world_run(w, "HDEL hot:%u f%u f%u", k, x, n % 6);
        break;
    case 7:
        world_run(w, "SADD hot:%u %u m%u", k, x, n % 6);
        break;
    case 8:
        world_run(w, "SREM hot:%u %u m%u", k, x, n % 6);
        break;
    case 9:
        world_run(w, "SPOP hot:%u", k);
        break;
    case 10:
        world_run(w, "ZADD hot:%u %u m%u", k, n, x);
        break;
    case 11:
        world_run(w, "ZREM hot:%u m%u m%u", k, x, n % 6);
        break;
    case 12:
        world_run(w, "ZINCRBY hot:%u 2.5 m%u", k, x);
        break;
    case 13:
        world_run(w, "RPUSH hot:%u %u e%u", k, n, x);
        break;
    case 14:
        world_run(w, "LPUSH hot:%u e%u", k, x);
        break;
    case 15:
        world_run(w, "LPOP hot:%u", k);
        break;
    case 16:
        world_run(w, "RPOP hot:%u 2", k);
        break;
    case 17:
        world_run(w, "LSET hot:%u 0 new", k);
        break;
    case 18:
        world_run(w, "LREM hot:%u 0 e%u", k, x);
        break;
    case 19:
        world_run(w, "LMOVE hot:%u hot:%u LEFT RIGHT", k, o);
        break;
    case 20:
        world_run(w, "RENAME hot:%u hot:%u", k, o);
        break;
    case 21:
        world_run(w, "COPY hot:%u hot:%u REPLACE", k, o);
        break;
    case 22:
        world_run(w, "COPY hot:%u hot:%u DB %u REPLACE", k, o, world_below(w, 4));
        break;
    case 23:
        world_run(w, "MOVE hot:%u %u", k, world_below(w, 4));
        break;
    case 24:
        world_run(w, "EXPIRE hot:%u %u", k, 100 + n);
        break;
    case 25:
        world_run(w, "PERSIST hot:%u", k);
        break;
    case 26:
        world_run(w, "APPEND hot:%u .%u", k, n);
        break;
    case 27:
        world_run(w, "SETRANGE hot:%u %u ab", k, x);
        break;
    case 28:
        world_run(w, "INCR hot:%u", k);
        break;
    case 29:
        world_run(w, "SUNIONSTORE hot:%u hot:%u hot:%u", k, o, n % 24);
        break;
    case 30:
        world_run(w, "ZUNIONSTORE hot:%u 2 hot:%u hot:%u", k, o, n % 24);
        break;
    case 31:
        world_run(w, "SMOVE hot:%u hot:%u m%u", k, o, x);
        break;
    case 32:
        world_run(w, "SELECT %u", world_below(w, 4));
        break;
    case 33:
        world_run(w, "LTRIM hot:%u 0 3", k);
        break;
    }
}

static void change_all(struct world *w)
{
    if (world_below(w, 16) == 0) world_run(w, "FLUSHDB");
    else world_run(w, "SWAPDB %u %u", world_below(w, 4), world_below(w, 4));
}

static void change(struct world *w)
{
    unsigned dice = world_below(w, 1000);
    if (dice < 15) change_all(w);
    else if (dice < 27) move_large(w);
    else if (dice < 300) change_large(w);
    else change_hot(w);
}

static void check_restart_from(struct world *w, bool snapshot)
{
    world_check_restart(w);
    assert_int_equal(w->bench.broker->load.has_snapshot, snapshot);
}

/* ---- The tests ---- */

static void change_beside(uint64_t seed, bool large)
{
    struct world w;
    world_init(&w, seed);
    world_open(&w);
    fill(&w, 600);
    if (large) fill_large(&w);
    for (int i = 0; i < 300; i++) change_hot(&w);
    for (int snapshot = 0; snapshot < 3; snapshot++) {
        unsigned steps = 0;
        assert_true(snapshots_request(w.bench.broker, false));
        unsigned crash_at = world_below(&w, large ? 60 : 12);
        while (snapshots_in_progress(w.bench.broker) && steps < 100000) {
            for (unsigned n = world_below(&w, 12); n > 0; n--) change(&w);
            world_step(&w);
            if (steps++ == crash_at) world_check_crash(&w);
        }
        world_finish_snapshot(&w);
        assert_true(steps > 5);
        if (snapshot == 1) world_check_crash(&w);
        for (unsigned n = world_below(&w, 100); n > 0; n--) change(&w);
    }
    world_check_crash(&w);
    check_restart_from(&w, true);
    world_close(&w);
    world_fini(&w);
}

static uint64_t first_seed(void)
{
    const char *given = getenv("LEAT_SEED");
    return given != NULL ? strtoull(given, NULL, 10) : 1;
}

static void test_changes_beside_the_walk(void **state)
{
    uint64_t first = first_seed(), rounds = getenv("LEAT_TORTURE") ? 300 : 12;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        change_beside(seed, seed % 4 == 0);
    }
}

/* A value of which a part is taken is renamed, and its name is used again: what is behind the name
 * then is not of the time of the walk. */
static void test_renamed_in_parts(void **state)
{
    struct world w;
    world_init(&w, 76);
    world_open(&w);
    fill(&w, 10);
    fill_large(&w);
    assert_true(snapshots_request(w.bench.broker, false));
    struct bytes name = BYTES("large:s");
    struct key *k = keyspace_find(w.bench.broker->ks, 0, name, hash_bytes(name));
    uint16_t before = k->mark;
    while (k->mark == before) world_step(&w);
    uint16_t in_part = k->mark;
    world_run(&w, "RENAME large:s renamed");
    world_run(&w, "SADD large:s new");
    k = keyspace_find(w.bench.broker->ks, 0, name, hash_bytes(name));
    assert_true(k->mark != in_part); /* or it was not in parts at all */
    world_finish_snapshot(&w);
    world_check_crash(&w);
    world_close(&w);
    world_fini(&w);
}

static void test_save(void **state)
{
    struct world w;
    world_init(&w, 77);
    world_open(&w);
    fill(&w, 300);
    fill_large(&w);
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    check_restart_from(&w, true);
    assert_int_equal(w.bench.broker->load.journal_records, 0);
    assert_true(w.bench.broker->load.snapshot_records > 300);
    world_run(&w, "SET after 1");
    check_restart_from(&w, true);
    assert_int_equal(w.bench.broker->load.journal_records, 1);
    world_close(&w);
    world_fini(&w);
}

static void test_empty(void **state)
{
    struct world w;
    world_init(&w, 78);
    world_open(&w);
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    check_restart_from(&w, true);
    world_run(&w, "SET a 1");
    world_run(&w, "DEL a");
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    check_restart_from(&w, true);
    world_close(&w);
    world_fini(&w);
}

static void test_replies(void **state)
{
    struct world w;
    world_init(&w, 79);
    world_open(&w);
    static const char *const conversation[][2] = {
        {"BGSAVE WHAT", "-ERR syntax error\r\n"},
        {"BGSAVE", "+Background saving started\r\n"},
        {"BGSAVE", "-ERR Background save already in progress\r\n"},
        {"BGSAVE SCHEDULE", "-ERR Background save already in progress\r\n"},
        {"SAVE", "-ERR Background save already in progress\r\n"},
        {"BGREWRITEAOF", "+Background append only file rewriting scheduled\r\n"},
    };
    for (size_t i = 0; i < sizeof conversation / sizeof *conversation; i++) {
        struct bytes reply = world_run(&w, "%s", conversation[i][0]);
        if (!bytes_eq(reply, bytes_of(conversation[i][1])))
            fail_msg("%s: %.*s", conversation[i][0], (int)reply.len, reply.data);
    }
    world_finish_snapshot(&w); /* and the one that was scheduled */
    struct snapshots_stats stats;
    snapshots_stats(w.bench.broker, &stats);
    assert_int_equal(stats.made, 2);
    assert_true(bytes_eq(world_run(&w, "BGREWRITEAOF"),
                         BYTES("+Background append only file rewriting started\r\n")));
    world_finish_snapshot(&w);
    world_run(&w, "MULTI");
    world_run(&w, "BGSAVE");
    world_run(&w, "LASTSAVE");
    char expected[100];
    snprintf(expected, sizeof expected, "*2\r\n+Background saving scheduled\r\n:%lld\r\n",
             (long long)(w.bench.broker->now_ms / 1000));
    assert_true(bytes_eq(world_run(&w, "EXEC"), bytes_of(expected)));
    world_finish_snapshot(&w);
    world_close(&w);
    world_fini(&w);
}

/* ---- Growth, and what becomes of segments ---- */

static void test_grows(void **state)
{
    struct world w;
    struct snapshots_stats stats;
    struct journal_stats journal;
    world_init(&w, 80);
    w.bench.settings.snapshot_growth_percent = 100;
    w.bench.settings.snapshot_min_bytes = 3 << 20;
    world_open(&w);
    for (int i = 0; i < 40; i++) { /* 20 MB of writes to what is 0.5 MB of data */
        for (int n = 0; n < 5; n++) world_run(&w, "SETRANGE k%d 99999 %d", n, i);
        bench_now_us += 200000;
        world_finish_snapshot(&w);
        world_step(&w);
    }
    world_finish_snapshot(&w);
    snapshots_stats(w.bench.broker, &stats);
    assert_true(stats.made == 0); /* SETRANGE writes little: there was no reason */
    char *value = mem_alloc(100001);
    memset(value, 'v', 100000);
    value[100000] = '\0';
    char *line = mem_alloc(100100);
    for (int i = 0; i < 250; i++) {
        snprintf(line, 100100, "SET k%d %s%d", i % 5, value, i);
        peer_run(&w.peer, line);
        bench_now_us += 200000;
        world_step(&w);
        world_finish_snapshot(&w);
    }
    mem_free(value);
    mem_free(line);
    snapshots_stats(w.bench.broker, &stats);
    assert_in_range(stats.made, 5, 9);
    journal_stats(w.bench.broker->journal, &journal);
    assert_true(journal.first_position > 10 << 20);
    assert_true(journal.segments < 14);
    uint64_t positions[8];
    assert_int_equal(snapshot_list(NULL, w.bench.dir, positions, 8), 2);
    world_check_crash(&w);
    check_restart_from(&w, true);
    world_close(&w);
    world_fini(&w);
}

/* ---- A bad one ---- */

static void test_falls_back(void **state)
{
    struct world w;
    uint64_t positions[8];
    world_init(&w, 81);
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        fill(&w, 400);
        for (int n = 0; n < 200; n++) change_hot(&w);
        assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
        bench_turn(&w.bench);
    }
    for (int n = 0; n < 200; n++) change_hot(&w);
    bench_turn(&w.bench);
    assert_int_equal(snapshot_list(NULL, w.bench.dir, positions, 8), 2);
    world_damage_snapshot(&w, positions[0]);
    check_restart_from(&w, true);
    assert_int_equal(w.bench.broker->load.from.position, positions[1]);
    assert_int_equal(w.bench.broker->load.fallbacks, 1);
    /* The bad one does not count as one of the two any more. */
    uint64_t older = positions[1];
    assert_int_equal(snapshot_list(NULL, w.bench.dir, positions, 8), 1);
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    assert_int_equal(snapshot_list(NULL, w.bench.dir, positions, 8), 2);
    assert_int_equal(positions[1], older);
    world_damage_snapshot(&w, positions[0]);
    check_restart_from(&w, true);
    world_close(&w);
    world_fini(&w);
}

/* Nothing was dropped of the journal while there was only one snapshot. */
static void test_falls_back_to_the_journal(void **state)
{
    struct world w;
    world_init(&w, 82);
    world_open(&w);
    fill(&w, 200);
    assert_true(bytes_eq(world_run(&w, "SAVE"), BYTES("+OK\r\n")));
    for (int n = 0; n < 200; n++) change_hot(&w);
    bench_turn(&w.bench);
    uint64_t position;
    assert_int_equal(snapshot_list(NULL, w.bench.dir, &position, 1), 1);
    world_damage_snapshot(&w, position);
    check_restart_from(&w, false);
    world_close(&w);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_renamed_in_parts),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_changes_beside_the_walk),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_falls_back),
        cmocka_unit_test(test_falls_back_to_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
