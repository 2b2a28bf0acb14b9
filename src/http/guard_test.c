/* Tests of who is answered: Host and Origin. */
#include "http/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const names[] = {"leat.example", "box", NULL};
static const struct guard guard = {"192.0.2.7", names};

static bool host_ok(const char *host)
{
    return guard_host(&guard, bytes_of(host), "198.51.100.9");
}

static void test_known_hosts(void **state)
{
    static const char *const good[] = {
        "localhost",    "localhost:8080",    "LocalHost:1",        "a.localhost:80",
        "127.0.0.1",    "127.0.0.1:8080",    "127.9.9.9",          "[::1]:8080",
        "[::1]",        "192.0.2.7:8080",    "198.51.100.9",       "leat.example",
        "LEAT.EXAMPLE", "leat.example:8443", "[::ffff:192.0.2.7]", "box",
        "localhost:",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        if (!host_ok(good[i])) fail_msg("refused %s", good[i]);
    }
}

static void test_strange_hosts(void **state)
{
    static const char *const bad[] = {
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8080",
        "192.0.2.8",
        "[::2]:80",
        "localhost:80:80",
        "localhost:http",
        "[::1",
        "127.0.0.1.evil.example",
        "notlocalhost",
        ".localhost",
        ":80",
        "localhost:123456",
        "[]",
        "leat.example.evil.example",
        "0.0.0.0",
        "[::1]evil",
        "::1",
        "box@evil.example",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (host_ok(bad[i])) fail_msg("let in %s", bad[i]);
    }
    assert_false(guard_host(&guard, (struct bytes){"localhost\0x", 11}, NULL));
}

static void test_without_names(void **state)
{
    struct guard bare = {"localhost", NULL};
    assert_true(guard_host(&bare, BYTES("localhost:1"), NULL));
    assert_false(guard_host(&bare, BYTES("box"), NULL));
    assert_false(guard_host(&bare, BYTES("198.51.100.9"), NULL));
}

static void test_origin(void **state)
{
    assert_true(guard_origin(BYTES("http://localhost:8080"), BYTES("localhost:8080")));
    assert_true(guard_origin(BYTES("https://LOCALHOST"), BYTES("localhost")));
    assert_false(guard_origin(BYTES("http://localhost:8081"), BYTES("localhost:8080")));
    assert_false(guard_origin(BYTES("http://evil.example"), BYTES("localhost:8080")));
    assert_false(guard_origin(BYTES("null"), BYTES("localhost:8080")));
    assert_false(guard_origin(BYTES("file://localhost:8080"), BYTES("localhost:8080")));
    assert_false(guard_origin(BYTES(""), BYTES("localhost")));
    assert_false(guard_origin(BYTES("http://"), BYTES("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hosts),
        cmocka_unit_test(test_strange_hosts),
        cmocka_unit_test(test_without_names),
        cmocka_unit_test(test_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
