/* Keys of any type: deleting, renaming, copying, moving, listing, asking about. */
#include "base/num.h"
#include "broker/internal.h"
#include "broker/scan.h"

/* ---- Deleting and counting ---- */

static void del(struct call *c)
{
    int64_t n = 0;
    for (size_t i = 1; i < c->argc; i++) {
        struct key *k = call_write(c, c->argv[i]);
        if (k == NULL) continue;
        change_delete(c, c->db, k);
        call_event(c, NOTIFY_GENERIC, "del", c->argv[i]);
        n++;
    }
    resp_int(c->reply, n);
}

static void exists(struct call *c)
{
    int64_t n = 0;
    for (size_t i = 1; i < c->argc; i++) n += call_look(c, c->argv[i]) != NULL;
    resp_int(c->reply, n);
}

static void touch(struct call *c)
{
    int64_t n = 0;
    for (size_t i = 1; i < c->argc; i++) {
        struct key *k = call_read(c, c->argv[i]);
        if (k == NULL) continue;
        k->accessed_s = (uint32_t)(c->now_ms / 1000); /* also under CLIENT NO-TOUCH */
        n++;
    }
    resp_int(c->reply, n);
}

static void type(struct call *c)
{
    struct key *k = call_look(c, c->argv[1]);
    resp_simple(c->reply, k == NULL ? "none" : key_type_name(k->type));
}

/* ---- Renaming, copying, moving ---- */

static void delete_target(struct call *c, int db, struct bytes name)
{
    struct key *k = call_write_in(c, db, name);
    if (k == NULL) return;
    change_delete(c, db, k);
}

static void rename_generic(struct call *c, bool only_new)
{
    struct bytes from = c->argv[1], to = c->argv[2];
    struct key *k = call_write(c, from);
    if (k == NULL) {
        resp_error(c->reply, "ERR no such key");
        return;
    }
    bool same = bytes_eq(from, to);
    if (only_new && (same || call_write(c, to) != NULL)) {
        resp_int(c->reply, 0);
        return;
    }
    if (!same) {
        delete_target(c, c->db, to);
        change_rename(c, c->db, k, c->db, to);
        call_event(c, NOTIFY_NEW, "new", to);
        call_event(c, NOTIFY_GENERIC, "rename_from", from);
        call_event(c, NOTIFY_GENERIC, "rename_to", to);
    }
    if (only_new) resp_int(c->reply, 1);
    else resp_simple(c->reply, "OK");
}

static void rename_key(struct call *c)
{
    rename_generic(c, false);
}

static void renamenx(struct call *c)
{
    rename_generic(c, true);
}

static void move(struct call *c)
{
    int to_db;
    if (!call_db(c, c->argv[2], &to_db)) return;
    if (to_db == c->db) {
        resp_error(c->reply, "ERR source and destination objects are the same");
        return;
    }
    struct key *k = call_write(c, c->argv[1]);
    if (k == NULL || call_write_in(c, to_db, c->argv[1]) != NULL) {
        resp_int(c->reply, 0);
        return;
    }
    change_rename(c, c->db, k, to_db, c->argv[1]);
    call_event_in(c, to_db, NOTIFY_NEW, "new", c->argv[1]);
    call_event(c, NOTIFY_GENERIC, "move_from", c->argv[1]);
    call_event_in(c, to_db, NOTIFY_GENERIC, "move_to", c->argv[1]);
    resp_int(c->reply, 1);
}

