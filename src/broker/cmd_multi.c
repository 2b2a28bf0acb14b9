/* Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
#include "base/hash.h"
#include "base/mem.h"
#include "broker/admit.h"
#include "broker/durable.h"
#include "broker/exec_fetch.h"
#include "broker/internal.h"

void queued_command_init(struct queued_command *q, const struct command *cmd,
                         const struct command *top, size_t argc, const struct bytes *argv)
{
    size_t total = argc * sizeof(struct bytes);
    for (size_t i = 0; i < argc; i++) total += argv[i].len;
    struct bytes *copy = mem_alloc(total);
    char *text = (char *)(copy + argc);
    for (size_t i = 0; i < argc; i++) {
        copy[i] = (struct bytes){text, argv[i].len};
        if (argv[i].len > 0) memcpy(text, argv[i].data, argv[i].len);
        text += argv[i].len;
    }
    *q = (struct queued_command){.cmd = cmd, .top = top, .argc = argc, .argv = copy};
}

void queued_command_fini(struct queued_command *q)
{
    mem_free(q->argv);
    q->argv = NULL;
}

void session_queue(struct session *s, const struct command *cmd, const struct command *top,
                   size_t argc, const struct bytes *argv)
{
    if (s->queue_count == s->queue_cap) {
        s->queue_cap = s->queue_cap ? s->queue_cap * 2 : 8;
        s->queue = mem_realloc(s->queue, s->queue_cap * sizeof *s->queue);
    }
    queued_command_init(&s->queue[s->queue_count++], cmd, top, argc, argv);
    for (size_t i = 0; i < argc; i++) s->queue_bytes += argv[i].len;
    s->queue_flags |= cmd->flags;
}

static void forget_queue(struct session *s)
{
    for (size_t i = 0; i < s->queue_count; i++) queued_command_fini(&s->queue[i]);
    mem_free(s->queue);
    s->queue = NULL;
    s->queue_count = s->queue_cap = s->queue_bytes = 0;
    s->queue_flags = 0;
    s->flags &= ~(unsigned)(SESSION_MULTI | SESSION_MULTI_BAD | SESSION_DIRTY_CAS);
}

void session_discard(struct session *s)
{
    forget_queue(s);
    watch_clear(s->broker, s);
}

static void multi(struct call *c)
{
    if (c->session->flags & SESSION_MULTI) {
        resp_error(c->reply, "ERR MULTI calls can not be nested");
        return;
    }
    c->session->flags |= SESSION_MULTI;
    resp_simple(c->reply, "OK");
}

static void discard(struct call *c)
{
    if (!(c->session->flags & SESSION_MULTI)) {
        resp_error(c->reply, "ERR DISCARD without MULTI");
        return;
    }
    session_discard(c->session);
    resp_simple(c->reply, "OK");
}

static bool appends(struct broker *b, const struct queued_command *q)
{
    return durable_appends(b, q->cmd, q->argc, q->argv);
}

static size_t estimate(struct broker *b, const struct queued_command *q)
{
    size_t entry = appends(b, q) ? durable_entry_bytes(q->argv[1]) : 0;
    if (entry == 0 && !(q->cmd->flags & CMD_WRITE)) return 0;
    return admit_estimate(q->cmd, q->argc, q->argv) + entry;
}

/* The whole transaction must fit into the journal before its first command runs. One that only
 * shrinks may use the reserve. */
static bool is_admitted(struct call *c, size_t *ret_bytes)
{
    struct session *s = c->session;
    size_t bytes = 0;
    bool shrinks = true;
    for (size_t i = 0; i < s->queue_count; i++) {
        struct queued_command *q = &s->queue[i];
        bool publishes = appends(c->broker, q);
        bytes += q->admitted = estimate(c->broker, q);
        if (publishes || (q->cmd->flags & (CMD_WRITE | CMD_SHRINKS)) == CMD_WRITE) shrinks = false;
        if (!(publishes ? admit_entry(c) : admit_stream(c, q->cmd))) return false;
    }
    *ret_bytes = bytes;
    return bytes == 0 || admit_bytes(c, bytes, shrinks);
}

