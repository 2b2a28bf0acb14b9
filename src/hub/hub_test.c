/* The hub against a naive one, a list of (subscriber, channel or pattern): who gets what, in which
 * protocol version, under seeded random joining, leaving and publishing. */
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

enum { LISTENERS = 12, TEXTS = 10, ENTRIES_MAX = 2 * LISTENERS * TEXTS };

struct listener {
    struct outbox out;
    struct subscriber subscriber;
    struct buf expected; /* bytes, in the naive hub's order of deliveries */
};

struct entry {
    int listener;
    bool is_pattern;
    int text;
};

static const char *const channels[TEXTS] = {"",   "a",     "b",    "ab",     "news",
                                            "n*", "news1", "[ab]", "sports", "a\\*"};
static const char *const patterns[TEXTS] = {"",    "*",   "a*",   "[ab]", "n?ws",
                                            "new", "*s*", "a\\*", "[^a]", "news1"};

static struct rng rng;
static struct hub *hub;
static struct listener listeners[LISTENERS];
static struct entry entries[ENTRIES_MAX];
static size_t entry_count;

static void ignore(void *owner) {}

static struct bytes text_of(bool is_pattern, int text)
{
    return bytes_of(is_pattern ? patterns[text] : channels[text]);
}

static ssize_t find_entry(int listener, bool is_pattern, int text)
{
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].listener == listener && entries[i].is_pattern == is_pattern &&
            entries[i].text == text)
            return (ssize_t)i;
    return -1;
}

static void remove_entry(size_t i)
{
    entries[i] = entries[--entry_count];
}

static void join(int listener, bool is_pattern, int text)
{
    struct subscriber *s = &listeners[listener].subscriber;
    struct bytes t = text_of(is_pattern, text);
    bool is_new = is_pattern ? hub_psubscribe(hub, s, t) : hub_subscribe(hub, s, t);
    assert_int_equal(is_new, find_entry(listener, is_pattern, text) < 0);
    if (is_new) entries[entry_count++] = (struct entry){listener, is_pattern, text};
}

static void leave(int listener, bool is_pattern, int text)
{
    struct subscriber *s = &listeners[listener].subscriber;
    struct bytes t = text_of(is_pattern, text);
    bool was = is_pattern ? hub_punsubscribe(hub, s, t) : hub_unsubscribe(hub, s, t);
    ssize_t found = find_entry(listener, is_pattern, text);
    assert_int_equal(was, found >= 0);
    if (found >= 0) remove_entry((size_t)found);
}

static void leave_all(int listener)
{
    hub_leave(hub, &listeners[listener].subscriber);
    for (size_t i = entry_count; i-- > 0;)
        if (entries[i].listener == listener) remove_entry(i);
    assert_int_equal(subscriber_count(&listeners[listener].subscriber), 0);
}

static void expect(struct listener *l, const char *pattern, struct bytes channel,
                   struct bytes message)
{
    struct buf *b = &l->expected;
    char kind = l->subscriber.proto == 3 ? '>' : '*';
    if (pattern != NULL)
        buf_printf(b, "%c4\r\n$8\r\npmessage\r\n$%zu\r\n%s\r\n", kind, strlen(pattern), pattern);
    else buf_printf(b, "%c3\r\n$7\r\nmessage\r\n", kind);
    buf_printf(b, "$%zu\r\n%s\r\n$%zu\r\n", channel.len, channel.data, message.len);
    buf_put(b, message);
    buf_printf(b, "\r\n");
}

/* One listener's messages come from its channel first, then from patterns; of several patterns that
 * match, the order is the hub's own: so at most one pattern per message is checked byte by byte. */
static int64_t expect_all(struct bytes channel, struct bytes message, bool *ret_exact)
{
    int64_t n = 0;
    int matches[LISTENERS] = {0};
    *ret_exact = true;
    for (size_t i = 0; i < entry_count; i++) {
        struct entry *e = &entries[i];
        if (e->is_pattern || !bytes_eq(text_of(false, e->text), channel)) continue;
        expect(&listeners[e->listener], NULL, channel, message);
        n++;
    }
    for (size_t i = 0; i < entry_count; i++) {
        struct entry *e = &entries[i];
        if (!e->is_pattern || !bytes_match_glob(text_of(true, e->text), channel, false)) continue;
        expect(&listeners[e->listener], patterns[e->text], channel, message);
        if (++matches[e->listener] > 1) *ret_exact = false;
        n++;
    }
    return n;
}

