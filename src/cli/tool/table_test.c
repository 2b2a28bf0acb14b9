/* Tables and the text in them: alignment, quoting, cutting. */
#include "cli/tool/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/tool/text.h"

static void expect(struct buf *out, const char *text)
{
    buf_putc(out, '\0');
    assert_string_equal(out->data, text);
    buf_fini(out);
}

static void expect_word(struct bytes word, const char *text)
{
    struct buf out = {0};
    text_put_word(&out, word);
    expect(&out, text);
}

static void test_words(void **state)
{
    expect_word(BYTES("plain"), "plain");
    expect_word(BYTES(""), "\"\"");
    expect_word(BYTES("two words"), "\"two words\"");
    expect_word(BYTES("a\"b\\c"), "\"a\\\"b\\\\c\"");
    expect_word(BYTES("caf\xc3\xa9"), "caf\xc3\xa9");
    expect_word(BYTES("\x1b[2J\n\t\r"), "\"\\x1b[2J\\n\\t\\r\"");
    expect_word(BYTES("a\0b"), "\"a\\x00b\"");
    expect_word(BYTES("\xff"), "\"\\xff\"");
    expect_word(BYTES("\xc2\x9b"), "\"\\xc2\\x9b\""); /* a control sequence in one character */
    expect_word(BYTES("\xe2\x80\xae"), "\"\\xe2\\x80\\xae\""); /* from right to left */
    expect_word(BYTES("\xe2\x81\xa7"), "\"\\xe2\\x81\\xa7\""); /* the same for a part */
    expect_word(BYTES("\xe2\x82"), "\"\\xe2\\x82\"");          /* cut off */
}

static void test_lines(void **state)
{
    struct buf out = {0};
    text_put_line(&out, BYTES("a \"b\" \\ \x1b]0;x\a\n"));
    expect(&out, "a \"b\" \\ \\x1b]0;x\\x07\\n");
    assert_int_equal(text_width(BYTES("caf\xc3\xa9")), 4);
    assert_int_equal(text_width(BYTES("\xff\xfe")), 2);
    struct bytes wide = BYTES("a\xe6\xb3\xa8\xe6\x96\x87"
                              "e\xcc\x81\xf0\x9f\x9a\x80"); /* a, two of Chinese, é, a rocket */
    assert_int_equal(text_width(wide), 1 + 2 + 2 + 1 + 2);
    assert_int_equal(text_cut(wide, 0), 0);
    assert_int_equal(text_cut(wide, 2), 1);
    assert_int_equal(text_cut(wide, 3), 4);
    assert_int_equal(text_cut(wide, 6), 10); /* with its accent */
    assert_int_equal(text_cut(wide, 8), wide.len);
}

static void test_sizes_and_rates(void **state)
{
    struct buf out = {0};
    static const int64_t sizes[] = {0, 1023, 1024, 10188, 10240, 1 << 20, INT64_C(3) << 30};
    for (size_t i = 0; i < 7; i++) {
        text_put_size(&out, sizes[i]);
        buf_putc(&out, ' ');
    }
    expect(&out, "0 1023 1.0KB 9.9KB 10KB 1.0MB 3.0GB ");
    static const double rates[] = {0, 0.31, 9.94, 12.4, 1530};
    for (size_t i = 0; i < 5; i++) {
        text_put_rate(&out, rates[i]);
        buf_putc(&out, ' ');
    }
    expect(&out, "0 0.3 9.9 12 1530 ");
}

static const struct column columns[] = {{"NAME", false}, {"N", true}, {"WHEN", false}};

static void fill(struct table *t)
{
    table_init(t, columns, 3);
    table_word(t, BYTES("two words"));
    table_int(t, -5);
    table_text(t, "now");
    table_word(t, BYTES("caf\xc3\xa9"));
    table_int(t, 12345);
    table_text(t, NULL);
}

static void test_terminal(void **state)
{
    struct table t;
    struct buf out = {0};
    fill(&t);
    assert_int_equal(table_rows(&t), 2);
    table_put(&t, &(struct table_style){.terminal = true}, &out);
    expect(&out, "\033[1mNAME             N  WHEN\033[0m\n"
                 "\"two words\"     -5  now\n"
                 "caf\xc3\xa9         12345  -\n");
    table_fini(&t);
}

static void test_piped(void **state)
{
    struct table t;
    struct buf out = {0};
    fill(&t);
    table_put(&t, &(struct table_style){0}, &out);
    expect(&out, "NAME N WHEN\n\"two words\" -5 now\ncaf\xc3\xa9 12345 -\n");
    table_clear(&t);
    table_put(&t, &(struct table_style){0}, &out);
    expect(&out, "NAME N WHEN\n");
    table_fini(&t);
}

static void test_cut(void **state)
{
    struct table t;
    struct buf out = {0};
    fill(&t);
    table_put(&t, &(struct table_style){.terminal = true, .columns_max = 8, .rows_max = 1}, &out);
    expect(&out, "\033[1mNAME  N\xe2\x80\xa6\033[0m\nand 2 more\n");
    table_put(&t, &(struct table_style){.columns_max = 4}, &out);
    expect(&out, "NAM\xe2\x80\xa6\n\"tw\xe2\x80\xa6\ncaf\xe2\x80\xa6\n");
    table_put(&t, &(struct table_style){.rows_max = 2}, &out);
    expect(&out, "NAME N WHEN\n\"two words\" -5 now\ncaf\xc3\xa9 12345 -\n");
    table_fini(&t);
}

static void test_long_names_make_room(void **state)
{
    struct table t;
    struct buf out = {0};
    table_init(&t, columns, 3);
    table_word(&t, BYTES("a-very-long-name-of-a-stream-1"));
    table_int(&t, 1);
    table_text(&t, "now");
    table_word(&t, BYTES("a-very-long-name-of-a-stream-2"));
    table_int(&t, 2);
    table_text(&t, "then");
    table_word(&t, BYTES("\xe6\xb3\xa8\xe6\x96\x87\xe6\xb3\xa8\xe6\x96\x87\xe6\xb3\xa8"
                         "\xe6\x96\x87\xe6\xb3\xa8\xe6\x96\x87\xe6\xb3\xa8\xe6\x96\x87"));
    table_int(&t, 3);
    table_text(&t, NULL);
    table_put(&t, &(struct table_style){.terminal = true, .columns_max = 27}, &out);
    expect(&out, "\033[1mNAME                N  WHEN\033[0m\n"
                 "a-very-lo\xe2\x80\xa6stream-1  1  now\n"
                 "a-very-lo\xe2\x80\xa6stream-2  2  then\n"
                 "\xe6\xb3\xa8\xe6\x96\x87\xe6\xb3\xa8\xe6\x96\x87\xe2\x80\xa6"
                 "\xe6\xb3\xa8\xe6\x96\x87\xe6\xb3\xa8\xe6\x96\x87   3  -\n");
    /* Sixteen columns stay; then the line's end goes. */
    table_put(&t, &(struct table_style){.terminal = true, .columns_max = 20, .rows_max = 2}, &out);
    expect(&out, "\033[1mNAME              N\xe2\x80\xa6\033[0m\n"
                 "a-very-l\xe2\x80\xa6tream-1  1\xe2\x80\xa6\nand 2 more\n");
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_sizes_and_rates),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_piped),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_long_names_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
