#include "client/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* host|port|user|password|db, with - for NULL. */
static void expect(const char *url, const char *expected)
{
    struct leat_url u;
    const char *error = NULL;
    char text[300];
    assert_int_equal(leat_url_parse(url, &u, &error), 0);
    snprintf(text, sizeof text, "%s%s|%s|%s|%s|%d", u.is_unix ? "unix " : "", u.host, u.port,
             u.user ? u.user : "-", u.password ? u.password : "-", u.db);
    assert_string_equal(text, expected);
    leat_url_fini(&u);
}

static void test_tcp(void **state)
{
    expect("redis://", "localhost|6379|-|-|0");
    expect("redis:///3", "localhost|6379|-|-|3");
    expect("redis://h", "h|6379|-|-|0");
    expect("REDIS://h/", "h|6379|-|-|0");
    expect("redis://h:1", "h|1|-|-|0");
    expect("redis://h:65535/15", "h|65535|-|-|15");
    expect("redis://h?db=4", "h|6379|-|-|4");
    expect("redis://:secret@h:1/2", "h|1|-|secret|2");
    expect("redis://user:secret@h", "h|6379|user|secret|0");
    expect("redis://u%40x:p%3a%2F%25@h", "h|6379|u@x|p:/%|0");
    expect("redis://u:p@q@h", "h|6379|u|p@q|0");
    expect("redis://u:@h", "h|6379|u||0");
    expect("redis://[::1]:7000/1", "::1|7000|-|-|1");
    expect("redis://[fe80::1%25eth0]", "fe80::1%eth0|6379|-|-|0");
}

static void test_unix(void **state)
{
    expect("unix:///run/leat.sock", "unix /run/leat.sock||-|-|0");
    expect("unix:///a%20b?db=3", "unix /a b||-|-|3");
    expect("unix://user:secret@/a", "unix /a||user|secret|0");
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "h",
        "http://h",
        "rediss://h",
        "redis:/h",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:",
        "redis://h:1x",
        "redis://h/x",
        "redis://h/1/2",
        "redis://h/-1",
        "redis://h/99999999999",
        "redis://user@h",
        "redis://u:%zz@h",
        "redis://u:%4@h",
        "redis://u:%00@h",
        "redis://[::1",
        "redis://[::1]x",
        "redis://h?timeout=1",
        "redis://h?db",
        "unix://",
        "unix:///",
        "unix://path",
        "unix://u:p@path",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct leat_url u;
        const char *error = NULL;
        if (leat_url_parse(wrong[i], &u, &error) != -EINVAL) fail_msg("%s was taken", wrong[i]);
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
