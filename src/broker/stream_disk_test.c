/* Commands on streams whose entries are on disk alone, where nothing can be read without waiting:
 * each is parked, and runs again. And what must not take for ever. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "broker/testing.h"
#include "keys/stream_store.h"
#include "log/file.h"

struct pair {
    struct bench bench;
    struct peer a, b;
    struct file_layer files;
};

static ssize_t never_now(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    return -EAGAIN;
}

static int setup(void **state)
{
    struct pair *t = mem_calloc(sizeof *t);
    t->files = file_layer_real;
    t->files.pread_now = never_now;
    bench_init(&t->bench);
    t->bench.files = &t->files;
    t->bench.settings.stream_memory = 100 << 10;
    bench_open(&t->bench);
    bench_turn(&t->bench);
    peer_open(&t->a, &t->bench);
    peer_open(&t->b, &t->bench);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct pair *t = *state;
    peer_close(&t->a);
    peer_close(&t->b);
    bench_close(&t->bench);
    bench_remove(&t->bench);
    mem_free(t);
    return 0;
}

static struct bytes run(struct peer *p, const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return peer_run_to_end(p, line);
}

static void expect(struct peer *p, const char *line, const char *reply)
{
    struct bytes got = run(p, "%s", line);
    if (!bytes_eq(got, bytes_of(reply))) printf("%s: %.300s\n", line, got.data);
    assert_true(bytes_eq(got, bytes_of(reply)));
}

/* Entries 1-0 to n-0; the oldest of them leave the memory. */
static void fill(struct pair *t, const char *key, unsigned n, unsigned bytes)
{
    struct stream_store_stats s;
    char value[2000];
    assert_true(bytes < sizeof value);
    memset(value, 'v', bytes);
    value[bytes] = '\0';
    for (unsigned i = 1; i <= n; i++) {
        run(&t->a, "XADD %s %u-0 f %s", key, i, value);
        if (i % 20 == 0) bench_turn(&t->bench);
    }
    for (int i = 0; i < 10000; i++) {
        bench_turn(&t->bench);
        stream_store_stats(t->bench.broker->streams, &s);
        if (s.sealing_bytes == 0 && s.cached_bytes + s.open_bytes < 100 << 10) return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("what was added stays in memory");
}

/* How often a text is in the reply. */
static unsigned count(struct bytes reply, const char *text)
{
    unsigned n = 0;
    size_t len = strlen(text);
    for (const char *at = reply.data, *end = at + reply.len;
         (at = memmem(at, (size_t)(end - at), text, len)) != NULL; at += len)
        n++;
    return n;
}

/* A command that has waited replies so much that its client is closed meanwhile. */
static void test_closed_while_served(void **state)
{
    struct pair *t = *state;
    fill(t, "s", 600, 1000);
    t->bench.broker->reply_bytes_max = 100000;
    run(&t->b, "CONFIG SET slowlog-log-slower-than 0"); /* which looks at its arguments */
    run(&t->a, "XRANGE s - +");
    assert_true(t->a.closed);
    assert_int_equal(t->bench.broker->blocked_count, 0);
    expect(&t->b, "XLEN s", ":600\r\n");
    assert_int_equal(count(run(&t->b, "XRANGE s 10 29"), "$1\r\nf\r\n"), 20);
}

/* The same for one that has waited for a key, and inside of a transaction. */
static void test_closed_otherwise(void **state)
{
    struct pair *t = *state;
    t->bench.broker->reply_bytes_max = 1000;
    fill(t, "s", 10, 1500);
    run(&t->b, "XGROUP CREATE s g $");
    run(&t->b, "XGROUP CREATE t g $ MKSTREAM");
    peer_run(&t->a, "XREADGROUP GROUP g c BLOCK 0 STREAMS s t > >");
    assert_true(peer_is_blocked(&t->a));
    run(&t->b, "MULTI");
    run(&t->b, "COPY s u");
    run(&t->b, "XADD t 1-0 f v");
    for (unsigned i = 11; i < 15; i++) run(&t->b, "XADD s %u-0 f %01000u", i, i);
    run(&t->b, "XRANGE u - +");
    run(&t->b, "XRANGE u - +");
    run(&t->b, "EXEC");
    assert_true(t->a.closed && t->b.closed);
    assert_int_equal(t->bench.broker->blocked_count, 0);
}

/* Nearly all that is pending has been deleted from the stream: that is passed over in a few rounds.
 */
static void test_claim_past_the_deleted(void **state)
{
    struct pair *t = *state;
    time_t begin = time(NULL);
    run(&t->a, "XGROUP CREATE s g 0 MKSTREAM");
    for (unsigned i = 1; i <= 60000; i++) {
        char line[40];
        snprintf(line, sizeof line, "XADD s %u-0 f v", i);
        peer_run(&t->a, line);
        if (i % 1000 == 0) bench_turn(&t->bench);
    }
    run(&t->a, "XREADGROUP GROUP g a STREAMS s >");
    expect(&t->a, "XTRIM s MAXLEN 2", ":59998\r\n");
    bench_now_us += 5000000;
    bench_turn(&t->bench);
    for (unsigned i = 59999; i <= 60000; i++) {
        char id[20];
        snprintf(id, sizeof id, "%u-0", i);
        struct bytes got = run(&t->a, "XREADGROUP GROUP g b COUNT 1 CLAIM 5000 STREAMS s >");
        assert_int_equal(count(got, id), 1);
    }
    expect(&t->a, "XREADGROUP GROUP g b COUNT 1 CLAIM 5000 STREAMS s >", "*-1\r\n");
    assert_true(time(NULL) - begin < 30);
}

/* What is behind the first mention is on disk, too. */
static void test_named_twice(void **state)
{
    struct pair *t = *state;
    fill(t, "s", 1000, 1000);
    t->bench.broker->settings.stream_memory = 10 << 20; /* enough for all that is brought in */
    bench_turn(&t->bench);
    run(&t->a, "XGROUP CREATE s g 0");
    struct bytes got = run(&t->a, "XREADGROUP GROUP g c COUNT 300 STREAMS s s s > > >");
    assert_int_equal(count(got, "\r\n$1\r\nf\r\n"), 900);
    assert_int_equal(count(got, "$1\r\ns\r\n"), 3);
    got = run(&t->a, "XREADGROUP GROUP g c COUNT 300 STREAMS s s > >");
    assert_int_equal(count(got, "\r\n$1\r\nf\r\n"), 100);
    assert_int_equal(count(got, "$1\r\ns\r\n"), 1);
    got = run(&t->a, "XREADGROUP GROUP g c COUNT 5000 STREAMS s s > 0");
    assert_int_equal(count(got, "\r\n$1\r\nf\r\n"), 1000);
    run(&t->a, "XGROUP CREATE s h 0");
    got = run(&t->a, "XREADGROUP GROUP h c STREAMS s s > >");
    assert_int_equal(count(got, "\r\n$1\r\nf\r\n"), 1000);
}

/* While the last entry of one stream is read from disk, "$" of another stays what it was. */
static void test_end_is_that_of_the_call(void **state)
{
    struct pair *t = *state;
    fill(t, "s", 300, 1000);
    for (unsigned i = 261; i <= 300; i++) run(&t->a, "XDEL s %u-0", i);
    run(&t->a, "XADD new 1-0 f v");
    fill(t, "other", 300, 1000);
    peer_run(&t->a, "XREAD STREAMS new s $ +");
    assert_true(peer_is_blocked(&t->a));
    peer_run(&t->b, "XADD new 2-0 f v");
    while (peer_is_blocked(&t->a)) bench_turn(&t->bench);
    struct bytes got = peer_take(&t->a);
    assert_int_equal(count(got, "2-0"), 1);
    assert_int_equal(count(got, "260-0"), 1);
    assert_int_equal(count(got, "$1\r\nf\r\n"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed_while_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claim_past_the_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_otherwise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_is_that_of_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_twice, setup, teardown),
    };
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
