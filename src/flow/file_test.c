/* Flow files: what a right one becomes, the exact report of wrong ones, and that the examples and
 * the reference in docs/flows.md are up to date (the source tree is the first argument). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/file.h"

static const char *tree;

static const char *fake_getenv(const char *name)
{
    return strcmp(name, "FEED") == 0 ? "http://127.0.0.1:9/" : NULL;
}

/* The report of a file, or "ok". */
static void check_report(const char *text, const char *want)
{
    struct buf errors = {0};
    struct flow *f = NULL;
    int rc = flow_load_text("f", bytes_of(text), fake_getenv, &errors, &f);
    if (rc == 0) buf_printf(&errors, "ok");
    if (!bytes_eq(buf_bytes(&errors), bytes_of(want)))
        fail_msg("%s\n-- gave --\n%.*s-- not --\n%s", text, (int)errors.len, errors.data, want);
    assert_true((rc == 0) == (f != NULL));
    flow_free(f);
    buf_fini(&errors);
}

#define SOURCE "sources:\n  s: {type: sse, url: http://x, publish: [{topic: t}]}\n"
#define TOPIC  "topics: {t: {}}\n"

/* A source whose line 2 ends with `more`. */
#define SOURCE_WITH(more)                                                                          \
    "sources:\n  s: {type: sse, url: http://x, publish: [{topic: t}], " more "}\n" TOPIC
/* A file whose only view is on line 2. */
#define VIEW(text) "views:\n  v: {topic: t, " text "}\n" TOPIC
#define SERIES     "type: timeseries, total: ev"
#define BOARD      "type: scoreboard, key: k"

static void test_shape(void **state)
{
    check_report(SOURCE TOPIC, "ok");
    check_report(SOURCE "topics:\n  t:\n", "ok");
    check_report("", "f:1:1: nothing to run: no sources and no views\n");
    check_report("{}", "f:1:1: nothing to run: no sources and no views\n");
    check_report("topics: {t: }\n", "f:1:1: nothing to run: no sources and no views\n");
    check_report("hello", "f:1:1: a text where a map should be\n");
    check_report("- a\n", "f:1:1: a list where a map should be\n");
    check_report("source: {}\n" SOURCE TOPIC, "f:1:1: unknown key `source`; did you mean "
                                              "`sources`?\n");
    check_report("colour: {}\n" SOURCE TOPIC, "f:1:1: unknown key `colour`\n");
    check_report(SOURCE TOPIC "topics: {}\n", "f:4:1: `topics` stands here twice\n");
    check_report(SOURCE "topics: {t: {}, u: {}, u: {}}\n",
                 "f:3:24: topics: `u` stands here twice\n");
    check_report(SOURCE "topics: {t: {}, Ab: {}}\n",
                 "f:3:17: topics: `Ab` is no id for a topic: at most 64 characters of a-z, 0-9, _ "
                 "and -\n");
    check_report(SOURCE "topics: {t: {}, u: {channel: t}}\n",
                 "f:3:30: topics.u.channel: `t` is the channel of topics.t already\n");
}

static void test_syntax(void **state)
{
    check_report("sources: [1, 2\n", "f:2:1: flow sequence without a closing bracket\n");
    check_report("a: &x 1\nb: *x\n", "f:2:4: aliases (*name) are not read here\n");
    check_report("a: 1\n---\nb: 2\n", "f:2:1: a second document; a file holds one\n");
    check_report("? [a]\n: 1\n", "f:1:3: a key has to be a plain text\n");
    check_report("a: 1\nb: \xff\n", "f:2:4: not UTF-8\n");
    check_report("\"\xc3\xa4\": \xed\xa0\x80\n", "f:1:6: not UTF-8\n");
    check_report("a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
                 "f:1:35: nested too deeply\n");
    struct buf errors = {0};
    struct flow *f = NULL;
    assert_int_equal(flow_load_text("f", BYTES("a: \0b\n"), fake_getenv, &errors, &f), -1);
    assert_true(bytes_eq(buf_bytes(&errors), BYTES("f:1:4: a zero byte\n")));
    buf_fini(&errors);
}

