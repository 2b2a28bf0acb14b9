/* One command under way, as its handler sees it: arguments in, reply and effects out. */
#ifndef LEAT_BROKER_CALL_H
#define LEAT_BROKER_CALL_H

#include "base/arena.h"
#include "base/hash.h"
#include "broker/command.h"
#include "broker/effects.h"
#include "broker/session.h"
#include "resp/writer.h"

struct broker;

struct call {
    struct broker *broker;
    struct session *session;
    const struct command *cmd; /* the subcommand where there is one */
    const struct command *top; /* the command itself */
    size_t reply_start;        /* where in the output this command's reply begins */
    size_t own_start;          /* the same; inside EXEC, that of the one of its commands */
    size_t argc;               /* with the command's name */
    const struct bytes *argv;  /* live until the effects are drained */
    struct resp_writer *reply;
    struct buf *unheard; /* where replies go while the session has them switched off */
    struct effects *fx;
    struct keyspace *ks;
    struct arena *arena; /* until the end of the turn */
    int db;              /* the session's */
    int64_t now_ms;      /* Unix time, the same for the whole call (and for a whole EXEC) */
    bool in_exec;        /* inside EXEC: nothing may block */
    struct bytes hashed; /* the name call_hash() saw last, and its hash */
    uint64_t hash;
};

/* hash_bytes(name), remembered: a look-up and the change after it need the same one. */
static inline uint64_t call_hash(struct call *c, struct bytes name)
{
    if (c->hashed.data != name.data || c->hashed.len != name.len || name.data == NULL) {
        c->hashed = name;
        c->hash = hash_bytes(name);
    }
    return c->hash;
}

/* ---- Reading ---- */

/* The key, or NULL when it is absent or expired. The reply will wait for the key's last write. */
struct key *call_read(struct call *c, struct bytes name);
struct key *call_read_in(struct call *c, int db, struct bytes name);
/* The same, and it does not count as used: EXISTS, TYPE, TTL. */
struct key *call_look(struct call *c, struct bytes name);
/* Without any trace: no touch, no figures, no event. For OBJECT and its like. */
struct key *call_peek(struct call *c, struct bytes name);
/* The same before a write: an expired key is deleted first, as an effect of its own. */
struct key *call_write(struct call *c, struct bytes name);
struct key *call_write_in(struct call *c, int db, struct bytes name);
/* False, with WRONGTYPE replied, when the key is of another type; else *ret_key may be NULL. */
bool call_read_typed(struct call *c, struct bytes name, enum key_type type, struct key **ret_key);
bool call_write_typed(struct call *c, struct bytes name, enum key_type type, struct key **ret_key);
/* Of a command that answers what it then overwrites: the key counts as read, too. */
void call_count_read(struct call *c, const struct key *k, struct bytes name);
/* The reply depends on everything written so far (KEYS, SCAN, DBSIZE, RANDOMKEY). */
void call_depends_on_all(struct call *c);

/* ---- Arguments; each replies the error and returns false when it does not fit ---- */

bool call_int(struct call *c, struct bytes arg, int64_t *ret); /* "value is not an integer ..." */
/* A database by its number; the range is checked in two steps, each with its own error. */
bool call_db(struct call *c, struct bytes arg, int *ret);
bool call_int_range(struct call *c, struct bytes arg, int64_t min, int64_t max, const char *error,
                    int64_t *ret);
/* A count whose sign means something: it can be turned round. */
bool call_count(struct call *c, struct bytes arg, int64_t *ret);
bool call_double(struct call *c, struct bytes arg, double *ret); /* "value is not a valid float" */

/* ---- Replies without a natural end ---- */

/* True when the reply has grown beyond a gigabyte (BROKER_REPLY_BYTES_MAX), as MGET of one key a
 * million times or a random draw of billions can: the connection is closed, and the handler is to
 * stop. */
bool call_reply_is_full(struct call *c);

/* ---- Common errors ---- */

void call_error_syntax(struct call *c);
void call_error_wrong_type(struct call *c);
void call_error_arity(struct call *c);
void call_error_loading(struct call *c);
/* Replies an array of simple strings: what SUBCOMMAND HELP answers. `lines` ends with NULL. */
void call_help(struct call *c, const char *const *lines);

/* ---- Changing: every function records what it did, for journal, WATCH and wake-ups. Events are
 * the handler's: call_event() in the order Redis sends them. ---- */

void call_event(struct call *c, enum notify_class class, const char *event, struct bytes name);
void call_event_in(struct call *c, int db, enum notify_class class, const char *event,
                   struct bytes name);

/* Removes the key (no event). */
void change_delete(struct call *c, int db, struct key *k);
void change_expire_at(struct call *c, int db, struct key *k, int64_t at_ms);
/* Targets must be absent (change_delete them first). */
struct key *change_rename(struct call *c, int db, struct key *k, int to_db, struct bytes to_name);
struct key *change_copy(struct call *c, int db, const struct key *k, int to_db,
                        struct bytes to_name);
void change_flush(struct call *c, int db);
void change_swap(struct call *c, int a, int b);

/* Overwrites or creates; a key of another type is replaced. `keep_expiry` or it is taken away. */
struct key *change_string_set(struct call *c, struct key *k, struct bytes name, struct bytes value,
                              bool keep_expiry);
/* k is a string, or NULL: created. */
struct key *change_string_write(struct call *c, struct key *k, struct bytes name, size_t offset,
                                struct bytes value);

/* Journal space for records whose size the arguments do not tell (the result of a *STORE, members
 * that are drawn): `bytes` on top of what was admitted by them. False with the error replied.
 * Before anything is changed. */
bool call_admit(struct call *c, size_t bytes);

/* Marks a key as changed where no change_* function does (none should need it). */
void call_changed(struct call *c, int db, struct bytes name);
/* The same for what breaks no WATCH: groups of a stream. */
void call_noted(struct call *c, int db, struct bytes name);

/* ---- Blocking ---- */

/* Parks the session until one of the keys holds something of `type` (then the handler runs again,
 * from the start, with the same arguments) or `timeout_ms` from now is over (0: never), when
 * `on_timeout` writes the reply. Nothing may have been replied. Inside EXEC nothing blocks: where
 * c->in_exec, reply at once as if the time were over. */
void call_block(struct call *c, const struct bytes *names, size_t count, enum key_type type,
                int64_t timeout_ms, void (*on_timeout)(struct call *c));
/* A null array: what most reply then. */
void call_reply_nothing(struct call *c);
/* Called right behind call_block(): the handler also runs again when one of the keys is deleted or
 * becomes of another type (XREADGROUP, whose group has gone then). */
void call_block_while_there(struct call *c);
/* Likewise: the handler also runs again at that time, unless it was served before. INT64_MAX: not
 * for the time's sake. */
void call_block_until(struct call *c, int64_t at_ms);

/* What a function of keys/stream.h answered: -EAGAIN. Parks the session until more has been read
 * from disk, then the handler runs again from the start. Nothing may have been replied or changed.
 * Never inside EXEC: there streams wait for the disk by themselves. */
void call_await_load(struct call *c);
/* Another negative answer of theirs: replies what is wrong. */
void call_error_load(struct call *c, int error);

#endif
