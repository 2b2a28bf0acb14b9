/* Durations, sizes and counts: what they read and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/units.h"

typedef int (*reader)(struct bytes text, int64_t *ret, const char **ret_why);

static void check(reader read, const char *text, int64_t want)
{
    int64_t got = -7;
    const char *why = NULL;
    assert_int_equal(read(bytes_of(text), &got, &why), want < 0 ? -1 : 0);
    assert_int_equal(got, want < 0 ? -7 : want);
    assert_true((why != NULL) == (want < 0));
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {{"500ms", 500},
                 {"10s", 10000},
                 {"1800s", 1800000},
                 {"30m", 1800000},
                 {"12h", 43200000},
                 {"7d", 604800000},
                 {"1m30s", 90000},
                 {"1H", 3600000},
                 {"0s", 0},
                 {"3660d", INT64_C(316224000000)},
                 {"3661d", -1},
                 {"3660d1ms", -1},
                 {"", -1},
                 {"10", -1},
                 {"s", -1},
                 {"10 s", -1},
                 {"-1s", -1},
                 {"1.5s", -1},
                 {"1m30", -1},
                 {"10sec", -1},
                 {"99999999999999999999s", -1},
                 {"9999999999999999d", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(units_duration_ms, cases[i].text, cases[i].want);
}

static void test_sizes_and_counts(void **state)
{
    check(units_size, "100", 100);
    check(units_size, "100b", 100);
    check(units_size, "64KB", 65536);
    check(units_size, "1mb", 1048576);
    check(units_size, "2GB", INT64_C(2147483648));
    check(units_size, "9999999999GB", -1);
    check(units_size, "1MB1", -1);
    check(units_size, "1TB", -1);
    check(units_size, "MB", -1);
    check(units_count, "100000", 100000);
    check(units_count, "0", 0);
    check(units_count, "1e5", -1);
    check(units_count, "", -1);
    check(units_count, "-1", -1);
    check(units_count, "9999999999999999", -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
