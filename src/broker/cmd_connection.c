/* The connection itself: AUTH, HELLO, PING, ECHO, SELECT, QUIT, RESET. */
#include "base/num.h"
#include "broker/internal.h"

/* Takes as long for a wrong password as for a right one: the time must not tell how much of it was
 * right. */
static bool is_password(const struct broker *b, struct bytes given)
{
    struct bytes right = bytes_of(b->settings.requirepass);
    unsigned difference = given.len != right.len;
    for (size_t i = 0; i < given.len; i++)
        difference |= (unsigned)(given.data[i] ^ (right.len ? right.data[i % right.len] : 0));
    return difference == 0;
}

static bool authenticate(struct call *c, struct bytes user, struct bytes password)
{
    const struct broker *b = c->broker;
    bool known = bytes_eq(user, BYTES("default"));
    if (known && (b->settings.requirepass[0] == '\0' || is_password(b, password))) {
        c->session->authenticated = true;
        return true;
    }
    resp_error(c->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

static void auth(struct call *c)
{
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 2 && c->broker->settings.requirepass[0] == '\0') {
        resp_error(c->reply, "ERR AUTH <password> called without any password configured for the "
                             "default user. Are you sure your configuration is correct?");
        return;
    }
    struct bytes user = c->argc == 3 ? c->argv[1] : BYTES("default");
    if (authenticate(c, user, c->argv[c->argc - 1])) resp_simple(c->reply, "OK");
}

struct hello {
    int64_t proto;
    struct bytes user, password, name;
};

static bool parse_hello(struct call *c, struct hello *h)
{
    if (c->argc > 1) {
        if (!num_parse_i64(c->argv[1], &h->proto)) {
            resp_error(c->reply, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (h->proto != 2 && h->proto != 3) {
            resp_error(c->reply, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (size_t i = 2; i < c->argc; i++) {
        size_t left = c->argc - i - 1;
        if (bytes_is_word(c->argv[i], "auth") && left >= 2) {
            h->user = c->argv[i + 1];
            h->password = c->argv[i + 2];
            i += 2;
        } else if (bytes_is_word(c->argv[i], "setname") && left >= 1) {
            h->name = c->argv[++i];
            if (!session_name_is_valid(h->name)) {
                resp_error(c->reply, "ERR Client names cannot contain spaces, newlines or special "
                                     "characters.");
                return false;
            }
        } else {
            resp_error(c->reply, "ERR Syntax error in HELLO option '%.*s'", (int)c->argv[i].len,
                       c->argv[i].data);
            return false;
        }
    }
    return true;
}

static void hello(struct call *c)
{
    struct session *s = c->session;
    struct hello h = {.proto = s->proto};
    if (!parse_hello(c, &h)) return;
    if (h.user.data != NULL && !authenticate(c, h.user, h.password)) return;
    if (!session_is_trusted(s)) {
        resp_error(c->reply,
                   "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                   "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                   "client and select the RESP protocol version at the same time");
        return;
    }
    if (h.name.data != NULL) session_set_name(s, h.name);
    s->proto = c->reply->proto = (int)h.proto;
    hub_set_proto(c->broker->hub, &s->subscriber, s->proto);
    resp_map(c->reply, 7);
    resp_bulk_str(c->reply, "server");
    resp_bulk_str(c->reply, "redis");
    resp_bulk_str(c->reply, "version");
    resp_bulk_str(c->reply, REDIS_VERSION);
    resp_bulk_str(c->reply, "proto");
    resp_int(c->reply, s->proto);
    resp_bulk_str(c->reply, "id");
    resp_int(c->reply, (int64_t)s->id);
    resp_bulk_str(c->reply, "mode");
    resp_bulk_str(c->reply, "standalone");
    resp_bulk_str(c->reply, "role");
    resp_bulk_str(c->reply, "master");
    resp_bulk_str(c->reply, "modules");
    resp_array(c->reply, 0);
}

static void ping(struct call *c)
{
    if (c->argc > 2) {
        call_error_arity(c);
        return;
    }
    if (c->session->proto == 2 && session_is_subscribed(c->session)) {
        resp_array(c->reply, 2);
        resp_bulk(c->reply, BYTES("pong"));
        resp_bulk(c->reply, c->argc == 2 ? c->argv[1] : BYTES(""));
    } else if (c->argc == 2) {
        resp_bulk(c->reply, c->argv[1]);
    } else {
        resp_simple(c->reply, "PONG");
    }
}

static void echo(struct call *c)
{
    resp_bulk(c->reply, c->argv[1]);
}

static void select_db(struct call *c)
{
    if (!call_db(c, c->argv[1], &c->session->db)) return;
    resp_simple(c->reply, "OK");
}

static void quit(struct call *c)
{
    resp_simple(c->reply, "OK");
    session_end(c->session, true);
}

static void reset(struct call *c)
{
    session_reset(c->broker, c->session);
    struct resp_writer w = call_reply_even_if_off(c);
    resp_simple(&w, "RESET");
}

#define FAST CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST

/* clang-format off */
const struct command cmd_connection[] = {
    {.name = "auth", .arity = -2,
     .flags = FAST | CMD_NO_AUTH | CMD_SENTINEL | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .group = "connection", .since = "1.0.0",
     .syntax = "AUTH [username] password", .summary = "Gives the password.", .handler = auth,
     .complexity = "O(N) in the password's length"},
    {.name = "hello", .arity = -1,
     .flags = FAST | CMD_NO_AUTH | CMD_SENTINEL | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .group = "connection", .since = "6.0.0",
     .syntax = "HELLO [protover [AUTH username password] [SETNAME clientname]]",
     .summary = "Agrees on the protocol version; answers who the server is.", .handler = hello,
     .complexity = "O(1)"},
    {.name = "ping", .arity = -1, .flags = CMD_FAST | CMD_SENTINEL, .acl = ACL_CONNECTION,
     .group = "connection", .since = "1.0.0", .syntax = "PING [message]",
     .summary = "Answers PONG, or the message.", .handler = ping, .complexity = "O(1)"},
    {.name = "echo", .arity = 2, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_CONNECTION, .group = "connection", .since = "1.0.0", .syntax = "ECHO message",
     .summary = "Answers the message.", .handler = echo, .complexity = "O(1)"},
    {.name = "select", .arity = 2, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_CONNECTION, .group = "connection", .since = "1.0.0", .syntax = "SELECT index",
     .summary = "Changes the database of this connection.", .handler = select_db,
     .complexity = "O(1)"},
    {.name = "quit", .arity = -1, .flags = FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .group = "connection", .since = "1.0.0", .syntax = "QUIT",
     .summary = "Closes the connection.", .handler = quit, .complexity = "O(1)"},
    {.name = "reset", .arity = 1, .flags = FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
     .acl = ACL_CONNECTION, .group = "connection", .since = "6.2.0", .syntax = "RESET",
     .summary = "Puts the connection back to how it began.", .handler = reset,
     .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
