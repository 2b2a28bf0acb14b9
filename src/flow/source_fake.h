/* Sources fed by hand, in place of those of source.c. */
#ifndef LEAT_FLOW_SOURCE_FAKE_H
#define LEAT_FLOW_SOURCE_FAKE_H

#include "flow/flow.h"

/* The source that was created i-th, or NULL. */
struct source *fake_source(size_t index);
bool fake_source_paused(const struct source *s);
void fake_source_event(struct source *s, const char *data);
/* Forgets all of them; they must have been freed. */
void fake_sources_fini(void);

#endif
