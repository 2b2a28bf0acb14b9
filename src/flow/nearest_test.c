/* Edit distance and the choice of the nearest name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/nearest.h"

static size_t distance(const char *a, const char *b)
{
    size_t d = nearest_distance(bytes_of(a), bytes_of(b));
    assert_int_equal(d, nearest_distance(bytes_of(b), bytes_of(a)));
    return d;
}

static void test_distance(void **state)
{
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("topic", "topic"), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("topics", "topic"), 1);
    assert_int_equal(distance("tpoic", "topic"), 1);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("dedup", "dedupe_window"), 8);
    char long_word[80];
    memset(long_word, 'x', sizeof(long_word));
    assert_true(nearest_distance((struct bytes){long_word, 64}, BYTES("x")) == SIZE_MAX);
    assert_int_equal(nearest_distance((struct bytes){long_word, 63}, BYTES("x")), 62);
}

static void check_nearest(const char *word, const char *want)
{
    static const char *const names[] = {"type", "topic", "interval", "history", "by", NULL};
    struct nearest n;
    nearest_init(&n, bytes_of(word));
    for (size_t i = 0; names[i] != NULL; i++) nearest_try(&n, bytes_of(names[i]));
    assert_true(bytes_eq(n.best, want == NULL ? (struct bytes){0} : bytes_of(want)));
}

static void test_nearest(void **state)
{
    check_nearest("typ", "type");
    check_nearest("topics", "topic");
    check_nearest("intrevall", "interval");
    check_nearest("yb", "by");
    check_nearest("histroy", "history");
    check_nearest("x", NULL);
    check_nearest("colour", NULL);
    check_nearest("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
