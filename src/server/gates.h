/* Two lines of connections whose output waits for the journal: those who wait for answers, and
 * subscribers. In each line the first to come is the first to be served. */
#ifndef LEAT_SERVER_GATES_H
#define LEAT_SERVER_GATES_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct server;

struct gate_line {
    struct conn *waiting;   /* the last to come first */
    struct conn *releasing; /* waited, and may go on; the first to come first */
    uint64_t tried;         /* what the journal covered when the line was last released */
};

struct gates {
    struct gate_line answers, members;
};

/* Puts the connection at the end of its line, if it stands in none. */
void gates_wait(struct server *s, struct conn *c);
/* Serves some of those for whom the journal is far enough. */
void gates_flush(struct server *s);
/* Is there somebody to be served now? */
bool gates_are_due(const struct server *s);
void gates_drop_dead(struct server *s);

#endif
