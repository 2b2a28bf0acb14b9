/* Settings: every default can be written as it is shown, what is out of range is refused with the
 * reason, a file and the environment say where they are wrong, copies share nothing. */
#include "broker/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static char *text_of(struct buf *b)
{
    buf_putc(b, '\0');
    b->len--;
    return b->data;
}

/* NULL when it was taken, else why not; valid until the next call. */
static const char *try(struct settings *s, const char *name, const char *value)
{
    static char why[256];
    struct buf error = {0};
    const struct setting *setting = settings_find(bytes_of(name));
    assert_non_null(setting);
    int result = settings_set(s, setting, bytes_of(value), &error);
    snprintf(why, sizeof why, "%.*s", (int)error.len, error.data ? error.data : "");
    buf_fini(&error);
    return result < 0 ? why : NULL;
}

static void assert_get(const struct settings *s, const char *name, const char *expected)
{
    struct buf out = {0};
    settings_get(s, settings_find(bytes_of(name)), &out);
    assert_string_equal(text_of(&out), expected);
    buf_fini(&out);
}

/* What CONFIG GET shows, CONFIG SET takes, and it means the same. */
static void test_shown_values_are_taken(void **state)
{
    struct settings s, again;
    settings_init(&s);
    settings_init(&again);
    for (size_t i = 0; i < settings_count(); i++) {
        const struct setting *setting = settings_at(i);
        struct buf shown = {0}, error = {0}, then = {0};
        settings_get(&s, setting, &shown);
        assert_int_equal(settings_set(&again, setting, buf_bytes(&shown), &error), 0);
        settings_get(&again, setting, &then);
        assert_true(bytes_eq(buf_bytes(&shown), buf_bytes(&then)));
        assert_true(setting->help != NULL && setting->help[0] != '\0');
        buf_fini(&shown);
        buf_fini(&error);
        buf_fini(&then);
    }
    settings_fini(&s);
    settings_fini(&again);
}

static void test_numbers(void **state)
{
    struct settings s;
    settings_init(&s);
    assert_null(try(&s, "maxmemory", "1kb"));
    assert_get(&s, "maxmemory", "1024");
    assert_null(try(&s, "maxmemory", "2k"));
    assert_get(&s, "maxmemory", "2000");
    assert_null(try(&s, "maxmemory", "3GB"));
    assert_get(&s, "maxmemory", "3221225472");
    assert_string_equal(try(&s, "maxmemory", "1x"), "argument must be a memory value");
    assert_string_equal(try(&s, "maxmemory", "99999999999999gb"),
                        "argument must be a memory value");
    assert_string_equal(try(&s, "port", "x"), "argument couldn't be parsed into an integer");
    assert_string_equal(try(&s, "port", "65536"), "argument must be between 0 and 65535 inclusive");
    assert_non_null(try(&s, "timeout", "-1"));
    assert_get(&s, "maxmemory", "3221225472"); /* a refused value leaves the old one */
    settings_fini(&s);
}

static void test_choices(void **state)
{
    struct settings s;
    settings_init(&s);
    assert_null(try(&s, "SYNC", "EverySec"));
    assert_get(&s, "sync", "everysec");
    assert_get(&s, "appendfsync", "everysec"); /* the same under Redis's name */
    assert_null(try(&s, "appendfsync", "no"));
    assert_get(&s, "sync", "no");
    assert_string_equal(try(&s, "sync", "often"),
                        "argument(s) must be one of the following: always, everysec, no");
    settings_fini(&s);
}

static void test_fixed(void **state)
{
    struct settings s;
    settings_init(&s);
    assert_null(try(&s, "maxmemory-policy", "noeviction"));
    assert_non_null(try(&s, "maxmemory-policy", "allkeys-lru"));
    assert_get(&s, "maxmemory-policy", "noeviction");
    settings_fini(&s);
}

