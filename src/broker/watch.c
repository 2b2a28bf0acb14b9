/* WATCH: which sessions look at which keys, and what a change does to them. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "broker/internal.h"

/* One watched (db, key) and the sessions that watch it. */
struct watched_name {
    struct watched_key *watchers;
    int db;
    size_t len; /* of `text`: one byte of db, then the key */
    char text[];
};

struct watched_key {
    struct session *session;
    struct watched_name *name;
    struct watched_key *next_of_session;
    struct watched_key *next_of_name;
    bool expired; /* it was there but over when the watch began: its deletion is no change */
};

static struct bytes text_of(const void *item)
{
    const struct watched_name *n = item;
    return (struct bytes){n->text, n->len};
}

static const struct map_type watched_type = {.key = text_of, .free = mem_free};

void watch_init(struct broker *b)
{
    map_init(&b->watched, &watched_type);
}

void watch_fini(struct broker *b)
{
    map_clear(&b->watched);
}

static struct bytes full_text(struct arena *a, int db, struct bytes name)
{
    char *text = arena_alloc(a, name.len + 1);
    text[0] = (char)db;
    if (name.len > 0) memcpy(text + 1, name.data, name.len);
    return (struct bytes){text, name.len + 1};
}

static struct watched_name *find_name(struct broker *b, int db, struct bytes name)
{
    return map_get(&b->watched, full_text(&b->arena, db, name));
}

void watch_add(struct broker *b, struct session *s, int db, struct bytes name, bool expired)
{
    struct watched_name *n = find_name(b, db, name);
    if (n == NULL) {
        struct bytes text = full_text(&b->arena, db, name);
        n = mem_alloc(sizeof *n + text.len);
        *n = (struct watched_name){.db = db, .len = text.len};
        memcpy(n->text, text.data, text.len);
        map_insert(&b->watched, n);
    }
    for (struct watched_key *w = n->watchers; w != NULL; w = w->next_of_name)
        if (w->session == s) return;
    struct watched_key *w = mem_alloc(sizeof *w);
    *w = (struct watched_key){s, n, s->watched, n->watchers, expired};
    if (s->watched == NULL) b->watching_count++;
    s->watched = n->watchers = w;
}

static void unlink_from_name(struct watched_key *w)
{
    struct watched_key **at = &w->name->watchers;
    while (*at != w) at = &(*at)->next_of_name;
    *at = w->next_of_name;
}

void watch_clear(struct broker *b, struct session *s)
{
    if (s->watched == NULL) return;
    b->watching_count--;
    while (s->watched != NULL) {
        struct watched_key *w = s->watched;
        s->watched = w->next_of_session;
        unlink_from_name(w);
        if (w->name->watchers == NULL) map_delete(&b->watched, text_of(w->name));
        mem_free(w);
    }
}

static struct bytes key_of(const struct watched_name *n)
{
    return (struct bytes){n->text + 1, n->len - 1};
}

static struct key *key_behind(struct broker *b, const struct watched_name *n)
{
    struct bytes name = key_of(n);
    return keyspace_find(b->ks, n->db, name, hash_bytes(name));
}

static void spoil(struct broker *b, struct watched_name *n)
{
    bool present = key_behind(b, n) != NULL;
    for (struct watched_key *w = n->watchers; w != NULL; w = w->next_of_name) {
        if (w->expired && !present) {
            w->expired = false;
            continue;
        }
        w->session->flags |= SESSION_DIRTY_CAS;
    }
}

void watch_touch(struct broker *b, int db, struct bytes name)
{
    struct watched_name *n = find_name(b, db, name);
    if (n != NULL) spoil(b, n);
}

/* What a name would find in a database: nothing, an expired key, a living one. */
enum there { NOTHING, EXPIRED, ALIVE };

static enum there what_is_there(struct broker *b, int db, struct bytes name)
{
    if (db < 0) return NOTHING;
    const struct key *k = keyspace_find(b->ks, db, name, hash_bytes(name));
    if (k == NULL) return NOTHING;
    return key_is_expired(k, b->now_ms) ? EXPIRED : ALIVE;
}

/* An expired key that goes, or comes, is no change to whoever saw none. */
static void replace_one(struct watched_key *w, enum there before, enum there after)
{
    bool saw_it = !w->expired && before != NOTHING;
    if (saw_it || after == ALIVE) w->session->flags |= SESSION_DIRTY_CAS;
    else w->expired = after == EXPIRED;
}

void watch_replace_db(struct broker *b, int db, int by)
{
    if (b->watching_count == 0) return;
    struct map_iter it;
    struct watched_name *n;
    map_iter_init(&it, &b->watched);
    while ((n = map_iter_next(&it)) != NULL) {
        if (n->db != db) continue;
        enum there before = what_is_there(b, db, key_of(n));
        enum there after = what_is_there(b, by, key_of(n));
        for (struct watched_key *w = n->watchers; w != NULL; w = w->next_of_name)
            replace_one(w, before, after);
    }
    map_iter_fini(&it);
}

bool watch_expired(struct broker *b, struct session *s)
{
    for (struct watched_key *w = s->watched; w != NULL; w = w->next_of_session) {
        if (w->expired) continue;
        struct key *k = key_behind(b, w->name);
        if (k != NULL && key_is_expired(k, b->now_ms)) return true;
    }
    return false;
}
