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

void monitor_feed(struct broker *b, struct session *s, size_t argc, const struct bytes *argv)
{
    struct buf line = {0};
    buf_printf(&line, "+%lld.%06lld [%d %s]", (long long)(b->now_us / 1000000),
               (long long)(b->now_us % 1000000), s->db,
               s->flags & SESSION_UNIX ? "unix:" : s->address);
    for (size_t i = 0; i < argc; i++) {
        buf_putc(&line, ' ');
        put_quoted(&line, argument_is_secret(argv, i) ? BYTES("(redacted)") : argv[i]);
    }
    buf_printf(&line, "\r\n");
    for (struct session *m = b->monitors; m != NULL; m = m->next_monitor)
        subscriber_put(&m->subscriber, buf_bytes(&line), 0);
    buf_fini(&line);
}

void monitor_join(struct broker *b, struct session *s)
{
    if (s->flags & SESSION_MONITOR) return;
    s->flags |= SESSION_MONITOR;
    s->next_monitor = b->monitors;
    b->monitors = s;
    b->monitor_count++;
}

void monitor_leave(struct broker *b, struct session *s)
{
    if (!(s->flags & SESSION_MONITOR)) return;
    struct session **at = &b->monitors;
    while (*at != s) at = &(*at)->next_monitor;
    *at = s->next_monitor;
    s->flags &= ~(unsigned)SESSION_MONITOR;
    b->monitor_count--;
}
