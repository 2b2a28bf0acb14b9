/* The hottest parser of the server. A command of short arguments that arrives whole is read by
 * feed_args alone: one pass, no allocation, argv pointing into the caller's bytes. Everything odd
 * (a line cut in two, a wrong number) leaves that way for read_length_slowly.
 *
 * Invariants between calls: bytes before `pos` are understood and not looked at again; bytes before
 * `scanned` are known not to end the present line; argv[i].data is an offset into the caller's
 * bytes until the command is complete, because these may move while more come.
 *
 * Redis looks for the end of a line with string functions. So a zero byte hides the rest, and such
 * a line ends only when it is too long; clients that compare must see the same. */
#include "resp/request.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/num.h"

enum { ARGV_CAP_MIN = 8, ARGV_CAP_KEPT = 256, TEXT_CAP_KEPT = 4096 };

void resp_request_init(struct resp_request *r)
{
    *r = (struct resp_request){.bulk_bytes_max = (size_t)512 << 20, .bulk_len = -1};
}

static void drop_memory(struct resp_request *r, size_t argv_kept, size_t text_kept)
{
    if (r->argv_cap > argv_kept) {
        mem_free(r->argv);
        r->argv = NULL;
        r->argv_cap = 0;
    }
    if (r->inline_text.cap > text_kept) buf_fini(&r->inline_text);
}

void resp_request_fini(struct resp_request *r)
{
    drop_memory(r, 0, 0);
    resp_request_reset(r);
}

static void restart(struct resp_request *r)
{
    r->pos = 0;
    r->scanned = 0;
    r->args_left = 0;
    r->bulk_len = -1;
}

void resp_request_reset(struct resp_request *r)
{
    restart(r);
    r->argc = 0;
    drop_memory(r, ARGV_CAP_KEPT, TEXT_CAP_KEPT);
}

static ssize_t fail(struct resp_request *r, const char *why)
{
    snprintf(r->error, sizeof r->error, "Protocol error: %s", why);
    return -1;
}

static inline void push_arg(struct resp_request *r, struct bytes arg)
{
    if (__builtin_expect(r->argc == r->argv_cap, 0)) {
        r->argv_cap = r->argv_cap ? r->argv_cap * 2 : ARGV_CAP_MIN;
        r->argv = mem_realloc(r->argv, r->argv_cap * sizeof *r->argv);
    }
    r->argv[r->argc++] = arg;
}

/* ---- Lines ---- */

/* Where the line that begins at pos has `end`, or -1 when it is not there yet. */
static ssize_t find_end(struct resp_request *r, const char *data, size_t len, char end)
{
    size_t from = r->scanned > r->pos ? r->scanned : r->pos;
    if (from >= len || data[from] == '\0') return -1;
    const char *hit = memchr(data + from, end, len - from);
    size_t stop = hit ? (size_t)(hit - data) : len;
    const char *zero = memchr(data + from, '\0', stop - from);
    r->scanned = zero ? (size_t)(zero - data) : stop;
    return hit && !zero ? hit - data : -1;
}

/* As read_length, for a line that is incomplete or not a plain number. */
static int read_length_slowly(struct resp_request *r, const char *data, size_t len, int64_t *ret)
{
    ssize_t end = find_end(r, data, len, '\r');
    if (end < 0 || (size_t)end + 1 >= len) {
        if (end >= 0 || len - r->pos <= RESP_INLINE_MAX) return 0;
        fail(r, data[0] == '*' && r->pos == 0 ? "too big mbulk count string"
                                              : "too big bulk count string");
        return -1;
    }
    if (r->pos > 0 && data[r->pos] != '$') {
        char why[] = "expected '$', got 'x'";
        why[sizeof why - 3] = data[r->pos];
        fail(r, why);
        return -1;
    }
    const char *digits = data + r->pos + 1;
    /* An empty line where '$' should be ends before its digits; it was refused above. */
    if (!num_parse_i64((struct bytes){digits, (size_t)(data + end - digits)}, ret)) {
        fail(r, r->pos == 0 ? "invalid multibulk length" : "invalid bulk length");
        return -1;
    }
    r->pos = (size_t)end + 2;
    return 1;
}

/* Reads `*n` at the start or `$n` behind it, and its line end: a CR and one byte that Redis does
 * not look at. 1: *ret is the number and pos is behind; 0: needs more; -1: failed. */
