/* Whether the head of a response is one that a source can read: the status and the type. */
#include "flow/source_answer.h"

#include <stdio.h>
#include <strings.h>

#include "flow/http_why.h"

/* The type without its parameters, in any case. */
static bool is_type(struct bytes content_type, const char *word)
{
    size_t n = strlen(word);
    if (content_type.len < n || strncasecmp(content_type.data, word, n) != 0) return false;
    return content_type.len == n || strchr("; \t", content_type.data[n]) != NULL;
}

static bool accepts_type(enum source_type type, struct bytes got, char *ret_why, size_t size)
{
    enum { SHOWN_MAX = 80 };
    bool is_sse = is_type(got, "text/event-stream");
    if (type == SOURCE_SSE && !is_sse) {
        struct bytes shown = got.len > 0 ? got : BYTES("without a Content-Type");
        if (shown.len > SHOWN_MAX) shown.len = SHOWN_MAX;
        snprintf(ret_why, size,
                 "the answer is %.*s, not text/event-stream; check the URL, or set `type: lines` "
                 "if it serves one JSON text per line",
                 (int)shown.len, shown.data);
        return false;
    }
    if (type == SOURCE_LINES && is_sse) {
        snprintf(ret_why, size, "the answer is text/event-stream, not lines; set `type: sse`");
        return false;
    }
    if (type == SOURCE_LINES && is_type(got, "text/html")) {
        snprintf(ret_why, size,
                 "the answer is text/html, a page for people, not lines; check the URL");
        return false;
    }
    return true;
}

bool source_accepts(enum source_type type, const struct http_head *head, char *ret_why, size_t size)
{
    if (head->status != 200) {
        http_why_status(head->status, ret_why, size);
        return false;
    }
    return accepts_type(type, head->content_type, ret_why, size);
}
