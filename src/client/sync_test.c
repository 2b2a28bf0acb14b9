#include "client/sync.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int peer;

static struct leat_sync *open_pair(int timeout_ms)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer = pair[1];
    return leat_sync_open_fd(pair[0], timeout_ms);
}

static void say(const char *text)
{
    assert_int_equal(write(peer, text, strlen(text)), strlen(text));
}

static void expect_asked(const char *text)
{
    char got[200] = {0};
    assert_int_equal(read(peer, got, sizeof got - 1), strlen(text));
    assert_string_equal(got, text);
}

static void test_command(void **state)
{
    struct leat_sync *s = open_pair(1000);
    say("*3\r\n$1\r\na\r\n:7\r\n*1\r\n+x\r\n$2\r\nhi\r\n-ERR no\r\n");
    struct leat_reply *first = leat_sync_commandf(s, "GET %s", "k");
    struct leat_reply *second = leat_sync_command(s, 1, (const char *[]){"PING"}, NULL);
    struct leat_reply *third = leat_sync_commandf(s, "PING");
    /* The caller's own: each outlives the next. */
    assert_int_equal(leat_reply_type(first), LEAT_ARRAY);
    assert_int_equal(leat_reply_count(first), 3);
    assert_string_equal(leat_reply_text(leat_reply_at(first, 0), NULL), "a");
    assert_int_equal(leat_reply_integer(leat_reply_at(first, 1)), 7);
    const struct leat_reply *inner = leat_reply_at(leat_reply_at(first, 2), 0);
    assert_string_equal(leat_reply_text(inner, NULL), "x");
    assert_null(leat_reply_at(first, 3));
    assert_string_equal(leat_reply_text(second, NULL), "hi");
    assert_int_equal(leat_reply_type(third), LEAT_ERROR);
    expect_asked("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
    leat_sync_reply_free(first);
    leat_sync_reply_free(second);
    leat_sync_reply_free(third);
    assert_null(leat_sync_error(s));
    leat_sync_close(s);
    close(peer);
}

static void test_silence(void **state)
{
    struct leat_sync *s = open_pair(50);
    say("$5\r\nhal");
    assert_null(leat_sync_commandf(s, "GET a"));
    assert_string_equal(leat_sync_error(s), "read: Connection timed out");
    say("f.\r\n");
    assert_null(leat_sync_commandf(s, "GET a"));
    leat_sync_close(s);
    close(peer);
}

static void test_closed(void **state)
{
    struct leat_sync *s = open_pair(0);
    shutdown(peer, SHUT_WR);
    assert_null(leat_sync_commandf(s, "GET a"));
    assert_string_equal(leat_sync_error(s), "the peer closed the connection");
    leat_sync_close(s);
    close(peer);
    s = open_pair(0);
    close(peer);
    assert_null(leat_sync_commandf(s, "GET a"));
    assert_string_equal(leat_sync_error(s), "write: Broken pipe");
    leat_sync_close(s);
}

static void test_try(void **state)
{
    struct leat_sync *s = open_pair(50);
    struct leat_reply *reply = NULL;
    assert_int_equal(leat_sync_try_receive(s, 0, &reply), 0);
    say("*4\r\n$3\r\nlag\r\n:7\r\n$4\r\nna");
    assert_int_equal(leat_sync_try_receive(s, 20, &reply), 0);
    assert_null(leat_sync_error(s));
    assert_null(reply);
    say("me\r\n$1\r\ng\r\n%1\r\n+a\r\n:3\r\n");
    assert_int_equal(leat_sync_try_receive(s, 20, &reply), 1);
    assert_int_equal(leat_reply_integer(leat_reply_get(reply, "lag")), 7);
    assert_string_equal(leat_reply_text(leat_reply_get(reply, "name"), NULL), "g");
    assert_null(leat_reply_get(reply, "g")); /* a value is no key */
    assert_null(leat_reply_get(leat_reply_at(reply, 0), "lag"));
    leat_sync_reply_free(reply);
    assert_int_equal(leat_sync_try_receive(s, 0, &reply), 1);
    assert_int_equal(leat_reply_integer(leat_reply_get(reply, "a")), 3);
    leat_sync_reply_free(reply);
    close(peer);
    assert_int_equal(leat_sync_try_receive(s, 20, &reply), -EPIPE);
    assert_string_equal(leat_sync_error(s), "the peer closed the connection");
    leat_sync_close(s);
}

static void test_garbage(void **state)
{
    struct leat_sync *s = open_pair(-1);
    say("?\r\n");
    assert_null(leat_sync_receive(s));
    assert_string_equal(leat_sync_error(s), "Protocol error: unknown type byte 0x3f");
    leat_sync_close(s);
    close(peer);
}

static void test_open(void **state)
{
    char error[200];
    assert_null(leat_sync_open("nonsense", 0, error, sizeof error));
    assert_string_equal(error, "a URL begins with redis:// or unix://");
    assert_null(leat_sync_open("unix:///nowhere/at/all", 0, error, sizeof error));
    assert_string_equal(error, "connect: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_closed),  cmocka_unit_test(test_try),
        cmocka_unit_test(test_garbage), cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
