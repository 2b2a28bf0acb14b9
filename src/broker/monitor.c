/* MONITOR: every command, as a line, to those who asked for it. */
#include <stdio.h>

#include "broker/internal.h"

static void put_quoted(struct buf *out, struct bytes text)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        switch (c) {
        case '\\':
        case '"':
            buf_printf(out, "\\%c", c);
            break;
        case '\n':
            buf_printf(out, "\\n");
            break;
        case '\r':
            buf_printf(out, "\\r");
            break;
        case '\t':
            buf_printf(out, "\\t");
            break;
        case '\a':
            buf_printf(out, "\\a");
            break;
        case '\b':
            buf_printf(out, "\\b");
            break;
        default:
            if (c >= ' ' && c <= '~') buf_putc(out, (char)c);
            else buf_printf(out, "\\x%02x", c);
        }
    }
    buf_putc(out, '"');
}

/* Passwords are for nobody's eyes. */
static bool is_secret(struct bytes name, size_t i)
{
    return i > 0 && bytes_is_word(name, "auth");
}

void monitor_feed(struct broker *b, struct session *s, size_t argc, const struct bytes *argv)
{
    struct buf line = {0};
    buf_printf(&line, "+%lld.%06lld [%d %s]", (long long)(b->now_us / 1000000),
               (long long)(b->now_us % 1000000), s->db,
               s->flags & SESSION_UNIX ? "unix:" : s->address);
    for (size_t i = 0; i < argc; i++) {
        buf_putc(&line, ' ');
        put_quoted(&line, is_secret(argv[0], i) ? BYTES("(redacted)") : argv[i]);
    }
    buf_printf(&line, "\r\n");
    for (struct session *m = b->first_session; m != NULL; m = m->next)
        if ((m->flags & SESSION_MONITOR) && m != s) outbox_put(&m->out, buf_bytes(&line), 0);
    buf_fini(&line);
}
