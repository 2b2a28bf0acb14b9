/* CONFIG: settings, asked for and changed while the server runs. */
#include "broker/internal.h"

static bool matches_any(const struct call *c, const char *name)
{
    for (size_t i = 2; i < c->argc; i++)
        if (bytes_match_glob(c->argv[i], bytes_of(name), true)) return true;
    return false;
}

static void put_pair(struct call *c, const char *name, const struct setting *s)
{
    struct buf value = {0};
    settings_get(&c->broker->settings, s, &value);
    resp_bulk_str(c->reply, name);
    resp_bulk(c->reply, value.data == NULL ? BYTES("") : buf_bytes(&value));
    buf_fini(&value);
}

static void config_get(struct call *c)
{
    size_t place = resp_defer(c->reply), n = 0;
    for (size_t i = 0; i < settings_count(); i++) {
        const struct setting *s = settings_at(i);
        if (matches_any(c, s->name)) {
            put_pair(c, s->name, s);
            n++;
        }
        if (s->alias != NULL && matches_any(c, s->alias)) {
            put_pair(c, s->alias, s);
            n++;
        }
    }
    resp_defer_map(c->reply, place, n);
}

static void set_failed(struct call *c, struct bytes name, const char *why, int why_len)
{
    resp_error(c->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.*s",
               (int)name.len, name.data, why_len, why);
}

/* All values are tried on a copy first: a CONFIG SET of several settings happens whole or not. */
static bool try_all(struct call *c, struct settings *next)
{
    for (size_t i = 2; i < c->argc; i += 2) {
        const struct setting *s = settings_find(c->argv[i]);
        struct buf why = {0};
        if (s == NULL) {
            resp_error(c->reply,
                       "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                       (int)c->argv[i].len, c->argv[i].data);
            return false;
        }
        for (size_t j = 2; j < i; j += 2) {
            if (settings_find(c->argv[j]) != s) continue;
            set_failed(c, c->argv[i], "duplicate parameter", 19);
            return false;
        }
        if (s->flags & SETTING_IMMUTABLE) {
            set_failed(c, c->argv[i], "can't set immutable config", 26);
            return false;
        }
        if (settings_set(next, s, c->argv[i + 1], &why) < 0) {
            set_failed(c, c->argv[i], why.data, (int)why.len);
            buf_fini(&why);
            return false;
        }
    }
    return true;
}

static void config_set(struct call *c)
{
    struct broker *b = c->broker;
    struct settings next;
    if (c->argc % 2 != 0) {
        call_error_arity(c);
        return;
    }
    settings_copy(&next, &b->settings);
    if (!try_all(c, &next)) {
        settings_fini(&next);
        return;
    }
    settings_fini(&b->settings);
    b->settings = next;
    if (b->options.on_setting != NULL)
        for (size_t i = 2; i < c->argc; i += 2)
            b->options.on_setting(b->options.arg, settings_find(c->argv[i])->name);
    resp_simple(c->reply, "OK");
}

static void config_resetstat(struct call *c)
{
    broker_reset_stats(c->broker);
    resp_simple(c->reply, "OK");
}

static void config_help(struct call *c)
{
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "HELP",
        "    Print this help.",
        NULL,
    };
    call_help(c, lines);
}

#define FLAGS CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE

/* clang-format off */
static const struct command config_subcommands[] = {
    {.name = "get", .arity = -3, .flags = FLAGS, .group = "server", .since = "2.0.0",
     .syntax = "CONFIG GET parameter [parameter ...]", .summary = "Answers settings by pattern.",
     .handler = config_get, .complexity = "O(N) in settings"},
    {.name = "set", .arity = -4, .flags = FLAGS, .group = "server", .since = "2.0.0",
     .syntax = "CONFIG SET parameter value [parameter value ...]",
     .summary = "Changes settings, all of them or none.", .handler = config_set,
     .complexity = "O(N) in settings given"},
    {.name = "resetstat", .arity = 2, .flags = FLAGS, .group = "server", .since = "2.0.0",
     .syntax = "CONFIG RESETSTAT", .summary = "Sets the counters of INFO to zero.",
     .handler = config_resetstat, .complexity = "O(1)"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, .group = "server",
     .since = "5.0.0", .syntax = "CONFIG HELP", .summary = "Explains the subcommands.",
     .handler = config_help, .complexity = "O(1)"},
    {.name = NULL},
};

const struct command cmd_config[] = {
    {.name = "config", .arity = -2, .group = "server", .since = "2.0.0",
     .syntax = "CONFIG subcommand [argument ...]", .summary = "Asks for and changes settings.",
     .subcommands = config_subcommands, .complexity = "Depends on the subcommand"},
    {.name = NULL},
};
/* clang-format on */
