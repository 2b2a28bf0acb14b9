/* Options that serve and run share: every setting of the command line, from the table of settings,
 * and --config. Precedence: command line, environment, config file, default. */
#ifndef LEAT_CLI_OPTIONS_H
#define LEAT_CLI_OPTIONS_H

#include "broker/settings.h"

/* One more option of a subcommand, beside the settings. */
struct cli_option {
    const char *name;     /* "url" for --url */
    const char *argument; /* shown in --help: "REDIS-URL"; NULL: a switch */
    const char *help;
    const char **value; /* set to the argument, or to "" for a switch */
};

struct cli_usage {
    const char *positional;      /* "FILE", or NULL for none */
    const char *doc;             /* shown by --help: what it does, then \v and examples */
    struct cli_option *extra;    /* ended by a NULL name; may be NULL */
    const char **ret_positional; /* set to the one positional argument */
};

/* Parses the command line (exits by itself after --help or wrong usage, as argp does) and fills
 * `settings` from all four sources. False, with the errors on standard error, when a value is
 * wrong. */
bool cli_options(int argc, char **argv, const struct cli_usage *usage, struct settings *settings);

#endif
