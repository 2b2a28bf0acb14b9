/* The hub against a naive one: a list of who listens to what, and for each listener every byte that
 * it is to get, with the position it waits for. Under seeded random joining, leaving, publishing,
 * replying, partial writes and a journal that gets on. */
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rand.h"

enum { LISTENERS = 12, TEXTS = 12, ENTRIES_MAX = LISTENERS * TEXTS * TOPIC_KINDS, RUNS_MAX = 6 };

/* What a listener is to get. */
struct listener {
    struct outbox out;
    struct subscriber subscriber;
    char *bytes;
    uint64_t *waits_for; /* of each byte */
    size_t len, sent, cap;
    size_t starts[40000], ends[40000]; /* of messages in bytes, since the list was last emptied */
    size_t end_count;
    bool has_moved; /* messages may have gone through the outbox */
};

struct entry {
    int listener;
    enum topic_kind kind;
    int text;
};

/* No channel matches two of the patterns: in what order those come is the hub's own affair. */
static const char *const channels[TEXTS] = {"",   "a",    "b",      "ab",  "news", "*",
                                            "na", "sops", "sports", "a b", "x",    "[ab]"};
static const char *const patterns[TEXTS] = {"a*",  "b*",  "n*",   "s?o*", "\\*", "",
                                            "x*y", "[x]", "\\[*", "o?",   "*q",  "o\\*"};

static struct rng rng;
static struct hub *hub;
static struct listener listeners[LISTENERS];
static struct entry entries[ENTRIES_MAX];
static size_t entry_count;
static uint64_t covered, head;

static void ignore(void *owner) {}

static const char *text_of(enum topic_kind kind, int text)
{
    return kind == TOPIC_PATTERN ? patterns[text] : channels[text];
}

/* ---- The naive hub ---- */

static ssize_t find_entry(int listener, enum topic_kind kind, int text)
{
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].listener == listener && entries[i].kind == kind && entries[i].text == text)
            return (ssize_t)i;
    return -1;
}

static size_t count_entries(int listener, enum topic_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < entry_count; i++)
        n += entries[i].listener == listener && entries[i].kind == kind;
    return n;
}

static void expect(struct listener *l, struct bytes b, uint64_t position)
{
    if (l->len + b.len > l->cap) {
        l->cap = 2 * (l->len + b.len);
        l->bytes = mem_realloc(l->bytes, l->cap);
        l->waits_for = mem_realloc(l->waits_for, l->cap * sizeof *l->waits_for);
    }
    uint64_t bar = l->len > 0 ? l->waits_for[l->len - 1] : 0;
    for (size_t i = 0; i < b.len; i++) {
        l->bytes[l->len] = b.data[i];
        l->waits_for[l->len++] = position > bar ? position : bar;
    }
}

static void expect_message(const struct entry *e, struct bytes channel, struct bytes message,
                           uint64_t position)
{
    struct listener *l = &listeners[e->listener];
    char kind = l->subscriber.proto == 3 ? '>' : '*';
    const char *text = text_of(e->kind, e->text);
    struct buf b = {0};
    if (e->kind == TOPIC_PATTERN)
        buf_printf(&b, "%c4\r\n$8\r\npmessage\r\n$%zu\r\n%s\r\n", kind, strlen(text), text);
    else if (e->kind == TOPIC_CHANNEL) buf_printf(&b, "%c3\r\n$7\r\nmessage\r\n", kind);
    else buf_printf(&b, "%c3\r\n$8\r\nsmessage\r\n", kind);
    buf_printf(&b, "$%zu\r\n%s\r\n$%zu\r\n", channel.len, channel.data, message.len);
    buf_put(&b, message);
    buf_printf(&b, "\r\n");
    l->starts[l->end_count] = l->len;
    expect(l, buf_bytes(&b), position);
    l->ends[l->end_count++] = l->len;
    buf_fini(&b);
}

static int64_t expect_all(enum topic_kind kind, struct bytes channel, struct bytes message,
                          uint64_t position)
{
    int64_t n = 0;
    for (size_t i = 0; i < entry_count; i++) {
        if (entries[i].kind != kind) continue;
        struct bytes text = bytes_of(text_of(kind, entries[i].text));
        if (kind == TOPIC_PATTERN ? !bytes_match_glob(text, channel, false)
                                  : !bytes_eq(text, channel))
            continue;
        expect_message(&entries[i], channel, message, position);
        n++;
    }
    return n;
}

