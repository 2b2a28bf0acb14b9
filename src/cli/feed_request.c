/* The head of a request to the feed server: only what it needs to know. */
#include "cli/feed_server.h"

static struct bytes trim(struct bytes b)
{
    while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t')) {
        b.data++;
        b.len--;
    }
    while (b.len > 0 && strchr(" \t\r", b.data[b.len - 1]) != NULL) b.len--;
    return b;
}

static bool next_line(struct bytes *rest, struct bytes *ret)
{
    const char *lf = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    if (lf == NULL) return false;
    *ret = (struct bytes){rest->data, (size_t)(lf - rest->data)};
    rest->len -= ret->len + 1;
    rest->data = lf + 1;
    return true;
}

static bool has_prefix(struct bytes b, const char *prefix)
{
    size_t n = strlen(prefix);
    return b.len >= n && memcmp(b.data, prefix, n) == 0;
}

/* "GET /path HTTP/1.1" */
static void parse_request_line(struct bytes line, struct feed_request *ret)
{
    const char *last = memrchr(line.data, ' ', line.len);
    if (last == NULL) return;
    struct bytes version = trim((struct bytes){last, line.len - (size_t)(last - line.data)});
    bool old = bytes_eq(version, BYTES("HTTP/1.0"));
    if (!old && !bytes_eq(version, BYTES("HTTP/1.1"))) return;
    ret->http_1_0 = old;
    ret->status = has_prefix(line, "GET /") || has_prefix(line, "GET http") ? 200 : 405;
}

void feed_request_parse(struct bytes head, struct feed_request *ret)
{
    struct bytes line;
    *ret = (struct feed_request){.status = 400, .last_event_id = {"", 0}};
    if (!next_line(&head, &line)) return;
    parse_request_line(line, ret);
    while (ret->status == 200 && next_line(&head, &line)) {
        const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        if (colon == NULL) continue;
        struct bytes name = {line.data, (size_t)(colon - line.data)};
        struct bytes value = {colon + 1, line.len - name.len - 1};
        if (bytes_is_word(name, "last-event-id")) ret->last_event_id = trim(value);
    }
}
