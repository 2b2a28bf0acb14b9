/* Globs: what Redis was observed to match, and a naive matcher on random patterns. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

static void comparisons(void **state)
{
    assert_true(bytes_eq(BYTES("a\0b"), BYTES("a\0b")));
    assert_false(bytes_eq(BYTES("a\0b"), BYTES("a\0c")));
    assert_true(bytes_eq((struct bytes){NULL, 0}, BYTES("")));
    assert_true(bytes_cmp(BYTES("a"), BYTES("ab")) < 0);
    assert_true(bytes_cmp(BYTES("b"), BYTES("ab")) > 0);
    assert_true(bytes_cmp(BYTES("\xff"), BYTES("a")) > 0);
    assert_int_equal(bytes_cmp(BYTES("x"), BYTES("x")), 0);
    assert_int_equal(bytes_cmp((struct bytes){NULL, 0}, BYTES("")), 0);
    assert_true(bytes_is_word(BYTES("MaXlEn"), "maxlen"));
    assert_false(bytes_is_word(BYTES("maxlen\0"), "maxlen"));
    assert_false(bytes_is_word(BYTES("max"), "maxlen"));
    assert_false(bytes_is_word(BYTES("@"), "`"));
    assert_true(bytes_eq_nocase(BYTES("Z\xc4["), BYTES("z\xc4[")));
    assert_false(bytes_eq_nocase(BYTES("\xc4"), BYTES("\xe4")));
}

static void hashing(void **state)
{
    assert_true(hash_bytes(BYTES("a")) == hash_bytes(BYTES("a")));
    assert_true(hash_bytes(BYTES("a")) != hash_bytes(BYTES("b")));
    uint64_t before = hash_bytes(BYTES("a"));
    hash_seed();
    assert_true(hash_bytes(BYTES("a")) != before);
}

struct glob_case {
    struct bytes pattern, text;
    bool matches;
};

#define YES(pattern, text)                                                                         \
    {                                                                                              \
        BYTES(pattern), BYTES(text), true                                                          \
    }
#define NO(pattern, text)                                                                          \
    {                                                                                              \
        BYTES(pattern), BYTES(text), false                                                         \
    }

/* Observed with KEYS on Redis 7.0. */
static const struct glob_case observed[] = {
    YES("", ""),
    NO("", "a"),
    NO("**", ""),
    NO("?", ""),
    YES("*", "a"),
    YES("**", "abc"),
    YES("***", "a"),
    YES("h?llo", "hello"),
    NO("h?llo", "hllo"),
    YES("h*llo", "hllo"),
    YES("h*llo", "heeello"),
    YES("*llo", "hello"),
    NO("*llo", "hellow"),
    YES("a*b*c", "aXbYbZc"),
    YES("h[ae]llo", "hallo"),
    NO("h[ae]llo", "hillo"),
    YES("h[^e]llo", "hallo"),
    NO("h[^e]llo", "hello"),
    YES("h[a-b]llo", "hbllo"),
    NO("h[a-b]llo", "hcllo"),
    YES("[b-a]", "a"),
    YES("[^b-a]", "c"),
    NO("[^b-a]", "b"),
    YES("[a", "a"),
    YES("[a-", "-"),
    YES("[a-", "a"),
    YES("[a-]", "]"),
    NO("[a-]", "-"),
    NO("[a-]x", "b"),
    YES("[^", "x"),
    NO("[", "["),
    NO("[", "a"),
    NO("[]", "]"),
    YES("[^]", "a"),
    NO("[]a]", "]"),
    NO("[]a]", "a]"),
    YES("[a]]", "a]"),
    YES("[[]", "["),
    YES("\\*", "*"),
    NO("\\*", "a"),
    YES("\\", "\\"),
    YES("a\\", "a\\"),
    NO("a\\", "a"),
    YES("[\\]]", "]"),
    YES("[\\", "\\"),
    YES("[a\\", "\\"),
    YES("[\\-]", "-"),
    YES("[a\\-c]", "-"),
    NO("[a\\-c]", "b"),
    NO("[\\a-c]", "b"),
    NO("[a-\\]]", "b"),
    YES("\\a", "a"),
    YES("[c-\200]", "B"),
    NO("[c-\200]", "d"),
    YES("[\200-c]", "\220"),
    YES("a*", "a"),
    YES("?*", "a"),
    NO("?*?", "a"),
    YES("*?", "ab"),
    YES("*a", "ba"),
    YES("a^b", "a^b"),
    YES("[a^]", "^"),
    NO("[^^]", "^"),
    YES("[^^]", "a"),
    NO("a-c", "b"),
    YES("x\000y", "x\000y"),
    YES("x*", "x\000y"),
    YES("*\000*", "x\000y"),
    NO("*[", "a["),
    YES("*[^", "ab"),
    YES("*\\", "ab\\"),
    YES("*a*b", "aab"),
    YES("*ab*", "aabb"),
    YES("*[ab]c*d", "xacbcxd"),
    NO("A", "a"),
    NO("[A-Z]", "a"),
    NO("*", ""), /* PSUBSCRIBE; KEYS makes an exception */
};

