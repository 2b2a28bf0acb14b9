/* The broker's own insides, for exec.c, session.c, blocked.c, client and server commands: not for
 * the command families, which see call.h. */
#ifndef LEAT_BROKER_INTERNAL_H
#define LEAT_BROKER_INTERNAL_H

#include "base/arena.h"
#include "base/rand.h"
#include "broker/broker.h"
#include "broker/call.h"
#include "broker/effects.h"
#include "broker/load.h"
#include "broker/slowlog.h"
#include "broker/snapshot.h"
#include "keys/stream_store.h"
#include "log/chunks.h"
#include "log/journal.h"

/* The Redis whose replies these are: what INFO and HELLO say. */
#define REDIS_VERSION "7.2.4"

/* So many that the writes under way seldom share a slot with a key that somebody reads: 50 clients
 * with 32 each hold up one read of a quiet key in 650. */
enum { POSITION_SLOTS = 1 << 20, BROKER_REPLY_BYTES_MAX = 1 << 30 };

struct durable;

struct command_stats {
    uint64_t calls, usec, rejected, failed;
};

struct broker {
    struct broker_options options;
    struct settings settings;
    struct journal *journal;
    struct chunks *chunks;        /* of the streams */
    struct stream_store *streams; /* the keyspace's */
    struct keyspace *ks;
    struct hub *hub;
    struct durable *durable; /* channels and subscribers that are, see durable.h */
    struct effects fx;
    struct arena arena;
    struct rng rng;
    bool loading;
    struct load load;
    struct snapshots *snapshots;
    struct retention *retention;

    bool needs_password; /* somebody but the machine's own users can connect */

    int64_t now_ms; /* Unix time of this turn */
    int64_t now_us;
    int64_t mono_us; /* monotonic, after the last command */
    int64_t started_ms;
    int64_t cached_clock_s;

    /* (db, key) hashed -> position of its last write; what a read of it waits for. */
    uint64_t *positions;
    uint64_t all_position; /* of the last write that concerned every key */

    struct session *first_session, *last_session;
    uint64_t next_session_id;
    size_t session_count, monitor_count, blocked_count, watching_count;
    struct session *current; /* whose command runs */
    struct session *monitors;

    struct map watched;               /* of struct watched_key lists, see watch.c */
    struct blocked_registry *blocked; /* see blocked.c */

    /* CLIENT PAUSE */
    int64_t pause_until_ms;
    bool pause_writes_only;
    int64_t expire_not_before_ms; /* the journal had no room for it */

    /* Figures for INFO */
    struct command_stats *stats; /* by command_index */
    uint64_t commands_processed, connections_received, expired_keys, keyspace_hits, keyspace_misses,
        rejected_connections, output_limit_closes, net_input, net_output, reads, writes,
        errors_replied, unexpected_errors;
    struct map error_stats; /* of struct error_stat: code -> count */
    int64_t ops_samples[16];
    int64_t ops_last_ms;
    uint64_t ops_last_count, net_in_last, net_out_last;
    int ops_index;
    int64_t in_samples[16], out_samples[16];
    struct slowlog slowlog;
    size_t reply_bytes_max; /* see call_reply_is_full() */
    char run_id[41];
    size_t admitted_rest;     /* what the commands of this EXEC behind the current one may take */
    uint64_t dirty_records;   /* commands that changed something since the start */
    struct blocked *retrying; /* the block whose command runs again, see blocked.c */
    bool still_blocked;
};

/* exec.c */
/* Everything a handler did becomes visible, in the one fixed order; fx.depends is kept. `s` is
 * NULL for the broker's own doings. */
void broker_drain(struct broker *b, struct session *s);
/* Runs one checked command: handler, statistics, monitors, drain. */
void broker_run(struct call *c);
/* Runs a command (again) outside of broker_exec: reply gated and all. */
void broker_run_alone(struct broker *b, struct session *s, const struct command *cmd,
                      const struct command *top, size_t argc, const struct bytes *argv,
                      void (*fn)(struct call *c));

/* The position, or 0 when nothing has to wait for it any more. */
static inline uint64_t broker_uncovered(const struct broker *b, uint64_t position)
{
    return position > journal_covered(b->journal) ? position : 0;
}

/* The slot of a key in `positions`. */
static inline uint64_t *broker_position(struct broker *b, int db, uint64_t hash)
{
    return &b->positions[(hash ^ (uint64_t)db * 0x9e3779b97f4a7c15u) & (POSITION_SLOTS - 1)];
}

