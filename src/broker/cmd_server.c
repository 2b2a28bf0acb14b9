/* The server itself: INFO, DBSIZE, flushing, SWAPDB, TIME, MONITOR, SLOWLOG, MEMORY, and what
 * clients ask before they trust a server. */
#include <unistd.h>

#include "base/hash.h"
#include "base/num.h"
#include "broker/internal.h"

static void info(struct call *c)
{
    struct buf text = {0};
    broker_info(c->broker, c->argv + 1, c->argc - 1, &text);
    resp_verbatim(c->reply, "txt", text.data == NULL ? BYTES("") : buf_bytes(&text));
    buf_fini(&text);
}

static void dbsize(struct call *c)
{
    call_depends_on_all(c);
    resp_int(c->reply, (int64_t)keyspace_count(c->ks, c->db));
}

static bool parse_flush(struct call *c)
{
    if (c->argc == 1) return true;
    if (c->argc == 2 && (bytes_is_word(c->argv[1], "sync") || bytes_is_word(c->argv[1], "async")))
        return true;
    call_error_syntax(c);
    return false;
}

static void flushdb(struct call *c)
{
    if (!parse_flush(c)) return;
    change_flush(c, c->db);
    resp_simple(c->reply, "OK");
}

static void flushall(struct call *c)
{
    if (!parse_flush(c)) return;
    for (int db = 0; db < KEYSPACE_DBS; db++)
        if (keyspace_count(c->ks, db) > 0) change_flush(c, db);
    resp_simple(c->reply, "OK");
}

static void swapdb(struct call *c)
{
    int64_t a, b;
    if (!call_int_range(c, c->argv[1], INT32_MIN, INT32_MAX, "ERR invalid first DB index", &a) ||
        !call_int_range(c, c->argv[2], INT32_MIN, INT32_MAX, "ERR invalid second DB index", &b))
        return;
    if (a < 0 || b < 0 || a >= KEYSPACE_DBS || b >= KEYSPACE_DBS) {
        resp_error(c->reply, "ERR DB index is out of range");
    } else {
        if (a != b) change_swap(c, (int)a, (int)b);
        resp_simple(c->reply, "OK");
    }
}

static void time_now(struct call *c)
{
    int64_t now_us =
        c->broker->options.now_us(); /* not that of the turn: two in a pipeline differ */
    resp_array(c->reply, 2);
    resp_bulk_i64(c->reply, now_us / 1000000);
    resp_bulk_i64(c->reply, now_us % 1000000);
}

