/* XRETAIN, a command of leat's own: what of a stream goes by itself. */
#include "broker/change_stream.h"
#include "broker/retention.h"
#include "broker/settings.h"

static bool parse_size(struct call *c, struct bytes arg, struct stream_retention *ret)
{
    int64_t n;
    bool good = settings_parse_memory(arg, &n) && n > 0;
    if (good) ret->bytes = (uint64_t)n;
    else resp_error(c->reply, "ERR BYTES must be a size, as 1gb or 1000000");
    return good;
}

static bool parse_age(struct call *c, struct bytes arg, struct stream_retention *ret)
{
    bool good = retention_parse_age(arg, &ret->age_ms);
    if (!good) resp_error(c->reply, "ERR AGE must be a time, as 7d, 12h or 1500ms");
    return good;
}

static bool parse(struct call *c, struct stream_retention *ret)
{
    *ret = (struct stream_retention){0};
    if (c->argc == 3 && bytes_is_word(c->argv[2], "default")) return true;
    for (size_t i = 2; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (bytes_is_word(c->argv[i], "until-acked")) {
            ret->acknowledged = true;
        } else if (more && bytes_is_word(c->argv[i], "age")) {
            if (!parse_age(c, c->argv[++i], ret)) return false;
        } else if (more && bytes_is_word(c->argv[i], "bytes")) {
            if (!parse_size(c, c->argv[++i], ret)) return false;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static void xretain(struct call *c)
{
    struct stream_retention retention;
    struct key *k;
    if (!parse(c, &retention) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k)) return;
    if (k == NULL) {
        resp_error(c->reply, "ERR no such key");
        return;
    }
    change_stream_retention(c, k, retention);
    retention_wake(c->broker);
    resp_simple(c->reply, "OK");
    call_event(c, NOTIFY_STREAM, "xretain", c->argv[1]);
}

/* clang-format off */
const struct command cmd_stream_retain[] = {
    {.name = "xretain", .arity = -3, .flags = CMD_WRITE | CMD_FAST | CMD_SHRINKS, .first_key = 1,
     .last_key = 1, .key_step = 1, .acl = ACL_STREAM, .group = "stream", .since = "0.1.0",
     .syntax = "XRETAIN key <[AGE time] [BYTES size] [UNTIL-ACKED] | DEFAULT>",
     .summary = "Sets what of a stream goes by itself, in place of what was set before; DEFAULT: "
                "what the setting stream-retention says.",
     .handler = xretain, .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
