/* Tests of reading a URL's query. */
#include "http/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct arena arena;

static struct query parse(const char *text)
{
    struct query q;
    query_parse(&q, &arena, text);
    return q;
}

static void test_pairs(void **state)
{
    struct query q = parse("view=changes&key=en.wikipedia.org&key=a+b%26c&empty=&bare&&x=1=2");
    assert_int_equal(q.count, 6);
    assert_string_equal(query_get(&q, "view", 0), "changes");
    assert_string_equal(query_get(&q, "key", 0), "en.wikipedia.org");
    assert_string_equal(query_get(&q, "key", 1), "a b&c");
    assert_null(query_get(&q, "key", 2));
    assert_string_equal(query_get(&q, "empty", 0), "");
    assert_string_equal(query_get(&q, "bare", 0), "");
    assert_string_equal(query_get(&q, "x", 0), "1=2");
    assert_null(query_get(&q, "nothing", 0));
}

static void test_escapes(void **state)
{
    struct query q = parse("a=%e2%82%AC&b=%&c=%4&d=%zz&%65=e&f=100%25");
    assert_string_equal(query_get(&q, "a", 0), "\xe2\x82\xac");
    assert_string_equal(query_get(&q, "b", 0), "%");
    assert_string_equal(query_get(&q, "c", 0), "%4");
    assert_string_equal(query_get(&q, "d", 0), "%zz");
    assert_string_equal(query_get(&q, "e", 0), "e");
    assert_string_equal(query_get(&q, "f", 0), "100%");
}

static void test_nothing(void **state)
{
    struct query q = parse(NULL);
    assert_int_equal(q.count, 0);
    assert_int_equal(parse("").count, 0);
    assert_int_equal(parse("&&&").count, 0);
    assert_null(query_get(&q, "a", 0));
}

static void test_bound(void **state)
{
    char text[3 * (QUERY_PARAMS_MAX + 10) + 1];
    for (int i = 0; i < QUERY_PARAMS_MAX + 10; i++) memcpy(text + 3 * i, "a=&", 4);
    assert_int_equal(parse(text).count, QUERY_PARAMS_MAX);
}

static int setup(void **state)
{
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
