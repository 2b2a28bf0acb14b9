#include "resp/reply.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

/* The tree as text: every type has its own look. */
static void show(struct buf *out, const struct resp_reply *r)
{
    static const char *const open[] = {
        [RESP_ARRAY] = "[", [RESP_MAP] = "{", [RESP_SET] = "<", [RESP_PUSH] = "!["};
    static const char *const letter[] = {[RESP_SIMPLE] = "+",
                                         [RESP_ERROR] = "-",
                                         [RESP_BULK] = "$",
                                         [RESP_BIGNUM] = "(",
                                         [RESP_VERBATIM] = "="};
    switch (r->type) {
    case RESP_NULL:
        buf_printf(out, "_");
        return;
    case RESP_INT:
        buf_printf(out, "%" PRId64, r->integer);
        return;
    case RESP_BOOL:
        buf_printf(out, r->integer ? "true" : "false");
        return;
    case RESP_DOUBLE:
        buf_printf(out, ",%g", r->number);
        return;
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_PUSH:
        buf_printf(out, "%s", open[r->type]);
        for (size_t i = 0; i < r->count; i++) {
            if (i > 0) buf_putc(out, ' ');
            show(out, &r->elements[i]);
        }
        buf_putc(out, ']');
        return;
    default:
        assert_int_equal(r->text.data[r->text.len], '\0');
        buf_printf(out, "%s", letter[r->type]);
        buf_put(out, r->text);
    }
}

static struct resp_reader *reader;
static struct buf shown;

static int drain(void)
{
    const struct resp_reply *reply;
    int got;
    while ((got = resp_reader_next(reader, &reply)) > 0) {
        show(&shown, reply);
        buf_putc(&shown, ';');
    }
    return got;
}

static void feed_exact(const char *data, size_t len)
{
    char *copy = mem_dup(data, len);
    resp_reader_feed(reader, copy, len);
    mem_free(copy);
}

static void begin(void)
{
    reader = resp_reader_new();
    shown = (struct buf){0};
}

static void end(const char *expected)
{
    buf_putc(&shown, '\0');
    assert_string_equal(shown.data, expected);
    buf_fini(&shown);
    resp_reader_free(reader);
}

static const char session[] = "+OK\r\n"
                              "-ERR no\r\n"
                              ":12345\r\n:-7\r\n:+5\r\n:-9223372036854775808\r\n"
                              "$5\r\nhe\r\no\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n"
                              "*0\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n"
                              "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n%0\r\n"
                              "~2\r\n#t\r\n#f\r\n"
                              ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
                              ",3.141\r\n,inf\r\n,-inf\r\n,nan\r\n,1e3\r\n"
                              "(1234567999999999999999999999999999999\r\n(-1\r\n"
                              "=15\r\ntxt:Some string\r\n=4\r\nmkd:\r\n"
                              "!5\r\nERR x\r\n"
                              "|1\r\n+key\r\n*2\r\n$1\r\na\r\n:90\r\n*2\r\n|0\r\n:1\r\n|1\r\n|"
                              "1\r\n+x\r\n+y\r\n+k\r\n:2\r\n:3\r\n"
                              "+\r\n";
static const char session_shown[] =
    "+OK;-ERR no;12345;-7;5;-9223372036854775808;$he\r\no;$;_;_;_;[];[1 [$a]];{+a 1 +b [{]]];"
    "<true false];![$message $c $hi];,3.141;,inf;,-inf;,nan;,1000;"
    "(1234567999999999999999999999999999999;(-1;=Some string;=;-ERR x;[1 3];+;";

static void test_whole(void **state)
{
    begin();
    feed_exact(session, sizeof session - 1);
    assert_int_equal(drain(), 0);
    assert_null(resp_reader_error(reader));
    end(session_shown);
}

static void test_split_at_every_byte(void **state)
{
    for (size_t at = 0; at < sizeof session; at++) {
        begin();
        feed_exact(session, at);
        assert_int_equal(drain(), 0);
        feed_exact(session + at, sizeof session - 1 - at);
        assert_int_equal(drain(), 0);
        end(session_shown);
    }
}

static void test_split_everywhere(void **state)
{
    begin();
    for (size_t at = 0; at < sizeof session - 1; at++) {
        feed_exact(session + at, 1);
        assert_int_equal(drain(), 0);
    }
    end(session_shown);
}

