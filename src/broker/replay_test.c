/* Random commands of all families on a broker without sockets; then another broker on the same
 * directory must hold the very same keys, values and expiries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/testing.h"

enum { PEERS = 3 };

/* K: a key; F: a field or member; V: a value; N: a small integer; S: a score; D: a database; T: a
 * time to live in ms; U: a time in ms since 1970; L: a long value; I: the id of a new stream entry,
 * J: of one there may be; X: the key of a stream, mostly; G: a group, C: a consumer of it. */
static const char *const templates[] = {
    "SET K V",
    "SET K V",
    "SET K N",
    "SET K V PX T",
    "SET K V KEEPTTL",
    "SET K V NX GET",
    "SET K V XX",
    "SET K V PXAT U",
    "SETEX K N V",
    "PSETEX K T V",
    "SETNX K V",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PX T",
    "GETEX K PERSIST",
    "GETEX K PXAT U",
    "MSET K V K V K N",
    "MSETNX K V K V",
    "APPEND K V",
    "APPEND K L",
    "SETRANGE K N V",
    "INCR K",
    "DECRBY K N",
    "INCRBYFLOAT K S",
    "GET K",
    "DEL K K",
    "UNLINK K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "COPY K K DB D REPLACE",
    "MOVE K D",
    "EXPIRE K N",
    "PEXPIRE K T",
    "PEXPIRE K T NX",
    "PEXPIRE K T GT",
    "PEXPIREAT K U",
    "PERSIST K",
    "HSET K F V",
    "HSET K F V F V F L",
    "HMSET K F N F V",
    "HSETNX K F V",
    "HINCRBY K F N",
    "HINCRBYFLOAT K F S",
    "HDEL K F F",
    "HGETALL K",
    "SADD K F",
    "SADD K F F N",
    "SADD K N N N",
    "SREM K F F",
    "SMOVE K K F",
    "SPOP K",
    "SPOP K N",
    "SINTERSTORE K K K",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "SADD K L",
    "ZADD K S F",
    "ZADD K S F S F S F",
    "ZADD K NX S F",
    "ZADD K GT CH S F",
    "ZADD K INCR S F",
    "ZINCRBY K S F",
    "ZREM K F F",
    "ZPOPMIN K",
    "ZPOPMAX K N",
    "ZREMRANGEBYRANK K 0 N",
    "ZREMRANGEBYSCORE K S +inf",
    "ZREMRANGEBYLEX K - (m",
    "ZUNIONSTORE K 2 K K WEIGHTS 2 S",
    "ZINTERSTORE K 2 K K",
    "ZDIFFSTORE K 2 K K",
    "ZRANGESTORE K K 0 N",
    "ZADD K S L",
    "ZMPOP 2 K K MIN COUNT N",
    "BZPOPMIN K 0.01",
    "BZPOPMAX K K 0.01",
    "LPUSH K V V",
    "RPUSH K V",
    "RPUSH K L L",
    "LPOP K",
    "RPOP K N",
    "LSET K N V",
    "LINSERT K BEFORE V V",
    "LREM K N V",
    "LTRIM K N -2",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "BLPOP K 0.01",
    "XADD X I F V",
    "XADD X I F V F L",
    "XADD X I F V",
    "XADD X MAXLEN ~ 4 I F V",
    "XADD X MAXLEN 30 DELREF I F V",
    "XADD X * F V",
    "XADD X IDMP F V * F V",
    "XADD X IDMPAUTO F * F V",
    "XCFGSET X IDMP-MAXSIZE 2",
    "XRETAIN X AGE 7d BYTES 1mb",
    "XRETAIN X UNTIL-ACKED",
    "XRETAIN X DEFAULT",
    "XDEL X J J",
    "XTRIM X MINID = J ACKED",
    "XTRIM X MAXLEN 9",
    "XSETID X I",
    "XREAD COUNT N STREAMS X J",
    "XDELEX X DELREF IDS 2 J J",
    "XACKDEL X G ACKED IDS 3 J J J",
    "XGROUP CREATE X G 0 MKSTREAM",
    "XGROUP CREATE X G $ MKSTREAM",
    "XGROUP SETID X G J",
    "XGROUP DESTROY X G",
    "XGROUP CREATECONSUMER X G C",
    "XGROUP DELCONSUMER X G C",
    "XGROUP REPLACECONSUMER X G C TO C",
    "XGROUP REPLACECONSUMER X G C",
    "XREADGROUP GROUP G C COUNT N STREAMS X >",
    "XREADGROUP GROUP G C STREAMS X >",
    "XREADGROUP GROUP G C NOACK COUNT N STREAMS X >",
    "XREADGROUP GROUP G C COUNT N STREAMS X 0",
    "XREADGROUP GROUP G C CLAIM T COUNT N STREAMS X >",
    "XREADGROUP GROUP G C BLOCK 10 STREAMS X >",
    "XREADGROUP GROUP G C COUNT N STREAMS X X > >",
    "XACK X G J J J",
    "XCLAIM X G C 0 J J J",
    "XCLAIM X G C T J J J JUSTID",
    "XCLAIM X G C 0 J FORCE IDLE T RETRYCOUNT N LASTID J",
    "XAUTOCLAIM X G C T 0 COUNT 3",
    "XAUTOCLAIM X G C 0 J JUSTID",
    "XPENDING X G",
    "XINFO STREAM X FULL",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH K",
    "UNWATCH",
    "SELECT D",
    "SELECT 0",
    "FLUSHDB",
    "SWAPDB D D",
};

