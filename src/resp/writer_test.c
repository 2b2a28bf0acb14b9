#include "resp/writer.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static struct buf out;
static struct resp_writer w2 = {&out, 2}, w3 = {&out, 3};

static void expect(const char *text)
{
    struct bytes expected = bytes_of(text);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.data, expected.len);
    buf_fini(&out); /* so that each write meets an empty buffer */
}

static void test_lines(void **state)
{
    resp_simple(&w2, "OK");
    expect("+OK\r\n");
    resp_error(&w2, "ERR no such key '%s', %d", "k", 7);
    expect("-ERR no such key 'k', 7\r\n");
    resp_error(&w2, "ERR %s", "a\r\n\nb");
    expect("-ERR a   b\r\n");
    resp_error_bytes(&w3, BYTES(""));
    expect("-\r\n");
}

static void test_long_error(void **state)
{
    char text[3001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    resp_error(&w2, "ERR %s", text);
    assert_int_equal(out.len, 1 + 4 + 3000 + 2);
    assert_memory_equal(out.data + 3000, "xxxxx\r\n", 7);
    buf_fini(&out);
}

static void test_integers(void **state)
{
    static const struct {
        int64_t n;
        const char *line, *bulk;
    } cases[] = {
        {0, ":0\r\n", "$1\r\n0\r\n"},
        {9, ":9\r\n", "$1\r\n9\r\n"},
        {10, ":10\r\n", "$2\r\n10\r\n"},
        {99, ":99\r\n", "$2\r\n99\r\n"},
        {100, ":100\r\n", "$3\r\n100\r\n"},
        {-1, ":-1\r\n", "$2\r\n-1\r\n"},
        {-10, ":-10\r\n", "$3\r\n-10\r\n"},
        {1234567890123, ":1234567890123\r\n", "$13\r\n1234567890123\r\n"},
        {INT64_MAX, ":9223372036854775807\r\n", "$19\r\n9223372036854775807\r\n"},
        {INT64_MIN, ":-9223372036854775808\r\n", "$20\r\n-9223372036854775808\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        resp_int(&w2, cases[i].n);
        expect(cases[i].line);
        resp_bulk_i64(&w3, cases[i].n);
        expect(cases[i].bulk);
    }
}

static void test_bulk(void **state)
{
    resp_bulk(&w2, (struct bytes){NULL, 0});
    expect("$0\r\n\r\n");
    resp_bulk_str(&w2, "a\r\nb");
    expect("$4\r\na\r\nb\r\n");
    struct bytes zero = BYTES("x\0y");
    resp_bulk(&w3, zero);
    assert_int_equal(out.len, 4 + 3 + 2);
    assert_memory_equal(out.data, "$3\r\nx\0y\r\n", 9);
    buf_fini(&out);
}

/* Each type as RESP2 and as RESP3 shows it. */
static void expect_both(const char *as2, const char *as3, void (*write)(struct resp_writer *w))
{
    write(&w2);
    expect(as2);
    write(&w3);
    expect(as3);
}

static void write_double(struct resp_writer *w)
{
    resp_double(w, 3.141);
    resp_double(w, 3);
    resp_double(w, INFINITY);
    resp_double(w, -INFINITY);
}

static void write_bools(struct resp_writer *w)
{
    resp_bool(w, true);
    resp_bool(w, false);
}

static void write_nulls(struct resp_writer *w)
{
    resp_null(w);
    resp_null_array(w);
}

static void write_aggregates(struct resp_writer *w)
{
    resp_array(w, 0);
    resp_map(w, 7);
    resp_set(w, 12);
    resp_push(w, 3);
}

static void write_verbatim(struct resp_writer *w)
{
    resp_verbatim(w, "txt", BYTES("Some string"));
    resp_verbatim(w, "mkd", BYTES(""));
}

static void test_protocols(void **state)
{
    expect_both("$5\r\n3.141\r\n$1\r\n3\r\n$3\r\ninf\r\n$4\r\n-inf\r\n",
                ",3.141\r\n,3\r\n,inf\r\n,-inf\r\n", write_double);
    expect_both(":1\r\n:0\r\n", "#t\r\n#f\r\n", write_bools);
    expect_both("$-1\r\n*-1\r\n", "_\r\n_\r\n", write_nulls);
    expect_both("*0\r\n*14\r\n*12\r\n*3\r\n", "*0\r\n%7\r\n~12\r\n>3\r\n", write_aggregates);
    expect_both("$11\r\nSome string\r\n$0\r\n\r\n", "=15\r\ntxt:Some string\r\n=4\r\nmkd:\r\n",
                write_verbatim);
}

static void write_deferred(struct resp_writer *w)
{
    resp_simple(w, "before");
    size_t outer = resp_defer(w), inner[3];
    inner[0] = resp_defer(w);
    resp_int(w, 1);
    resp_defer_array(w, inner[0], 1);
    inner[1] = resp_defer(w);
    resp_int(w, 2);
    resp_int(w, 3);
    resp_defer_map(w, inner[1], 1);
    inner[2] = resp_defer(w);
    resp_defer_set(w, inner[2], 0);
    resp_defer_array(w, outer, 3);
    resp_simple(w, "behind");
}

static void test_deferred(void **state)
{
    expect_both("+before\r\n*3\r\n*1\r\n:1\r\n*2\r\n:2\r\n:3\r\n*0\r\n+behind\r\n",
                "+before\r\n*3\r\n*1\r\n:1\r\n%1\r\n:2\r\n:3\r\n~0\r\n+behind\r\n", write_deferred);
}

static void test_command(void **state)
{
    struct bytes argv[] = {BYTES("SET"), BYTES(""), BYTES("a b")};
    resp_command(&w3, argv, 3);
    expect("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na b\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_integers),  cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_protocols), cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
