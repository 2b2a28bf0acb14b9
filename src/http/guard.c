/* Host and Origin against what the gateway is known as. Addresses are compared in one spelling
 * (that of inet_ntop), names without regard to case. */
#include "http/guard.h"

#include <arpa/inet.h>

enum { HOST_MAX = 255 };

static bool is_port(struct bytes b)
{
    if (b.len > 5) return false;
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] < '0' || b.data[i] > '9') return false;
    }
    return true;
}

/* Cuts the port off; the brackets of an IPv6 address as well. False when it is not a host. */
static bool split_host(struct bytes host, struct bytes *ret_name)
{
    const char *end = NULL;
    struct bytes rest = {0};
    if (host.len == 0 || host.len > HOST_MAX || memchr(host.data, 0, host.len)) return false;
    if (host.data[0] == '[') {
        end = memchr(host.data, ']', host.len);
        if (!end) return false;
        *ret_name = (struct bytes){host.data + 1, (size_t)(end - host.data) - 1};
        end++;
    } else {
        end = memchr(host.data, ':', host.len);
        if (!end) end = host.data + host.len;
        *ret_name = (struct bytes){host.data, (size_t)(end - host.data)};
    }
    rest = (struct bytes){end, host.len - (size_t)(end - host.data)};
    if (ret_name->len == 0) return false;
    return rest.len == 0 ||
           (rest.data[0] == ':' && is_port((struct bytes){rest.data + 1, rest.len - 1}));
}

/* Writes an address in its one spelling; an IPv4 address mapped into IPv6 counts as IPv4. */
static bool address(struct bytes name, char out[INET6_ADDRSTRLEN])
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if (name.len >= sizeof(text)) return false;
    memcpy(text, name.data, name.len);
    text[name.len] = 0;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        return inet_ntop(AF_INET, &v4, out, INET6_ADDRSTRLEN) != NULL;
    }
    if (inet_pton(AF_INET6, text, &v6) != 1) return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        return inet_ntop(AF_INET, v6.s6_addr + 12, out, INET6_ADDRSTRLEN) != NULL;
    }
    return inet_ntop(AF_INET6, &v6, out, INET6_ADDRSTRLEN) != NULL;
}

static bool same_address(const char *have, const char *known)
{
    char text[INET6_ADDRSTRLEN];
    return known && address(bytes_of(known), text) && strcmp(have, text) == 0;
}

static bool is_loopback_name(struct bytes name)
{
    struct bytes tail = {0};
    if (bytes_is_word(name, "localhost")) return true;
    /* RFC 6761: whatever ends in .localhost is loopback too, and browsers keep to it. */
    if (name.len <= 10) return false;
    tail = (struct bytes){name.data + name.len - 10, 10};
    return bytes_is_word(tail, ".localhost");
}

bool guard_host(const struct guard *g, struct bytes host, const char *local)
{
    char text[INET6_ADDRSTRLEN];
    struct bytes name;
    if (!split_host(host, &name)) return false;
    for (size_t i = 0; g->hosts && g->hosts[i]; i++) {
        if (bytes_eq_nocase(name, bytes_of(g->hosts[i]))) return true;
    }
    if (!address(name, text)) {
        return is_loopback_name(name) || (g->bind && bytes_eq_nocase(name, bytes_of(g->bind)));
    }
    return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0 ||
           same_address(text, g->bind) || same_address(text, local);
}

bool guard_origin(struct bytes origin, struct bytes host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (origin.len > n && memcmp(origin.data, schemes[i], n) == 0) {
            return bytes_eq_nocase((struct bytes){origin.data + n, origin.len - n}, host);
        }
    }
    return false;
}
