/* The types of scalars, and the reference that names them; see schema_value.h. */
#include "flow/schema_value.h"

#include "flow/nearest.h"
#include "flow/units.h"

static int check_text(struct bytes text, struct buf *why)
{
    if (text.len == 0) {
        buf_printf(why, "empty where a text should be");
        return -1;
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f) continue;
        buf_printf(why, "a control character (such as the end of a line) in a text");
        return -1;
    }
    return 0;
}

static int check_field(struct bytes text, struct buf *why)
{
    bool good = text.data[0] != '.' && text.data[text.len - 1] != '.';
    for (size_t i = 1; i < text.len; i++) good &= text.data[i] != '.' || text.data[i - 1] != '.';
    if (!good) buf_printf(why, "a field is names joined by single dots, like meta.domain");
    return good ? 0 : -1;
}

static int check_choice(const struct schema_key *key, struct bytes text, int64_t *ret_number,
                        struct buf *why)
{
    struct nearest near;
    nearest_init(&near, text);
    for (size_t i = 0; key->choices[i] != NULL; i++) {
        if (bytes_eq(text, bytes_of(key->choices[i]))) {
            *ret_number = (int64_t)i;
            return 0;
        }
        nearest_try(&near, bytes_of(key->choices[i]));
    }
    buf_printf(why, "unknown %s `%.*s`", key->name, (int)text.len, text.data);
    if (near.best.len > 0) {
        buf_printf(why, "; did you mean `%.*s`?", (int)near.best.len, near.best.data);
        return -1;
    }
    for (size_t i = 0; key->choices[i] != NULL; i++)
        buf_printf(why, "%s%s", i == 0 ? "; it is one of " : ", ", key->choices[i]);
    return -1;
}

static int read_number(const struct schema_key *key, struct bytes text, int64_t *ret,
                       const char **ret_why)
{
    if (key->type == SCHEMA_COUNT) return units_count(text, ret, ret_why);
    if (key->type == SCHEMA_SIZE) return units_size(text, ret, ret_why);
    if (units_duration_ms(text, ret, ret_why) != 0) return -1;
    if (key->type == SCHEMA_MS) return 0;
    if (*ret % 1000 != 0) {
        *ret_why = "not whole seconds";
        return -1;
    }
    *ret /= 1000;
    return 0;
}

static int check_number(const struct schema_key *key, struct bytes text, int64_t *ret_number,
                        struct buf *why)
{
    const char *reason = NULL;
    int64_t n;
    if (read_number(key, text, &n, &reason) != 0) {
        buf_printf(why, "%s", reason);
        /* The usual slip: no unit. Seconds are what people mean. */
        int64_t bare;
        const char *ignored;
        bool slip = key->type == SCHEMA_MS || key->type == SCHEMA_SECONDS;
        if (slip && units_count(text, &bare, &ignored) == 0)
            buf_printf(why, "; did you mean `%.*ss`?", (int)text.len, text.data);
        return -1;
    }
    const char *unit = key->type == SCHEMA_MS ? "ms" : key->type == SCHEMA_SECONDS ? "s" : "";
    if (n < key->min) buf_printf(why, "at least %lld%s", (long long)key->min, unit);
    if (key->max != 0 && n > key->max) buf_printf(why, "at most %lld%s", (long long)key->max, unit);
    if (why->len > 0) return -1;
    *ret_number = n;
    return 0;
}

int schema_value_check(const struct schema_key *key, struct bytes text, int64_t *ret_number,
                       struct buf *why)
{
    if (check_text(text, why) != 0) return -1;
    switch (key->type) {
    case SCHEMA_TEXT:
    case SCHEMA_REF:
        return 0;
    case SCHEMA_FIELD:
        return check_field(text, why);
    case SCHEMA_CHOICE:
        return check_choice(key, text, ret_number, why);
    default:
        return check_number(key, text, ret_number, why);
    }
}

/* ---- Reference ---- */

const char *schema_value_kind(const struct schema_key *key)
{
    static const char *const kinds[] = {
        [SCHEMA_TEXT] = "text",     [SCHEMA_FIELD] = "field", [SCHEMA_COUNT] = "count",
        [SCHEMA_SIZE] = "size",     [SCHEMA_MS] = "duration", [SCHEMA_SECONDS] = "duration",
        [SCHEMA_CHOICE] = "one of", [SCHEMA_REF] = "id in",   [SCHEMA_LIST] = "list",
        [SCHEMA_MAP] = "map by id"};
    return kinds[key->type];
}

static void write_row(const struct schema_table *table, const struct schema_key *key,
                      struct buf *out)
{
    buf_printf(out, "| `%s` | %s", key->name, schema_value_kind(key));
    for (size_t i = 0; key->type == SCHEMA_CHOICE && key->choices[i] != NULL; i++)
        buf_printf(out, "%s `%s`", i == 0 ? "" : ",", key->choices[i]);
    if (key->type == SCHEMA_REF) buf_printf(out, " `%s`", key->target);
    if (key->required) buf_printf(out, " | required | ");
    else buf_printf(out, key->fallback == NULL ? " | | " : " | `%s` | ", key->fallback);
    for (size_t i = 0; key->only != 0 && table->keys[0].choices[i] != NULL; i++)
        if (key->only >> i & 1) buf_printf(out, "%s: ", table->keys[0].choices[i]);
    buf_printf(out, "%s |\n", key->help);
}

void schema_reference(const struct schema_table *table, struct buf *out)
{
    buf_printf(out, "### %s\n\n| key | value | default | |\n| --- | --- | --- | --- |\n",
               table->title);
    for (const struct schema_key *key = table->keys; key->name != NULL; key++)
        write_row(table, key, out);
    for (const struct schema_key *key = table->keys; key->name != NULL; key++) {
        if (key->table == NULL) continue;
        buf_putc(out, '\n');
        schema_reference(key->table, out);
    }
}