static inline int read_length(struct resp_request *r, const char *data, size_t len, char type,
                              int64_t *ret)
{
    size_t at = r->pos + 1;
    /* Nine digits cannot overflow, and are all that is ever seen. */
    size_t stop = at + 9 < len ? at + 9 : len;
    int64_t n = 0;
    while (at < stop && (unsigned char)(data[at] - '0') <= 9) n = n * 10 + (data[at++] - '0');
    size_t digits = at - r->pos - 1;
    bool plain = at + 1 < len && data[at] == '\r' && data[r->pos] == type && digits > 0 &&
                 (digits == 1 || data[r->pos + 1] != '0');
    if (__builtin_expect(!plain, 0)) return read_length_slowly(r, data, len, ret);
    r->pos = at + 2;
    *ret = n;
    return 1;
}

/* ---- Arrays of bulk strings ---- */

static int read_bulk_length(struct resp_request *r, const char *data, size_t len)
{
    int64_t n;
    int got = read_length(r, data, len, '$', &n);
    if (got <= 0) return got;
    if (n < 0 || (uint64_t)n > r->bulk_bytes_max) {
        fail(r, "invalid bulk length");
        return -1;
    }
    if (!r->authenticated && n > RESP_BULK_MAX_UNAUTHENTICATED) {
        fail(r, "unauthenticated bulk length");
        return -1;
    }
    r->bulk_len = n;
    return 1;
}

static ssize_t complete(struct resp_request *r, size_t len)
{
    restart(r);
    return (ssize_t)len;
}

/* Takes arguments as long as they are whole and short. Most commands consist of nothing else, and
 * everything this loop needs stays in registers. */
static void take_short_args(struct resp_request *r, const char *data, size_t len)
{
    size_t pos = r->pos, argc = r->argc, left = (size_t)r->args_left;
    size_t max = left < r->argv_cap - argc ? left : r->argv_cap - argc;
    if (r->bulk_bytes_max < 99) return;
    struct bytes *argv = r->argv;
    size_t taken = 0;
    for (; taken < max && len - pos >= 6 && data[pos] == '$'; taken++) {
        unsigned ones = (unsigned char)(data[pos + 1] - '0'), tens = 0;
        size_t at = pos + 2;
        if (data[at] != '\r') {
            if (ones == 0) break;
            tens = ones;
            ones = (unsigned char)(data[at++] - '0');
        }
        if (ones > 9 || tens > 9 || data[at] != '\r') break;
        size_t arg_len = tens * 10 + ones;
        at += 2;
        if (len - at < arg_len + 2) break;
        argv[argc + taken] = (struct bytes){(const char *)(uintptr_t)at, arg_len};
        pos = at + arg_len + 2;
    }
    r->pos = pos;
    r->argc = argc + taken;
    r->args_left = (int64_t)(left - taken);
}

static ssize_t feed_args(struct resp_request *r, const char *data, size_t len)
{
    while (r->args_left > 0) {
        if (r->bulk_len < 0) {
            take_short_args(r, data, len);
            if (r->args_left == 0) break;
            if (r->pos >= len) return 0;
            int got = read_bulk_length(r, data, len);
            if (got <= 0) return got;
        }
        size_t have = len - r->pos, bulk_len = (size_t)r->bulk_len;
        /* Redis does not look at the two bytes behind an argument either. */
        if (have < 2 || have - 2 < bulk_len) return 0;
        push_arg(r, (struct bytes){(const char *)(uintptr_t)r->pos, bulk_len});
        r->pos += bulk_len + 2;
        r->bulk_len = -1;
        r->args_left--;
    }
    for (size_t i = 0; i < r->argc; i++) r->argv[i].data = data + (uintptr_t)r->argv[i].data;
    return complete(r, r->pos);
}

static ssize_t feed_array(struct resp_request *r, const char *data, size_t len)
{
    int64_t n;
    int got = read_length(r, data, len, '*', &n);
    if (got <= 0) return got;
    if (n > RESP_ARGS_MAX) return fail(r, "invalid multibulk length");
    if (!r->authenticated && n > RESP_ARGS_MAX_UNAUTHENTICATED)
        return fail(r, "unauthenticated multibulk length");
    if (n <= 0) return complete(r, r->pos);
    r->args_left = n;
    return feed_args(r, data, len);
}