/* ---- Steps ---- */

static void join(int listener, enum topic_kind kind, int text)
{
    struct subscriber *s = &listeners[listener].subscriber;
    bool is_new = hub_subscribe(hub, s, kind, bytes_of(text_of(kind, text)));
    assert_int_equal(is_new, find_entry(listener, kind, text) < 0);
    if (is_new) entries[entry_count++] = (struct entry){listener, kind, text};
    listeners[listener].has_moved = true;
}

static void leave(int listener, enum topic_kind kind, int text)
{
    struct subscriber *s = &listeners[listener].subscriber;
    bool was = hub_unsubscribe(hub, s, kind, bytes_of(text_of(kind, text)));
    ssize_t found = find_entry(listener, kind, text);
    assert_int_equal(was, found >= 0);
    if (was) entries[found] = entries[--entry_count];
    listeners[listener].has_moved = true;
}

static void change_kind(int listener, int text)
{
    ssize_t found = find_entry(listener, TOPIC_CHANNEL, text);
    enum topic_kind from = found >= 0 ? TOPIC_CHANNEL : TOPIC_BEHIND;
    enum topic_kind to = found >= 0 ? TOPIC_BEHIND : TOPIC_CHANNEL;
    if (found < 0) found = find_entry(listener, from, text);
    if (found < 0 || find_entry(listener, to, text) >= 0) return;
    hub_change_kind(hub, &listeners[listener].subscriber, from, to, bytes_of(channels[text]));
    entries[found].kind = to;
    listeners[listener].has_moved = true;
}

static bool is_wanted(void *arg, struct bytes message)
{
    return message_channel(message).len == *(const size_t *)arg;
}

/* Those of its messages that nothing of its own follows. */
static void drop(int listener)
{
    struct listener *l = &listeners[listener];
    size_t start = l->len - (subscriber_pending(&l->subscriber) - outbox_pending(&l->out));
    size_t to = start, kept = 0, wanted = rng_below(&rng, 4);
    bool keeps = rng_below(&rng, 2) > 0;
    uint64_t dropped = 0;
    for (size_t i = 0; i < l->end_count; i++) {
        size_t from = l->starts[i], len = l->ends[i] - from;
        bool partly = from < start && l->ends[i] > start;
        if (from >= start && !(keeps && is_wanted(&wanted, (struct bytes){l->bytes + from, len}))) {
            dropped++;
            continue;
        }
        if (partly) to = l->ends[i];
        if (from >= start) {
            memmove(l->bytes + to, l->bytes + from, len);
            memmove(l->waits_for + to, l->waits_for + from, len * sizeof *l->waits_for);
            l->starts[kept] = to;
            l->ends[kept++] = to += len;
        } else {
            l->starts[kept] = from;
            l->ends[kept++] = l->ends[i];
        }
    }
    l->end_count = kept;
    l->len = to;
    l->has_moved = true;
    assert_int_equal(subscriber_drop(&l->subscriber, keeps ? is_wanted : NULL, &wanted), dropped);
}

static void leave_all(int listener)
{
    hub_leave(hub, &listeners[listener].subscriber);
    for (size_t i = entry_count; i-- > 0;)
        if (entries[i].listener == listener) entries[i] = entries[--entry_count];
    assert_false(subscriber_is_any(&listeners[listener].subscriber));
    listeners[listener].has_moved = true;
}

static uint64_t some_position(void)
{
    if (rng_below(&rng, 3) > 0) return 0;
    uint64_t position = rng_below(&rng, head + 1);
    return position > covered ? position : 0;
}

static void publish(size_t bytes_max)
{
    static char room[300000];
    static unsigned serial;
    bool shard = rng_below(&rng, 8) == 0;
    struct bytes channel = bytes_of(channels[rng_below(&rng, TEXTS)]);
    struct bytes message = {room, rng_below(&rng, bytes_max)};
    memset(room, 'a' + (int)(serial++ % 26), message.len);
    uint64_t position = some_position();
    int64_t receivers;
    if (shard) {
        receivers = expect_all(TOPIC_SHARD, channel, message, position);
        assert_int_equal(hub_publish_shard(hub, channel, message, position), receivers);
    } else {
        receivers = expect_all(TOPIC_CHANNEL, channel, message, position);
        receivers += expect_all(TOPIC_PATTERN, channel, message, position);
        assert_int_equal(hub_publish(hub, channel, message, position), receivers);
    }
}

