/* The line reader, each stream cut at every byte boundary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "flow/lines.h"

enum { LIMIT = 16 };

static void feed(struct lines *l, struct bytes piece, struct buf *out)
{
    char *copy = mem_dup(piece.data, piece.len);
    struct bytes in = {copy, piece.len}, line;
    while (lines_next(l, &in, &line)) buf_printf(out, "%.*s|", (int)line.len, line.data);
    assert_int_equal(in.len, 0);
    mem_free(copy);
}

static void finish(struct lines *l, struct buf *out, const char *want, uint64_t oversized)
{
    struct bytes line;
    if (lines_last(l, &line)) buf_printf(out, "%.*s$", (int)line.len, line.data);
    assert_false(lines_last(l, &line));
    buf_putc(out, 0);
    assert_string_equal(out->data, want);
    assert_int_equal(l->oversized, oversized);
    lines_fini(l);
    buf_fini(out);
}

/* `want`: each line with "|" behind it, an unfinished last one with "$". */
static void expect(const char *text, const char *want, uint64_t oversized)
{
    size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        struct lines l;
        struct buf out = {0};
        lines_init(&l, LIMIT);
        feed(&l, (struct bytes){text, cut}, &out);
        feed(&l, (struct bytes){text + cut, n - cut}, &out);
        finish(&l, &out, want, oversized);
    }
    struct lines l;
    struct buf out = {0};
    lines_init(&l, LIMIT);
    for (size_t i = 0; i < n; i++) feed(&l, (struct bytes){text + i, 1}, &out);
    finish(&l, &out, want, oversized);
}

static void test_lines(void **state)
{
    expect("{\"a\":1}\n{\"b\":2}\r\n", "{\"a\":1}|{\"b\":2}|", 0);
    expect("a\rb\nc\n", "a\rb|c|", 0);
    expect("a\nb", "a|b$", 0);
    expect("a\nb\r", "a|b$", 0);
    expect("", "", 0);
}

static void test_heartbeats_are_skipped(void **state)
{
    expect("\r\n\n\r\na\n\n\r\n\nb\n\r\n", "a|b|", 0);
    expect("\r", "", 0);
}

static void test_limit(void **state)
{
    expect("0123456789abcdef\nb\n", "0123456789abcdef|b|", 0);
    expect("0123456789abcdef0\nb\n", "b|", 1);
    expect("0123456789abcdef0123456789abcdef0123456789abcdef\n\n0123456789abcdef0\nb", "b$", 2);
    expect("a\n0123456789abcdef0123456789abcdef", "a|", 1);
}

static void test_restart_forgets_the_unfinished(void **state)
{
    struct lines l;
    struct buf out = {0};
    lines_init(&l, LIMIT);
    feed(&l, BYTES("a\nhal"), &out);
    lines_restart(&l);
    feed(&l, BYTES("f\n"), &out);
    finish(&l, &out, "a|f|", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_heartbeats_are_skipped),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_restart_forgets_the_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
