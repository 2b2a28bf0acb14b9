/* Replies are read in two passes. The first, `survey`, goes over the bytes as they come, checks
 * them and finds where the value ends; it allocates nothing and never looks at a byte twice, apart
 * from one unfinished header. The second, `build`, makes the tree of a value that is complete, so
 * its elements are all there and their number needs no bound of its own. */
#include "resp/reply.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"

enum {
    ATTRIBUTE = RESP_VERBATIM + 1, /* beside enum resp_type; never handed out */
    HEADER_DIGITS_MAX = 32,
    MEMORY_KEPT = 64 * 1024,
};

struct resp_reader {
    struct buf in;
    size_t start;   /* of the value being read, in `in` */
    size_t pos;     /* surveyed up to here */
    size_t scanned; /* no line end before here */
    int depth;
    int64_t left[RESP_DEPTH_MAX + 1]; /* values still to come per level; [0] is the value itself */
    struct arena arena;
    char error[128];
};

/* One value's own part: of an aggregate, its header. */
struct part {
    struct resp_reply value; /* no elements yet; text points into the buffer */
    size_t end;
};

struct resp_reader *resp_reader_new(void)
{
    struct resp_reader *r = mem_calloc(sizeof *r);
    arena_init(&r->arena);
    r->left[0] = 1;
    return r;
}

void resp_reader_free(struct resp_reader *r)
{
    if (r == NULL) return;
    buf_fini(&r->in);
    arena_fini(&r->arena);
    mem_free(r);
}

void resp_reader_reset(struct resp_reader *r)
{
    buf_fini(&r->in);
    arena_reset(&r->arena);
    r->start = r->pos = r->scanned = 0;
    r->depth = 0;
    r->left[0] = 1;
    r->error[0] = '\0';
}

const char *resp_reader_error(const struct resp_reader *r)
{
    return r->error[0] ? r->error : NULL;
}

static int fail(struct resp_reader *r, const char *why)
{
    snprintf(r->error, sizeof r->error, "Protocol error: %s", why);
    return -1;
}

/* Drops what was handed out, when it is all or most of the buffer. */
static void compact(struct resp_reader *r)
{
    if (r->start < r->in.len && r->start < MEMORY_KEPT) return;
    if (r->start < r->in.len && r->start < r->in.len / 2) return;
    buf_consume(&r->in, r->start);
    r->pos -= r->start;
    r->scanned -= r->scanned < r->start ? r->scanned : r->start;
    r->start = 0;
    buf_shrink(&r->in, MEMORY_KEPT);
}

void resp_reader_feed(struct resp_reader *r, const void *data, size_t len)
{
    compact(r);
    buf_append(&r->in, data, len);
}

/* ---- The parts of a value ---- */

static int type_of(char c)
{
    switch (c) {
    case '+':
        return RESP_SIMPLE;
    case '-':
    case '!':
        return RESP_ERROR;
    case ':':
        return RESP_INT;
    case '$':
        return RESP_BULK;
    case '_':
        return RESP_NULL;
    case '*':
        return RESP_ARRAY;
    case '%':
        return RESP_MAP;
    case '~':
        return RESP_SET;
    case '>':
        return RESP_PUSH;
    case ',':
        return RESP_DOUBLE;
    case '#':
        return RESP_BOOL;
    case '(':
        return RESP_BIGNUM;
    case '=':
        return RESP_VERBATIM;
    case '|':
        return ATTRIBUTE;
    default:
        return -1;
    }
}

/* The line at `pos` without its type byte and line end. 1, 0: not complete, -1. */
static int read_line(struct resp_reader *r, size_t pos, size_t max, struct bytes *ret_line)
{
    size_t from = pos + 1 > r->scanned ? pos + 1 : r->scanned;
    const char *data = r->in.data;
    const char *cr = from < r->in.len ? memchr(data + from, '\r', r->in.len - from) : NULL;
    size_t end = cr ? (size_t)(cr - data) : r->in.len;
    r->scanned = end;
    if (end > pos + 1 && end - pos - 1 > max) return fail(r, "line too long");
    if (end + 1 >= r->in.len) return 0;
    if (data[end + 1] != '\n') return fail(r, "CR without LF");
    *ret_line = (struct bytes){data + pos + 1, end - pos - 1};
    return 1;
}

