/* All settings, as one struct and one table. The command line, the environment (LEAT_PORT ...), the
 * config file and CONFIG GET/SET all go through the table, so a setting is written down once.
 * Precedence: command line, environment, config file, default. */
#ifndef LEAT_BROKER_SETTINGS_H
#define LEAT_BROKER_SETTINGS_H

#include "base/buf.h"

struct settings {
    int64_t port;
    int64_t http;
    char *bind;
    char *dir;
    char *unixsocket;
    char *requirepass;
    int64_t sync;      /* enum journal_sync */
    int64_t loglevel;  /* enum log_level */
    int64_t databases; /* fixed at 16 */
    int64_t maxclients;
    int64_t maxmemory;
    int64_t timeout; /* seconds without a command; 0: never */
    int64_t tcp_keepalive;
    int64_t tcp_backlog;
    int64_t proto_max_bulk_len;
    int64_t client_query_buffer_limit;
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t list_max_listpack_size, list_compress_depth;
    int64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    int64_t stream_node_max_bytes, stream_node_max_entries;
    int64_t slowlog_log_slower_than, slowlog_max_len;
    int64_t hz;
    unsigned notify_keyspace_events;
    /* client-output-buffer-limit, per class: hard bytes, soft bytes, soft seconds. */
    struct output_limit {
        int64_t hard, soft, soft_s;
    } output_limits[3]; /* normal, replica, pubsub */
    int64_t segment_bytes;
    int64_t snapshot_growth_percent, snapshot_min_bytes, stream_memory, chunk_file_bytes;
    char *stream_retention;                                      /* see retention.h */
    char *durable, *durable_names, *durable_retention, *on_slow; /* see durable_settings.h */
    int64_t durable_window_bytes, durable_window_ms, durable_spill_bytes;
    int64_t durable_subscriber_expiry, durable_subscribers_max;
    char *maxmemory_policy; /* only noeviction */
    char *save;             /* "": for clients that ask */
    char *appendonly;       /* "yes": the journal is always on */
    char *appendfsync;      /* another name of `sync` */
};

enum setting_flag {
    SETTING_CLI = 1 << 0,       /* --name, LEAT_NAME */
    SETTING_IMMUTABLE = 1 << 1, /* CONFIG SET answers that it cannot be changed at runtime */
    SETTING_HIDDEN = 1 << 2,    /* secret: never logged */
    SETTING_FIXED = 1 << 3,     /* known to CONFIG GET; the only value it takes is the one it has */
};

struct setting {
    const char *name, *alias;
    const char *help;
    unsigned flags;
};

void settings_init(struct settings *s); /* the defaults */
void settings_fini(struct settings *s);
void settings_copy(struct settings *to, const struct settings *from);

size_t settings_count(void);
const struct setting *settings_at(size_t i);
/* NULL when there is none of that name (or alias), in any case. */
const struct setting *settings_find(struct bytes name);
/* -1 with the reason ("argument must be between 0 and 65535 inclusive") in `error`. */
int settings_set(struct settings *s, const struct setting *setting, struct bytes value,
                 struct buf *error);
/* "64mb", "1gb", "1000". */
bool settings_parse_memory(struct bytes value, int64_t *ret);
/* The value as CONFIG GET shows it, appended to `out`. */
void settings_get(const struct settings *s, const struct setting *setting, struct buf *out);

/* Reads a file of `name value` lines ('#' comments, quoted values as in redis.conf). On failure -1,
 * one line per error in `errors`: file:line: what, and the remedy. */
int settings_load_file(struct settings *s, const char *path, struct buf *errors);
/* Takes LEAT_<NAME> for every SETTING_CLI setting. */
int settings_load_environment(struct settings *s, struct buf *errors);

#endif