/* multi.c */
void session_discard(struct session *s); /* forgets the queue and leaves MULTI */
void session_queue(struct session *s, const struct command *cmd, const struct command *top,
                   size_t argc, const struct bytes *argv);
void queued_command_init(struct queued_command *q, const struct command *cmd,
                         const struct command *top, size_t argc, const struct bytes *argv);
void queued_command_fini(struct queued_command *q);
/* watch.c */
void watch_init(struct broker *b);
void watch_fini(struct broker *b);
void watch_add(struct broker *b, struct session *s, int db, struct bytes name, bool expired);
void watch_clear(struct broker *b, struct session *s);
void watch_touch(struct broker *b, int db, struct bytes name);
/* A database is about to become what database `by` is, or empty (-1). */
void watch_replace_db(struct broker *b, int db, int by);
bool watch_expired(struct broker *b, struct session *s);

/* monitor.c */
void monitor_join(struct broker *b, struct session *s);
void monitor_leave(struct broker *b, struct session *s); /* also when it is none */
void monitor_feed(struct broker *b, struct session *s, size_t argc, const struct bytes *argv);

/* blocked.c */
struct blocked_registry *blocked_new(void);
void blocked_free(struct blocked_registry *r);
/* A key got something: whoever waits for it will be served at the end of this command. */
void blocked_signal(struct broker *b, int db, struct bytes name);
void blocked_signal_all(struct broker *b); /* any key may have */
/* A key has changed, all may have: where it has gone and somebody wants to hear that. */
void blocked_signal_if_gone(struct broker *b, int db, struct bytes name);
void blocked_signal_all_gone(struct broker *b);
void blocked_serve(struct broker *b);
/* Runs what waits for no key again when the journal has synced more. */
void blocked_look_at_journal(struct broker *b);
/* Runs again what waits for entries that had to be read from disk, when some have come. */
void blocked_look_at_loads(struct broker *b);
void blocked_timeouts(struct broker *b);
int64_t blocked_next_ms(const struct broker *b);
/* Ends a block without serving it; true when it was blocked. */
bool blocked_cancel(struct broker *b, struct session *s);
/* CLIENT UNBLOCK. */
bool blocked_unblock(struct broker *b, struct session *s, bool error);

/* cmd_client.c */
bool session_name_is_valid(struct bytes name);
void session_set_name(struct session *s, struct bytes name);

/* exec.c: replies go where the session now wants them; CLIENT REPLY may have changed it. */
void call_aim_reply(struct call *c);

/* call.c */
/* Writes past CLIENT REPLY OFF: confirmations of subscriptions, CLIENT REPLY ON, RESET. */
struct resp_writer call_reply_even_if_off(struct call *c);

/* session.c */
struct session *session_by_id(struct broker *b, uint64_t id);
void session_reset(struct broker *b, struct session *s); /* RESET */
void session_end(struct session *s, bool after_output);  /* asks the server to close */
/* It gave the password, or needs none. */
bool session_is_trusted(const struct session *s);
bool session_is_paused(const struct broker *b, const struct session *s, const struct command *cmd);

/* expire.c: deletes what is due, within a budget; true when more is due. */
bool broker_expire(struct broker *b, int64_t budget_us);
/* When it will have something to do; INT64_MAX: not as things are. */
int64_t broker_next_expiry_ms(const struct broker *b);

/* broker_metrics.c */
void broker_metrics_register(void);
void stream_metrics_register(void); /* called by the one above */
void stream_metrics_update(const struct broker *b);
void broker_metrics_update(const struct broker *b);

/* load.c: what the journal calls while it is replayed. */
int load_on_record(void *broker, struct bytes record, uint64_t position);
void load_on_progress(void *broker, uint64_t done, uint64_t total);
void load_on_torn(void *broker, const char *file, uint64_t offset, uint64_t len,
                  const char *saved_as);

/* broker.c */
void broker_unpause(struct broker *b);

/* info.c */
void broker_stats_init(struct broker *b);
void broker_stats_fini(struct broker *b);
void broker_info(struct broker *b, const struct bytes *sections, size_t count, struct buf *out);
void broker_info_persistence(struct broker *b, struct buf *out);
void broker_info_streams(struct broker *b, struct buf *out); /* its last fields */
void broker_sample(struct broker *b);
void broker_count_error(struct broker *b, struct bytes reply);
void broker_reset_stats(struct broker *b);

#endif
