/* EVAL, EVALSHA and SCRIPT, for the few scripts that leat knows (scripts.h). Any other is refused:
 * by EVALSHA as Redis refuses one that was not loaded, so that clients send the text; then in
 * words. */
#include "broker/call.h"
#include "broker/scripts.h"

static void error_unknown(struct call *c)
{
    resp_error(c->reply,
               "ERR leat runs no Lua: it knows only the scripts by which client libraries "
               "release and extend locks");
}

/* The keys and arguments behind argv[2], their number. */
static bool split_arguments(struct call *c, struct script_call *s)
{
    int64_t n;
    if (!call_int(c, c->argv[2], &n)) return false;
    if (n > (int64_t)c->argc - 3) {
        resp_error(c->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (n < 0) {
        resp_error(c->reply, "ERR Number of keys can't be negative");
        return false;
    }
    *s = (struct script_call){.keys = c->argv + 3,
                              .args = c->argv + 3 + n,
                              .key_count = (size_t)n,
                              .arg_count = c->argc - 3 - (size_t)n};
    return true;
}

static void eval(struct call *c)
{
    struct script_call s;
    if (!split_arguments(c, &s)) return;
    script_handler handler = script_by_text(c->argv[1]);
    if (handler != NULL) handler(c, &s);
    else error_unknown(c);
}

static void evalsha(struct call *c)
{
    struct script_call s;
    script_handler handler = script_by_sha(c->argv[1]);
    if (handler == NULL) resp_error(c->reply, "NOSCRIPT No matching script. Please use EVAL.");
    else if (split_arguments(c, &s)) handler(c, &s);
}

static void script_load(struct call *c)
{
    char sha[SCRIPT_SHA_LEN];
    if (script_by_text(c->argv[2]) == NULL) {
        error_unknown(c);
        return;
    }
    script_sha(c->argv[2], sha);
    resp_bulk(c->reply, (struct bytes){sha, sizeof sha});
}

static void script_exists(struct call *c)
{
    resp_array(c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) resp_int(c->reply, script_by_sha(c->argv[i]) != NULL);
}

/* There is nothing to forget: a script's SHA-1 never means anything else. */
static void script_flush(struct call *c)
{
    bool ok =
        c->argc == 2 ||
        (c->argc == 3 && (bytes_is_word(c->argv[2], "sync") || bytes_is_word(c->argv[2], "async")));
    if (ok) resp_simple(c->reply, "OK");
    else resp_error(c->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

static void script_help(struct call *c)
{
    static const char *const lines[] = {
        "SCRIPT <subcommand> [<arg> ...]. Subcommands are:",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tells which of these scripts are known.",
        "FLUSH [ASYNC|SYNC]",
        "    Does nothing: leat keeps no scripts.",
        "LOAD <script>",
        "    Answers the SHA-1 of one of the scripts that leat knows.",
        "HELP",
        "    Prints this help.",
        NULL,
    };
    call_help(c, lines);
}

#define SCRIPTING .acl = ACL_SCRIPTING, .group = "scripting"
#define EVAL                                                                                       \
    CMD_WRITE | CMD_NOSCRIPT | CMD_STALE | CMD_MOVABLE_KEYS | CMD_NO_MANDATORY_KEYS | CMD_SHRINKS

/* clang-format off */
static const struct command script_subcommands[] = {
    {.name = "exists", .arity = -3, .flags = CMD_NOSCRIPT, SCRIPTING, .since = "2.6.0",
     .syntax = "SCRIPT EXISTS sha1 [sha1 ...]", .summary = "Tells which of these scripts are known.",
     .handler = script_exists, .complexity = "O(N) in scripts given"},
    {.name = "flush", .arity = -2, .flags = CMD_NOSCRIPT, SCRIPTING, .since = "2.6.0",
     .syntax = "SCRIPT FLUSH [ASYNC | SYNC]", .summary = "Does nothing: leat keeps no scripts.",
     .handler = script_flush, .complexity = "O(1)"},
    {.name = "help", .arity = 2, .flags = CMD_LOADING | CMD_STALE, SCRIPTING, .since = "5.0.0",
     .syntax = "SCRIPT HELP", .summary = "Explains the subcommands.", .handler = script_help,
     .complexity = "O(1)"},
    {.name = "load", .arity = 3, .flags = CMD_NOSCRIPT | CMD_STALE, SCRIPTING, .since = "2.6.0",
     .syntax = "SCRIPT LOAD script",
     .summary = "Answers the SHA-1 of one of the scripts that leat knows.", .handler = script_load,
     .complexity = "O(N) in bytes of the script"},
    {.name = NULL},
};

const struct command cmd_script[] = {
    {.name = "eval", .arity = -3, .flags = EVAL, .first_key = 2, .key_positions = KEYS_NUMBERED,
     SCRIPTING, .since = "2.6.0", .syntax = "EVAL script numkeys [key [key ...]] [arg [arg ...]]",
     .summary = "Does what a script does that releases or extends a lock; runs no other.",
     .handler = eval, .complexity = "O(N) in bytes of the script"},
    {.name = "evalsha", .arity = -3, .flags = EVAL, .first_key = 2, .key_positions = KEYS_NUMBERED,
     SCRIPTING, .since = "2.6.0", .syntax = "EVALSHA sha1 numkeys [key [key ...]] [arg [arg ...]]",
     .summary = "EVAL of a script that leat knows, by its SHA-1.", .handler = evalsha,
     .complexity = "O(1)"},
    {.name = "script", .arity = -2, .group = "scripting", .since = "2.6.0",
     .syntax = "SCRIPT subcommand [argument ...]",
     .summary = "Asks which scripts leat knows.", .subcommands = script_subcommands,
     .complexity = "Depends on the subcommand"},
    {.name = NULL},
};
/* clang-format on */
