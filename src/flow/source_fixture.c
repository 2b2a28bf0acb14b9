/* For tests of sources: the fixture. */
#include "flow/source_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void on_event(void *arg, struct bytes id, struct bytes name, struct bytes data)
{
    struct fixture *f = arg;
    f->events++;
    if (f->events == f->pause_at) source_pause(f->source);
    if (f->count_only) {
        f->in_order = f->in_order && atoi(data.data) == f->events;
        return;
    }
    buf_printf(&f->log, "%.*s|%.*s|%.*s;", (int)id.len, id.data, (int)name.len, name.data,
               (int)data.len, data.data);
}

static void on_state(void *arg, enum source_state state, const char *why)
{
    struct fixture *f = arg;
    f->states[state]++;
    if (why != NULL) buf_printf(&f->why, "%s\n", why);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->base = event_base_new();
    f->peer = testpeer_new(f->base);
    f->in_order = true;
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/stream", testpeer_port(f->peer));
    f->options = (struct source_options){
        .url = f->url,
        .backoff_min_ms = 20,
        .backoff_max_ms = 100,
        .on_event = on_event,
        .on_state = on_state,
        .arg = f,
    };
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    source_free(f->source);
    testpeer_free(f->peer);
    event_base_free(f->base);
    buf_fini(&f->log);
    buf_fini(&f->why);
    free(f);
    return 0;
}

void fixture_start(struct fixture *f)
{
    f->source = source_new(f->base, &f->options);
}

const char *fixture_text(struct buf *b)
{
    buf_reserve(b, 1)[0] = '\0';
    return b->data;
}

int64_t fixture_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void fixture_turn(struct fixture *f)
{
    struct timeval tv = {0, 5000};
    event_base_loopexit(f->base, &tv);
    event_base_loop(f->base, EVLOOP_ONCE);
}

void fixture_run_for(struct fixture *f, int ms)
{
    for (int64_t end = fixture_now_ms() + ms; fixture_now_ms() < end;) fixture_turn(f);
}

void expect_log(struct fixture *f, const char *want)
{
    assert_string_equal(fixture_text(&f->log), want);
}

void expect_error(struct fixture *f, const char *part)
{
    struct source_status status;
    source_status(f->source, &status);
    assert_non_null(status.last_error);
    if (strstr(status.last_error, part) == NULL) fail_msg("%s", status.last_error);
    if (strstr(status.last_error, "http://") != status.last_error)
        fail_msg("%s", status.last_error);
    assert_true(status.errors > 0);
}

bool request_has(struct fixture *f, int number, const char *part)
{
    return strstr(testpeer_request(f->peer, number), part) != NULL;
}

void answer_two_events(struct testpeer_conn *c, int number)
{
    testpeer_say(c, SSE_HEAD ":ok\n\nid: 7\ndata: one\n\nevent: add\ndata: two\ndata: lines\n\n");
}
