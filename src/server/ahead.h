/* Commands parsed ahead of their execution. Each look-up of a key waits for memory two or three
 * times; with a few commands known ahead, those waits overlap: all buckets are asked for, then all
 * keys, and by then the first have come. Only well-behaved pipelines of short commands are read
 * ahead; everything else goes one at a time. One thread. */
#ifndef LEAT_SERVER_AHEAD_H
#define LEAT_SERVER_AHEAD_H

#include "broker/broker.h"
#include "resp/request.h"

enum { AHEAD_COMMANDS = 16, AHEAD_ARGS = 8 };

struct ahead {
    size_t count;
    struct ahead_command {
        size_t used; /* bytes of the command */
        size_t argc;
        struct bytes argv[AHEAD_ARGS]; /* spans of the data */
        uint64_t hash;
    } commands[AHEAD_COMMANDS];
};

/* Parses commands from the start of `data` until one is incomplete, wrong or too long, or enough
 * are there. The parser is left at the start of a command, unless that one is incomplete and alone
 * (count 0): then it remembers how far it was. */
void ahead_parse(struct ahead *a, struct resp_request *r, const char *data, size_t len);
/* Asks memory for the keys of what was parsed. */
void ahead_prefetch(struct ahead *a, struct broker *b, const struct session *s);

#endif
