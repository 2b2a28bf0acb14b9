/* Sessions that wait for a key: who waits for what, in order of arrival; whose time is over; and
 * the second run of their command when the key has something.
 *
 *   waits:    (db, key) -> first waiter -> next waiter ...      served first come, first served
 *   deadlines: ordered by time
 *
 * A key is signalled by whatever changed it (broker_drain); waiters are served between commands,
 * never inside one. A served command may signal further keys: serving goes on until none is left.
 * Who waits for no key waits for the journal (WAITAOF) and is looked at when more of it is synced;
 * or for entries of a stream that have to be read from disk. A session that waits for a key may
 * wait for such entries as well, once it was woken.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/order.h"
#include "broker/admit.h"
#include "broker/internal.h"

struct waiter { /* one session at one key */
    struct blocked *block;
    struct waited_key *key;
    struct waiter *prev, *next;
};

struct waited_key {
    struct waiter *first, *last;
    struct waited_key *next_signalled;
    bool signalled;
    size_t while_there; /* waiters that are to hear when it goes */
    int db;
    size_t len; /* of `text`: one byte of db, then the key */
    char text[];
};

struct blocked {
    struct session *session;
    struct queued_command command;
    int db;
    enum key_type type;
    int64_t deadline_ms; /* 0: none */
    uint64_t since;      /* tells equal deadlines apart */
    void (*on_timeout)(struct call *c);
    struct blocked *prev_keyless, *next_keyless;
    int64_t look_ms;    /* when it runs again in any case; 0: never */
    bool while_there;   /* is to hear when a key goes */
    bool ended;         /* while its command ran, which has its arguments: serve() frees it */
    bool loading;       /* waits for entries from disk */
    uint64_t looked_at; /* r->loads when it was looked at last */
    unsigned loads;     /* how often it ran because of one */
    struct blocked *prev_loading, *next_loading;
    size_t count; /* 0: it waits for no key */
    struct waiter waiters[];
};

struct blocked_registry {
    struct map keys;        /* of struct waited_key */
    struct order deadlines; /* of struct blocked */
    struct order looks;     /* of those with a look_ms */
    struct waited_key *signalled, *signalled_last;
    struct blocked *keyless;
    uint64_t synced; /* of the journal, when the keyless were looked at */
    struct blocked *loading;
    uint64_t loads;     /* finished when those were looked at */
    size_t while_there; /* blocks that are to hear when a key goes */
    uint64_t next_since;
};

static struct bytes text_of(const void *item)
{
    const struct waited_key *k = item;
    return (struct bytes){k->text, k->len};
}

static struct bytes since_of(const void *item)
{
    const struct blocked *b = item;
    return (struct bytes){(const char *)&b->since, sizeof b->since};
}

static const struct map_type key_type = {.key = text_of, .free = mem_free};

struct blocked_registry *blocked_new(void)
{
    struct blocked_registry *r = mem_calloc(sizeof *r);
    map_init(&r->keys, &key_type);
    order_init(&r->deadlines, since_of);
    order_init(&r->looks, since_of);
    return r;
}

void blocked_free(struct blocked_registry *r)
{
    if (r == NULL) return;
    must(map_count(&r->keys) == 0);
    map_clear(&r->keys);
    order_clear(&r->deadlines);
    order_clear(&r->looks);
    mem_free(r);
}

static struct waited_key *find_key(struct broker *b, int db, struct bytes name, bool create)
{
    char *text = arena_alloc(&b->arena, name.len + 1);
    text[0] = (char)db;
    if (name.len > 0) memcpy(text + 1, name.data, name.len);
    struct bytes full = {text, name.len + 1};
    struct waited_key *k = map_get(&b->blocked->keys, full);
    if (k != NULL || !create) return k;
    k = mem_alloc(sizeof *k + full.len);
    *k = (struct waited_key){.db = db, .len = full.len};
    memcpy(k->text, full.data, full.len);
    map_insert(&b->blocked->keys, k);
    return k;
}

static void join(struct waiter *w, struct blocked *block, struct waited_key *k)
{
    *w = (struct waiter){.block = block, .key = k, .prev = k->last};
    if (k->last != NULL) k->last->next = w;
    else k->first = w;
    k->last = w;
}

static void drop_key_if_idle(struct broker *b, struct waited_key *k)
{
    if (k->first == NULL && !k->signalled) map_delete(&b->blocked->keys, text_of(k));
}

