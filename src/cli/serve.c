/* leat serve: the broker, its gateway, and flows if asked. */
#include "cli/app.h"
#include "cli/cli.h"
#include "cli/durations.h"
#include "cli/options.h"

static const char doc[] =
    "Run the broker: it speaks the Redis protocol, keeps every acknowledged write through a crash, "
    "and shows a dashboard over HTTP. Stays in the foreground, logs to standard error, prints one "
    "`ready` line with its addresses, stops on SIGTERM and SIGINT.\n"
    "Every setting also comes from the environment (--port is LEAT_PORT) and from --config FILE; "
    "the command line wins over the environment, that over the file, that over the default.\v"
    "Examples:\n"
    "  leat serve\n"
    "  leat serve --port 7000 --dir /var/lib/leat --sync everysec\n"
    "  LEAT_REQUIREPASS=secret leat serve --bind 0.0.0.0\n"
    "  leat serve --flows examples/wikipedia.yaml\n"
    "Then: redis-cli -p 6379, and a browser at http://127.0.0.1:8080/";

int cmd_serve(int argc, char **argv)
{
    const char *flows = NULL, *simulate = NULL;
    struct cli_option extra[] = {
        {"flows", "FILE", "run the flows of this file as well", &flows},
        {"simulate-after", "DURATION",
         "when a source gives nothing for so long at the start, go on with simulated events",
         &simulate},
        {0},
    };
    struct cli_usage usage = {NULL, doc, extra, NULL};
    struct settings settings;
    struct app_options app = {.settings = &settings};
    if (!cli_options(argc, argv, &usage, &settings)) return CLI_USAGE;
    app.flow_file = flows;
    int status = CLI_USAGE;
    if (cli_duration("--simulate-after", simulate, &app.simulate_after_ms)) status = app_run(&app);
    settings_fini(&settings);
    return status;
}