/* A command of the listener's, written as handlers do; sometimes it publishes, or changes the set,
 * in the middle of its reply: those messages follow it. */
static void reply(int listener)
{
    struct listener *l = &listeners[listener];
    static const struct bytes first = BYTES("*2\r\n:1\r\n"), second = BYTES(":2\r\n");
    uint64_t position = some_position();
    subscriber_reply_begin(&l->subscriber);
    expect(l, first, position);
    expect(l, second, position);
    buf_put(&l->out.bytes, first);
    switch (rng_below(&rng, 4)) {
    case 0:
        publish(100);
        break;
    case 1:
        publish(10000);
        join(listener, TOPIC_CHANNEL, (int)rng_below(&rng, TEXTS));
        publish(100);
        break;
    case 2:
        publish(100);
        leave(listener, TOPIC_CHANNEL, (int)rng_below(&rng, TEXTS));
    }
    buf_put(&l->out.bytes, second);
    subscriber_reply_end(&l->subscriber, position);
    l->has_moved = true;
}

static void check_ready(struct listener *l, size_t send_max)
{
    struct bytes runs[RUNS_MAX];
    size_t n = subscriber_ready(&l->subscriber, covered, runs, RUNS_MAX), all = 0;
    assert_int_equal(subscriber_pending(&l->subscriber), l->len - l->sent);
    for (size_t i = 0; i < n; i++) {
        assert_true(runs[i].len > 0);
        assert_true(l->sent + all + runs[i].len <= l->len);
        assert_memory_equal(runs[i].data, l->bytes + l->sent + all, runs[i].len);
        all += runs[i].len;
        assert_true(l->waits_for[l->sent + all - 1] <= covered);
    }
    if (n < RUNS_MAX && covered >= head) assert_int_equal(all, l->len - l->sent);
    size_t sent = all < send_max ? all : send_max;
    subscriber_sent(&l->subscriber, sent);
    l->sent += sent;
    if (l->sent == l->len) l->len = l->sent = l->end_count = 0;
    if (l->len == 0) l->has_moved = false;
}

struct look {
    size_t found;
};

static void check_state(void *arg, const struct subscriber_state *state)
{
    struct look *look = arg;
    size_t waiting = 0;
    struct listener *l =
        (struct listener *)((char *)state->subscriber - offsetof(struct listener, subscriber));
    for (size_t i = 0; i < l->end_count; i++) waiting += l->ends[i] > l->sent;
    if (l->has_moved) assert_true(state->lag_messages >= waiting);
    else assert_int_equal(state->lag_messages, waiting);
    assert_int_equal(state->lag_bytes, l->len - l->sent);
    look->found++;
}

static bool hears(const struct entry *e, struct bytes channel)
{
    struct bytes text = bytes_of(text_of(e->kind, e->text));
    if (e->kind == TOPIC_PATTERN) return bytes_match_glob(text, channel, false);
    return (e->kind == TOPIC_CHANNEL || e->kind == TOPIC_BEHIND) && bytes_eq(text, channel);
}

static void check_counts(void)
{
    for (int text = 0; text < TEXTS; text++) {
        int64_t n = 0;
        struct look look = {0};
        int64_t heard = 0;
        for (size_t i = 0; i < entry_count; i++) {
            n += entries[i].kind == TOPIC_CHANNEL && entries[i].text == text;
            heard += hears(&entries[i], bytes_of(channels[text]));
        }
        struct bytes channel = bytes_of(channels[text]);
        assert_int_equal(hub_subscribers(hub, TOPIC_CHANNEL, channel), n);
        hub_each_subscriber(hub, channel, check_state, &look);
        assert_int_equal(look.found, heard);
    }
    for (int i = 0; i < LISTENERS; i++)
        for (int kind = 0; kind < TOPIC_KINDS; kind++)
            assert_int_equal(subscriber_count(&listeners[i].subscriber, (enum topic_kind)kind),
                             count_entries(i, (enum topic_kind)kind));
}

static bool have_same_set(int a, int b)
{
    for (int kind = 0; kind < TOPIC_KINDS; kind++)
        for (int text = 0; text < TEXTS; text++)
            if ((find_entry(a, (enum topic_kind)kind, text) < 0) !=
                (find_entry(b, (enum topic_kind)kind, text) < 0))
                return false;
    return listeners[a].subscriber.proto == listeners[b].subscriber.proto;
}

