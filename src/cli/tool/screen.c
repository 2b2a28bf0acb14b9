/* See screen.h. Sequences are those of ECMA-48 and xterm's 1049, which every terminal of today
 * obeys; a page is written in one piece, each line cleared behind its end, so that nothing
 * flickers. */
#include "cli/tool/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

static bool entered;

struct table_style screen_style(const struct tool *t, int lines)
{
    struct table_style style = {.terminal = t->terminal};
    struct winsize size;
    if (!t->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return style;
    /* Not the last column: the cursor would wait on the last character, which \033[K wipes. */
    style.columns_max = size.ws_col > 1 ? size.ws_col - 1 : 1;
    style.rows_max = size.ws_row > lines + 3 ? (size_t)(size.ws_row - lines - 1) : 2;
    return style;
}

bool screen_show(struct tool *t, struct bytes page)
{
    if (!t->terminal) {
        buf_put(&t->out, page);
        return tool_flush(t);
    }
    if (!entered) buf_printf(&t->out, "\033[?1049h\033[?25l");
    entered = true;
    buf_printf(&t->out, "\033[H");
    while (page.len > 0) {
        const char *end = memchr(page.data, '\n', page.len);
        size_t len = end != NULL ? (size_t)(end - page.data) : page.len;
        buf_append(&t->out, page.data, len);
        buf_printf(&t->out, "\033[K\r\n");
        len += end != NULL;
        page = (struct bytes){page.data + len, page.len - len};
    }
    buf_printf(&t->out, "\033[J");
    return tool_flush(t);
}

void screen_leave(struct tool *t, struct bytes page)
{
    if (!entered) return;
    entered = false;
    buf_printf(&t->out, "\033[?25h\033[?1049l");
    buf_put(&t->out, page);
    tool_flush(t);
}
