/* Fuzzes the broker: bytes as three clients would send them, read, run and journaled, without
 * sockets. Now and then the broker is closed and another opened on the same directory, which must
 * hold the very same keys.
 *
 * A byte of 0xf0 to 0xf2 makes another of the clients speak; 0xf3 lets time pass and the turn end.
 * What is left of an unfinished command at such a byte is fed on when its client speaks again. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "broker/testing.h"
#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 3, INPUTS_PER_LIFE = 500, LIVES_PER_DIRECTORY = 4, SWITCH = 0xf0, PASS = 0xf3 };

struct client {
    struct peer peer;
    struct resp_request request;
    struct buf input;
    bool over; /* it was closed, or sent what is no protocol */
};

static struct bench bench;
static struct settings defaults;
static struct client clients[PEERS];
static unsigned inputs, lives;

static void open_clients(void)
{
    for (int i = 0; i < PEERS; i++) {
        struct client *c = &clients[i];
        *c = (struct client){0};
        peer_open(&c->peer, &bench);
        resp_request_init(&c->request);
        c->request.bulk_bytes_max = 1 << 16;
        c->request.authenticated = true;
    }
}

static void close_clients(void)
{
    for (int i = 0; i < PEERS; i++) {
        peer_close(&clients[i].peer);
        resp_request_fini(&clients[i].request);
        buf_fini(&clients[i].input);
    }
}

/* Runs what is complete of a client's input. */
static void run(struct client *c)
{
    struct broker *b = bench.broker;
    struct resp_request *r = &c->request;
    while (!c->over && c->input.len > 0 && !peer_is_blocked(&c->peer)) {
        ssize_t n = resp_request_feed(r, c->input.data, c->input.len);
        if (n == 0) return;
        if (n < 0) {
            broker_protocol_error(b, c->peer.session, r->error);
            c->over = true;
            return;
        }
        enum broker_progress progress = BROKER_DONE;
        if (r->argc > 0) progress = broker_exec(b, c->peer.session, r->argc, r->argv);
        resp_request_reset(r);
        if (progress == BROKER_RETRY) return;
        buf_consume(&c->input, (size_t)n);
        c->over = c->peer.closed;
    }
}

static void take_output(void)
{
    for (int i = 0; i < PEERS; i++) peer_take(&clients[i].peer);
}

static void pass_time(void)
{
    bench_now_us += 50 * 1000;
    bench_turn(&bench);
    take_output();
    for (int i = 0; i < PEERS; i++) run(&clients[i]);
}

static void feed(const uint8_t *data, size_t size)
{
    struct client *c = &clients[0];
    for (size_t i = 0; i < size; i++) {
        if (data[i] < SWITCH || data[i] > PASS) {
            buf_putc(&c->input, (char)data[i]);
            continue;
        }
        run(c);
        if (data[i] == PASS) pass_time();
        else c = &clients[data[i] - SWITCH];
    }
    run(c);
    take_output();
}

/* Nothing of an input is left for the next one. */
static void clean_up(void)
{
    struct broker *b = bench.broker;
    close_clients();
    settings_fini(&b->settings);
    settings_copy(&b->settings, &defaults);
    broker_unpause(b);
    struct peer p;
    peer_open(&p, &bench);
    peer_run(&p, "FLUSHALL");
    peer_close(&p);
    bench_turn(&bench);
}

static void set_default(const char *name, const char *value)
{
    struct buf error = {0};
    must(settings_set(&bench.settings, settings_find(bytes_of(name)), bytes_of(value), &error) ==
         0);
    buf_fini(&error);
}

static void begin_directory(void)
{
    bench_init(&bench);
    set_default("proto-max-bulk-len", "1mb");
    set_default("notify-keyspace-events", "KEAmn");
    set_default("hash-max-listpack-entries", "4");
    set_default("set-max-listpack-entries", "4");
    set_default("zset-max-listpack-entries", "4");
    settings_copy(&defaults, &bench.settings);
}

static void begin_life(void)
{
    bench_open(&bench);
    bench.broker->reply_bytes_max = 1 << 20;
}

/* Ends this broker and begins the next, on the same keys. */
static void live_on(void)
{
    struct buf before = {0}, after = {0};
    bench_dump(&bench, &before);
    bench_close(&bench);
    begin_life();
    bench_dump(&bench, &after);
    must(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
    buf_fini(&before);
    buf_fini(&after);
    bench_turn(&bench);
}

static void end_directory(void)
{
    bench_close(&bench);
    bench_remove(&bench);
    settings_fini(&defaults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (inputs == 0 && lives == 0) {
        hash_seed();
        begin_directory();
        begin_life();
        bench_turn(&bench);
    }
    open_clients();
    feed(data, size);
    if (++inputs % INPUTS_PER_LIFE != 0) {
        clean_up();
        return 0;
    }
    close_clients();
    live_on();
    open_clients();
    if (++lives % LIVES_PER_DIRECTORY == 0) {
        close_clients();
        end_directory();
        begin_directory();
        begin_life();
        open_clients();
    }
    clean_up();
    return 0;
}