static void test_output_limits(void **state)
{
    struct settings s;
    settings_init(&s);
    assert_null(try(&s, "client-output-buffer-limit", "pubsub 1mb 2mb 30"));
    assert_get(&s, "client-output-buffer-limit",
               "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2097152 30");
    assert_null(try(&s, "client-output-buffer-limit", "normal 1 2 3 replica 4 5 6"));
    assert_get(&s, "client-output-buffer-limit",
               "normal 1 2 3 slave 4 5 6 pubsub 1048576 2097152 30");
    assert_non_null(try(&s, "client-output-buffer-limit", "pubsub 1 2"));
    assert_non_null(try(&s, "client-output-buffer-limit", "pubsub 1 2 -3"));
    assert_non_null(try(&s, "client-output-buffer-limit", "normal 9 9 9 other 1 2 3"));
    assert_get(&s, "client-output-buffer-limit",
               "normal 1 2 3 slave 4 5 6 pubsub 1048576 2097152 30");
    settings_fini(&s);
}

static void test_copies_share_nothing(void **state)
{
    struct settings s, copy;
    settings_init(&s);
    try(&s, "requirepass", "one");
    settings_copy(&copy, &s);
    try(&s, "requirepass", "two");
    try(&s, "dir", "elsewhere");
    assert_get(&copy, "requirepass", "one");
    settings_fini(&s);
    assert_get(&copy, "requirepass", "one");
    settings_fini(&copy);
}

static int load(const char *text, struct settings *s, struct buf *errors)
{
    char path[] = "/tmp/leat-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int result = settings_load_file(s, path, errors);
    unlink(path);
    return result;
}

static void test_file(void **state)
{
    struct settings s;
    struct buf errors = {0};
    settings_init(&s);
    assert_int_equal(load("# a comment\n\n  port 7001  \nrequirepass \"a b\\x41\"\n"
                          "client-output-buffer-limit pubsub 1 2 3\nsync no",
                          &s, &errors),
                     0);
    assert_get(&s, "port", "7001");
    assert_get(&s, "requirepass", "a bA");
    assert_int_equal(s.output_limits[2].soft, 2);
    assert_get(&s, "sync", "no");
    assert_int_equal(errors.len, 0);
    settings_fini(&s);
}

static void test_file_with_errors(void **state)
{
    struct settings s;
    struct buf errors = {0};
    settings_init(&s);
    assert_true(load("port 70000\nmaxmemroy 5\nrequirepass \"open\nport 7002\n", &s, &errors) < 0);
    const char *text = text_of(&errors);
    assert_non_null(strstr(text, ":1: port: argument must be between 0 and 65535 inclusive\n"));
    assert_non_null(strstr(text, ":2: unknown setting 'maxmemroy'; did you mean 'maxmemory'?"));
    assert_non_null(strstr(text, ":3: unbalanced quotes\n"));
    assert_get(&s, "port", "7002"); /* the rest is read all the same */
    buf_fini(&errors);
    assert_true(settings_load_file(&s, "/nonexistent/leat.conf", &errors) < 0);
    assert_non_null(strstr(text_of(&errors), "/nonexistent/leat.conf: cannot be read"));
    buf_fini(&errors);
    settings_fini(&s);
}

static void test_environment(void **state)
{
    struct settings s;
    struct buf errors = {0};
    settings_init(&s);
    setenv("LEAT_PORT", "7003", 1);
    setenv("LEAT_REQUIREPASS", "secret", 1);
    assert_int_equal(settings_load_environment(&s, &errors), 0);
    assert_get(&s, "port", "7003");
    assert_get(&s, "requirepass", "secret");
    setenv("LEAT_PORT", "many", 1);
    assert_true(settings_load_environment(&s, &errors) < 0);
    assert_non_null(strstr(text_of(&errors), "LEAT_PORT"));
    assert_null(strstr(errors.data, "secret"));
    unsetenv("LEAT_PORT");
    unsetenv("LEAT_REQUIREPASS");
    buf_fini(&errors);
    settings_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown_values_are_taken),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_output_limits),
        cmocka_unit_test(test_copies_share_nothing),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_with_errors),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
