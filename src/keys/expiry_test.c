/* The heap of expiries against a naive search for the smallest time. */
#include "keys/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

enum { KEYS = 300 };

static struct rng rng;
static struct key keys[KEYS];
static bool in[KEYS];

static int64_t some_time(void)
{
    return (int64_t)rng_below(&rng, 50) - 10; /* many are equal */
}

static void check(const struct expiry *e)
{
    size_t count = 0;
    int64_t least = KEY_NEVER;
    for (int i = 0; i < KEYS; i++) {
        if (!in[i]) continue;
        count++;
        if (keys[i].expire_at_ms < least) least = keys[i].expire_at_ms;
        assert_ptr_equal(e->heap[keys[i].expire_slot], &keys[i]);
    }
    assert_int_equal(e->count, count);
    if (count > 0) assert_int_equal(e->heap[0]->expire_at_ms, least);
}

static void test_model(void **state)
{
    struct expiry e = {0};
    for (int step = 0; step < 20000; step++) {
        int i = (int)rng_below(&rng, step % 4000 < 2000 ? KEYS : 10);
        int64_t at_ms = some_time();
        if (!in[i]) {
            keys[i].expire_at_ms = at_ms;
            expiry_add(&e, &keys[i]);
            in[i] = true;
        } else if (rng_below(&rng, 2)) {
            keys[i].expire_at_ms = at_ms;
            expiry_moved(&e, &keys[i]);
        } else {
            expiry_remove(&e, &keys[i]);
            in[i] = false;
        }
        if (step % 10 == 0) check(&e);
    }
    expiry_fini(&e);
    assert_int_equal(e.count, 0);
}

/* Taken one after the other, they come in the order of their times. */
static void test_order(void **state)
{
    struct expiry e = {0};
    int64_t last = INT64_MIN;
    for (int i = 0; i < KEYS; i++) {
        keys[i].expire_at_ms = (int64_t)rng_below(&rng, 1000);
        expiry_add(&e, &keys[i]);
    }
    while (e.count > 0) {
        struct key *first = e.heap[0];
        assert_true(first->expire_at_ms >= last);
        last = first->expire_at_ms;
        expiry_remove(&e, first);
    }
    expiry_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model), cmocka_unit_test(test_order)};
    rng_seed(&rng, 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
