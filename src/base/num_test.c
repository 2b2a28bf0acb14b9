/* Numbers against what Redis was observed to read and write. */
#include "base/num.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

struct num_case {
    const char *text;
    size_t len;
    const char *score, *increment, *integer; /* as in the table */
};

static const struct num_case cases[] = {
#include "num_cases.inc"
};

static char out[NUM_DOUBLE_MAX];

static void check(const struct num_case *c, const char *what, const char *want, bool ok, size_t n)
{
    if (ok != (want != NULL)) fail_msg("%s as %s: %s", c->text, what, ok ? "read" : "refused");
    if (!ok || strcmp(want, "...") == 0) return;
    if (n != strlen(want) || memcmp(out, want, n) != 0)
        fail_msg("%s as %s: %.*s, not %s", c->text, what, (int)n, out, want);
}

static void as_redis(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct num_case *c = &cases[i];
        /* A copy of the exact size, so that reading beyond it is caught. */
        char *copy = mem_dup(c->text, c->len);
        struct bytes text = {copy, c->len};
        double d = 0;
        long double l = 0;
        int64_t n = 0;
        bool ok = num_parse_double(text, &d);
        check(c, "score", c->score, ok, ok ? num_format_double_17(out, d) : 0);
        ok = num_parse_long_double(text, &l);
        check(c, "increment", c->increment, ok, ok ? num_format_long_double(out, l) : 0);
        ok = num_parse_i64(text, &n);
        check(c, "integer", c->integer, ok, ok ? num_format_i64(out, n) : 0);
        mem_free(copy);
    }
}

static struct bytes filled(char *room, size_t zeros)
{
    memset(room, '0', zeros);
    room[zeros] = '1';
    return (struct bytes){room, zeros + 1};
}

static void long_texts(void **state)
{
    static char room[20001];
    double d = 0;
    long double l = 0;
    assert_true(num_parse_double(filled(room, 20000), &d) && d == 1);
    assert_true(num_parse_long_double(filled(room, NUM_DOUBLE_MAX - 2), &l) && l == 1);
    assert_false(num_parse_long_double(filled(room, NUM_DOUBLE_MAX - 1), &l));
    assert_true(num_parse_long_double(BYTES("1e4932"), &l));
    assert_int_equal(num_format_long_double(out, l), 4933);
    assert_false(num_parse_long_double(BYTES("1e4933"), &l));
}

static void score_bounds(void **state)
{
    static const struct {
        struct bytes text;
        bool ok;
        double value;
    } bounds[] = {
        {BYTES(" 1"), true, 1},
        {BYTES("1 "), false, 0},
        {BYTES(""), true, 0},
        {BYTES("1\0zz"), true, 1},
        {BYTES("(1"), false, 0},
        {BYTES("nan"), false, 0},
        {BYTES("1e400"), true, HUGE_VAL},
        {BYTES("1e-400"), true, 0},
        {BYTES("-inf"), true, -HUGE_VAL},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        double d = 0;
        assert_int_equal(num_parse_score_bound(bounds[i].text, &d), bounds[i].ok);
        if (bounds[i].ok) assert_true(d == bounds[i].value);
    }
}

static void unsigned_range(void **state)
{
    uint64_t n = 7;
    assert_true(num_parse_u64(BYTES("18446744073709551615"), &n) && n == UINT64_MAX);
    assert_true(num_parse_u64(BYTES("0"), &n) && n == 0);
    n = 7;
    assert_false(num_parse_u64(BYTES("18446744073709551616"), &n));
    assert_false(num_parse_u64(BYTES("99999999999999999999"), &n));
    assert_false(num_parse_u64(BYTES("184467440737095516150"), &n));
    assert_false(num_parse_u64(BYTES("-1"), &n));
    assert_false(num_parse_u64(BYTES("01"), &n));
    assert_false(num_parse_u64((struct bytes){NULL, 0}, &n));
    assert_int_equal(n, 7); /* untouched on failure */
}

static void integers_round_trip(void **state)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        int64_t n = (int64_t)(rng_next(&rng) >> rng_below(&rng, 64)), back = 0;
        if (rng_below(&rng, 2)) n = -n;
        size_t len = num_format_i64(out, n);
        assert_true(len <= NUM_I64_MAX);
        assert_true(num_parse_i64((struct bytes){out, len}, &back) && back == n);
        char want[32];
        snprintf(want, sizeof want, "%lld", (long long)n);
        assert_true(len == strlen(want) && memcmp(out, want, len) == 0);
    }
    assert_int_equal(num_format_i64(out, INT64_MIN), 20);
}

/* The short way of reading and writing against the C library's. */
static void doubles_round_trip(void **state)
{
    struct rng rng;
    rng_seed(&rng, 2);
    for (int i = 0; i < 50000; i++) {
        char text[64], want[64];
        int precision = (int)rng_below(&rng, 12);
        double d = (rng_unit(&rng) - 0.5) * (double)(1u << rng_below(&rng, 31)), back = 0;
        int n = snprintf(text, sizeof text, "%.*f", precision, d);
        assert_true(num_parse_double((struct bytes){text, (size_t)n}, &back));
        d = strtod(text, NULL);
        assert_memory_equal(&back, &d, sizeof d);
        snprintf(want, sizeof want, "%.17g", d);
        size_t len = num_format_double_17(out, d);
        assert_true(len == strlen(want) && memcmp(out, want, len) == 0);
    }
}

static void not_finite(void **state)
{
    assert_memory_equal("nan", out, num_format_double(out, NAN));
    assert_memory_equal("inf", out, num_format_double(out, INFINITY));
    assert_memory_equal("-inf", out, num_format_long_double(out, -INFINITY));
    assert_int_equal(num_format_double(out, -INFINITY), 4);
}

/* As Redis 7.2 documents the change: the shortest form that reads back as the same number. */
static void test_shortest_doubles(void **state)
{
    static const struct {
        double d;
        const char *text;
    } shortest[] = {{0.1, "0.1"},
                    {3.3, "3.3"},
                    {-2.5, "-2.5"},
                    {1e-7, "1e-7"},
                    {1.5e-7, "1.5e-7"},
                    {0.00001, "0.00001"},
                    {1e21, "1e+21"},
                    {100, "100"},
                    {0.30000000000000004, "0.30000000000000004"},
                    {1.7976931348623157e308, "1.7976931348623157e+308"},
                    {5e-324, "5e-324"},
                    {123456.789, "123456.789"}};
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; i++) {
        size_t len = num_format_double(out, shortest[i].d);
        assert_int_equal(len, strlen(shortest[i].text));
        assert_memory_equal(out, shortest[i].text, len);
    }
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        double d;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&d, &bits, sizeof d);
        if (isnan(d) || isinf(d)) continue;
        out[num_format_double(out, d)] = 0;
        assert_true(strtod(out, NULL) == d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shortest_doubles),
        cmocka_unit_test(as_redis),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(score_bounds),
        cmocka_unit_test(unsigned_range),
        cmocka_unit_test(integers_round_trip),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
