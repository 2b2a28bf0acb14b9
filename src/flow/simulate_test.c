/* The simulator: its events are JSON of the feed's shape that say they are simulated, the same seed
 * gives the same ones, and rate and skew are about right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/json.h"
#include "flow/simulate.h"

static const int64_t now_ms = 1700000000123;

static struct json_value get(struct json_parser *p, const char *path)
{
    struct json_value v;
    json_get(p, bytes_of(path), &v);
    return v;
}

static void expect_part(struct json_parser *p, const char *path, const char *part)
{
    struct json_value v = get(p, path);
    assert_int_equal(v.type, JSON_STRING);
    assert_non_null(memmem(v.text.data, v.text.len, part, strlen(part)));
}

static void check_shape(struct json_parser *p)
{
    static const struct {
        const char *path;
        enum json_type type;
    } fields[] = {
        {"$schema", JSON_STRING},
        {"meta.uri", JSON_STRING},
        {"meta.request_id", JSON_STRING},
        {"meta.id", JSON_STRING},
        {"meta.dt", JSON_STRING},
        {"meta.domain", JSON_STRING},
        {"meta.stream", JSON_STRING},
        {"meta.topic", JSON_STRING},
        {"meta.partition", JSON_NUMBER},
        {"meta.offset", JSON_NUMBER},
        {"type", JSON_STRING},
        {"namespace", JSON_NUMBER},
        {"title", JSON_STRING},
        {"comment", JSON_STRING},
        {"timestamp", JSON_NUMBER},
        {"user", JSON_STRING},
        {"bot", JSON_BOOL},
        {"server_url", JSON_STRING},
        {"server_name", JSON_STRING},
        {"wiki", JSON_STRING},
        {"parsedcomment", JSON_STRING},
        {"server_script_path", JSON_STRING},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (get(p, fields[i].path).type != fields[i].type) fail_msg("%s", fields[i].path);
    }
    assert_true(bytes_eq(get(p, "simulated").text, BYTES("true")));
    expect_part(p, "title", "Simulated");
    expect_part(p, "user", "Simulated");
    assert_true(bytes_eq(get(p, "meta.domain").text, get(p, "server_name").text));
    bool edit = bytes_eq(get(p, "type").text, BYTES("edit"));
    assert_int_equal(get(p, "length.old").type, edit ? JSON_NUMBER : JSON_ABSENT);
    assert_int_equal(get(p, "revision.old").type, edit ? JSON_NUMBER : JSON_ABSENT);
}

static void test_events_have_the_shape_of_the_feed(void **state)
{
    struct json_parser *p = json_parser_new();
    struct simulator *s = simulator_new(1, 20);
    struct simulator_event e;
    const char *error;
    for (int i = 0; i < 2000; i++) {
        simulator_next(s, now_ms, &e);
        assert_null(memchr(e.data.data, '\n', e.data.len));
        assert_null(memchr(e.id.data, '\n', e.id.len));
        assert_int_equal(json_parse(p, e.id, &error), 0);
        if (json_parse(p, e.data, &error) != 0)
            fail_msg("%s: %.*s", error, (int)e.data.len, e.data.data);
        check_shape(p);
    }
    simulator_free(s);
    json_parser_free(p);
}

static void test_the_same_seed_gives_the_same_events(void **state)
{
    struct simulator *a = simulator_new(7, 20), *b = simulator_new(7, 20),
                     *c = simulator_new(8, 20);
    struct simulator_event x, y, z;
    int differing = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(simulator_gap_us(a), simulator_gap_us(b));
        simulator_next(a, now_ms, &x);
        simulator_next(b, now_ms, &y);
        simulator_next(c, now_ms, &z);
        assert_true(bytes_eq(x.data, y.data));
        assert_true(bytes_eq(x.id, y.id));
        differing += !bytes_eq(x.data, z.data);
    }
    assert_int_equal(differing, 100);
    simulator_free(a);
    simulator_free(b);
    simulator_free(c);
}

static void test_rate(void **state)
{
    enum { RATE = 200, EVENTS = 100000 };
    struct simulator *s = simulator_new(3, RATE);
    int64_t sum = 0;
    for (int i = 0; i < EVENTS; i++) {
        int64_t gap = simulator_gap_us(s);
        assert_true(gap >= 0);
        sum += gap;
    }
    double rate = EVENTS / (sum / 1e6);
    assert_in_range((int)rate, RATE / 2, RATE * 3 / 2);
    simulator_free(s);
}

static int count_domain(const char *domain, int events)
{
    struct json_parser *p = json_parser_new();
    struct simulator *s = simulator_new(5, 20);
    struct simulator_event e;
    const char *error;
    int n = 0;
    for (int i = 0; i < events; i++) {
        simulator_next(s, now_ms, &e);
        assert_int_equal(json_parse(p, e.data, &error), 0);
        n += bytes_eq(get(p, "meta.domain").text, bytes_of(domain));
    }
    simulator_free(s);
    json_parser_free(p);
    return n;
}

static void test_domains_are_skewed(void **state)
{
    size_t domains = 0;
    while (simulator_domain(domains) != NULL) domains++;
    assert_in_range(domains, 50, 70);
    int wikidata = count_domain("www.wikidata.org", 5000);
    int english = count_domain("en.wikipedia.org", 5000);
    int last = count_domain(simulator_domain(domains - 1), 5000);
    assert_in_range(wikidata, 1500, 2200);
    assert_in_range(english, 400, 800);
    assert_in_range(last, 0, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_have_the_shape_of_the_feed),
        cmocka_unit_test(test_the_same_seed_gives_the_same_events),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_domains_are_skewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