enum { TEMPLATES = sizeof templates / sizeof *templates };

static struct rng rng;
static unsigned newest_id;

static void put_long(struct buf *out)
{
    size_t n = 50 + rng_below(&rng, 200);
    for (size_t i = 0; i < n; i++) buf_putc(out, (char)('a' + rng_below(&rng, 26)));
}

static void put_operand(struct buf *out, char kind)
{
    static const char *const scores[] = {"1", "-2.5", "0.1", "inf", "-inf", "1e20", "3"};
    int64_t now_ms = bench_now_us / 1000;
    unsigned id;
    switch (kind) {
    case 'K':
        buf_printf(out, "k%d", (int)rng_below(&rng, 10));
        break;
    case 'X':
        buf_printf(out, rng_below(&rng, 20) ? "x%d" : "k%d", (int)rng_below(&rng, 3));
        break;
    case 'F':
        buf_printf(out, "f%d", (int)rng_below(&rng, 12));
        break;
    case 'V':
        buf_printf(out, "v%d", (int)rng_below(&rng, 5));
        break;
    case 'N':
        buf_printf(out, "%d", (int)rng_below(&rng, 8));
        break;
    case 'S':
        buf_printf(out, "%s", scores[rng_below(&rng, sizeof scores / sizeof *scores)]);
        break;
    case 'D':
        buf_printf(out, "%d", (int)rng_below(&rng, 3));
        break;
    case 'T':
        buf_printf(out, "%d", 1 + (int)rng_below(&rng, 3000));
        break;
    case 'U':
        buf_printf(out, "%lld", (long long)now_ms - 100 + (long long)rng_below(&rng, 2000));
        break;
    case 'L':
        put_long(out);
        break;
    case 'I':
        newest_id += rng_below(&rng, 5);
        buf_printf(out, "%u-%u", newest_id / 4, newest_id % 4);
        break;
    case 'J':
        id = newest_id - (unsigned)rng_below(&rng, newest_id < 60 ? newest_id + 1 : 60);
        buf_printf(out, "%u-%u", id / 4, id % 4);
        break;
    case 'G':
        buf_printf(out, "g%d", (int)rng_below(&rng, 2));
        break;
    case 'C':
        buf_printf(out, "c%d", (int)rng_below(&rng, 3));
        break;
    default:
        buf_putc(out, kind);
    }
}

/* A letter stands for an operand where it is a word of its own. */
static void fill_in(const char *t, struct buf *out)
{
    out->len = 0;
    for (size_t i = 0; t[i] != '\0'; i++) {
        bool alone = (i == 0 || t[i - 1] == ' ') && (t[i + 1] == ' ' || t[i + 1] == '\0');
        if (alone) put_operand(out, t[i]);
        else buf_putc(out, t[i]);
    }
    buf_putc(out, '\0');
}

