/* `leat verify`: reads a data directory from end to end and names all that is damaged in it. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/inspecting.h"
#include "http/json_out.h"

struct verify {
    const char *dir;
    bool json;
};

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "Say it as one JSON object on standard output", 0},
    {0},
};

static const char doc[] =
    "Reads a data directory (what `leat serve --dir` writes) from end to end, changes nothing, and "
    "names every place that is damaged: file, offset, and what is wrong there."
    "\v"
    "No server may use DIR meanwhile: stop it first, or copy the directory and look at the "
    "copy.\n\n"
    "What is found is of three kinds. `damage': something that was safe on disk is not there as it "
    "was. `torn': the end of a write that a crash cut short; nobody was told that it was safe, and "
    "the next start cuts it off. `stray': bytes where there should be none; nothing is lost by "
    "them.\n\n"
    "Exit status: 0 when there is no damage, 1 when there is, 2 when DIR cannot be looked at.\n\n"
    "Examples:\n"
    "  leat verify data\n"
    "  leat verify data --json | jq '.findings[] | select(.kind == \"damage\")'\n"
    "  leat verify data || leat salvage data saved\n"
    "      and then: leat serve --dir saved\n";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct verify *v = state->input;
    switch (key) {
    case 'j':
        v->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (v->dir != NULL) argp_error(state, "one DIR at a time, not also `%s'", arg);
        v->dir = arg;
        return 0;
    case ARGP_KEY_END:
        if (v->dir == NULL) argp_error(state, "which DIR?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* -- in words ---------------------------------------------------------------------------------- */

static void print_sum(const struct inspection *in, double seconds)
{
    char size[32];
    printf("%s: %zu segment%s of the journal, %" PRIu64 " records in %zu batches, up to position "
           "%" PRIu64 "; %zu snapshot%s; %s read in %.1f s\n",
           in->dir, in->segment_count, in->segment_count == 1 ? "" : "s", in->records,
           in->batch_count, in->end, in->snapshot_count, in->snapshot_count == 1 ? "" : "s",
           inspecting_size(size, in->done), seconds);
}

static void print_words(const struct inspection *in, double seconds)
{
    size_t damages = inspect_count(in, FINDING_DAMAGE);
    for (size_t i = 0; i < in->finding_count; i++) inspecting_print(&in->findings[i]);
    print_sum(in, seconds);
    if (damages == 0) printf("whole: there is no damage\n");
    else
        printf("damaged in %zu place%s: `leat salvage %s OUT` copies what is whole into a new "
               "directory\n",
               damages, damages == 1 ? "" : "s", in->dir);
}

/* -- as JSON ----------------------------------------------------------------------------------- */

static void put_count(struct json_out *j, const char *name, uint64_t n)
{
    json_out_key(j, name);
    json_out_int(j, (int64_t)n);
}

static void put_findings(struct json_out *j, const struct inspection *in)
{
    json_out_key(j, "findings");
    json_out_array(j);
    for (size_t i = 0; i < in->finding_count; i++) {
        const struct finding *f = &in->findings[i];
        json_out_object(j);
        json_out_key(j, "kind");
        json_out_text(j, finding_kind_name(f->kind));
        json_out_key(j, "file");
        json_out_text(j, f->file);
        put_count(j, "offset", f->offset);
        put_count(j, "length", f->length);
        json_out_key(j, "what");
        json_out_text(j, f->what);
        json_out_object_end(j);
    }
    json_out_array_end(j);
}

static void put_snapshots(struct json_out *j, const struct inspection *in)
{
    json_out_key(j, "snapshots");
    json_out_array(j);
    for (size_t i = 0; i < in->snapshot_count; i++) {
        const struct seen_snapshot *s = &in->snapshots[i];
        char name[SNAPSHOT_NAME_MAX];
        snapshot_name(name, s->position);
        json_out_object(j);
        json_out_key(j, "file");
        json_out_text(j, name);
        put_count(j, "position", s->position);
        put_count(j, "bytes", s->size);
        json_out_key(j, "whole");
        json_out_bool(j, s->whole);
        json_out_object_end(j);
    }
    json_out_array_end(j);
}

static void print_json(const struct inspection *in, double seconds)
{
    struct buf out = {0};
    struct json_out j;
    json_out_init(&j, &out);
    json_out_object(&j);
    json_out_key(&j, "dir");
    json_out_text(&j, in->dir);
    json_out_key(&j, "whole");
    json_out_bool(&j, inspect_count(in, FINDING_DAMAGE) == 0);
    put_count(&j, "segments", in->segment_count);
    put_count(&j, "batches", in->batch_count);
    put_count(&j, "records", in->records);
    put_count(&j, "position", in->end);
    put_count(&j, "bytes", in->done);
    json_out_key(&j, "seconds");
    json_out_number(&j, seconds);
    put_snapshots(&j, in);
    put_findings(&j, in);
    json_out_object_end(&j);
    printf("%.*s\n", (int)out.len, out.data);
    buf_fini(&out);
}

int cmd_verify(int argc, char **argv)
{
    static const struct argp argp = {options, parse_option, "DIR", doc, 0, 0, 0};
    struct verify v = {0};
    struct inspection in;
    struct bar bar;
    argp_err_exit_status = INSPECTING_FAILED;
    argp_parse(&argp, argc, argv, 0, NULL, &v);
    bar_init(&bar, "verify");
    int status = INSPECTING_FAILED;
    if (inspecting(&in, v.dir, &bar) == 0) {
        if (v.json) print_json(&in, bar_seconds(&bar));
        else print_words(&in, bar_seconds(&bar));
        status = inspect_count(&in, FINDING_DAMAGE) > 0 ? INSPECTING_DAMAGED : INSPECTING_WHOLE;
    }
    inspect_fini(&in);
    return status;
}
