#include "broker/slowlog.h"

#include "base/mem.h"
#include "resp/writer.h"

enum { ARGS_MAX = 32, ARG_BYTES_MAX = 128 };

static void put_argument(struct resp_writer *w, struct bytes text)
{
    if (text.len <= ARG_BYTES_MAX) {
        resp_bulk(w, text);
        return;
    }
    struct buf cut = {0};
    buf_append(&cut, text.data, ARG_BYTES_MAX);
    buf_printf(&cut, "... (%zu more bytes)", text.len - ARG_BYTES_MAX);
    resp_bulk(w, buf_bytes(&cut));
    buf_fini(&cut);
}

/* HELLO 3 AUTH user password: what follows the word. */
static bool follows_auth(const struct bytes *argv, size_t i)
{
    return (i >= 3 && bytes_is_word(argv[i - 1], "auth")) ||
           (i >= 4 && bytes_is_word(argv[i - 2], "auth"));
}

bool argument_is_secret(const struct bytes *argv, size_t i)
{
    if (i == 0) return false;
    if (bytes_is_word(argv[0], "auth")) return true;
    if (bytes_is_word(argv[0], "hello")) return follows_auth(argv, i);
    return i >= 3 && bytes_is_word(argv[0], "config") && bytes_is_word(argv[1], "set") &&
           bytes_is_word(argv[i - 1], "requirepass");
}

static void entry_free(struct slow_entry *e)
{
    buf_fini(&e->argv);
    buf_fini(&e->address);
    buf_fini(&e->name);
    mem_free(e);
}

static void cut_to(struct slowlog *log, size_t max)
{
    struct slow_entry **at = &log->first;
    for (size_t i = 0; i < max && *at != NULL; i++) at = &(*at)->next;
    while (*at != NULL) {
        struct slow_entry *e = *at;
        *at = e->next;
        entry_free(e);
        log->count--;
    }
}

void slowlog_add(struct slowlog *log, size_t max, int64_t time_s, int64_t duration_us, size_t argc,
                 const struct bytes *argv, const char *address, struct bytes name)
{
    struct slow_entry *e = mem_calloc(sizeof *e);
    struct resp_writer w = {&e->argv, 2};
    size_t shown = argc > ARGS_MAX ? ARGS_MAX - 1 : argc;
    e->id = log->next_id++;
    e->time_s = time_s;
    e->duration_us = duration_us;
    for (size_t i = 0; i < shown; i++)
        put_argument(&w, argument_is_secret(argv, i) ? BYTES("(redacted)") : argv[i]);
    e->argc = shown;
    if (shown < argc) {
        struct buf more = {0};
        buf_printf(&more, "... (%zu more arguments)", argc - shown);
        resp_bulk(&w, buf_bytes(&more));
        buf_fini(&more);
        e->argc++;
    }
    buf_put(&e->address, bytes_of(address));
    buf_put(&e->name, name);
    e->next = log->first;
    log->first = e;
    log->count++;
    cut_to(log, max);
}

void slowlog_clear(struct slowlog *log)
{
    cut_to(log, 0);
}