static void run_queue(struct call *c, struct queued_command *queue, size_t count, size_t admitted)
{
    struct session *s = c->session;
    resp_array(c->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct call inner = *c;
        c->broker->admitted_rest = admitted -= queue[i].admitted;
        inner.cmd = queue[i].cmd;
        inner.top = queue[i].top;
        inner.argc = queue[i].argc;
        inner.argv = queue[i].argv;
        inner.db = s->db;
        inner.in_exec = true;
        inner.own_start = c->reply->out->len;
        c->broker->streams->wait = true; /* nothing may come between two of them */
        broker_run(&inner);
        c->broker->streams->wait = false;
        call_aim_reply(c);
    }
    c->db = s->db;
}

static void exec(struct call *c)
{
    struct session *s = c->session;
    if (!(s->flags & SESSION_MULTI)) {
        resp_error(c->reply, "ERR EXEC without MULTI");
        return;
    }
    if (watch_expired(c->broker, s)) s->flags |= SESSION_DIRTY_CAS;
    if (s->flags & SESSION_MULTI_BAD) {
        session_discard(s);
        resp_error(c->reply, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if (s->flags & SESSION_DIRTY_CAS) {
        session_discard(s);
        resp_null_array(c->reply);
        return;
    }
    size_t admitted;
    if (!exec_fetch(c)) return; /* it runs again */
    if (!is_admitted(c, &admitted)) {
        session_discard(s);
        return;
    }
    watch_clear(c->broker, s);
    struct queued_command *queue = s->queue;
    size_t count = s->queue_count;
    s->queue = NULL;
    s->queue_count = 0;
    forget_queue(s);
    struct blocked *retrying = c->broker->retrying; /* that is EXEC, not what is in it */
    c->broker->retrying = NULL;
    run_queue(c, queue, count, admitted);
    c->broker->retrying = retrying;
    for (size_t i = 0; i < count; i++) queued_command_fini(&queue[i]);
    mem_free(queue);
}

static void watch(struct call *c)
{
    if (c->session->flags & SESSION_MULTI) {
        resp_error(c->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (c->broker->loading) { /* what is watched cannot be looked at yet */
        call_error_loading(c);
        return;
    }
    for (size_t i = 1; i < c->argc; i++) {
        struct key *k = keyspace_find(c->ks, c->db, c->argv[i], hash_bytes(c->argv[i]));
        watch_add(c->broker, c->session, c->db, c->argv[i],
                  k != NULL && key_is_expired(k, c->now_ms));
    }
    resp_simple(c->reply, "OK");
}

static void unwatch(struct call *c)
{
    watch_clear(c->broker, c->session);
    c->session->flags &= ~(unsigned)SESSION_DIRTY_CAS;
    resp_simple(c->reply, "OK");
}

#define FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY)

/* clang-format off */
const struct command cmd_multi[] = {
    {.name = "multi", .arity = 1, .flags = FLAGS, .acl = ACL_TRANSACTION, .group = "transactions",
     .since = "1.2.0", .syntax = "MULTI",
     .summary = "Begins a transaction: what follows is queued.", .handler = multi, .complexity = "O(1)"},
    {.name = "exec", .arity = 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG,
     .acl = ACL_TRANSACTION, .group = "transactions", .since = "1.2.0", .syntax = "EXEC",
     .summary = "Runs the queued commands as one unit, unless a watched key has changed.",
     .handler = exec, .complexity = "That of the queued commands"},
    {.name = "discard", .arity = 1, .flags = FLAGS, .acl = ACL_TRANSACTION, .group = "transactions",
     .since = "2.0.0", .syntax = "DISCARD", .summary = "Drops the queue and ends the transaction.",
     .handler = discard, .complexity = "O(N) in queued commands"},
    {.name = "watch", .arity = -2, .flags = FLAGS, .first_key = 1, .last_key = -1, .key_step = 1,
     .acl = ACL_TRANSACTION, .group = "transactions", .since = "2.2.0",
     .syntax = "WATCH key [key ...]",
     .summary = "Makes the next EXEC conditional on these keys staying as they are.",
     .handler = watch, .complexity = "O(1) for every key"},
    {.name = "unwatch", .arity = 1, .flags = FLAGS, .acl = ACL_TRANSACTION,
     .group = "transactions", .since = "2.2.0", .syntax = "UNWATCH",
     .summary = "Forgets all watched keys.", .handler = unwatch, .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
