/* One command's way: look it up, refuse what may not run now, run the handler, drain its effects,
 * gate the reply. The order of the refusals is Redis's, since it decides which error is seen. */
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "broker/admit.h"
#include "broker/durable.h"
#include "broker/internal.h"

/* ---- Draining ---- */

static void note_changes(struct broker *b, size_t first, uint64_t position)
{
    for (size_t i = first; i < b->fx.changed_count; i++) {
        const struct effect_key *k = &b->fx.changed[i];
        *broker_position(b, k->db, k->hash) = position;
        if (b->watching_count > 0 && !k->quiet) watch_touch(b, k->db, k->name);
    }
    if (b->fx.all_changed) b->all_position = position;
}

static void publish(struct broker *b, struct bytes channel, struct bytes message, uint64_t position)
{
    if (!durable_event(b, channel, message)) hub_publish(b->hub, channel, message, position);
}

static void publish_event(struct broker *b, const struct effect_event *e, uint64_t position)
{
    unsigned classes = b->settings.notify_keyspace_events;
    struct buf channel = {0};
    if (classes & NOTIFY_KEYSPACE) {
        buf_printf(&channel, "__keyspace@%d__:", e->db);
        buf_put(&channel, e->name);
        publish(b, buf_bytes(&channel), bytes_of(e->event), position);
    }
    if (classes & NOTIFY_KEYEVENT) {
        channel.len = 0;
        buf_printf(&channel, "__keyevent@%d__:%s", e->db, e->event);
        publish(b, buf_bytes(&channel), e->name, position);
    }
    buf_fini(&channel);
}

static void signal_blocked(struct broker *b)
{
    void (*signal)(struct broker * b, int db, struct bytes name) =
        b->fx.ready ? blocked_signal : blocked_signal_if_gone;
    if (b->blocked_count == 0) return;
    for (size_t i = 0; i < b->fx.changed_count; i++)
        signal(b, b->fx.changed[i].db, b->fx.changed[i].name);
    if (b->fx.all_changed && b->fx.ready) blocked_signal_all(b);
    else if (b->fx.all_changed) blocked_signal_all_gone(b);
}

void broker_drain(struct broker *b, struct session *s)
{
    struct effects *fx = &b->fx;
    uint64_t depends = fx->depends;
    uint64_t position = effects_finish(fx);
    if (position > 0) {
        if (position > depends) depends = position;
        if (s != NULL) s->last_write = position;
        b->dirty_records++;
    }
    if (fx->changed_count > 0 || fx->all_changed) note_changes(b, 0, depends);
    uint64_t waits_for = broker_uncovered(b, depends);
    size_t changed = fx->changed_count;
    for (size_t i = 0, n = fx->event_count; i < n; i++) {
        struct effect_event e = fx->events[i]; /* they may move */
        publish_event(b, &e, waits_for);
    }
    if (fx->changed_count > changed) { /* events were kept in streams of their own */
        uint64_t last = effects_finish(fx);
        note_changes(b, changed, last);
        if (last > depends) depends = last;
    }
    signal_blocked(b);
    effects_reset(fx);
    fx->depends = depends;
}

/* ---- Refusing ---- */

static void error_unknown_command(struct call *c)
{
    struct buf text = {0};
    int shown = (int)(c->argv[0].len < 128 ? c->argv[0].len : 128);
    buf_printf(&text, "ERR unknown command '%.*s', with args beginning with: ", shown,
               c->argv[0].data);
    size_t args = 0;
    for (size_t i = 1; i < c->argc && args < 128; i++) {
        size_t n = c->argv[i].len < 128 - args ? c->argv[i].len : 128 - args;
        buf_printf(&text, "'%.*s' ", (int)n, c->argv[i].data);
        args += n + 3;
    }
    resp_error_bytes(c->reply, buf_bytes(&text));
    buf_fini(&text);
}