static bool is_rare(const char *t)
{
    return strcmp(t, "FLUSHDB") == 0 || strncmp(t, "SWAPDB", 6) == 0;
}

static void run_some(struct bench *b, struct peer *peers, int steps)
{
    struct buf line = {0};
    for (int i = 0; i < steps; i++) {
        const char *t = templates[rng_below(&rng, TEMPLATES)];
        struct peer *p = &peers[rng_below(&rng, PEERS)];
        if (is_rare(t) && rng_below(&rng, 30)) continue;
        if (!peer_is_blocked(p)) {
            fill_in(t, &line);
            peer_run(p, line.data);
        }
        bench_now_us += (int64_t)rng_below(&rng, 5000);
        if (rng_below(&rng, 4) == 0) bench_turn(b);
    }
    buf_fini(&line);
}

static void run_session(struct bench *b, int steps, struct buf *ret_dump)
{
    struct peer peers[PEERS];
    for (int i = 0; i < PEERS; i++) peer_open(&peers[i], b);
    run_some(b, peers, steps);
    ret_dump->len = 0;
    bench_dump(b, ret_dump);
    for (int i = 0; i < PEERS; i++) peer_close(&peers[i]);
}

static void assert_same(struct buf *a, struct buf *b)
{
    bool same = bytes_eq(buf_bytes(a), buf_bytes(b));
    if (!same)
        printf("before the end:\n%.*s\nafter the start:\n%.*s\n", (int)a->len, a->data, (int)b->len,
               b->data);
    assert_true(same);
}

/* Several lives of one directory, each checked against the one before. */
static void run(int lives, int steps)
{
    struct bench b;
    struct buf before = {0}, after = {0};
    bench_init(&b);
    for (int life = 0; life < lives; life++) {
        bench_open(&b);
        after.len = 0;
        bench_dump(&b, &after);
        if (life > 0) assert_same(&before, &after);
        run_session(&b, steps, &before);
        bench_close(&b);
    }
    bench_remove(&b);
    buf_fini(&before);
    buf_fini(&after);
}

static void test_short_lives(void **state)
{
    for (int i = 0; i < 40; i++) run(4, 60);
}

static void test_long_lives(void **state)
{
    for (int i = 0; i < 3; i++) run(3, 6000);
}

/* One command delivers, claims or acknowledges more than a record holds. */
static void test_thousands_at_once(void **state)
{
    enum { ENTRIES = 9000 };
    struct bench b;
    struct peer p;
    struct buf line = {0}, before = {0}, after = {0};
    bench_init(&b);
    bench_open(&b);
    peer_open(&p, &b);
    for (int i = 1; i <= ENTRIES; i++) {
        char text[40];
        snprintf(text, sizeof text, "XADD x %d-0 f v", i);
        peer_run(&p, text);
    }
    peer_run(&p, "XGROUP CREATE x g 0");
    peer_run(&p, "XREADGROUP GROUP g one COUNT 9000 STREAMS x >");
    peer_run(&p, "XAUTOCLAIM x g two 0 1000 COUNT 6000 JUSTID");
    buf_printf(&line, "XACK x g");
    for (int i = 1; i <= ENTRIES; i++)
        if (i % 5 > 0) buf_printf(&line, " %d-0", i);
    buf_putc(&line, '\0');
    assert_true(bytes_eq(peer_run(&p, line.data), BYTES(":7200\r\n")));
    bench_dump(&b, &before);
    peer_close(&p);
    bench_close(&b);
    bench_open(&b);
    bench_dump(&b, &after);
    assert_same(&before, &after);
    bench_close(&b);
    bench_remove(&b);
    buf_fini(&line);
    buf_fini(&before);
    buf_fini(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_lives),
        cmocka_unit_test(test_thousands_at_once),
        cmocka_unit_test(test_long_lives),
    };
    const char *seed = getenv("LEAT_TEST_SEED");
    hash_seed();
    rng_seed(&rng, seed ? strtoull(seed, NULL, 10) : 12);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