static int compare_chars(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static void check_listener(struct listener *l, bool exact)
{
    struct buf *got = &l->out.bytes;
    assert_int_equal(got->len, l->expected.len);
    if (!exact && got->len > 0) { /* the same messages in another order */
        qsort(got->data, got->len, 1, compare_chars);
        qsort(l->expected.data, l->expected.len, 1, compare_chars);
    }
    if (got->len > 0) assert_memory_equal(got->data, l->expected.data, got->len);
    outbox_sent(&l->out, got->len);
    l->expected.len = 0;
}

static void publish(int text)
{
    char room[64];
    bool exact;
    struct bytes channel = text_of(false, text);
    struct bytes message = {room, (size_t)sprintf(room, "m%u", (unsigned)rng_below(&rng, 1000))};
    int64_t expected = expect_all(channel, message, &exact);
    assert_int_equal(hub_publish(hub, channel, message, 0), expected);
    for (int i = 0; i < LISTENERS; i++) check_listener(&listeners[i], exact);
}

static void check_counts(void)
{
    bool channel_seen[TEXTS] = {0}, pattern_seen[TEXTS] = {0};
    size_t active[2] = {0};
    for (size_t i = 0; i < entry_count; i++) {
        bool *seen = entries[i].is_pattern ? pattern_seen : channel_seen;
        active[entries[i].is_pattern] += !seen[entries[i].text];
        seen[entries[i].text] = true;
    }
    assert_int_equal(hub_channels(hub), active[0]);
    assert_int_equal(hub_patterns(hub), active[1]);
    for (int t = 0; t < TEXTS; t++) {
        int64_t n = 0;
        for (size_t i = 0; i < entry_count; i++)
            n += !entries[i].is_pattern && entries[i].text == t;
        assert_int_equal(hub_channel_subscribers(hub, text_of(false, t)), n);
    }
}

static void setup(void)
{
    hub = hub_new();
    entry_count = 0;
    for (int i = 0; i < LISTENERS; i++) {
        struct listener *l = &listeners[i];
        *l = (struct listener){0};
        outbox_init(&l->out, ignore, NULL);
        subscriber_init(&l->subscriber, &l->out);
        l->subscriber.proto = i % 2 ? 3 : 2;
    }
}

static void teardown(void)
{
    for (int i = 0; i < LISTENERS; i++) {
        leave_all(i);
        outbox_fini(&listeners[i].out);
        buf_fini(&listeners[i].expected);
    }
    assert_int_equal(hub_channels(hub), 0);
    assert_int_equal(hub_patterns(hub), 0);
    hub_free(hub);
}

static void test_model(void **state)
{
    for (int round = 0; round < 30; round++) {
        setup();
        for (int i = 0; i < 1000; i++) {
            int listener = (int)rng_below(&rng, LISTENERS), text = (int)rng_below(&rng, TEXTS);
            bool is_pattern = rng_below(&rng, 2);
            switch (rng_below(&rng, 8)) {
            case 0:
            case 1:
                join(listener, is_pattern, text);
                break;
            case 2:
                leave(listener, is_pattern, text);
                break;
            case 3:
                if (rng_below(&rng, 5) == 0) leave_all(listener);
                break;
            case 4:
                listeners[listener].subscriber.proto = 2 + (int)rng_below(&rng, 2);
                break;
            case 5:
                check_counts();
                break;
            default:
                publish(text);
            }
        }
        teardown();
    }
}

static void count_channel(void *arg, struct bytes channel)
{
    ++*(int *)arg;
}

static void test_each_channel(void **state)
{
    int n = 0;
    setup();
    for (int t = 0; t < TEXTS; t++) join(t % LISTENERS, false, t);
    hub_each_channel(hub, (struct bytes){NULL, 0}, count_channel, &n);
    assert_int_equal(n, TEXTS);
    n = 0;
    hub_each_channel(hub, BYTES("news*"), count_channel, &n);
    assert_int_equal(n, 2);
    teardown();
}

/* What is published waits for its position, and what comes later does not overtake it. */
static void test_positions(void **state)
{
    setup();
    join(0, false, 1);
    hub_publish(hub, BYTES("a"), BYTES("one"), 10);
    hub_publish(hub, BYTES("a"), BYTES("two"), 0);
    assert_int_equal(outbox_ready(&listeners[0].out, 9).len, 0);
    assert_int_equal(outbox_ready(&listeners[0].out, 10).len, outbox_pending(&listeners[0].out));
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_each_channel),
        cmocka_unit_test(test_positions),
    };
    hash_seed();
    rng_seed(&rng, 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
