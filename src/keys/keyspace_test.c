/* Databases of keys: what renaming, copying, swapping and flushing do to names and expiries; and
 * that large things are freed aside, completely. */
#include "keys/keyspace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"
#include "keys/hash.h"
#include "keys/str.h"

static struct key *find(struct keyspace *ks, int db, const char *name)
{
    return keyspace_find(ks, db, bytes_of(name), hash_bytes(bytes_of(name)));
}

static struct key *add(struct keyspace *ks, int db, const char *name, const char *value)
{
    struct bytes n = bytes_of(name);
    struct key *k = keyspace_add(ks, db, n, hash_bytes(n), KEY_STRING, ENC_EMBSTR);
    str_set(k, bytes_of(value));
    return k;
}

static void assert_value(struct keyspace *ks, int db, const char *name, const char *value)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    struct key *k = find(ks, db, name);
    assert_non_null(k);
    assert_true(bytes_eq(str_get(k, scratch), bytes_of(value)));
}

static void test_rename_and_copy(void **state)
{
    struct keyspace *ks = keyspace_new();
    keyspace_expire_at(ks, 0, add(ks, 0, "a", "1"), 500);
    struct key *b = keyspace_rename(ks, 0, find(ks, 0, "a"), 3, BYTES("b"));
    assert_null(find(ks, 0, "a"));
    assert_ptr_equal(find(ks, 3, "b"), b);
    assert_ptr_equal(keyspace_first_to_expire(ks, 3), b);
    assert_null(keyspace_first_to_expire(ks, 0));
    struct key *c = keyspace_copy(ks, b, 3, BYTES("c"));
    assert_int_equal(c->expire_at_ms, 500);
    assert_int_equal(keyspace_count_expiring(ks, 3), 2);
    str_set(b, BYTES("2"));
    assert_value(ks, 3, "c", "1");
    keyspace_expire_at(ks, 3, c, KEY_NEVER);
    keyspace_remove(ks, 3, b);
    assert_null(keyspace_first_to_expire(ks, 3));
    assert_int_equal(keyspace_count(ks, 3), 1);
    keyspace_free(ks);
}

static void test_swap(void **state)
{
    struct keyspace *ks = keyspace_new();
    add(ks, 0, "a", "1");
    keyspace_expire_at(ks, 1, add(ks, 1, "b", "2"), 7);
    keyspace_swap(ks, 0, 1);
    assert_value(ks, 0, "b", "2");
    assert_value(ks, 1, "a", "1");
    assert_int_equal(keyspace_first_to_expire(ks, 0)->expire_at_ms, 7);
    keyspace_free(ks);
}

static void fill(struct keyspace *ks, int db, int count)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        sprintf(name, "key:%d", i);
        struct key *k = add(ks, db, name, "a value that takes an allocation of its own");
        if (i % 3 == 0) keyspace_expire_at(ks, db, k, i);
    }
}

static void wait_for_reaper(struct keyspace *ks)
{
    for (int i = 0; i < 10000 && keyspace_dying(ks) > 0; i++) usleep(1000);
    assert_int_equal(keyspace_dying(ks), 0);
}

static void test_flush(void **state)
{
    struct keyspace *ks = keyspace_new();
    size_t before = mem_used();
    for (int round = 0; round < 3; round++) {
        fill(ks, 2, round == 0 ? 10 : 50000);
        keyspace_flush(ks, 2);
        assert_int_equal(keyspace_count(ks, 2), 0);
        assert_null(keyspace_first_to_expire(ks, 2));
        add(ks, 2, "key:1", "new"); /* usable at once */
        assert_value(ks, 2, "key:1", "new");
        keyspace_flush(ks, 2);
        wait_for_reaper(ks);
        assert_int_equal(mem_used(), before);
    }
    keyspace_free(ks);
}

static struct key *add_large_hash(struct keyspace *ks, const char *name)
{
    static const struct hash_limits limits = {512, 64};
    struct bytes n = bytes_of(name);
    struct key *k = keyspace_add(ks, 0, n, hash_bytes(n), KEY_HASH, ENC_LISTPACK);
    char field[32];
    hash_init(k);
    for (int i = 0; i < 20000; i++)
        hash_set(k, (struct bytes){field, (size_t)sprintf(field, "%d", i)}, BYTES("v"), &limits);
    return k;
}

static void test_large_values(void **state)
{
    struct keyspace *ks = keyspace_new();
    size_t before = mem_used();
    keyspace_remove(ks, 0, add_large_hash(ks, "gone"));
    assert_null(find(ks, 0, "gone"));
    struct key *k = add_large_hash(ks, "overwritten");
    keyspace_expire_at(ks, 0, k, 99);
    keyspace_reset(ks, k, KEY_STRING, ENC_EMBSTR);
    str_set(k, BYTES("now a string"));
    assert_value(ks, 0, "overwritten", "now a string");
    assert_int_equal(k->expire_at_ms, 99);
    keyspace_remove(ks, 0, k);
    wait_for_reaper(ks);
    assert_true(mem_used() < before + 4096); /* the table of names may stay */
    keyspace_free(ks);
}

/* What is still to be freed at the end is freed. */
static void test_end(void **state)
{
    size_t before = mem_used();
    struct keyspace *ks = keyspace_new();
    fill(ks, 0, 100000);
    keyspace_flush(ks, 0);
    fill(ks, 1, 1000);
    keyspace_free(ks);
    assert_int_equal(mem_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rename_and_copy),
        cmocka_unit_test(test_swap),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_end),
    };
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
