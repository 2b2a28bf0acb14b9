/* The JSON face: paths, types, the text of values, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "flow/json.h"

static struct json_parser *parser;

static int setup(void **state)
{
    parser = json_parser_new();
    return 0;
}

static int teardown(void **state)
{
    json_parser_free(parser);
    return 0;
}

/* Parses a heap copy of the exact length, freed at once: nothing may point into it. */
static int parse(struct bytes text, const char **ret_error)
{
    char *copy = mem_dup(text.data, text.len);
    int rc = json_parse(parser, (struct bytes){copy, text.len}, ret_error);
    mem_free(copy);
    return rc;
}

static void accept(const char *text)
{
    const char *error = NULL;
    if (parse(bytes_of(text), &error) != 0) fail_msg("%s: %s", text, error);
}

static void refuse(struct bytes text, const char *part)
{
    const char *error = NULL;
    struct json_value v;
    assert_int_equal(parse(text, &error), -1);
    assert_non_null(strstr(error, part));
    json_get(parser, BYTES(""), &v);
    assert_int_equal(v.type, JSON_ABSENT);
}

static void expect(const char *path, enum json_type type, const char *text)
{
    struct json_value v;
    json_get(parser, bytes_of(path), &v);
    assert_int_equal(v.type, type);
    assert_int_equal(v.text.len, strlen(text));
    if (v.text.len > 0) assert_memory_equal(v.text.data, text, v.text.len);
}

static void test_paths(void **state)
{
    accept("{\"meta\":{\"domain\":\"en.wikipedia.org\",\"a\":{\"b\":1}},\"x\":[1]}");
    expect("meta.domain", JSON_STRING, "en.wikipedia.org");
    expect("meta.a.b", JSON_NUMBER, "1");
    expect("meta", JSON_OBJECT, "");
    expect("", JSON_OBJECT, "");
    expect("x", JSON_ARRAY, "");
    const char *absent[] = {"y",     "meta.y", "meta.domain.y", "x.0",
                            "meta.", ".meta",  "meta..a",       "met"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) expect(absent[i], JSON_ABSENT, "");
}

static void test_empty_names_and_other_roots(void **state)
{
    accept("{\"\":{\"\":5}}");
    expect(".", JSON_NUMBER, "5");
    accept("[1,2]");
    expect("", JSON_ARRAY, "");
    expect("a", JSON_ABSENT, "");
    accept("\"text\"");
    expect("", JSON_STRING, "text");
    accept(" 12 ");
    expect("", JSON_NUMBER, "12");
}

static void test_values(void **state)
{
    accept("{\"t\":true,\"f\":false,\"n\":null,\"s\":\"\",\"u\":\"a\\u00e9\\n\\ud83d\\ude00\"}");
    expect("t", JSON_BOOL, "true");
    expect("f", JSON_BOOL, "false");
    expect("n", JSON_NULL, "");
    expect("s", JSON_STRING, "");
    expect("u", JSON_STRING, "a\xc3\xa9\n\xf0\x9f\x98\x80");
}

static void test_a_string_may_hold_a_zero_byte(void **state)
{
    struct json_value v;
    accept("{\"z\":\"a\\u0000b\"}");
    json_get(parser, BYTES("z"), &v);
    assert_int_equal(v.text.len, 3);
    assert_memory_equal(v.text.data, "a\0b", 3);
}

static void test_numbers(void **state)
{
    accept("{\"i\":633030779619012608,\"m\":-9223372036854775808,\"u\":18446744073709551615,"
           "\"d\":1.50,\"e\":1e3,\"g\":0.1,\"z\":-0.0,\"h\":1.7976931348623157e308}");
    expect("i", JSON_NUMBER, "633030779619012608");
    expect("m", JSON_NUMBER, "-9223372036854775808");
    expect("u", JSON_NUMBER, "18446744073709551615");
    expect("d", JSON_NUMBER, "1.5");
    expect("e", JSON_NUMBER, "1000");
    expect("g", JSON_NUMBER, "0.1");
    expect("z", JSON_NUMBER, "-0");
    expect("h", JSON_NUMBER, "1.7976931348623157e+308");
}

static void test_values_outlive_each_other(void **state)
{
    struct json_value v[64];
    accept("{\"a\":1234567}");
    for (int i = 0; i < 64; i++) json_get(parser, BYTES("a"), &v[i]);
    for (int i = 0; i < 64; i++) assert_memory_equal(v[i].text.data, "1234567", 7);
}

static void test_of_duplicate_keys_the_last_counts(void **state)
{
    accept("{\"a\":1,\"b\":{\"c\":1},\"a\":\"two\",\"b\":{\"d\":2},\"b\":{\"c\":3,\"c\":4}}");
    expect("a", JSON_STRING, "two");
    expect("b.c", JSON_NUMBER, "4");
    expect("b.d", JSON_ABSENT, "");
}

