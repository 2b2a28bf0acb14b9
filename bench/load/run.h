/* One run of the load: connections that send commands and walk over the replies, on one thread.
 *
 * Without a rate each connection sends `pipeline` commands, waits for all their replies and sends
 * the next (closed loop, as redis-benchmark does). With a rate commands leave at their times
 * whatever the server does (open loop), until `pipeline` of a connection are unanswered; a command
 * held up by that counts from the time it was meant for, any other from when it was sent. */
#ifndef LEAT_BENCH_LOAD_RUN_H
#define LEAT_BENCH_LOAD_RUN_H

#include <signal.h>

#include "load/command.h"
#include "load/histogram.h"
#include "load/reply.h"

enum { RUN_COMMANDS_MAX = 4 };

struct run_options {
    int port;
    unsigned connections, pipeline;
    /* When a connection stops; what is 0 or false does not count: */
    uint64_t count;   /* commands of all connections together */
    double seconds;   /* time since the first command */
    uint64_t entries; /* entries that one connection has got */
    bool until_empty; /* a reply with nothing in it, and no stream left to walk to */
    double rate;      /* commands per second of all connections together; 0: closed loop */
    double timeout_s; /* nothing from the server for so long, while it owes replies, is an error */
    struct command commands[RUN_COMMANDS_MAX]; /* sent in turn by each connection */
    unsigned command_count;
    volatile sig_atomic_t *stop; /* set by a signal: send nothing more */
};

struct run_result {
    uint64_t sent, replies, entries, bytes_in;
    double seconds;      /* from the first command to the last reply */
    double busy_seconds; /* from the first reply to the last */
    struct histogram latency[RUN_COMMANDS_MAX];
    struct histogram late;           /* how much later than meant commands left, by our own fault */
    char error[REPLY_LINE_MAX + 32]; /* "" or why the run does not count */
};

/* True when all went well; otherwise ret->error says what did not. */
bool run(const struct run_options *o, struct run_result *ret);

#endif
