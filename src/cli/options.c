#include "cli/options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "cli/cli.h"

enum { KEY_CONFIG = 1000, KEY_EXTRA = 1100, KEY_SETTING = 2000 };

struct parse {
    const struct cli_usage *usage;
    const char *config;
    const char **given; /* per setting: the value on the command line, or NULL */
    int positionals;
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    if (key >= KEY_SETTING && key < KEY_SETTING + (int)settings_count()) {
        p->given[key - KEY_SETTING] = arg;
    } else if (key == KEY_CONFIG) {
        p->config = arg;
    } else if (key >= KEY_EXTRA && key < KEY_SETTING) {
        *p->usage->extra[key - KEY_EXTRA].value = arg ? arg : "";
    } else if (key == ARGP_KEY_ARG && p->usage->positional != NULL && p->positionals == 0) {
        *p->usage->ret_positional = arg;
        p->positionals++;
    } else if (key == ARGP_KEY_ARG) {
        argp_error(state, "'%s' is one argument too many", arg);
    } else if (key == ARGP_KEY_END && p->usage->positional != NULL && p->positionals == 0) {
        argp_error(state, "%s is missing", p->usage->positional);
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static struct argp_option *build_table(const struct cli_usage *usage)
{
    size_t extras = 0, n = 0;
    while (usage->extra != NULL && usage->extra[extras].name != NULL) extras++;
    struct argp_option *table = mem_calloc((settings_count() + extras + 2) * sizeof *table);
    for (size_t i = 0; i < extras; i++)
        table[n++] = (struct argp_option){.name = usage->extra[i].name,
                                          .key = KEY_EXTRA + (int)i,
                                          .arg = usage->extra[i].argument,
                                          .doc = usage->extra[i].help,
                                          .group = 1};
    table[n++] = (struct argp_option){.name = "config",
                                      .key = KEY_CONFIG,
                                      .arg = "FILE",
                                      .doc = "settings, one `name value` per line",
                                      .group = 2};
    for (size_t i = 0; i < settings_count(); i++) {
        const struct setting *s = settings_at(i);
        if (s->flags & SETTING_CLI)
            table[n++] = (struct argp_option){.name = s->name,
                                              .key = KEY_SETTING + (int)i,
                                              .arg = "VALUE",
                                              .doc = s->help,
                                              .group = 2};
    }
    return table;
}

static int apply_command_line(struct settings *settings, const struct parse *p, struct buf *errors)
{
    int result = 0;
    for (size_t i = 0; i < settings_count(); i++) {
        struct buf why = {0};
        if (p->given[i] == NULL) continue;
        if (settings_set(settings, settings_at(i), bytes_of(p->given[i]), &why) < 0) {
            buf_printf(errors, "--%s %s: %.*s\n", settings_at(i)->name, p->given[i], (int)why.len,
                       why.data);
            result = -1;
        }
        buf_fini(&why);
    }
    return result;
}

bool cli_options(int argc, char **argv, const struct cli_usage *usage, struct settings *settings)
{
    struct parse p = {.usage = usage};
    struct buf errors = {0};
    struct argp_option *table = build_table(usage);
    struct argp argp = {table, on_option, usage->positional, usage->doc, NULL, NULL, NULL};
    p.given = mem_calloc(settings_count() * sizeof *p.given);
    argp_err_exit_status = CLI_USAGE;
    error_t error = argp_parse(&argp, argc, argv, 0, NULL, &p);
    must(error == 0);
    if (p.config == NULL) p.config = getenv("LEAT_CONFIG");
    settings_init(settings);
    if (p.config != NULL) settings_load_file(settings, p.config, &errors);
    settings_load_environment(settings, &errors);
    apply_command_line(settings, &p, &errors);
    bool ok = errors.len == 0;
    if (!ok) {
        fprintf(stderr, "%.*s", (int)errors.len, errors.data);
        settings_fini(settings);
    }
    buf_fini(&errors);
    mem_free(p.given);
    mem_free(table);
    return ok;
}
