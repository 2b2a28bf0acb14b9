/* See source_fake.h. A freed source is kept until the end of the test, so that its use is seen. */
#include "flow/source_fake.h"

#include "base/mem.h"
#include "base/must.h"

struct source {
    struct source_options options;
    bool paused, freed;
};

static struct source *sources[8];
static size_t source_count;

struct source *source_new(struct event_base *base, const struct source_options *options)
{
    struct source *s = mem_calloc(sizeof(*s));
    s->options = *options;
    must(source_count < 8);
    sources[source_count++] = s;
    return s;
}

void source_free(struct source *s)
{
    if (s != NULL) s->freed = true;
}

void source_pause(struct source *s)
{
    must(!s->paused && !s->freed);
    s->paused = true;
}

void source_resume(struct source *s)
{
    must(s->paused && !s->freed);
    s->paused = false;
}

void source_status(const struct source *s, struct source_status *ret)
{
    *ret = (struct source_status){.state = SOURCE_CONNECTED, .url = s->options.url};
}

struct source *fake_source(size_t index)
{
    return index < source_count ? sources[index] : NULL;
}

bool fake_source_paused(const struct source *s)
{
    return s->paused;
}

void fake_source_event(struct source *s, const char *data)
{
    must(!s->freed);
    s->options.on_event(s->options.arg, BYTES(""), BYTES("message"), bytes_of(data));
}

void fake_sources_fini(void)
{
    for (size_t i = 0; i < source_count; i++) {
        must(sources[i]->freed);
        mem_free(sources[i]);
    }
    source_count = 0;
}
