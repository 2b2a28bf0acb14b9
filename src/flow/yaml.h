/* One YAML document as a tree that remembers where everything stood. libfyaml reads; this keeps of
 * it what a settings file needs: maps, lists and scalars (as text, whatever they look like), with
 * duplicate keys kept so that a later walk can name them. No aliases, no tags, one document. */
#ifndef LEAT_FLOW_YAML_H
#define LEAT_FLOW_YAML_H

#include "base/bytes.h"
#include "flow/problems.h"

enum yaml_type { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

enum { YAML_BYTES_MAX = 1 << 20, YAML_DEPTH_MAX = 32, YAML_MEMBERS_MAX = 10000 };

/* All of it lives in the arena. */
struct yaml_node {
    enum yaml_type type;
    int line, column;      /* from 1; columns count characters */
    struct bytes text;     /* SCALAR */
    struct yaml_node *key; /* of a member of a map: a scalar; otherwise NULL */
    size_t count;
    struct yaml_node *first, *last, *next; /* children of a LIST or MAP, in order */
};

/* 0, or -1 with what was wrong added to `problems`. An empty document is a YAML_NULL. */
int yaml_parse(struct arena *arena, struct bytes text, struct problems *problems,
               struct yaml_node **ret_root);
/* The (first) member of a map by its name; NULL when absent or not a map. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *name);

#endif