static bool parse_copy(struct call *c, int *ret_db, bool *ret_replace)
{
    for (size_t i = 3; i < c->argc; i++) {
        if (bytes_is_word(c->argv[i], "replace")) {
            *ret_replace = true;
        } else if (bytes_is_word(c->argv[i], "db") && i + 1 < c->argc) {
            if (!call_db(c, c->argv[++i], ret_db)) return false;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static void copy(struct call *c)
{
    int to_db = c->db;
    bool replace = false;
    struct bytes from = c->argv[1], to = c->argv[2];
    if (!parse_copy(c, &to_db, &replace)) return;
    if (to_db == c->db && bytes_eq(from, to)) {
        resp_error(c->reply, "ERR source and destination objects are the same");
        return;
    }
    struct key *k = call_read(c, from);
    if (k == NULL || (!replace && call_write_in(c, to_db, to) != NULL)) {
        resp_int(c->reply, 0);
        return;
    }
    delete_target(c, to_db, to);
    change_copy(c, c->db, k, to_db, to);
    call_event_in(c, to_db, NOTIFY_NEW, "new", to);
    call_event_in(c, to_db, NOTIFY_GENERIC, "copy_to", to);
    resp_int(c->reply, 1);
}

/* ---- Listing ---- */

static void keys(struct call *c)
{
    struct map_iter it;
    struct key *k;
    size_t place = resp_defer(c->reply), n = 0;
    bool all = bytes_eq(c->argv[1], BYTES("*"));
    call_depends_on_all(c);
    map_iter_init(&it, keyspace_map(c->ks, c->db));
    while ((k = map_iter_next(&it)) != NULL) {
        if (key_is_expired(k, c->now_ms)) continue;
        if (!all && !bytes_match_glob(c->argv[1], key_name(k), false)) continue;
        resp_bulk(c->reply, key_name(k));
        n++;
    }
    map_iter_fini(&it);
    resp_defer_array(c->reply, place, n);
}

static void scan(struct call *c)
{
    struct scan s;
    if (!scan_parse(c, 1, true, &s)) return;
    call_depends_on_all(c);
    scan_table(&s, keyspace_map(c->ks, c->db));
    scan_reply_head(c, &s);
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; i < s.item_count; i++) {
        struct key *k = s.items[i];
        if (key_is_expired(k, c->now_ms) || !scan_matches(&s, key_name(k))) continue;
        if (s.type.data != NULL && !bytes_is_word(s.type, key_type_name(k->type))) continue;
        resp_bulk(c->reply, key_name(k));
        n++;
    }
    resp_defer_array(c->reply, place, n);
    scan_fini(&s);
}

static void randomkey(struct call *c)
{
    enum { TRIES = 100 };
    call_depends_on_all(c);
    for (int i = 0; i < TRIES; i++) {
        struct key *k = keyspace_random(c->ks, c->db, &c->broker->rng);
        if (k == NULL) break;
        if (key_is_expired(k, c->now_ms)) continue;
        resp_bulk(c->reply, key_name(k));
        return;
    }
    resp_null(c->reply);
}

/* ---- OBJECT ---- */

/* Looks without touching: IDLETIME must not reset itself. */
static struct key *object_key(struct call *c)
{
    struct key *k = call_peek(c, c->argv[2]);
    if (k == NULL) resp_null(c->reply);
    return k;
}

static void object_encoding(struct call *c)
{
    struct key *k = object_key(c);
    if (k != NULL) resp_bulk_str(c->reply, key_encoding_name(k->encoding));
}

static void object_refcount(struct call *c)
{
    if (object_key(c) != NULL) resp_int(c->reply, 1);
}

static void object_idletime(struct call *c)
{
    struct key *k = object_key(c);
    if (k != NULL) resp_int(c->reply, c->now_ms / 1000 - (int64_t)k->accessed_s);
}

static void object_freq(struct call *c)
{
    if (object_key(c) != NULL)
        resp_error(c->reply,
                   "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                   "Please note that when switching between policies at runtime LRU and LFU data "
                   "will take some time to adjust.");
}

static void object_help(struct call *c)
{
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

/* ---- WAIT, WAITAOF: there are no replicas; the local journal is what can be waited for ---- */

static void reply_no_replicas(struct call *c)
{
    resp_int(c->reply, 0);
}

static bool parse_wait(struct call *c, size_t at, int64_t *ret_ms)
{
    if (!num_parse_i64(c->argv[at], ret_ms)) {
        resp_error(c->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (*ret_ms < 0) resp_error(c->reply, "ERR timeout is negative");
    return *ret_ms >= 0;
}

static void wait_replicas(struct call *c)
{
    int64_t replicas, timeout_ms;
    if (!call_int(c, c->argv[1], &replicas) || !parse_wait(c, 2, &timeout_ms)) return;
    if (replicas <= 0 || c->in_exec) reply_no_replicas(c);
    else call_block(c, NULL, 0, KEY_STRING, timeout_ms, reply_no_replicas);
}

static void reply_aof(struct call *c)
{
    resp_array(c->reply, 2);
    resp_int(c->reply, journal_synced(c->broker->journal) >= c->session->last_write);
    resp_int(c->reply, 0);
}

/* Under `always` the reply itself is held until the write is synced: by then it is true. */
static void reply_aof_when_synced(struct call *c)
{
    if (c->session->last_write > c->fx->depends) c->fx->depends = c->session->last_write;
    resp_array(c->reply, 2);
    resp_int(c->reply, 1);
    resp_int(c->reply, 0);
}

static void wait_for_sync(struct call *c, bool local, bool replicas, int64_t timeout_ms)
{
    struct broker *b = c->broker;
    uint64_t last = c->session->last_write;
    bool synced = !local || journal_synced(b->journal) >= last;
    if (!synced && b->settings.sync == JOURNAL_SYNC_NO) journal_want_sync(b->journal, last);
    if (local && !replicas && b->settings.sync == JOURNAL_SYNC_ALWAYS) reply_aof_when_synced(c);
    else if ((synced && !replicas) || c->in_exec) reply_aof(c);
    else call_block(c, NULL, 0, KEY_STRING, timeout_ms, reply_aof);
}

static void waitaof(struct call *c)
{
    int64_t local, replicas, timeout_ms;
    if (!call_int_range(c, c->argv[1], 0, 1, "ERR value is out of range, must be between 0 and 1",
                        &local) ||
        !call_int_range(c, c->argv[2], 0, INT64_MAX, "ERR value is out of range, must be positive",
                        &replicas) ||
        !parse_wait(c, 3, &timeout_ms))
        return;
    wait_for_sync(c, local == 1, replicas > 0, timeout_ms);
}

#define ONE_KEY                                                                                    \
    .first_key = 1, .last_key = 1, .key_step = 1, .acl = ACL_KEYSPACE, .group = "generic"
#define ALL_KEYS                                                                                   \
    .first_key = 1, .last_key = -1, .key_step = 1, .acl = ACL_KEYSPACE, .group = "generic"
#define TWO_KEYS                                                                                   \
    .first_key = 1, .last_key = 2, .key_step = 1, .acl = ACL_KEYSPACE, .group = "generic"
#define NO_KEYS .acl = ACL_KEYSPACE, .group = "generic"
#define OBJECT_KEY                                                                                 \
    .first_key = 2, .last_key = 2, .key_step = 1, .acl = ACL_KEYSPACE, .group = "generic"

/* clang-format off */
static const struct command object_subcommands[] = {
    {.name = "encoding", .arity = 3, .flags = CMD_READONLY, OBJECT_KEY, .since = "2.2.3",
     .syntax = "OBJECT ENCODING key", .summary = "Answers how a value is represented.",
     .handler = object_encoding, .complexity = "O(1)"},
    {.name = "freq", .arity = 3, .flags = CMD_READONLY, OBJECT_KEY, .since = "4.0.0",
     .syntax = "OBJECT FREQ key", .summary = "An error: access frequencies are not kept.",
     .handler = object_freq, .complexity = "O(1)"},
    {.name = "idletime", .arity = 3, .flags = CMD_READONLY, OBJECT_KEY, .since = "2.2.3",
     .syntax = "OBJECT IDLETIME key", .summary = "Answers the seconds since the last access.",
     .handler = object_idletime, .complexity = "O(1)"},
    {.name = "refcount", .arity = 3, .flags = CMD_READONLY, OBJECT_KEY, .since = "2.2.3",
     .syntax = "OBJECT REFCOUNT key", .summary = "Always 1: values are not shared.",
     .handler = object_refcount, .complexity = "O(1)"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, .acl = ACL_KEYSPACE,
     .group = "generic", .since = "6.2.0", .syntax = "OBJECT HELP",
     .summary = "Explains the subcommands.", .handler = object_help, .complexity = "O(1)"},
    {.name = NULL},
};

const struct command cmd_keys[] = {
    {.name = "copy", .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM, TWO_KEYS, .since = "6.2.0",
     .syntax = "COPY source destination [DB destination-db] [REPLACE]",
     .summary = "Copies a key with its value and expiry.", .handler = copy,
     .complexity = "O(N) in the size of the value"},
    {.name = "del", .arity = -2, .flags = CMD_WRITE | CMD_SHRINKS, ALL_KEYS, .since = "1.0.0",
     .syntax = "DEL key [key ...]", .summary = "Deletes keys; answers how many there were.",
     .handler = del, .complexity = "O(N) in keys"},
    {.name = "exists", .arity = -2, .flags = CMD_READONLY | CMD_FAST, ALL_KEYS, .since = "1.0.0",
     .syntax = "EXISTS key [key ...]", .summary = "Counts which of these keys exist.",
     .handler = exists, .complexity = "O(N) in keys"},
    {.name = "keys", .arity = 2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .group = "generic", .since = "1.0.0", .syntax = "KEYS pattern",
     .summary = "Lists the keys that match a pattern; looks at all of them, in one go.",
     .handler = keys, .complexity = "O(N) in keys of the database"},
    {.name = "move", .arity = 3, .flags = CMD_WRITE | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "MOVE key db", .summary = "Moves a key to another database.", .handler = move,
     .complexity = "O(1)"},
    {.name = "object", .arity = -2, .group = "generic", .since = "2.2.3",
     .syntax = "OBJECT subcommand [argument ...]", .summary = "Asks how a value is kept.",
     .subcommands = object_subcommands, .complexity = "Depends on the subcommand"},
    {.name = "randomkey", .arity = 1, .flags = CMD_READONLY, NO_KEYS, .since = "1.0.0",
     .syntax = "RANDOMKEY", .summary = "Answers any key of the database.", .handler = randomkey,
     .complexity = "O(1)"},
    {.name = "rename", .arity = 3, .flags = CMD_WRITE, TWO_KEYS, .since = "1.0.0",
     .syntax = "RENAME key newkey", .summary = "Renames a key, over another if need be.",
     .handler = rename_key, .complexity = "O(1)"},
    {.name = "renamenx", .arity = 3, .flags = CMD_WRITE | CMD_FAST, TWO_KEYS, .since = "1.0.0",
     .syntax = "RENAMENX key newkey", .summary = "Renames a key if the new name is free.",
     .handler = renamenx, .complexity = "O(1)"},
    {.name = "scan", .arity = -2, .flags = CMD_READONLY, NO_KEYS, .since = "2.8.0",
     .syntax = "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
     .summary = "Walks the keys of the database in many small steps.", .handler = scan,
     .complexity = "O(1) for every call"},
    {.name = "touch", .arity = -2, .flags = CMD_READONLY | CMD_FAST, ALL_KEYS, .since = "3.2.1",
     .syntax = "TOUCH key [key ...]", .summary = "Marks keys as just used; counts them.",
     .handler = touch, .complexity = "O(N) in keys"},
    {.name = "type", .arity = 2, .flags = CMD_READONLY | CMD_FAST, ONE_KEY, .since = "1.0.0",
     .syntax = "TYPE key", .summary = "Answers the type of a value.", .handler = type,
     .complexity = "O(1)"},
    {.name = "unlink", .arity = -2, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, ALL_KEYS,
     .since = "4.0.0", .syntax = "UNLINK key [key ...]",
     .summary = "Deletes keys; answers how many there were.", .handler = del,
     .complexity = "O(N) in keys"},
    {.name = "wait", .arity = 3, .flags = CMD_BLOCKING, .acl = ACL_CONNECTION, .group = "generic",
     .since = "3.0.0", .syntax = "WAIT numreplicas timeout",
     .summary = "Waits for replicas; leat has none, so the time passes and 0 is answered.",
     .handler = wait_replicas, .complexity = "O(1)"},
    {.name = "waitaof", .arity = 4, .flags = CMD_BLOCKING, .acl = ACL_CONNECTION,
     .group = "generic", .since = "7.2.0", .syntax = "WAITAOF numlocal numreplicas timeout",
     .summary = "Waits until this connection's writes are synced to disk.", .handler = waitaof,
     .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