static bool parse_integer(struct bytes line, int64_t *ret)
{
    if (line.len > 1 && line.data[0] == '+' && line.data[1] != '-') {
        line.data++;
        line.len--;
    }
    return num_parse_i64(line, ret);
}

static bool parse_number(struct bytes line, double *ret)
{
    if (bytes_eq_nocase(line, BYTES("nan")) || bytes_eq_nocase(line, BYTES("-nan"))) {
        *ret = NAN;
        return true;
    }
    return num_parse_double(line, ret);
}

static bool is_big_number(struct bytes line)
{
    size_t at = line.len > 0 && (line.data[0] == '-' || line.data[0] == '+');
    if (at == line.len) return false;
    for (; at < line.len; at++)
        if (line.data[at] < '0' || line.data[at] > '9') return false;
    return true;
}

/* The body of a string whose header ends at part->end. */
static int read_body(struct resp_reader *r, int64_t len, struct part *part)
{
    size_t have = r->in.len - part->end;
    if (have < (size_t)len + 2) return 0;
    const char *at = r->in.data + part->end;
    if (at[len] != '\r' || at[len + 1] != '\n') return fail(r, "string without line end");
    part->value.text = (struct bytes){at, (size_t)len};
    part->end += (size_t)len + 2;
    if (part->value.type != RESP_VERBATIM) return 1;
    if (len < 4 || at[3] != ':') return fail(r, "invalid verbatim string");
    part->value.text = (struct bytes){at + 4, (size_t)len - 4};
    return 1;
}

static bool may_be_null(char type)
{
    return type == '$' || type == '*';
}

/* Types whose line is a length: strings and aggregates. */
static int read_counted(struct resp_reader *r, struct bytes line, char type, struct part *part)
{
    int64_t n;
    bool aggregate = type != '$' && type != '=' && type != '!';
    int64_t max = aggregate ? INT32_MAX : RESP_REPLY_BULK_MAX;
    if (!num_parse_i64(line, &n) || n > max || n < -1 || (n == -1 && !may_be_null(type)))
        return fail(r, "invalid length");
    if (n == -1) {
        part->value.type = RESP_NULL;
        return 1;
    }
    if (!aggregate) return read_body(r, n, part);
    part->value.count = (size_t)n * (type == '%' || type == '|' ? 2 : 1);
    return 1;
}

static int read_part(struct resp_reader *r, size_t pos, struct part *part)
{
    if (pos >= r->in.len) return 0;
    char type = r->in.data[pos];
    if (type_of(type) < 0) {
        snprintf(r->error, sizeof r->error, "Protocol error: unknown type byte 0x%02x",
                 (unsigned char)type);
        return -1;
    }
    *part = (struct part){.value.type = (enum resp_type)type_of(type)};
    struct resp_reply *v = &part->value;
    bool text = type == '+' || type == '-' || type == '(';
    struct bytes line;
    int got = read_line(r, pos, text ? RESP_REPLY_LINE_MAX : HEADER_DIGITS_MAX, &line);
    if (got <= 0) return got;
    part->end = pos + 1 + line.len + 2;

    switch ((int)v->type) {
    case RESP_INT:
        return parse_integer(line, &v->integer) ? 1 : fail(r, "invalid integer");
    case RESP_NULL:
        return line.len == 0 ? 1 : fail(r, "invalid null");
    case RESP_BOOL:
        if (!bytes_eq(line, BYTES("t")) && !bytes_eq(line, BYTES("f")))
            return fail(r, "invalid boolean");
        v->integer = line.data[0] == 't';
        return 1;
    case RESP_DOUBLE:
        v->text = line;
        return parse_number(line, &v->number) ? 1 : fail(r, "invalid double");
    case RESP_BIGNUM:
        v->text = line;
        return is_big_number(line) ? 1 : fail(r, "invalid big number");
    default:
        break;
    }
    if (text) {
        v->text = line;
        return 1;
    }
    return read_counted(r, line, type, part);
}

