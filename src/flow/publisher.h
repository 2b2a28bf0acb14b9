/* Publishes messages in order over one connection, and keeps each until it has an answer: what was
 * under way when a connection broke is published again (at least once). A closed publisher only
 * gathers. One thread. */
#ifndef LEAT_FLOW_PUBLISHER_H
#define LEAT_FLOW_PUBLISHER_H

#include "base/bytes.h"

struct flow_runner_options;
struct publisher;

/* Begins closed. `on_progress` is called when there is less unanswered than before. NULL when the
 * connection cannot even be begun. `runner` outlives it. */
struct publisher *publisher_new(const struct flow_runner_options *runner, const char *name,
                                void (*on_progress)(void *arg), void *arg);
void publisher_free(struct publisher *p);
void publisher_set_open(struct publisher *p, bool open);
/* Copies the message; `channel` outlives the publisher. A control message is not counted. */
void publisher_send(struct publisher *p, const char *channel, struct bytes message, bool control);

struct publisher_status {
    size_t waiting;       /* messages without an answer */
    uint64_t published;   /* answered */
    uint64_t republished; /* sent once more */
    uint64_t errors;      /* refused by the broker, and lost with that; broken connections */
    const char *last_error;
};
void publisher_status(const struct publisher *p, struct publisher_status *ret);

#endif