static void test_errors(void **state)
{
    static const char *const wrong[] = {
        "x\r\n",
        "\r\n",
        "+a\rb\r\n",
        ":\r\n",
        ":1.5\r\n",
        ":+-1\r\n",
        ":99999999999999999999\r\n",
        "$-2\r\n",
        "$x\r\n",
        "$\r\n",
        "$1\r\nab\r\n",
        "$1\r\na\n\n",
        "*-2\r\n",
        "*2147483648\r\n",
        "%-1\r\n",
        "~-1\r\n",
        ">-1\r\n",
        "|-1\r\n",
        "=-1\r\n",
        "!-1\r\n",
        "_x\r\n",
        "#x\r\n",
        "#\r\n",
        ",\r\n",
        ",1x\r\n",
        "(\r\n",
        "(1.5\r\n",
        "(-\r\n",
        "=3\r\ntxt\r\n",
        "=4\r\ntxt.\r\n",
        "$?\r\n",
        "*?\r\n",
        "$536870913\r\n",
        "HTTP/1.1 400\r\n",
        "$9223372036854775807\r\n",
        "%2147483648\r\n",
        "*00000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin();
        feed_exact("*2\r\n:1\r\n", 8);
        feed_exact(wrong[i], strlen(wrong[i]));
        assert_int_equal(drain(), -1);
        assert_non_null(resp_reader_error(reader));
        feed_exact("+OK\r\n", 5);
        assert_int_equal(drain(), -1);
        resp_reader_reset(reader);
        assert_null(resp_reader_error(reader));
        feed_exact("+OK\r\n", 5);
        assert_int_equal(drain(), 0);
        end("+OK;");
    }
}

static int feed_nested(int levels, const char *header)
{
    for (int i = 0; i < levels; i++) feed_exact(header, strlen(header));
    feed_exact(":1\r\n", 4);
    return drain();
}

static void test_depth(void **state)
{
    begin();
    assert_int_equal(feed_nested(RESP_DEPTH_MAX, "*1\r\n"), 0);
    assert_int_equal(shown.len, 2 * RESP_DEPTH_MAX + 2);
    assert_int_equal(feed_nested(RESP_DEPTH_MAX + 1, "*1\r\n"), -1);
    assert_string_equal(resp_reader_error(reader), "Protocol error: nested too deeply");
    resp_reader_reset(reader);
    assert_int_equal(feed_nested(RESP_DEPTH_MAX + 1, "|1\r\n"), -1);
    resp_reader_reset(reader);
    shown.len = 0;
    /* Attributes one behind the other are no nesting. */
    assert_int_equal(feed_nested(300000, "|0\r\n"), 0);
    end("1;");
}

/* Memory follows what came. */
static void test_announced_is_not_allocated(void **state)
{
    begin();
    size_t before = mem_used();
    for (int i = 0; i < 100; i++) feed_exact("*2147483647\r\n", 13);
    assert_int_equal(drain(), 0);
    feed_exact("$536870912\r\nabc", 15);
    assert_int_equal(drain(), 0);
    assert_true(mem_used() - before < 16384);
    end("");
}

static void test_line_limits(void **state)
{
    begin();
    char *text = mem_alloc(RESP_REPLY_LINE_MAX);
    memset(text, 'a', RESP_REPLY_LINE_MAX);
    resp_reader_feed(reader, "+", 1);
    for (size_t at = 0; at < RESP_REPLY_LINE_MAX; at += 4096) {
        resp_reader_feed(reader, text + at, 4096);
        assert_int_equal(drain(), 0);
    }
    resp_reader_feed(reader, "a", 1);
    assert_int_equal(drain(), -1);
    assert_string_equal(resp_reader_error(reader), "Protocol error: line too long");
    mem_free(text);
    end("");
}

/* A large array in small pieces, then memory is given back. */
static void test_large(void **state)
{
    enum { COUNT = 200000 };
    struct buf text = {0};
    buf_printf(&text, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++) buf_printf(&text, "$6\r\n%06d\r\n", i);
    reader = resp_reader_new();
    const struct resp_reply *reply = NULL;
    for (size_t at = 0; at < text.len; at++) {
        resp_reader_feed(reader, text.data + at, 1);
        assert_int_equal(resp_reader_next(reader, &reply), at + 1 == text.len);
    }
    assert_int_equal(reply->count, COUNT);
    assert_string_equal(reply->elements[COUNT - 1].text.data, "199999");
    buf_fini(&text);
    resp_reader_feed(reader, "+OK\r\n", 5);
    assert_int_equal(resp_reader_next(reader, &reply), 1);
    assert_true(mem_used() < 256 * 1024);
    resp_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_split_at_every_byte),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_announced_is_not_allocated),
        cmocka_unit_test(test_line_limits),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
