#include "server/ahead.h"

static bool fits(const struct resp_request *r)
{
    /* Inline commands with quotes live in the parser, which goes on to the next one. */
    return r->argc <= AHEAD_ARGS && r->inline_text.len == 0;
}

void ahead_parse(struct ahead *a, struct resp_request *r, const char *data, size_t len)
{
    size_t at = 0;
    a->count = 0;
    while (a->count < AHEAD_COMMANDS && at < len) {
        struct ahead_command *c = &a->commands[a->count];
        ssize_t n = resp_request_feed(r, data + at, len - at);
        if (n > 0 && fits(r)) {
            c->used = (size_t)n;
            c->argc = r->argc;
            if (r->argc > 0) memcpy(c->argv, r->argv, r->argc * sizeof *r->argv);
            a->count++;
            at += (size_t)n;
            continue;
        }
        /* Left to the way of one at a time, from its start. */
        if (a->count > 0 || n != 0) resp_request_reset(r);
        return;
    }
}

void ahead_prefetch(struct ahead *a, struct broker *b, const struct session *s)
{
    if (broker_is_loading(b)) return; /* the keyspace is another thread's until then */
    for (size_t i = 0; i < a->count; i++)
        if (a->commands[i].argc > 1)
            a->commands[i].hash = broker_prefetch(b, s, a->commands[i].argv[1]);
    for (size_t i = 0; i < a->count; i++)
        if (a->commands[i].argc > 1) broker_prefetch_key(b, s, a->commands[i].hash);
}
