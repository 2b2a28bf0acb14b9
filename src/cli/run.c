/* leat run FILE: the flows of a file. */
#include "cli/app.h"
#include "cli/cli.h"
#include "cli/durations.h"
#include "cli/options.h"

static const char doc[] =
    "Run the flows of FILE: sources, topics, views (docs/flows.md). Without --url the broker runs "
    "in the same process and listens as well, so that redis-cli can look; all options of `leat "
    "serve` apply. With --url the flows run on that server and nothing is kept here.\v"
    "Examples:\n"
    "  leat run examples/wikipedia.yaml\n"
    "  leat run examples/wikipedia.yaml --simulate-after 10s\n"
    "  LEAT_SOURCE_URL=http://127.0.0.1:8000/ leat run examples/tweets.yaml\n"
    "  leat run examples/wikipedia.yaml --url redis://127.0.0.1:6379\n"
    "Then: a browser at http://127.0.0.1:8080/";

int cmd_run(int argc, char **argv)
{
    const char *url = NULL, *simulate = NULL, *file = NULL;
    struct cli_option extra[] = {
        {"url", "REDIS-URL", "run on this server instead of an embedded one", &url},
        {"simulate-after", "DURATION",
         "when a source gives nothing for so long at the start, go on with simulated events",
         &simulate},
        {0},
    };
    struct cli_usage usage = {"FILE", doc, extra, &file};
    struct settings settings;
    struct app_options app = {.settings = &settings};
    if (!cli_options(argc, argv, &usage, &settings)) return CLI_USAGE;
    app.url = url;
    app.flow_file = file;
    int status = CLI_USAGE;
    if (cli_duration("--simulate-after", simulate, &app.simulate_after_ms)) status = app_run(&app);
    settings_fini(&settings);
    return status;
}
