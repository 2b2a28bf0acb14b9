/* leat help: the subcommands; one of them; a Redis command; all settings. */
#include <stdio.h>
#include <string.h>

#include "broker/command.h"
#include "broker/settings.h"
#include "cli/cli.h"

static void list_subcommands(void)
{
    printf("leat: durable event pipelines, spoken in the Redis protocol.\n\nUsage: leat SUBCOMMAND "
           "[OPTION...]\n\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (c->main == NULL) printf("%s%s\n", c == cli_commands ? "" : "\n", c->name);
        else printf("  %-12s %s\n", c->name, c->summary);
    }
    printf("\n  leat SUBCOMMAND --help   all options of a subcommand, with examples\n"
           "  leat help COMMAND        a Redis command: leat help hset\n"
           "  leat help commands       all Redis commands that leat knows\n"
           "  leat help settings       all settings, with their defaults\n"
           "  leat --version\n\n"
           "To begin: leat serve, then redis-cli; or leat run examples/wikipedia.yaml, then a "
           "browser at http://127.0.0.1:8080/\n");
}

static void list_settings(void)
{
    struct settings defaults;
    settings_init(&defaults);
    printf(
        "Settings. On the command line as --name VALUE and in the environment as LEAT_NAME where "
        "marked *;\nin a config file and by CONFIG SET as `name value`. The command line wins over "
        "the environment,\nthat over the config file, that over the default.\n\n");
    for (size_t i = 0; i < settings_count(); i++) {
        const struct setting *s = settings_at(i);
        struct buf value = {0};
        settings_get(&defaults, s, &value);
        printf("%c %-28s %-12.*s %s\n", s->flags & SETTING_CLI ? '*' : ' ', s->name, (int)value.len,
               value.len ? value.data : "", s->help);
        buf_fini(&value);
    }
    settings_fini(&defaults);
}

static void list_commands(void)
{
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *c = command_at(i);
        printf("%-18s %-13s %s\n", c->name, c->group, c->summary);
    }
}

static void explain(const struct command *c)
{
    /* Versions of leat begin with 0; what has one of these is leat's own. */
    printf("%s\n  %s\n  since %s %s, %s\n", c->syntax, c->summary,
           c->since[0] == '0' ? "leat" : "Redis", c->since, c->group);
    if (c->complexity != NULL) printf("  %s\n", c->complexity);
    for (const struct command *sub = c->subcommands; sub != NULL && sub->name != NULL; sub++)
        printf("\n%s\n  %s\n", sub->syntax, sub->summary);
}

static int help_with(const char *topic)
{
    char name[64], option[] = "--help";
    char *argv[] = {name, option, NULL};
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->name, topic) != 0 || c->main == cmd_help || c->main == NULL) continue;
        snprintf(name, sizeof name, "leat %s", topic);
        return c->main(2, argv);
    }
    const struct command *command = command_find(bytes_of(topic));
    if (command == NULL) {
        fprintf(stderr, "leat: there is no help on '%s'; `leat help` lists what there is\n", topic);
        return CLI_USAGE;
    }
    explain(command);
    return 0;
}

int cmd_help(int argc, char **argv)
{
    if (argc < 2) list_subcommands();
    else if (strcmp(argv[1], "settings") == 0) list_settings();
    else if (strcmp(argv[1], "commands") == 0) list_commands();
    else return help_with(argv[1]);
    return 0;
}
