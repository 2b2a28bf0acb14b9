/* Entries and other replies as text and JSON; commands; lines of input; remedies. */
#include "cli/tool/entry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/tool/ask.h"
#include "cli/tool/durable.h"
#include "cli/tool/input.h"
#include "cli/tool/remedy.h"
#include "cli/tool/reply_json.h"
#include "client/sync.h"
#include "resp/reply.h"

static struct resp_reader *reader;

static int setup(void **state)
{
    reader = resp_reader_new();
    return 0;
}

static int teardown(void **state)
{
    resp_reader_free(reader);
    return 0;
}

static const struct leat_reply *reply(struct bytes text)
{
    const struct resp_reply *r;
    resp_reader_feed(reader, text.data, text.len);
    assert_int_equal(resp_reader_next(reader, &r), 1);
    return (const struct leat_reply *)r;
}

static void expect(struct buf *out, const char *text)
{
    buf_putc(out, '\0');
    assert_string_equal(out->data, text);
    buf_fini(out);
}

#define ENTRY                                                                                      \
    BYTES("*2\r\n$15\r\n1795281361250-0\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$3\r\nb "                   \
          "c\r\n$2\r\n\xff\n\r\n")

static void test_text(void **state)
{
    struct buf out = {0};
    struct entry_style style = {0};
    assert_true(entry_put(&out, &style, BYTES("s"), reply(ENTRY)));
    expect(&out, "1795281361250-0 a=1 \"b c\"=\"\\xff\\n\"\n");
    style.with_stream = true;
    assert_true(entry_put(&out, &style, BYTES("my s"), reply(ENTRY)));
    expect(&out, "\"my s\" 1795281361250-0 a=1 \"b c\"=\"\\xff\\n\"\n");
}

static void test_json(void **state)
{
    struct buf out = {0};
    struct entry_style style = {.json = true};
    assert_true(entry_put(&out, &style, BYTES("s\xff"), reply(ENTRY)));
    expect(&out, "{\"stream\":\"s\xef\xbf\xbd\",\"id\":\"1795281361250-0\","
                 "\"time\":\"2026-11-21T17:16:01.250Z\","
                 "\"fields\":{\"a\":\"1\",\"b c\":\"\xef\xbf\xbd\\n\"}}\n");
    assert_true(entry_put(&out, &style, BYTES("s"), reply(BYTES("*2\r\n$3\r\n1-2\r\n*-1\r\n"))));
    expect(&out, "{\"stream\":\"s\",\"id\":\"1-2\",\"fields\":null}\n");
}

static void test_what_is_no_entry(void **state)
{
    struct buf out = {0};
    struct entry_style style = {0};
    assert_false(entry_put(&out, &style, BYTES("s"), reply(BYTES(":1\r\n"))));
    assert_false(entry_put(&out, &style, BYTES("s"), reply(BYTES("*1\r\n:1\r\n"))));
    assert_int_equal(out.len, 0);
    assert_true(entry_put(&out, &style, BYTES("s"), reply(BYTES("*2\r\n$3\r\n1-2\r\n*-1\r\n"))));
    expect(&out, "1-2 (deleted)\n");
}

static void test_replies(void **state)
{
    struct buf out = {0};
    struct json_out j;
    json_out_init(&j, &out);
    reply_put_json(&j,
                   reply(BYTES("*3\r\n%2\r\n+a\r\n:1\r\n$1\r\nb\r\n~1\r\n#t\r\n,1.5\r\n_\r\n")));
    expect(&out, "[{\"a\":1,\"b\":[true]},1.5,null]");
    struct buf deep = {0};
    for (int i = 0; i < 40; i++) buf_printf(&deep, "*1\r\n");
    buf_printf(&deep, ":1\r\n");
    json_out_init(&j, &out);
    reply_put_json(&j, reply(buf_bytes(&deep)));
    expect(&out, "[[[[[[[[[[[[[[[null]]]]]]]]]]]]]]]");
    buf_fini(&deep);
}

static void test_asking(void **state)
{
    static const char expected[] = "*6\r\n$4\r\nXADD\r\n$3\r\na\0b\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n"
                                   "$2\r\n-5\r\n$0\r\n\r\n";
    char got[200];
    int pair[2];
    struct ask a = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct leat_sync *to = leat_sync_open_fd(pair[0], 1000);
    ask_text(&a, "XADD");
    ask_bytes(&a, (struct bytes){"a\0b", 3});
    ask_words(&a, "MAXLEN ~");
    ask_int(&a, -5);
    ask_text(&a, "");
    assert_int_equal(ask_send(&a, to), 0);
    assert_int_equal(a.count, 0);
    assert_int_equal(read(pair[1], got, sizeof got), sizeof expected - 1);
    assert_memory_equal(got, expected, sizeof expected - 1);
    leat_sync_close(to);
    close(pair[1]);
}

static void test_durable_patterns(void **state)
{
    assert_true(durable_covers(BYTES("a news.* b"), BYTES("news.de")));
    assert_true(durable_covers(BYTES("a news.* b"), BYTES("b")));
    assert_true(durable_covers(BYTES("news.*"), BYTES("news.*")));
    assert_false(durable_covers(BYTES("a  news.* b"), BYTES("news")));
    assert_false(durable_covers(BYTES(""), BYTES("")));
}

struct seen {
    struct buf text;
    int pauses, until;
};

static bool note_line(void *arg, struct bytes line)
{
    struct seen *s = arg;
    buf_put(&s->text, line);
    buf_putc(&s->text, '|');
    return --s->until != 0;
}

static bool note_pause(void *arg)
{
    ((struct seen *)arg)->pauses++;
    return true;
}

static void read_all(struct seen *s, const char *text)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
    close(pipes[1]);
    assert_int_equal(input_lines(pipes[0], &(struct input){note_line, note_pause, s}), 0);
    close(pipes[0]);
}

static void test_lines(void **state)
{
    struct seen s = {.until = -1};
    read_all(&s, "one\r\n\ntwo\nlast");
    expect(&s.text, "one||two|last|");
    assert_int_equal(s.pauses, 2);
    s.until = 2;
    read_all(&s, "a\nb\nc\nd");
    expect(&s.text, "a|b|");
    assert_true(input_lines(-1, &(struct input){note_line, note_pause, &s}) == -EBADF);
}

static void test_remedies(void **state)
{
    assert_non_null(strstr(remedy_for_reply(BYTES("NOAUTH Authentication required.")), "--url"));
    assert_non_null(strstr(remedy_for_reply(BYTES("NOGROUP No such key 's'")), "leat groups"));
    assert_null(remedy_for_reply(BYTES("ERR syntax error")));
    assert_null(remedy_for_reply(BYTES("")));
    assert_non_null(
        strstr(remedy_for_connection(BYTES("connect: Connection refused")), "leat serve"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replies, setup, teardown),
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_durable_patterns),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_remedies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
