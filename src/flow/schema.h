/* Settings files as data: tables of keys say what a file may hold, and one walk reads, checks and
 * explains all of them. A later key is one line in a table.
 *
 * Items are plain structs. Each begins with a struct schema_item; the rest is filled in at the
 * keys' offsets: texts as `const char *`, everything numeric as int64_t, lists and maps as struct
 * schema_items. Keys that are absent and have no fallback stay zero. */
#ifndef LEAT_FLOW_SCHEMA_H
#define LEAT_FLOW_SCHEMA_H

#include "flow/interpolate.h"
#include "flow/yaml.h"

enum schema_type {
    SCHEMA_TEXT,    /* any text but the empty one, without control characters */
    SCHEMA_FIELD,   /* the path of a field in an event: "meta.domain" */
    SCHEMA_COUNT,   /* int64_t */
    SCHEMA_SIZE,    /* int64_t, bytes */
    SCHEMA_MS,      /* int64_t, milliseconds of a duration */
    SCHEMA_SECONDS, /* int64_t, whole seconds of a duration */
    SCHEMA_CHOICE,  /* int64_t, index into `choices` */
    SCHEMA_REF,     /* const char *, an id of the root's map named `target` */
    SCHEMA_LIST,    /* struct schema_items of `table` */
    SCHEMA_MAP,     /* the same, keyed by id */
};

struct schema_run;
struct schema_table;

struct schema_key {
    const char *name;
    enum schema_type type;
    size_t offset;
    bool required;
    unsigned only;        /* bit i: belongs to items whose first key (a CHOICE) is i. 0: to all */
    const char *fallback; /* read as if the file said so; NULL for none */
    int64_t min, max;     /* of numbers, max 0: no limit; min of a list: its elements */
    const char *const *choices; /* NULL-terminated */
    const char *target;
    const struct schema_table *table;
    const char *help; /* for the reference */
};

struct schema_table {
    const char *title;             /* in the reference: "sources.ID" */
    const char *what;              /* in messages: "source" */
    const struct schema_key *keys; /* ended by a NULL name */
    size_t item_size;
    /* Looks at an item as a whole, whose keys may be absent or have problems of their own by then
     * (and are zero); may be NULL. */
    void (*check)(struct schema_run *run, void *item);
};

struct schema_item {
    const char *id;               /* NULL in lists and in the root */
    const struct yaml_node *node; /* where it stands; not after schema_read's caller is done */
    const char *path;             /* "sources.wikimedia" */
};

struct schema_items {
    void *items; /* item_size each, in the arena */
    size_t count;
};

/* Reads `root` into `item` (item_size bytes, zeroed here). All memory is the arena's. Whatever is
 * wrong is added to `problems`. */
void schema_read(const struct schema_table *table, const struct yaml_node *root, void *item,
                 struct arena *arena, interpolate_getenv getenv_fn, struct problems *problems);

/* For check functions: a problem with one key of an item (NULL: with the item as a whole). */
void schema_problem(struct schema_run *run, const struct schema_item *item, const char *key,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends the reference of a table and of those below it, in Markdown. */
void schema_reference(const struct schema_table *table, struct buf *out);

#endif