static void test_arrays(void **state)
{
    struct json_value array, v;
    accept("{\"h\":[\"one\",{\"x\":1},[],3],\"e\":[],\"s\":\"no\"}");
    json_get(parser, BYTES("h"), &array);
    assert_int_equal(json_count(&array), 4);
    json_element(parser, &array, 0, &v);
    assert_int_equal(v.type, JSON_STRING);
    assert_true(bytes_eq(v.text, BYTES("one")));
    json_element(parser, &array, 1, &v);
    json_field(parser, &v, BYTES("x"), &v);
    assert_true(bytes_eq(v.text, BYTES("1")));
    json_field(parser, &array, BYTES("x"), &v);
    assert_int_equal(v.type, JSON_ABSENT);
    json_element(parser, &array, 2, &v);
    assert_int_equal(v.type, JSON_ARRAY);
    assert_int_equal(json_count(&v), 0);
    json_element(parser, &array, 3, &v);
    assert_true(bytes_eq(v.text, BYTES("3")));
    json_element(parser, &array, 4, &v);
    assert_int_equal(v.type, JSON_ABSENT);
    json_get(parser, BYTES("s"), &array);
    assert_int_equal(json_count(&array), 0);
    json_element(parser, &array, 0, &v);
    assert_int_equal(v.type, JSON_ABSENT);
}

static void test_what_is_refused(void **state)
{
    refuse(BYTES(""), "empty");
    refuse(BYTES("{\"a\":1"), "");
    refuse(BYTES("{\"a\":1}}"), "");
    refuse(BYTES("{\"a\":1} {\"b\":2}"), "");
    refuse(BYTES("{a:1}"), "");
    refuse(BYTES("<html>"), "");
    refuse(BYTES("{\"a\":\"open}"), "not closed");
    refuse(BYTES("{\"a\":\"\xff\"}"), "UTF-8");
    refuse(BYTES("{\"a\":\"\xc3\xa9\xc3\"}"), "UTF-8");
    refuse(BYTES("{\"a\":\"a\nb\"}"), "control");
    refuse(BYTES("{\"a\":01}"), "number");
    refuse(BYTES("{\"a\":123456789012345678901234567890}"), "64 bits");
    refuse(BYTES("[1,2\0]"), "");
}

static void test_depth(void **state)
{
    enum { DEEP = 5000 };
    char *text = mem_alloc(2 * DEEP);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    refuse((struct bytes){text, 2 * DEEP}, "deep");
    mem_free(text);
}

static void test_large_then_small(void **state)
{
    size_t n = 3 << 20;
    char *text = mem_alloc(n);
    memset(text, 'x', n);
    text[0] = text[n - 1] = '"';
    const char *error;
    assert_int_equal(parse((struct bytes){text, n}, &error), 0);
    mem_free(text);
    struct json_value v;
    json_get(parser, BYTES(""), &v);
    assert_int_equal(v.text.len, n - 2);
    accept("{\"a\":1}");
    expect("a", JSON_NUMBER, "1");
}

static void note_field(void *arg, struct bytes name, const struct json_value *value)
{
    struct buf *seen = arg;
    buf_put(seen, name);
    buf_putc(seen, '=');
    bool nested = value->type == JSON_OBJECT || value->type == JSON_ARRAY;
    buf_put(seen, nested ? json_minified(parser, value) : value->text);
    buf_putc(seen, ';');
}

static void test_each_field_and_nested_as_text(void **state)
{
    struct buf seen = {0};
    struct json_value v;
    accept("{ \"a\" : \"x y\", \"n\":{ \"k\" : [1, 2.5,\"\\u0000q\"] }, \"a\":null , \"b\":true}");
    json_get(parser, BYTES(""), &v);
    assert_true(json_each(parser, &v, note_field, &seen));
    buf_putc(&seen, '\0');
    assert_string_equal(seen.data, "a=x y;n={\"k\":[1,2.5,\"\\u0000q\"]};a=;b=true;");
    accept("[1]");
    json_get(parser, BYTES(""), &v);
    assert_false(json_each(parser, &v, note_field, &seen));
    buf_fini(&seen);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_paths),
        T(test_empty_names_and_other_roots),
        T(test_values),
        T(test_a_string_may_hold_a_zero_byte),
        T(test_numbers),
        T(test_values_outlive_each_other),
        T(test_of_duplicate_keys_the_last_counts),
        T(test_arrays),
        T(test_what_is_refused),
        T(test_depth),
        T(test_large_then_small),
        T(test_each_field_and_nested_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
