/* From libfyaml's events to a tree; see yaml.h. Its parser keeps no promise about bytes that are
 * not UTF-8, so those are refused before it sees them. */
#include "flow/yaml.h"

#include <libfyaml.h>
#include <stdio.h>

struct builder {
    struct arena *arena;
    struct problems *problems;
    struct yaml_node *open[YAML_DEPTH_MAX]; /* lists and maps not yet closed */
    size_t depth;
    struct yaml_node *key; /* of the member whose value comes next */
    struct yaml_node *root;
    int line, column; /* of the last event that had a place */
    size_t documents;
};

/* ---- Text ---- */

/* Length of the UTF-8 character at `s` (at most `n` bytes), 0 when it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80) return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0; /* longer than needed */
    if (s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogates */
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return len;
}

static int check_text(struct bytes text, struct problems *problems)
{
    int line = 1, column = 1;
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_length((const unsigned char *)text.data + at, text.len - at);
        if (len == 0 || text.data[at] == '\0') {
            problems_add(problems, line, column, len == 0 ? "not UTF-8" : "a zero byte");
            return -1;
        }
        column++;
        if (text.data[at] == '\n') {
            line++;
            column = 1;
        }
        at += len;
    }
    return 0;
}

/* ---- Tree ---- */

static int refuse(struct builder *b, const char *why)
{
    problems_add(b->problems, b->line, b->column, "%s", why);
    return -1;
}

static void append_child(struct yaml_node *parent, struct yaml_node *child)
{
    if (parent->last == NULL) parent->first = child;
    else parent->last->next = child;
    parent->last = child;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_type type)
{
    struct yaml_node *node = arena_alloc(b->arena, sizeof(*node));
    *node = (struct yaml_node){.type = type, .line = b->line, .column = b->column};
    return node;
}

/* Puts a node where the document has come to: root, element, key or value. */
static int place_node(struct builder *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return 0;
    }
    struct yaml_node *parent = b->open[b->depth - 1];
    if (parent->type == YAML_MAP && b->key == NULL) {
        if (node->type != YAML_SCALAR) return refuse(b, "a key has to be a plain text");
        b->key = node;
        return 0;
    }
    node->key = b->key; /* NULL in a list */
    b->key = NULL;
    append_child(parent, node);
    if (parent->count++ == YAML_MEMBERS_MAX)
        return refuse(b, "too many members in one list or map");
    return 0;
}

static int open_node(struct builder *b, enum yaml_type type)
{
    struct yaml_node *node = new_node(b, type);
    if (b->depth == YAML_DEPTH_MAX) return refuse(b, "nested too deeply");
    if (place_node(b, node) != 0) return -1;
    b->open[b->depth++] = node;
    return 0;
}

static int add_scalar(struct builder *b, struct fy_token *token)
{
    size_t len = 0;
    const char *text = token == NULL ? NULL : fy_token_get_text(token, &len);
    bool plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
    struct bytes got = {text, text == NULL ? 0 : len};
    /* `key:` without a value, `~` and `null` are the null of YAML's core schema. */
    bool is_key = b->depth > 0 && b->open[b->depth - 1]->type == YAML_MAP && b->key == NULL;
    bool null = plain && !is_key &&
                (got.len == 0 || bytes_eq(got, BYTES("~")) || bytes_eq(got, BYTES("null")));
    struct yaml_node *node = new_node(b, null ? YAML_NULL : YAML_SCALAR);
    if (!null) node->text = arena_dup(b->arena, got);
    return place_node(b, node);
}

static int take_event(struct builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark != NULL) {
        b->line = mark->line + 1;
        b->column = mark->column + 1;
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        return b->documents++ == 0 ? 0 : refuse(b, "a second document; a file holds one");
    case FYET_MAPPING_START:
        return open_node(b, YAML_MAP);
    case FYET_SEQUENCE_START:
        return open_node(b, YAML_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        b->depth--;
        return 0;
    case FYET_SCALAR:
        return add_scalar(b, event->scalar.value);
    case FYET_ALIAS:
        b->column--; /* the mark is that of the name */
        return refuse(b, "aliases (*name) are not read here");
    default:
        return 0;
    }
}

/* ---- libfyaml ---- */

static void take_diagnostics(struct fy_diag *diag, struct problems *problems)
{
    void *iter = NULL;
    const struct fy_diag_error *error;
    while ((error = fy_diag_errors_iterate(diag, &iter)) != NULL)
        problems_add(problems, error->line, error->column, "%s", error->msg);
}

static int run_parser(struct builder *b, struct bytes text, struct fy_diag *diag)
{
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
                                           FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
                                  .diag = diag};
    struct fy_parser *parser = fy_parser_create(&config);
    int rc = parser == NULL || fy_parser_set_string(parser, text.data, text.len) != 0 ? -1 : 0;
    if (rc != 0) problems_add(b->problems, 0, 0, "out of memory");
    struct fy_event *event = NULL;
    while (rc == 0 && (event = fy_parser_parse(parser)) != NULL) {
        rc = take_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (rc == 0 && fy_parser_get_stream_error(parser)) {
        size_t before = b->problems->count;
        take_diagnostics(diag, b->problems);
        if (b->problems->count == before)
            problems_add(b->problems, b->line, b->column, "not YAML from here on");
        rc = -1;
    }
    if (parser != NULL) fy_parser_destroy(parser);
    return rc;
}

int yaml_parse(struct arena *arena, struct bytes text, struct problems *problems,
               struct yaml_node **ret_root)
{
    if (text.len > YAML_BYTES_MAX) {
        problems_add(problems, 0, 0, "larger than %d bytes", YAML_BYTES_MAX);
        return -1;
    }
    if (check_text(text, problems) != 0) return -1;
    struct builder b = {.arena = arena, .problems = problems, .line = 1, .column = 1};
    /* Diagnostics are collected, but the library would print them as well. */
    FILE *nowhere = fopen("/dev/null", "w");
    struct fy_diag_cfg config;
    fy_diag_cfg_default(&config);
    config.fp = nowhere;
    config.level = FYET_ERROR;
    struct fy_diag *diag = nowhere == NULL ? NULL : fy_diag_create(&config);
    int rc = -1;
    if (diag == NULL) {
        problems_add(problems, 0, 0, "the YAML reader could not be set up");
    } else {
        fy_diag_set_collect_errors(diag, true);
        rc = text.len == 0 ? 0 : run_parser(&b, text, diag);
        fy_diag_destroy(diag);
    }
    if (nowhere != NULL) fclose(nowhere);
    if (rc == 0) *ret_root = b.root != NULL ? b.root : new_node(&b, YAML_NULL);
    return rc;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *name)
{
    if (map->type != YAML_MAP) return NULL;
    for (struct yaml_node *child = map->first; child != NULL; child = child->next)
        if (bytes_eq(child->key->text, bytes_of(name))) return child;
    return NULL;
}