/* Small sets that are the same are one audience at once, others never. */
static void end_turn(void)
{
    static int64_t now_ms;
    hub_spread(hub);
    hub_turn_end(hub);
    hub_set_time(hub, now_ms += 7);
    for (int a = 0; a < LISTENERS; a++) {
        size_t topics = 0;
        for (int kind = 0; kind < TOPIC_KINDS; kind++)
            topics += count_entries(a, (enum topic_kind)kind);
        for (int b = 0; b < a; b++) {
            struct audience *one = listeners[a].subscriber.audience;
            bool shared = one != NULL && one == listeners[b].subscriber.audience;
            if (!have_same_set(a, b) || topics == 0) assert_false(shared);
            else if (topics <= 8) assert_true(shared);
        }
    }
}

static void step(void)
{
    int listener = (int)rng_below(&rng, LISTENERS), text = (int)rng_below(&rng, TEXTS);
    enum topic_kind kind = (enum topic_kind)rng_below(&rng, TOPIC_KINDS);
    switch (rng_below(&rng, 27)) {
    case 0:
    case 1:
        join(listener, kind, text);
        break;
    case 2:
        leave(listener, kind, text);
        break;
    case 3:
        if (rng_below(&rng, 4) == 0) leave_all(listener);
        break;
    case 4:
        hub_set_proto(hub, &listeners[listener].subscriber, 2 + (int)rng_below(&rng, 2));
        listeners[listener].has_moved = true;
        break;
    case 5:
        check_counts();
        break;
    case 6:
        head += rng_below(&rng, 5);
        break;
    case 7:
        covered += rng_below(&rng, head - covered + 1);
        break;
    case 8:
        reply(listener);
        break;
    case 9:
        subscriber_put(&listeners[listener].subscriber, BYTES("+line\r\n"), 0);
        expect(&listeners[listener], BYTES("+line\r\n"), 0);
        listeners[listener].has_moved = true;
        break;
    case 10:
        end_turn();
        break;
    case 11: /* nearly all are equals now */
        if (rng_below(&rng, 10) == 0)
            for (int i = 1; i < LISTENERS; i++) {
                leave_all(i);
                join(i, TOPIC_CHANNEL, text);
            }
        break;
    case 12:
        publish(rng_below(&rng, 20) == 0 ? 300000 : 20000);
        break;
    case 13:
    case 14:
    case 15:
    case 16:
        publish(60);
        break;
    case 18:
        change_kind(listener, text);
        break;
    case 19:
        drop(listener);
        break;
    case 17:
        for (int i = 0; i < LISTENERS - 2; i++) check_ready(&listeners[i], SIZE_MAX);
        break;
    default:
        check_ready(&listeners[listener], rng_below(&rng, 3) ? SIZE_MAX : rng_below(&rng, 3000));
    }
}

static void setup(void)
{
    hub = hub_new();
    entry_count = 0;
    head = covered = 0;
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = (struct listener){0};
        outbox_init(&listeners[i].out, ignore, NULL);
        subscriber_init(&listeners[i].subscriber, &listeners[i].out);
    }
}

static void teardown(void)
{
    for (int i = 0; i < LISTENERS; i++) {
        leave_all(i);
        outbox_fini(&listeners[i].out);
        mem_free(listeners[i].bytes);
        mem_free(listeners[i].waits_for);
    }
    hub_free(hub);
}

