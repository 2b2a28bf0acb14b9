/* Tests of writing JSON. */
#include "http/json_out.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct buf out;
static struct json_out j;

static int setup(void **state)
{
    json_out_init(&j, &out);
    return 0;
}

static int teardown(void **state)
{
    buf_fini(&out);
    return 0;
}

static void expect(const char *text)
{
    buf_putc(&out, 0);
    assert_string_equal(out.data, text);
}

static void test_shape(void **state)
{
    json_out_object(&j);
    json_out_key(&j, "a");
    json_out_array(&j);
    json_out_int(&j, -1);
    json_out_bool(&j, true);
    json_out_null(&j);
    json_out_object(&j);
    json_out_object_end(&j);
    json_out_array(&j);
    json_out_array_end(&j);
    json_out_array_end(&j);
    json_out_key(&j, "b");
    json_out_text(&j, NULL);
    json_out_key(&j, "c");
    json_out_text(&j, "x");
    json_out_object_end(&j);
    expect("{\"a\":[-1,true,null,{},[]],\"b\":null,\"c\":\"x\"}");
}

static void test_escapes(void **state)
{
    json_out_string(&j, (struct bytes){"\"\\/\b\f\n\r\t\0\x1f\x7f", 11});
    expect("\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f\"");
}

static void write_each(const char *const *texts, size_t n)
{
    json_out_array(&j);
    for (size_t i = 0; i < n; i++) json_out_text(&j, texts[i]);
    json_out_array_end(&j);
}

static void test_utf8_stays(void **state)
{
    static const char *const good[] = {"caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a",
                                       "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    write_each(good, 5);
    expect("[\"caf\xc3\xa9\",\"\xe2\x82\xac\",\"\xf0\x9f\x8c\x8a\",\"\xed\x9f\xbf\","
           "\"\xf4\x8f\xbf\xbf\"]");
}

#define BAD "\xef\xbf\xbd"

static void test_names_from_outside(void **state)
{
    json_out_init(&j, &out);
    json_out_object(&j);
    json_out_name(&j, (struct bytes){"a\0\xff\"", 4});
    json_out_int(&j, 1);
    json_out_object_end(&j);
    expect("{\"a\\u0000" BAD "\\\"\":1}");
}

static void test_ill_formed_is_mended(void **state)
{
    static const char *const bad[] = {
        "a\xff"
        "b",                /* never in UTF-8 */
        "\xc3",             /* cut off */
        "\xc0\xaf",         /* overlong */
        "\xe0\x80\xaf",     /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xe2\x82z",        /* cut off by a letter */
    };
    write_each(bad, 7);
    expect("[\"a" BAD "b\",\"" BAD "\",\"" BAD BAD "\",\"" BAD BAD BAD "\",\"" BAD BAD BAD
           "\",\"" BAD BAD BAD BAD "\",\"" BAD BAD "z\"]");
}

static void test_numbers(void **state)
{
    json_out_array(&j);
    json_out_number(&j, 12);
    json_out_number(&j, 0.1);
    json_out_number(&j, -2.5);
    json_out_number(&j, 1.0 / 3);
    json_out_number(&j, 1e300);
    json_out_number(&j, NAN);
    json_out_number(&j, INFINITY);
    json_out_int(&j, INT64_MIN);
    json_out_array_end(&j);
    expect("[12,0.1,-2.5,0.3333333333333333,1e+300,null,null,-9223372036854775808]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_utf8_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ill_formed_is_mended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_from_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
