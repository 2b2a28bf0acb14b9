/* Recordings: what is cut out of a file, byte for byte or converted, when it is due, and where a
 * reader resumes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <lzma.h>

#include "cli/replay_file.h"
#include "cli/replay_recording.h"
#include "cli/replay_time.h"

struct fixture {
    char path[64];
    struct recording r;
    struct buf error;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/leat-recording-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    recording_fini(&f->r);
    buf_fini(&f->error);
    free(f);
    return 0;
}

static void write_file(struct fixture *f, const void *data, size_t n)
{
    FILE *file = fopen(f->path, "wb");
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

static int load(struct fixture *f, const char *text, enum feed_format format)
{
    write_file(f, text, strlen(text));
    recording_fini(&f->r);
    return recording_load(f->path, format, &f->r, &f->error);
}

static void expect_bytes(struct bytes got, const char *want)
{
    if (bytes_eq(got, bytes_of(want))) return;
    fail_msg("got [%.*s], want [%s]", (int)got.len, got.data, want);
}

static void expect_event(struct fixture *f, size_t index, const char *want, const char *id)
{
    expect_bytes(recording_bytes(&f->r, index), want);
    expect_bytes(recording_id(&f->r, index), id);
}

#define SSE_TEXT                                                                                   \
    ":ok\n\nevent: message\nid: a\ndata: {\"n\":\ndata: 1}\n\n"                                    \
    ": between\r\nid: b\r\ndata: 2\r\n\r\ndata: 3\n\n\nid: c\ndata: cut"

static void test_sse_as_sse_is_kept_byte_for_byte(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, SSE_TEXT, FEED_SSE), 0);
    assert_true(f->r.was_sse);
    assert_int_equal(f->r.count, 3);
    expect_event(f, 0, ":ok\n\nevent: message\nid: a\ndata: {\"n\":\ndata: 1}\n\n", "a");
    expect_event(f, 1, ": between\r\nid: b\r\ndata: 2\r\n\r\n", "b");
    expect_event(f, 2, "data: 3\n\n", "b");
    expect_bytes(recording_tail(&f->r), "\nid: c\ndata: cut");
    expect_bytes(buf_bytes(&f->r.wire), SSE_TEXT);
}

static void test_sse_as_lines(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, SSE_TEXT, FEED_NDJSON), 0);
    assert_int_equal(f->r.count, 3);
    expect_bytes(buf_bytes(&f->r.wire), "{\"n\": 1}\n2\n3\n");
    expect_bytes(recording_tail(&f->r), "");
}

static void test_lines(void **state)
{
    struct fixture *f = *state;
    const char *text = "{\"a\":1}\r\n\r\n{\"a\":2}\n{\"a\":3}";
    assert_int_equal(load(f, text, FEED_NDJSON), 0);
    assert_false(f->r.was_sse);
    expect_bytes(buf_bytes(&f->r.wire), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    assert_int_equal(load(f, text, FEED_SSE), 0);
    assert_int_equal(f->r.count, 3);
    expect_event(f, 0, "id: 1\ndata: {\"a\":1}\n\n", "1");
    expect_event(f, 2, "id: 3\ndata: {\"a\":3}\n\n", "3");
}

static void test_resuming(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        load(f, "id: a\ndata: 0\n\ndata: 1\n\nid: b\ndata: 2\n\ndata: 3\n\nid: a\ndata: 4\n\n",
             FEED_SSE),
        0);
    assert_int_equal(recording_find(&f->r, BYTES("b")), 2); /* the first of those that share it */
    assert_int_equal(recording_find(&f->r, BYTES("a")), 0);
    assert_int_equal(recording_find(&f->r, BYTES("unknown")), 0);
    assert_int_equal(recording_find(&f->r, BYTES("")), 0);
}

