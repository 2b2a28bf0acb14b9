/* Commands as data. Each family's file ends in its table; command_find() knows them all, and
 * COMMAND, `leat help` and docs/commands.md are made from them. */
#ifndef LEAT_BROKER_COMMAND_H
#define LEAT_BROKER_COMMAND_H

#include "base/bytes.h"

struct call;

/* Named as COMMAND INFO names them. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_FAST = 1 << 11,
    CMD_NO_AUTH = 1 << 12,
    CMD_MAY_REPLICATE = 1 << 13,
    CMD_NO_MULTI = 1 << 14,
    CMD_MOVABLE_KEYS = 1 << 15,
    CMD_ALLOW_BUSY = 1 << 16,
    CMD_SENTINEL = 1 << 17,
    CMD_NO_ASYNC_LOADING = 1 << 18,
    CMD_NO_MANDATORY_KEYS = 1 << 19,
    /* Ours, shown nowhere. */
    CMD_SHRINKS = 1 << 24, /* may use the journal's reserve, and memory beyond maxmemory */
};

enum command_acl { /* categories beside those that the flags and the family imply */
                   ACL_KEYSPACE = 1 << 0,
                   ACL_READ = 1 << 1,
                   ACL_WRITE = 1 << 2,
                   ACL_SET = 1 << 3,
                   ACL_SORTEDSET = 1 << 4,
                   ACL_LIST = 1 << 5,
                   ACL_HASH = 1 << 6,
                   ACL_STRING = 1 << 7,
                   ACL_BITMAP = 1 << 8,
                   ACL_HYPERLOGLOG = 1 << 9,
                   ACL_GEO = 1 << 10,
                   ACL_STREAM = 1 << 11,
                   ACL_PUBSUB = 1 << 12,
                   ACL_ADMIN = 1 << 13,
                   ACL_FAST = 1 << 14,
                   ACL_SLOW = 1 << 15,
                   ACL_BLOCKING = 1 << 16,
                   ACL_DANGEROUS = 1 << 17,
                   ACL_CONNECTION = 1 << 18,
                   ACL_TRANSACTION = 1 << 19,
                   ACL_SCRIPTING = 1 << 20,
};

/* Where the keys are. */
enum key_positions {
    KEYS_RANGE,    /* first, last, step as in COMMAND INFO */
    KEYS_NUMBERED, /* `first` is the index of a count that is followed by so many keys; a
                      destination key, if any, is at index 1 */
    KEYS_STREAMS,  /* behind the word STREAMS, looked for from index `first` on: the first half of
                      what follows, the other half are ids */
    KEYS_CHANNELS, /* a range of shard channels: shown as keys are, for a cluster's sake, but none
                    */
};

struct command {
    const char *name; /* lower case; of a subcommand: the subcommand alone */
    int arity;        /* as in COMMAND INFO: with the name; negative: at least */
    unsigned flags;
    int first_key, last_key, key_step; /* 0 when none */
    unsigned acl; /* beside @read/@write/@fast/@slow/@admin/@dangerous ..., which follow */
    const char *group, *since, *syntax, *summary;
    void (*handler)(struct call *c);   /* NULL: only subcommands */
    const struct command *subcommands; /* ends with a NULL name */
    enum key_positions key_positions;
    const char *complexity;
};

/* Every family's table ends with a NULL name. */
extern const struct command cmd_connection[], cmd_client[], cmd_server[], cmd_command[],
    cmd_config[], cmd_keys[], cmd_expire[], cmd_string[], cmd_list[], cmd_list_blocking[],
    cmd_hash[], cmd_set[], cmd_zset[], cmd_zset_range[], cmd_zset_ops[], cmd_multi[], cmd_persist[],
    cmd_pubsub[], cmd_blocking[], cmd_script[], cmd_stream[], cmd_stream_read[], cmd_stream_info[],
    cmd_stream_retain[], cmd_stream_idmp[], cmd_stream_refs[], cmd_group[], cmd_group_read[],
    cmd_group_pending[], cmd_group_claim[];

/* Any case. NULL when unknown. */
const struct command *command_find(struct bytes name);
const struct command *command_find_sub(const struct command *parent, struct bytes name);
/* Number of commands, and the i-th in the tables' order; command_index for counters beside it. */
size_t command_count(void);
const struct command *command_at(size_t i);
size_t command_index(const struct command *top_level);

/* The indexes of the keys among argv, at most `max` of them into `ret`; the number there are, or -1
 * when the arguments make no sense. */
int command_keys(const struct command *cmd, const struct bytes *argv, size_t argc, int *ret,
                 int max);
static inline bool command_arity_ok(const struct command *cmd, size_t argc)
{
    return cmd->arity >= 0 ? argc == (size_t)cmd->arity : argc >= (size_t)-cmd->arity;
}

#endif
