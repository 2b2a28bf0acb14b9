/* Durable delivery against a naive list of what was published, under random publishing,
 * subscribing, slow reading, closing, resetting, restarting and killing: every message comes to
 * every durable subscriber, for the first time in order; what comes again is within the window; and
 * on one connection nothing comes twice.
 *
 * A subscriber that goes loses a random part of what it was sent, as large as the rules allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "broker/durable.h"
#include "broker/testing.h"

enum {
    CHANNELS = 3,
    NAMES = 4,
    WINDOW_BYTES = 4000,
    WINDOW_MS = 2000,
    CHECKPOINT_BYTES = 16 << 10,
    MESSAGE_MAX = 40000,
    ARRIVALS_MAX = 60000,
};

struct arrival {
    int channel;
    size_t seq;
    uint64_t end; /* of its bytes, in what the connection was sent */
    int64_t ms;
};

struct client {
    struct peer peer;
    bool open;
    bool subscribed[CHANNELS], has_left;
    struct buf raw;
    uint64_t raw_at;           /* bytes that were parsed and dropped before `raw` */
    uint64_t sent_before_turn; /* all of this is acknowledged */
    struct arrival *arrivals;
    size_t count, done;
    size_t last[CHANNELS];    /* the last that came on this connection, + 1 */
    size_t again[CHANNELS];   /* bytes that came again on it */
    size_t allowed[CHANNELS]; /* of these at most */
};

/* What a subscriber knows of a channel. */
struct knowledge {
    bool registered;
    size_t next; /* it has all before, or was not registered then */
};

static struct bench bench;
static struct rng rng;
static struct client clients[NAMES];
static struct knowledge known[NAMES][CHANNELS];
static size_t published[CHANNELS];
static struct peer publisher;
static bool strangers; /* entries that are no messages were added */

static int64_t now_ms(void)
{
    return bench_now_us / 1000;
}

static void run(struct peer *p, const char *line)
{
    assert_int_not_equal(peer_run(p, line).data[0], '-');
}

static void open_broker(void)
{
    bench_open(&bench);
    peer_open(&publisher, &bench);
    run(&publisher, "CONFIG SET durable news* durable-window-bytes 4000 durable-window-ms 2000 "
                    "durable-spill-bytes 30000");
}

/* ---- What clients do with what they get ---- */

static void process(struct client *c, size_t upto)
{
    int name = (int)(c - clients);
    for (; c->done < upto; c->done++) {
        const struct arrival *a = &c->arrivals[c->done];
        struct knowledge *k = &known[name][a->channel];
        if (a->seq > k->next)
            fail_msg("n%d of news%d: %zu came behind %zu", name, a->channel, a->seq, k->next);
        if (a->seq == k->next) k->next++;
        else
            c->again[a->channel] +=
                c->arrivals[c->done].end - (c->done > 0 ? c->arrivals[c->done - 1].end : 0);
    }
}

static void note_message(struct client *c, int channel, size_t seq, uint64_t end)
{
    if (!strangers) assert_true(seq >= c->last[channel]);
    c->last[channel] = seq + 1;
    must(c->count < ARRIVALS_MAX);
    c->arrivals[c->count++] = (struct arrival){channel, seq, end, now_ms()};
}

/* Parses what is whole: pushes of three elements, and replies of one line. */
static void parse(struct client *c)
{
    size_t at = 0;
    buf_putc(&c->raw, '\0');
    c->raw.len--;
    const char *text = c->raw.data;
    while (at < c->raw.len) {
        int channel, head = 0;
        size_t len, seq;
        if (text[at] != '*') {
            const char *line = strstr(text + at, "\r\n");
            if (line == NULL) break;
            at = (size_t)(line - text) + 2;
            continue;
        }
        if (sscanf(text + at, "*3\r\n$7\r\nmessage\r\n$5\r\nnews%d\r\n$%zu\r\n%n", &channel, &len,
                   &head) == 2 &&
            head > 0) {
            if (at + (size_t)head + len + 2 > c->raw.len) break;
            assert_int_equal(sscanf(text + at + head, "%zu:", &seq), 1);
            at += (size_t)head + len + 2;
            note_message(c, channel, seq, c->raw_at + at);
            continue;
        }
        char word[16];
        int n;
        head = 0;
        if (sscanf(text + at, "*3\r\n$%*d\r\n%15[a-z]\r\n$5\r\nnews%d\r\n:%d\r\n%n", word, &channel,
                   &n, &head) != 3 ||
            head == 0 || text[at + (size_t)head - 1] != '\n')
            break;
        c->last[channel] = 0;
        at += (size_t)head;
    }
    c->raw_at += at;
    buf_consume(&c->raw, at);
}

static void take(struct client *c, size_t max)
{
    struct subscriber *s = &c->peer.session->subscriber;
    struct bytes part;
    while (max > 0 && subscriber_ready(s, UINT64_MAX, &part, 1) > 0) {
        if (part.len > max) part.len = max;
        buf_put(&c->raw, part);
        max -= part.len;
        subscriber_sent(s, part.len);
    }
    parse(c);
}

