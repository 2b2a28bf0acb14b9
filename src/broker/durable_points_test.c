/* Checkpoints against the naive rule: every entry with its bytes is kept, and the position is
 * looked for among all of them. */
#include "broker/durable_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"

static void test_what_was_sent_long_ago_counts_as_read(void **state)
{
    struct points p = {0};
    points_restart(&p, (struct stream_id){1, 0}, 1);
    points_add(&p, 1000, (struct stream_id){2, 0}, 2);
    points_add(&p, 2000, (struct stream_id){3, 0}, 3);
    struct points_view v = {2000, 2000, 256, 30000, 50000};
    assert_int_equal(points_position(&p, &v), 1); /* a thousand bytes ago is enough */
    v.window_bytes = 1 << 20;
    assert_int_equal(points_position(&p, &v), 0);
    points_note_sent(&p, 1999, 50000);
    v.now_ms = 80000;
    assert_int_equal(points_position(&p, &v), 1);
    points_note_sent(&p, 2000, 80000);
    v.now_ms = 109999;
    assert_int_equal(points_position(&p, &v), 1);
    v.now_ms = 110000;
    assert_int_equal(points_position(&p, &v), 2);
    v.window_ms = -1; /* after a reset time tells nothing */
    assert_int_equal(points_position(&p, &v), 0);
    v.window_bytes = 0;
    assert_int_equal(points_position(&p, &v), 2);
    v.acknowledged = 1999; /* whatever was sent: acknowledged it must be */
    assert_int_equal(points_position(&p, &v), 1);
    points_fini(&p);
}

static void test_what_is_given_back_has_no_checkpoint(void **state)
{
    struct points p = {0};
    points_restart(&p, (struct stream_id){1, 0}, 1);
    for (uint64_t i = 1; i < 10; i++) points_add(&p, i * 100, (struct stream_id){1, i}, 1 + i);
    points_cut(&p, 550);
    assert_int_equal(points_newest(&p)->end, 500);
    assert_int_equal(points_before(&p, 399)->id.seq, 3);
    assert_int_equal(points_before(&p, 400)->id.seq, 4);
    points_cut(&p, 0);
    assert_int_equal(p.count, 1);
    assert_int_equal(points_newest(&p)->end, 0);
    points_fini(&p);
}

enum { ENTRIES = 20000 };
static struct point all[ENTRIES];

/* Whatever is thinned out, the position is never later than what surely arrived, and hardly
 * earlier. */
static void test_positions_are_safe(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    struct points p = {0};
    size_t n = 1;
    uint64_t end = 0, sent = 0;
    int64_t now_ms = 1;
    all[0] = (struct point){0};
    points_restart(&p, (struct stream_id){0, 0}, 0);
    while (n < ENTRIES) {
        end += 1 + rng_below(&rng, 20000);
        all[n] = (struct point){end, {n, 0}, n, 0};
        points_add(&p, end, all[n].id, n);
        n++;
        if (rng_below(&rng, 3) == 0) sent += rng_below(&rng, end - sent + 1);
        now_ms += (int64_t)rng_below(&rng, 400);
        points_note_sent(&p, sent, now_ms);
        for (size_t i = n; i-- > 0 && all[i].sent_ms == 0;)
            if (all[i].end <= sent) all[i].sent_ms = now_ms;
        struct points_view v = {.sent = sent,
                                .acknowledged = sent - rng_below(&rng, sent / 10 + 1),
                                .window_bytes = 1u << (10 + rng_below(&rng, 12)),
                                .window_ms = rng_below(&rng, 2) ? 3000 : -1,
                                .now_ms = now_ms};
        const struct point *got = &p.at[points_position(&p, &v)];
        size_t best = n - 1;
        while (best > 0) {
            const struct point *b = &all[best];
            bool old = v.window_ms >= 0 && b->sent_ms && now_ms - b->sent_ms >= v.window_ms;
            if (b->end <= v.acknowledged && (b->end + v.window_bytes <= v.acknowledged || old))
                break;
            best--;
        }
        assert_true(got->id.ms <= best);
        assert_true(p.count <= POINTS_MAX);
        /* What no rule can ask for any more may go. */
        struct points_view strictest = {sent, sent - sent / 10, 1 << 22, -1, now_ms};
        if (rng_below(&rng, 50) == 0) points_forget(&p, points_position(&p, &strictest));
    }
    points_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sent_long_ago_counts_as_read),
        cmocka_unit_test(test_what_is_given_back_has_no_checkpoint),
        cmocka_unit_test(test_positions_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
