/* The walk over replies: one pass, a counter per depth. */
#include "load/reply.h"

#include <string.h>

void reply_fini(struct reply *r)
{
    buf_fini(&r->ids);
}

static void start_over(struct reply *r)
{
    r->ended = r->empty = false;
    r->error[0] = '\0';
    r->entries = 0;
    r->ids.len = 0;
}

/* An element is complete: so may be the arrays it ends. */
static void finish_element(struct reply *r)
{
    r->first = false;
    while (r->depth > 0 && --r->left[r->depth] == 0) r->depth--;
    if (r->depth == 0) r->ended = true;
}

static bool open_array(struct reply *r, int64_t count)
{
    if (count <= 0) {
        if (r->depth == 0) r->empty = true;
        finish_element(r);
        return true;
    }
    if (r->depth == REPLY_DEPTH_MAX) return false;
    r->left[++r->depth] = count;
    r->first = true;
    return true;
}

static void note_error(struct reply *r, const char *text, size_t n)
{
    if (r->error[0] != '\0') return;
    if (n >= sizeof(r->error)) n = sizeof(r->error) - 1;
    memcpy(r->error, text, n);
    r->error[n] = '\0';
}

/* `whole` is the bulk string as it came, `id` what it holds. */
static void note_id(struct reply *r, struct bytes whole, struct bytes id)
{
    memcpy(r->last_id, id.data, id.len);
    r->last_id[id.len] = '\0';
    r->entries++;
    if (r->want_ids) buf_put(&r->ids, whole);
}

/* The number after the type's byte; *ret_end is behind its line. False when the line is not whole
 * (and then *ret_end is NULL) or no number. */
static inline bool read_number(const char *p, const char *end, const char **ret_end,
                               int64_t *ret_value)
{
    *ret_end = NULL;
    bool negative = p < end && *p == '-';
    const char *from = p += negative;
    int64_t value = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - from < 18) value = value * 10 + (*p++ - '0');
    if (end - p < 2 && (p == end || *p == '\r')) return false;
    *ret_end = p + 2;
    *ret_value = negative ? -value : value;
    return p > from && p[0] == '\r' && p[1] == '\n';
}

/* A bulk string whose content begins at p. NULL: the whole of it is wanted and not there yet. */
static inline const char *take_bulk(struct reply *r, const char *start, const char *p,
                                    const char *end, int64_t len)
{
    if (len < 0) {
        if (r->depth == 0) r->empty = true;
        finish_element(r);
        return p;
    }
    size_t size = (size_t)len + 2, there = (size_t)(end - p);
    if (r->first && r->depth == r->id_depth && r->depth > 0 && len <= REPLY_ID_MAX) {
        if (there < size) return NULL;
        note_id(r, (struct bytes){start, (size_t)(p - start) + size},
                (struct bytes){p, (size_t)len});
    }
    if (there < size) {
        r->skip = size - there;
        return end;
    }
    finish_element(r);
    return p + size;
}

/* Errors and statuses. NULL: not whole yet. */
static const char *take_line(struct reply *r, const char *p, const char *end, bool *ret_broken)
{
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    if (stop == NULL) {
        *ret_broken = end - p >= REPLY_LINE_MAX - 1;
        return NULL;
    }
    if (*p == '-') note_error(r, p + 1, (size_t)(stop - p) - (stop[-1] == '\r' ? 2 : 1));
    finish_element(r);
    return stop + 1;
}

/* One element, from its first byte. NULL: not whole yet, or broken. */
static inline const char *take_element(struct reply *r, const char *p, const char *end,
                                       bool *ret_broken)
{
    if (*p == '+' || *p == '-') return take_line(r, p, end, ret_broken);
    const char *next;
    int64_t value;
    bool good = read_number(p + 1, end, &next, &value);
    if (!good) {
        *ret_broken = next != NULL;
        return NULL;
    }
    if (*p == '$') return take_bulk(r, p, next, end, value);
    if (*p == '*') {
        *ret_broken = !open_array(r, value);
    } else {
        *ret_broken = *p != ':';
        finish_element(r);
    }
    return *ret_broken ? NULL : next;
}

enum reply_state reply_walk(struct reply *r, const char *data, size_t n, size_t *ret_used)
{
    const char *p = data, *end = data + n;
    bool broken = false;
    if (r->ended) start_over(r);
    while (p < end && !r->ended) {
        if (r->skip > 0) {
            size_t step = r->skip < (size_t)(end - p) ? r->skip : (size_t)(end - p);
            r->skip -= step;
            p += step;
            if (r->skip == 0) finish_element(r);
            continue;
        }
        const char *next = take_element(r, p, end, &broken);
        if (next == NULL) break;
        p = next;
    }
    *ret_used = (size_t)(p - data);
    if (broken) return REPLY_BROKEN;
    return r->ended ? REPLY_WHOLE : REPLY_MORE;
}
