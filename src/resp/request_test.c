/* The expected texts, and after which byte they come, were asked of a running redis-server 7.0. */
#include "resp/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

struct fixture {
    struct resp_request r;
    struct buf seen; /* commands as "[a|b]" one after the other */
};

static void start(struct fixture *f)
{
    resp_request_init(&f->r);
    f->r.authenticated = true;
    f->seen = (struct buf){0};
}

static void stop(struct fixture *f)
{
    resp_request_fini(&f->r);
    buf_fini(&f->seen);
}

static void note(struct fixture *f)
{
    buf_putc(&f->seen, '[');
    for (size_t i = 0; i < f->r.argc; i++) {
        if (i > 0) buf_putc(&f->seen, '|');
        buf_put(&f->seen, f->r.argv[i]);
    }
    buf_putc(&f->seen, ']');
}

/* Feeds from an exact copy, so that the bytes move and reading too far is seen. */
static ssize_t feed_copy(struct fixture *f, const char *data, size_t len)
{
    char *copy = mem_dup(data, len);
    ssize_t got = resp_request_feed(&f->r, copy, len);
    if (got > 0) note(f);
    mem_free(copy);
    return got;
}

/* Feeds all of `text`, given in pieces that end at the offsets for which `cut` says so. Returns -1
 * on a protocol error, else the bytes left over. */
static ssize_t feed_pieces(struct fixture *f, struct bytes text, bool (*cut)(size_t, void *),
                           void *arg)
{
    size_t taken = 0;
    for (size_t end = 1; end <= text.len; end++) {
        if (end < text.len && !cut(end, arg)) continue;
        ssize_t got;
        while ((got = feed_copy(f, text.data + taken, end - taken)) > 0) taken += (size_t)got;
        if (got < 0) return -1;
    }
    return (ssize_t)(text.len - taken);
}

static bool cut_at(size_t at, void *arg)
{
    return at == *(size_t *)arg;
}

static bool cut_always(size_t at, void *arg)
{
    return true;
}

static bool cut_sometimes(size_t at, void *arg)
{
    return rng_below(arg, 7) == 0;
}

static void expect_seen(struct fixture *f, const char *expected)
{
    buf_putc(&f->seen, '\0');
    assert_string_equal(f->seen.data, expected);
    f->seen.len = 0;
}

static const char pipeline[] = "*1\r\n$4\r\nPING\r\n"
                               "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nline\r\nline\r\n\r\n"
                               "*0\r\n"
                               "*-1\r\n"
                               "PING\r\n"
                               "\r\n"
                               "\n"
                               "  ECHO \t \"a b\\x41\\n\" \n"
                               "*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n"
                               "get 'it\\'s'\r\n"
                               "last one\n";
static const char pipeline_seen[] = "[PING][SET||line\r\nline\r\n][][][PING][][][ECHO|a bA\n]"
                                    "[ECHO|0123456789][get|it's][last|one]";

static void test_split_at_every_byte(void **state)
{
    for (size_t at = 0; at < sizeof pipeline; at++) {
        struct fixture f;
        start(&f);
        assert_int_equal(feed_pieces(&f, BYTES(pipeline), cut_at, &at), 0);
        expect_seen(&f, pipeline_seen);
        stop(&f);
    }
}

static void test_split_everywhere(void **state)
{
    struct fixture f;
    start(&f);
    assert_int_equal(feed_pieces(&f, BYTES(pipeline), cut_always, NULL), 0);
    expect_seen(&f, pipeline_seen);
    stop(&f);
}

/* Commands of random arguments: whatever the pieces, the same commands come out. */
static void test_random_splits(void **state)
{
    struct rng rng;
    rng_seed(&rng, 20260131);
    for (int round = 0; round < 300; round++) {
        struct buf text = {0}, expected = {0};
        for (uint64_t n = 1 + rng_below(&rng, 5); n > 0; n--) {
            size_t argc = 1 + rng_below(&rng, 20);
            buf_printf(&text, "*%zu\r\n", argc);
            buf_putc(&expected, '[');
            for (size_t i = 0; i < argc; i++) {
                size_t len = rng_below(&rng, 10) ? rng_below(&rng, 12) : rng_below(&rng, 3000);
                buf_printf(&text, "$%zu\r\n", len);
                if (i > 0) buf_putc(&expected, '|');
                for (size_t k = 0; k < len; k++) {
                    char c = "\r\n*$0a"[rng_below(&rng, 6)];
                    buf_putc(&text, c);
                    buf_putc(&expected, c);
                }
                buf_append(&text, "\r\n", 2);
            }
            buf_putc(&expected, ']');
        }
        struct fixture f;
        start(&f);
        assert_int_equal(feed_pieces(&f, buf_bytes(&text), cut_sometimes, &rng), 0);
        assert_int_equal(f.seen.len, expected.len);
        assert_memory_equal(f.seen.data, expected.data, expected.len);
        stop(&f);
        buf_fini(&text);
        buf_fini(&expected);
    }
}

