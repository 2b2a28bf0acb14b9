/* Variables in values: every form, and every way to get one wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/interpolate.h"

static const char *fake_getenv(const char *name)
{
    if (strcmp(name, "HOST") == 0) return "example.org";
    if (strcmp(name, "EMPTY") == 0) return "";
    if (strcmp(name, "TRAP") == 0) return "${HOST} $$";
    return NULL;
}

static void check(const char *text, int want_rc, const char *want)
{
    struct buf out = {0}, why = {0};
    int rc = interpolate(bytes_of(text), fake_getenv, &out, &why);
    const struct buf *said = rc == 0 ? &out : &why;
    if (rc != want_rc || !bytes_eq(buf_bytes(said), bytes_of(want)))
        fail_msg("%s: %d %.*s", text, rc, (int)said->len, said->data);
    buf_fini(&out);
    buf_fini(&why);
}

static void test_values(void **state)
{
    check("", 0, "");
    check("plain", 0, "plain");
    check("http://${HOST}/x", 0, "http://example.org/x");
    check("${HOST}${HOST}", 0, "example.orgexample.org");
    check("${HOST:-other}", 0, "example.org");
    check("${HOST:?other}", 0, "example.org");
    check("${NONE:-other}", 0, "other");
    check("${NONE:-}", 0, "");
    check("${NONE:-http://a:1/}", 0, "http://a:1/");
    check("${EMPTY}", 0, "");
    check("${EMPTY:-other}", 0, "other");
    check("${NONE:-${EMPTY:-${HOST}}}!", 0, "example.org!");
    check("${TRAP}", 0, "${HOST} $$");
    check("$$", 0, "$");
    check("$${HOST}", 0, "${HOST}");
    check("$$${HOST}", 0, "$example.org");
    check("${NONE:-$${x}y", 0, "${xy");
    check("$schema", 0, "$schema");
    check("{value}", 0, "{value}");
    check("a$", 0, "a$");
}

static void test_errors(void **state)
{
    check("${NONE}", -1,
          "NONE is not set in the environment and has no default; set it "
          "(NONE=... leat run FILE) or write ${NONE:-default}");
    check("${NONE:?say where it is}", -1, "NONE is not set: say where it is");
    check("${EMPTY:?say}", -1, "EMPTY is not set: say");
    check("a ${HOST", -1, "a `${` is not closed");
    check("${", -1, "a `${` is not closed");
    check("${A:-${B}", -1, "a `${` is not closed");
#define FORMS " is none of ${NAME}, ${NAME:-default} and ${NAME:?message}; write $$ for a plain $"
    check("${}", -1, "${}" FORMS);
    check("${1A}", -1, "${1A}" FORMS);
    check("${A B}", -1, "${A B}" FORMS);
    check("${A:}", -1, "${A:}" FORMS);
    check("${A:=x}", -1, "${A:=x}" FORMS);
    check("${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}", -1,
          "variables nested too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
