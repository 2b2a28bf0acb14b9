/* Arenas: alignment, that allocations do not overlap, what a reset keeps. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

static void aligned_and_apart(void **state)
{
    enum { N = 3000 };
    static unsigned char *at[N];
    static size_t size[N];
    struct arena a;
    struct rng rng;
    arena_init(&a);
    rng_seed(&rng, 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            size[i] = rng_below(&rng, i % 100 == 0 ? 200000 : 90);
            at[i] = arena_alloc(&a, size[i]);
            assert_non_null(at[i]);
            assert_int_equal((uintptr_t)at[i] % 16, 0);
            if (size[i] > 0) memset(at[i], i & 0xff, size[i]);
        }
        for (int i = 0; i < N; i++) {
            for (size_t k = 0; k < size[i]; k++) assert_int_equal(at[i][k], i & 0xff);
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void reset_keeps_one_block(void **state)
{
    struct arena a;
    size_t before = mem_used();
    arena_init(&a);
    assert_int_equal(mem_used(), before); /* idle arenas cost nothing */
    for (int i = 0; i < 1000; i++) arena_alloc(&a, 1000);
    arena_alloc(&a, 1000000);
    assert_true(mem_used() > before + 2000000 - 1);
    arena_reset(&a);
    assert_true(mem_used() > before && mem_used() <= before + 66000);
    size_t kept = mem_used();
    arena_alloc(&a, 1000);
    assert_int_equal(mem_used(), kept);
    arena_reset(&a);
    arena_fini(&a);
    assert_int_equal(mem_used(), before);
    arena_fini(&a);
}

static void only_large(void **state)
{
    struct arena a;
    arena_init(&a);
    size_t before = mem_used();
    memset(arena_alloc(&a, 500000), 1, 500000);
    memset(arena_alloc(&a, 500000), 2, 500000);
    memset(arena_alloc(&a, 10), 3, 10);
    arena_reset(&a);
    assert_true(mem_used() <= before + 66000);
    arena_fini(&a);
}

static void copies(void **state)
{
    struct arena a;
    arena_init(&a);
    struct bytes b = arena_dup(&a, BYTES("a\0b"));
    assert_true(bytes_eq(b, BYTES("a\0b")));
    b = arena_dup(&a, (struct bytes){NULL, 0});
    assert_int_equal(b.len, 0);
    assert_string_equal(arena_strdup(&a, BYTES("text")), "text");
    assert_string_equal(arena_strdup(&a, (struct bytes){NULL, 0}), "");
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_apart),
        cmocka_unit_test(reset_keeps_one_block),
        cmocka_unit_test(only_large),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
