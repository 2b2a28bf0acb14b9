/* The SSE reader against the examples and rules of the WHATWG standard, each stream cut at every
 * byte boundary: however it is cut, the same events come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "flow/sse.h"

enum { LIMIT = 64 };

static void take_all(struct sse *s, struct bytes in, struct buf *out)
{
    struct sse_event e;
    while (sse_next(s, &in, &e)) {
        buf_printf(out, "%.*s|%.*s|%.*s;", (int)e.id.len, e.id.data, (int)e.name.len, e.name.data,
                   (int)e.data.len, e.data.data);
    }
    assert_int_equal(in.len, 0);
}

/* Feeds from a heap copy of the exact length, so that a read past a piece is seen. */
static void feed(struct sse *s, struct bytes piece, struct buf *out)
{
    char *copy = mem_dup(piece.data, piece.len);
    take_all(s, (struct bytes){copy, piece.len}, out);
    mem_free(copy);
}

static void check(struct sse *s, struct buf *out, const char *want, const char *id)
{
    buf_putc(out, 0);
    assert_string_equal(out->data, want);
    assert_true(bytes_eq(buf_bytes(&s->last_id), bytes_of(id)));
    sse_fini(s);
    buf_fini(out);
}

/* The stream `text` gives the events `want` ("id|name|data;" each) and then the resume id `id`. */
static void expect_bytes(struct bytes text, const char *want, const char *id)
{
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct sse s;
        struct buf out = {0};
        sse_init(&s, LIMIT);
        feed(&s, (struct bytes){text.data, cut}, &out);
        feed(&s, (struct bytes){text.data + cut, text.len - cut}, &out);
        check(&s, &out, want, id);
    }
    struct sse s;
    struct buf out = {0};
    sse_init(&s, LIMIT);
    for (size_t i = 0; i < text.len; i++) feed(&s, (struct bytes){text.data + i, 1}, &out);
    check(&s, &out, want, id);
}

static void expect(const char *text, const char *want, const char *id)
{
    expect_bytes(bytes_of(text), want, id);
}

static void test_standard_examples(void **state)
{
    expect("data: YHOO\ndata: +2\ndata: 10\n\n", "|message|YHOO\n+2\n10;", "");
    expect(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third "
           "event\n",
           "1|message|first event;|message|second event;", "");
    expect("data\n\ndata\ndata\n\ndata:", "|message|;|message|\n;", "");
    expect("data:test\n\ndata: test\n\n", "|message|test;|message|test;", "");
}

static void test_line_ends(void **state)
{
    expect("data: a\r\n\r\ndata: b\r\n\r\n", "|message|a;|message|b;", "");
    expect("data: a\r\rdata: b\r\r", "|message|a;|message|b;", "");
    expect("data: a\r\n\ndata: b\n\r\n", "|message|a;|message|b;", "");
    expect("data: a\rdata: b\ndata: c\r\n\r", "|message|a\nb\nc;", "");
    expect("\n\r\r\n\n", "", "");
}

static void test_cr_dispatches_at_once(void **state)
{
    struct sse s;
    struct sse_event e;
    struct bytes in = BYTES("data: a\r\n\r");
    sse_init(&s, LIMIT);
    assert_true(sse_next(&s, &in, &e));
    assert_int_equal(in.len, 0);
    in = BYTES("\ndata: b\n\n");
    assert_true(sse_next(&s, &in, &e));
    assert_true(bytes_eq(e.data, BYTES("b")));
    sse_fini(&s);
}

static void test_byte_order_mark(void **state)
{
    expect("\xef\xbb\xbf"
           "data: a\n\n",
           "|message|a;", "");
    expect("\xef\xbb\xbf\xef\xbb\xbf"
           "data: a\n\n",
           "", "");
    expect("\xef\xbb"
           "data: a\n\ndata: b\n\n",
           "|message|b;", "");
    expect("\xef\n\ndata: b\n\n", "|message|b;", "");
    expect("data: a\n\n\xef\xbb\xbf"
           "data: b\n\n",
           "|message|a;", "");
}

