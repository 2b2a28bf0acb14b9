/* Dedupe against a plain list; and the batch: sums, order, and that places are told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rand.h"
#include "flow/batch.h"
#include "flow/dedupe.h"

static void test_window(void **state)
{
    struct dedupe *d = dedupe_new(2);
    assert_false(dedupe_seen(d, BYTES("a")));
    assert_true(dedupe_seen(d, BYTES("a")));
    assert_false(dedupe_seen(d, BYTES("b")));
    assert_true(dedupe_seen(d, BYTES("a")));
    assert_false(dedupe_seen(d, BYTES("c"))); /* forgets a */
    assert_true(dedupe_seen(d, BYTES("b")));
    assert_false(dedupe_seen(d, BYTES("a"))); /* forgets b */
    assert_false(dedupe_seen(d, BYTES("b")));
    assert_false(dedupe_seen(d, BYTES("")));
    assert_true(dedupe_seen(d, (struct bytes){NULL, 0}));
    assert_false(dedupe_seen(d, BYTES("a\0")));
    dedupe_free(d);
    dedupe_free(NULL);
}

/* The naive one: all ids in the order they were first seen since they were last forgotten. */
static void test_model(void **state)
{
    enum { WINDOW = 300, ROUNDS = 20000, IDS = 900 };
    uint64_t list[WINDOW];
    size_t count = 0;
    struct rng rng;
    rng_seed(&rng, 7);
    struct dedupe *d = dedupe_new(WINDOW);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t id = rng_below(&rng, IDS);
        bool known = false;
        for (size_t i = 0; i < count; i++) known |= list[i] == id;
        assert_int_equal(dedupe_seen(d, (struct bytes){(char *)&id, sizeof(id)}), known);
        if (known) continue;
        if (count == WINDOW) memmove(list, list + 1, --count * sizeof(list[0]));
        list[count++] = id;
    }
    dedupe_free(d);
}

static void check_entry(const struct batch *b, size_t index, enum batch_op op, const char *key,
                        const char *field, int64_t n)
{
    const struct batch_entry *entry = b->entries[index];
    assert_int_equal(entry->op, op);
    assert_true(bytes_eq(entry->key, bytes_of(key)));
    assert_true(bytes_eq(entry->field, bytes_of(field)));
    assert_int_equal(entry->n, n);
}

static void test_batch(void **state)
{
    struct batch b;
    batch_init(&b);
    for (int round = 0; round < 2; round++) {
        batch_add(&b, BATCH_HINCRBY, BYTES("ab"), BYTES("c"), 1);
        batch_add(&b, BATCH_HINCRBY, BYTES("a"), BYTES("bc"), 1);
        batch_add(&b, BATCH_ZINCRBY, BYTES("ab"), BYTES("c"), 1);
        batch_add(&b, BATCH_HINCRBY, BYTES("ab"), BYTES("c"), 2);
        batch_add(&b, BATCH_SADD, BYTES("s"), BYTES(""), 1);
        batch_add(&b, BATCH_SADD, BYTES("s"), BYTES(""), 1);
        assert_int_equal(b.count, 4);
        assert_true(b.bytes > 0);
        check_entry(&b, 0, BATCH_HINCRBY, "ab", "c", 3);
        check_entry(&b, 1, BATCH_HINCRBY, "a", "bc", 1);
        check_entry(&b, 2, BATCH_ZINCRBY, "ab", "c", 1);
        check_entry(&b, 3, BATCH_SADD, "s", "", 2);
        batch_reset(&b);
        assert_int_equal(b.count, 0);
        assert_int_equal(b.bytes, 0);
    }
    char field[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(field, sizeof(field), "%d", i % 2500);
        batch_add(&b, BATCH_ZINCRBY, BYTES("k"), bytes_of(field), 1);
    }
    assert_int_equal(b.count, 2500);
    check_entry(&b, 2499, BATCH_ZINCRBY, "k", "2499", 2);
    batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