/* ---- Steps ---- */

static void publish(void)
{
    static char line[MESSAGE_MAX + 100];
    int channel = (int)rng_below(&rng, CHANNELS);
    size_t len = rng_below(&rng, rng_below(&rng, 12) == 0 ? MESSAGE_MAX : 600);
    int n =
        rng_below(&rng, 3) == 0
            ? snprintf(line, sizeof line, "XADD news%d * data %zu:", channel, published[channel])
            : snprintf(line, sizeof line, "PUBLISH news%d %zu:", channel, published[channel]);
    memset(line + n, 'x', len);
    line[(size_t)n + len] = '\0';
    run(&publisher, line);
    published[channel]++;
}

static void add_stranger(void)
{
    char line[64];
    strangers = true;
    snprintf(line, sizeof line, "XADD news%d * data x other y", (int)rng_below(&rng, CHANNELS));
    run(&publisher, line);
}

/* What its next connection may get again, in bytes. */
static size_t allowances[NAMES][CHANNELS];

static void open_client(struct client *c)
{
    char line[64];
    peer_open(&c->peer, &bench);
    c->open = true;
    c->has_left = false;
    c->peer.progress.peer_window = rng_below(&rng, 10000);
    snprintf(line, sizeof line, "CLIENT SETNAME n%d", (int)(c - clients));
    run(&c->peer, line);
    c->count = c->done = 0;
    c->raw.len = 0;
    /* Its first replies have been taken by peer_run(). */
    c->raw_at = c->sent_before_turn = c->peer.session->subscriber.sent;
    memcpy(c->allowed, allowances[c - clients], sizeof c->allowed);
    memset(c->last, 0, sizeof c->last);
    memset(c->again, 0, sizeof c->again);
    memset(c->subscribed, 0, sizeof c->subscribed);
}

static void exec_line(struct client *c, const char *what, int channel)
{
    char text[32];
    struct bytes argv[] = {bytes_of(what), {text, 5}};
    snprintf(text, sizeof text, "news%d", channel);
    broker_exec(bench.broker, c->peer.session, 2, argv);
}

static void subscribe(struct client *c, int channel)
{
    struct knowledge *k = &known[c - clients][channel];
    if (c->subscribed[channel]) return;
    if (!k->registered) *k = (struct knowledge){true, published[channel]};
    exec_line(c, "SUBSCRIBE", channel);
    c->subscribed[channel] = true;
}

/* Works on what it has got, but for a random part, as large as the rules allow. */
static size_t forget_some(struct client *c, uint64_t sent, uint64_t unacknowledged, uint64_t window,
                          int64_t window_ms)
{
    uint64_t acknowledged = sent - unacknowledged, lost = rng_below(&rng, window + 1);
    size_t n = c->done;
    for (; n < c->count; n++) {
        const struct arrival *a = &c->arrivals[n];
        bool old = window_ms >= 0 && a->end <= acknowledged && a->ms <= now_ms() - window_ms;
        if (a->end + lost > acknowledged && !old) break;
    }
    process(c, n);
    for (int i = 0; i < CHANNELS; i++) {
        if (c->again[i] <= c->allowed[i]) continue;
        fail_msg("%zu bytes came again, %zu may have", c->again[i], c->allowed[i]);
    }
    return (size_t)(window + unacknowledged) + 2 * CHECKPOINT_BYTES + 2 * MESSAGE_MAX;
}

static void unsubscribe(struct client *c, int channel)
{
    if (!c->subscribed[channel]) return;
    forget_some(c, c->peer.session->subscriber.sent, 0, WINDOW_BYTES + c->peer.progress.peer_window,
                WINDOW_MS);
    exec_line(c, "UNSUBSCRIBE", channel);
    c->subscribed[channel] = false;
    c->allowed[channel] = SIZE_MAX; /* what it has comes again if it subscribes again */
    c->has_left = true;
}

static void close_client(struct client *c, bool reset)
{
    uint64_t sent = c->peer.session->subscriber.sent;
    uint64_t unacknowledged = rng_below(&rng, sent - c->sent_before_turn + 1);
    uint64_t window = WINDOW_BYTES + (reset ? c->peer.progress.peer_window : 0);
    c->peer.progress.unacknowledged = unacknowledged;
    c->peer.progress.reset = reset;
    size_t allowed = forget_some(c, sent, unacknowledged, window, reset ? -1 : WINDOW_MS);
    for (int i = 0; i < CHANNELS; i++) {
        /* It may have gone before it had all again that its last connection had lost. */
        bool had_all = c->last[i] >= known[c - clients][i].next;
        size_t *of = &allowances[c - clients][i];
        *of = c->has_left ? SIZE_MAX : had_all ? allowed : allowed + c->allowed[i];
        if (*of < allowed) *of = SIZE_MAX;
    }
    peer_close(&c->peer);
    c->open = false;
}