static void test_sources(void **state)
{
    check_report(SOURCE_WITH("idle_timeout: 5s, dedupe: meta.id, simulate: wiki"), "ok");
    check_report(SOURCE_WITH("dedup: meta.id"),
                 "f:2:56: sources.s: unknown key `dedup`; did you mean `dedupe`?\n");
    check_report(SOURCE_WITH("idle_timeout: 10"),
                 "f:2:70: sources.s.idle_timeout: a duration needs a unit; did you mean `10s`?\n");
    check_report(SOURCE_WITH("idle_timeout: 10ms"),
                 "f:2:70: sources.s.idle_timeout: at least 100ms\n");
    check_report(SOURCE_WITH("dedupe_window: 0"), "f:2:71: sources.s.dedupe_window: at least 1\n");
    check_report(SOURCE_WITH("event_max: 1TB"),
                 "f:2:67: sources.s.event_max: a size is written like 1048576, 64KB or 1MB\n");
    check_report(SOURCE_WITH("dedupe: a..b"),
                 "f:2:64: sources.s.dedupe: a field is names joined by single dots, like "
                 "meta.domain\n");
}

static void test_publish(void **state)
{
    check_report("sources:\n  s: {type: lines, url: http://x}\n" TOPIC,
                 "f:2:3: sources.s: a source needs the key `publish`\n");
    check_report("sources:\n  s: {type: lines, url: http://x, publish: []}\n" TOPIC,
                 "f:2:44: sources.s.publish: empty, and so without effect\n");
    check_report("sources:\n  s: {type: lines, url: http://x, publish: t}\n" TOPIC,
                 "f:2:44: sources.s.publish: a text where a list should be\n");
    check_report("sources:\n  s:\n    type: lines\n    url: x\n    publish:\n"
                 "      - {topic: u}\n      - {topic: t, field: a, each: b}\n      - {field: a}\n"
                 "topics: {t: {}}\n",
                 "f:4:10: sources.s.url: an address begins with http:// or https://\n"
                 "f:6:17: sources.s.publish.topic: nothing is called `u` in `topics`\n"
                 "f:7:36: sources.s.publish.each: either `field` or `each`, not both\n"
                 "f:8:9: sources.s.publish: a publish rule needs the key `topic`\n");
}

static void test_views(void **state)
{
    check_report(VIEW(SERIES), "ok");
    check_report(VIEW(SERIES ", by: a.b, series: 'x:{value}', members: m"), "ok");
    check_report(VIEW(BOARD ", top: 3, serve: /x"), "ok");
    check_report(VIEW("type: timeserie"),
                 "f:2:23: views.v.type: unknown type `timeserie`; did you mean `timeseries`?\n");
    check_report(VIEW("type: graph"), "f:2:23: views.v.type: unknown type `graph`; it is one of "
                                      "timeseries, scoreboard\n");
    check_report(VIEW(SERIES ", top: 3"),
                 "f:2:46: views.v: `top` does not belong to a view of type timeseries\n");
    check_report(VIEW(SERIES ", interval: 1500ms"),
                 "f:2:56: views.v.interval: not whole seconds\n");
    check_report(VIEW(SERIES ", interval: 1m, history: 30s"),
                 "f:2:69: views.v.history: shorter than the interval\n");
    check_report(VIEW(SERIES ", by: a"),
                 "f:2:50: views.v.by: needs `series` and `members` beside it\n");
    check_report(VIEW(SERIES ", by: a, series: x, members: m"),
                 "f:2:61: views.v.series: holds no `{value}`, so all would be one\n");
    check_report(VIEW(SERIES ", by: a, series: '{value}:{value}', members: m"),
                 "f:2:62: views.v.series: holds `{value}` more than once\n");
    check_report(VIEW(SERIES ", members: m"), "f:2:55: views.v.members: only with `by`\n");
    check_report(VIEW(BOARD ", serve: x"),
                 "f:2:50: views.v.serve: a path is written like /usernames\n");
    check_report(VIEW(BOARD ", serve: /metrics"),
                 "f:2:50: views.v.serve: the gateway has `/metrics` for itself\n");
    check_report("views:\n  v: {topic: u, " BOARD "}\n" TOPIC,
                 "f:2:14: views.v.topic: nothing is called `u` in `topics`\n");
    check_report("views:\n  v: {topic: t, " BOARD "}\n  w: {topic: t, " BOARD "}\n" TOPIC,
                 "f:3:40: views.w.key: `k` is `key` of views.v already\n");
}

/* Everything wrong is in one report, in the order of the lines. */
static void test_all_at_once(void **state)
{
    check_report("views:\n"
                 "  v: {type: scoreboard, topic: usernmaes, key: k}\n"
                 "topics: {usernames: {chanel: x}}\n"
                 "sources:\n"
                 "  s:\n"
                 "    type: lines\n"
                 "    url: ${NOPE:?set NOPE}\n"
                 "    publish:\n"
                 "      - {topic: usernames, field: a, each: b}\n"
                 "      - {field: a}\n"
                 "      - 7\n",
                 "f:2:32: views.v.topic: nothing is called `usernmaes` in `topics`; did you mean "
                 "`usernames`?\n"
                 "f:3:22: topics.usernames: unknown key `chanel`; did you mean `channel`?\n"
                 "f:7:10: sources.s.url: NOPE is not set: set NOPE\n"
                 "f:9:44: sources.s.publish.each: either `field` or `each`, not both\n"
                 "f:10:9: sources.s.publish: a publish rule needs the key `topic`\n"
                 "f:11:9: sources.s.publish: a text where a map should be\n");
}