static void test_model(void **state)
{
    for (int round = 0; round < 60; round++) {
        setup();
        for (int i = 0; i < 1500; i++) step();
        covered = head;
        for (int i = 0; i < LISTENERS; i++)
            while (listeners[i].len > listeners[i].sent) check_ready(&listeners[i], SIZE_MAX);
        end_turn();
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
    for (int t = 0; t < TEXTS; t++) join(t % LISTENERS, TOPIC_CHANNEL, t);
    hub_each_channel(hub, TOPIC_CHANNEL, (struct bytes){NULL, 0}, count_channel, &n);
    assert_int_equal(n, TEXTS);
    n = 0;
    hub_each_channel(hub, TOPIC_CHANNEL, BYTES("s*"), count_channel, &n);
    assert_int_equal(n, 2);
    n = 0;
    hub_each_channel(hub, TOPIC_SHARD, BYTES("*"), count_channel, &n);
    assert_int_equal(n, 0);
    teardown();
}

/* Who is left alone in an audience that had more topics once has room for dates of its own. */
static void test_dates_of_the_last_member(void **state)
{
    setup();
    for (int t = 0; t < 8; t++) join(0, TOPIC_CHANNEL, t);
    for (int t = 1; t < 8; t++) leave(0, TOPIC_CHANNEL, t);
    end_turn();
    join(1, TOPIC_CHANNEL, 0);
    end_turn();
    leave_all(0);
    for (int t = 1; t < 8; t++) join(1, TOPIC_CHANNEL, t);
    check_counts();
    teardown();
}

/* All members are handed the same bytes: not copies of them. */
static void test_one_copy(void **state)
{
    struct bytes runs[LISTENERS][2];
    setup();
    for (int i = 0; i < LISTENERS; i++) join(i, TOPIC_CHANNEL, 1);
    join(0, TOPIC_CHANNEL, 2); /* another audience, of the same message */
    end_turn();
    assert_int_equal(hub_audiences(hub), 2);
    hub_publish(hub, BYTES("a"), BYTES("one"), 0);
    hub_publish(hub, BYTES("a"), BYTES("two"), 0);
    for (int i = 0; i < LISTENERS; i++) {
        assert_int_equal(subscriber_ready(&listeners[i].subscriber, 0, runs[i], 2), 1);
        assert_ptr_equal(runs[i][0].data, runs[0][0].data);
        assert_int_equal(runs[i][0].len, runs[0][0].len);
    }
    teardown();
}

/* Who does not read costs the others nothing but the bytes it has not read, once. */
static void test_slow_member(void **state)
{
    setup();
    for (int i = 0; i < LISTENERS; i++) join(i, TOPIC_CHANNEL, 1);
    end_turn();
    size_t before = mem_used();
    static char message[10000];
    for (int i = 0; i < 1000; i++) {
        publish(60);
        hub_publish(hub, BYTES("a"), (struct bytes){message, sizeof message}, 0);
        for (int k = 2; k < LISTENERS; k++) {
            struct bytes runs[RUNS_MAX];
            size_t n;
            while ((n = subscriber_ready(&listeners[k].subscriber, 0, runs, 1)) > 0)
                subscriber_sent(&listeners[k].subscriber, runs[0].len);
        }
        hub_spread(hub);
        hub_turn_end(hub);
    }
    assert_true(mem_used() - before < 2 * 1000 * sizeof message);
    for (int k = 0; k < 2; k++) leave_all(k);
    for (int k = 0; k < 2; k++) {
        outbox_fini(&listeners[k].out);
        outbox_init(&listeners[k].out, ignore, NULL);
    }
    hub_turn_end(hub);
    assert_true(mem_used() < before + 2 * 1024 * 1024);
    teardown();
}

/* Changing a large set topic by topic, beside somebody who does the same, is not quadratic: this
 * would take minutes. */
static void test_large_sets(void **state)
{
    enum { MANY = 20000 };
    char name[16];
    setup();
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "topic%d", i);
            for (int k = 0; k < 2; k++) {
                struct subscriber *s = &listeners[k].subscriber;
                if (way == 0) assert_true(hub_subscribe(hub, s, TOPIC_CHANNEL, bytes_of(name)));
                else assert_true(hub_unsubscribe(hub, s, TOPIC_CHANNEL, bytes_of(name)));
            }
            hub_publish(hub, BYTES("topic0"), BYTES(""), 0);
            hub_spread(hub);
            hub_turn_end(hub);
            for (int k = 0; k < 2; k++)
                subscriber_sent(&listeners[k].subscriber,
                                subscriber_pending(&listeners[k].subscriber));
        }
        if (way == 1) break;
        /* At rest, they become one when that is paid for. */
        for (int i = 0; i <= MANY; i++) hub_publish(hub, BYTES("topic0"), BYTES(""), 0);
        hub_spread(hub);
        hub_turn_end(hub);
        assert_ptr_equal(listeners[0].subscriber.audience, listeners[1].subscriber.audience);
    }
    assert_false(subscriber_is_any(&listeners[0].subscriber));
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_each_channel),
        cmocka_unit_test(test_dates_of_the_last_member),
        cmocka_unit_test(test_one_copy),
        cmocka_unit_test(test_slow_member),
        cmocka_unit_test(test_large_sets),
    };
    hash_seed();
    rng_seed(&rng, 5);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