/* ---- Lines of words ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Vertical tab and form feed are space between words but do not end one. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What a backslash in double quotes stands for; *at is behind the backslash, and is moved. */
static char unescape(const char **at, const char *end)
{
    static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
    char c = *(*at)++;
    if (c == 'x' && end - *at >= 2) {
        int high = hex_digit((*at)[0]), low = hex_digit((*at)[1]);
        if (high >= 0 && low >= 0) {
            *at += 2;
            return (char)(high << 4 | low);
        }
    }
    const char *known = c ? strchr(from, c) : NULL;
    return known ? to[known - from] : c;
}

/* Reads from behind the opening quote to behind the closing one, which must end the word. */
static bool read_quoted(char quote, const char **at, const char *end, struct buf *text)
{
    while (*at < end) {
        char c = *(*at)++;
        if (c == quote) return *at == end || is_space(**at);
        if (c == '\\' && quote == '"' && *at < end) c = unescape(at, end);
        else if (c == '\\' && quote == '\'' && *at < end && **at == '\'') c = *(*at)++;
        buf_putc(text, c);
    }
    return false;
}

static bool read_word(const char **at, const char *end, struct buf *text)
{
    while (*at < end && !ends_word(**at)) {
        char c = *(*at)++;
        if (c == '"' || c == '\'') return read_quoted(c, at, end, text);
        buf_putc(text, c);
    }
    return true;
}

static void skip_space(const char **at, const char *end)
{
    while (*at < end && is_space(**at)) (*at)++;
}

/* Appends the words to argv. `text` has room for the whole line first, so that no word moves. */
static bool split_quoted(struct resp_request *r, struct bytes line, struct buf *text)
{
    const char *at = line.data, *end = line.data + line.len;
    buf_reserve(text, line.len + 1);
    for (skip_space(&at, end); at < end; skip_space(&at, end)) {
        size_t from = text->len;
        if (!read_word(&at, end, text)) return false;
        push_arg(r, (struct bytes){text->data + from, text->len - from});
    }
    return true;
}

static void split_plain(struct resp_request *r, struct bytes line)
{
    const char *at = line.data, *end = line.data + line.len;
    for (skip_space(&at, end); at < end; skip_space(&at, end)) {
        const char *from = at;
        while (at < end && !ends_word(*at)) at++;
        push_arg(r, (struct bytes){from, (size_t)(at - from)});
    }
}

static ssize_t feed_inline(struct resp_request *r, const char *data, size_t len)
{
    ssize_t end = find_end(r, data, len, '\n');
    if (end < 0) return len > RESP_INLINE_MAX ? fail(r, "too big inline request") : 0;
    struct bytes line = {data, (size_t)end};
    if (line.len > 0 && data[line.len - 1] == '\r') line.len--;
    if (memchr(data, '"', line.len) == NULL && memchr(data, '\'', line.len) == NULL) {
        split_plain(r, line);
    } else {
        r->inline_text.len = 0;
        if (!split_quoted(r, line, &r->inline_text)) return fail(r, "unbalanced quotes in request");
    }
    return complete(r, (size_t)end + 1);
}

ssize_t resp_split_line(struct bytes line, struct buf *text, struct bytes **ret_words)
{
    struct resp_request words;
    resp_request_init(&words);
    bool balanced = split_quoted(&words, line, text);
    ssize_t count = (ssize_t)words.argc;
    if (balanced) {
        *ret_words = words.argv; /* NULL when there are none */
        return count;
    }
    resp_request_fini(&words);
    return -1;
}

/* ---- Feeding ---- */

ssize_t resp_request_feed(struct resp_request *r, const char *data, size_t len)
{
    must(r->pos <= len);
    if (r->args_left > 0) return feed_args(r, data, len);
    r->argc = 0;
    if (len == 0) return 0;
    if (r->argv_cap > ARGV_CAP_KEPT || r->inline_text.cap > TEXT_CAP_KEPT)
        drop_memory(r, ARGV_CAP_KEPT, TEXT_CAP_KEPT);
    return data[0] == '*' ? feed_array(r, data, len) : feed_inline(r, data, len);
}

size_t resp_request_want(const struct resp_request *r, size_t len)
{
    if (r->args_left == 0 || r->bulk_len < 0) return 0;
    size_t have = len - r->pos, need = (size_t)r->bulk_len + 2;
    return need > have ? need - have : 0;
}