static void full_name(const struct command *top, const struct command *cmd, char *out, size_t n)
{
    if (top == cmd) snprintf(out, n, "%s", cmd->name);
    else snprintf(out, n, "%s|%s", top->name, cmd->name);
}

static bool find_command(struct call *c)
{
    const struct command *top = command_find(c->argv[0]);
    if (top == NULL) {
        error_unknown_command(c);
        return false;
    }
    const struct command *cmd = top;
    if (top->subcommands != NULL && c->argc > 1) {
        cmd = command_find_sub(top, c->argv[1]);
        if (cmd == NULL) {
            char upper[64];
            size_t n = 0;
            for (; top->name[n] && n < sizeof upper - 1; n++)
                upper[n] = (char)(top->name[n] >= 'a' && top->name[n] <= 'z' ? top->name[n] - 32
                                                                             : top->name[n]);
            upper[n] = 0;
            int shown = (int)(c->argv[1].len < 128 ? c->argv[1].len : 128);
            resp_error(c->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown,
                       c->argv[1].data, upper);
            return false;
        }
    }
    c->top = top;
    c->cmd = cmd;
    if (cmd->handler == NULL || !command_arity_ok(cmd, c->argc)) {
        call_error_arity(c);
        return false;
    }
    return true;
}

void call_error_arity(struct call *c)
{
    char name[96];
    full_name(c->top, c->cmd, name, sizeof name);
    resp_error(c->reply, "ERR wrong number of arguments for '%s' command", name);
}

static bool may_run_subscribed(const struct command *cmd)
{
    static const char *const allowed[] = {"ping",         "subscribe",   "ssubscribe",
                                          "psubscribe",   "unsubscribe", "sunsubscribe",
                                          "punsubscribe", "quit",        "reset"};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(cmd->name, allowed[i]) == 0) return true;
    return false;
}

/* EXEC grows when anything in its queue does. */
static bool grows(const struct call *c)
{
    unsigned queued = strcmp(c->cmd->name, "exec") == 0 ? c->session->queue_flags : 0;
    return (c->cmd->flags | queued) & CMD_DENYOOM;
}

static bool is_allowed(struct call *c)
{
    struct broker *b = c->broker;
    struct session *s = c->session;
    if (!session_is_trusted(s) && !(c->cmd->flags & CMD_NO_AUTH)) {
        resp_error(c->reply, "NOAUTH Authentication required.");
        return false;
    }
    if (b->settings.maxmemory > 0 && grows(c) && mem_used() > (size_t)b->settings.maxmemory) {
        resp_error(c->reply, "OOM command not allowed when used memory > 'maxmemory'.");
        return false;
    }
    if (s->proto == 2 && session_is_subscribed(s) && !may_run_subscribed(c->top)) {
        char name[96];
        full_name(c->top, c->cmd, name, sizeof name);
        resp_error(c->reply,
                   "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                   "QUIT / RESET are allowed in this context",
                   name);
        return false;
    }
    if (b->loading && !(c->cmd->flags & CMD_LOADING)) {
        call_error_loading(c);
        return false;
    }
    return true;
}

/* A write is admitted before its handler runs: its bytes must fit into prepared journal space. */
static bool is_admitted(struct call *c)
{
    if (!(c->cmd->flags & CMD_WRITE)) return true;
    return admit_stream(c, c->cmd) && admit_bytes(c, admit_estimate(c->cmd, c->argc, c->argv),
                                                  (c->cmd->flags & CMD_SHRINKS) != 0);
}

static bool runs_in_multi(const struct command *cmd)
{
    static const char *const direct[] = {"exec", "discard", "multi", "watch", "quit", "reset"};
    for (size_t i = 0; i < sizeof direct / sizeof *direct; i++)
        if (strcmp(cmd->name, direct[i]) == 0) return true;
    return false;
}

/* ---- Running ---- */

/* An error reply is counted by its code: what INFO errorstats shows. */
static bool replied_error(struct broker *b, const struct buf *out, size_t start)
{
    if (out->len <= start || out->data[start] != '-') return false;
    broker_count_error(b, (struct bytes){out->data + start, out->len - start});
    return true;
}

