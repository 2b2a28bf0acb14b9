/* Sessions: opening, closing, resetting, and who may run while clients are paused. */
#include "broker/session.h"

#include <stdio.h>

#include "base/mem.h"
#include "broker/durable.h"
#include "broker/internal.h"

static bool needs_password(const struct broker *b)
{
    return b->settings.requirepass[0] != '\0';
}

struct session *broker_session_open(struct broker *b, const struct session_port *port, void *owner,
                                    void (*on_dirty)(void *owner), int fd, const char *address,
                                    const char *local, unsigned flags)
{
    struct session *s = mem_calloc(sizeof *s);
    s->id = b->next_session_id++;
    s->broker = b;
    s->port = port;
    s->owner = owner;
    s->fd = fd;
    snprintf(s->address, sizeof s->address, "%s", address);
    snprintf(s->local, sizeof s->local, "%s", local);
    s->proto = 2;
    s->flags = flags;
    s->authenticated = (flags & SESSION_INTERNAL) || !needs_password(b);
    s->created_ms = s->active_ms = b->now_ms;
    outbox_init(&s->out, on_dirty, owner);
    subscriber_init(&s->subscriber, &s->out);
    s->prev = b->last_session;
    if (b->last_session != NULL) b->last_session->next = s;
    else b->first_session = s;
    b->last_session = s;
    b->session_count++;
    b->connections_received++;
    return s;
}

/* Everything that ties it to others: subscriptions, watches, a block, a queue. */
static void let_go(struct broker *b, struct session *s)
{
    durable_leave_all(b, s);
    hub_leave(b->hub, &s->subscriber);
    watch_clear(b, s);
    session_discard(s);
    blocked_cancel(b, s);
    monitor_leave(b, s);
}

void broker_session_hangup(struct broker *b, struct session *s)
{
    s->flags |= SESSION_CLOSING;
    s->out.closed = true;
    let_go(b, s);
}

void broker_session_close(struct broker *b, struct session *s)
{
    let_go(b, s);
    if (s->prev != NULL) s->prev->next = s->next;
    else b->first_session = s->next;
    if (s->next != NULL) s->next->prev = s->prev;
    else b->last_session = s->prev;
    b->session_count--;
    buf_fini(&s->name);
    buf_fini(&s->lib_name);
    buf_fini(&s->lib_version);
    outbox_fini(&s->out);
    mem_free(s);
}

void session_reset(struct broker *b, struct session *s)
{
    let_go(b, s);
    s->db = 0;
    s->proto = 2;
    hub_set_proto(b->hub, &s->subscriber, 2);
    s->flags &= SESSION_INTERNAL | SESSION_UNIX;
    s->authenticated = (s->flags & SESSION_INTERNAL) || !needs_password(b);
    s->name.len = 0;
}

void session_end(struct session *s, bool after_output)
{
    if (s->flags & SESSION_CLOSING && after_output) return;
    s->flags |= SESSION_CLOSING;
    s->port->close(s->owner, after_output);
}

struct session *session_by_id(struct broker *b, uint64_t id)
{
    for (struct session *s = b->first_session; s != NULL; s = s->next)
        if (s->id == id) return s;
    return NULL;
}

bool session_is_trusted(const struct session *s)
{
    return s->authenticated || !needs_password(s->broker);
}

bool session_is_paused(const struct broker *b, const struct session *s, const struct command *cmd)
{
    if (strcmp(cmd->name, "unpause") == 0 || (s->flags & SESSION_INTERNAL)) return false;
    if (!b->pause_writes_only) return true;
    unsigned flags = cmd->flags;
    if (strcmp(cmd->name, "exec") == 0) flags |= s->queue_flags;
    return flags & (CMD_WRITE | CMD_MAY_REPLICATE);
}
