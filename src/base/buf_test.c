/* Buffers, and what else of base is small: checksum, memory counts, random numbers. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/rand.h"

static void grows_and_gives_back(void **state)
{
    size_t before = mem_used();
    struct buf b = {0};
    for (int i = 0; i < 5000; i++) buf_printf(&b, "%d,", i);
    assert_memory_equal(b.data, "0,1,2,3,", 8);
    assert_memory_equal(b.data + b.len - 5, "4999,", 5);
    assert_true(b.cap >= b.len && b.cap < b.len * 2 + 64);
    buf_consume(&b, b.len - 5);
    assert_true(bytes_eq(buf_bytes(&b), BYTES("4999,")));
    buf_shrink(&b, 1024);
    assert_int_equal(b.cap, 1024);
    assert_true(bytes_eq(buf_bytes(&b), BYTES("4999,")));
    buf_consume(&b, 5);
    buf_shrink(&b, 0);
    assert_int_equal(b.cap, 0);
    assert_int_equal(mem_used(), before);
    buf_put(&b, BYTES("again"));
    buf_fini(&b);
    buf_fini(&b);
    assert_int_equal(mem_used(), before);
}

static void inserts(void **state)
{
    struct buf b = {0};
    buf_insert(&b, 0, "bd", 2);
    buf_insert(&b, 1, "c", 1);
    buf_insert(&b, 0, "a", 1);
    buf_insert(&b, 4, "e\0", 2);
    assert_true(bytes_eq(buf_bytes(&b), BYTES("abcde\0")));
    buf_putc(&b, '!');
    buf_append(&b, NULL, 0);
    assert_true(bytes_eq(buf_bytes(&b), BYTES("abcde\0!")));
    buf_fini(&b);
}

static void against_a_model(void **state)
{
    static char model[1 << 16];
    size_t len = 0;
    struct buf b = {0};
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        char piece[40];
        size_t n = rng_below(&rng, sizeof piece), at = rng_below(&rng, len + 1);
        memset(piece, 'a' + i % 26, sizeof piece);
        switch (len + n > sizeof model ? 2 : rng_below(&rng, 3)) {
        case 0:
            buf_append(&b, piece, n);
            memcpy(model + len, piece, n);
            len += n;
            break;
        case 1:
            buf_insert(&b, at, piece, n);
            memmove(model + at + n, model + at, len - at);
            memcpy(model + at, piece, n);
            len += n;
            break;
        default:
            buf_consume(&b, at / 2);
            memmove(model, model + at / 2, len - at / 2);
            len -= at / 2;
            if (i % 7 == 0) buf_shrink(&b, 100);
        }
        assert_int_equal(b.len, len);
        if (len > 0) assert_memory_equal(b.data, model, len);
    }
    buf_fini(&b);
}

static void printf_at_the_edge(void **state)
{
    for (int n = 0; n < 200; n++) {
        struct buf b = {0};
        buf_printf(&b, "%*s", n, "");
        buf_printf(&b, "%s", "tail");
        assert_int_equal(b.len, n + 4);
        assert_memory_equal(b.data + n, "tail", 4);
        buf_fini(&b);
    }
}

static void checksum(void **state)
{
    static unsigned char zeros[32];
    static char many[100000];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, NULL, 0), 0);
    struct rng rng;
    rng_seed(&rng, 4);
    for (size_t i = 0; i < sizeof many; i++) many[i] = (char)rng_next(&rng);
    uint32_t whole = crc32c(0, many, sizeof many), parts = 0;
    for (size_t i = 0, n; i < sizeof many; i += n) {
        n = 1 + rng_below(&rng, sizeof many - i < 3000 ? sizeof many - i : 3000);
        parts = crc32c(parts, many + i, n);
    }
    assert_int_equal(whole, parts);
}

static void memory_is_counted(void **state)
{
    size_t before = mem_used();
    char *p = mem_calloc_aligned(64, 1000);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
    assert_true(mem_used() >= before + 1000);
    mem_free(p);
    size_t size = 3 * (size_t)MEM_PAGES_PIECE;
    p = mem_pages_map(size);
    assert_int_equal((uintptr_t)p % MEM_PAGES_PIECE, 0);
    assert_int_equal(mem_used(), before + size);
    assert_int_equal(p[0] | p[size - 1], 0);
    mem_pages_unmap(p, MEM_PAGES_PIECE);
    p[size - 1] = 1;
    mem_pages_unmap(p + MEM_PAGES_PIECE, size - MEM_PAGES_PIECE);
    assert_int_equal(mem_used(), before);
}

static void random_numbers(void **state)
{
    struct rng rng;
    int seen[7] = {0};
    rng_seed(&rng, 5);
    for (int i = 0; i < 70000; i++) seen[rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++) assert_in_range(seen[i], 9500, 10500);
    for (int i = 0; i < 1000; i++) {
        double u = rng_unit(&rng);
        assert_true(u >= 0 && u < 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_gives_back),
        cmocka_unit_test(inserts),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(printf_at_the_edge),
        cmocka_unit_test(checksum),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(random_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