static void count_run(struct call *c, const struct buf *out, size_t start, int64_t took_us)
{
    struct broker *b = c->broker;
    struct command_stats *stats = &b->stats[command_index(c->top)];
    stats->calls++;
    stats->usec += (uint64_t)took_us;
    if (replied_error(b, out, start)) stats->failed++;
    int64_t slow_us = b->settings.slowlog_log_slower_than;
    if (slow_us >= 0 && took_us >= slow_us && !(c->cmd->flags & CMD_SKIP_SLOWLOG))
        slowlog_add(&b->slowlog, (size_t)b->settings.slowlog_max_len, c->now_ms / 1000, took_us,
                    c->argc, c->argv, c->session->address, buf_bytes(&c->session->name));
}

/* A command that blocks counts when it is answered, and is shown to monitors when it came. */
void broker_run(struct call *c)
{
    struct broker *b = c->broker;
    const struct buf *out = c->reply->out;
    size_t start = out->len;
    int64_t before_us = b->mono_us;
    bool again = b->retrying != NULL;
    c->cmd->handler(c);
    b->mono_us = b->options.monotonic_us();
    bool waits = again ? b->still_blocked : (c->session->flags & SESSION_BLOCKED) != 0;
    if (!again) b->commands_processed++;
    if (!waits) count_run(c, out, start, b->mono_us - before_us);
    if (b->monitor_count > 0 && !again && !(c->cmd->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)))
        monitor_feed(b, c->session, c->argc, c->argv);
    broker_drain(b, c->session);
}

/* Replies may be switched off: then they are written aside and dropped. */
struct reply_place {
    struct resp_writer writer;
    struct buf unheard;
};

void call_aim_reply(struct call *c)
{
    const struct session *s = c->session;
    bool off = s->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP) || s->out.closed;
    c->reply->out = off ? c->unheard : &c->session->out.bytes;
}

static void call_init(struct call *c, struct broker *b, struct session *s, struct reply_place *p,
                      size_t argc, const struct bytes *argv)
{
    *c = (struct call){
        .broker = b,
        .session = s,
        .argc = argc,
        .argv = argv,
        .reply = &p->writer,
        .unheard = &p->unheard,
        .fx = &b->fx,
        .ks = b->ks,
        .arena = &b->arena,
        .db = s->db,
        .now_ms = b->now_ms,
    };
    call_aim_reply(c);
    c->reply_start = c->own_start = c->reply->out->len;
}

static void reply_begin(struct reply_place *p, struct session *s)
{
    *p = (struct reply_place){.writer = {.proto = s->proto}};
    subscriber_reply_begin(&s->subscriber);
}

/* `answered`: it was not blocked or put off, when the reply is still to come. */
static void reply_end(struct reply_place *p, struct broker *b, struct session *s, bool answered)
{
    subscriber_reply_end(&s->subscriber, broker_uncovered(b, b->fx.depends));
    buf_fini(&p->unheard);
    b->fx.depends = 0;
    if (!answered) return;
    bool skip = s->flags & SESSION_REPLY_SKIP_NEXT;
    s->flags &= ~(unsigned)(SESSION_REPLY_SKIP | SESSION_REPLY_SKIP_NEXT);
    if (skip) s->flags |= SESSION_REPLY_SKIP;
}

/* An EXEC that is refused ends its transaction and says so. */
static void abort_exec(struct call *c)
{
    struct buf *out = c->reply->out;
    struct buf why = {0};
    size_t at = c->reply_start + 1;
    if (out->len - at > 4 && memcmp(out->data + at, "ERR ", 4) == 0) at += 4;
    buf_append(&why, out->data + at, out->len - at - 2); /* without CR LF */
    out->len = c->reply_start;
    resp_error(c->reply, "EXECABORT Transaction discarded because of: %.*s", (int)why.len,
               why.data);
    buf_fini(&why);
    session_discard(c->session);
}