static void monitor(struct call *c)
{
    if (c->in_exec) {
        resp_error(c->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (!(c->session->flags & SESSION_MONITOR)) resp_simple(c->reply, "OK"); /* once is enough */
    monitor_join(c->broker, c->session);
}

static void role(struct call *c)
{
    resp_array(c->reply, 3);
    resp_bulk_str(c->reply, "master");
    resp_int(c->reply, (int64_t)journal_head(c->broker->journal));
    resp_array(c->reply, 0);
}

static void shutdown_server(struct call *c)
{
    static const char *const words[] = {"nosave", "save", "now", "force", "abort"};
    for (size_t i = 1; i < c->argc; i++) {
        size_t w = 0;
        while (w < 5 && !bytes_is_word(c->argv[i], words[w])) w++;
        if (w == 5) {
            call_error_syntax(c);
            return;
        }
        if (w == 4) {
            resp_error(c->reply, "ERR No shutdown in progress.");
            return;
        }
    }
    c->broker->options.on_shutdown(c->broker->options.arg);
    session_end(c->session, false);
}

/* ---- SLOWLOG ---- */

static void slowlog_get(struct call *c)
{
    int64_t count = 10;
    if (c->argc == 3 && !call_int_range(c, c->argv[2], -1, INT64_MAX,
                                        "ERR count should be greater than or equal to -1", &count))
        return;
    struct slowlog *log = &c->broker->slowlog;
    size_t n = count < 0 || (uint64_t)count > log->count ? log->count : (size_t)count;
    resp_array(c->reply, n);
    for (struct slow_entry *e = log->first; n > 0; e = e->next, n--) {
        resp_array(c->reply, 6);
        resp_int(c->reply, (int64_t)e->id);
        resp_int(c->reply, e->time_s);
        resp_int(c->reply, e->duration_us);
        resp_array(c->reply, e->argc);
        buf_put(c->reply->out, buf_bytes(&e->argv));
        resp_bulk(c->reply, buf_bytes(&e->address));
        resp_bulk(c->reply, e->name.data == NULL ? BYTES("") : buf_bytes(&e->name));
    }
}

static void slowlog_len(struct call *c)
{
    resp_int(c->reply, (int64_t)c->broker->slowlog.count);
}

static void slowlog_reset(struct call *c)
{
    slowlog_clear(&c->broker->slowlog);
    resp_simple(c->reply, "OK");
}

static void slowlog_help(struct call *c)
{
    static const char *const lines[] = {
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

/* ---- MEMORY ---- */

static void memory_usage(struct call *c)
{
    int64_t samples = 5;
    if (c->argc == 5 && bytes_is_word(c->argv[3], "samples")) {
        if (!call_int(c, c->argv[4], &samples)) return;
        if (samples < 0) {
            call_error_syntax(c);
            return;
        }
    } else if (c->argc != 3) {
        call_error_syntax(c);
        return;
    }
    struct key *k = call_peek(c, c->argv[2]);
    if (k == NULL) resp_null(c->reply);
    else resp_int(c->reply, (int64_t)key_memory(k, (size_t)samples));
}

static void memory_doctor(struct call *c)
{
    resp_verbatim(c->reply, "txt",
                  BYTES("Nothing is evicted and nothing is defragmented here; "
                        "INFO memory has the figures."));
}

static void memory_purge(struct call *c)
{
    resp_simple(c->reply, "OK");
}

static void memory_help(struct call *c)
{
    static const char *const lines[] = {
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Return memory problems reports.",
        "PURGE",
        "    Accepted, without effect.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

#define SLOW CMD_ADMIN | CMD_LOADING | CMD_STALE

/* clang-format off */
static const struct command slowlog_subcommands[] = {
    {.name = "get", .arity = -2, .flags = SLOW, .group = "server", .since = "2.2.12",
     .syntax = "SLOWLOG GET [count]", .summary = "Answers the newest entries of the slow log.",
     .handler = slowlog_get, .complexity = "O(N) in entries answered"},
    {.name = "len", .arity = 2, .flags = SLOW, .group = "server", .since = "2.2.12",
     .syntax = "SLOWLOG LEN", .summary = "Counts the entries of the slow log.",
     .handler = slowlog_len, .complexity = "O(1)"},
    {.name = "reset", .arity = 2, .flags = SLOW, .group = "server", .since = "2.2.12",
     .syntax = "SLOWLOG RESET", .summary = "Empties the slow log.", .handler = slowlog_reset,
     .complexity = "O(N) in entries"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, .group = "server",
     .since = "6.2.0", .syntax = "SLOWLOG HELP", .summary = "Explains the subcommands.",
     .handler = slowlog_help, .complexity = "O(1)"},
    {.name = NULL},
};

static const struct command memory_subcommands[] = {
    {.name = "usage", .arity = -3, .flags = CMD_READONLY, .first_key = 2, .last_key = 2,
     .key_step = 1, .group = "server", .since = "4.0.0",
     .syntax = "MEMORY USAGE key [SAMPLES count]", .summary = "Estimates the bytes of a key.",
     .handler = memory_usage, .complexity = "O(N) in samples"},
    {.name = "doctor", .arity = 2, .group = "server", .since = "4.0.0", .syntax = "MEMORY DOCTOR",
     .summary = "Says where the memory figures are.", .handler = memory_doctor,
     .complexity = "O(1)"},
    {.name = "purge", .arity = 2, .group = "server", .since = "4.0.0", .syntax = "MEMORY PURGE",
     .summary = "Accepted, without effect.", .handler = memory_purge, .complexity = "O(1)"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, .group = "server",
     .since = "4.0.0", .syntax = "MEMORY HELP", .summary = "Explains the subcommands.",
     .handler = memory_help, .complexity = "O(1)"},
    {.name = NULL},
};

const struct command cmd_server[] = {
    {.name = "dbsize", .arity = 1, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_KEYSPACE,
     .group = "server", .since = "1.0.0", .syntax = "DBSIZE",
     .summary = "Counts the keys of the database.", .handler = dbsize, .complexity = "O(1)"},
    {.name = "flushall", .arity = -1, .flags = CMD_WRITE | CMD_SHRINKS,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = "server", .since = "1.0.0",
     .syntax = "FLUSHALL [ASYNC | SYNC]", .summary = "Deletes all keys of all databases.",
     .handler = flushall, .complexity = "O(N) in keys"},
    {.name = "flushdb", .arity = -1, .flags = CMD_WRITE | CMD_SHRINKS,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = "server", .since = "1.0.0",
     .syntax = "FLUSHDB [ASYNC | SYNC]", .summary = "Deletes all keys of the database.",
     .handler = flushdb, .complexity = "O(N) in keys"},
    {.name = "info", .arity = -1, .flags = CMD_LOADING | CMD_STALE | CMD_SENTINEL,
     .acl = ACL_DANGEROUS, .group = "server", .since = "1.0.0",
     .syntax = "INFO [section [section ...]]", .summary = "Figures about the server.",
     .handler = info, .complexity = "O(1)"},
    {.name = "memory", .arity = -2, .group = "server", .since = "4.0.0",
     .syntax = "MEMORY subcommand [argument ...]", .summary = "Asks about memory.",
     .subcommands = memory_subcommands, .complexity = "Depends on the subcommand"},
    {.name = "monitor", .arity = 1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
     .group = "server", .since = "1.0.0", .syntax = "MONITOR",
     .summary = "Shows every command that the server runs.", .handler = monitor,
     .complexity = "O(1)"},
    {.name = "role", .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_SENTINEL,
     .acl = ACL_ADMIN | ACL_DANGEROUS, .group = "server", .since = "2.8.12", .syntax = "ROLE",
     .summary = "Always a master without replicas.", .handler = role, .complexity = "O(1)"},
    {.name = "shutdown", .arity = -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_SENTINEL |
              CMD_ALLOW_BUSY,
     .group = "server", .since = "1.0.0",
     .syntax = "SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
     .summary = "Stops the server cleanly.",
     .handler = shutdown_server, .complexity = "O(1)"},
    {.name = "slowlog", .arity = -2, .group = "server", .since = "2.2.12",
     .syntax = "SLOWLOG subcommand [argument ...]", .summary = "Asks which commands were slow.",
     .subcommands = slowlog_subcommands, .complexity = "Depends on the subcommand"},
    {.name = "swapdb", .arity = 3, .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = "server", .since = "4.0.0",
     .syntax = "SWAPDB index1 index2", .summary = "Exchanges two databases.", .handler = swapdb,
     .complexity = "O(N) in watched and blocked clients"},
    {.name = "time", .arity = 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .group = "server",
     .since = "2.6.0", .syntax = "TIME", .summary = "Answers the server's time.",
     .handler = time_now, .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
