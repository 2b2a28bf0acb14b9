/* The walk over a settings file along its tables; see schema.h. It goes on after each problem, so
 * that one run reports all of them; references between parts are looked up at the end, when all
 * ids are known. */
#include "flow/schema.h"

#include <stdarg.h>
#include <stdio.h>

#include "flow/nearest.h"
#include "flow/schema_value.h"

struct reference {
    const struct schema_key *key;
    const struct yaml_node *node;
    const char *path;
    const char *id;
    struct reference *next;
};

struct schema_run {
    const struct yaml_node *root;
    struct arena *arena;
    struct problems *problems;
    interpolate_getenv getenv_fn;
    struct reference *references;
};

static void read_item(struct schema_run *run, const struct schema_table *table,
                      const struct yaml_node *node, const char *path, void *item);

/* ---- Messages ---- */

static const char *join(struct schema_run *run, const char *path, struct bytes name)
{
    struct buf text = {0};
    buf_printf(&text, "%s%s%.*s", path, path[0] == '\0' ? "" : ".", (int)name.len, name.data);
    const char *kept = arena_strdup(run->arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}

static void problem_at(struct schema_run *run, const struct yaml_node *node, const char *path,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
static void problem_at(struct schema_run *run, const struct yaml_node *node, const char *path,
                       const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bool root = path[0] == '\0';
    problems_add(run->problems, node->line, node->column, "%s%s%s", path, root ? "" : ": ", text);
}

void schema_problem(struct schema_run *run, const struct schema_item *item, const char *key,
                    const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const struct yaml_node *at = key == NULL ? NULL : yaml_get(item->node, key);
    if (at == NULL) at = item->node->key != NULL ? item->node->key : item->node;
    problem_at(run, at, key == NULL ? item->path : join(run, item->path, bytes_of(key)), "%s",
               text);
}

static const char *describe(enum yaml_type type)
{
    switch (type) {
    case YAML_NULL:
        return "nothing";
    case YAML_SCALAR:
        return "a text";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a map";
    }
    return "";
}

/* "; did you mean `x`?" or nothing. */
static const char *hint(struct schema_run *run, struct bytes best)
{
    if (best.len == 0) return "";
    struct buf text = {0};
    buf_printf(&text, "; did you mean `%.*s`?", (int)best.len, best.data);
    const char *kept = arena_strdup(run->arena, buf_bytes(&text));
    buf_fini(&text);
    return kept;
}

/* ---- Scalars ---- */

static void read_scalar(struct schema_run *run, const struct schema_key *key,
                        const struct yaml_node *node, const char *path, void *item)
{
    struct buf text = {0}, why = {0};
    void *place = (char *)item + key->offset;
    bool is_text = key->type == SCHEMA_TEXT || key->type == SCHEMA_FIELD || key->type == SCHEMA_REF;
    int rc = interpolate(node->text, run->getenv_fn, &text, &why);
    if (rc == 0) rc = schema_value_check(key, buf_bytes(&text), is_text ? NULL : place, &why);
    if (rc != 0) {
        problem_at(run, node, path, "%.*s", (int)why.len, why.data);
    } else if (is_text) {
        const char *kept = arena_strdup(run->arena, buf_bytes(&text));
        *(const char **)place = kept;
        if (key->type == SCHEMA_REF) {
            struct reference *ref = arena_alloc(run->arena, sizeof(*ref));
            *ref = (struct reference){key, node, path, kept, run->references};
            run->references = ref;
        }
    }
    buf_fini(&text);
    buf_fini(&why);
}

/* ---- Lists and maps ---- */

static bool is_duplicate(const struct yaml_node *map, const struct yaml_node *child)
{
    for (const struct yaml_node *other = map->first; other != child; other = other->next)
        if (bytes_eq(other->key->text, child->key->text)) return true;
    return false;
}

static void check_id(struct schema_run *run, const struct schema_table *table,
                     const struct yaml_node *key, const char *path)
{
    struct bytes id = key->text;
    bool good = id.len > 0 && id.len <= 64;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        good &= (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    if (!good)
        problem_at(run, key, path,
                   "`%.*s` is no id for a %s: at most 64 characters of a-z, 0-9, _ and -",
                   (int)id.len, id.data, table->what);
}

static void read_items(struct schema_run *run, const struct schema_key *key,
                       const struct yaml_node *node, const char *path, void *item)
{
    struct schema_items *items = (void *)((char *)item + key->offset);
    const struct schema_table *table = key->table;
    size_t count = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) count++;
    if ((int64_t)count < key->min) problem_at(run, node, path, "empty, and so without effect");
    items->items = arena_alloc(run->arena, count * table->item_size + 1);
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        char *place = (char *)items->items + items->count * table->item_size;
        const char *at = path;
        if (key->type == SCHEMA_MAP) {
            if (is_duplicate(node, child)) {
                problem_at(run, child->key, path, "`%.*s` stands here twice",
                           (int)child->key->text.len, child->key->text.data);
                continue;
            }
            check_id(run, table, child->key, path);
            at = join(run, path, child->key->text);
        }
        items->count++;
        read_item(run, table, child, at, place);
        if (key->type == SCHEMA_MAP)
            ((struct schema_item *)(void *)place)->id = arena_strdup(run->arena, child->key->text);
    }
}

/* ---- Items ---- */

static void read_value(struct schema_run *run, const struct schema_key *key,
                       const struct yaml_node *node, const char *path, void *item)
{
    enum yaml_type wanted = key->type == SCHEMA_LIST  ? YAML_LIST
                            : key->type == SCHEMA_MAP ? YAML_MAP
                                                      : YAML_SCALAR;
    if (node->type == YAML_NULL && wanted == YAML_MAP) return;
    if (node->type != wanted) {
        problem_at(run, node, path, "%s where %s should be", describe(node->type),
                   describe(wanted));
        return;
    }
    if (wanted == YAML_SCALAR) read_scalar(run, key, node, path, item);
    else read_items(run, key, node, path, item);
}

static bool belongs(const struct schema_table *table, const struct schema_key *key,
                    const void *item)
{
    if (key->only == 0) return true;
    int64_t choice = *(const int64_t *)(const void *)((const char *)item + table->keys[0].offset);
    return (key->only >> choice & 1) != 0;
}

static void refuse_unknown(struct schema_run *run, const struct schema_table *table,
                           const struct yaml_node *child, const char *path, const void *item)
{
    struct nearest near;
    nearest_init(&near, child->key->text);
    for (const struct schema_key *key = table->keys; key->name != NULL; key++)
        if (belongs(table, key, item)) nearest_try(&near, bytes_of(key->name));
    problem_at(run, child->key, path, "unknown key `%.*s`%s", (int)child->key->text.len,
               child->key->text.data, hint(run, near.best));
}

/* Every key in the file is one of the table's, once, and belongs to this type of item. */
static void check_keys(struct schema_run *run, const struct schema_table *table,
                       const struct yaml_node *node, const char *path, const void *item)
{
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        const struct schema_key *key = table->keys;
        while (key->name != NULL && !bytes_eq(child->key->text, bytes_of(key->name))) key++;
        if (key->name == NULL) refuse_unknown(run, table, child, path, item);
        else if (is_duplicate(node, child))
            problem_at(run, child->key, path, "`%s` stands here twice", key->name);
        else if (!belongs(table, key, item))
            problem_at(
                run, child->key, path, "`%s` does not belong to a %s of type %s", key->name,
                table->what,
                table->keys[0].choices[*(const int64_t *)(const void *)((const char *)item +
                                                                        table->keys[0].offset)]);
    }
}