struct mistake {
    struct bytes input;
    size_t before; /* bytes at whose end nothing is said yet; one more, and it is */
    const char *error;
};

#define MISTAKE(text, before, error)                                                               \
    {                                                                                              \
        BYTES(text), (before), (error)                                                             \
    }

static const struct mistake mistakes[] = {
    MISTAKE("*abc\r\n", 5, "Protocol error: invalid multibulk length"),
    MISTAKE("*\r\n", 2, "Protocol error: invalid multibulk length"),
    MISTAKE("*+1\r\n", 4, "Protocol error: invalid multibulk length"),
    MISTAKE("*01\r\n", 4, "Protocol error: invalid multibulk length"),
    MISTAKE("* 1\r\n", 4, "Protocol error: invalid multibulk length"),
    MISTAKE("*-0\r\n", 4, "Protocol error: invalid multibulk length"),
    MISTAKE("*2147483648\r\n", 12, "Protocol error: invalid multibulk length"),
    MISTAKE("*99999999999999999999\r\n", 22, "Protocol error: invalid multibulk length"),
    MISTAKE("*1\n$4\nPING\n\r\n", 12, "Protocol error: invalid multibulk length"),
    MISTAKE("*1\r\n!4\r\n", 7, "Protocol error: expected '$', got '!'"),
    MISTAKE("*1\r\n4\r\n", 6, "Protocol error: expected '$', got '4'"),
    MISTAKE("*1\r\n\r\n", 5, "Protocol error: expected '$', got '\r'"),
    MISTAKE("*1\r\n\n\r\n", 6, "Protocol error: expected '$', got '\n'"),
    MISTAKE("*1\r\n\xff\r\n", 6, "Protocol error: expected '$', got '\xff'"),
    MISTAKE("*1\r\n$-1\r\n", 8, "Protocol error: invalid bulk length"),
    MISTAKE("*1\r\n$\r\n", 6, "Protocol error: invalid bulk length"),
    MISTAKE("*1\r\n$abc\r\n", 9, "Protocol error: invalid bulk length"),
    MISTAKE("*1\r\n$0004\r\n", 10, "Protocol error: invalid bulk length"),
    MISTAKE("*2\r\n$1\r\na\r\n$04\r\nPING\r\n", 15, "Protocol error: invalid bulk length"),
    MISTAKE("*1\r\n$536870913\r\n", 15, "Protocol error: invalid bulk length"),
    MISTAKE("*1\r\n$99999999999999999999\r\n", 26, "Protocol error: invalid bulk length"),
    MISTAKE("*2\r\n$1\r\na\r\n$x\r\n", 14, "Protocol error: invalid bulk length"),
    MISTAKE("ECHO \"a\r\n", 8, "Protocol error: unbalanced quotes in request"),
    MISTAKE("ECHO 'a\n", 7, "Protocol error: unbalanced quotes in request"),
    MISTAKE("ECHO \"a\"b\n", 9, "Protocol error: unbalanced quotes in request"),
    MISTAKE("ECHO a\"b\"c\n", 10, "Protocol error: unbalanced quotes in request"),
    MISTAKE("ECHO \"a\\\r\n", 9, "Protocol error: unbalanced quotes in request"),
};

static void test_mistakes(void **state)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct mistake *m = &mistakes[i];
        struct fixture f;
        /* At once, and in single bytes. */
        start(&f);
        assert_int_equal(feed_copy(&f, m->input.data, m->input.len), -1);
        assert_string_equal(f.r.error, m->error);
        stop(&f);
        start(&f);
        for (size_t len = 0; len <= m->before; len++)
            assert_int_equal(feed_copy(&f, m->input.data, len), 0);
        assert_int_equal(feed_copy(&f, m->input.data, m->before + 1), -1);
        assert_string_equal(f.r.error, m->error);
        stop(&f);
    }
}

