/* What the commands for people share: the options --url and --json, one connection, errors that
 * name a remedy, output that ends quietly when nobody reads it, Ctrl-C.
 *
 * A command's struct begins with a struct tool. One thread; one tool per process. */
#ifndef LEAT_CLI_TOOL_TOOL_H
#define LEAT_CLI_TOOL_TOOL_H

#include <argp.h>

#include "base/buf.h"
#include "cli/tool/ask.h"
#include "cli/tool/table.h"
#include "client/sync.h"

/* Exit statuses. */
enum { TOOL_OK = 0, TOOL_REFUSED = 1, TOOL_USAGE = 2, TOOL_UNREACHABLE = 3 };

#define TOOL_STATUS_HELP                                                                           \
    "\nExit status: 0 done; 1 refused by the server, or nothing was found; 2 wrong usage; 3 the "  \
    "server cannot be reached.\n"

struct tool {
    const char *name; /* "leat read", for messages */
    const char *url;
    bool json;
    bool terminal; /* standard output is one */
    bool closed;   /* nobody reads standard output any more */
    int status;    /* what the process will say: set by the functions below */
    struct leat_sync *server;
    struct buf out;    /* what tool_flush writes */
    const char **args; /* the arguments that are no options */
    size_t arg_count;
};

/* ---- The command line ---- */

/* At the end of a command's table of options. */
enum { TOOL_OPT_URL = 0x7001, TOOL_OPT_JSON };
#define TOOL_OPTIONS                                                                               \
    {0, 0, 0, 0, "With every command:", 9},                                                        \
        {"url",                                                                                    \
         TOOL_OPT_URL,                                                                             \
         "URL",                                                                                    \
         0,                                                                                        \
         "The server: redis://[[user]:password@]host[:port][/db] or unix:///path; default "        \
         "$LEAT_URL, else redis://127.0.0.1:6379",                                                 \
         9},                                                                                       \
        {"json", TOOL_OPT_JSON, 0, 0, "One JSON object per line, for programs", 9},                \
    {                                                                                              \
        0                                                                                          \
    }
/* For what a command's parser does not know itself. */
error_t tool_option(struct tool *t, int key, char *arg);
/* As argp_parse, which ends the process after wrong usage. Arguments go to args, not to the parser;
 * one such as -3.5, which is no option, too. `input` begins with a struct tool. */
void tool_parse(const struct argp *argp, int argc, char **argv, void *input);
/* The value of an option; wrong ones end the process with a sentence. */
int64_t tool_parse_count(struct argp_state *state, const char *option, const char *arg);
int64_t tool_parse_span(struct argp_state *state, const char *option, const char *arg);
/* Wrong usage when an argument is there twice: two cursors in one stream would read it for ever. */
void tool_check_distinct(const struct tool *t, struct argp_state *state);
void tool_fini(struct tool *t);

/* ---- The server ---- */

/* False, with the reason on standard error, when it cannot be reached. */
bool tool_connect(struct tool *t);
/* Says that the connection is lost, and sets the status: after a failed tool_wait. */
void tool_lost(struct tool *t);
/* Says what happened and tries until it works; false after Ctrl-C. For commands that follow. */
bool tool_reconnect(struct tool *t);
/* Sends a command (freed in any case) and waits. NULL, said on standard error, when the connection
 * is broken or the server answers by an error; of tool_try only when broken. The caller frees the
 * reply by leat_sync_reply_free. */
struct leat_reply *tool_call(struct tool *t, struct ask *a);
struct leat_reply *tool_callf(struct tool *t, const char *format, ...);
struct leat_reply *tool_try(struct tool *t, struct ask *a);
struct leat_reply *tool_tryf(struct tool *t, const char *format, ...);
/* For pipelines: sends only (freed in any case); receives only, as tool_try. */
bool tool_send(struct tool *t, struct ask *a);
struct leat_reply *tool_receive(struct tool *t);
/* Waits for a reply, Ctrl-C, the end of whoever reads the output, or the time: 1, or 0 when none
 * came, or -EPIPE (said nowhere: see leat_sync_error). */
int tool_wait(struct tool *t, int wait_ms, struct leat_reply **ret_reply);
/* Says so on standard error, with a remedy, and sets the status. */
void tool_refuse(struct tool *t, const struct leat_reply *error);
/* The same where it has to be said of which stream or channel. */
void tool_refuse_of(struct tool *t, struct bytes name, const struct leat_reply *error);
void tool_fail(struct tool *t, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* On standard error; sets nothing. */
void tool_note(const struct tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether an error reply begins with this code ("NOGROUP"). */
bool tool_is_error(const struct leat_reply *r, const char *code);
/* The bytes of a string or status; empty for others and for NULL. */
struct bytes tool_text(const struct leat_reply *r);
/* The server's clock; ours when it does not tell. */
int64_t tool_server_ms(struct tool *t);

/* ---- Output and Ctrl-C ---- */

/* Writes `out` and empties it. False when it could not: then `closed` is set, or the status. */
bool tool_flush(struct tool *t);
void tool_put_table(struct tool *t, const struct table *table);
/* The first Ctrl-C (or SIGTERM) is noted, the second ends the process. */
void tool_catch_signals(void);
bool tool_stopped(void);
/* Stopped, or nobody reads. */
bool tool_over(const struct tool *t);
/* Flushes and frees; returns what main returns. */
int tool_end(struct tool *t);

#endif