static void test_fields(void **state)
{
    expect("event: add\ndata: 1\n\ndata: 2\n\n", "|add|1;|message|2;", "");
    expect("event: add\nevent\ndata: 1\n\n", "|message|1;", "");
    expect("data : 1\nDATA: 2\ndatum: 3\n: 4\ndata:5\n\n", "|message|5;", "");
    expect("data:a:b: c\n\n", "|message|a:b: c;", "");
    expect("data:\tx \n\n", "|message|\tx ;", "");
    expect(":\n:ok\ndata: a\n:mid\n\n", "|message|a;", "");
}

static void test_id(void **state)
{
    expect("id: 7\ndata: a\n\ndata: b\n\n", "7|message|a;7|message|b;", "7");
    expect("id: 7\n\n", "", "7"); /* no data: not dispatched, id kept */
    expect("id: 7\ndata: a\n\nid: 8\ndata: b\n", "7|message|a;", "7"); /* never dispatched */
    expect("id: 7\nevent: x\n\ndata: a\n\n", "7|message|a;", "7");
    expect_bytes(BYTES("id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n"), "7|message|a;7|message|b;", "7");
}

static int64_t retry_after(const char *text)
{
    struct sse s;
    struct buf out = {0};
    sse_init(&s, LIMIT);
    feed(&s, bytes_of(text), &out);
    int64_t ms = s.retry_ms;
    sse_fini(&s);
    buf_fini(&out);
    return ms;
}

static void test_retry(void **state)
{
    assert_int_equal(retry_after("data: a\n\n"), -1);
    assert_int_equal(retry_after("retry: 2500\n"), 2500);
    assert_int_equal(retry_after("retry:0\n"), 0);
    assert_int_equal(retry_after("retry: 10\nretry: 1 0\nretry: -1\nretry: 1s\nretry\n"), 10);
    assert_int_equal(retry_after("retry: 99999999999999999999999999\n"), 1000000000);
}

#define X16 "0123456789abcdef"

static void test_size_limit(void **state)
{
    /* 6 + 58 bytes are the limit; one more is not. */
    expect("data: " X16 X16 X16 "0123456789\n\n", "|message|" X16 X16 X16 "0123456789;", "");
    expect("data: " X16 X16 X16 "0123456789a\n\ndata: b\n\n", "|message|b;", "");
    expect("data: " X16 X16 "\ndata: " X16 X16 "\nid: 3\n\ndata: b\n\n", "3|message|b;", "3");
    expect("data: a\n:" X16 X16 X16 X16 X16 "\n\n", "|message|a;", ""); /* comments are free */
    expect("id: " X16 X16 X16 X16 X16 "\ndata: a\n\ndata: b\n\n", "|message|b;", "");
}

static void test_oversized_are_counted_and_not_kept(void **state)
{
    struct sse s;
    struct buf out = {0};
    sse_init(&s, LIMIT);
    feed(&s, BYTES("data: "), &out);
    for (int i = 0; i < 1000; i++) feed(&s, BYTES(X16 X16), &out);
    assert_in_range(s.line.cap, 0, 1024);
    feed(&s, BYTES("\ndata: more\n\ndata: b\n\n"), &out);
    assert_int_equal(s.oversized, 1);
    check(&s, &out, "|message|b;", "");
}

static void test_restart(void **state)
{
    struct sse s;
    struct buf out = {0};
    sse_init(&s, LIMIT);
    feed(&s, BYTES("retry: 9\nid: 1\ndata: a\n\nid: 2\ndata: half\nda"), &out);
    sse_restart(&s);
    feed(&s,
         BYTES("\xef\xbb\xbf"
               "ta: x\n\ndata: b\n\n"),
         &out);
    assert_int_equal(s.retry_ms, 9);
    check(&s, &out, "1|message|a;1|message|b;", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_examples),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_cr_dispatches_at_once),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_oversized_are_counted_and_not_kept),
        cmocka_unit_test(test_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
