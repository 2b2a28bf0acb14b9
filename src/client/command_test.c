#include "client/command.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int format(struct words *w, const char *text, ...)
{
    va_list args;
    va_start(args, text);
    int rc = words_format(w, text, args);
    va_end(args);
    return rc;
}

static void expect(struct words *w, int rc, const char *expected)
{
    struct buf shown = {0};
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < w->argc; i++) {
        buf_putc(&shown, '<');
        buf_put(&shown, w->argv[i]);
        buf_putc(&shown, '>');
    }
    buf_putc(&shown, '\0');
    assert_string_equal(shown.data, expected);
    buf_fini(&shown);
    words_fini(w);
}

static void test_format(void **state)
{
    struct words w = {0};
    expect(&w, format(&w, "PING"), "<PING>");
    expect(&w, format(&w, "  SET  a   b "), "<SET><a><b>");
    expect(&w, format(&w, "SET user:%s %s", "a b", ""), "<SET><user:a b><>");
    expect(&w, format(&w, "%s", ""), "<>");
    expect(&w, format(&w, "SET %b:%lld 100%%", "xyz", (size_t)2, -5LL), "<SET><xy:-5><100%>");
    expect(&w, format(&w, "1 2 3 4 5 6 7 8 9 10 %lld", 1LL << 62),
           "<1><2><3><4><5><6><7><8><9><10><4611686018427387904>");
}

static void test_format_refused(void **state)
{
    struct words w = {0};
    assert_int_equal(format(&w, ""), -EINVAL);
    assert_int_equal(format(&w, "   "), -EINVAL);
    words_fini(&w);
    assert_int_equal(format(&w, "SET %d", 1), -EINVAL);
    words_fini(&w);
    assert_int_equal(format(&w, "SET a%"), -EINVAL);
    words_fini(&w);
}

static int64_t patience(const char *line)
{
    struct words w = {0};
    assert_int_equal(format(&w, line), 0);
    int64_t ms = command_patience_ms(w.argv, w.argc);
    words_fini(&w);
    return ms;
}

static void test_patience(void **state)
{
    assert_int_equal(patience("GET a"), 0);
    assert_int_equal(patience("PING"), 0);
    assert_int_equal(patience("blpop a b 1.5"), 1500);
    assert_int_equal(patience("BRPOP a 0"), PATIENCE_FOREVER);
    assert_int_equal(patience("BRPOP a x"), 0);
    assert_int_equal(patience("BLMOVE a b LEFT RIGHT 2"), 2000);
    assert_int_equal(patience("BZPOPMIN a 3"), 3000);
    assert_int_equal(patience("BLMPOP 4 1 a LEFT"), 4000);
    assert_int_equal(patience("BITCOUNT a 5"), 0);
    assert_int_equal(patience("XREAD COUNT 5 BLOCK 250 STREAMS a 0"), 250);
    assert_int_equal(patience("XREAD STREAMS block 5"), 0);
    assert_int_equal(patience("XREADGROUP GROUP g c BLOCK 0 STREAMS a >"), PATIENCE_FOREVER);
    assert_int_equal(patience("XADD a BLOCK 5"), 0);
    assert_int_equal(patience("WAIT 1 500"), 500);
    assert_int_equal(patience("WATCH a 500"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_refused),
        cmocka_unit_test(test_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
