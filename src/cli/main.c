/* leat's entry: finds the subcommand and hands over. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
    {"Run it:", NULL, NULL},
    {"serve", "run the broker: the Redis protocol, durable, with a dashboard", cmd_serve},
    {"run", "run the flows of a file, with a broker inside or on another one", cmd_run},
    {"Streams, on any server that speaks the Redis protocol (--url):", NULL, NULL},
    {"add", "append entries to a stream", cmd_add},
    {"read", "print the entries of streams, follow them, take part in a group", cmd_read},
    {"streams", "list streams: length, first and last id, bytes, groups", cmd_streams},
    {"groups", "list the groups of a stream, or their consumers", cmd_groups},
    {"lag", "show how far the groups of streams are behind, once or live", cmd_lag},
    {"pending", "show what a group was given and has not acknowledged", cmd_pending},
    {"claim", "give pending entries to another consumer of the group", cmd_claim},
    {"trim", "remove a stream's oldest entries", cmd_trim},
    {"Channels, on any server as well:", NULL, NULL},
    {"pub", "publish messages on a channel", cmd_pub},
    {"sub", "print the messages of channels, without losing any if durable", cmd_sub},
    {"subscribers", "list who subscribes to channels", cmd_subscribers},
    {"Feeds to try it with:", NULL, NULL},
    {"replay", "serve a recording as an event feed, well behaved or not", cmd_replay},
    {"simulate", "serve a made-up event feed, for machines without internet", cmd_simulate},
    {"Data directories:", NULL, NULL},
    {"verify", "name all that is damaged in a data directory", cmd_verify},
    {"salvage", "copy what is whole of a damaged data directory into a new one", cmd_salvage},
    {"More:", NULL, NULL},
    {"help", "explain a subcommand, a Redis command, or all settings", cmd_help},
    {0},
};

static const struct cli_command *find(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
        if (c->main != NULL && strcmp(c->name, name) == 0) return c;
    return NULL;
}

int main(int argc, char **argv)
{
    char *help[] = {"leat help", NULL};
    hash_seed();
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cmd_help(1, help);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("leat %s\n", LEAT_VERSION);
        return 0;
    }
    const struct cli_command *command = find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "leat: there is no subcommand '%s'; `leat help` lists them\n", argv[1]);
        return CLI_USAGE;
    }
    char name[64];
    snprintf(name, sizeof name, "leat %s", command->name);
    argv[1] = name;
    return command->main(argc - 1, argv + 1);
}