static void test_due_times_never_run_backwards(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f,
                          "{\"timestamp_ms\":\"1000\"}\n{\"timestamp_ms\":\"1500\"}\n"
                          "{\"timestamp_ms\":\"900\"}\n{\"none\":1}\n{\"timestamp_ms\":\"1600\"}\n"
                          "{\"timestamp_ms\":\"9999999999\"}\n",
                          FEED_NDJSON),
                     0);
    const int64_t want[] = {0, 500, 500, 500, 600, 60600};
    for (size_t i = 0; i < 6; i++) assert_int_equal(f->r.events[i].due_ms, want[i]);
    assert_int_equal(load(f, "{}\n{}\n{}\n", FEED_NDJSON), 0);
    assert_int_equal(f->r.events[2].due_ms, 100);
}

static void test_times(void **state)
{
    static const struct {
        const char *id, *data;
        int64_t time;
    } cases[] = {
        {"[{\"topic\":\"x\",\"offset\":-1},{\"timestamp\":1630070417001}]", "{}", 1630070417001},
        {"[{\"timestamp\":5},{\"timestamp\":7},{\"timestamp\":6}]", "{\"timestamp_ms\":9}", 7},
        {"17", "{\"timestamp_ms\":\"1439761273410\"}", 1439761273410},
        {"[", "{\"meta\":{\"dt\":\"2023-01-25T17:17:36Z\"},\"timestamp\":1}", 1674667056000},
        {"", "{\"meta\":{\"dt\":\"2023-01-25T17:17:36.5Z\"}}", 1674667056500},
        {"", "{\"meta\":{\"dt\":\"yesterday\"},\"timestamp\":1674667056}", 1674667056000},
        {"", "{\"timestamp\":1674667056123}", 1674667056123},
        {"", "{\"timestamp\":-4}", -1},
        {"", "{\"timestamp\":true}", -1},
        {"", "not JSON", -1},
        {"[]", "[]", -1},
    };
    struct json_parser *p = json_parser_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t t = replay_time(p, bytes_of(cases[i].id), bytes_of(cases[i].data));
        if (t != cases[i].time) fail_msg("case %zu: %lld", i, (long long)t);
    }
    json_parser_free(p);
}

static void compress_file(struct fixture *f, const char *text, size_t cut)
{
    uint8_t out[4096];
    size_t n = 0;
    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)text,
                                             strlen(text), out, &n, sizeof out),
                     LZMA_OK);
    write_file(f, out, n - cut);
}

static void test_xz(void **state)
{
    struct fixture *f = *state;
    compress_file(f, "data: 1\n\n", 0);
    assert_int_equal(recording_load(f->path, FEED_SSE, &f->r, &f->error), 0);
    expect_event(f, 0, "data: 1\n\n", "");
    recording_fini(&f->r);
    compress_file(f, "data: 1\n\n", 5);
    assert_int_equal(recording_load(f->path, FEED_SSE, &f->r, &f->error), -1);
    assert_non_null(memmem(f->error.data, f->error.len, "damaged", 7));
}

static void expect_refusal(struct fixture *f, const char *text, const char *part)
{
    f->error.len = 0;
    assert_int_equal(load(f, text, FEED_SSE), -1);
    assert_non_null(memmem(f->error.data, f->error.len, part, strlen(part)));
}

static void test_what_is_no_recording(void **state)
{
    struct fixture *f = *state;
    expect_refusal(f, "", "holds no events");
    expect_refusal(f, "data: cut", "holds no events");
    expect_refusal(f, "\x1f\x8b\x08", "zcat");
    unlink(f->path);
    assert_int_equal(recording_load(f->path, FEED_SSE, &f->r, &f->error), -1);
    assert_non_null(memmem(f->error.data, f->error.len, "cannot be read", 14));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_sse_as_sse_is_kept_byte_for_byte),
        T(test_sse_as_lines),
        T(test_lines),
        T(test_resuming),
        T(test_due_times_never_run_backwards),
        cmocka_unit_test(test_times),
        T(test_xz),
        T(test_what_is_no_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
