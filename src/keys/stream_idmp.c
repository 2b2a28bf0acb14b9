#include "keys/stream_idmp.h"

#include "base/mem.h"

struct known { /* a message, in its producer's map and in its list, oldest first */
    struct known *next;
    struct stream_id id;
    int64_t added_ms;
    size_t len;
    char iid[];
};

struct producer {
    struct map messages; /* of struct known */
    struct known *oldest, *newest;
    size_t len;
    char pid[];
};

static struct bytes iid_of(const void *item)
{
    const struct known *k = item;
    return (struct bytes){k->iid, k->len};
}

static struct bytes pid_of(const void *item)
{
    const struct producer *p = item;
    return (struct bytes){p->pid, p->len};
}

static void free_producer(void *item)
{
    struct producer *p = item;
    map_clear(&p->messages);
    mem_free(p);
}

static const struct map_type messages_type = {.key = iid_of, .free = mem_free};
static const struct map_type producers_type = {.key = pid_of, .free = free_producer};

struct stream_idmp *idmp_new(void)
{
    struct stream_idmp *m = mem_calloc(sizeof *m);
    m->duration_s = IDMP_DURATION_DEFAULT;
    m->maxsize = IDMP_MAXSIZE_DEFAULT;
    map_init(&m->producers, &producers_type);
    return m;
}

void idmp_free(struct stream_idmp *m)
{
    if (m == NULL) return;
    map_clear(&m->producers);
    mem_free(m);
}

static struct producer *find_or_add(struct stream_idmp *m, struct bytes pid)
{
    struct producer *p = map_get(&m->producers, pid);
    if (p != NULL) return p;
    p = mem_calloc(sizeof *p + pid.len);
    p->len = pid.len;
    memcpy(p->pid, pid.data, pid.len);
    map_init(&p->messages, &messages_type);
    map_insert(&m->producers, p);
    return p;
}

static void forget_oldest(struct stream_idmp *m, struct producer *p)
{
    struct known *k = p->oldest;
    p->oldest = k->next;
    if (p->oldest == NULL) p->newest = NULL;
    map_delete(&p->messages, iid_of(k));
    m->tracked--;
}

static void forget_expired(struct stream_idmp *m, struct producer *p, int64_t now_ms)
{
    int64_t until_ms = now_ms - (int64_t)m->duration_s * 1000;
    while (p->oldest != NULL && p->oldest->added_ms <= until_ms) forget_oldest(m, p);
}

bool idmp_find(struct stream_idmp *m, struct bytes pid, struct bytes iid, int64_t now_ms,
               struct stream_id *ret)
{
    struct producer *p = map_get(&m->producers, pid);
    if (p == NULL) return false;
    forget_expired(m, p, now_ms);
    const struct known *k = map_get(&p->messages, iid);
    if (k != NULL) *ret = k->id;
    return k != NULL;
}

void idmp_add(struct stream_idmp *m, const struct idmp_message *message)
{
    struct producer *p = find_or_add(m, message->pid);
    /* One of the same name has run out, and so has what is older. */
    while (map_get(&p->messages, message->iid) != NULL) forget_oldest(m, p);
    while (map_count(&p->messages) >= m->maxsize) forget_oldest(m, p);
    struct known *k = mem_alloc(sizeof *k + message->iid.len);
    *k = (struct known){.id = message->id, .added_ms = message->added_ms, .len = message->iid.len};
    memcpy(k->iid, message->iid.data, k->len);
    map_insert(&p->messages, k);
    if (p->newest != NULL) p->newest->next = k;
    else p->oldest = k;
    p->newest = k;
    m->tracked++;
}

void idmp_expire(struct stream_idmp *m, int64_t now_ms)
{
    struct map_iter it;
    struct producer *p;
    map_iter_init(&it, &m->producers);
    while ((p = map_iter_next(&it)) != NULL) {
        forget_expired(m, p, now_ms);
        if (p->oldest == NULL) free_producer(map_take(&m->producers, pid_of(p)));
    }
    map_iter_fini(&it);
}

void idmp_clear(struct stream_idmp *m)
{
    map_clear(&m->producers);
    m->tracked = 0;
}

void idmp_walk(struct stream_idmp *m, void (*fn)(const struct idmp_message *message, void *arg),
               void *arg)
{
    struct map_iter it;
    const struct producer *p;
    map_iter_init(&it, &m->producers);
    while ((p = map_iter_next(&it)) != NULL) {
        for (const struct known *k = p->oldest; k != NULL; k = k->next) {
            struct idmp_message message = {pid_of(p), iid_of(k), k->id, k->added_ms};
            fn(&message, arg);
        }
    }
    map_iter_fini(&it);
}

static void add_to(const struct idmp_message *message, void *arg)
{
    idmp_add(arg, message);
}

struct stream_idmp *idmp_copy(struct stream_idmp *m)
{
    if (m == NULL) return NULL;
    struct stream_idmp *copy = idmp_new();
    copy->duration_s = m->duration_s;
    copy->maxsize = m->maxsize;
    copy->added = m->added;
    copy->duplicates = m->duplicates;
    idmp_walk(m, add_to, copy);
    return copy;
}

static void add_memory(const struct idmp_message *message, void *arg)
{
    *(size_t *)arg += sizeof(struct known) + message->iid.len;
}

size_t idmp_memory(struct stream_idmp *m)
{
    if (m == NULL) return 0;
    size_t bytes = sizeof *m + map_memory(&m->producers);
    idmp_walk(m, add_memory, &bytes);
    return bytes;
}
