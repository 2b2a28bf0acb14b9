#include "client/command.h"

#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "base/num.h"

/* ---- Formatting ---- */

/* Appends what the conversion at *at stands for and moves *at behind it. */
static int convert(struct buf *text, const char **at, va_list *args)
{
    const char *from = *at + 1;
    if (*from == '%') {
        buf_putc(text, '%');
        *at = from + 1;
    } else if (*from == 's') {
        const char *s = va_arg(*args, const char *);
        buf_append(text, s, strlen(s));
        *at = from + 1;
    } else if (*from == 'b') {
        const void *data = va_arg(*args, const void *);
        buf_append(text, data, va_arg(*args, size_t));
        *at = from + 1;
    } else if (strncmp(from, "lld", 3) == 0) {
        char *digits = buf_reserve(text, NUM_I64_MAX);
        text->len += num_format_i64(digits, va_arg(*args, long long));
        *at = from + 3;
    } else {
        return -EINVAL;
    }
    return 0;
}

/* Data is NULL in argv until all is written, as the text may move until then. */
static void end_word(struct words *w, size_t from)
{
    if ((w->argc & (w->argc + 1)) == 0)
        w->argv = mem_realloc(w->argv, (w->argc + 1) * 2 * sizeof *w->argv);
    w->argv[w->argc++] = (struct bytes){NULL, w->text.len - from};
}

int words_format(struct words *w, const char *format, va_list args)
{
    va_list left;
    va_copy(left, args);
    int rc = 0;
    for (const char *at = format; *at != '\0' && rc == 0;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        size_t from = w->text.len;
        while (*at != '\0' && *at != ' ' && rc == 0) {
            if (*at == '%') rc = convert(&w->text, &at, &left);
            else buf_putc(&w->text, *at++);
        }
        end_word(w, from);
    }
    va_end(left);
    const char *data = w->text.data ? w->text.data : "";
    for (size_t i = 0; i < w->argc; i++) {
        w->argv[i].data = data;
        data += w->argv[i].len;
    }
    return rc == 0 && w->argc == 0 ? -EINVAL : rc;
}

void words_fini(struct words *w)
{
    buf_fini(&w->text);
    mem_free(w->argv);
    *w = (struct words){0};
}

/* ---- Waiting ---- */

static int64_t seconds(struct bytes text)
{
    double d;
    if (!num_parse_double(text, &d) || d < 0) return 0;
    return d == 0 || d > 1e9 ? PATIENCE_FOREVER : (int64_t)ceil(d * 1000);
}

static int64_t milliseconds(struct bytes text)
{
    int64_t n;
    if (!num_parse_i64(text, &n) || n < 0) return 0;
    return n == 0 || n > INT64_C(1000000000000) ? PATIENCE_FOREVER : n;
}

static int64_t block_option(const struct bytes *argv, size_t argc)
{
    for (size_t i = 1; i + 1 < argc; i++) {
        if (bytes_is_word(argv[i], "block")) return milliseconds(argv[i + 1]);
        if (bytes_is_word(argv[i], "streams")) return 0;
    }
    return 0;
}

int64_t command_patience_ms(const struct bytes *argv, size_t argc)
{
    static const char *const timeout_last[] = {"blpop",      "brpop",    "blmove",
                                               "brpoplpush", "bzpopmin", "bzpopmax"};
    if (argc < 2) return 0;
    struct bytes name = argv[0];
    switch (name.len > 0 ? name.data[0] | 0x20 : 0) {
    case 'b':
        for (size_t i = 0; i < sizeof timeout_last / sizeof *timeout_last; i++)
            if (bytes_is_word(name, timeout_last[i])) return seconds(argv[argc - 1]);
        if (bytes_is_word(name, "blmpop") || bytes_is_word(name, "bzmpop")) return seconds(argv[1]);
        return 0;
    case 'x':
        if (bytes_is_word(name, "xread") || bytes_is_word(name, "xreadgroup"))
            return block_option(argv, argc);
        return 0;
    case 'w':
        if (bytes_is_word(name, "wait") || bytes_is_word(name, "waitaof"))
            return milliseconds(argv[argc - 1]);
        return 0;
    default:
        return 0;
    }
}
