/* The letters of notify-keyspace-events, both ways. */
#include "broker/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What CONFIG GET answers after CONFIG SET, as Redis was observed to. */
static void assert_shown(const char *set, const char *shown)
{
    unsigned classes = 12345;
    struct buf out = {0};
    assert_true(notify_parse(bytes_of(set), &classes));
    notify_format(classes, &out);
    if (shown[0] != '\0') assert_memory_equal(out.data, shown, out.len);
    assert_int_equal(out.len, strlen(shown));
    buf_fini(&out);
}

static void test_letters(void **state)
{
    assert_shown("", "");
    assert_shown("KEA", "AKE");
    assert_shown("AKEm", "AKEm");
    assert_shown("Kg$", "g$K");
    assert_shown("g$lshzxetdK", "AK");
    assert_shown("g$lshzxetK", "g$lshzxetK");
    assert_shown("EE", "E");
    assert_shown("mE", "Em");
}

/* `n` is of Redis 7.0, which forgot to show it; shown since 7.2. */
static void test_new(void **state)
{
    unsigned classes = 0;
    assert_true(notify_parse(BYTES("En"), &classes));
    assert_int_equal(classes, NOTIFY_KEYEVENT | NOTIFY_NEW);
    assert_false(NOTIFY_ALL & (NOTIFY_NEW | NOTIFY_MISS));
}

static void test_unknown(void **state)
{
    unsigned classes = 99;
    assert_false(notify_parse(BYTES("KEQ"), &classes));
    assert_false(notify_parse(BYTES("a"), &classes));
    assert_false(notify_parse(BYTES("K E"), &classes));
    assert_int_equal(classes, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
