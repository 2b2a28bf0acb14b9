/* CLIENT: who is connected, under what name, and what is to be done with them. */
#include "base/num.h"
#include "broker/internal.h"

/* ---- Names ---- */

bool session_name_is_valid(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < '!' || name.data[i] > '~') return false;
    return true;
}

static void set_text(struct buf *to, struct bytes text)
{
    to->len = 0;
    buf_put(to, text);
}

void session_set_name(struct session *s, struct bytes name)
{
    set_text(&s->name, name);
    if (s->durable != NULL) s->flags |= SESSION_RENAMED;
}

static void client_id(struct call *c)
{
    resp_int(c->reply, (int64_t)c->session->id);
}

static void client_getname(struct call *c)
{
    if (c->session->name.len == 0) resp_null(c->reply);
    else resp_bulk(c->reply, buf_bytes(&c->session->name));
}

static void client_setname(struct call *c)
{
    if (!session_name_is_valid(c->argv[2])) {
        resp_error(c->reply,
                   "ERR Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    session_set_name(c->session, c->argv[2]);
    resp_simple(c->reply, "OK");
}

static void client_setinfo(struct call *c)
{
    bool is_name = bytes_is_word(c->argv[2], "lib-name");
    if (!is_name && !bytes_is_word(c->argv[2], "lib-ver")) {
        resp_error(c->reply, "ERR Unrecognized option '%.*s'", (int)c->argv[2].len,
                   c->argv[2].data);
        return;
    }
    if (!session_name_is_valid(c->argv[3])) {
        resp_error(c->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                   is_name ? "lib-name" : "lib-ver");
        return;
    }
    set_text(is_name ? &c->session->lib_name : &c->session->lib_version, c->argv[3]);
    resp_simple(c->reply, "OK");
}

/* ---- LIST and INFO ---- */

static void describe_flags(const struct session *s, struct buf *out)
{
    size_t start = out->len;
    if (s->flags & SESSION_MONITOR) buf_putc(out, 'O');
    if (session_is_subscribed(s)) buf_putc(out, 'P');
    if (s->flags & SESSION_MULTI) buf_putc(out, 'x');
    if (s->flags & SESSION_BLOCKED) buf_putc(out, 'b');
    if (s->flags & SESSION_DIRTY_CAS) buf_putc(out, 'd');
    if (s->flags & SESSION_CLOSING) buf_putc(out, 'c');
    if (s->flags & SESSION_UNIX) buf_putc(out, 'U');
    if (s->flags & SESSION_NO_EVICT) buf_putc(out, 'e');
    if (s->flags & SESSION_NO_TOUCH) buf_putc(out, 'T');
    if (out->len == start) buf_putc(out, 'N');
}

static void describe_command(const struct session *s, struct buf *out)
{
    if (s->last_command == NULL) buf_printf(out, "NULL");
    else if (s->last_command == s->last_top) buf_printf(out, "%s", s->last_command->name);
    else buf_printf(out, "%s|%s", s->last_top->name, s->last_command->name);
}

/* One line as CLIENT LIST writes it. */
static void describe(const struct broker *b, const struct session *s, struct buf *out)
{
    size_t input = s->port->input_bytes(s->owner);
    size_t shared = subscriber_shared(&s->subscriber);
    size_t own = subscriber_pending(&s->subscriber) - shared;
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=", (unsigned long long)s->id, s->address,
               s->local, s->fd);
    buf_put(out, buf_bytes(&s->name));
    buf_printf(out, " age=%lld idle=%lld flags=", (long long)(b->now_ms - s->created_ms) / 1000,
               (long long)(b->now_ms - s->active_ms) / 1000);
    describe_flags(s, out);
    buf_printf(out,
               " db=%d sub=%zu psub=%zu ssub=%zu multi=%lld qbuf=%zu qbuf-free=0 argv-mem=0 "
               "multi-mem=%zu rbs=%zu rbp=0 obl=%zu oll=%d omem=%zu tot-mem=%zu events=%s cmd=",
               s->db,
               subscriber_count(&s->subscriber, TOPIC_CHANNEL) +
                   subscriber_count(&s->subscriber, TOPIC_BEHIND),
               subscriber_count(&s->subscriber, TOPIC_PATTERN),
               subscriber_count(&s->subscriber, TOPIC_SHARD),
               s->flags & SESSION_MULTI ? (long long)s->queue_count : -1LL, input, s->queue_bytes,
               s->out.bytes.cap, own, shared > 0, shared,
               sizeof *s + input + s->out.bytes.cap + shared + s->queue_bytes,
               own + shared > 0 ? "rw" : "r");
    describe_command(s, out);
    buf_printf(out, " user=default redir=-1 resp=%d lib-name=", s->proto);
    buf_put(out, buf_bytes(&s->lib_name));
    buf_printf(out, " lib-ver=");
    buf_put(out, buf_bytes(&s->lib_version));
    buf_putc(out, '\n');
}

static void client_info(struct call *c)
{
    struct buf text = {0};
    describe(c->broker, c->session, &text);
    resp_verbatim(c->reply, "txt", buf_bytes(&text));
    buf_fini(&text);
}

enum client_type { TYPE_NORMAL, TYPE_REPLICA, TYPE_PUBSUB, TYPE_MASTER, TYPE_ANY };

static bool parse_type(struct call *c, struct bytes word, enum client_type *ret)
{
    static const char *const names[] = {"normal", "replica", "pubsub", "master"};
    for (int i = 0; i < 4; i++) {
        if (!bytes_is_word(word, names[i])) continue;
        *ret = (enum client_type)i;
        return true;
    }
    if (bytes_is_word(word, "slave")) {
        *ret = TYPE_REPLICA;
        return true;
    }
    resp_error(c->reply, "ERR Unknown client type '%.*s'", (int)word.len, word.data);
    return false;
}

static bool is_type(const struct session *s, enum client_type type)
{
    if (type == TYPE_ANY) return true;
    return type == (session_is_subscribed(s) ? TYPE_PUBSUB : TYPE_NORMAL);
}

static bool list_by_id(struct call *c, struct buf *text)
{
    for (size_t i = 3; i < c->argc; i++) {
        int64_t id;
        if (!num_parse_i64(c->argv[i], &id)) {
            resp_error(c->reply, "ERR Invalid client ID");
            return false;
        }
        const struct session *s = session_by_id(c->broker, (uint64_t)id);
        if (s != NULL) describe(c->broker, s, text);
    }
    return true;
}

static void client_list(struct call *c)
{
    struct buf text = {0};
    enum client_type type = TYPE_ANY;
    bool ok = true;
    if (c->argc == 4 && bytes_is_word(c->argv[2], "type")) {
        ok = parse_type(c, c->argv[3], &type);
    } else if (c->argc > 3 && bytes_is_word(c->argv[2], "id")) {
        if (list_by_id(c, &text)) resp_verbatim(c->reply, "txt", buf_bytes(&text));
        buf_fini(&text);
        return;
    } else if (c->argc != 2) {
        call_error_syntax(c);
        ok = false;
    }
    if (!ok) return;
    for (const struct session *s = c->broker->first_session; s != NULL; s = s->next)
        if (is_type(s, type) && !(s->flags & SESSION_CLOSING)) describe(c->broker, s, &text);
    resp_verbatim(c->reply, "txt", text.data == NULL ? BYTES("") : buf_bytes(&text));
    buf_fini(&text);
}

/* ---- KILL ---- */

struct kill_filter {
    int64_t id;
    bool by_id, other_user;
    struct bytes address, local;
    enum client_type type;
    bool skip_me;
};

static bool parse_kill_option(struct call *c, struct kill_filter *f, struct bytes word,
                              struct bytes value)
{
    if (bytes_is_word(word, "id")) {
        f->by_id = true;
        if (num_parse_i64(value, &f->id) && f->id > 0) return true;
        resp_error(c->reply, "ERR client-id should be greater than 0");
        return false;
    }
    if (bytes_is_word(word, "type")) return parse_type(c, value, &f->type);
    if (bytes_is_word(word, "addr")) {
        f->address = value;
    } else if (bytes_is_word(word, "laddr")) {
        f->local = value;
    } else if (bytes_is_word(word, "user")) {
        if (!bytes_eq(value, BYTES("default"))) {
            resp_error(c->reply, "ERR No such user '%.*s'", (int)value.len, value.data);
            return false;
        }
    } else if (bytes_is_word(word, "skipme") && bytes_is_word(value, "yes")) {
        f->skip_me = true;
    } else if (bytes_is_word(word, "skipme") && bytes_is_word(value, "no")) {
        f->skip_me = false;
    } else {
        call_error_syntax(c);
        return false;
    }
    return true;
}

static bool parse_kill(struct call *c, struct kill_filter *f)
{
    if (c->argc == 3) {
        f->address = c->argv[2];
        f->skip_me = false;
        return true;
    }
    for (size_t i = 2; i < c->argc; i += 2) {
        if (i + 1 >= c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!parse_kill_option(c, f, c->argv[i], c->argv[i + 1])) return false;
    }
    return true;
}

static bool is_killed(const struct session *s, const struct kill_filter *f)
{
    if (s->flags & SESSION_CLOSING) return false;
    if (f->address.data != NULL && !bytes_eq(f->address, bytes_of(s->address))) return false;
    if (f->local.data != NULL && !bytes_eq(f->local, bytes_of(s->local))) return false;
    if (f->by_id && (int64_t)s->id != f->id) return false;
    return is_type(s, f->type);
}

static void client_kill(struct call *c)
{
    struct kill_filter f = {.type = TYPE_ANY, .skip_me = true};
    int64_t killed = 0;
    if (!parse_kill(c, &f)) return;
    for (struct session *s = c->broker->first_session, *next; s != NULL; s = next) {
        next = s->next;
        if (!is_killed(s, &f) || (s == c->session && f.skip_me)) continue;
        session_end(s, s == c->session);
        killed++;
    }
    if (c->argc > 3) resp_int(c->reply, killed);
    else if (killed > 0) resp_simple(c->reply, "OK");
    else resp_error(c->reply, "ERR No such client");
}

/* ---- PAUSE, REPLY, UNBLOCK and switches ---- */

static void client_pause(struct call *c)
{
    int64_t ms;
    bool writes_only = false;
    if (c->argc == 4) {
        writes_only = bytes_is_word(c->argv[3], "write");
        if (!writes_only && !bytes_is_word(c->argv[3], "all")) {
            resp_error(c->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    } else if (c->argc > 4) {
        call_error_syntax(c);
        return;
    }
    if (!num_parse_i64(c->argv[2], &ms)) {
        resp_error(c->reply, "ERR timeout is not an integer or out of range");
        return;
    }
    if (ms < 0) {
        resp_error(c->reply, "ERR timeout is negative");
        return;
    }
    struct broker *b = c->broker;
    bool was_all = b->pause_until_ms > c->now_ms && !b->pause_writes_only;
    int64_t until_ms = __builtin_add_overflow(c->now_ms, ms, &ms) ? INT64_MAX : ms;
    if (until_ms > b->pause_until_ms) b->pause_until_ms = until_ms;
    b->pause_writes_only = writes_only && !was_all;
    resp_simple(c->reply, "OK");
}

static void client_unpause(struct call *c)
{
    broker_unpause(c->broker);
    resp_simple(c->reply, "OK");
}

static void client_reply(struct call *c)
{
    struct session *s = c->session;
    if (bytes_is_word(c->argv[2], "on")) {
        struct resp_writer w = call_reply_even_if_off(c);
        s->flags &= ~(unsigned)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
        resp_simple(&w, "OK");
    } else if (bytes_is_word(c->argv[2], "off")) {
        s->flags |= SESSION_REPLY_OFF;
    } else if (bytes_is_word(c->argv[2], "skip")) {
        if (!(s->flags & SESSION_REPLY_OFF)) s->flags |= SESSION_REPLY_SKIP_NEXT;
    } else {
        call_error_syntax(c);
    }
}

static void client_unblock(struct call *c)
{
    int64_t id;
    bool error = c->argc == 4 && bytes_is_word(c->argv[3], "error");
    if (c->argc == 4 && !error && !bytes_is_word(c->argv[3], "timeout")) {
        resp_error(c->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!call_int(c, c->argv[2], &id)) return;
    struct session *s = session_by_id(c->broker, (uint64_t)id);
    resp_int(c->reply, s != NULL && blocked_unblock(c->broker, s, error));
}

static void set_switch(struct call *c, unsigned flag)
{
    if (bytes_is_word(c->argv[2], "on")) {
        c->session->flags |= flag;
    } else if (bytes_is_word(c->argv[2], "off")) {
        c->session->flags &= ~flag;
    } else {
        call_error_syntax(c);
        return;
    }
    resp_simple(c->reply, "OK");
}

static void client_no_evict(struct call *c)
{
    set_switch(c, SESSION_NO_EVICT);
}

static void client_no_touch(struct call *c)
{
    set_switch(c, SESSION_NO_TOUCH);
}

static void client_getredir(struct call *c)
{
    resp_int(c->reply, -1);
}

static void client_help(struct call *c)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GETNAME",
        "    The name of this connection.",
        "GETREDIR",
        "    -1: client-side caching is not offered.",
        "ID",
        "    The id of this connection.",
        "INFO",
        "    The line of this connection in CLIENT LIST.",
        "KILL <ip:port> | <option> <value> [<option> <value> ...]",
        "    Close connections. Options: ADDR LADDR ID TYPE USER SKIPME.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> ...]",
        "    One line per connection.",
        "NO-EVICT (ON|OFF)",
        "    Kept for clients that set it; nothing is ever evicted.",
        "NO-TOUCH (ON|OFF)",
        "    Commands of this connection do not change the idle time of keys.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold back commands of all clients for so many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether this connection gets replies.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    What the client library calls itself.",
        "SETNAME <name>",
        "    Name this connection.",
        "UNBLOCK <id> [TIMEOUT|ERROR]",
        "    End the wait of a blocked connection.",
        "UNPAUSE",
        "    End CLIENT PAUSE.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

#define PLAIN CMD_NOSCRIPT | CMD_LOADING | CMD_STALE
#define SUB(word, n, more, version, form, text, function)                                          \
    {                                                                                              \
        .name = word, .arity = n, .flags = PLAIN | (more), .acl = ACL_CONNECTION,                  \
        .group = "connection", .since = version, .syntax = form, .summary = text,                  \
        .handler = function, .complexity = "O(1)"                                                  \
    }

/* clang-format off */
static const struct command client_subcommands[] = {
    SUB("getname", 2, CMD_SENTINEL, "2.6.9", "CLIENT GETNAME", "Answers the connection's name.",
        client_getname),
    SUB("getredir", 2, 0, "6.0.0", "CLIENT GETREDIR", "Always -1.", client_getredir),
    SUB("help", 2, 0, "5.0.0", "CLIENT HELP", "Explains the subcommands.", client_help),
    SUB("id", 2, CMD_SENTINEL, "5.0.0", "CLIENT ID", "Answers the connection's id.", client_id),
    SUB("info", 2, CMD_SENTINEL, "6.2.0", "CLIENT INFO", "Describes this connection.",
        client_info),
    SUB("kill", -3, CMD_ADMIN | CMD_SENTINEL, "2.4.0",
        "CLIENT KILL ip:port | [ID id] [TYPE type] [USER username] [ADDR ip:port] [LADDR ip:port] "
        "[SKIPME yes/no]",
        "Closes connections.", client_kill),
    SUB("list", -2, CMD_ADMIN | CMD_SENTINEL, "2.4.0",
        "CLIENT LIST [TYPE type] [ID id [id ...]]", "Describes connections, one per line.",
        client_list),
    SUB("no-evict", 3, CMD_ADMIN | CMD_SENTINEL, "7.0.0", "CLIENT NO-EVICT ON | OFF",
        "Accepted, without effect: nothing is ever evicted.", client_no_evict),
    SUB("no-touch", 3, 0, "7.2.0", "CLIENT NO-TOUCH ON | OFF",
        "Leaves the idle time of keys alone.", client_no_touch),
    SUB("pause", -3, CMD_ADMIN | CMD_SENTINEL, "3.0.0",
        "CLIENT PAUSE timeout [WRITE | ALL]", "Holds back commands for a time.", client_pause),
    SUB("reply", 3, 0, "3.2.0", "CLIENT REPLY ON | OFF | SKIP", "Switches replies on and off.",
        client_reply),
    SUB("setinfo", 4, CMD_SENTINEL, "7.2.0",
        "CLIENT SETINFO LIB-NAME libname | LIB-VER libver", "Names the client library.",
        client_setinfo),
    SUB("setname", 3, CMD_SENTINEL, "2.6.9", "CLIENT SETNAME connection-name",
        "Names the connection.", client_setname),
    SUB("unblock", -3, CMD_ADMIN, "5.0.0", "CLIENT UNBLOCK client-id [TIMEOUT | ERROR]",
        "Ends the wait of a blocked connection.", client_unblock),
    SUB("unpause", 2, CMD_ADMIN | CMD_SENTINEL, "6.2.0", "CLIENT UNPAUSE", "Ends CLIENT PAUSE.",
        client_unpause),
    {.name = NULL},
};

const struct command cmd_client[] = {
    {.name = "client", .arity = -2, .flags = CMD_SENTINEL, .group = "connection",
     .since = "2.4.0", .syntax = "CLIENT subcommand [argument ...]",
     .summary = "Asks about connections and manages them.", .subcommands = client_subcommands,
     .complexity = "Depends on the subcommand"},
    {.name = NULL},
};
/* clang-format on */