/* Observed with CONFIG GET, which minds no case. */
static const struct glob_case observed_nocase[] = {
    YES("PORT*", "port"),     YES("[A-Z]ort", "port"), NO("[\\P]ort", "port"),
    YES("[^\\P]ort", "port"), YES("[p-P]ort", "port"), YES("\\Port*", "port"),
    YES("*ORT", "port"),      NO("[^P]ort", "port"),
};

/* A copy of the exact size, so that reading beyond it is caught. */
static bool match(struct bytes pattern, struct bytes text, bool nocase)
{
    char *p = mem_dup(pattern.data, pattern.len), *t = mem_dup(text.data, text.len);
    bool yes =
        bytes_match_glob((struct bytes){p, pattern.len}, (struct bytes){t, text.len}, nocase);
    mem_free(p);
    mem_free(t);
    return yes;
}

static void check(const struct glob_case *c, size_t n, bool nocase)
{
    for (size_t i = 0; i < n; i++) {
        if (match(c[i].pattern, c[i].text, nocase) != c[i].matches)
            fail_msg("%s on %s", c[i].pattern.data, c[i].text.data);
    }
}

static void globs_as_observed(void **state)
{
    check(observed, sizeof observed / sizeof observed[0], false);
    check(observed_nocase, sizeof observed_nocase / sizeof observed_nocase[0], true);
}

/* Stars and question marks by trying everything. */
static bool naive(struct bytes p, struct bytes t)
{
    if (p.len == 0) return t.len == 0;
    struct bytes rest = {p.data + 1, p.len - 1};
    if (*p.data == '*') {
        for (size_t i = 0; i <= t.len; i++) {
            if (naive(rest, (struct bytes){t.data + i, t.len - i})) return true;
        }
        return false;
    }
    return t.len > 0 && (*p.data == '?' || *p.data == *t.data) &&
           naive(rest, (struct bytes){t.data + 1, t.len - 1});
}

static void globs_against_a_model(void **state)
{
    struct rng rng;
    int matched = 0;
    rng_seed(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        char p[8], t[10];
        struct bytes pattern = {p, rng_below(&rng, sizeof p)};
        struct bytes text = {t, 1 + rng_below(&rng, sizeof t)};
        for (size_t k = 0; k < pattern.len; k++) p[k] = "aab**?"[rng_below(&rng, 6)];
        for (size_t k = 0; k < text.len; k++) t[k] = "aab"[rng_below(&rng, 3)];
        bool want = naive(pattern, text);
        matched += want;
        if (bytes_match_glob(pattern, text, false) != want)
            fail_msg("%.*s on %.*s", (int)pattern.len, p, (int)text.len, t);
    }
    assert_true(matched > 10000);
}

/* Takes for ever where every '*' is tried in every place. */
static void globs_are_quick(void **state)
{
    static char text[20000], pattern[201];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof pattern - 1; i++) pattern[i] = i % 2 == 0 ? 'a' : '*';
    pattern[sizeof pattern - 1] = 'b';
    assert_false(bytes_match_glob((struct bytes){pattern, sizeof pattern},
                                  (struct bytes){text, sizeof text}, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),       cmocka_unit_test(hashing),
        cmocka_unit_test(globs_as_observed), cmocka_unit_test(globs_against_a_model),
        cmocka_unit_test(globs_are_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
