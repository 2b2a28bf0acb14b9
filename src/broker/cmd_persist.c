/* Snapshots on demand: BGSAVE, BGREWRITEAOF, SAVE, LASTSAVE. The journal has every acknowledged
 * write with or without them; what they shorten is the next start, and the journal itself, which is
 * also why BGREWRITEAOF makes one. */
#include "broker/internal.h"

static void bgsave(struct call *c)
{
    bool later = c->argc == 2 && bytes_is_word(c->argv[1], "schedule");
    if (c->argc > 1 && !later) {
        call_error_syntax(c);
    } else if (!snapshots_request(c->broker, false)) {
        if (c->in_exec) resp_simple(c->reply, "Background saving scheduled");
        else resp_error(c->reply, "ERR Background save already in progress");
    } else {
        resp_simple(c->reply,
                    c->in_exec ? "Background saving scheduled" : "Background saving started");
    }
}

static void bgrewriteaof(struct call *c)
{
    bool begins = snapshots_request(c->broker, true) && !c->in_exec;
    resp_simple(c->reply, begins ? "Background append only file rewriting started"
                                 : "Background append only file rewriting scheduled");
}

static void save(struct call *c)
{
    struct snapshots_stats stats;
    if (snapshots_in_progress(c->broker)) {
        resp_error(c->reply, "ERR Background save already in progress");
    } else if (snapshots_save(c->broker)) {
        resp_simple(c->reply, "OK");
    } else {
        snapshots_stats(c->broker, &stats);
        resp_error(c->reply, "ERR %s", stats.error);
    }
}

static void lastsave(struct call *c)
{
    struct snapshots_stats stats;
    snapshots_stats(c->broker, &stats);
    resp_int(c->reply, stats.last_save_ms / 1000);
}

#define FLAGS CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING

/* clang-format off */
const struct command cmd_persist[] = {
    {.name = "bgsave", .arity = -1, .flags = FLAGS, .group = "server", .since = "1.0.0",
     .syntax = "BGSAVE [SCHEDULE]",
     .summary = "Begins a snapshot beside the commands; the next start goes on from it.",
     .handler = bgsave, .complexity = "O(1)"},
    {.name = "bgrewriteaof", .arity = 1, .flags = FLAGS, .group = "server", .since = "1.0.0",
     .syntax = "BGREWRITEAOF",
     .summary = "The same: what snapshots make superfluous of the journal is removed.",
     .handler = bgrewriteaof, .complexity = "O(1)"},
    {.name = "save", .arity = 1, .flags = FLAGS | CMD_NO_MULTI, .group = "server",
     .since = "1.0.0", .syntax = "SAVE", .summary = "Makes a snapshot while all else waits.",
     .handler = save, .complexity = "O(N) in keys of all databases"},
    {.name = "lastsave", .arity = 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS, .group = "server", .since = "1.0.0", .syntax = "LASTSAVE",
     .summary = "When the newest snapshot was made, as Unix time.", .handler = lastsave,
     .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
