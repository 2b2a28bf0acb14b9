/* The broker as its server sees it: sessions in, commands in, bytes out by the sessions' outboxes.
 * No socket, no clock of its own. One thread, the one that made it. */
#ifndef LEAT_BROKER_BROKER_H
#define LEAT_BROKER_BROKER_H

#include "broker/session.h"
#include "broker/settings.h"

struct broker;
struct journal;
struct file_layer; /* log/file.h */

struct broker_options {
    const struct settings *settings; /* copied; CONFIG SET changes the copy */
    int64_t (*now_us)(void);         /* Unix time */
    int64_t (*monotonic_us)(void);
    /* CONFIG SET of a setting that the server itself must act on; may be NULL. */
    void (*on_setting)(void *arg, const char *name);
    /* SHUTDOWN: the server stops cleanly. */
    void (*on_shutdown)(void *arg);
    void *arg;
    /* What all data is read and written through; outlives the broker. NULL: the real one. */
    const struct file_layer *files;
};

/* Takes the directory. NULL with *ret_error (mem_free it) when it cannot. The broker is *loading*
 * then: it runs commands, but refuses those that need data. */
struct broker *broker_new(const struct broker_options *options, char **ret_error);
/* Loads the data: 0, or negative with *ret_error. May take long, and may run on a thread of its own
 * beside the broker's. broker_load_stop() ends it early; any thread. */
int broker_load(struct broker *b, char **ret_error);
void broker_load_stop(struct broker *b);
/* broker_load() has succeeded and its thread is gone: from now on everything is served. */
void broker_loaded(struct broker *b);
bool broker_is_loading(const struct broker *b);
/* Closes the journal; sessions must be closed before. */
void broker_free(struct broker *b);
struct journal *broker_journal(struct broker *b);
struct settings *broker_settings(struct broker *b);

/* Strangers can connect: CONFIG SET may not take the password away. */
void broker_need_password(struct broker *b);

/* The session is the broker's; its outbox is filled by the broker and emptied by the server. */
struct session *broker_session_open(struct broker *b, const struct session_port *port, void *owner,
                                    void (*on_dirty)(void *owner), int fd, const char *address,
                                    const char *local, unsigned flags);
/* The peer is gone: from now on nothing is delivered to the session or run for it. */
void broker_session_hangup(struct broker *b, struct session *s);
void broker_session_close(struct broker *b, struct session *s);

/* What became of a command that was fed. */
enum broker_progress {
    BROKER_DONE,  /* go on with the next one */
    BROKER_STOP,  /* done, or under way: feed nothing more until port->resume (blocked, closing) */
    BROKER_RETRY, /* not taken (CLIENT PAUSE): feed the same one again after port->resume */
};

/* Runs one command; argv lives until the return. The reply is in the outbox, gated. */
enum broker_progress broker_exec(struct broker *b, struct session *s, size_t argc,
                                 const struct bytes *argv);
/* Asks memory for what a command that is about to run will look up under `name`, and answers the
 * hash for the second round, some time later. Changes nothing. */
uint64_t broker_prefetch(struct broker *b, const struct session *s, struct bytes name);
void broker_prefetch_key(struct broker *b, const struct session *s, uint64_t hash);
/* A protocol error: replies it and closes after it. */
void broker_protocol_error(struct broker *b, struct session *s, const char *text);

/* Begin and end of a loop turn: takes the time; runs what is due (expiry within its budget, block
 * timeouts, woken clients); hands the journal what was gathered. */
void broker_turn_begin(struct broker *b);
void broker_turn_end(struct broker *b);
/* Marks as dirty the outboxes of those for whom something was published. */
void broker_spread(struct broker *b);
/* To be told when output waits for a session; `full`: its socket takes no more. What is durable may
 * be given back then, or the session closed. Returns how much of the rest no limit is to count. */
size_t broker_check_output(struct broker *b, struct session *s, bool full);
/* Bytes published and not yet spread. */
size_t broker_unspread_bytes(const struct broker *b);
/* Bytes of messages handed to subscribers, ever. */
uint64_t broker_delivered_bytes(const struct broker *b);
/* After the turn's output has left: what nobody waits for, for some microseconds. `idle`: nothing
 * happened in the turn. */
void broker_background(struct broker *b, bool idle);
/* Milliseconds until broker_turn_begin has something to do by itself; -1: never. */
int64_t broker_next_due_ms(const struct broker *b);

/* More waits for the disk than should: stop reading from those who write. */
bool broker_is_full(const struct broker *b);

/* Unix time of this turn, in ms. */
int64_t broker_now_ms(const struct broker *b);
/* For INFO: what the server saw. */
void broker_count_input(struct broker *b, size_t bytes);
void broker_count_output(struct broker *b, size_t bytes);
void broker_count_rejected(struct broker *b);
void broker_count_output_limit(struct broker *b); /* closed, since its output was over */

#endif