static void turn(int64_t ms_max)
{
    broker_turn_end(bench.broker);
    broker_spread(bench.broker);
    hub_turn_end(bench.broker->hub);
    for (int i = 0; i < NAMES; i++)
        if (clients[i].open) clients[i].sent_before_turn = clients[i].peer.session->subscriber.sent;
    bench_now_us += (int64_t)rng_below(&rng, (uint64_t)ms_max) * 1000;
    broker_turn_begin(bench.broker);
}

/* As SIGKILL leaves it: what was journaled up to the last turn's end. */
static void kill_broker(void)
{
    char command[256], copy[80];
    turn(40);
    broker_turn_end(bench.broker);
    snprintf(copy, sizeof copy, "%s-copy", bench.dir);
    snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s 2>/dev/null", copy, bench.dir,
             copy);
    must(system(command) >= 0); /* a segment that is being prepared may go under its hands */
    for (int i = 0; i < NAMES; i++) {
        if (!clients[i].open) continue;
        forget_some(&clients[i], clients[i].peer.session->subscriber.sent, 0, WINDOW_BYTES,
                    WINDOW_MS);
        memset(allowances[i], 0xff,
               sizeof allowances[i]); /* what was sent since the last position was written, too */
        peer_close(&clients[i].peer);
        clients[i].open = false;
    }
    peer_close(&publisher);
    bench_close(&bench);
    snprintf(command, sizeof command, "rm -rf %s && mv %s %s", bench.dir, copy, bench.dir);
    must(system(command) == 0);
    open_broker();
}

static void restart_broker(void)
{
    for (int i = 0; i < NAMES; i++)
        if (clients[i].open) close_client(&clients[i], rng_below(&rng, 2));
    peer_close(&publisher);
    bench_close(&bench);
    open_broker();
}

static void step(void)
{
    struct client *c = &clients[rng_below(&rng, NAMES)];
    int channel = (int)rng_below(&rng, CHANNELS);
    uint64_t choice = rng_below(&rng, 1000);
    if (choice < 450) publish();
    else if (choice < 550) turn(40);
    else if (choice < 560) turn(4000);
    else if (choice < 563) kill_broker();
    else if (choice < 565) restart_broker();
    else if (choice < 566 && rng_below(&rng, 10) == 0) add_stranger();
    else if (!c->open) open_client(c);
    else if (choice < 640) subscribe(c, channel);
    else if (choice < 645) unsubscribe(c, channel);
    else if (choice < 660) close_client(c, rng_below(&rng, 2));
    else if (choice < 760) durable_check_output(bench.broker, c->peer.session, true);
    else take(c, rng_below(&rng, 4) == 0 ? SIZE_MAX : rng_below(&rng, 5000));
}

/* All come back, and get everything. */
static void finish(void)
{
    for (int i = 0; i < NAMES; i++) {
        struct client *c = &clients[i];
        if (!c->open) open_client(c);
        for (int ch = 0; ch < CHANNELS; ch++)
            if (known[i][ch].registered) subscribe(c, ch);
    }
    for (int rounds = 0; rounds < 2000 || durable_is_hungry(bench.broker); rounds++) {
        turn(40);
        for (int i = 0; i < NAMES; i++) take(&clients[i], SIZE_MAX);
    }
    for (int i = 0; i < NAMES; i++) {
        process(&clients[i], clients[i].count);
        for (int ch = 0; ch < CHANNELS; ch++)
            if (known[i][ch].registered) assert_int_equal(known[i][ch].next, published[ch]);
    }
}

static void test_model(void **state)
{
    const char *seed = getenv("LEAT_SEED"), *rounds = getenv("LEAT_ROUNDS");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    uint64_t count = rounds != NULL ? strtoull(rounds, NULL, 10) : 6;
    struct durable_stats stats, all = {0};
    for (uint64_t round = first; round < first + count; round++) {
        print_message("seed %llu\n", (unsigned long long)round);
        rng_seed(&rng, round);
        memset(known, 0, sizeof known);
        memset(published, 0, sizeof published);
        memset(allowances, 0, sizeof allowances);
        strangers = false;
        bench_init(&bench);
        open_broker();
        for (int i = 0; i < 2500; i++) step();
        durable_stats(bench.broker, &stats);
        all.spilled += stats.spilled;
        all.redelivered += stats.redelivered;
        finish();
        for (int i = 0; i < NAMES; i++) peer_close(&clients[i].peer);
        for (int i = 0; i < NAMES; i++) clients[i].open = false;
        peer_close(&publisher);
        bench_close(&bench);
        bench_remove(&bench);
    }
    assert_true(all.spilled > 0 && all.redelivered > 0); /* else it shows nothing */
}

int main(void)
{
    for (int i = 0; i < NAMES; i++)
        clients[i].arrivals = mem_alloc(ARRIVALS_MAX * sizeof(struct arrival));
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < NAMES; i++) {
        mem_free(clients[i].arrivals);
        buf_fini(&clients[i].raw);
    }
    return result;
}
