/* Taking elements from the ends of lists and moving them between lists: at once, or waiting until
 * there are some.
 *
 * A command that waits is run again from its start when one of its keys has something
 * (call_block); so each is written as "take, else block". */
#include "broker/change_list.h"
#include "broker/list_reply.h"
#include "broker/pop.h"

void list_reply_popped(struct call *c, struct key *k, struct bytes name, enum list_end end,
                       size_t n)
{
    struct list_iter it;
    struct bytes element;
    list_iter_init(&it, k, end == LIST_HEAD ? 0 : list_count(k) - 1, end);
    for (size_t i = 0; i < n; i++) {
        list_iter_next(&it, &element);
        resp_bulk(c->reply, element);
    }
    k = change_list_drop(c, k, end, n);
    call_event(c, NOTIFY_LIST, list_pop_event(end), name);
    if (k == NULL) call_event(c, NOTIFY_GENERIC, "del", name);
}

/* A command that has waited was admitted long ago; so each is asked for again, before it replies.
 */
static bool may_change(struct call *c)
{
    return call_admit(c, 0);
}

/* ---- LMPOP ---- */

static enum pop_found pop_many(struct call *c, const struct pop_many *o)
{
    struct bytes name;
    struct key *k;
    enum pop_found found = pop_find(c, o->keys, o->key_count, KEY_LIST, &k, &name);
    if (found != POP_FOUND) return found;
    if (!may_change(c)) return POP_FAILED;
    size_t n = list_available(k, o->count);
    resp_array(c->reply, 2);
    resp_bulk(c->reply, name);
    resp_array(c->reply, n);
    list_reply_popped(c, k, name, o->last ? LIST_TAIL : LIST_HEAD, n);
    return POP_FOUND;
}

static void lmpop(struct call *c)
{
    struct pop_many o;
    if (pop_many_parse(c, 1, "left", "right", &o) && pop_many(c, &o) == POP_NONE)
        call_reply_nothing(c);
}

/* ---- LMOVE ---- */

/* POP_NONE when the source is absent. */
static enum pop_found move(struct call *c, enum list_end from_end, enum list_end to_end)
{
    struct bytes from_name = c->argv[1], to_name = c->argv[2];
    struct key *from, *to;
    if (!call_write_typed(c, from_name, KEY_LIST, &from)) return POP_FAILED;
    if (from == NULL) return POP_NONE;
    if (!call_write_typed(c, to_name, KEY_LIST, &to) || !may_change(c)) return POP_FAILED;
    resp_bulk(c->reply, list_peek(from, from_end));
    from = change_list_move(c, from, from_end, to, to_name, to_end);
    call_event(c, NOTIFY_LIST, list_push_event(to_end), to_name);
    call_event(c, NOTIFY_LIST, list_pop_event(from_end), from_name);
    if (from == NULL) call_event(c, NOTIFY_GENERIC, "del", from_name);
    return POP_FOUND;
}

static bool parse_end(struct call *c, struct bytes arg, enum list_end *ret)
{
    bool right = bytes_is_word(arg, "right");
    *ret = right ? LIST_TAIL : LIST_HEAD;
    if (right || bytes_is_word(arg, "left")) return true;
    call_error_syntax(c);
    return false;
}

static bool parse_ends(struct call *c, enum list_end *ret_from, enum list_end *ret_to)
{
    return parse_end(c, c->argv[3], ret_from) && parse_end(c, c->argv[4], ret_to);
}

static void lmove(struct call *c)
{
    enum list_end from, to;
    if (parse_ends(c, &from, &to) && move(c, from, to) == POP_NONE) resp_null(c->reply);
}

static void rpoplpush(struct call *c)
{
    if (move(c, LIST_TAIL, LIST_HEAD) == POP_NONE) resp_null(c->reply);
}

/* ---- Waiting ---- */

static void wait_and_pop(struct call *c, enum list_end end)
{
    struct bytes name;
    struct key *k;
    if (pop_find_or_wait(c, KEY_LIST, &k, &name) != POP_FOUND || !may_change(c)) return;
    resp_array(c->reply, 2);
    resp_bulk(c->reply, name);
    list_reply_popped(c, k, name, end, 1);
}

static void blpop(struct call *c)
{
    wait_and_pop(c, LIST_HEAD);
}