static void leave(struct broker *b, struct waiter *w)
{
    struct waited_key *k = w->key;
    if (k == NULL) return;
    if (w->block->while_there) k->while_there--;
    if (w->prev != NULL) w->prev->next = w->next;
    else k->first = w->next;
    if (w->next != NULL) w->next->prev = w->prev;
    else k->last = w->prev;
    drop_key_if_idle(b, k);
}

static void join_keyless(struct blocked_registry *r, struct blocked *block)
{
    block->next_keyless = r->keyless;
    if (r->keyless != NULL) r->keyless->prev_keyless = block;
    r->keyless = block;
}

static void leave_keyless(struct blocked_registry *r, struct blocked *block)
{
    if (block->prev_keyless != NULL) block->prev_keyless->next_keyless = block->next_keyless;
    else r->keyless = block->next_keyless;
    if (block->next_keyless != NULL) block->next_keyless->prev_keyless = block->prev_keyless;
}

/* Or for the journal; else for a load alone. */
static bool waits_for_key(const struct blocked *block)
{
    return block->on_timeout != NULL;
}

static struct blocked *new_block(struct call *c, size_t keys)
{
    struct blocked *block = mem_calloc(sizeof *block + keys * sizeof *block->waiters);
    block->session = c->session;
    block->db = c->db;
    block->since = c->broker->blocked->next_since++;
    queued_command_init(&block->command, c->cmd, c->top, c->argc, c->argv);
    return block;
}

static void park(struct call *c, struct blocked *block)
{
    c->session->blocked = block;
    c->session->flags |= SESSION_BLOCKED;
    c->broker->blocked_count++;
}

void call_block(struct call *c, const struct bytes *names, size_t count, enum key_type type,
                int64_t timeout_ms, void (*on_timeout)(struct call *c))
{
    struct broker *b = c->broker;
    must(!c->in_exec);
    if (b->retrying != NULL &&
        waits_for_key(b->retrying)) { /* woken for nothing: keeps its place */
        b->still_blocked = true;
        return;
    }
    struct blocked *block = new_block(c, count);
    block->type = type;
    block->on_timeout = on_timeout;
    for (size_t i = 0; i < count; i++) {
        struct waited_key *k = find_key(b, c->db, names[i], true);
        bool twice = k->last != NULL && k->last->block == block;
        if (!twice) join(&block->waiters[block->count++], block, k);
    }
    if (block->count == 0) join_keyless(b->blocked, block);
    if (timeout_ms > 0) {
        block->deadline_ms = c->now_ms + timeout_ms;
        order_insert(&b->blocked->deadlines, (double)block->deadline_ms, block);
    }
    park(c, block);
    b->still_blocked = b->retrying != NULL;
}

void call_block_while_there(struct call *c)
{
    struct blocked *block = c->session->blocked;
    if (block->while_there) return;
    block->while_there = true;
    c->broker->blocked->while_there++;
    for (size_t i = 0; i < block->count; i++) block->waiters[i].key->while_there++;
}

static void forget_look(struct blocked_registry *r, struct blocked *block)
{
    if (block->look_ms != 0) order_remove(&r->looks, (double)block->look_ms, since_of(block));
    block->look_ms = 0;
}

void call_block_until(struct call *c, int64_t at_ms)
{
    struct blocked_registry *r = c->broker->blocked;
    struct blocked *block = c->session->blocked;
    forget_look(r, block);
    if (at_ms == INT64_MAX) return;
    block->look_ms = at_ms > c->now_ms ? at_ms : c->now_ms + 1;
    order_insert(&r->looks, (double)block->look_ms, block);
}

static void join_loading(struct blocked_registry *r, struct blocked *block)
{
    block->loading = true;
    block->next_loading = r->loading;
    if (r->loading != NULL) r->loading->prev_loading = block;
    r->loading = block;
}

static void leave_loading(struct blocked_registry *r, struct blocked *block)
{
    if (!block->loading) return;
    block->loading = false;
    if (block->prev_loading != NULL) block->prev_loading->next_loading = block->next_loading;
    else r->loading = block->next_loading;
    if (block->next_loading != NULL) block->next_loading->prev_loading = block->prev_loading;
    block->prev_loading = block->next_loading = NULL;
}

