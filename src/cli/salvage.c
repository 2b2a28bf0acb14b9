/* `leat salvage`: copies what is whole of a damaged data directory into a new one. */
#include "log/salvage.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/inspecting.h"

struct options {
    const char *dir, *out;
};

static const char doc[] =
    "Copies what is whole of a damaged data directory into a new one, OUT, on which a server "
    "starts, and lists what it had to leave. DIR is only read."
    "\v"
    "What is taken: the whole snapshot, if there is one, from which the journal leads furthest, "
    "and the journal behind it up to the first place where something is missing. What is left: all "
    "behind that place, since a record says what changed, and nobody knows what it would have "
    "changed without the missing ones. So OUT is a state that DIR really had. Only where no whole "
    "snapshot and no beginning of the journal is left, what is whole within the newest snapshot is "
    "taken, and that is said.\n\n"
    "OUT is made, and must not be there or be empty. It takes as much room as what is copied. No "
    "server may use DIR meanwhile.\n\n"
    "Exit status: 0 when nothing had to be left, 1 when something was, 2 when nothing was "
    "copied.\n\n"
    "Examples:\n"
    "  leat verify data\n"
    "      what is damaged, and where\n"
    "  leat salvage data saved\n"
    "  leat serve --dir saved\n";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (o->out != NULL) argp_error(state, "DIR and OUT, not also `%s'", arg);
        if (o->dir == NULL) o->dir = arg;
        else o->out = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->out == NULL) argp_error(state, "from which DIR to which OUT?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Is `out`, or whatever there is of the path to it, `dir` or within it? */
static bool is_within(const char *out, const char *dir)
{
    struct stat of_dir, of_part;
    if (stat(dir, &of_dir) < 0) return false;
    char *part = mem_strdup(out);
    bool within = false;
    for (;;) {
        const char *name = part[0] != '\0' ? part : ".";
        if (stat(name, &of_part) == 0)
            within |= of_part.st_dev == of_dir.st_dev && of_part.st_ino == of_dir.st_ino;
        size_t n = strlen(part);
        while (n > 1 && part[n - 1] == '/') n--;
        while (n > 0 && part[n - 1] != '/') n--;
        if (n == strlen(part)) break;
        part[n] = '\0';
    }
    mem_free(part);
    return within;
}

static void print_left(void *arg, const char *what)
{
    if (++*(uint64_t *)arg == 1) printf("left:\n");
    printf("  %s\n", what);
}

static void print_taken(const struct salvage *s, const char *out)
{
    if (s->partial) {
        printf("taken: %" PRIu64 " whole blocks of the snapshot of position %" PRIu64 "\n",
               s->blocks, s->snapshot);
    } else {
        printf("taken: ");
        if (s->has_snapshot) printf("the snapshot of position %" PRIu64 ", and ", s->snapshot);
        printf("%" PRIu64 " records of the journal, up to position %" PRIu64 "\n", s->records,
               s->end);
        if (s->end == s->reach) printf("nothing is lost: that is as far as the journal goes\n");
        else printf("lost: what was written from there to position %" PRIu64 "\n", s->reach);
    }
    if (s->chunks > 0)
        printf("%" PRIu64 " chunks of streams, of which %" PRIu64
               " are damaged: commands that need "
               "these will say so\n",
               s->chunks, s->chunks_lost);
    printf("start on it with: leat serve --dir %s\n", out);
}

/* Reads the copy back: whoever starts on it relies on it. Chunks that were lost have their places in
 * it, but nothing else may be wrong. */
static bool check_copy(const char *out, uint64_t chunks_lost)
{
    struct inspection in;
    struct bar bar;
    bar_init(&bar, "salvage: reading back");
    bool whole = inspecting(&in, out, &bar) == 0 && inspect_count(&in, FINDING_DAMAGE) == chunks_lost;
    if (!whole) fprintf(stderr, "leat salvage: what was written to %s reads back damaged\n", out);
    inspect_fini(&in);
    return whole;
}

static int salvage(const struct options *o, struct inspection *in)
{
    struct journal_error error = {0};
    uint64_t left = 0;
    struct salvage s = {.left = print_left, .arg = &left};
    if (salvage_dir(in, o->out, &s, &error) < 0) {
        fprintf(stderr, "leat salvage: %s\n", error.text);
        return INSPECTING_FAILED;
    }
    if (!check_copy(o->out, s.chunks_lost)) return INSPECTING_FAILED;
    print_taken(&s, o->out);
    return inspect_count(in, FINDING_DAMAGE) > 0 ? INSPECTING_DAMAGED : INSPECTING_WHOLE;
}

int cmd_salvage(int argc, char **argv)
{
    static const struct argp argp = {NULL, parse_option, "DIR OUT", doc, 0, 0, 0};
    struct options o = {0};
    struct inspection in;
    struct bar bar;
    argp_err_exit_status = INSPECTING_FAILED;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (is_within(o.out, o.dir)) {
        fprintf(stderr, "leat salvage: %s is in %s, which is not to be touched: name another\n",
                o.out, o.dir);
        return INSPECTING_FAILED;
    }
    bar_init(&bar, "salvage");
    int status = INSPECTING_FAILED;
    if (inspecting(&in, o.dir, &bar) == 0) status = salvage(&o, &in);
    inspect_fini(&in);
    return status;
}
