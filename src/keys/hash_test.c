/* Hash values against an array of pairs: small, as tables, and across the turn from one to the
 * other. */
#include "keys/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

enum { FIELDS = 300, VALUE_MAX = 120 };

static struct rng rng;
static const struct hash_limits usual = {64, 64};

struct model {
    bool there[FIELDS];
    size_t len[FIELDS];
    char value[FIELDS][VALUE_MAX];
    size_t count;
};

static void new_hash(struct key *k)
{
    *k = (struct key){.type = KEY_HASH};
    hash_init(k);
}

static struct bytes field_name(char *room, int i)
{
    return (struct bytes){room, i == 0 ? 0 : (size_t)sprintf(room, "f%d", i)};
}

static void set(struct key *k, struct model *m, int i, size_t value_max)
{
    char room[32];
    size_t n = rng_below(&rng, value_max);
    for (size_t j = 0; j < n; j++) m->value[i][j] = (char)rng_next(&rng);
    m->len[i] = n;
    bool is_new = hash_set(k, field_name(room, i), (struct bytes){m->value[i], n}, &usual);
    assert_int_equal(is_new, !m->there[i]);
    m->count += is_new;
    m->there[i] = true;
}

static void delete (struct key *k, struct model *m, int i)
{
    char room[32];
    assert_int_equal(hash_delete(k, field_name(room, i)), m->there[i]);
    m->count -= m->there[i];
    m->there[i] = false;
}

static void check_walk(const struct key *k, const struct model *m)
{
    struct hash_iter it;
    struct bytes field, value;
    size_t seen = 0;
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) {
        char text[32];
        assert_true(field.len < sizeof text);
        memcpy(text, field.data, field.len);
        text[field.len] = '\0';
        int i = field.len == 0 ? 0 : atoi(text + 1);
        assert_true(m->there[i] && value.len == m->len[i]);
        assert_memory_equal(value.data, m->value[i], value.len);
        seen++;
    }
    hash_iter_fini(&it);
    assert_int_equal(seen, m->count);
}

static void check(const struct key *k, const struct model *m)
{
    char room[32];
    assert_int_equal(hash_count(k), m->count);
    for (int i = 0; i < FIELDS; i++) {
        struct bytes value;
        assert_int_equal(hash_get(k, field_name(room, i), &value), m->there[i]);
        if (!m->there[i]) continue;
        assert_int_equal(value.len, m->len[i]);
        assert_memory_equal(value.data, m->value[i], value.len);
    }
    check_walk(k, m);
    if (m->count > 0) {
        struct bytes field, value, again;
        hash_random(k, &rng, &field, &value);
        assert_true(hash_get(k, field, &again));
        assert_ptr_equal(again.data, value.data);
    }
}

static void run(int fields, size_t value_max, enum key_encoding expected)
{
    struct key k;
    new_hash(&k);
    struct model *m = mem_calloc(sizeof *m);
    for (int step = 0; step < 3000; step++) {
        int i = (int)rng_below(&rng, (uint64_t)fields);
        if (rng_below(&rng, 3)) set(&k, m, i, value_max);
        else delete (&k, m, i);
        if (step % 50 == 0) check(&k, m);
    }
    assert_int_equal(k.encoding, expected);
    struct key copy = {.type = KEY_HASH};
    hash_ops.copy(&copy, &k);
    assert_int_equal(copy.encoding, expected);
    check(&copy, m);
    assert_true(hash_ops.memory(&copy, 0) > 0);
    hash_ops.free(&copy);
    hash_ops.free(&k);
    mem_free(m);
}

static void test_small(void **state)
{
    run(64, 64, ENC_LISTPACK);
}

static void test_table(void **state)
{
    run(FIELDS, VALUE_MAX, ENC_HASHTABLE);
}

static void test_turns_by_count(void **state)
{
    struct key k;
    new_hash(&k);
    char room[32];
    for (int i = 0; i < 65; i++) {
        assert_int_equal(k.encoding, ENC_LISTPACK);
        hash_set(&k, field_name(room, i), BYTES("v"), &usual);
    }
    assert_int_equal(k.encoding, ENC_HASHTABLE);
    assert_int_equal(hash_count(&k), 65);
    hash_ops.free(&k);
}

static void test_turns_by_length(void **state)
{
    struct key k;
    new_hash(&k);
    char text[65];
    memset(text, 'x', sizeof text);
    hash_set(&k, BYTES("a"), (struct bytes){text, 64}, &usual);
    assert_int_equal(k.encoding, ENC_LISTPACK);
    hash_set(&k, (struct bytes){text, 65}, BYTES("v"), &usual);
    assert_int_equal(k.encoding, ENC_HASHTABLE);
    assert_int_equal(hash_count(&k), 2);
    hash_ops.free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_turns_by_count),
        cmocka_unit_test(test_turns_by_length),
    };
    hash_seed();
    rng_seed(&rng, 6);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