static void read_key(struct schema_run *run, const struct schema_key *key,
                     const struct schema_table *table, const struct yaml_node *node,
                     const char *path, void *item)
{
    const struct yaml_node *value = yaml_get(node, key->name);
    if (value != NULL) {
        read_value(run, key, value, join(run, path, bytes_of(key->name)), item);
    } else if (key->required) {
        const struct yaml_node *at = node->key != NULL ? node->key : node;
        problem_at(run, at, path, "a %s needs the key `%s`", table->what, key->name);
    } else if (key->fallback != NULL) {
        struct yaml_node written = {.type = YAML_SCALAR, .text = bytes_of(key->fallback)};
        read_scalar(run, key, &written, path, item);
    }
}

static void read_item(struct schema_run *run, const struct schema_table *table,
                      const struct yaml_node *node, const char *path, void *item)
{
    memset(item, 0, table->item_size);
    struct schema_item *head = item;
    head->node = node;
    head->path = path;
    if (node->type != YAML_MAP && node->type != YAML_NULL) {
        problem_at(run, node, path, "%s where a map should be", describe(node->type));
        return;
    }
    size_t before = run->problems->count;
    const struct schema_key *key = table->keys;
    /* What the other keys may be depends on the first; when that is wrong, all are let pass. */
    if (key->type == SCHEMA_CHOICE) read_key(run, key++, table, node, path, item);
    bool type_known = run->problems->count == before;
    if (type_known) check_keys(run, table, node, path, item);
    for (; type_known && key->name != NULL; key++)
        if (belongs(table, key, item)) read_key(run, key, table, node, path, item);
    if (table->check != NULL && type_known) table->check(run, item);
}

/* ---- References ---- */

static void check_reference(struct schema_run *run, const struct reference *ref)
{
    struct nearest near;
    nearest_init(&near, bytes_of(ref->id));
    const struct yaml_node *map = yaml_get(run->root, ref->key->target);
    const struct yaml_node *child = map == NULL ? NULL : map->first;
    for (; child != NULL && map->type == YAML_MAP; child = child->next) {
        if (bytes_eq(child->key->text, bytes_of(ref->id))) return;
        nearest_try(&near, child->key->text);
    }
    problem_at(run, ref->node, ref->path, "nothing is called `%s` in `%s`%s", ref->id,
               ref->key->target, hint(run, near.best));
}

void schema_read(const struct schema_table *table, const struct yaml_node *root, void *item,
                 struct arena *arena, interpolate_getenv getenv_fn, struct problems *problems)
{
    struct schema_run run = {
        .root = root, .arena = arena, .problems = problems, .getenv_fn = getenv_fn};
    read_item(&run, table, root, "", item);
    for (const struct reference *ref = run.references; ref != NULL; ref = ref->next)
        check_reference(&run, ref);
}