/* ---- First pass ---- */

static int survey(struct resp_reader *r)
{
    while (r->depth > 0 || r->left[0] > 0) {
        if (r->left[r->depth] == 0) {
            r->depth--;
            continue;
        }
        struct part part;
        int got = read_part(r, r->pos, &part);
        if (got <= 0) return got;
        r->pos = part.end;
        /* An attribute stands before a value and does not count as one. */
        if ((int)part.value.type != ATTRIBUTE) r->left[r->depth]--;
        if (part.value.count == 0) continue;
        if (r->depth == RESP_DEPTH_MAX) return fail(r, "nested too deeply");
        r->left[++r->depth] = (int64_t)part.value.count;
    }
    return 1;
}

/* ---- Second pass ---- */

/* Reads the part at *pos and moves *pos behind it. The first pass has seen that it is whole. */
static struct resp_reply take_part(struct resp_reader *r, size_t *pos)
{
    struct part part;
    r->scanned = 0;
    must(read_part(r, *pos, &part) == 1);
    *pos = part.end;
    /* The byte behind a text is its CR, which nobody needs any more. */
    struct bytes text = part.value.text;
    if (text.data != NULL) r->in.data[text.data + text.len - r->in.data] = '\0';
    return part.value;
}

/* Builds the value at *pos. Recursion is bounded by the first pass. */
static void build(struct resp_reader *r, size_t *pos, struct resp_reply *ret)
{
    *ret = take_part(r, pos);
    while ((int)ret->type == ATTRIBUTE) {
        struct resp_reply skipped;
        for (size_t i = 0; i < ret->count; i++) build(r, pos, &skipped);
        *ret = take_part(r, pos);
    }
    if (ret->count == 0) return;
    struct resp_reply *elements = arena_alloc(&r->arena, ret->count * sizeof *elements);
    for (size_t i = 0; i < ret->count; i++) build(r, pos, &elements[i]);
    ret->elements = elements;
}

int resp_reader_next(struct resp_reader *r, const struct resp_reply **ret_reply)
{
    if (r->error[0]) return -1;
    int got = survey(r);
    if (got <= 0) return got;
    arena_reset(&r->arena);
    struct resp_reply *reply = arena_alloc(&r->arena, sizeof *reply);
    size_t pos = r->start;
    build(r, &pos, reply);
    must(pos == r->pos);
    r->start = r->scanned = pos;
    r->left[0] = 1;
    *ret_reply = reply;
    return 1;
}

/* ---- Copies ---- */

static void measure(const struct resp_reply *r, size_t *values, size_t *text_bytes)
{
    *values += 1;
    if (r->text.data != NULL) *text_bytes += r->text.len + 1;
    for (size_t i = 0; i < r->count; i++) measure(&r->elements[i], values, text_bytes);
}

/* Takes room for elements at *values and for text at *text. */
static void copy_value(const struct resp_reply *from, struct resp_reply *to,
                       struct resp_reply **values, char **text)
{
    *to = *from;
    if (from->text.data != NULL) {
        memcpy(*text, from->text.data, from->text.len);
        (*text)[from->text.len] = '\0';
        to->text.data = *text;
        *text += from->text.len + 1;
    }
    if (from->count == 0) return;
    to->elements = *values;
    *values += from->count;
    for (size_t i = 0; i < from->count; i++)
        copy_value(&from->elements[i], &to->elements[i], values, text);
}

struct resp_reply *resp_reply_dup(const struct resp_reply *r)
{
    size_t count = 0, text_bytes = 0;
    measure(r, &count, &text_bytes);
    struct resp_reply *copy = mem_alloc(count * sizeof *copy + text_bytes);
    struct resp_reply *values = copy + 1;
    char *text = (char *)(copy + count);
    copy_value(r, copy, &values, &text);
    return copy;
}