/* What Redis lets pass. */
static void test_tolerance(void **state)
{
    static const struct {
        struct bytes input;
        const char *seen;
    } cases[] = {
        {BYTES("*1\rx$4\r\nPINGxy"), "[PING]"},
        {BYTES("*-5\r\n"), "[]"},
        {BYTES("*1\r\n$9\r\nSEPARATED\r\n"), "[SEPARATED]"},
        {BYTES("\v\fPING\r\n"), "[PING]"},
        {BYTES("ECHO\va\f\r\n"), "[ECHO\va\f]"},
        {BYTES("ECHO \"a\"\vb\r\n"), "[ECHO|a|b]"},
        {BYTES("ECHO a\rb\r\n"), "[ECHO|a|b]"},
        {BYTES("ECHO a\r\r\n"), "[ECHO|a]"},
        {BYTES("ECHO \"\" ''\n"), "[ECHO||]"},
        {BYTES("ECHO a\"b c\"\n"), "[ECHO|ab c]"},
        {BYTES("ECHO \"\\x4\\xzz\\X41\\q\\\\\\a\\b\\t\\r\\\"\"\n"), "[ECHO|x4xzzX41q\\\a\b\t\r\"]"},
        {BYTES("ECHO 'a\\n\\\\b' \n"), "[ECHO|a\\n\\\\b]"},
        {BYTES("ECHO 'a\\\\' '\n"), "[ECHO|a\\' ]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        start(&f);
        assert_int_equal(feed_pieces(&f, cases[i].input, cut_always, NULL), 0);
        expect_seen(&f, cases[i].seen);
        stop(&f);
    }
}

/* Nothing is said until more than 64 KB of a line have come. */
static void expect_too_long(size_t before, struct bytes head, char fill, const char *error)
{
    size_t len = before + RESP_INLINE_MAX;
    char *text = mem_alloc(len + 1);
    memset(text, fill, len + 1);
    memcpy(text, head.data, head.len);
    struct fixture f;
    start(&f);
    for (size_t n = 0; n <= len; n++) assert_int_equal(resp_request_feed(&f.r, text, n), 0);
    assert_int_equal(resp_request_feed(&f.r, text, len + 1), -1);
    assert_string_equal(f.r.error, error);
    stop(&f);
    start(&f);
    assert_int_equal(resp_request_feed(&f.r, text, len), 0);
    assert_int_equal(resp_request_feed(&f.r, text, len + 1), -1);
    assert_string_equal(f.r.error, error);
    stop(&f);
    mem_free(text);
}

static void test_too_long_lines(void **state)
{
    expect_too_long(0, BYTES("*"), '1', "Protocol error: too big mbulk count string");
    expect_too_long(4, BYTES("*1\r\n$"), '1', "Protocol error: too big bulk count string");
    expect_too_long(0, BYTES("ECHO "), 'a', "Protocol error: too big inline request");
    /* A zero byte hides the end of the line. */
    expect_too_long(0, BYTES("*1\0\r\n"), '\n', "Protocol error: too big mbulk count string");
    expect_too_long(4, BYTES("*1\r\n$1\0\r\n"), 'a', "Protocol error: too big bulk count string");
    expect_too_long(4, BYTES("*1\r\n\0\r\n"), '\n', "Protocol error: too big bulk count string");
    expect_too_long(0, BYTES("\0PING\r\n"), '\n', "Protocol error: too big inline request");
}

static void test_long_inline_that_came_whole(void **state)
{
    size_t len = RESP_INLINE_MAX + 5000;
    char *text = mem_alloc(len);
    memset(text, 'a', len);
    text[len - 1] = '\n';
    struct fixture f;
    start(&f);
    assert_int_equal(feed_copy(&f, text, len), len);
    assert_int_equal(f.r.argc, 1);
    assert_int_equal(f.r.argv[0].len, len - 1);
    stop(&f);
    mem_free(text);
}

static void expect_error(bool authenticated, size_t bulk_max, const char *text, const char *error)
{
    struct fixture f;
    start(&f);
    f.r.authenticated = authenticated;
    if (bulk_max) f.r.bulk_bytes_max = bulk_max;
    ssize_t got = feed_copy(&f, text, strlen(text));
    assert_int_equal(got, error ? -1 : 0);
    if (error) assert_string_equal(f.r.error, error);
    stop(&f);
}

static void test_limits(void **state)
{
    const char *args = "Protocol error: unauthenticated multibulk length";
    const char *bulk = "Protocol error: unauthenticated bulk length";
    const char *invalid = "Protocol error: invalid bulk length";
    expect_error(false, 0, "*10\r\n", NULL);
    expect_error(false, 0, "*11\r\n", args);
    expect_error(false, 0, "*2147483648\r\n", "Protocol error: invalid multibulk length");
    expect_error(false, 0, "*1\r\n$16384\r\n", NULL);
    expect_error(false, 0, "*1\r\n$16385\r\n", bulk);
    expect_error(false, 0, "*1\r\n$600000000\r\n", invalid);
    expect_error(true, 0, "*2147483647\r\n", NULL);
    expect_error(true, 0, "*1\r\n$536870912\r\n", NULL);
    expect_error(true, 1048576, "*1\r\n$1048576\r\n", NULL);
    expect_error(true, 1048576, "*1\r\n$1048577\r\n", invalid);
    expect_error(true, SIZE_MAX, "*1\r\n$9223372036854775807\r\n", NULL);
}

static void test_want(void **state)
{
    struct fixture f;
    start(&f);
    const char text[] = "*2\r\n$4\r\nECHO\r\n$100000\r\nabc";
    assert_int_equal(resp_request_want(&f.r, 0), 0);
    assert_int_equal(feed_copy(&f, text, 4), 0);
    assert_int_equal(resp_request_want(&f.r, 4), 0);
    assert_int_equal(feed_copy(&f, text, sizeof text - 1), 0);
    assert_int_equal(resp_request_want(&f.r, sizeof text - 1), 100000 - 3 + 2);
    resp_request_reset(&f.r);
    assert_int_equal(resp_request_want(&f.r, 0), 0);
    assert_int_equal(feed_copy(&f, "PING\n", 5), 5);
    stop(&f);
}

/* A million arguments, one byte at a time: quadratic work would run for hours. */
static void test_many_arguments(void **state)
{
    enum { COUNT = 1000 * 1000 };
    struct buf text = {0};
    buf_printf(&text, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++) buf_append(&text, "$1\r\na\r\n", 7);
    struct fixture f;
    start(&f);
    for (size_t len = 0; len < text.len; len++)
        if (resp_request_feed(&f.r, text.data, len) != 0) fail();
    /* The last feed is of a copy: no argument may still point into the other. */
    struct buf copy = {0};
    buf_put(&copy, buf_bytes(&text));
    assert_int_equal(resp_request_feed(&f.r, copy.data, copy.len), copy.len);
    assert_int_equal(f.r.argc, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        if (f.r.argv[i].len != 1 || f.r.argv[i].data != copy.data + copy.len - (COUNT - i) * 7 + 4)
            fail();
    assert_true(f.r.argv_cap >= COUNT);
    assert_int_equal(feed_copy(&f, "PING\n", 5), 5);
    assert_true(f.r.argv_cap < 1000);
    stop(&f);
    buf_fini(&text);
    buf_fini(&copy);
}

static void test_announced_is_not_allocated(void **state)
{
    struct fixture f;
    start(&f);
    size_t before = mem_used();
    assert_int_equal(feed_copy(&f, "*2147483647\r\n$536870912\r\n", 26), 0);
    assert_true(mem_used() - before < 4096);
    stop(&f);
}

static void test_split_line(void **state)
{
    struct buf text = {0};
    struct bytes *words;
    assert_int_equal(resp_split_line(BYTES("set key \"a \\x00b\" 'c\\'d'"), &text, &words), 4);
    assert_true(bytes_eq(words[0], BYTES("set")));
    assert_true(bytes_eq(words[2], BYTES("a \0b")));
    assert_true(bytes_eq(words[3], BYTES("c'd")));
    mem_free(words);
    assert_int_equal(resp_split_line(BYTES("  "), &text, &words), 0);
    mem_free(words);
    assert_int_equal(resp_split_line(BYTES(""), &text, &words), 0);
    mem_free(words);
    assert_int_equal(resp_split_line(BYTES("a 'b"), &text, &words), -1);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_at_every_byte),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_random_splits),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_too_long_lines),
        cmocka_unit_test(test_long_inline_that_came_whole),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_want),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_announced_is_not_allocated),
        cmocka_unit_test(test_split_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
