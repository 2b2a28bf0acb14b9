/* Encodes a command's words once, and fills the places that change. */
#include "load/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LETTERS = 1 << 20, DATA_MAX = LETTERS / 2 };

static const char *const kinds[] = {
    [PATCH_SEQ] = "seq",   [PATCH_RAND] = "rand", [PATCH_DATA] = "data", [PATCH_CONN] = "conn",
    [PATCH_WALK] = "walk", [PATCH_LAST] = "last", [PATCH_IDS] = "ids"};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* What __data__ is cut from. */
static const char *letters(void)
{
    static char *made;
    if (made != NULL) return made;
    made = mem_alloc(LETTERS);
    uint64_t state = 88172645463325252;
    for (size_t i = 0; i < LETTERS; i++)
        made[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[next_random(
                                                                                         &state) >>
                                                                                     58];
    return made;
}

/* The placeholder at `text`: its kind, N (0: none given) and length; false when it is none. */
static bool read_placeholder(const char *text, enum patch_kind *ret_kind, uint64_t *ret_n,
                             size_t *ret_len)
{
    if (strncmp(text, "__", 2) != 0) return false;
    for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
        size_t len = strlen(kinds[kind]);
        if (strncmp(text + 2, kinds[kind], len) != 0) continue;
        char *end = (char *)text + 2 + len;
        uint64_t n = *end == ':' ? strtoull(end + 1, &end, 10) : 0;
        if (strncmp(end, "__", 2) != 0) continue;
        *ret_kind = (enum patch_kind)kind;
        *ret_n = n;
        *ret_len = (size_t)(end + 2 - text);
        return true;
    }
    return false;
}

static const char *check_placeholder(struct command *c, struct patch *p, bool alone, bool at_end)
{
    switch (p->kind) {
    case PATCH_IDS:
        c->dynamic = c->has_ids = true;
        return alone ? NULL : "__ids__ is an argument by itself";
    case PATCH_LAST:
        c->dynamic = true;
        return at_end ? NULL : "__last__ ends its argument";
    case PATCH_WALK:
        c->walk = p->n;
        return p->n > 0 ? NULL : "__walk:N__ wants its N";
    case PATCH_DATA:
        return p->n <= DATA_MAX ? NULL : "that is too much __data__";
    default:
        return NULL;
    }
}

/* Appends what the word holds to `to`; the patches' places count from its beginning. */
static const char *read_word(struct command *c, const char *word,
                             const struct command_defaults *defaults, struct buf *to)
{
    for (const char *at = word; *at != '\0';) {
        struct patch p = {.at = to->len};
        size_t len;
        if (!read_placeholder(at, &p.kind, &p.n, &len)) {
            buf_putc(to, *at++);
            continue;
        }
        if (c->patch_count == COMMAND_PATCHES_MAX) return "too many placeholders in a command";
        if (p.n == 0 && p.kind == PATCH_RAND) p.n = defaults->keys;
        if (p.n == 0 && p.kind == PATCH_DATA) p.n = defaults->data;
        const char *wrong =
            check_placeholder(c, &p, at == word && at[len] == '\0', at[len] == '\0');
        if (wrong != NULL) return wrong;
        if (p.kind == PATCH_LAST) p.prefix = (unsigned)to->len;
        size_t width = p.kind == PATCH_DATA ? p.n : COMMAND_DIGITS;
        if (p.kind != PATCH_LAST && p.kind != PATCH_IDS) memset(buf_reserve(to, width), '0', width);
        if (p.kind != PATCH_LAST && p.kind != PATCH_IDS) to->len += width;
        c->patches[c->patch_count++] = p;
        at += len;
    }
    return NULL;
}

static const char *add_word(struct command *c, const char *word,
                            const struct command_defaults *defaults)
{
    struct buf argument = {0};
    unsigned first = c->patch_count;
    const char *wrong = read_word(c, word, defaults, &argument);
    const struct patch *last = c->patch_count > first ? &c->patches[c->patch_count - 1] : NULL;
    bool ids = last != NULL && last->kind == PATCH_IDS;
    bool open = ids || (last != NULL && last->kind == PATCH_LAST); /* its length comes later */
    if (!ids) c->argc++;
    if (!open) buf_printf(&c->text, "$%zu\r\n", argument.len);
    for (unsigned i = first; i < c->patch_count; i++) c->patches[i].at += c->text.len;
    buf_append(&c->text, argument.data, argument.len);
    if (!open) buf_append(&c->text, "\r\n", 2);
    buf_fini(&argument);
    return wrong;
}

const char *command_init(struct command *c, char **words, int count,
                         const struct command_defaults *defaults)
{
    *c = (struct command){.name = words[0]};
    struct buf header = {0};
    const char *wrong = count > 0 ? NULL : "an empty command";
    for (int i = 0; i < count && wrong == NULL; i++) wrong = add_word(c, words[i], defaults);
    if (!c->has_ids) buf_printf(&header, "*%u\r\n", c->argc);
    if (header.len > 0) buf_insert(&c->text, 0, header.data, header.len);
    for (unsigned i = 0; i < c->patch_count; i++) c->patches[i].at += header.len;
    buf_fini(&header);
    letters();
    return wrong;
}

void command_fini(struct command *c)
{
    buf_fini(&c->text);
}

static void write_digits(char *to, uint64_t value)
{
    for (int i = COMMAND_DIGITS; i-- > 0; value /= 10) to[i] = (char)('0' + value % 10);
}

static void fill(const struct patch *p, struct filling *f, char *to)
{
    switch (p->kind) {
    case PATCH_SEQ:
        write_digits(to, p->n > 0 ? *f->seq % p->n : *f->seq);
        break;
    case PATCH_RAND:
        write_digits(to, next_random(&f->random) % p->n);
        break;
    case PATCH_CONN:
        write_digits(to, f->conn);
        break;
    case PATCH_WALK:
        write_digits(to, f->walk);
        break;
    default:
        memcpy(to, letters() + next_random(&f->random) % (LETTERS - DATA_MAX), p->n);
        break;
    }
}

static void append_last(const struct command *c, const struct patch *p, const struct filling *f,
                        struct buf *out)
{
    size_t len = strlen(f->last_id);
    buf_printf(out, "$%zu\r\n", p->prefix + len);
    buf_append(out, c->text.data + p->at - p->prefix, p->prefix);
    buf_append(out, f->last_id, len);
    buf_append(out, "\r\n", 2);
}

void command_append(const struct command *c, struct filling *f, struct buf *out)
{
    size_t from = 0; /* what of the text is already out */
    bool counted = false;
    if (c->has_ids) buf_printf(out, "*%" PRIu64 "\r\n", c->argc + f->id_count);
    for (unsigned i = 0; i < c->patch_count; i++) {
        const struct patch *p = &c->patches[i];
        bool open = p->kind == PATCH_LAST || p->kind == PATCH_IDS;
        size_t width = open ? 0 : p->kind == PATCH_DATA ? p->n : COMMAND_DIGITS;
        buf_append(out, c->text.data + from, p->at + width - p->prefix - from);
        if (p->kind == PATCH_LAST) append_last(c, p, f, out);
        else if (p->kind == PATCH_IDS) buf_put(out, f->ids);
        else fill(p, f, out->data + out->len - width);
        counted |= p->kind == PATCH_SEQ;
        from = p->at + width;
    }
    buf_append(out, c->text.data + from, c->text.len - from);
    *f->seq += counted;
}