void call_await_load(struct call *c)
{
    struct broker *b = c->broker;
    must(!c->in_exec);
    if (b->retrying != NULL) { /* it waits for a key, or has waited for another load */
        if (!b->retrying->loading) join_loading(b->blocked, b->retrying);
        b->retrying->looked_at = b->blocked->loads;
        b->still_blocked = true;
        return;
    }
    struct blocked *block = new_block(c, 0);
    join_loading(b->blocked, block);
    block->looked_at = b->blocked->loads;
    park(c, block);
}

static void free_block(struct blocked *block)
{
    queued_command_fini(&block->command);
    mem_free(block);
}

static void end_block(struct broker *b, struct blocked *block)
{
    if (block->while_there) b->blocked->while_there--;
    forget_look(b->blocked, block);
    for (size_t i = 0; i < block->count; i++) leave(b, &block->waiters[i]);
    if (waits_for_key(block) && block->count == 0) leave_keyless(b->blocked, block);
    leave_loading(b->blocked, block);
    if (block->deadline_ms != 0)
        order_remove(&b->blocked->deadlines, (double)block->deadline_ms, since_of(block));
    b->blocked_count--;
    block->ended = block == b->retrying;
    if (!block->ended) free_block(block);
}

bool blocked_cancel(struct broker *b, struct session *s)
{
    if (s->blocked == NULL) return false;
    end_block(b, s->blocked);
    s->blocked = NULL;
    s->flags &= ~(unsigned)SESSION_BLOCKED;
    return true;
}

static void unblock(struct broker *b, struct session *s)
{
    blocked_cancel(b, s);
    s->port->resume(s->owner);
}

/* ---- Serving ---- */

static void signal_key(struct broker *b, struct waited_key *k)
{
    struct blocked_registry *r = b->blocked;
    if (k->signalled) return;
    k->signalled = true;
    k->next_signalled = NULL;
    if (r->signalled_last != NULL) r->signalled_last->next_signalled = k;
    else r->signalled = k;
    r->signalled_last = k;
}

void blocked_signal(struct broker *b, int db, struct bytes name)
{
    struct waited_key *k = find_key(b, db, name, false);
    if (k != NULL) signal_key(b, k);
}

void blocked_signal_all(struct broker *b)
{
    struct map_iter it;
    struct waited_key *k;
    map_iter_init(&it, &b->blocked->keys);
    while ((k = map_iter_next(&it)) != NULL) signal_key(b, k);
    map_iter_fini(&it);
}

static struct key *key_behind(struct broker *b, const struct waited_key *k)
{
    struct bytes name = {k->text + 1, k->len - 1};
    struct key *found = keyspace_find(b->ks, k->db, name, hash_bytes(name));
    return found != NULL && !key_is_expired(found, b->now_ms) ? found : NULL;
}

static bool has_gone(struct broker *b, const struct waited_key *k)
{
    const struct key *found = key_behind(b, k);
    return k->while_there > 0 && (found == NULL || found->type != KEY_STREAM);
}

void blocked_signal_if_gone(struct broker *b, int db, struct bytes name)
{
    struct waited_key *k = b->blocked->while_there > 0 ? find_key(b, db, name, false) : NULL;
    if (k != NULL && has_gone(b, k)) signal_key(b, k);
}

void blocked_signal_all_gone(struct broker *b)
{
    struct map_iter it;
    struct waited_key *k;
    if (b->blocked->while_there == 0) return;
    map_iter_init(&it, &b->blocked->keys);
    while ((k = map_iter_next(&it)) != NULL)
        if (has_gone(b, k)) signal_key(b, k);
    map_iter_fini(&it);
}

/* What was admitted when it came may not fit into the journal any more. (Who waits for a key asks
 * for room when there is something to do.) */
static void run_admitted(struct call *c)
{
    bool is_write = c->cmd->flags & CMD_WRITE;
    size_t bytes = is_write ? admit_estimate(c->cmd, c->argc, c->argv) : 0;
    if (!is_write ||
        (admit_stream(c, c->cmd) && admit_bytes(c, bytes, (c->cmd->flags & CMD_SHRINKS) != 0)))
        broker_run(c);
}

