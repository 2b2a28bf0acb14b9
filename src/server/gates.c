#include "server/gates.h"

#include <stddef.h>

#include "server/internal.h"

/* Served in each turn: what others send meanwhile, and what the journal covers meanwhile, is to be
 * noticed before thousands of subscribers are served. */
enum { SERVED_IN_TURN = 16 };

static struct gate_line *line_of(struct server *s, const struct conn *c)
{
    return session_is_subscribed(c->session) ? &s->gates.members : &s->gates.answers;
}

void gates_wait(struct server *s, struct conn *c)
{
    if (c->gated) return;
    struct gate_line *line = line_of(s, c);
    c->gated = true;
    c->next_gated = line->waiting;
    line->waiting = c;
}

/* Those who wait become those who are released; in the order in which they came. */
static void release(struct gate_line *line)
{
    while (line->waiting != NULL) {
        struct conn *c = line->waiting;
        line->waiting = c->next_gated;
        c->next_gated = line->releasing;
        line->releasing = c;
    }
}

static void flush_line(struct server *s, struct gate_line *line)
{
    uint64_t covered = journal_covered(s->journal);
    if (line->releasing == NULL && covered != line->tried) {
        line->tried = covered;
        release(line);
    }
    for (int i = 0; i < SERVED_IN_TURN && line->releasing != NULL; i++) {
        struct conn *c = line->releasing;
        line->releasing = c->next_gated;
        c->gated = false;
        conn_flush(c);
    }
}

/* Who publishes is answered before its subscribers are served: what it sends next is to be on its
 * way to the disk meanwhile. */
void gates_flush(struct server *s)
{
    flush_line(s, &s->gates.answers);
    flush_line(s, &s->gates.members);
}

static bool is_due(const struct server *s, const struct gate_line *line)
{
    return line->releasing != NULL ||
           (line->waiting != NULL && journal_covered(s->journal) != line->tried);
}

/* The journal may have told of what it covers while others were still being served. */
bool gates_are_due(const struct server *s)
{
    return is_due(s, &s->gates.answers) || is_due(s, &s->gates.members);
}

static void drop_dead(struct gate_line *line)
{
    conn_drop_dead(&line->waiting, offsetof(struct conn, next_gated));
    conn_drop_dead(&line->releasing, offsetof(struct conn, next_gated));
}

void gates_drop_dead(struct server *s)
{
    drop_dead(&s->gates.answers);
    drop_dead(&s->gates.members);
}
