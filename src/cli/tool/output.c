/* Standard output, and the signals that end a command; see tool.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/tool/tool.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = 1;
}

void tool_catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

bool tool_stopped(void)
{
    return stopped;
}

bool tool_over(const struct tool *t)
{
    return stopped || t->closed;
}

/* Whoever started us may have left standard output non-blocking, as ssh and node do. */
static void wait_for_room(void)
{
    struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
    poll(&p, 1, -1);
}

bool tool_flush(struct tool *t)
{
    struct bytes left = buf_bytes(&t->out);
    while (left.len > 0 && !t->closed) {
        ssize_t n = write(STDOUT_FILENO, left.data, left.len);
        if (n < 0 && errno == EAGAIN && !stopped) {
            wait_for_room();
            continue;
        }
        if (n < 0 && errno == EINTR && !stopped) continue;
        if (n < 0) {
            t->closed = true;
            if (errno != EPIPE && errno != EINTR && errno != EAGAIN)
                tool_fail(t, TOOL_REFUSED, "cannot write the output: %s", strerror(errno));
            break;
        }
        left = (struct bytes){left.data + n, left.len - (size_t)n};
    }
    t->out.len = 0;
    buf_shrink(&t->out, 1 << 20);
    return !t->closed;
}

void tool_put_table(struct tool *t, const struct table *table)
{
    struct table_style style = {.terminal = t->terminal};
    table_put(table, &style, &t->out);
}

int tool_end(struct tool *t)
{
    tool_flush(t);
    int status = t->status;
    tool_fini(t);
    return status;
}
