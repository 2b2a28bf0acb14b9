#include "client/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A zero-terminated copy, owned by the caller; NULL when a percent sign or a zero byte is wrong. */
static char *decode(struct bytes text)
{
    char *out = mem_alloc(text.len + 1), *to = out;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
            c = high < 0 || low < 0 ? '\0' : (char)(high << 4 | low);
            if (c == '\0') {
                mem_free(out);
                return NULL;
            }
            i += 2;
        }
        *to++ = c;
    }
    *to = '\0';
    return out;
}

/* Cuts `text` at the first (or last) `c`: what stands before it is returned, what stands behind is
 * left. All of it is returned, and nothing left (data NULL), when there is none. */
static struct bytes cut(struct bytes *text, char c, bool last)
{
    struct bytes before = *text;
    const char *at = text->len == 0 ? NULL
                     : last         ? memrchr(text->data, c, text->len)
                                    : memchr(text->data, c, text->len);
    if (at == NULL) {
        *text = (struct bytes){NULL, 0};
        return before;
    }
    before.len = (size_t)(at - before.data);
    text->len -= before.len + 1;
    text->data = at + 1;
    return before;
}

static const char *parse_db(struct bytes text, struct leat_url *u)
{
    uint64_t n;
    if (!num_parse_u64(text, &n) || n > INT32_MAX) return "the database is not a number";
    u->db = (int)n;
    return NULL;
}

static const char *parse_query(struct bytes query, struct leat_url *u)
{
    while (query.data != NULL && query.len > 0) {
        struct bytes value = cut(&query, '&', false);
        struct bytes name = cut(&value, '=', false);
        if (!bytes_eq(name, BYTES("db"))) return "the only parameter of a URL is db";
        const char *error = parse_db(value, u);
        if (error) return error;
    }
    return NULL;
}

static const char *parse_login(struct bytes login, struct leat_url *u)
{
    struct bytes user = cut(&login, ':', false);
    if (login.data == NULL) return "a user in a URL needs a password (user:password@)";
    if (user.len > 0 && (u->user = decode(user)) == NULL) return "a wrong percent sign in the user";
    u->password = decode(login);
    return u->password ? NULL : "a wrong percent sign in the password";
}

static const char *parse_port(struct bytes text, struct leat_url *u)
{
    uint64_t n;
    if (!num_parse_u64(text, &n) || n == 0 || n > 65535)
        return "the port is not a number up to 65535";
    snprintf(u->port, sizeof u->port, "%d", (int)n);
    return NULL;
}

static const char *parse_host(struct bytes text, struct leat_url *u)
{
    struct bytes host, port = {NULL, 0};
    if (text.len > 0 && text.data[0] == '[') {
        host = (struct bytes){text.data + 1, text.len - 1};
        port = host;
        host = cut(&port, ']', false);
        if (port.data == NULL) return "a bracket of the address is not closed";
        if (port.len > 0 && port.data[0] != ':') return "the port is not a number up to 65535";
        port = port.len > 0 ? (struct bytes){port.data + 1, port.len - 1} : (struct bytes){NULL, 0};
    } else {
        port = text;
        host = cut(&port, ':', false);
    }
    u->host = host.len > 0 ? decode(host) : mem_strdup("localhost");
    if (u->host == NULL) return "a wrong percent sign in the host";
    snprintf(u->port, sizeof u->port, "6379");
    return port.data != NULL ? parse_port(port, u) : NULL;
}

static const char *parse_tcp(struct bytes rest, struct leat_url *u)
{
    struct bytes query = rest;
    rest = cut(&query, '?', false);
    struct bytes db = rest;
    struct bytes host = cut(&db, '/', false);
    const char *error = NULL;
    struct bytes behind = host;
    struct bytes login = cut(&behind, '@', true);
    if (behind.data != NULL) {
        error = parse_login(login, u);
        host = behind;
    }
    if (!error) error = parse_host(host, u);
    if (!error && db.len > 0) error = parse_db(db, u);
    return error ? error : parse_query(query, u);
}

static const char *parse_unix(struct bytes rest, struct leat_url *u)
{
    struct bytes query = rest;
    struct bytes path = cut(&query, '?', false);
    if (path.len > 0 && path.data[0] != '/') {
        struct bytes behind = path;
        struct bytes login = cut(&behind, '@', false);
        if (behind.data == NULL) return "the path of a unix socket begins with /";
        const char *error = parse_login(login, u);
        if (error) return error;
        path = behind;
    }
    if (path.len < 2 || path.data[0] != '/') return "the path of a unix socket begins with /";
    if ((u->host = decode(path)) == NULL) return "a wrong percent sign in the path";
    u->is_unix = true;
    return parse_query(query, u);
}

static bool take_scheme(struct bytes *text, struct bytes scheme)
{
    if (text->len < scheme.len) return false;
    if (!bytes_eq_nocase((struct bytes){text->data, scheme.len}, scheme)) return false;
    text->data += scheme.len;
    text->len -= scheme.len;
    return true;
}

int leat_url_parse(const char *text, struct leat_url *ret, const char **ret_error)
{
    struct leat_url u = {0};
    struct bytes rest = bytes_of(text);
    const char *error;
    if (take_scheme(&rest, BYTES("redis://"))) error = parse_tcp(rest, &u);
    else if (take_scheme(&rest, BYTES("unix://"))) error = parse_unix(rest, &u);
    else if (take_scheme(&rest, BYTES("rediss://"))) error = "rediss:// (TLS) is not supported";
    else error = "a URL begins with redis:// or unix://";
    if (error) {
        leat_url_fini(&u);
        *ret_error = error;
        return -EINVAL;
    }
    *ret = u;
    return 0;
}

void leat_url_fini(struct leat_url *u)
{
    mem_free(u->host);
    mem_free(u->user);
    if (u->password != NULL) explicit_bzero(u->password, strlen(u->password));
    mem_free(u->password);
    *u = (struct leat_url){0};
}