/* What is refused inside MULTI spoils the transaction. */
static void refuse(struct call *c)
{
    struct broker *b = c->broker;
    if (c->session->flags & SESSION_MULTI) c->session->flags |= SESSION_MULTI_BAD;
    if (c->top != NULL) b->stats[command_index(c->top)].rejected++;
    if (c->top != NULL && strcmp(c->top->name, "exec") == 0) abort_exec(c);
    replied_error(b, c->reply->out, c->reply_start);
}

static enum broker_progress dispatch(struct call *c)
{
    struct session *s = c->session;
    if (!find_command(c) || !is_allowed(c)) {
        refuse(c);
        return BROKER_DONE;
    }
    if ((s->flags & SESSION_MULTI) && !runs_in_multi(c->top)) {
        if (c->cmd->flags & CMD_NO_MULTI) {
            resp_error(c->reply, "ERR Command not allowed inside a transaction");
            refuse(c);
            return BROKER_DONE;
        }
        session_queue(s, c->cmd, c->top, c->argc, c->argv);
        resp_simple(c->reply, "QUEUED");
        return BROKER_DONE;
    }
    if (c->broker->pause_until_ms > c->now_ms && session_is_paused(c->broker, s, c->cmd)) {
        s->flags |= SESSION_PAUSED;
        return BROKER_RETRY;
    }
    if (!is_admitted(c)) {
        refuse(c);
        return BROKER_DONE;
    }
    s->last_command = c->cmd;
    s->last_top = c->top;
    broker_run(c);
    if (s->flags & (SESSION_BLOCKED | SESSION_CLOSING)) return BROKER_STOP;
    return BROKER_DONE;
}

enum broker_progress broker_exec(struct broker *b, struct session *s, size_t argc,
                                 const struct bytes *argv)
{
    must(argc > 0);
    struct reply_place place;
    struct call c;
    reply_begin(&place, s);
    call_init(&c, b, s, &place, argc, argv);
    s->active_ms = b->now_ms;
    b->current = s;
    enum broker_progress progress = dispatch(&c);
    b->current = NULL;
    reply_end(&place, b, s, progress != BROKER_RETRY && !(s->flags & SESSION_BLOCKED));
    if (b->blocked_count > 0) blocked_serve(b);
    arena_reset(&b->arena); /* a pipeline of many calls in one turn must not pile up */
    return progress;
}

void broker_run_alone(struct broker *b, struct session *s, const struct command *cmd,
                      const struct command *top, size_t argc, const struct bytes *argv,
                      void (*fn)(struct call *c))
{
    struct reply_place place;
    struct call c;
    struct session *outer = b->current;
    uint64_t outer_depends = b->fx.depends;
    b->fx.depends = 0;
    reply_begin(&place, s);
    call_init(&c, b, s, &place, argc, argv);
    c.cmd = cmd;
    c.top = top;
    b->current = s;
    if (fn != NULL) {
        fn(&c);
        broker_drain(b, s);
    } else {
        broker_run(&c);
    }
    b->current = outer;
    reply_end(&place, b, s, !b->still_blocked);
    b->fx.depends = outer_depends;
}

void broker_protocol_error(struct broker *b, struct session *s, const char *text)
{
    struct reply_place place;
    reply_begin(&place, s);
    place.writer.out = &s->out.bytes;
    resp_error(&place.writer, "ERR %s", text);
    reply_end(&place, b, s, true);
    session_end(s, true);
}

uint64_t broker_prefetch(struct broker *b, const struct session *s, struct bytes name)
{
    uint64_t hash = hash_bytes(name);
    __builtin_prefetch(broker_position(b, s->db, hash), 1);
    keyspace_prefetch(b->ks, s->db, hash);
    return hash;
}

void broker_prefetch_key(struct broker *b, const struct session *s, uint64_t hash)
{
    keyspace_prefetch_key(b->ks, s->db, hash);
}
