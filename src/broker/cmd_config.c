/* CONFIG: settings, asked for and changed while the server runs. */
#include "broker/durable.h"
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

static bool set_failed(struct call *c, struct bytes name, struct bytes why)
{
    resp_error(c->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.*s",
               (int)name.len, name.data, (int)why.len, why.data);
    return false;
}

static bool is_named_before(const struct call *c, size_t i, const struct setting *s)
{
    for (size_t j = 2; j < i; j += 2)
        if (settings_find(c->argv[j]) == s) return true;
    return false;
}

static bool opens_the_door(const struct broker *b, const struct setting *s, struct bytes value)
{
    return b->needs_password && value.len == 0 && strcmp(s->name, "requirepass") == 0;
}

/* Sets argv[i] to argv[i + 1]; false with the error replied. */
static bool try_one(struct call *c, size_t i, struct settings *next)
{
    struct bytes name = c->argv[i], value = c->argv[i + 1];
    const struct setting *s = settings_find(name);
    struct buf why = {0};
    if (s == NULL) {
        resp_error(c->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                   (int)name.len, name.data);
        return false;
    }
    if (is_named_before(c, i, s)) return set_failed(c, name, BYTES("duplicate parameter"));
    if (s->flags & SETTING_IMMUTABLE)
        return set_failed(c, name, BYTES("can't set immutable config"));
    if (opens_the_door(c->broker, s, value))
        return set_failed(c, name, BYTES("without a password leat listens on loopback only"));
    bool ok = settings_set(next, s, value, &why) == 0;
    if (!ok) set_failed(c, name, buf_bytes(&why));
    buf_fini(&why);
    return ok;
}

/* All values are tried on a copy first: a CONFIG SET of several settings happens whole or not. */
static bool try_all(struct call *c, struct settings *next)
{
    for (size_t i = 2; i < c->argc; i += 2)
        if (!try_one(c, i, next)) return false;
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
    durable_settings_changed(b);
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
