/* For tests of sources: a source and a peer of our own on one loop, and what came of it. `wait_for`
 * turns the loop. */
#ifndef LEAT_FLOW_SOURCE_FIXTURE_H
#define LEAT_FLOW_SOURCE_FIXTURE_H

#include "base/buf.h"
#include "flow/source.h"
#include "flow/source_testpeer.h"

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"

struct fixture {
    struct event_base *base;
    struct testpeer *peer;
    struct source *source;
    struct source_options options;
    char url[128];
    struct buf log; /* "id|name|data;" of each event */
    struct buf why; /* sentences of states, one per line */
    int events, states[4];
    int pause_at; /* pause from within the event of this number */
    bool count_only;
    bool in_order;
};

/* cmocka's; `options` is filled in for the peer, with short times. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_start(struct fixture *f);
void fixture_run_for(struct fixture *f, int ms);
/* One turn of the loop, of at most 5 ms. */
void fixture_turn(struct fixture *f);
int64_t fixture_now_ms(void);
const char *fixture_text(struct buf *b); /* zero-terminated */

void expect_log(struct fixture *f, const char *want);
/* The source's last error holds `part` and begins with a URL. */
void expect_error(struct fixture *f, const char *part);
bool request_has(struct fixture *f, int number, const char *part);

/* An answer: id 7 with the data `one`, then an `add` with two lines. */
void answer_two_events(struct testpeer_conn *c, int number);

#define wait_for(condition)                                                                        \
    do {                                                                                           \
        int64_t until_ = fixture_now_ms() + 10000;                                                 \
        while (!(condition)) {                                                                     \
            if (fixture_now_ms() > until_)                                                         \
                fail_msg("not in 10 s: %s; events: %s; states: %s", #condition,                    \
                         fixture_text(&f->log), fixture_text(&f->why));                            \
            fixture_turn(f);                                                                       \
        }                                                                                          \
    } while (0)

#endif
