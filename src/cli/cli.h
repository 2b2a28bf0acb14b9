/* The command line: one file per subcommand; this is what main.c knows of them. */
#ifndef LEAT_CLI_CLI_H
#define LEAT_CLI_CLI_H

struct cli_command {
    const char *name;
    const char *summary; /* one line of `leat help` */
    /* argv[0] is "leat NAME". Returns the exit status: 0, 1 for a failure, 2 for wrong usage,
     * 3 when a server cannot be reached. */
    int (*main)(int argc, char **argv);
};

enum { CLI_USAGE = 2 };

int cmd_serve(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_simulate(int argc, char **argv);
int cmd_add(int argc, char **argv);
int cmd_read(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_salvage(int argc, char **argv);
int cmd_streams(int argc, char **argv);
int cmd_groups(int argc, char **argv);
int cmd_lag(int argc, char **argv);
int cmd_pending(int argc, char **argv);
int cmd_claim(int argc, char **argv);
int cmd_trim(int argc, char **argv);
int cmd_pub(int argc, char **argv);
int cmd_sub(int argc, char **argv);
int cmd_subscribers(int argc, char **argv);
int cmd_help(int argc, char **argv);

/* The subcommands, ended by a NULL name. A row without a main is a heading of `leat help`. */
extern const struct cli_command cli_commands[];

#endif
