/* The pack against an array of strings, under seeded random edits; elements of every length at
 * which the varint in front of them changes its own. */
#include "keys/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"

enum { ELEMENTS_MAX = 60 };

static struct rng rng;
static struct bytes model[ELEMENTS_MAX];
static uint32_t count;

static struct bytes some_element(void)
{
    static const size_t lengths[] = {0, 1, 2, 3, 5, 126, 127, 128, 129, 16383, 16384, 16385};
    bool small = rng_below(&rng, 20) != 0;
    size_t n = lengths[rng_below(&rng, small ? 5 : sizeof lengths / sizeof *lengths)];
    char *data = mem_alloc(n + 1);
    for (size_t i = 0; i < n; i++) data[i] = (char)('a' + rng_below(&rng, 2));
    return (struct bytes){data, n};
}

static void check(const struct pack *p)
{
    size_t at = pack_first(p);
    struct bytes got;
    assert_int_equal(p->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pack_offset(p, i), at);
        assert_true(pack_next(p, &at, &got));
        assert_true(bytes_eq(got, model[i]));
    }
    assert_false(pack_next(p, &at, &got));
    assert_int_equal(pack_offset(p, count), p->bytes.len);
}

static void check_find(const struct pack *p, uint32_t step)
{
    struct bytes wanted = some_element();
    ssize_t expected = -1;
    for (uint32_t i = 0; i < count && expected < 0; i += step)
        if (bytes_eq(model[i], wanted)) expected = (ssize_t)pack_offset(p, i);
    assert_int_equal(pack_find(p, wanted, step), expected);
    mem_free((char *)wanted.data);
}

static void insert(struct pack *p, uint32_t at)
{
    struct bytes e = some_element();
    if (at == count && rng_below(&rng, 2)) pack_append(p, e);
    else pack_insert(p, pack_offset(p, at), e);
    memmove(model + at + 1, model + at, (count - at) * sizeof *model);
    model[at] = e;
    count++;
}

static void replace(struct pack *p, uint32_t at)
{
    struct bytes e = some_element();
    pack_replace(p, pack_offset(p, at), e);
    mem_free((char *)model[at].data);
    model[at] = e;
}

static void remove_some(struct pack *p, uint32_t at, uint32_t n)
{
    pack_remove(p, pack_offset(p, at), n);
    for (uint32_t i = at; i < at + n; i++) mem_free((char *)model[i].data);
    memmove(model + at, model + at + n, (count - at - n) * sizeof *model);
    count -= n;
}

static void test_model(void **state)
{
    struct pack p = {0};
    for (int step = 0; step < 30000; step++) {
        uint32_t at = (uint32_t)rng_below(&rng, count + 1);
        switch (rng_below(&rng, 5)) {
        case 0:
        case 1:
            if (count < ELEMENTS_MAX) insert(&p, at);
            break;
        case 2:
            if (at < count) replace(&p, at);
            break;
        case 3:
            if (at < count)
                remove_some(&p, at, 1 + (uint32_t)rng_below(&rng, count - at > 3 ? 3 : 1));
            break;
        default:
            check_find(&p, 1 + (uint32_t)rng_below(&rng, 2));
        }
        if (step % 20 == 0) check(&p);
    }
    struct pack copy;
    pack_copy(&copy, &p);
    check(&copy);
    pack_fini(&copy);
    remove_some(&p, 0, count);
    pack_fini(&p);
}

/* An element of the pack itself may be inserted again. */
static void test_own_bytes(void **state)
{
    struct pack p = {0};
    struct bytes e;
    pack_append(&p, BYTES("one"));
    for (int i = 0; i < 100; i++) {
        size_t at = 0;
        pack_next(&p, &at, &e);
        pack_insert(&p, 0, e);
    }
    size_t at = 0;
    while (pack_next(&p, &at, &e)) assert_true(bytes_eq(e, BYTES("one")));
    assert_int_equal(p.count, 101);
    pack_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_own_bytes)};
    rng_seed(&rng, 9);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
