/* What the load generator (fanout.c) and the bare server (fanout_bare.c) share: the bytes. */
#ifndef LEAT_BENCH_FANOUT_H
#define LEAT_BENCH_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_BYTES = 8, READ_MAX = 1 << 20 };

struct options {
    const char *host;
    int port;
    int subscribers, depth, size, private_every;
    bool private_channels, resp3, bare;
    double seconds, warm_up;
    long pid;
};

/* Ends the program with a message; error 0: without a reason of the system's. */
void die(const char *what, int error) __attribute__((noreturn));
/* The message as a subscriber of `channel` gets it, mem: malloc. */
char *message_bytes(const struct options *o, const char *channel, size_t *ret_len);
/* Serves until it is killed. */
int run_bare(const struct options *o);

#endif