static void test_values(void **state)
{
    struct buf errors = {0};
    struct flow *f = NULL;
    assert_int_equal(
        flow_load_text("f",
                       BYTES("sources: {s: {type: lines, url: '${FEED}x', publish: [{topic: t}, "
                             "{topic: t, each: a.b}]}}\n"
                             "topics: {t: {channel: c}}\n"
                             "views:\n"
                             "  v: {type: timeseries, topic: t, interval: 1m, history: 1h, "
                             "total: ev, by: $x.y, series: 'ev:{value}', members: m}\n"
                             "  w: {type: scoreboard, topic: t, key: '123', serve: /a}\n"),
                       fake_getenv, &errors, &f),
        0);
    const struct flow_source *s = flow_source_at(f, 0);
    const struct flow_publish *rules = s->publish.items;
    assert_string_equal(s->item.id, "s");
    assert_int_equal(s->type, SOURCE_LINES);
    assert_string_equal(s->url, "http://127.0.0.1:9/x");
    assert_int_equal(s->idle_timeout_ms, 60000);
    assert_int_equal(s->dedupe_window, 100000);
    assert_null(s->dedupe);
    assert_int_equal(s->publish.count, 2);
    assert_null(rules[0].each);
    assert_string_equal(rules[1].each, "a.b");
    assert_int_equal(flow_view_count(f), 2);
    const struct flow_view *v = flow_view_at(f, 0);
    assert_string_equal(v->id, "v");
    assert_int_equal(v->type, FLOW_VIEW_TIMESERIES);
    assert_string_equal(v->channel, "c");
    assert_string_equal(v->by, "$x.y");
    assert_int_equal(v->interval_s, 60);
    assert_int_equal(v->history_s, 3600);
    struct buf key = {0};
    buf_putc(&key, 'x'); /* is replaced */
    flow_series_key(v, BYTES("a"), &key);
    assert_true(bytes_eq(buf_bytes(&key), BYTES("ev:a")));
    flow_series_key(v, BYTES(""), &key);
    assert_true(bytes_eq(buf_bytes(&key), BYTES("ev:")));
    buf_fini(&key);
    const struct flow_view *w = flow_view_at(f, 1);
    assert_int_equal(w->type, FLOW_VIEW_SCOREBOARD);
    assert_string_equal(w->key, "123");
    assert_int_equal(w->top, 10);
    assert_string_equal(w->serve, "/a");
    flow_free(f);
}

/* ---- The tree's own files ---- */

static const char *feed_getenv(const char *name)
{
    return strcmp(name, "LEAT_SOURCE_URL") == 0 ? "http://127.0.0.1:9/" : NULL;
}

static const char *no_getenv(const char *name)
{
    return NULL;
}

static int load_example(const char *name, interpolate_getenv getenv_fn, struct buf *errors)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/examples/%s", tree, name);
    struct flow *f = NULL;
    int rc = flow_load(path, getenv_fn, errors, &f);
    flow_free(f);
    return rc;
}

static void test_examples(void **state)
{
    struct buf errors = {0};
    assert_int_equal(load_example("wikipedia.yaml", no_getenv, &errors), 0);
    assert_int_equal(load_example("wikipedia.yaml", feed_getenv, &errors), 0);
    assert_int_equal(load_example("tweets.yaml", feed_getenv, &errors), 0);
    assert_int_equal(errors.len, 0);
    assert_int_equal(load_example("tweets.yaml", no_getenv, &errors), -1);
    buf_putc(&errors, '\0');
    assert_non_null(strstr(errors.data, "LEAT_SOURCE_URL=http://"));
    assert_int_equal(load_example("none.yaml", no_getenv, &errors), -1);
    buf_fini(&errors);
}

static void test_reference(void **state)
{
    char path[4096], text[65536];
    snprintf(path, sizeof(path), "%s/docs/flows.md", tree);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    struct buf reference = {0};
    flow_reference(&reference);
    buf_putc(&reference, '\0');
    if (strstr(text, reference.data) == NULL)
        fail_msg("docs/flows.md does not hold this reference:\n%s", reference.data);
    buf_fini(&reference);
}

int main(int argc, char **argv)
{
    tree = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),     cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_sources),   cmocka_unit_test(test_publish),
        cmocka_unit_test(test_views),     cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_examples),
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
