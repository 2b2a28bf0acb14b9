/* Writes a view's counts: gathers them in a batch, sends one batch at a time as one transaction,
 * and settles its outcome before the next. While one is under way the next one fills, so the
 * busier it is the larger the batches.
 *
 *   open batch --end of the turn--> MULTI ... EXEC --+--> applied
 *        ^                               |           +--> refused: the same again, later
 *        +--- updates                    +- broken --+--> unknown: with a marker asked for, without
 *                                                         one sent again
 *
 * The marker is a key that each transaction sets to its own number. It is watched from before a
 * transaction until its end, so that an EXEC that a broken connection left behind cannot come
 * through once its number has been looked for: each batch is applied exactly once. One thread. */
#ifndef LEAT_FLOW_WRITER_H
#define LEAT_FLOW_WRITER_H

#include "flow/batch.h"

struct flow_runner_options;
struct leat_client;
struct writer;

struct writer_options {
    const struct flow_runner_options *runner; /* outlives the writer */
    const char *name;                         /* of the connection */
    const char *marker; /* key; NULL: none. Its value begins with `run`, which is unlike others' */
    const char *run;
    void (*on_begin)(void *arg);   /* the open batch goes out; a new, empty one is open */
    void (*on_applied)(void *arg); /* the one that went out is applied; its errors are counted */
    void *arg;
};

/* NULL when the connection cannot even be begun. Strings are copied. */
struct writer *writer_new(const struct writer_options *options);
void writer_free(struct writer *w);

/* The open batch; after adding to it, writer_flush_soon. */
struct batch *writer_open_batch(struct writer *w);
void writer_flush_soon(struct writer *w);
/* A batch has gone out and is not settled. */
bool writer_busy(const struct writer *w);
/* For other commands of the same view; owned by the writer. */
struct leat_client *writer_client(struct writer *w);

struct writer_status {
    uint64_t applied;       /* events */
    uint64_t errors;        /* error replies, refused transactions and unknown outcomes */
    uint64_t again;         /* batches sent again */
    const char *last_error; /* NULL for none; borrowed until the next turn of the loop */
};
void writer_status(const struct writer *w, struct writer_status *ret);
/* Counts an error of one of the other commands. */
void writer_note_error(struct writer *w, struct bytes text);

#endif