static void brpop(struct call *c)
{
    wait_and_pop(c, LIST_TAIL);
}

static void blmpop(struct call *c)
{
    struct pop_many o;
    int64_t timeout_ms;
    if (!pop_many_parse(c, 2, "left", "right", &o) || !pop_timeout(c, c->argv[1], &timeout_ms))
        return;
    if (pop_many(c, &o) == POP_NONE) pop_wait(c, o.keys, o.key_count, KEY_LIST, timeout_ms);
}

static void wait_and_move(struct call *c, enum list_end from, enum list_end to)
{
    int64_t timeout_ms;
    if (!pop_timeout(c, c->argv[c->argc - 1], &timeout_ms)) return;
    if (move(c, from, to) != POP_NONE) return;
    if (c->in_exec) resp_null(c->reply);
    else pop_wait(c, &c->argv[1], 1, KEY_LIST, timeout_ms);
}

static void blmove(struct call *c)
{
    enum list_end from, to;
    if (parse_ends(c, &from, &to)) wait_and_move(c, from, to);
}

static void brpoplpush(struct call *c)
{
    wait_and_move(c, LIST_TAIL, LIST_HEAD);
}

#define LIST     .acl = ACL_LIST, .group = "list"
#define TWO_KEYS .first_key = 1, .last_key = 2, .key_step = 1
#define KEYS     .first_key = 1, .last_key = -2, .key_step = 1
#define WAIT     CMD_NOSCRIPT | CMD_BLOCKING
#define MOVE     CMD_WRITE | CMD_DENYOOM
#define POP      CMD_WRITE | CMD_SHRINKS

/* clang-format off */
const struct command cmd_list_blocking[] = {
    {.name = "blmove", .arity = 6, .flags = MOVE | WAIT, TWO_KEYS, LIST, .since = "6.2.0",
     .syntax = "BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
     .summary = "LMOVE that waits until the source has an element.", .handler = blmove,
     .complexity = "O(1)"},
    {.name = "blmpop", .arity = -5, .flags = POP | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .first_key = 2, .key_positions = KEYS_NUMBERED, LIST, .since = "7.0.0",
     .syntax = "BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
     .summary = "LMPOP that waits until one of the lists has elements.", .handler = blmpop,
     .complexity = "O(K + M) with K keys, M elements popped"},
    {.name = "blpop", .arity = -3, .flags = POP | WAIT, KEYS, LIST, .since = "2.0.0",
     .syntax = "BLPOP key [key ...] timeout",
     .summary = "Pops the first element of the first list that has one; waits for one.",
     .handler = blpop, .complexity = "O(N) in keys"},
    {.name = "brpop", .arity = -3, .flags = POP | WAIT, KEYS, LIST, .since = "2.0.0",
     .syntax = "BRPOP key [key ...] timeout",
     .summary = "Pops the last element of the first list that has one; waits for one.",
     .handler = brpop, .complexity = "O(N) in keys"},
    {.name = "brpoplpush", .arity = 4, .flags = MOVE | WAIT, TWO_KEYS, LIST, .since = "2.2.0",
     .syntax = "BRPOPLPUSH source destination timeout",
     .summary = "RPOPLPUSH that waits until the source has an element.", .handler = brpoplpush,
     .complexity = "O(1)"},
    {.name = "lmove", .arity = 5, .flags = MOVE, TWO_KEYS, LIST, .since = "6.2.0",
     .syntax = "LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>",
     .summary = "Moves an element from an end of a list to an end of another, and answers it.",
     .handler = lmove, .complexity = "O(1)"},
    {.name = "lmpop", .arity = -4, .flags = POP | CMD_MOVABLE_KEYS, .first_key = 1,
     .key_positions = KEYS_NUMBERED, LIST, .since = "7.0.0",
     .syntax = "LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
     .summary = "Pops elements from the first list that has any.", .handler = lmpop,
     .complexity = "O(K + M) with K keys, M elements popped"},
    {.name = "rpoplpush", .arity = 3, .flags = MOVE, TWO_KEYS, LIST, .since = "1.2.0",
     .syntax = "RPOPLPUSH source destination",
     .summary = "Moves the last element of a list to the front of another, and answers it.",
     .handler = rpoplpush, .complexity = "O(1)"},
    {.name = NULL},
};
/* clang-format on */
