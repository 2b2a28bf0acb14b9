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

struct wishes {
    const char *dir, *out;
    bool past_gaps;
};

static const struct argp_option options[] = {
    {"past-gaps", 'g', 0, 0,
     "Go on behind what is missing: what comes out is no state that DIR had", 0},
    {0},
};

static const char doc[] =
    "Copies what is whole of a damaged data directory into a new one, OUT, on which a server "
    "starts, and lists what it had to leave. DIR is only read."
    "\v"
    "What is taken: the whole snapshot, if there is one, from which the journal leads furthest, "
    "and the journal behind it up to the first place where something is missing. What is left: all "
    "behind that place, since a record says what changed, and nobody knows what it would have "
    "changed without the missing ones. So OUT is a state that DIR really had. Only where that "
    "cannot "
    "be had, since no whole snapshot with its journal and no beginning of the journal is left, the "
    "newest snapshot is taken as it is, or what is whole in it, and that is said.\n\n"
    "With --past-gaps, what lies behind missing places is taken too: strings, fields, members and "
    "entries of streams that were written there are as they were; what changed in a gap alone is "
    "as "
    "before it; lists and groups may be off by what is missing, and what no longer fits is left "
    "alone. Right for streams of events, of which most is better than the beginning; wrong where "
    "keys have to agree with each other.\n\n"
    "OUT is made, and must not be there or be empty. It takes as much room as what is copied. No "
    "server may use DIR meanwhile.\n\n"
    "Exit status: 0 when nothing had to be left, 1 when something was, 2 when nothing was "
    "copied.\n\n"
    "Examples:\n"
    "  leat verify data\n"
    "      what is damaged, and where\n"
    "  leat salvage data saved\n"
    "  leat serve --dir saved\n"
    "  leat salvage --past-gaps data all\n"
    "      what came after a damaged place, too\n";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct wishes *o = state->input;
    switch (key) {
    case 'g':
        o->past_gaps = true;
        return 0;
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

static void print_journal(const struct salvage *s)
{
    if (s->has_snapshot) printf(", and ");
    printf("%" PRIu64 " records of the journal, up to position %" PRIu64 "\n", s->records, s->end);
    if (s->gaps > 0)
        printf("missing: %" PRIu64 " bytes of records, in %" PRIu64 " gap%s\n", s->missing, s->gaps,
               s->gaps == 1 ? "" : "s");
    if (s->end < s->reach)
        printf("lost: what was written from there to position %" PRIu64 "\n", s->reach);
    else if (!s->inexact) printf("nothing is lost: that is as far as the journal goes\n");
    if (s->inexact)
        printf("this is no state that was ever there: what is missing is not in it, and what came "
               "later is as far as it fits\n");
}

static void print_taken(const struct salvage *s, const char *out)
{
    printf("taken: ");
    if (s->partial) printf("%" PRIu64 " whole blocks of ", s->blocks);
    if (s->has_snapshot) printf("the snapshot of position %" PRIu64, s->snapshot);
    if (s->partial && s->batches == 0) printf("\n");
    else print_journal(s);
    if (s->chunks > 0)
        printf("%" PRIu64 " chunks of streams, of which %" PRIu64
               " are damaged: commands that need "
               "these will say so\n",
               s->chunks, s->chunks_lost);
    printf("start on it with: leat serve --dir %s\n", out);
}

/* Reads the copy back: whoever starts on it relies on it. Chunks that were lost have their places
 * in it, but nothing else may be wrong. */
static bool check_copy(const char *out, uint64_t chunks_lost)
{
    struct inspection in;
    struct bar bar;
    bar_init(&bar, "salvage: reading back");
    bool whole =
        inspecting(&in, out, &bar) == 0 && inspect_count(&in, FINDING_DAMAGE) == chunks_lost;
    if (!whole) fprintf(stderr, "leat salvage: what was written to %s reads back damaged\n", out);
    inspect_fini(&in);
    return whole;
}

static int salvage(const struct wishes *o, struct inspection *in)
{
    struct journal_error error = {0};
    uint64_t left = 0;
    struct salvage s = {.past_gaps = o->past_gaps, .left = print_left, .arg = &left};
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
    static const struct argp argp = {options, parse_option, "DIR OUT", doc, 0, 0, 0};
    struct wishes o = {0};
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
