/* See durable.h. */
#include "cli/tool/durable.h"

bool durable_patterns(struct tool *t, struct buf *ret_patterns)
{
    struct leat_reply *r = tool_tryf(t, "CONFIG GET durable");
    const struct leat_reply *value = leat_reply_get(r, "durable");
    if (value != NULL) buf_put(ret_patterns, tool_text(value));
    leat_sync_reply_free(r);
    return value != NULL;
}

bool durable_covers(struct bytes patterns, struct bytes channel)
{
    while (patterns.len > 0) {
        const char *space = memchr(patterns.data, ' ', patterns.len);
        struct bytes one = {patterns.data, space ? (size_t)(space - patterns.data) : patterns.len};
        if (one.len > 0 && (bytes_eq(one, channel) || bytes_match_glob(one, channel, false)))
            return true;
        size_t used = one.len + (space != NULL);
        patterns = (struct bytes){patterns.data + used, patterns.len - used};
    }
    return false;
}
