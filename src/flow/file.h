/* A loaded flow file, as the runner sees it. Everything is in the flow's arena and constant once
 * loaded; the tables in file.c say which key of the file each member is. */
#ifndef LEAT_FLOW_FILE_H
#define LEAT_FLOW_FILE_H

#include "flow/flow.h"
#include "flow/schema.h"

struct flow_publish {
    struct schema_item item;
    const char *topic;   /* id */
    const char *channel; /* the topic's */
    const char *field;   /* this field's text; NULL: the whole event */
    const char *each;    /* one message per element of this list; NULL: one message */
};

enum flow_simulate { FLOW_SIMULATE_NONE, FLOW_SIMULATE_WIKI };

struct flow_source {
    struct schema_item item;
    int64_t type; /* enum source_type */
    const char *url, *user_agent;
    int64_t idle_timeout_ms, event_bytes_max;
    const char *dedupe;
    int64_t dedupe_window;
    int64_t simulate; /* enum flow_simulate */
    struct schema_items publish;
};

struct flow_topic {
    struct schema_item item;
    const char *channel;
};

struct flow_view_item {
    struct schema_item item;
    int64_t type;          /* enum flow_view_type */
    struct flow_view view; /* completed after the whole file is right */
};

struct flow {
    struct schema_item item;
    struct schema_items sources, topics, views;
    struct arena arena;
};

const struct flow_source *flow_source_at(const struct flow *f, size_t index);
/* The flow was checked: the topic exists. */
const struct flow_topic *flow_topic_of(const struct flow *f, const char *id);

/* As flow_load, from memory; `name` is what the errors call it. */
int flow_load_text(const char *name, struct bytes text, interpolate_getenv getenv_fn,
                   struct buf *errors, struct flow **ret_flow);
/* Appends the reference of all keys, as it stands in docs/flows.md. */
void flow_reference(struct buf *out);

#endif
