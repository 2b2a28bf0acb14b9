/* See tool.h: the server's side. Output and options are in output.c and options.c. */
#include "cli/tool/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"
#include "cli/tool/remedy.h"
#include "cli/tool/text.h"
#include "cli/tool/when.h"
#include "client/command.h"

enum { SLICE_MS = 300, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000 };

/* ---- Messages ---- */

static void vsay(const struct tool *t, const char *format, va_list args)
{
    char text[1024];
    struct buf safe = {0};
    vsnprintf(text, sizeof text, format, args);
    text_put_line(&safe, bytes_of(text));
    fprintf(stderr, "%s: %.*s\n", t->name, (int)safe.len, safe.len ? safe.data : "");
    buf_fini(&safe);
}

void tool_note(const struct tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(t, format, args);
    va_end(args);
}

void tool_fail(struct tool *t, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(t, format, args);
    va_end(args);
    t->status = status;
}

void tool_refuse_of(struct tool *t, struct bytes name, const struct leat_reply *error)
{
    struct bytes text = tool_text(error);
    const char *remedy = remedy_for_reply(text);
    tool_fail(t, TOOL_REFUSED, "%.*s%s%.*s%s%s", (int)name.len, name.data, name.len > 0 ? ": " : "",
              (int)text.len, text.data, remedy ? "; " : "", remedy ? remedy : "");
}

void tool_refuse(struct tool *t, const struct leat_reply *error)
{
    tool_refuse_of(t, (struct bytes){"", 0}, error);
}

/* The URL without its password. */
static void put_url(const struct tool *t, struct buf *out)
{
    const char *at = strrchr(t->url, '@'), *scheme = strstr(t->url, "://");
    if (at == NULL || scheme == NULL || at < scheme) buf_printf(out, "%s", t->url);
    else buf_printf(out, "%.*s%s", (int)(scheme + 3 - t->url), t->url, at + 1);
    buf_putc(out, '\0');
}

static void say_unreachable(struct tool *t, const char *why)
{
    struct buf url = {0};
    const char *remedy = remedy_for_connection(bytes_of(why));
    put_url(t, &url);
    tool_fail(t, TOOL_UNREACHABLE, "%s: %s%s%s", url.data, why, remedy ? "; " : "",
              remedy ? remedy : "");
    buf_fini(&url);
}

/* ---- Connecting ---- */

bool tool_connect(struct tool *t)
{
    char why[300];
    t->server = leat_sync_open(t->url, 0, why, sizeof why);
    if (t->server == NULL) say_unreachable(t, why);
    return t->server != NULL;
}

static bool pause_for(int ms)
{
    while (ms > 0 && !tool_stopped()) {
        int slice = ms < SLICE_MS ? ms : SLICE_MS;
        poll(NULL, 0, slice);
        ms -= slice;
    }
    return !tool_stopped();
}

static const char *why_lost(const struct tool *t)
{
    const char *why = leat_sync_error(t->server);
    return why ? why : "no answer came in time";
}

void tool_lost(struct tool *t)
{
    say_unreachable(t, why_lost(t));
}

bool tool_reconnect(struct tool *t)
{
    char why[300];
    int pause_ms = PAUSE_MIN_MS;
    if (tool_over(t)) return false;
    tool_note(t, "the connection broke (%s); trying again until it works", why_lost(t));
    leat_sync_close(t->server);
    t->server = NULL;
    while (pause_for(pause_ms)) {
        t->server = leat_sync_open(t->url, 0, why, sizeof why);
        struct leat_reply *pong = t->server ? leat_sync_commandf(t->server, "PING") : NULL;
        bool works = pong != NULL && leat_reply_type(pong) != LEAT_ERROR;
        leat_sync_reply_free(pong);
        if (works) {
            tool_note(t, "connected again");
            t->status = TOOL_OK;
            return true;
        }
        leat_sync_close(t->server);
        t->server = NULL;
        pause_ms = 2 * pause_ms < PAUSE_MAX_MS ? 2 * pause_ms : PAUSE_MAX_MS;
    }
    return false;
}

/* ---- Commands ---- */

bool tool_send(struct tool *t, struct ask *a)
{
    if (ask_send(a, t->server) == 0) return true;
    say_unreachable(t, leat_sync_error(t->server));
    return false;
}

struct leat_reply *tool_receive(struct tool *t)
{
    struct leat_reply *reply = leat_sync_receive(t->server);
    if (reply == NULL) say_unreachable(t, leat_sync_error(t->server));
    return reply;
}

struct leat_reply *tool_try(struct tool *t, struct ask *a)
{
    return tool_send(t, a) ? tool_receive(t) : NULL;
}

static struct leat_reply *no_error(struct tool *t, struct leat_reply *reply)
{
    if (reply == NULL || leat_reply_type(reply) != LEAT_ERROR) return reply;
    tool_refuse(t, reply);
    leat_sync_reply_free(reply);
    return NULL;
}

struct leat_reply *tool_call(struct tool *t, struct ask *a)
{
    return no_error(t, tool_try(t, a));
}

static struct leat_reply *vtry(struct tool *t, const char *format, va_list args)
{
    struct words words = {0};
    struct ask a = {0};
    if (words_format(&words, format, args) == 0)
        for (size_t i = 0; i < words.argc; i++) ask_bytes(&a, words.argv[i]);
    words_fini(&words);
    return tool_try(t, &a);
}

struct leat_reply *tool_tryf(struct tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct leat_reply *reply = vtry(t, format, args);
    va_end(args);
    return reply;
}

struct leat_reply *tool_callf(struct tool *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct leat_reply *reply = vtry(t, format, args);
    va_end(args);
    return no_error(t, reply);
}

/* A pipe whose reader went away says so before it is written to. */
static void look_at_output(struct tool *t)
{
    struct pollfd p = {STDOUT_FILENO, 0, 0};
    if (poll(&p, 1, 0) > 0 && p.revents & POLLERR) t->closed = true;
}

int tool_wait(struct tool *t, int wait_ms, struct leat_reply **ret_reply)
{
    for (;;) {
        int slice = wait_ms < SLICE_MS ? wait_ms : SLICE_MS;
        int got = leat_sync_try_receive(t->server, slice, ret_reply);
        if (got != 0) return got;
        wait_ms -= slice;
        look_at_output(t);
        if (wait_ms <= 0 || tool_over(t)) return 0;
    }
}

/* ---- Replies ---- */

bool tool_is_error(const struct leat_reply *r, const char *code)
{
    struct bytes text = tool_text(r);
    return r != NULL && leat_reply_type(r) == LEAT_ERROR && text.len >= strlen(code) &&
           memcmp(text.data, code, strlen(code)) == 0;
}

struct bytes tool_text(const struct leat_reply *r)
{
    struct bytes text = {"", 0};
    const char *data = r != NULL ? leat_reply_text(r, &text.len) : NULL;
    if (data != NULL) text.data = data;
    return text;
}

int64_t tool_server_ms(struct tool *t)
{
    static const int64_t year_2100 = INT64_C(4102444800);
    int64_t seconds, micros, ms = when_now_ms();
    struct leat_reply *r = tool_tryf(t, "TIME");
    if (r != NULL && leat_reply_count(r) == 2 &&
        num_parse_i64(tool_text(leat_reply_at(r, 0)), &seconds) &&
        num_parse_i64(tool_text(leat_reply_at(r, 1)), &micros) && seconds > 0 &&
        seconds < year_2100 && micros >= 0 && micros < 1000000)
        ms = seconds * 1000 + micros / 1000;
    leat_sync_reply_free(r);
    return ms;
}
