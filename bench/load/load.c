/* A load generator for whatever speaks the Redis protocol: any command, any number of connections,
 * pipelined or one at a time, as fast as the server answers or at a fixed rate. Prints one line of
 * JSON. An error reply, a lost connection or a missing reply ends the run with status 1; nothing of
 * that kind counts as an operation.
 *
 *   load --port 6379 -c 50 -P 32 --seconds 5 -- SET key:__rand:100000__ __data:64__
 *   load --port 6379 --rate 1000 --seconds 5 -- GET quiet
 *   load --port 6379 -c 8 --until-empty -- XRANGE s '(__last__' + COUNT 500
 *   load --port 6379 -c 10 --until-empty --
 *       XREADGROUP GROUP g c__conn__ COUNT 100 STREAMS s '>' ';' XACK s g __ids__
 *
 * The placeholders are explained in command.h, open and closed loop in run.h. */
#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "load/run.h"

enum { CONNECTIONS_MAX = 60000, PIPELINE_MAX = 1 << 20, OPEN_LOOP_PIPELINE = 4096 };

enum key {
    KEY_SECONDS = 256,
    KEY_ENTRIES,
    KEY_UNTIL_EMPTY,
    KEY_RATE,
    KEY_KEYS,
    KEY_DATA,
    KEY_TIMEOUT
};

// clang-format off
static const struct argp_option options[] = {
    {"port", 'p', "PORT", 0, "of the server, on 127.0.0.1 (6379)", 0},
    {"connections", 'c', "N", 0, "(1)", 0},
    {"pipeline", 'P', "N", 0, "commands sent before their replies; with a rate, how many may be unanswered (1; 4096)", 0},
    {"count", 'n', "N", 0, "stop after so many commands in all", 0},
    {"seconds", KEY_SECONDS, "S", 0, "stop after so long", 0},
    {"entries", KEY_ENTRIES, "N", 0, "each connection stops when it has got so many stream entries", 0},
    {"until-empty", KEY_UNTIL_EMPTY, NULL, 0, "each connection stops when the first command gets an empty reply", 0},
    {"rate", KEY_RATE, "R", 0, "so many commands per second, whatever the server does", 0},
    {"keys", KEY_KEYS, "N", 0, "__rand__ is below this (100000)", 0},
    {"data", KEY_DATA, "BYTES", 0, "length of __data__ (64)", 0},
    {"timeout", KEY_TIMEOUT, "S", 0, "silence that is an error (60)", 0},
    {0},
};
// clang-format on

struct arguments {
    struct run_options run;
    struct command_defaults defaults;
    char **words;
    int word_count;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static double number(struct argp_state *state, const char *text, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || value < 0 || value > max)
        argp_error(state, "%s: no number that would do", text);
    return value;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct run_options *o = &a->run;
    switch (key) {
    case 'p':
        o->port = (int)number(state, text, 65535);
        break;
    case 'c':
        o->connections = (unsigned)number(state, text, CONNECTIONS_MAX);
        break;
    case 'P':
        o->pipeline = (unsigned)number(state, text, PIPELINE_MAX);
        break;
    case 'n':
        o->count = (uint64_t)number(state, text, 1e15);
        break;
    case KEY_SECONDS:
        o->seconds = number(state, text, 1e6);
        break;
    case KEY_ENTRIES:
        o->entries = (uint64_t)number(state, text, 1e15);
        break;
    case KEY_UNTIL_EMPTY:
        o->until_empty = true;
        break;
    case KEY_RATE:
        o->rate = number(state, text, 1e7);
        break;
    case KEY_KEYS:
        a->defaults.keys = (uint64_t)number(state, text, 1e12);
        break;
    case KEY_DATA:
        a->defaults.data = (uint64_t)number(state, text, 1e9);
        break;
    case KEY_TIMEOUT:
        o->timeout_s = number(state, text, 1e6);
        break;
    case ARGP_KEY_ARGS:
        a->words = state->argv + state->next;
        a->word_count = state->argc - state->next;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char *add_commands(struct arguments *a)
{
    for (int from = 0, at = 0; at <= a->word_count; at++) {
        if (at < a->word_count && strcmp(a->words[at], ";") != 0) continue;
        if (a->run.command_count == RUN_COMMANDS_MAX) return "too many commands";
        if (at == from) return "an empty command";
        struct command *c = &a->run.commands[a->run.command_count++];
        const char *wrong = command_init(c, a->words + from, at - from, &a->defaults);
        if (wrong != NULL) return wrong;
        from = at + 1;
    }
    return NULL;
}

static const char *check(const struct run_options *o)
{
    bool dynamic = false;
    for (unsigned i = 0; i < o->command_count; i++) dynamic |= o->commands[i].dynamic;
    if (o->connections == 0) return "no connections";
    if (dynamic && o->pipeline != 1) return "what depends on the last reply cannot be pipelined";
    if (o->rate > 0 && (o->entries > 0 || o->until_empty))
        return "a rate goes with a count or time";
    if (o->count == 0 && o->seconds == 0 && o->entries == 0 && !o->until_empty)
        return "say when to stop: --count, --seconds, --entries or --until-empty";
    return NULL;
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void print_latency(const char *name, const struct histogram *h)
{
    printf("{\"command\":");
    print_text(name);
    printf(",\"count\":%" PRIu64
           ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}",
           h->total, histogram_us(h, 0.5), histogram_us(h, 0.99), histogram_us(h, 0.999),
           (double)h->max_ns / 1000);
}

static void print_result(const struct run_options *o, const struct run_result *r)
{
    double seconds = r->seconds > 0 ? r->seconds : 1e-9;
    printf("{\"sent\":%" PRIu64 ",\"replies\":%" PRIu64 ",\"entries\":%" PRIu64
           ",\"bytes_in\":%" PRIu64 ",\"seconds\":%.6f,\"busy_seconds\":%.6f,\"per_second\":%.1f"
           ",\"entries_per_second\":%.1f,\"late_p99_us\":%.1f,\"commands\":[",
           r->sent, r->replies, r->entries, r->bytes_in, r->seconds, r->busy_seconds,
           (double)r->replies / seconds, (double)r->entries / seconds,
           histogram_us(&r->late, 0.99));
    for (unsigned i = 0; i < o->command_count; i++) {
        if (i > 0) putchar(',');
        print_latency(o->commands[i].name, &r->latency[i]);
    }
    printf("],\"error\":");
    print_text(r->error);
    printf("}\n");
}

int main(int argc, char **argv)
{
    static struct arguments a = {
        .run = {.port = 6379, .connections = 1, .timeout_s = 60, .stop = &stop},
        .defaults = {.keys = 100000, .data = 64}};
    static struct run_result result;
    static const struct argp argp = {options,
                                     parse,
                                     "-- COMMAND [ARG...] [';' COMMAND [ARG...]]...",
                                     "Sends commands to a Redis server and measures the answers.",
                                     NULL,
                                     NULL,
                                     NULL};
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
    if (a.run.pipeline == 0) a.run.pipeline = a.run.rate > 0 ? OPEN_LOOP_PIPELINE : 1;
    const char *wrong = add_commands(&a);
    if (wrong == NULL) wrong = check(&a.run);
    if (wrong != NULL) {
        fprintf(stderr, "load: %s\n", wrong);
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    bool good = run(&a.run, &result);
    print_result(&a.run, &result);
    if (!good) fprintf(stderr, "load: %s\n", result.error);
    for (unsigned i = 0; i < a.run.command_count; i++) command_fini(&a.run.commands[i]);
    return good ? 0 : 1;
}