/* Runs the command again. */
static void serve(struct broker *b, struct blocked *block)
{
    struct session *s = block->session;
    leave_loading(b->blocked, block);
    b->retrying = block;
    b->still_blocked = false;
    broker_run_alone(b, s, block->command.cmd, block->command.top, block->command.argc,
                     block->command.argv, waits_for_key(block) ? NULL : run_admitted);
    bool served = !b->still_blocked;
    b->retrying = NULL;
    b->still_blocked = false;
    if (block->ended) free_block(block); /* the session was closed: the reply was too long */
    else if (s->blocked != block) end_block(b, block); /* waited for a load, now for a key */
    else if (served) unblock(b, s);
}

static void serve_key(struct broker *b, struct waited_key *k)
{
    struct waiter *w = k->first;
    while (w != NULL) {
        struct waiter *next = w->next;
        struct key *found = key_behind(b, k);
        if (found == NULL && k->while_there == 0) return;
        bool is_there = found != NULL && found->type == w->block->type;
        if (is_there || w->block->while_there) serve(b, w->block);
        w = next;
    }
}

void blocked_serve(struct broker *b)
{
    struct blocked_registry *r = b->blocked;
    while (r->signalled != NULL) {
        struct waited_key *k = r->signalled;
        r->signalled = k->next_signalled;
        if (r->signalled == NULL) r->signalled_last = NULL;
        serve_key(b, k);
        k->signalled = false;
        drop_key_if_idle(b, k);
    }
}

void blocked_look_at_journal(struct broker *b)
{
    struct blocked_registry *r = b->blocked;
    uint64_t synced = journal_synced(b->journal);
    if (r->keyless == NULL || synced == r->synced) return;
    r->synced = synced;
    for (struct blocked *block = r->keyless, *next; block != NULL; block = next) {
        next = block->next_keyless;
        serve(b, block);
    }
}

/* The next that has not been looked at since the last load. */
static struct blocked *next_loading(const struct blocked_registry *r)
{
    struct blocked *block = r->loading;
    while (block != NULL && block->looked_at == r->loads) block = block->next_loading;
    return block;
}

/* Memory may be so short that what came first is gone when the last has come. Then it waits for the
 * disk once. */
static void serve_loaded(struct broker *b, struct blocked *block)
{
    enum { ROUNDS_MAX = 64 };
    b->streams->wait = ++block->loads > ROUNDS_MAX;
    serve(b, block);
    b->streams->wait = false;
}

void blocked_look_at_loads(struct broker *b)
{
    struct blocked_registry *r = b->blocked;
    struct blocked *block;
    if (r->loading == NULL || b->streams->loads == r->loads) return;
    r->loads = b->streams->loads;
    while ((block = next_loading(r)) != NULL) { /* serving one may end others */
        block->looked_at = r->loads;
        serve_loaded(b, block);
    }
}

/* ---- Ending without being served ---- */

static void end_with(struct broker *b, struct session *s, void (*reply)(struct call *c))
{
    struct blocked *block = s->blocked;
    broker_run_alone(b, s, block->command.cmd, block->command.top, block->command.argc,
                     block->command.argv, reply);
    unblock(b, s);
}

static void reply_unblocked(struct call *c)
{
    resp_error(c->reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

bool blocked_unblock(struct broker *b, struct session *s, bool error)
{
    if (s->blocked == NULL || !waits_for_key(s->blocked)) return false;
    end_with(b, s, error ? reply_unblocked : s->blocked->on_timeout);
    return true;
}

/* Those whose time to look has come run again; one that goes on waiting says until when. */
static void look_again(struct broker *b)
{
    struct order_iter it;
    double at;
    while (order_seek(&b->blocked->looks, 0, &it)) {
        struct blocked *block = order_at(&it, &at);
        if (at > (double)b->now_ms) return;
        forget_look(b->blocked, block);
        serve(b, block);
    }
}

void blocked_timeouts(struct broker *b)
{
    struct order_iter it;
    double at;
    look_again(b);
    while (order_seek(&b->blocked->deadlines, 0, &it)) {
        struct blocked *block = order_at(&it, &at);
        if (at > (double)b->now_ms) return;
        end_with(b, block->session, block->on_timeout);
    }
}

int64_t blocked_next_ms(const struct broker *b)
{
    struct order_iter it;
    double deadline = (double)INT64_MAX, look = (double)INT64_MAX;
    if (order_seek(&b->blocked->deadlines, 0, &it)) order_at(&it, &deadline);
    if (order_seek(&b->blocked->looks, 0, &it)) order_at(&it, &look);
    double at = deadline < look ? deadline : look;
    return at < (double)INT64_MAX ? (int64_t)at : INT64_MAX;
}
